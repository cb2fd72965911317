//! What a checklist says about a dashboard, checked.

use std::time::Duration;

use super::look::Grafana;
use crate::diag::Diagnostic;
use crate::probe::{Compiling, Probe, asked};
use crate::shape::{Object, Shape, field, required};
use crate::template::{Place, Template};
use crate::yaml::Node;

/// The form of the value under `grafana`.
pub(super) const SHAPE: Shape = Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]);

const OBJECT: Object = Object {
    name: "a dashboard",
    fields: &[
        required("dashboard", Shape::Template, "The uid of the dashboard: what follows `/d/` in its address."),
        field(
            "panels",
            Shape::OneOrMany(&Shape::Template),
            "The titles of the panels that without_query, without_data and errors are about; all when left out.",
        ),
        field(
            "vars",
            Shape::Map(&Shape::OneOrMany(&Shape::Template)),
            "Values of the dashboard's variables, instead of those stored with it; `All` for all.",
        ),
        field("last", Shape::Duration, "The time that is looked at, up to now; that of the dashboard when left out."),
        field(
            "tags",
            Shape::OneOrMany(&Shape::Template),
            "`markers` counts the annotations with all of these tags, on any dashboard, instead of those of this one.",
        ),
        field("source", Shape::Text, "The source to ask, when there are several."),
    ],
    open: false,
};

/// A dashboard as the checklist names it.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) dashboard: Template,
    /// The panels that the sets are about; nothing for all.
    pub(super) panels: Option<Vec<Template>>,
    pub(super) vars: Vec<(String, Vec<Template>)>,
    pub(super) last: Option<Duration>,
    pub(super) tags: Vec<Template>,
    /// The name of the source, and its URL for limits per host.
    pub(super) source: String,
    pub(super) url: Template,
}

/// Turns what was written into a probe.
pub(super) fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    // Everything is read before anything is given up, so that every mistake is said.
    let place = if node.text().is_some() { node } else { node.get("dashboard")? };
    let dashboard = uid(compiling, place);
    let panels = node.get("panels").map(|titles| each(compiling, titles));
    let vars = vars(compiling, node);
    let last = node.get("last").map(|last| length(compiling, last));
    let tags = node.get("tags").map_or(Some(Vec::new()), |tags| each(compiling, tags));
    let api = asked::api(compiling, node, "grafana", "dashboards");
    let (source, url) = api.map(|api| (api.name().to_owned(), api.url().clone()))?;
    let spec = Spec {
        dashboard: dashboard?,
        panels: optional(panels)?,
        vars: vars?,
        last: optional(last)?,
        tags: tags?,
        source,
        url,
    };
    Some(Box::new(Grafana::new(spec, compiling.wants.clone())))
}

/// Turns what may be missing and may be wrong round: nothing at all when a mistake was said.
fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

fn uid(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Template> {
    let template = compiling.reading.template(node, Place::Plain)?;
    let text = template.source().trim();
    if template.is_literal() && (text.is_empty() || text.contains(['/', ' ', '?'])) {
        let message = format!("{text:?} is not the uid of a dashboard");
        let help = "the uid is the part behind /d/ of the dashboard's address: grafana: app-health";
        compiling.reading.say(Diagnostic::error("bad-value", node.span, message).help(help));
        return None;
    }
    Some(template)
}

fn length(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Duration> {
    let length = compiling.reading.duration(node)?;
    if length < Duration::from_secs(1) {
        compiling.reading.say(Diagnostic::error("bad-value", node.span, "the time that is looked at is at least 1s"));
        return None;
    }
    Some(length)
}

/// Reads one text or several; nothing when a mistake was said of any.
fn each(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Vec<Template>> {
    let one = std::slice::from_ref(node);
    let nodes = node.list().unwrap_or(one);
    if nodes.is_empty() {
        compiling.reading.say(Diagnostic::error("bad-value", node.span, "the list is empty"));
        return None;
    }
    let read: Vec<_> = nodes.iter().map(|node| compiling.reading.template(node, Place::Plain)).collect();
    read.into_iter().collect()
}

fn vars(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Vec<(String, Vec<Template>)>> {
    let entries = node.get("vars").and_then(Node::map).unwrap_or_default();
    let read: Vec<_> = entries
        .iter()
        .map(|(name, values)| Some((name.text()?.trim_start_matches('$').to_owned(), each(compiling, values)?)))
        .collect();
    read.into_iter().collect()
}
