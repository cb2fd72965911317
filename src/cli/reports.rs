//! `--report FORMAT=PATH`: asked for before the run, written whole or not at all after it.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::report::{self, Format, Options, RunView, TemplateText};

use super::{Result, carry, stdio};

/// The reports that were asked for, known to be writable.
#[derive(Default)]
pub(crate) struct Wanted {
    reports: Vec<(What, PathBuf)>,
    options: Options,
}

enum What {
    Format(&'static Format),
    /// The portable record.
    Record,
}

impl Wanted {
    /// Reads what was asked for, and finds out now whether it can be written.
    pub(crate) fn new(specs: &[String], template: Option<&Path>) -> Result<Self> {
        let mut reports = Vec::new();
        for spec in specs {
            let Some((name, path)) = spec.split_once('=') else {
                anyhow::bail!("--report wants FORMAT=PATH, not {spec:?}")
            };
            let what = match (name, report::find(name)) {
                ("record", _) => What::Record,
                (_, Some(format)) => What::Format(format),
                (_, None) => {
                    let names: Vec<_> = report::FORMATS.iter().map(|f| f.name).collect();
                    anyhow::bail!("there is no report format {name:?}; there are {}, record", names.join(", "))
                }
            };
            if path.is_empty() {
                anyhow::bail!("--report {spec}: where to? write {name}=FILE, or {name}=- for stdout");
            }
            if path != "-" {
                try_out(Path::new(path))?;
            }
            reports.push((what, PathBuf::from(path)));
        }
        let template = template.map(|path| {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| anyhow::anyhow!("--template {name}: {e}"))?;
            anyhow::Ok(TemplateText { name, text })
        });
        Ok(Self { reports, options: Options { template: template.transpose()? } })
    }

    /// Adds a report.
    pub(crate) fn add(&mut self, format: &'static str, path: PathBuf) -> Result<()> {
        try_out(&path)?;
        if let Some(format) = report::find(format) {
            self.reports.push((What::Format(format), path));
        }
        Ok(())
    }

    /// Tells whether none was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// Tells whether one of them goes to stdout.
    pub(crate) fn takes_stdout(&self) -> bool {
        self.reports.iter().any(|(_, path)| path.as_os_str() == "-")
    }

    /// Writes all of them, the good ones even when one fails, and says which. Tells whether all were written.
    pub(crate) fn write(&self, view: &RunView, export: &dyn Fn(&mut dyn Write) -> Result<()>) -> bool {
        let mut good = true;
        for (what, path) in &self.reports {
            let fill = |out: &mut dyn Write| self.fill(what, view, export, out);
            match deliver(path, &fill) {
                Ok(()) if path.as_os_str() != "-" => stdio::say(&format!("wrote {}", path.display())),
                Ok(()) => {}
                Err(error) => {
                    stdio::say(&format!("error: report {}: {error:#}", path.display()));
                    good = false;
                }
            }
        }
        good
    }

    /// Writes those that are files once more, after something was added to the run.
    pub(crate) fn write_again(&self, view: &RunView, export: &dyn Fn(&mut dyn Write) -> Result<()>) {
        for (what, path) in self.reports.iter().filter(|(_, path)| path.as_os_str() != "-") {
            let fill = |out: &mut dyn Write| self.fill(what, view, export, out);
            if let Err(error) = deliver(path, &fill) {
                stdio::say(&format!("warning: report {} stays as it was: {error:#}", path.display()));
            }
        }
    }

    /// Returns the first file that is written.
    pub(crate) fn place(&self) -> Option<String> {
        let files = self.reports.iter().map(|(_, path)| path).find(|path| path.as_os_str() != "-");
        files.map(|path| path.display().to_string())
    }

    fn fill(
        &self,
        what: &What,
        view: &RunView,
        export: &dyn Fn(&mut dyn Write) -> Result<()>,
        out: &mut dyn Write,
    ) -> Result<()> {
        match what {
            What::Record => export(out),
            // The template is for Markdown; the other formats are written beside it as they are.
            What::Format(format) if format.name == "markdown" => Ok((format.render)(view, &self.options, out)?),
            What::Format(format) => Ok((format.render)(view, &Options::default(), out)?),
        }
    }
}

fn deliver(path: &Path, fill: &dyn Fn(&mut dyn Write) -> Result<()>) -> Result<()> {
    if path.as_os_str() != "-" {
        return carry::write_whole(path, fill);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    fill(&mut out)?;
    Ok(out.flush()?)
}

/// Finds out whether a file can be written where it is wanted.
fn try_out(path: &Path) -> Result<()> {
    let problem = |e: std::io::Error| anyhow::anyhow!("cannot write {}: {e}", path.display());
    if path.is_dir() {
        anyhow::bail!("cannot write {}: it is a folder", path.display());
    }
    carry::try_out(path).map_err(problem)
}
