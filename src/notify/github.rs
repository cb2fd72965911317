//! `github`: what a job of GitHub Actions shows: annotations on the checklist, a summary, outputs.

use std::path::{Path, PathBuf};

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::{Letter, Runner};
use super::message::{Line, Message};
use super::on::On;
use super::text::{cut, cut_bytes, workflow_data, workflow_property};
use crate::report::{Options, find};
use crate::shape::Shape;
use crate::sys::env::Env;
use crate::template::TemplateError;

/// The kind `github`.
pub(super) const KIND: ChannelKind = ChannelKind {
    name: "github",
    summary: "annotations, a step summary and outputs of a GitHub Actions job",
    manual: MANUAL,
    shape: Shape::Bool,
    doc: "`true`; `false` where it must be silent although it runs under GitHub Actions.",
    fields: &[],
    on: &[On::NoGo, On::Go, On::Undecided, On::Held],
    of_process: true,
    compile,
};

const MANUAL: &str = "\
Under GitHub Actions (`GITHUB_ACTIONS=true`) this is on by itself; `github: false` turns it off:

```yaml
notify:
  - { github: true, on: [no-go, undecided] }
```

When the program leaves, it writes

- an annotation on the checklist line of each step that did not come out well: an error for what counts, a warning for \
what does not. GitHub shows ten of each from one step of a job, so the ten most urgent are written.
- the sign-off document into the step summary (`GITHUB_STEP_SUMMARY`). A summary may have 1,024 KiB: a longer document \
is cut at the end of a line, and the last line says where the whole report is.
- the outputs (`GITHUB_OUTPUT`) `decision` (`go`, `no-go`, `undecided`, `held`), `failed` (the ids of the steps that \
did not come out well, with commas between) and `report` (the file of the first `--report`, or nothing):

```yaml
- id: gate
  run: holdpoint run promotion.yaml --report markdown=signoff.md
- if: always() && steps.gate.outputs.decision == 'no-go'
  run: echo \"blocked by ${{ steps.gate.outputs.failed }}\"
```

Annotations go to stderr, where the runner reads them as on stdout. Each process of a run speaks for itself: a `tick` \
in another job has outputs too. Without the two files (outside of GitHub) only the annotations are written.

Source: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.
";

/// The largest summary of one step, in bytes.
const SUMMARY: usize = 1024 * 1024;
/// How many annotations of one kind GitHub shows.
const ANNOTATIONS: usize = 10;
/// The longest message of an annotation, in bytes before escaping.
const MESSAGE: usize = 4_000;

/// The channel; it has nothing of its own.
pub(super) struct Github;

struct Silent;

fn compile(compiling: &mut Compiling<'_, '_>) -> Option<Box<dyn Channel>> {
    match compiling.value.bool() {
        Some(false) => Some(Box::new(Silent)),
        Some(true) | None => Some(Box::new(Github)),
    }
}

impl Channel for Silent {
    fn letter(&self, _message: &Message, _pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        Ok(None)
    }
}

impl Channel for Github {
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        let mut runner = Runner { lines: annotations(message, pen.env), files: Vec::new() };
        if let Some(path) = pen.env.get("GITHUB_STEP_SUMMARY") {
            let path = PathBuf::from(path);
            let there = std::fs::metadata(&path).map_or(0, |meta| usize::try_from(meta.len()).unwrap_or(usize::MAX));
            let text = summary(message, pen, SUMMARY.saturating_sub(there));
            runner.files.push((path, text));
        }
        if let Some(path) = pen.env.get("GITHUB_OUTPUT") {
            runner.files.push((PathBuf::from(path), outputs(message)));
        }
        Ok(Some(Letter::Runner(runner)))
    }
}

fn annotations(message: &Message, env: &Env) -> Vec<String> {
    let mut lines = Vec::new();
    for (counts, word) in [(true, "error"), (false, "warning")] {
        let of = message.lines.iter().filter(|line| line.counts == counts);
        lines.extend(of.take(ANNOTATIONS).map(|line| annotation(word, line, env)));
    }
    lines.extend(message.told.waits.iter().take(ANNOTATIONS).map(|wait| {
        let file = workflow_property(&in_workspace(&message.told.path, env));
        format!("::notice file={file},title=Waiting::{}", workflow_data(&cut_bytes(wait, MESSAGE)))
    }));
    lines
}

fn annotation(word: &str, line: &Line, env: &Env) -> String {
    let (row, column) = line.place;
    let file = workflow_property(&in_workspace(&line.file, env));
    let title = workflow_property(&cut(&line.name, 250));
    let mut text = format!("{}: {}", line.outcome, cut_bytes(&line.reason, MESSAGE));
    if !line.runbook.is_empty() {
        text.push_str(&format!("\nrunbook: {}", line.runbook));
    }
    format!("::{word} file={file},line={row},col={column},title={title}::{}", workflow_data(&text))
}

/// Names a file as the runner knows it: from the root of the repository.
fn in_workspace(file: &str, env: &Env) -> String {
    let Some(workspace) = env.get("GITHUB_WORKSPACE") else { return file.to_owned() };
    let whole = std::env::current_dir().unwrap_or_default().join(file);
    let clean: PathBuf = whole.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect();
    match clean.strip_prefix(Path::new(workspace)) {
        Ok(inside) if clean.components().all(|part| part != std::path::Component::ParentDir) => {
            inside.display().to_string()
        }
        _ => file.to_owned(),
    }
}

/// Writes the sign-off document, as far as there is room.
fn summary(message: &Message, pen: &Pen<'_>, room: usize) -> String {
    let mut bytes = Vec::new();
    let format = find("markdown").zip(message.view.as_ref());
    let rendered = format.map(|(format, view)| (format.render)(view, &Options::default(), &mut bytes));
    let whole = match rendered {
        Some(Ok(())) => (pen.mask)(&String::from_utf8_lossy(&bytes)),
        Some(Err(_)) | None => message.plain(),
    };
    let whole = format!("{}\n", whole.trim_end());
    if whole.len() <= room {
        return whole;
    }
    let place = match message.told.report.as_str() {
        "" => format!("`holdpoint report {} --report markdown=FILE` writes the whole", message.told.id),
        report => format!("the whole report is {report}"),
    };
    let note = format!("\n\nThe summary of a step may have 1,024 KiB, so it ends here; {place}.\n");
    let Some(left) = room.checked_sub(note.len()) else { return String::new() };
    let end = (0..=left.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
    let end = whole[..end].rfind('\n').unwrap_or(0);
    format!("{}{note}", &whole[..end])
}

fn outputs(message: &Message) -> String {
    let told = &message.told;
    let failed: Vec<_> = message.lines.iter().filter(|line| line.counts).map(|line| line.id.as_str()).collect();
    // A value is one line: no name can bring another output along.
    let line = |text: &str| text.replace(['\r', '\n'], " ");
    format!("decision={}\nfailed={}\nreport={}\n", told.decision, line(&failed.join(",")), line(&told.report))
}
