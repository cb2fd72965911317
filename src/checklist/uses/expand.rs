//! Every `uses` in a checklist, replaced by the steps that it stands for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::declared::{self, Template};
use super::fill::{Context, Filling, Given, PARAMS};
use super::{Used, arguments, library};
use crate::checklist::form::STEP;
use crate::checklist::{REFUSED, digest};
use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, did_you_mean};
use crate::model::id;
use crate::model::outline::FilePart;
use crate::template::bind::Bound;
use crate::yaml::{self, Data, Node, Style};

/// How deep templates may use templates.
const DEEPEST: usize = 16;
/// How often templates may be used in one checklist, by templates too.
const MOST_USES: usize = 2_000;

/// Keys that one use gives to each of several steps.
const FOR_ALL: &[&str] = &[
    "required",
    "trial",
    "timeout",
    "retry",
    "source",
    "on_no_data",
    "why",
    "runbook",
    "owner",
    "contact",
    "tags",
    "priority",
    "evidence",
];

pub(super) struct Expander<'a> {
    sources: &'a mut SourceMap,
    diagnostics: &'a mut Diagnostics,
    templates: HashMap<String, Arc<Template>>,
    named: Vec<(crate::diag::Span, Vec<String>)>,
    used: Used,
    /// The files of the library that were read.
    groups: HashSet<&'static str>,
    /// The names of templates that were used.
    names: HashSet<String>,
    uses: usize,
    nodes_left: usize,
}

impl<'a> Expander<'a> {
    pub(super) fn new(
        sources: &'a mut SourceMap,
        diagnostics: &'a mut Diagnostics,
        known: super::files::Known,
    ) -> Self {
        Self {
            sources,
            diagnostics,
            templates: known.templates,
            named: known.named,
            used: known.used,
            groups: HashSet::new(),
            names: HashSet::new(),
            uses: 0,
            nodes_left: yaml::MAX_NODES,
        }
    }

    /// Goes through all steps of a checklist.
    pub(super) fn everywhere(&mut self, checklist: &mut Node) {
        let Data::Map(entries) = &mut checklist.data else { return };
        for (key, value) in entries {
            match key.text() {
                Some("sections") => {
                    let Data::List(sections) = &mut value.data else { continue };
                    sections.iter_mut().for_each(|section| self.under(section, "steps", &[]));
                }
                Some("guards" | "on_go" | "on_no_go" | "always") => self.list(value, &[]),
                Some(_) | None => {}
            }
        }
    }

    /// Says which templates nobody uses, and returns what came of the others.
    pub(super) fn done(self) -> Used {
        for (place, names) in &self.named {
            if names.iter().any(|name| self.names.contains(name)) {
                continue;
            }
            let message = match &names[..] {
                [name] => format!("the template {name:?} is never used"),
                _ => "no template of this file is used".to_owned(),
            };
            let diagnostic = Diagnostic::error("unused-template", *place, message);
            self.diagnostics.push(diagnostic.help("use it in a step, `uses: NAME`, or remove it"));
        }
        self.used
    }

    fn under(&mut self, node: &mut Node, key: &str, trail: &[String]) {
        let Data::Map(entries) = &mut node.data else { return };
        if let Some((_, steps)) = entries.iter_mut().find(|(k, _)| k.text() == Some(key)) {
            self.list(steps, trail);
        }
    }

    fn list(&mut self, steps: &mut Node, trail: &[String]) {
        let Data::List(items) = &mut steps.data else { return };
        *items = std::mem::take(items).into_iter().flat_map(|step| self.step(step, trail)).collect();
    }

    fn step(&mut self, mut step: Node, trail: &[String]) -> Vec<Node> {
        ["then", "fallback"].into_iter().for_each(|key| self.under(&mut step, key, trail));
        let Some((key, value)) = step.entry("uses") else {
            if let Some((with, _)) = step.entry("with") {
                let message = "`with` passes values to a template, and the step uses none";
                let diagnostic = Diagnostic::error("unused-key", with.span, message);
                self.diagnostics.push(diagnostic.help("name the template: `uses: NAME`, or remove it"));
            }
            return vec![step];
        };
        let Some(name) = value.text().map(str::to_owned) else {
            let message = format!("expected the name of a template, found {}", value.form());
            self.diagnostics.push(Diagnostic::error("wrong-type", value.span, message));
            return vec![refused(step)];
        };
        let (key, value) = (key.clone(), value.clone());
        let Some(template) = self.template(&name, &value) else { return vec![refused(step)] };
        self.names.insert(name.clone());
        if !self.within_bounds(&name, &key, trail) {
            return vec![refused(step)];
        }
        let with = step.get("with").filter(|with| !with.is_null());
        if let Some(with) = with.filter(|with| with.map().is_none()) {
            let message = format!("expected a map of values by parameter, found {}", with.form());
            self.diagnostics.push(Diagnostic::error("wrong-type", with.span, message));
            return vec![refused(step)];
        }
        let given = arguments::read(&template, value.span, with, self.sources, &mut self.used, self.diagnostics);
        let Some(given) = given else { return vec![refused(step)] };
        let site = if trail.is_empty() { key.span } else { value.span };
        let file = self.sources.add_use(template.span.file, name.as_str(), site);
        let Some(body) = self.filled(&template.body, file, PARAMS, &given) else { return vec![refused(step)] };
        let trail = [trail, &[name]].concat();
        let made = match template.steps() {
            None => vec![self.merged(body, &step)],
            Some(_) => self.several(&template, body, &step, &key),
        };
        made.into_iter().flat_map(|step| self.step(step, &trail)).collect()
    }

    /// Finds a template: one of the checklist, or one of the library.
    fn template(&mut self, name: &str, place: &Node) -> Option<Arc<Template>> {
        if let Some(group) = library::find(name).filter(|group| self.groups.insert(group.name)) {
            let (_, templates) = library::read(group, self.sources, self.diagnostics);
            self.used.parts.push(FilePart { path: group.file.to_owned(), digest: digest(group.text.as_bytes()) });
            self.templates.extend(templates.into_iter().map(|one| (one.name.clone(), Arc::new(one))));
        }
        if let Some(template) = self.templates.get(name) {
            return Some(Arc::clone(template));
        }
        let library = library::all();
        let own = self.templates.keys().map(String::as_str);
        let names: Vec<&str> = own.chain(library.iter().map(|one| one.name.as_str())).collect();
        let diagnostic = Diagnostic::error("unknown-template", place.span, format!("there is no template {name:?}"));
        self.diagnostics.push(match did_you_mean(name, names.iter().copied()) {
            Some(_) => diagnostic.near(name, names),
            None => diagnostic.help("declare it under `templates`; `holdpoint explain` lists those of the library"),
        });
        None
    }

    /// Refuses what goes round in a circle, or makes more than anybody reads.
    fn within_bounds(&mut self, name: &str, key: &Node, trail: &[String]) -> bool {
        self.uses += 1;
        let message = if trail.iter().any(|outer| outer == name) {
            let circle: Vec<_> = trail.iter().map(String::as_str).chain([name]).collect();
            format!("templates use each other in a circle: {}", circle.join(" → "))
        } else if trail.len() >= DEEPEST {
            format!("templates use each other more than {DEEPEST} deep")
        } else if self.uses > MOST_USES {
            format!("templates are used more than {MOST_USES} times")
        } else {
            return true;
        };
        // Once there are too many, one word is enough.
        if self.uses <= MOST_USES + 1 {
            self.diagnostics.push(Diagnostic::error("template-bounds", key.span, message));
        }
        false
    }

    /// Copies the body of a template with values put in.
    fn filled(&mut self, body: &Node, file: FileId, root: &str, given: &HashMap<String, Given>) -> Option<Node> {
        let mut filling = Filling { root, find: &|name| given.get(name), file, left: self.nodes_left };
        let copy = filling.copy(body, Context::Step);
        self.nodes_left = filling.left;
        match copy {
            Ok(copy) => copy,
            Err(error) => {
                // What a text of the template has wrong is said where it is declared.
                if error.range.is_none() {
                    let place = crate::diag::Span { file, ..body.span };
                    self.diagnostics.push(Diagnostic::error("template-bounds", place, error.message));
                }
                None
            }
        }
    }

    /// Lays what stands beside `uses` over the one step of a template.
    fn merged(&self, body: Node, step: &Node) -> Node {
        let Data::Map(own) = body.data else { return body };
        let beside = beside(step);
        let overridden = |key: &Node| beside.iter().any(|(other, _)| other.text() == key.text());
        let rest: Vec<_> = own.into_iter().filter(|(key, _)| !overridden(key)).collect();
        Node { span: step.span, data: Data::Map(rest.into_iter().chain(beside).collect()) }
    }

    /// Makes the steps of a template of several: their ids begin with that of the use.
    fn several(&mut self, template: &Template, body: Node, step: &Node, place: &Node) -> Vec<Node> {
        let beside = beside(step);
        let get = |key: &str| beside.iter().find(|(k, _)| k.text() == Some(key)).map(|(_, value)| value);
        let name = get("name").cloned();
        let last = template.name.rsplit('/').next().unwrap_or_default();
        let prefix = match (get("id").and_then(Node::text), name.as_ref().and_then(Node::text)) {
            (Some(id), _) => id.to_owned(),
            (None, Some(name)) if !name.contains("{{") => id::kebab(name),
            (None, _) => last.to_owned(),
        };
        for (key, _) in &beside {
            let known = matches!(key.text(), Some("name" | "id" | "when" | "needs")) || key.text() == Some(REFUSED);
            let word = key.text().unwrap_or_default();
            if !known && !FOR_ALL.contains(&word) {
                let message = format!("{word:?} belongs to one step, and the template {:?} has several", template.name);
                let diagnostic = Diagnostic::error("unused-key", key.span, message).also(place.span, "its use");
                self.diagnostics.push(diagnostic.help("leave it out, or use a template of one step"));
            }
        }
        let Some(body) = self.renamed(body, &prefix) else { return vec![refused(step.clone())] };
        let ids: HashSet<String> = steps(&body).filter_map(|step| Some(step.get("id")?.text()?.to_owned())).collect();
        let outer = Outer { prefix: &prefix, name: name.as_ref(), ids: &ids, beside: &beside, span: step.span };
        steps(&body).map(|step| outer.around(step)).collect()
    }

    /// Gives the captured values of a template of several steps names of their own in each use.
    fn renamed(&mut self, body: Node, prefix: &str) -> Option<Node> {
        let captured = declared::captured_in(&body);
        if captured.is_empty() {
            return Some(body);
        }
        let own = |name: &str| format!("{}_{name}", prefix.replace('-', "_"));
        let given = captured.iter().map(|name| {
            let bound = Bound::Expression(format!("captured.{}", own(name)));
            (name.clone(), Given { bound, items: None, plain: false })
        });
        let mut body = self.filled(&body, body.span.file, "captured", &given.collect())?;
        let Data::Map(entries) = &mut body.data else { return Some(body) };
        let steps = entries.iter_mut().filter_map(|(_, value)| match &mut value.data {
            Data::List(items) => Some(items),
            Data::Scalar { .. } | Data::Map(_) => None,
        });
        let keys = steps.flatten().filter_map(|step| match &mut step.data {
            Data::Map(entries) => entries.iter_mut().find(|(key, _)| key.text() == Some("capture")),
            Data::Scalar { .. } | Data::List(_) => None,
        });
        for (_, captures) in keys {
            let Data::Map(entries) = &mut captures.data else { continue };
            for (key, _) in entries {
                let name = own(key.text().unwrap_or_default());
                key.data = Data::Scalar { text: name.into(), style: Style::Quoted };
            }
        }
        Some(body)
    }
}

/// What a use of several steps puts around each of them.
struct Outer<'a> {
    prefix: &'a str,
    name: Option<&'a Node>,
    ids: &'a HashSet<String>,
    beside: &'a [(Node, Node)],
    span: crate::diag::Span,
}

impl Outer<'_> {
    fn around(&self, step: &Node) -> Node {
        let get = |key: &str| self.beside.iter().find(|(k, _)| k.text() == Some(key));
        let mut all = Vec::new();
        for (key, value) in step.map().unwrap_or_default() {
            let word = key.text().unwrap_or_default();
            let value = match word {
                "name" => self.named(value),
                "id" => text_like(value, format!("{}-{}", self.prefix, value.text().unwrap_or_default())),
                "needs" => self.needs(value),
                "baseline" => self.baseline(value),
                "when" => match get("when") {
                    Some((_, outer)) => text_like(outer, both(outer, value)),
                    None => value.clone(),
                },
                _ => value.clone(),
            };
            all.push((key.clone(), value));
        }
        for (key, value) in self.beside {
            let word = key.text().unwrap_or_default();
            let there = all.iter_mut().find(|(k, _)| k.text() == Some(word));
            match (word, there) {
                ("name" | "id" | "when", Some(_)) | ("name" | "id", None) => {}
                ("needs", Some((_, own))) => {
                    let items = |node: &Node| node.list().map_or_else(|| vec![node.clone()], <[Node]>::to_vec);
                    let joined = items(own).into_iter().chain(items(value)).collect();
                    own.data = Data::List(joined);
                }
                (word, Some((_, own))) if FOR_ALL.contains(&word) => *own = value.clone(),
                (word, None) if FOR_ALL.contains(&word) || matches!(word, "when" | "needs") || word == REFUSED => {
                    all.push((key.clone(), value.clone()));
                }
                (_, _) => {}
            }
        }
        Node { span: self.span, data: Data::Map(all) }
    }

    fn named(&self, own: &Node) -> Node {
        match self.name.and_then(Node::text) {
            Some(outer) => text_like(own, format!("{outer}: {}", own.text().unwrap_or_default())),
            None => own.clone(),
        }
    }

    fn needs(&self, node: &Node) -> Node {
        let one = |item: &Node| match item.text().filter(|id| self.ids.contains(*id)) {
            Some(id) => text_like(item, format!("{}-{id}", self.prefix)),
            None => item.clone(),
        };
        match &node.data {
            Data::List(items) => Node { span: node.span, data: Data::List(items.iter().map(one).collect()) },
            Data::Scalar { .. } | Data::Map(_) => one(node),
        }
    }

    fn baseline(&self, node: &Node) -> Node {
        let Data::Map(entries) = &node.data else { return node.clone() };
        let entries = entries.iter().map(|(key, value)| match key.text() {
            Some("step") => (key.clone(), self.needs(value)),
            _ => (key.clone(), value.clone()),
        });
        Node { span: node.span, data: Data::Map(entries.collect()) }
    }
}

/// Returns what stands beside `uses`.
fn beside(step: &Node) -> Vec<(Node, Node)> {
    let entries = step.map().unwrap_or_default().iter();
    entries.filter(|(key, _)| !matches!(key.text(), Some("uses" | "with"))).cloned().collect()
}

fn both(outer: &Node, own: &Node) -> String {
    format!("({}) and ({})", outer.text().unwrap_or_default(), own.text().unwrap_or_default())
}

fn steps(body: &Node) -> impl Iterator<Item = &Node> {
    body.get("steps").and_then(Node::list).unwrap_or_default().iter()
}

/// Puts another text where one stood.
fn text_like(node: &Node, text: String) -> Node {
    Node { span: node.span, data: Data::Scalar { text: text.into(), style: Style::Quoted } }
}

/// Keeps the place of a step whose template cannot be used, so that it is not blamed for anything else.
fn refused(mut step: Node) -> Node {
    let Data::Map(entries) = &mut step.data else { return step };
    let known = |key: &Node| STEP.fields.iter().any(|field| key.text() == Some(field.key));
    let uses = entries.iter().find(|(key, _)| key.text() == Some("uses")).cloned();
    entries.retain(|(key, _)| known(key) && !matches!(key.text(), Some("uses" | "with")));
    let Some((key, value)) = uses else { return step };
    if entries.iter().all(|(key, _)| key.text() != Some("name")) {
        let name = Data::Scalar { text: "name".into(), style: Style::Plain };
        entries
            .push((Node { span: key.span, data: name }, text_like(&value, value.text().unwrap_or("step").to_owned())));
    }
    let mark = Data::Scalar { text: REFUSED.into(), style: Style::Plain };
    entries.push((Node { span: key.span, data: mark }, Node { span: key.span, data: Data::List(Vec::new()) }));
    step
}
