//! What stands under one measure → a [`Matcher`].

use semver::VersionReq;

use super::comparator;
use super::literal::{json, literal, of_json, text};
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::{Kind, Literal, Matcher};
use crate::template::Place;
use crate::yaml::{Data, Node};

/// The words that a map under a measure may have.
pub const WORDS: &[&str] =
    &["contains", "starts_with", "ends_with", "matches", "equals", "one_of", "not", "length", "semver", "any", "all"];

/// Reads the matcher of a measure of this kind.
pub(crate) fn matcher(reading: &mut Reading<'_>, kind: Kind, node: &Node) -> Option<Matcher> {
    match &node.data {
        Data::Scalar { .. } => scalar(reading, kind, node),
        Data::List(items) => match kind {
            Kind::Json | Kind::Set => literal(reading, kind, node).map(Matcher::Equals),
            Kind::Bool => {
                let message = "a yes or no is not one of a list".to_owned();
                refuse(reading, "expect-kind", node, message)
            }
            Kind::Number
            | Kind::Ratio
            | Kind::Duration
            | Kind::Size
            | Kind::Rate
            | Kind::Growth
            | Kind::Quantity
            | Kind::Tally
            | Kind::Text => members(reading, kind, node, items).map(Matcher::OneOf),
        },
        Data::Map(entries) if entries.is_empty() => {
            refuse(reading, "asserts-nothing", node, "nothing is asserted here".into())
        }
        Data::Map(entries) => {
            let all: Vec<_> = entries.iter().map(|(key, value)| word(reading, kind, key, value)).collect();
            together(all.into_iter().collect::<Option<_>>()?)
        }
    }
}

/// Joins matchers that must all hold.
pub(crate) fn together(mut all: Vec<Matcher>) -> Option<Matcher> {
    if all.len() > 1 { Some(Matcher::All(all)) } else { all.pop() }
}

fn refuse<T>(reading: &mut Reading<'_>, code: &'static str, node: &Node, message: String) -> Option<T> {
    reading.say(Diagnostic::error(code, node.span, message));
    None
}

fn scalar(reading: &mut Reading<'_>, kind: Kind, node: &Node) -> Option<Matcher> {
    if node.is_null() {
        return match kind {
            Kind::Json => Some(Matcher::Equals(Literal::Json(serde_json::Value::Null))),
            _ => refuse(reading, "expect-syntax", node, "a value is missing here".into()),
        };
    }
    let templated = node.text().is_some_and(|text| text.contains("{{"));
    if templated && kind == Kind::Json {
        let value = json(reading, node)?;
        return match value.as_str().map(|text| comparator::parse(text, kind)) {
            Some(Ok(Some(matcher))) if !is_word(&matcher) => Some(matcher),
            _ => Some(Matcher::Equals(of_json(value))),
        };
    }
    let text = text(reading, node, Place::Plain)?;
    match comparator::parse(&text, kind) {
        Ok(Some(matcher)) if templated && is_word(&matcher) && matches!(kind, Kind::Text | Kind::Set) => {
            literal(reading, kind, node).map(Matcher::Equals)
        }
        Ok(Some(matcher)) => Some(matcher),
        Ok(None) => literal(reading, kind, node).map(Matcher::Equals),
        Err(refusal) => {
            let span = if templated { node.span } else { node.place_of(reading.sources, refusal.range) };
            let diagnostic = Diagnostic::error(refusal.code, span, refusal.message);
            reading.say(match refusal.help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
            None
        }
    }
}

/// A value that comes from outside is not taken for a word of the language.
fn is_word(matcher: &Matcher) -> bool {
    matches!(
        matcher,
        Matcher::Exists | Matcher::Absent | Matcher::Empty | Matcher::Every | Matcher::NoneOf | Matcher::Some
    )
}

fn members(reading: &mut Reading<'_>, kind: Kind, node: &Node, items: &[Node]) -> Option<Vec<Matcher>> {
    if items.is_empty() {
        return refuse(reading, "asserts-nothing", node, "an empty list asserts nothing".into());
    }
    let all: Vec<_> = items.iter().map(|item| matcher(reading, kind, item)).collect();
    all.into_iter().collect()
}

fn word(reading: &mut Reading<'_>, kind: Kind, key: &Node, value: &Node) -> Option<Matcher> {
    let name = key.text().unwrap_or_default();
    let listed = |reading: &mut Reading<'_>| match value.list() {
        Some(items) => members(reading, kind, value, items),
        None => refuse(reading, "wrong-type", value, format!("expected a list under {name}, found {}", value.form())),
    };
    match name {
        "equals" => literal(reading, kind, value).map(Matcher::Equals),
        "one_of" | "any" => listed(reading).map(Matcher::OneOf),
        "all" => listed(reading).map(Matcher::All),
        "not" => matcher(reading, kind, value).map(|inner| Matcher::Not(Box::new(inner))),
        "contains" => fits(reading, kind, key, &[Kind::Text, Kind::Json, Kind::Set, Kind::Tally])
            .then(|| each(reading, value, &|reading, node| contained(reading, kind, node)))?,
        "starts_with" => textual(reading, kind, key, value, &|reading, node| {
            text(reading, node, Place::Plain).map(Matcher::StartsWith)
        }),
        "ends_with" => textual(reading, kind, key, value, &|reading, node| {
            text(reading, node, Place::Plain).map(Matcher::EndsWith)
        }),
        "matches" => textual(reading, kind, key, value, &pattern),
        "semver" => textual(reading, kind, key, value, &requirement),
        "length" => {
            let fits = fits(reading, kind, key, &[Kind::Text, Kind::Json, Kind::Set, Kind::Quantity]);
            let inner = fits.then(|| matcher(reading, Kind::Number, value))??;
            Some(Matcher::Length(Box::new(inner)))
        }
        _ => unknown(reading, key, name),
    }
}

fn unknown(reading: &mut Reading<'_>, key: &Node, name: &str) -> Option<Matcher> {
    let message = format!("there is no matcher {name:?}");
    let mut diagnostic = Diagnostic::error("expect-syntax", key.span, message).near(name, WORDS.iter().copied());
    diagnostic.helps.push(format!("the matchers are {}", WORDS.join(", ")));
    diagnostic.helps.push("to be equal to a map as a whole, write it under equals".into());
    reading.say(diagnostic);
    None
}

fn fits(reading: &mut Reading<'_>, kind: Kind, key: &Node, kinds: &[Kind]) -> bool {
    let good = kinds.contains(&kind);
    if !good {
        let name = key.text().unwrap_or_default();
        let words: Vec<_> = kinds.iter().map(|k| k.word()).collect();
        let message = format!("{name:?} is for {}, and this is a {}", words.join(", "), kind.word());
        reading.say(Diagnostic::error("expect-kind", key.span, message));
    }
    good
}

type Read<'a> = &'a dyn Fn(&mut Reading<'_>, &Node) -> Option<Matcher>;

fn textual(reading: &mut Reading<'_>, kind: Kind, key: &Node, value: &Node, read: Read<'_>) -> Option<Matcher> {
    fits(reading, kind, key, &[Kind::Text, Kind::Json]).then(|| each(reading, value, read))?
}

/// Reads one value, or a list of values of which all must hold.
fn each(reading: &mut Reading<'_>, value: &Node, read: Read<'_>) -> Option<Matcher> {
    match &value.data {
        Data::List(items) if items.is_empty() => {
            refuse(reading, "asserts-nothing", value, "an empty list asserts nothing".into())
        }
        Data::List(items) => {
            let all: Vec<_> = items.iter().map(|item| read(reading, item)).collect();
            together(all.into_iter().collect::<Option<_>>()?)
        }
        Data::Scalar { .. } if !value.is_null() => read(reading, value),
        Data::Scalar { .. } | Data::Map(_) => {
            refuse(reading, "wrong-type", value, format!("expected text or a list of texts, found {}", value.form()))
        }
    }
}

fn contained(reading: &mut Reading<'_>, kind: Kind, node: &Node) -> Option<Matcher> {
    match kind {
        // A JSON text may contain "5" and a JSON list the number 5: both are meant by a plain 5.
        Kind::Json => json(reading, node).map(|value| match of_json(value) {
            Literal::Quantity(quantity) => {
                let text = node.text().unwrap_or_default().to_owned();
                let either = [Literal::Quantity(quantity), Literal::Text(text)].map(Matcher::Contains);
                Matcher::OneOf(either.into())
            }
            other => Matcher::Contains(other),
        }),
        _ => text(reading, node, Place::Plain).map(|text| Matcher::Contains(Literal::Text(text))),
    }
}

fn pattern(reading: &mut Reading<'_>, node: &Node) -> Option<Matcher> {
    let text = text(reading, node, Place::Regex)?;
    reading.check_regex(node, &text).then_some(Matcher::Matches(text))
}

fn requirement(reading: &mut Reading<'_>, node: &Node) -> Option<Matcher> {
    let text = text(reading, node, Place::Plain)?;
    match VersionReq::parse(&text) {
        Ok(_) => Some(Matcher::Semver(text)),
        Err(error) => refuse(reading, "bad-semver", node, format!("bad version requirement: {error}")),
    }
}
