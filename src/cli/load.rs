//! From a path to a plan: the file read, its inputs filled, every mistake collected.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::checklist::inputs::{Given, Inputs};
use crate::checklist::uses::{Files, NoFiles};
use crate::checklist::{self, Checklist, inputs};
use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span, render};
use crate::model::outline::{InputShown, Part};
use crate::plan::{self, Plan, Selection};
use crate::run::Redactor;
use crate::sys::env::Env;
use crate::yaml;

use super::args::{InputArgs, SelectArgs};
use super::{Result, stdio};

/// A checklist that was loaded as far as its mistakes allow.
pub(crate) struct Loaded {
    pub sources: Arc<SourceMap>,
    pub diagnostics: Diagnostics,
    /// The plan, when there are no errors.
    pub plan: Option<Plan>,
    /// Masks the secrets among the inputs, in whatever is said of the checklist.
    pub redactor: Redactor,
}

impl Loaded {
    /// Renders what is wrong for people.
    pub(crate) fn complaints(&self) -> String {
        let text = render::render(&self.diagnostics, &self.sources, stdio::colour());
        self.redactor.text(&text).into_owned()
    }
}

/// What is asked of a load.
pub(crate) struct Ask<'a> {
    pub inputs: &'a InputArgs,
    pub select: &'a SelectArgs,
    pub env: &'a Env,
    /// Whether inputs without a value are errors: for what is about to run.
    pub complete: bool,
    /// Inputs of a run that goes on, as its record shows them; those given now stand for secrets alone.
    pub recorded: &'a [InputShown],
}

/// Loads a checklist from a file.
pub(crate) fn load(path: &Path, ask: &Ask<'_>) -> Result<Loaded> {
    let mut sources = SourceMap::new();
    let mut diagnostics = Diagnostics::new();
    let name = path.display().to_string();
    let (text, problem) = match read(path) {
        Ok(text) => (text, None),
        Err(problem) => (String::new(), Some(problem)),
    };
    let file = sources.add(name, text);
    if let Some((code, message)) = problem {
        diagnostics.push(Diagnostic::error(code, Span::new(file, 0, 0), message));
        return Ok(Loaded { sources: Arc::new(sources), diagnostics, plan: None, redactor: Redactor::new(&[]) });
    }
    load_from(sources, file, &Beside(path), diagnostics, ask)
}

/// The files beside a checklist.
struct Beside<'a>(&'a Path);

impl Files for Beside<'_> {
    fn read(&self, path: &str) -> std::result::Result<String, String> {
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let real =
            |path: &Path| path.canonicalize().map_err(|error| format!("cannot read the file: {}", cause(&error)));
        let (folder, file) = (real(folder)?, real(&folder.join(path))?);
        if !file.starts_with(&folder) {
            return Err("a link leads out of the folder of the checklist".to_owned());
        }
        // What is no file, such as a pipe, might never end.
        if !std::fs::metadata(&file).is_ok_and(|meta| meta.is_file()) {
            return Err("cannot read the file: it is none".to_owned());
        }
        read(&file).map_err(|(_, message)| message)
    }
}

/// Loads a checklist from a text that is at hand.
pub(crate) fn load_text(name: &str, text: &str, ask: &Ask<'_>) -> Result<Loaded> {
    let mut sources = SourceMap::new();
    let file = sources.add(name, text);
    load_from(sources, file, &NoFiles, Diagnostics::new(), ask)
}

fn load_from(
    mut sources: SourceMap,
    file: FileId,
    files: &dyn Files,
    mut diagnostics: Diagnostics,
    ask: &Ask<'_>,
) -> Result<Loaded> {
    let selection = Selection::new(&ask.select.only, &ask.select.skip).map_err(anyhow::Error::msg)?;
    let checklist = checklist::read_beside(&mut sources, file, files, &mut diagnostics);
    let mut given = given(ask.inputs, &mut sources, &mut diagnostics)?;
    recall(ask.recorded, &mut given)?;
    let mut plan = None;
    let mut redactor = Redactor::new(&[]);
    let sources = Arc::new(sources);
    if let Some(checklist) = checklist {
        let filled = fill(&checklist, &given, ask, &mut diagnostics);
        redactor = Redactor::new(&filled.secrets);
        plan = plan::build(checklist, filled, &selection, Arc::clone(&sources), &mut diagnostics);
    }
    diagnostics.sort();
    if let Some(plan) = plan.as_ref().filter(|_| !selection.is_everything()) {
        refuse_nothing(plan)?;
    }
    Ok(Loaded { sources, diagnostics, plan, redactor })
}

/// Refuses a selection that leaves no step of the checklist proper: it could never be a go.
fn refuse_nothing(plan: &Plan) -> Result<()> {
    let sections = plan.sections.iter().filter(|s| s.outline.part == Part::Section);
    let steps: Vec<_> = sections.flat_map(|s| &plan.steps[s.steps.clone()]).collect();
    if steps.iter().all(|step| !step.selected) {
        let ids: Vec<_> = steps.iter().take(12).map(|s| s.outline.id.as_str()).collect();
        anyhow::bail!("--only and --skip leave no step to run; the steps are {}", ids.join(", "));
    }
    Ok(())
}

fn fill(checklist: &Checklist, given: &Given, ask: &Ask<'_>, diagnostics: &mut Diagnostics) -> Inputs {
    let env = |name: &str| ask.env.get(name).map(str::to_owned);
    let root = checklist.node.entry("inputs").map_or(Span::new(checklist.file, 0, 0), |(key, _)| key.span);
    inputs::fill(&checklist.inputs, given, env, ask.complete, root, diagnostics)
}

fn given(args: &InputArgs, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Result<Given> {
    let mut set = IndexMap::new();
    for pair in &args.set {
        let Some((name, value)) = pair.split_once('=') else { anyhow::bail!("--set wants NAME=VALUE, not {pair:?}") };
        set.insert(name.trim().to_owned(), value.to_owned());
    }
    let mut files = IndexMap::new();
    for path in &args.files {
        read_inputs(path, sources, diagnostics, &mut files)?;
    }
    Ok(Given { set, files })
}

/// Adds the inputs of a run that goes on. A value that was recorded cannot be given anew: what was found stands on it.
fn recall(recorded: &[InputShown], given: &mut Given) -> Result<()> {
    for input in recorded.iter().filter(|input| !input.secret) {
        let again = given.set.contains_key(&input.name) || given.files.contains_key(&input.name);
        if again && input.value.is_some() {
            anyhow::bail!("input {} is kept from the beginning of the run; only secrets are given again", input.name);
        }
        if let Some(value) = &input.value {
            given.files.insert(input.name.clone(), (value.clone(), input.from.clone()));
        }
    }
    Ok(())
}

fn read_inputs(
    path: &Path,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
    into: &mut IndexMap<String, (serde_json::Value, String)>,
) -> Result<()> {
    let name = path.display().to_string();
    let text = read(path).map_err(|(_, message)| anyhow::anyhow!("--inputs {name}: {message}"))?;
    let file = sources.add(name.clone(), text);
    let Some(node) = yaml::parse(sources, file, diagnostics) else { return Ok(()) };
    let Some(entries) = node.map() else { anyhow::bail!("--inputs {name}: a map of names to values is wanted") };
    for (key, value) in entries {
        into.insert(key.text().unwrap_or_default().to_owned(), (value.json(), name.clone()));
    }
    Ok(())
}

/// Reads a text file, bounded: anything larger than a checklist may be is refused unread.
pub(super) fn read(path: &Path) -> std::result::Result<String, (&'static str, String)> {
    let unreadable = |cause: String| ("file-unreadable", format!("cannot read the file: {cause}"));
    let meta = std::fs::metadata(path).map_err(|e| unreadable(cause(&e)))?;
    if meta.is_dir() {
        return Err(unreadable("it is a folder".to_owned()));
    }
    if meta.len() > yaml::MAX_BYTES as u64 {
        let message = format!("the file has {} bytes; a checklist may have {}", meta.len(), yaml::MAX_BYTES);
        return Err(("file-too-large", message));
    }
    let file = std::fs::File::open(path).map_err(|e| unreadable(cause(&e)))?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, yaml::MAX_BYTES as u64 + 1), &mut bytes)
        .map_err(|e| unreadable(cause(&e)))?;
    String::from_utf8(bytes).map_err(|e| unreadable(format!("byte {} is not UTF-8", e.utf8_error().valid_up_to())))
}

fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
