//! One look at a file, a glob or a tree. It happens on a thread of its own, as files may be slow.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::documents;
use super::scan::Scan;
use crate::model::{Evidence, Found, Measures, Note, Observation, Value};
use crate::probe::json::Paths;
use crate::probe::{Look, Probe, paths};
use crate::sys::policy::{Policy, Touch};
use crate::template::{Scope, Template};

/// The largest content that is kept or parsed.
const MAX_CONTENT: u64 = 1 << 20;

/// What is looked at, and for what.
#[derive(Clone)]
pub(super) struct Spec {
    pub(super) path: Template,
    pub(super) format: Option<String>,
    pub(super) json: Paths,
    pub(super) content: bool,
    pub(super) digest: bool,
    pub(super) scan: Option<Scan>,
}

/// The probe.
pub(super) struct FileProbe(pub(super) Spec);

/// What a look brings.
pub(super) type Seen = (Measures, Vec<Note>, Vec<Evidence>);

/// What goes with a look wherever it goes.
struct Within<'a> {
    now: DateTime<Utc>,
    /// Set when nobody waits any more.
    flag: &'a AtomicBool,
    /// Which files may be read.
    policy: &'a Policy,
}

/// Tells a look on another thread that nobody waits any more.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Probe for FileProbe {
    fn describe(&self) -> String {
        match self.0.scan {
            Some(_) => format!("scan the files of {}", self.0.path.source()),
            None => format!("look at the file {}", self.0.path.source()),
        }
    }

    fn touches(&self, scope: &Scope) -> Vec<Touch> {
        self.0.path.render(scope).map(|path| Touch::of_files(&path)).into_iter().collect()
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let path = match self.0.path.render(look.scope) {
            Ok(path) => path,
            Err(error) => return Observation::new(self.describe(), Found::refused(error.to_string())),
        };
        let (spec, now) = (self.0.clone(), look.world.clock.now());
        let cancel = Cancel(Arc::default());
        let (flag, asked, policy) = (Arc::clone(&cancel.0), path.clone(), Arc::clone(&look.world.policy));
        let _busy = look.world.clock.busy();
        let found = tokio::task::spawn_blocking(move || {
            let files = if spec.scan.is_some() { Ok(Vec::new()) } else { find(&asked, &flag) };
            // Whether a file is there is told only of what may be read.
            policy.allow_files(&asked, files.as_deref().unwrap_or_default()).map_err(|refusal| refusal.message)?;
            Ok::<_, String>(match &spec.scan {
                Some(scan) => scan.look(&asked, &policy, &flag),
                None => files.and_then(|files| spec.look(&files, &Within { now, flag: &flag, policy: &policy })),
            })
        });
        let mut observation = Observation::new(path, Found::Measures(Measures::new()));
        observation.found = match found.await {
            Ok(Err(refused)) => Found::refused(refused),
            Ok(Ok(Ok((measures, notes, evidence)))) => {
                (observation.notes, observation.evidence) = (notes, evidence);
                Found::Measures(measures)
            }
            Ok(Ok(Err(cause))) => Found::could_not_look(cause),
            Err(error) => Found::could_not_look(format!("the look broke off: {error}")),
        };
        observation
    }
}

impl Spec {
    fn look(&self, found: &[PathBuf], within: &Within<'_>) -> Result<Seen, String> {
        let mut measures = Measures::new();
        measures.plain("exists", Value::Bool(!found.is_empty()));
        measures.plain("count", Value::Number(found.len() as f64));
        match found {
            [] => self.none(&mut measures, "no such file", Value::Missing),
            [one] => self.one(&mut measures, one, within)?,
            many => self.none(&mut measures, &format!("{} files match, and not one", many.len()), Value::NoData),
        }
        Ok((measures, Vec::new(), Vec::new()))
    }

    /// Says of every measure but `exists` and `count` that there is none; what stands in a file that is not read
    /// nobody knows.
    fn none(&self, measures: &mut Measures, why: &str, value: fn(String) -> Value) {
        for name in ["text", "size", "age", "mode", "sha256"] {
            measures.plain(name, value(why.to_owned()));
        }
        self.unread(measures, why);
    }

    /// Says that nothing is known of what the content says.
    fn unread(&self, measures: &mut Measures, why: &str) {
        for name in documents::MEASURES {
            measures.plain(name, Value::NoData(why.to_owned()));
        }
        self.json.measure("the file", Err(Value::NoData(why.to_owned())), measures);
    }

    fn one(&self, measures: &mut Measures, path: &Path, within: &Within<'_>) -> Result<(), String> {
        let meta = std::fs::metadata(path).map_err(|e| cause(path, &e))?;
        let changed = DateTime::<Utc>::from(meta.modified().map_err(|e| cause(path, &e))?);
        measures.plain("age", Value::Number((within.now - changed).as_seconds_f64()));
        measures.plain("mode", Value::Text(format!("{:04o}", meta.permissions().mode() & 0o7777)));
        if !meta.is_file() {
            let why = if meta.is_dir() { "it is a folder" } else { "it is no regular file" };
            for name in ["text", "size", "sha256"] {
                measures.plain(name, Value::Missing(why.into()));
            }
            self.unread(measures, why);
            return Ok(());
        }
        measures.plain("size", Value::Number(meta.len() as f64));
        if self.content {
            self.content(measures, path, &meta, within.policy)?;
        }
        if self.digest {
            measures.plain("sha256", Value::Text(digest(path, within.flag)?));
        }
        Ok(())
    }

    fn content(&self, measures: &mut Measures, path: &Path, meta: &Metadata, policy: &Policy) -> Result<(), String> {
        let text = bounded(path, meta.len())?;
        let further = |path: &Path| {
            policy.allow_path(path).map_err(|refusal| refusal.message)?;
            let size = std::fs::metadata(path).map_err(|e| cause(path, &e))?.len();
            bounded(path, size)?
        };
        let document = text.clone().and_then(|text| documents::read(&text, self.format.as_deref(), path, &further));
        match &document {
            Ok(document) => {
                self.json.measure("the file", Ok(document.json()), measures);
                document.measure(measures);
            }
            Err(why) => self.unread(measures, why),
        }
        measures.plain("text", text.map_or_else(Value::NoData, Value::Text));
        Ok(())
    }
}

/// Reads a text that is not too large; the inner error says that it is.
fn bounded(path: &Path, size: u64) -> Result<Result<String, String>, String> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_CONTENT + 1).read_to_end(&mut bytes).map_err(|e| cause(path, &e))?;
    Ok(match bytes.len() as u64 > MAX_CONTENT {
        true => Err(format!("the file has {size} bytes; at most {MAX_CONTENT} are read")),
        false => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// Finds the files that a path or a glob stands for.
fn find(path: &str, flag: &AtomicBool) -> Result<Vec<PathBuf>, String> {
    let plain = Path::new(path);
    match std::fs::metadata(plain) {
        Ok(_) => Ok(vec![plain.to_owned()]),
        Err(_) if paths::is_glob(path) => paths::matching(path, flag),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(cause(plain, &error)),
    }
}

/// Says why a file cannot be read.
pub(super) fn cause(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => format!("no permission to read {}", path.display()),
        _ => format!("cannot read {}: {error}", path.display()),
    }
}

/// Opens a file; one that became a FIFO meanwhile does not hold the look up.
pub(super) fn open(path: &Path) -> Result<File, String> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| cause(path, &e))?;
    match file.metadata().map_err(|e| cause(path, &e))?.is_file() {
        true => Ok(file),
        false => Err(format!("{} is no regular file", path.display())),
    }
}

fn digest(path: &Path, flag: &AtomicBool) -> Result<String, String> {
    let file = open(path)?;
    let size = file.metadata().map_err(|e| cause(path, &e))?.len();
    let mut reader = file.take(size);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        if flag.load(Ordering::Relaxed) {
            return Err("nobody waits for it any more".into());
        }
        match reader.read(&mut buffer).map_err(|e| cause(path, &e))? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
