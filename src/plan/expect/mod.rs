//! What stands under `expect` and `warn` → an [`Expectation`], checked against the measures of the probe's kind.
//!
//! The forms:
//! - A single value judges the primary measure, a map the measures that it names, a list holds all of its members.
//!   A list of plain values for the primary measure (`[200, 204]`) is one of them, as no value can equal two.
//! - Under a number or text a list is one of its members; under JSON and sets it is the list itself.
//! - `exists`, `absent`, `empty`, `all`, `none` and `any` are matchers, quoted or not; `equals: exists` is the word.
//! - A plain number under JSON is a number and a quoted one is text. A whole `{{ … }}` has the type of its value.
//! - A text that is the operand of `==` or `!=` may be compared too; `< > <= >=` take quantities alone.
//! - A dotted measure may be nested: `latency: { p95: "< 1s" }` is `latency.p95: "< 1s"`.
//! - The word `exists` or `absent` for a yes-or-no measure of the name `exists` means yes or no.

mod comparator;
mod literal;
mod matcher;
mod measures;
#[cfg(test)]
mod tests;

pub use matcher::WORDS;

use serde_json::{Value, json};

use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::{Expectation, MeasureName};
use crate::probe::ProbeKind;
use crate::template::Expression;
use crate::yaml::{Data, Node};

/// Compiles what stands under `expect` or `warn`; every mistake is said.
///
/// The same function serves before the run and at run time. Templates are filled from `reading.inputs`. Before the run
/// that scope holds the inputs; a template that also uses captured values cannot be filled then, and nothing comes back
/// without a message, while everything else is checked. [`deferred`] tells beforehand that this will happen. At run
/// time the caller makes a [`Reading`] over the full scope; nothing without a message then means that a captured value
/// is missing.
pub fn compile(reading: &mut Reading<'_>, kind: &ProbeKind, node: &Node) -> Option<Expectation> {
    measures::top(reading, kind, node)
}

/// Tells whether an expectation uses values that are known only during the run.
pub fn deferred(node: &Node) -> bool {
    match &node.data {
        Data::Scalar { text, .. } => literal::uses_captured(text),
        Data::List(items) => items.iter().any(deferred),
        Data::Map(entries) => entries.iter().any(|(key, value)| deferred(key) || deferred(value)),
    }
}

/// Lists the measures that an expectation judges.
pub fn wants(kind: &ProbeKind, expectation: &Expectation) -> impl Iterator<Item = MeasureName> {
    let mut names = Vec::new();
    collect(kind, expectation, &mut names);
    names.into_iter()
}

fn collect(kind: &ProbeKind, expectation: &Expectation, names: &mut Vec<MeasureName>) {
    match expectation {
        Expectation::Measure { name, .. } => names.push(name.clone()),
        Expectation::That { expression, .. } => {
            if let Ok(expression) = Expression::parse(expression) {
                names.extend(used(kind, &expression));
            }
        }
        Expectation::All(of) | Expectation::Any(of) => of.iter().for_each(|e| collect(kind, e, names)),
        Expectation::Not(inner) => collect(kind, inner, names),
    }
}

/// Lists the measures of the kind that an expression uses, as wholes: for `that` and for `capture`.
pub fn used(kind: &ProbeKind, expression: &Expression) -> Vec<MeasureName> {
    let mut names = Vec::new();
    for reference in expression.references() {
        let root = reference.root.as_str();
        let dotted = reference.name.as_ref().map(|name| format!("{root}.{name}"));
        let plain = kind.measures.iter().any(|m| m.name == root);
        for measure in kind.measures {
            let nested = !plain
                && match &dotted {
                    Some(dotted) => measure.name == dotted || measure.name.starts_with(&format!("{dotted}.")),
                    None => measure.name.starts_with(&format!("{root}.")),
                };
            let underscored = measure.name.contains('.') && measure.name.replace('.', "_") == root;
            if measure.name == root || nested || underscored {
                names.push(MeasureName::plain(measure.name));
            }
        }
    }
    names
}

/// Reads the expression of a `that`.
fn that(reading: &mut Reading<'_>, kind: &ProbeKind, node: &Node) -> Option<Expectation> {
    let Some(text) = node.text() else {
        let message = format!("expected an expression, found {}", node.form());
        reading.say(Diagnostic::error("wrong-type", node.span, message));
        return None;
    };
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => {
            reading.template_error("bad-expression", node, &error);
            return None;
        }
    };
    let mut good = true;
    for reference in expression.references() {
        good &= known_root(reading, kind, node, &reference.root, reference.name.as_deref());
    }
    good.then(|| Expectation::That { expression: text.to_owned(), origin: reading.origin(node) })
}

fn known_root(reading: &mut Reading<'_>, kind: &ProbeKind, node: &Node, root: &str, name: Option<&str>) -> bool {
    let plain = kind.measures.iter().find(|m| m.name == root);
    let dotted = name.map(|name| format!("{root}.{name}"));
    let shadowed = kind.measures.iter().find(|m| plain.is_some() && dotted.as_deref() == Some(m.name));
    let reached = |m: &str| {
        m == root || m.replace('.', "_") == root || m.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'))
    };
    let known = kind.measures.iter().any(|m| reached(m.name));
    if known && shadowed.is_none() {
        return true;
    }
    let place = node.text().and_then(|text| text.find(root)).map(|at| at..at + root.len());
    let span = place.map_or(node.span, |range| node.place_of(reading.sources, range));
    let diagnostic = match shadowed {
        Some(measure) => {
            let message = format!("{root} is a measure itself, so {} has no value here", measure.name);
            Diagnostic::error("undefined-variable", span, message)
                .help(format!("write {} in an expression", measure.name.replace('.', "_")))
        }
        None => {
            let names = kind.measures.iter().map(|m| m.name);
            let message = format!("{} has no measure {root:?}", kind.name);
            Diagnostic::error("undefined-variable", span, message)
                .near(root, names)
                .help("an expression under `that` uses measures of its own step; use a `when` for inputs")
        }
    };
    reading.say(diagnostic);
    false
}

/// Returns the JSON Schema of what may stand under `expect` and `warn`, for `#/$defs/expectation`.
pub fn schema() -> Value {
    let own = json!({ "$ref": "#/$defs/expectation" });
    json!({
        "description": "What must hold. A value or comparator (200, \"< 500ms\", \"between 2s and 5s\", exists) judges \
            the probe's primary measure, a map the measures that it names, a list holds all of its members.",
        "anyOf": [
            { "type": ["string", "number", "boolean", "null"] },
            { "type": "array", "items": own, "minItems": 1 },
            {
                "type": "object",
                "minProperties": 1,
                "properties": {
                    "that": {
                        "description": "An expression over all measures of the step.",
                        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
                    }
                },
                "additionalProperties": own
            }
        ]
    })
}
