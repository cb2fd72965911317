//! Names and ids of what is made, and the variables that it uses: each must be there.

use super::Need;
use super::builder::Builder;
use crate::checklist::Section;
use crate::checklist::name_place;
use crate::diag::{Diagnostic, Span};
use crate::model::outline::{Cell, Hold, Part, SectionOutline, Slot};
use crate::model::{SectionId, StepId, id};
use crate::probe::ProbeKind;
use crate::template::{Place, Reference, Template};
use crate::yaml::Node;

/// A name and the ids that it gives.
pub(super) struct Named {
    /// The name, inputs and values of cells filled in.
    pub name: String,
    /// The id as written, without its cells.
    pub base: String,
    /// The id: `base@us-east.10` in a cell.
    pub id: String,
}

impl Builder<'_, '_, '_> {
    pub(super) fn section_outline(&mut self, section: &Section) -> SectionOutline {
        let node = &section.node;
        let place = name_place(node);
        let fixed = match section.part {
            Part::Section => None,
            Part::Guard => Some(("Guards", "guards")),
            Part::OnGo => Some(("After a go", "on-go")),
            Part::OnNoGo => Some(("After a no-go", "on-no-go")),
            Part::Always => Some(("In any case", "always")),
        };
        let path = &self.spot.path;
        let named = match fixed {
            None => self.named(node),
            Some((name, id)) if path.is_empty() => {
                Named { name: name.to_owned(), base: id.to_owned(), id: id.to_owned() }
            }
            Some((name, id)) => {
                Named { name: format!("{name}: {path}"), base: id.to_owned(), id: format!("{id}@{path}") }
            }
        };
        let id = SectionId::new(named.id.as_str());
        let given = node.get("id").map_or(place, |id| id.span);
        if let Some(first) = self.section_ids.insert(id.clone(), given).filter(|_| !id.as_str().is_empty()) {
            self.say_duplicate("section", &named.base, given, first);
        }
        let cells: Vec<Cell> = self.spot.cells.iter().filter(|cell| !cell.id.is_empty()).cloned().collect();
        SectionOutline {
            id,
            name: named.name,
            description: node.get("description").and_then(|n| self.reading.shown_text(n)),
            part: section.part,
            at: (section.part == Part::Section && self.checklist.node.get("soak").is_some()).then(|| slot(node)),
            hold: self.hold(node),
            of: (!cells.is_empty()).then(|| SectionId::new(named.base)),
            cells,
            origin: self.reading.sources.origin(place),
        }
    }

    /// Reads a hold point; the roles that are to sign must be declared.
    fn hold(&mut self, node: &Node) -> Option<Hold> {
        let hold = node.get("hold")?;
        if let Some(wanted) = hold.bool() {
            return wanted.then(Hold::default);
        }
        let sign = hold.get("sign")?;
        let items = sign.list().unwrap_or(std::slice::from_ref(sign));
        if items.is_empty() {
            let message = "no role is to sign here";
            let help = "name the roles: `hold: { sign: [sre] }`, or write `hold: true` for a plain yes";
            self.reading.say(Diagnostic::error("bad-hold", sign.span, message).help(help));
        }
        items.iter().for_each(|role| self.known_role(role));
        Some(Hold { sign: items.iter().filter_map(Node::text).map(str::to_owned).collect() })
    }

    /// Says when a role is not declared.
    pub(super) fn known_role(&mut self, node: &Node) {
        let Some(role) = node.text().filter(|role| self.roles.iter().all(|known| known.role != *role)) else { return };
        let names = self.roles.iter().map(|known| known.role.as_str());
        let message = format!("no role {role:?} is declared under `signoff`");
        let help = format!("declare it: `signoff: {{ roles: [{{ role: {role} }}] }}`");
        self.reading.say(Diagnostic::error("unknown-role", node.span, message).near(role, names).help(help));
    }

    /// Returns name and id of a section or a step.
    pub(super) fn named(&mut self, node: &Node) -> Named {
        let name = node.get("name").and_then(|name| self.reading.shown_text(name)).unwrap_or_default();
        let path = &self.spot.path;
        let Some((text, given)) = node.get("id").and_then(|n| Some((n.text()?, n))) else {
            let base = self.base_of(node, &name);
            let id = if path.is_empty() { base.clone() } else { format!("{base}@{path}") };
            return Named { name, base, id };
        };
        let Some(filled) = filled(text, given, self) else {
            return Named { name, base: String::new(), id: String::new() };
        };
        if id::kebab(&filled) != filled {
            let message = format!("{filled:?} is not an id; write {:?}", id::kebab(&filled));
            self.reading.say(Diagnostic::error("bad-id", given.span, message));
        }
        // An id that is written with the values of its cell is one of its own in each.
        let own = text.contains("matrix.");
        let id = if path.is_empty() || own { filled.clone() } else { format!("{filled}@{path}") };
        Named { name, base: filled, id }
    }

    /// Makes the id that a name gives: without the values of cells, which stand behind it.
    fn base_of(&mut self, node: &Node, name: &str) -> String {
        let written = node.get("name").and_then(Node::text).filter(|text| text.contains("matrix."));
        let template = written.and_then(|text| Template::parse(text, Place::Plain).ok());
        let bare = template.and_then(|template| self.spot.without_cells(&template));
        let bare = bare.filter(|bare| !id::kebab(bare).is_empty());
        let shown = self.without_secrets(bare.as_deref().unwrap_or(name));
        let id = id::kebab(&shown);
        if id.is_empty() && !name.is_empty() {
            let message = format!("the name {shown:?} holds nothing to make an id of");
            let diagnostic = Diagnostic::error("bad-id", name_place(node), message);
            self.reading.say(diagnostic.help("use letters or digits, or give an `id`"));
        }
        id
    }

    /// Leaves out every secret: an id is shown in other letters than the name, where nobody would find it to mask it.
    fn without_secrets(&self, name: &str) -> String {
        let secrets = self.secrets.iter().map(|secret| secret.reveal().trim()).filter(|secret| !secret.is_empty());
        secrets.fold(name.to_owned(), |name, secret| name.replace(secret, " "))
    }

    pub(super) fn say_duplicate(&mut self, what: &str, id: &str, place: Span, first: Span) {
        self.reading.say(
            Diagnostic::error("duplicate-id", place, format!("two {what}s have the id {id:?}"))
                .also(first, "the first one")
                .help("give one of them another name, or an `id` of its own"),
        );
    }

    /// Reads the ids under `needs`.
    pub(super) fn needs_of(&mut self, node: &Node) -> Vec<(String, Span)> {
        let Some(needs) = node.get("needs") else { return Vec::new() };
        let items = needs.list().unwrap_or(std::slice::from_ref(needs));
        items.iter().filter_map(|item| Some((filled(item.text()?, item, self)?, item.span))).collect()
    }

    /// Checks the variables used since the last call, and returns the captured ones. `measures` names roots that are
    /// measures here.
    pub(super) fn settle_references(&mut self, measures: Option<&ProbeKind>) -> Vec<(String, Span)> {
        let mut captured = Vec::new();
        for (reference, span) in std::mem::take(&mut self.reading.references) {
            let Reference { root, name } = reference;
            let measured = |kind: &ProbeKind| kind.measures.iter().any(|m| m.name.split('.').next() == Some(&root));
            match (root.as_str(), name) {
                ("inputs", Some(name)) => self.use_input(name, span),
                ("matrix", Some(name)) => self.use_axis(name, span),
                ("captured", Some(name)) if self.captures.contains(&name) => captured.push((name, span)),
                ("captured", Some(name)) => {
                    let message = format!("no step captures {name:?}");
                    let names: Vec<_> = self.captures.iter().map(String::as_str).collect();
                    self.reading.say(Diagnostic::error("undefined-variable", span, message).near(&name, names));
                }
                ("inputs" | "captured" | "matrix", None) => {
                    let message = format!("{root} is used as a whole or with brackets; write {root}.NAME");
                    let help = "what is used must be known by name before the run: it decides what waits for what";
                    self.reading.say(Diagnostic::error("undefined-variable", span, message).help(help));
                }
                _ if measures.is_some_and(measured) => {}
                // What a request sends may depend on the time of the look.
                ("now", None) if measures.is_some_and(|kind| kind.name == "http") => {}
                _ => {
                    let diagnostic = Diagnostic::error("undefined-variable", span, format!("{root:?} is not defined"));
                    let help = "templates may use inputs.NAME, captured.NAME and, in a matrix, matrix.NAME";
                    self.reading.say(diagnostic.near(&root, ["inputs", "captured", "matrix"]).help(help));
                }
            }
        }
        captured
    }

    fn use_input(&mut self, name: String, span: Span) {
        if !self.declared.contains(name.as_str()) {
            let names = self.checklist.inputs.iter().map(|input| input.name.as_str());
            let message = format!("no input {name:?} is declared");
            let diagnostic = Diagnostic::error("undefined-variable", span, message).near(&name, names);
            self.reading.say(diagnostic.help(format!("declare it: `inputs: {{ {name}: {{}} }}`")));
        }
        self.used_inputs.insert(name);
    }

    fn use_axis(&mut self, name: String, span: Span) {
        if let Some(at) = self.matrices.giving(self.at, &name).filter(|_| !self.spot.cells.is_empty()) {
            // One that hides another of the same name is said; that the other is not used then is no second mistake.
            self.used_axes.extend([(at, name.clone()), (None, name)]);
            return;
        }
        let known: Vec<_> = self.spot.values.keys().map(String::as_str).collect();
        let (message, help) = match known.is_empty() {
            true => (
                format!("matrix.{name} has no value outside of a matrix"),
                "give the checklist or the section a `matrix`".to_owned(),
            ),
            false => (format!("the matrix gives no {name:?}"), format!("it gives {}", known.join(", "))),
        };
        self.reading.say(Diagnostic::error("undefined-variable", span, message).near(&name, known).help(help));
    }
}

impl Need {
    /// Makes a need that is met by steps at known positions.
    pub(super) fn of(id: impl Into<String>, steps: std::ops::Range<usize>) -> Self {
        Self { id: id.into(), steps }
    }
}

/// Tells when a section of a soak is looked at.
pub(super) fn slot(section: &Node) -> Slot {
    match section.get("at").and_then(Node::text) {
        Some("checkpoint") => Slot::Checkpoint,
        Some("end") => Slot::End,
        Some(_) | None => Slot::Start,
    }
}

/// Fills in the templates of an id. Most have none.
fn filled(text: &str, node: &Node, builder: &mut Builder<'_, '_, '_>) -> Option<String> {
    match text.contains("{{") {
        true => builder.reading.known_text(node),
        false => Some(text.to_owned()),
    }
}

/// Returns the id of a step without its cells.
pub(super) fn base(id: &StepId) -> &str {
    id.as_str().split_once('@').map_or(id.as_str(), |(base, _)| base)
}
