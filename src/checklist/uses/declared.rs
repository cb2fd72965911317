//! One template as it is declared: its parameters and the steps that it stands for.

use std::collections::HashSet;

use super::fill::{self, Context, PARAMS};
use crate::checklist::form::template::TEMPLATE;
use crate::checklist::inputs::{self, InputDeclaration, PARAMETER};
use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};
use crate::model::id;
use crate::shape::{self, Shape};
use crate::template::bind::{self, Language};
use crate::template::{Expression, Place, TemplateError};
use crate::yaml::{Data, Node};

/// A template.
#[derive(Debug)]
pub struct Template {
    /// The name under which it is used: `github/workflow-run`.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// What it is for.
    pub help: Option<String>,
    /// How it is used: a step in YAML.
    pub example: Option<String>,
    /// What it takes.
    pub params: Vec<InputDeclaration>,
    /// The keys of the step; only `steps` for one of several.
    pub(super) body: Node,
}

/// Where a template stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// In the checklist that uses it: what is known there may be used in it.
    Checklist,
    /// In a file of its own or in the library: it knows its parameters alone.
    Elsewhere,
}

impl Template {
    /// Returns the steps of a template of several.
    pub fn steps(&self) -> Option<&[Node]> {
        self.body.get("steps").map(|steps| steps.list().unwrap_or_default())
    }
}

/// Reads a declaration. Nothing when its form is wrong, which is said.
pub(super) fn declare(
    prefix: &str,
    key: &Node,
    node: &Node,
    home: Home,
    sources: &SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<Template> {
    let name = key.text().unwrap_or_default();
    if name.is_empty() || id::kebab(name) != name {
        let message = format!("{name:?} is no name for a template; write {:?}", id::kebab(name));
        diagnostics.push(Diagnostic::error("bad-id", key.span, message));
    }
    if !shape::check(node, &Shape::Object(&TEMPLATE), diagnostics) {
        return None;
    }
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let params = inputs::declared(node.get("params"), &PARAMETER, diagnostics);
    let entries = node.map().unwrap_or_default().iter();
    let own = |key: &Node| matches!(key.text(), Some("help" | "example" | "params"));
    let body = entries.filter(|(key, _)| !own(key)).cloned().collect();
    let template = Template {
        name: format!("{prefix}{name}"),
        span: key.span,
        help: text("help"),
        example: text("example"),
        params,
        body: Node { span: node.span, data: Data::Map(body) },
    };
    check_body(&template, sources, diagnostics);
    check_parameters(&template, home, sources, diagnostics);
    Some(template)
}

fn check_body(template: &Template, sources: &SourceMap, diagnostics: &mut Diagnostics) {
    let entries = template.body.map().unwrap_or_default();
    if entries.is_empty() {
        let message = format!("the template {:?} has nothing in it", template.name);
        diagnostics
            .push(Diagnostic::error("empty-section", template.span, message).help("give it a probe, or `steps`"));
    }
    let Some((place, _)) = template.body.entry("steps") else { return };
    for (key, _) in entries.iter().filter(|(key, _)| key.text() != Some("steps")) {
        let message =
            format!("{:?} stands beside `steps`: the template is one step or several", sources.slice(key.span));
        let diagnostic = Diagnostic::error("unknown-key", key.span, message).also(place.span, "the steps");
        diagnostics.push(diagnostic.help("write it into each of the steps"));
    }
    let steps = template.steps().unwrap_or_default();
    if steps.is_empty() {
        let message = format!("the template {:?} has no steps", template.name);
        diagnostics.push(Diagnostic::error("empty-section", place.span, message));
    }
    for step in steps.iter().filter(|step| step.map().is_some() && step.get("id").is_none()) {
        let message = "a step among several of a template needs an id: it makes the ids of all its uses";
        diagnostics.push(Diagnostic::error("missing-key", crate::checklist::name_place(step), message));
    }
}

/// Says which parameters are used and not declared, or declared and not used, and what else is not known here.
fn check_parameters(template: &Template, home: Home, sources: &SourceMap, diagnostics: &mut Diagnostics) {
    let mut used = HashSet::new();
    let captured = captured_in(&template.body);
    fill::visit(&template.body, Context::Step, &mut |node, language| {
        let text = node.text().unwrap_or_default();
        match bind::uses(text, language, PARAMS) {
            Ok(uses) => {
                for one in uses {
                    if template.params.iter().all(|param| param.name != one.name) {
                        let names = template.params.iter().map(|param| param.name.as_str());
                        let message = format!("the template {:?} has no parameter {:?}", template.name, one.name);
                        let place = node.place_of(sources, one.range);
                        let diagnostic = Diagnostic::error("unknown-parameter", place, message).near(&one.name, names);
                        diagnostics.push(diagnostic.help(format!("declare it: `params: {{ {}: {{}} }}`", one.name)));
                    }
                    used.insert(one.name);
                }
            }
            Err(error) => say(node, "bad-template", &error, sources, diagnostics),
        }
        if home == Home::Elsewhere {
            refuse_foreign(node, language, &captured, sources, diagnostics);
        }
    });
    for param in template.params.iter().filter(|param| !used.contains(&param.name)) {
        let message = format!("parameter {:?} is declared and never used", param.name);
        diagnostics.push(Diagnostic::error("unused-parameter", param.span, message).help("use it, or remove it"));
    }
}

/// Refuses what a template outside of the checklist cannot know.
fn refuse_foreign(
    node: &Node,
    language: Language,
    captured: &HashSet<String>,
    sources: &SourceMap,
    diagnostics: &mut Diagnostics,
) {
    let text = node.text().unwrap_or_default();
    let references = match language {
        Language::Template => crate::template::Template::parse(text, Place::Plain).map(|t| t.references()),
        Language::Expression => Expression::parse(text).map(|e| e.references()),
    };
    // What cannot be read is said where the template is used.
    for reference in references.unwrap_or_default() {
        let foreign = match (reference.root.as_str(), &reference.name) {
            ("inputs" | "matrix", _) => true,
            ("captured", Some(name)) => !captured.contains(name),
            ("captured", None) => true,
            _ => false,
        };
        if foreign {
            let name = reference.name.map(|name| format!(".{name}")).unwrap_or_default();
            let root = reference.root;
            let message = format!("a template outside of the checklist knows its parameters alone, not {root}{name}");
            let at = text.find(&format!("{root}{name}")).map(|at| at..at + root.len() + name.len());
            let place = at.map_or(node.span, |range| node.place_of(sources, range));
            let diagnostic = Diagnostic::error("undefined-variable", place, message);
            diagnostics.push(diagnostic.help("declare a parameter, and pass the value with `with`"));
        }
    }
}

/// Lists the names that the steps of a template capture.
pub(super) fn captured_in(body: &Node) -> HashSet<String> {
    let steps = body.get("steps").and_then(Node::list).unwrap_or(std::slice::from_ref(body));
    let captures = steps.iter().filter_map(|step| step.get("capture")?.map()).flatten();
    captures.filter_map(|(key, _)| key.text().map(str::to_owned)).collect()
}

pub(super) fn say(
    node: &Node,
    code: &'static str,
    error: &TemplateError,
    sources: &SourceMap,
    diagnostics: &mut Diagnostics,
) {
    let place = error.range.clone().map_or(node.span, |range| node.place_of(sources, range));
    diagnostics.push(Diagnostic::error(code, place, error.message.clone()));
}
