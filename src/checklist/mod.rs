//! Text → tree: the checklist as written, every leaf with its place.
//!
//! [`form`] declares the keys, [`inputs`] the variables, [`reading`] turns single values into templates and the like,
//! [`uses`] makes steps of step templates. What a probe or a comparator means is not known here; the plan knows.

pub mod form;
pub mod inputs;
pub mod reading;
pub mod uses;

use sha2::{Digest, Sha256};

use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span};
use crate::model::outline::{FilePart, Part};
use crate::shape::{self, Shape};
use crate::yaml::{self, Data, Node};

use form::{CHECKLIST, Level, NOT_YET};
use inputs::InputDeclaration;
use uses::{Argument, Files, NoFiles};

/// A checklist as written.
#[derive(Debug)]
pub struct Checklist {
    /// The file.
    pub file: FileId,
    /// The SHA-256 of its bytes, in hexadecimal; of the list of its parts when there are any.
    pub digest: String,
    /// Itself and the files of its templates; empty when it has none from elsewhere.
    pub parts: Vec<FilePart>,
    /// What is passed to templates and can be checked only with the inputs.
    pub arguments: Vec<Argument>,
    /// The whole tree but for the sections and actions, which are taken out of it.
    pub node: Node,
    /// The declared variables.
    pub inputs: Vec<InputDeclaration>,
    /// The sections and the actions, in the order of running.
    pub sections: Vec<Section>,
}

/// A section as written; each list of actions is one too.
#[derive(Debug)]
pub struct Section {
    /// The part of the checklist that it stands in.
    pub part: Part,
    /// The section without its steps; the key itself for a list of actions.
    pub node: Node,
    /// The steps, each a map.
    pub steps: Vec<Node>,
}

/// Reads a checklist that lies nowhere: it has no files of templates. See [`read_beside`].
pub fn read(sources: &mut SourceMap, file: FileId, diagnostics: &mut Diagnostics) -> Option<Checklist> {
    read_beside(sources, file, &NoFiles, diagnostics)
}

/// Reads a checklist. Every mistake is said; the tree is returned when there is one to go on with. The files of its
/// templates are opened by `files`.
pub fn read_beside(
    sources: &mut SourceMap,
    file: FileId,
    files: &dyn Files,
    diagnostics: &mut Diagnostics,
) -> Option<Checklist> {
    let digest = digest(sources.text(file).as_bytes());
    let Some(mut node) = yaml::parse(sources, file, diagnostics) else {
        if !diagnostics.has_errors() {
            let message = "a checklist is a map that begins with `holdpoint: 1`, this file is empty";
            diagnostics.push(Diagnostic::error("wrong-type", Span::new(file, 0, 0), message));
        }
        return None;
    };
    if node.map().is_none() {
        let what = if node.is_null() { "nothing".to_owned() } else { node.form().to_owned() };
        let message = format!("a checklist is a map that begins with `holdpoint: 1`, this is {what}");
        diagnostics.push(Diagnostic::error("wrong-type", node.span, message));
        return None;
    }
    check_version(&mut node, diagnostics)?;
    let uses::Used { parts, arguments } = uses::expand(&mut node, sources, files, diagnostics);
    refuse_not_yet(&mut node, diagnostics);
    shape::check(&node, &Shape::Object(&CHECKLIST), diagnostics);
    let sections = take_sections(&mut node, diagnostics);
    let inputs = inputs::declarations(node.get("inputs"), diagnostics);
    diagnostics.anchor(sources);
    let (digest, parts) = of_parts(sources.name(file), digest, parts);
    Some(Checklist { file, digest, parts, arguments, node, inputs, sections })
}

/// Returns the digest that stands for a checklist and its parts: its own when there are none.
fn of_parts(name: &str, own: String, parts: Vec<FilePart>) -> (String, Vec<FilePart>) {
    if parts.is_empty() {
        return (own, parts);
    }
    let itself = FilePart { path: name.rsplit('/').next().unwrap_or(name).to_owned(), digest: own };
    let all: Vec<_> = [itself].into_iter().chain(parts).collect();
    let list: String = all.iter().map(|part| format!("{}  {}\n", part.digest, part.path)).collect();
    (digest(list.as_bytes()), all)
}

/// Computes the SHA-256 of bytes, in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says what is wrong with the version. One that is missing or no number is taken for 1, so that it is said once.
fn check_version(node: &mut Node, diagnostics: &mut Diagnostics) -> Option<()> {
    let one = Data::Scalar { text: "1".into(), style: yaml::Style::Plain };
    let whole = node.span;
    let Data::Map(entries) = &mut node.data else { return None };
    let Some((_, version)) = entries.iter_mut().find(|(key, _)| key.text() == Some("holdpoint")) else {
        let span = entries.first().map_or(whole, |(key, _)| key.span);
        diagnostics.push(
            Diagnostic::error("language-version", span, "the language version is missing")
                .help("begin the file with `holdpoint: 1`"),
        );
        let key = Data::Scalar { text: "holdpoint".into(), style: yaml::Style::Plain };
        entries.push((Node { span, data: key }, Node { span, data: one }));
        return Some(());
    };
    match version.number() {
        Some(1.0) => Some(()),
        Some(number) if number > 1.0 => {
            let message = format!("language version {number} is not known to this holdpoint, which knows 1");
            let help = "use a newer holdpoint, or write `holdpoint: 1`";
            diagnostics.push(Diagnostic::error("language-version", version.span, message).help(help));
            None
        }
        _ => {
            let message = "the language version is the number 1";
            diagnostics.push(Diagnostic::error("language-version", version.span, message).help("write `holdpoint: 1`"));
            version.data = one;
            Some(())
        }
    }
}

/// Takes out the keys that belong to the language but not to this version, and says each.
fn refuse_not_yet(node: &mut Node, diagnostics: &mut Diagnostics) {
    refuse_keys(node, Level::Top, diagnostics);
    let Data::Map(entries) = &mut node.data else { return };
    for (key, value) in entries {
        let Data::List(items) = &mut value.data else { continue };
        match key.text() {
            Some("sections") => items.iter_mut().for_each(|section| refuse_in_steps(section, "steps", diagnostics)),
            Some("guards" | "on_go" | "on_no_go" | "always") => {
                items.iter_mut().for_each(|step| refuse_in_step(step, diagnostics));
            }
            Some(_) | None => {}
        }
    }
}

fn refuse_in_step(step: &mut Node, diagnostics: &mut Diagnostics) {
    refuse_keys(step, Level::Step, diagnostics);
    refuse_in_steps(step, "then", diagnostics);
    refuse_in_steps(step, "fallback", diagnostics);
}

fn refuse_in_steps(node: &mut Node, under: &str, diagnostics: &mut Diagnostics) {
    let Data::Map(entries) = &mut node.data else { return };
    let steps = entries.iter_mut().find(|(key, _)| key.text() == Some(under)).map(|(_, value)| &mut value.data);
    let Some(Data::List(steps)) = steps else { return };
    steps.iter_mut().for_each(|step| refuse_in_step(step, diagnostics));
}

fn refuse_keys(node: &mut Node, level: Level, diagnostics: &mut Diagnostics) {
    let Data::Map(entries) = &mut node.data else { return };
    let refused = |key: &Node| key.text().is_some_and(|name| NOT_YET.contains(&(level, name)));
    for (key, _) in entries.iter().filter(|(key, _)| refused(key)) {
        let message = format!("{:?} is not available in this version of holdpoint", key.text().unwrap_or_default());
        diagnostics.push(
            Diagnostic::error("not-yet", key.span, message)
                .help("it is refused rather than ignored, because an ignored check is a false green"),
        );
    }
    // The place of a refused probe is kept by its key, so that the step is not blamed for having none.
    for (key, value) in entries.iter_mut().filter(|(key, _)| refused(key)) {
        *value = Node { span: key.span, data: Data::List(Vec::new()) };
        if let Data::Scalar { text, .. } = &mut key.data {
            *text = REFUSED.into();
        }
    }
    if level != Level::Step {
        entries.retain(|(key, _)| key.text() != Some(REFUSED));
    }
}

/// The key that stands in a step for one that was refused already.
pub const REFUSED: &str = "(refused)";

fn take_sections(node: &mut Node, diagnostics: &mut Diagnostics) -> Vec<Section> {
    let Data::Map(entries) = &mut node.data else { return Vec::new() };
    let mut sections = Vec::new();
    for (key, value) in entries.iter_mut() {
        let part = match key.text() {
            Some("sections") => Part::Section,
            Some("guards") => Part::Guard,
            Some("on_go") => Part::OnGo,
            Some("on_no_go") => Part::OnNoGo,
            Some("always") => Part::Always,
            _ => continue,
        };
        let Data::List(items) = std::mem::replace(&mut value.data, Data::List(Vec::new())) else { continue };
        if items.is_empty() && part == Part::Section {
            diagnostics.push(Diagnostic::error("no-sections", key.span, "the checklist has no sections"));
        }
        if part == Part::Section {
            sections.extend(items.into_iter().filter_map(|item| section(item, diagnostics)));
        } else if !items.is_empty() {
            sections.push(Section { part, node: key.clone(), steps: maps(items) });
        }
    }
    // Actions come after the sections, in a fixed order, wherever they are written.
    sections.sort_by_key(|section| match section.part {
        Part::Guard => 0,
        Part::Section => 1,
        Part::OnGo => 2,
        Part::OnNoGo => 3,
        Part::Always => 4,
    });
    sections
}

fn section(mut node: Node, diagnostics: &mut Diagnostics) -> Option<Section> {
    let place = name_place(&node);
    let Data::Map(entries) = &mut node.data else { return None };
    let steps = entries.iter_mut().find(|(key, _)| key.text() == Some("steps"));
    let taken = steps.map(|(_, value)| std::mem::replace(&mut value.data, Data::List(Vec::new())));
    let steps = match taken {
        Some(Data::List(items)) => {
            if items.is_empty() {
                diagnostics.push(
                    Diagnostic::error("empty-section", place, "the section has no steps")
                        .help("add a step or remove the section: without steps it would pass without having looked"),
                );
            }
            maps(items)
        }
        _ => Vec::new(),
    };
    Some(Section { part: Part::Section, node, steps })
}

fn maps(items: Vec<Node>) -> Vec<Node> {
    items.into_iter().filter(|item| item.map().is_some()).collect()
}

/// Returns the place of a section's or step's name, or of the whole when it has none.
pub fn name_place(node: &Node) -> Span {
    node.get("name")
        .map_or_else(|| node.map().and_then(|m| m.first()).map_or(node.span, |(key, _)| key.span), |name| name.span)
}
