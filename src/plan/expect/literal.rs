//! Values to be equal to, and the templates within them.

use serde_json::Value as Json;

use super::comparator::of_kind;
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::{Kind, Literal, Quantity};
use crate::template::{Expression, Place, Template};
use crate::yaml::{Data, Node};

/// Tells whether a text uses values that are known only during the run.
pub(crate) fn uses_captured(text: &str) -> bool {
    let template = Template::parse(text, Place::Plain);
    template.is_ok_and(|t| t.references().iter().any(|r| r.root != "inputs" && r.root != "matrix"))
}

/// Reads a text and fills in its templates. Nothing without a message when a value is not known yet.
pub(crate) fn text(reading: &mut Reading<'_>, node: &Node, place: Place) -> Option<String> {
    let template = reading.template(node, place)?;
    match template.render(reading.inputs) {
        Ok(text) => Some(text),
        Err(error) => {
            if template.references().is_empty() {
                reading.template_error("bad-template", node, &error);
            }
            None
        }
    }
}

/// Reads a value to be equal to.
pub(crate) fn literal(reading: &mut Reading<'_>, kind: Kind, node: &Node) -> Option<Literal> {
    match (kind, &node.data) {
        (Kind::Json, _) => json(reading, node).map(of_json),
        (Kind::Set, Data::List(_)) => json(reading, node).map(Literal::Json),
        (_, Data::List(_) | Data::Map(_)) => {
            let message = format!("a {} is never equal to {}", kind.word(), node.form());
            reading.say(Diagnostic::error("expect-kind", node.span, message));
            None
        }
        (Kind::Text | Kind::Set, Data::Scalar { .. }) if node.is_null() => missing(reading, node),
        (Kind::Text | Kind::Set, Data::Scalar { .. }) => text(reading, node, Place::Plain).map(Literal::Text),
        (Kind::Bool, Data::Scalar { .. }) => boolean(reading, node),
        (
            Kind::Number
            | Kind::Ratio
            | Kind::Duration
            | Kind::Size
            | Kind::Rate
            | Kind::Growth
            | Kind::Quantity
            | Kind::Tally,
            Data::Scalar { .. },
        ) => number(reading, kind, node),
    }
}

fn missing(reading: &mut Reading<'_>, node: &Node) -> Option<Literal> {
    let message = "a value is missing here";
    reading.say(Diagnostic::error("expect-syntax", node.span, message).help("for empty text write \"\" or empty"));
    None
}

fn boolean(reading: &mut Reading<'_>, node: &Node) -> Option<Literal> {
    if let Some(flag) = node.bool() {
        return Some(Literal::Bool(flag));
    }
    let text = text(reading, node, Place::Plain)?;
    match text.as_str() {
        "true" => Some(Literal::Bool(true)),
        "false" => Some(Literal::Bool(false)),
        other => {
            let message = format!("expected true or false, found {other:?}");
            reading.say(Diagnostic::error("expect-kind", node.span, message));
            None
        }
    }
}

fn number(reading: &mut Reading<'_>, kind: Kind, node: &Node) -> Option<Literal> {
    let text = text(reading, node, Place::Plain)?;
    match Quantity::parse(&text) {
        Ok(quantity) if quantity.fits(kind) => Some(Literal::Quantity(of_kind(quantity, kind))),
        Ok(_) => {
            let message = format!("{text:?} is never equal to a {}", kind.word());
            reading.say(Diagnostic::error("expect-kind", node.span, message));
            None
        }
        Err(error) => {
            let message = format!("expected a {}: {error}", kind.word());
            reading.say(Diagnostic::error("expect-kind", node.span, message));
            None
        }
    }
}

/// Whole numbers that floating point cannot hold stay JSON.
pub(crate) fn of_json(value: Json) -> Literal {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Json::String(text) => Literal::Text(text),
        Json::Bool(flag) => Literal::Bool(flag),
        Json::Number(number) => match number.as_f64().filter(|n| n.abs() < EXACT) {
            Some(number) => Literal::Quantity(Quantity::number(number)),
            None => Literal::Json(Json::Number(number)),
        },
        other @ (Json::Null | Json::Array(_) | Json::Object(_)) => Literal::Json(other),
    }
}

/// Reads a JSON value. A text that is one `{{ … }}` as a whole has the type of its value.
pub(crate) fn json(reading: &mut Reading<'_>, node: &Node) -> Option<Json> {
    match &node.data {
        Data::List(items) => {
            let values: Vec<_> = items.iter().map(|item| json(reading, item)).collect();
            values.into_iter().collect::<Option<Vec<_>>>().map(Json::Array)
        }
        Data::Map(entries) => {
            let fields: Vec<_> = entries
                .iter()
                .map(|(key, value)| json(reading, value).map(|v| (key.text().unwrap_or("null").to_owned(), v)))
                .collect();
            fields.into_iter().collect::<Option<_>>().map(Json::Object)
        }
        Data::Scalar { text, .. } if text.contains("{{") => match whole_expression(text) {
            Some(expression) => typed(reading, node, &expression),
            None => self::text(reading, node, Place::Plain).map(Json::String),
        },
        Data::Scalar { .. } => Some(node.json()),
    }
}

fn typed(reading: &mut Reading<'_>, node: &Node, expression: &Expression) -> Option<Json> {
    // Checked as a template too, so that its variables are remembered and its mistakes said.
    reading.template(node, Place::Plain)?;
    expression.evaluate(reading.inputs).ok()
}

fn whole_expression(text: &str) -> Option<Expression> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    match inner.contains("{{") || inner.contains("}}") {
        true => None,
        false => Expression::parse(inner).ok(),
    }
}
