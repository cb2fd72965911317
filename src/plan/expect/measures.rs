//! Measures and combinations: which measure is meant, with which key, and how the parts are joined.

use serde_json_path::JsonPath;

use super::literal::text;
use super::matcher::{self, WORDS};
use super::that;
use crate::checklist::reading::{Reading, is_deep_path};
use crate::diag::{Diagnostic, did_you_mean};
use crate::model::{Expectation, Kind, Literal, Matcher, MeasureName};
use crate::probe::{Keys, MeasureSpec, ProbeKind};
use crate::template::Place;
use crate::yaml::{Data, Node};

/// Keys of a step, for those who write them one level too deep.
const STEP_KEYS: &[&str] = &[
    "name",
    "id",
    "warn",
    "expect",
    "on_no_data",
    "eventually",
    "consistently",
    "retry",
    "timeout",
    "baseline",
    "capture",
    "when",
    "needs",
    "required",
    "trial",
    "changes",
    "ignore",
    "why",
    "runbook",
    "owner",
    "contact",
    "tags",
    "priority",
    "evidence",
    "from",
    "source",
];

/// Reads what stands under `expect`, `warn`, or a combination.
pub(crate) fn top(reading: &mut Reading<'_>, kind: &ProbeKind, node: &Node) -> Option<Expectation> {
    match &node.data {
        Data::Map(entries) if entries.is_empty() => nothing(reading, node),
        Data::List(items) if items.is_empty() => nothing(reading, node),
        Data::Map(entries) => {
            let parts: Vec<_> = entries.iter().map(|(key, value)| entry(reading, kind, key, value)).collect();
            all(parts)
        }
        Data::List(items) => {
            let parts: Vec<_> = items.iter().map(|item| top(reading, kind, item)).collect();
            let values = items.iter().all(|item| item.text().is_some()) && parts.len() > 1;
            match values {
                true => one_of_values(all(parts)?),
                false => all(parts),
            }
        }
        Data::Scalar { .. } => {
            let spec = primary(reading, kind, node)?;
            under(reading, kind, spec, node)
        }
    }
}

fn nothing(reading: &mut Reading<'_>, node: &Node) -> Option<Expectation> {
    reading.say(Diagnostic::error("asserts-nothing", node.span, "nothing is asserted here"));
    None
}

fn primary<'k>(reading: &mut Reading<'_>, kind: &'k ProbeKind, node: &Node) -> Option<&'k MeasureSpec> {
    let first = kind.measures.first();
    if first.is_none() {
        let message = format!("{} has no measures to judge", kind.name);
        reading.say(Diagnostic::error("expect-unknown-measure", node.span, message));
    }
    first
}

/// Joins parts that must all hold; nothing when one of them had a mistake.
fn all(parts: Vec<Option<Expectation>>) -> Option<Expectation> {
    let mut parts: Vec<_> = parts.into_iter().collect::<Option<_>>()?;
    if parts.len() > 1 { Some(Expectation::All(parts)) } else { parts.pop() }
}

/// `[200, 204]`: several plain values for one measure are alternatives, as no value equals two.
fn one_of_values(expectation: Expectation) -> Option<Expectation> {
    let Expectation::All(parts) = &expectation else { return Some(expectation) };
    let mut matchers = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Expectation::Measure { matcher: matcher @ (Matcher::Equals(_) | Matcher::StatusClass(_)), .. } => {
                matchers.push(matcher.clone());
            }
            Expectation::Measure { .. }
            | Expectation::That { .. }
            | Expectation::All(_)
            | Expectation::Any(_)
            | Expectation::Not(_) => return Some(expectation),
        }
    }
    match parts.first() {
        Some(Expectation::Measure { name, kind, origin, .. }) => Some(Expectation::Measure {
            name: name.clone(),
            kind: *kind,
            matcher: Matcher::OneOf(matchers),
            origin: origin.clone(),
        }),
        _ => Some(expectation),
    }
}

fn entry(reading: &mut Reading<'_>, kind: &ProbeKind, key: &Node, value: &Node) -> Option<Expectation> {
    let name = key.text().unwrap_or_default();
    if let Some(spec) = kind.measures.iter().find(|m| m.name == name) {
        return under(reading, kind, spec, value);
    }
    match name {
        "any" => several(reading, kind, name, value).map(Expectation::Any),
        "all" => several(reading, kind, name, value).map(Expectation::All),
        "not" => top(reading, kind, value).map(|inner| Expectation::Not(Box::new(inner))),
        "that" => match value.list() {
            Some([]) => nothing(reading, value),
            Some(items) => all(items.iter().map(|item| that(reading, kind, item)).collect()),
            None => that(reading, kind, value),
        },
        _ if is_group(kind, name) => group(reading, kind, name, value),
        _ if is_prefix(kind, name) => match value.map() {
            Some(entries) => all(entries.iter().map(|(k, v)| nested(reading, kind, name, None, k, v)).collect()),
            None => {
                unknown(reading, kind, key, name);
                None
            }
        },
        _ => {
            unknown(reading, kind, key, name);
            None
        }
    }
}

fn several(reading: &mut Reading<'_>, kind: &ProbeKind, name: &str, value: &Node) -> Option<Vec<Expectation>> {
    match value.list() {
        Some([]) => {
            nothing(reading, value);
            None
        }
        Some(items) => {
            let parts: Vec<_> = items.iter().map(|item| top(reading, kind, item)).collect();
            parts.into_iter().collect()
        }
        None => {
            let message = format!("expected a list under {name}, found {}", value.form());
            reading.say(Diagnostic::error("wrong-type", value.span, message));
            None
        }
    }
}

fn is_prefix(kind: &ProbeKind, name: &str) -> bool {
    !name.is_empty() && kind.measures.iter().any(|m| m.name.strip_prefix(name).is_some_and(|r| r.starts_with('.')))
}

/// Tells whether a name stands for several measures with the same keys: `panels`, for `panels.type` and `panels.value`.
fn is_group(kind: &ProbeKind, name: &str) -> bool {
    is_prefix(kind, name) && parts_of(kind, name).all(|(_, spec)| spec.keys.is_some())
}

fn parts_of<'k>(kind: &'k ProbeKind, name: &str) -> impl Iterator<Item = (&'k str, &'k MeasureSpec)> {
    kind.measures.iter().filter_map(move |spec| Some((spec.name.strip_prefix(name)?.strip_prefix('.')?, spec)))
}

/// Reads a group: under each key the parts that are judged, or what must hold of the first one.
fn group(reading: &mut Reading<'_>, kind: &ProbeKind, name: &str, value: &Node) -> Option<Expectation> {
    let Some((_, first)) = parts_of(kind, name).next() else { return nothing(reading, value) };
    let entries = match value.map() {
        Some([]) => return nothing(reading, value),
        Some(entries) => entries,
        None => return keyed(reading, first, value),
    };
    let mut judged = Vec::new();
    for (key, value) in entries {
        let parted = value.map().is_some_and(|parts| parts.iter().any(|(part, _)| !is_word(part)));
        let Some(key) = key_of(reading, first, key) else {
            judged.push(None);
            continue;
        };
        if !parted {
            judged.push(leaf(reading, first, MeasureName::keyed(first.name, key), value));
            continue;
        }
        for (part, value) in value.map().unwrap_or_default() {
            judged.push(part_of_group(reading, kind, name, &key, part, value));
        }
    }
    all(judged)
}

fn part_of_group(
    reading: &mut Reading<'_>,
    kind: &ProbeKind,
    group: &str,
    key: &str,
    part: &Node,
    value: &Node,
) -> Option<Expectation> {
    let name = part.text().unwrap_or_default();
    if let Some((_, spec)) = parts_of(kind, group).find(|(known, _)| *known == name) {
        return leaf(reading, spec, MeasureName::keyed(spec.name, key), value);
    }
    let names = || parts_of(kind, group).map(|(known, _)| known);
    let message = format!("{} has no measure {name:?} for each of its {group}", kind.name);
    let diagnostic = Diagnostic::error("expect-unknown-measure", part.span, message).near(name, names());
    reading.say(diagnostic.help(format!("the measures of each are {}", names().collect::<Vec<_>>().join(", "))));
    None
}

fn unknown(reading: &mut Reading<'_>, kind: &ProbeKind, key: &Node, name: &str) {
    let names = || kind.measures.iter().map(|m| m.name);
    let message = format!("{} has no measure {name:?}", kind.name);
    let mut diagnostic = Diagnostic::error("expect-unknown-measure", key.span, message).near(name, names());
    let first = kind.measures.first().map_or("status", |m| m.name);
    let parts: Vec<_> = names().filter(|m| m.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))).collect();
    if STEP_KEYS.contains(&name) {
        diagnostic = diagnostic.help(format!("{name} belongs to the step, one level up, beside `expect`"));
    } else if WORDS.contains(&name) {
        diagnostic = diagnostic.help(format!("{name} stands under a measure: {first}: {{ {name}: … }}"));
    } else if name.starts_with('$') && names().any(|m| m == "json") {
        diagnostic = diagnostic.help(format!("a path stands under json: json: {{ {name}: … }}"));
    } else if !parts.is_empty() {
        diagnostic = diagnostic.help(format!("it has parts: {}", parts.join(", ")));
    } else if did_you_mean(name, names()).is_none() {
        diagnostic = diagnostic.help(format!("the measures are {}", names().collect::<Vec<_>>().join(", ")));
    }
    reading.say(diagnostic);
}

/// Reads what stands under a measure.
fn under(reading: &mut Reading<'_>, kind: &ProbeKind, spec: &MeasureSpec, value: &Node) -> Option<Expectation> {
    if spec.keys.is_some() {
        return keyed(reading, spec, value);
    }
    match value.map() {
        Some(entries) if entries.iter().any(|(key, _)| !is_word(key)) => {
            let parts = entries.iter().map(|(k, v)| nested(reading, kind, spec.name, Some(spec), k, v)).collect();
            all(parts)
        }
        Some(_) | None => leaf(reading, spec, MeasureName::plain(spec.name), value),
    }
}

fn is_word(key: &Node) -> bool {
    key.text().is_some_and(|name| WORDS.contains(&name))
}

/// Reads one entry of a map under a measure or the first part of one: the rest of a dotted name, or a matcher.
fn nested(
    reading: &mut Reading<'_>,
    kind: &ProbeKind,
    first: &str,
    whole: Option<&MeasureSpec>,
    key: &Node,
    value: &Node,
) -> Option<Expectation> {
    let part = key.text().unwrap_or_default();
    let dotted = format!("{first}.{part}");
    if let Some(spec) = kind.measures.iter().find(|m| m.name == dotted) {
        return under(reading, kind, spec, value);
    }
    if let (true, Some(entries)) = (is_prefix(kind, &dotted), value.map()) {
        return all(entries.iter().map(|(k, v)| nested(reading, kind, &dotted, None, k, v)).collect());
    }
    if let (Some(spec), true) = (whole, is_word(key)) {
        let only = Node { span: value.span, data: Data::Map(vec![(key.clone(), value.clone())]) };
        return leaf(reading, spec, MeasureName::plain(spec.name), &only);
    }
    let parts = || kind.measures.iter().filter_map(|m| m.name.strip_prefix(first)?.strip_prefix('.'));
    let diagnostic = match whole {
        Some(_) if parts().next().is_none() && did_you_mean(part, WORDS.iter().copied()).is_none() => {
            Diagnostic::error("expect-no-key", key.span, format!("{first} has no keys, so {part:?} names nothing"))
                .help(format!("the matchers for one value are {}", WORDS.join(", ")))
        }
        Some(_) if parts().next().is_none() => {
            Diagnostic::error("expect-syntax", key.span, format!("there is no matcher {part:?}"))
                .near(part, WORDS.iter().copied())
        }
        Some(_) | None => {
            Diagnostic::error("expect-unknown-measure", key.span, format!("{} has no measure {dotted:?}", kind.name))
                .near(part, parts())
                .help(format!("{first} has the parts {}", parts().collect::<Vec<_>>().join(", ")))
        }
    };
    reading.say(diagnostic);
    None
}

/// Reads the keys of a keyed measure.
fn keyed(reading: &mut Reading<'_>, spec: &MeasureSpec, value: &Node) -> Option<Expectation> {
    match &value.data {
        Data::Map(entries) if entries.is_empty() => nothing(reading, value),
        Data::List(items) if items.is_empty() => nothing(reading, value),
        Data::Map(entries) => {
            let parts: Vec<_> = entries
                .iter()
                .map(|(key, value)| {
                    let name = key_of(reading, spec, key);
                    let matcher = matcher::matcher(reading, spec.kind, value);
                    measure(reading, spec, MeasureName::keyed(spec.name, name?), matcher?, value)
                })
                .collect();
            all(parts)
        }
        Data::List(items) => all(items.iter().map(|item| keyed(reading, spec, item)).collect()),
        Data::Scalar { .. } => {
            let (what, example) = match spec.keys {
                Some(Keys::JsonPath) => ("a JSONPath", "$.status: ok"),
                Some(Keys::Regex) => ("a regular expression", "'(?i)error': 0"),
                Some(Keys::Name) | None => ("a name", "name: value"),
            };
            let message = format!("{} holds one value for each key, and the key is missing", spec.name);
            let help = format!("a key is {what}: {}: {{ {example} }}", spec.name);
            reading.say(Diagnostic::error("expect-needs-key", value.span, message).help(help));
            None
        }
    }
}

fn key_of(reading: &mut Reading<'_>, spec: &MeasureSpec, key: &Node) -> Option<String> {
    let place = match spec.keys {
        Some(Keys::JsonPath) => Place::Json,
        Some(Keys::Regex) => Place::Regex,
        Some(Keys::Name) | None => Place::Plain,
    };
    let templated = key.text().is_some_and(|text| text.contains("{{"));
    let name = match templated {
        true => text(reading, key, place)?,
        false => key.text().unwrap_or_default().to_owned(),
    };
    match spec.keys {
        Some(Keys::JsonPath) => json_path(reading, spec, key, name, templated),
        Some(Keys::Regex) => reading.check_regex(key, &name).then_some(name),
        Some(Keys::Name) | None => Some(name),
    }
}

fn json_path(
    reading: &mut Reading<'_>,
    spec: &MeasureSpec,
    key: &Node,
    path: String,
    templated: bool,
) -> Option<String> {
    if is_deep_path(&path) {
        reading.say(Diagnostic::error("bad-jsonpath", key.span, "the path is nested too deeply"));
        return None;
    }
    let Err(error) = JsonPath::parse(&path) else { return Some(path) };
    if !path.starts_with('$') {
        let diagnostic = match WORDS.contains(&path.as_str()) {
            true => {
                let message = format!("{} holds one value for each key, and the key is missing", spec.name);
                Diagnostic::error("expect-needs-key", key.span, message)
                    .help(format!("{}: {{ $: {{ {path}: … }} }} for the whole", spec.name))
            }
            false => Diagnostic::error("bad-jsonpath", key.span, format!("{path:?} does not begin with $"))
                .help(format!("write $.{path}")),
        };
        reading.say(diagnostic);
        return None;
    }
    let at = path.char_indices().nth(error.position().saturating_sub(1)).map_or(path.len(), |(at, _)| at);
    let span = if templated {
        key.span
    } else {
        key.place_of(reading.sources, at.min(path.len().saturating_sub(1))..path.len())
    };
    reading.say(Diagnostic::error("bad-jsonpath", span, format!("bad JSONPath: {}", error.message())));
    None
}

fn leaf(reading: &mut Reading<'_>, spec: &MeasureSpec, name: MeasureName, value: &Node) -> Option<Expectation> {
    let matcher = matcher::matcher(reading, spec.kind, value)?;
    measure(reading, spec, name, matcher, value)
}

fn measure(
    reading: &Reading<'_>,
    spec: &MeasureSpec,
    name: MeasureName,
    matcher: Matcher,
    value: &Node,
) -> Option<Expectation> {
    // A measure named `exists` or `present` is always there; what is asked for is that it is true.
    let last = spec.name.rsplit('.').next().unwrap_or(spec.name);
    let matcher = match (spec.kind, last, matcher) {
        (Kind::Bool, "exists" | "present", Matcher::Exists) => Matcher::Equals(Literal::Bool(true)),
        (Kind::Bool, "exists" | "present", Matcher::Absent) => Matcher::Equals(Literal::Bool(false)),
        (_, _, matcher) => matcher,
    };
    Some(Expectation::Measure { name, kind: spec.kind, matcher, origin: reading.origin(value) })
}
