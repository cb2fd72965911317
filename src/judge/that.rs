//! Expressions over all measures of a look: `status == 200 and json.items|length > 3`.
//!
//! Durations are seconds, sizes bytes, shares parts of one. A keyed measure is a map; where the probe measured the
//! whole (`json`), the name is the whole. The parts of a dotted name are nested (`timing.dns`), except where the first
//! part is a measure itself; every dotted name is also there with underscores (`timing_dns`). A vector of one series is
//! its number, one of several a list of numbers. A tally is its count.
//! its number, one of several a list of numbers. Of a group of keyed measures (`panels.type`, `panels.value`) each is a map
//! by its underscored name (`panels_type["Requests"]`), and all together one by the group's (`panels["Requests"].type`).

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value as Json};

use super::matching::{NOBODY, Truth};
use super::words;
use crate::model::{Kind, Measures, Value};
use crate::template::{Expression, Scope};

/// What came of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Came {
    /// It was computed, or could not be, with the values that it used.
    Of(Truth, String),
    /// A measure that it uses has no data, with the reason.
    NoData(String),
}

/// Evaluates an expression over the measures.
pub(crate) fn evaluate(source: &str, measures: &Measures) -> Came {
    let expression = match Expression::parse(source) {
        Ok(expression) => expression,
        Err(error) => return Came::Of(Truth::Unknown, format!("the expression is not valid: {error}")),
    };
    let roots: BTreeSet<String> = expression.references().into_iter().map(|r| r.root).collect();
    for root in &roots {
        let mut used = measures.iter().filter(|(name, _)| is_root(name.name(), root)).peekable();
        if used.peek().is_none() {
            return Came::Of(Truth::Unknown, format!("{root} was not measured"));
        }
        for (name, value) in used {
            match unusable(value) {
                Some(Unusable::NoData(reason)) => return Came::NoData(reason),
                Some(Unusable::Number(word)) => return Came::Of(Truth::Unknown, format!("{name} = {word}")),
                None => {}
            }
        }
    }
    let values = shown(&roots, measures);
    match expression.evaluate(&scope(measures)) {
        Ok(Json::Bool(true)) => Came::Of(Truth::Holds, values),
        Ok(value) if is_false(&value) => Came::Of(Truth::Fails, values),
        Ok(value) => {
            Came::Of(Truth::Unknown, format!("it gives {}, neither true nor false; {values}", words::json(&value)))
        }
        Err(error) if error.message.contains("takes too long") => Came::Of(Truth::Unknown, error.message),
        Err(error) => Came::Of(Truth::Broken, format!("{}; {values}", error.message)),
    }
}

enum Unusable {
    NoData(String),
    Number(String),
}

/// Finds what an expression cannot compute with. What is missing is left undefined, so that `is defined` can ask for it.
fn unusable(value: &Value) -> Option<Unusable> {
    let of = |number: f64| (!number.is_finite()).then(|| Unusable::Number(crate::model::quantity::plain(number)));
    match value {
        Value::NoData(reason) => Some(Unusable::NoData(reason.clone())),
        Value::Number(number) => of(*number),
        Value::Series(samples) if samples.is_empty() => Some(Unusable::NoData("no series".into())),
        Value::Series(samples) => samples.iter().find_map(|s| of(s.value)),
        Value::Tally(tally) if tally.of == 0 => Some(Unusable::NoData(NOBODY.to_owned())),
        Value::Text(_) | Value::Bool(_) | Value::Json(_) | Value::Set(_) | Value::Tally(_) | Value::Missing(_) => None,
    }
}

/// Tells whether a measure is reached through a root: `timing.dns` through `timing` and `timing_dns`.
fn is_root(measure: &str, root: &str) -> bool {
    measure == root
        || measure.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'))
        || (measure.contains('.') && measure.replace('.', "_") == root)
}

/// Falsehood in the sense of the expression language; truth must be `true` itself, or else `that: status` would hold
/// whatever the status is.
fn is_false(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Bool(true) => false,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(fields) => fields.is_empty(),
    }
}

fn shown(roots: &BTreeSet<String>, measures: &Measures) -> String {
    let used = measures.iter().filter(|(name, _)| roots.iter().any(|root| is_root(name.name(), root)));
    let words = used.map(|(name, value)| format!("{name} = {}", words::value(value, Kind::Quantity, None)));
    words.take(6).collect::<Vec<_>>().join(", ")
}

/// Makes the scope of expressions over the measures: what `that` and `capture` see.
pub fn scope(measures: &Measures) -> Scope {
    let mut roots = Map::new();
    for (name, value) in measures.iter().filter(|(name, _)| name.key().is_none()) {
        let Some(value) = json(value) else { continue };
        if name.name().contains('.') {
            roots.insert(name.name().replace('.', "_"), value.clone());
            continue;
        }
        roots.insert(name.name().to_owned(), value);
    }
    for (name, value) in measures.iter().filter(|(name, _)| name.key().is_none() && name.name().contains('.')) {
        let whole = name.name().split('.').next().is_some_and(|first| measures.iter().any(|(n, _)| n.name() == first));
        if let Some(value) = json(value).filter(|_| !whole) {
            nest(&mut roots, name.name(), value);
        }
    }
    for (name, value) in measures.iter() {
        let Some(key) = name.key() else { continue };
        let whole = measures.iter().any(|(n, _)| n.key().is_none() && n.name() == name.name());
        // Of a group, `panels.value` by title, the part stands behind the key: `panels["Requests"].value`.
        let (first, part) =
            name.name().split_once('.').map_or((name.name(), None), |(first, part)| (first, Some(part)));
        let slot = roots.entry(first.to_owned()).or_insert_with(|| Json::Object(Map::new()));
        let (Some(fields), Some(value), false) = (slot.as_object_mut(), json(value), whole) else { continue };
        let Some(part) = part else {
            fields.insert(key.to_owned(), value);
            continue;
        };
        if let Json::Object(parts) = fields.entry(key.to_owned()).or_insert_with(|| Json::Object(Map::new())) {
            parts.insert(part.to_owned(), value.clone());
        }
        let slot = roots.entry(name.name().replace('.', "_")).or_insert_with(|| Json::Object(Map::new()));
        if let Json::Object(each) = slot {
            each.insert(key.to_owned(), value);
        }
    }
    Scope::new(roots)
}

fn nest(map: &mut Map<String, Json>, name: &str, value: Json) {
    match name.split_once('.') {
        None => {
            map.insert(name.to_owned(), value);
        }
        Some((first, rest)) => {
            let slot = map.entry(first.to_owned()).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = slot {
                nest(inner, rest, value);
            }
        }
    }
}

/// Converts a value; nothing for one that is not there.
fn json(value: &Value) -> Option<Json> {
    match value {
        Value::Number(number) => Some(self::number(*number)),
        Value::Text(text) => Some(Json::String(text.clone())),
        Value::Bool(flag) => Some(Json::Bool(*flag)),
        Value::Json(value) => Some(value.clone()),
        Value::Set(members) => Some(members.iter().map(|m| Json::String(m.clone())).collect()),
        Value::Tally(tally) => Some(Json::from(tally.count)),
        Value::Series(samples) => match samples.as_slice() {
            [one] => Some(self::number(one.value)),
            many => Some(many.iter().map(|s| self::number(s.value)).collect()),
        },
        Value::Missing(_) | Value::NoData(_) => None,
    }
}

/// Whole numbers become integers, so that they can count and index.
fn number(value: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.fract() == 0.0 && value.abs() <= EXACT {
        true => Json::from(value as i64),
        false => Number::from_f64(value).map_or(Json::Null, Json::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn measures() -> Measures {
        let mut measures = Measures::new();
        measures.plain("status", Value::Number(200.0));
        measures.plain("latency", Value::Number(0.25));
        measures.plain("latency.p95", Value::Number(0.9));
        measures.plain("timing.dns", Value::Number(0.004));
        measures.plain("json", Value::Json(json!({"items": [1, 2, 3, 4], "user": {"id": 7}})));
        measures.keyed("headers", "content-type", Value::Text("text/html".into()));
        measures.keyed("headers", "etag", Value::Missing("no such header".into()));
        measures.plain("age", Value::NoData("no cache".into()));
        measures.plain("ratio", Value::Number(f64::NAN));
        measures
    }

    #[test]
    fn expressions_see_every_measure() {
        let table = [
            ("status == 200 and json.items|length > 3", Truth::Holds),
            ("status == 200 and json.items|length > 4", Truth::Fails),
            ("latency < 0.3 and latency_p95 < 1 and timing.dns < 0.01 and timing_dns < 0.01", Truth::Holds),
            ("headers['content-type'] == 'text/html'", Truth::Holds),
            ("headers.etag is defined", Truth::Fails),
            ("headers.etag == 'x'", Truth::Broken),
            ("json.user.name == 'x'", Truth::Broken),
            ("json.items", Truth::Unknown),
            ("ratio < 1", Truth::Unknown),
            ("status ==", Truth::Unknown),
            ("json.items[9:]", Truth::Fails),
        ];
        for (source, expected) in table {
            match evaluate(source, &measures()) {
                Came::Of(truth, words) => assert_eq!(truth, expected, "{source}: {words}"),
                Came::NoData(reason) => panic!("{source}: {reason}"),
            }
        }
    }

    #[test]
    fn what_has_no_data_or_was_not_measured_cannot_be_told() {
        assert_eq!(evaluate("age > 3", &measures()), Came::NoData("no cache".into()));
        assert_eq!(evaluate("size > 3", &measures()), Came::Of(Truth::Unknown, "size was not measured".into()));
    }

    #[test]
    fn the_values_that_were_used_are_said() {
        let Came::Of(_, words) = evaluate("status == 500", &measures()) else { panic!("status was measured") };
        assert_eq!(words, "status = 200");
    }
}
