//! `requires`: earlier runs that must be there, as the first section of the plan, a barrier before all others.

use super::matrix::mentions_cells;
use crate::checklist::reading::Reading;
use crate::checklist::{Checklist, Section};
use crate::diag::{Diagnostic, Span};
use crate::model::outline::Part;
use crate::probe;
use crate::yaml::{Data, Node, Style};

/// The probe that looks for an earlier run.
const PROBE: &str = "run";

/// Makes the section of what is required; nothing when nothing is.
pub(super) fn section(checklist: &Checklist, reading: &mut Reading<'_>) -> Option<Section> {
    let (key, required) = checklist.node.entry("requires")?;
    let items: Vec<_> = required.list()?.iter().filter(|item| item.map().is_some()).collect();
    if items.is_empty() {
        let message = "no run is required here: an empty list would pass without having looked";
        reading.say(Diagnostic::error("empty-section", key.span, message).help("name a run, or remove the key"));
        return None;
    }
    if probe::find(PROBE).is_none() {
        let message = "\"requires\" is not available in this version of holdpoint";
        reading.say(Diagnostic::error("not-yet", key.span, message));
        return None;
    }
    if let Some(item) = items.iter().find(|item| mentions_cells(item)) {
        let message = "what is required is required of the whole run, before any cell";
        let help = "for a cell, write a step with the probe `run`";
        reading.say(Diagnostic::error("undefined-variable", item.span, message).help(help));
    }
    let node = map(
        key.span,
        [("name", "Earlier runs"), ("id", "earlier-runs"), ("stop_on_failure", "true")]
            .map(|(k, v)| (k, text(key.span, v))),
    );
    Some(Section { part: Part::Section, node, steps: items.into_iter().map(step).collect() })
}

/// Makes the step of one required run: all but its name is for the probe.
fn step(item: &Node) -> Node {
    let entries = item.map().unwrap_or_default();
    let (own, asked): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(|(key, _)| key.text() == Some("name"));
    let name = own.into_iter().next().map(|(_, name)| name);
    let name = name.unwrap_or_else(|| Node { data: text(item.span, &sentence(item)).data, span: place(item) });
    let asked = Node { span: item.span, data: Data::Map(asked) };
    map(item.span, [("name", name), (PROBE, asked)])
}

/// Words what is required: `A go of staging.yaml within 72h`.
fn sentence(item: &Node) -> String {
    let word = |key: &str| item.get(key).and_then(Node::text);
    let decision = word("decision").unwrap_or("go");
    let what = word("checklist").or(word("run")).or(word("record")).unwrap_or("a run");
    let mut words = match item.get("at_least").and_then(Node::text) {
        Some(count) => format!("{count} times {decision} of {what}"),
        None => format!("A {decision} of {what}"),
    };
    if let Some(within) = word("within") {
        words.push_str(&format!(" within {within}"));
    }
    words
}

fn place(item: &Node) -> Span {
    item.map().and_then(|entries| entries.first()).map_or(item.span, |(_, value)| value.span)
}

fn text(span: Span, text: &str) -> Node {
    Node { span, data: Data::Scalar { text: text.into(), style: Style::Plain } }
}

fn map<const N: usize>(span: Span, entries: [(&str, Node); N]) -> Node {
    Node { span, data: Data::Map(entries.into_iter().map(|(key, value)| (text(span, key), value)).collect()) }
}
