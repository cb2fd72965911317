//! Worse values: what a measure becomes under a mutation.

use serde_json::{Value as Json, json};

use super::number::behind;
use super::tally;
use super::text::{asks_presence, asks_text, takes_absence, takes_emptiness};
use super::units::Part;
use crate::model::{Kind, Mutation, Reference, Sample, Tally, Value};

/// Stands in reasons, so that nobody takes what was made up for something that was seen.
const MADE_UP: &str = "made up for the proof";

/// Measures that say how many there are of what is looked at: none of them is no evidence, whatever the limit allows.
const POPULATIONS: &[&str] = &["count", "series", "samples", "scanned_lines"];

/// Returns the worse values of a measure; none when the mutation says nothing of it. `any` tells that one series that
/// holds is enough.
pub fn worse(mutation: Mutation, part: &Part, value: &Value, against: &[Reference], any: bool) -> Vec<Value> {
    let presence = part.matcher.as_ref().is_some_and(asks_presence);
    let values = match mutation {
        Mutation::NoData => vec![Value::NoData(MADE_UP.into())],
        Mutation::Missing if part.matcher.as_ref().is_some_and(takes_absence) => Vec::new(),
        Mutation::Missing => vec![Value::Missing(MADE_UP.into())],
        // Of a tally of none nothing holds, whatever is asked.
        Mutation::Empty if matches!(value, Value::Tally(_)) => empty(value).into_iter().collect(),
        Mutation::Empty if presence || part.matcher.as_ref().is_some_and(takes_emptiness) => Vec::new(),
        Mutation::Empty => empty(value).into_iter().collect(),
        Mutation::Nan => not_a_number(value).into_iter().collect(),
        Mutation::WrongType if presence => Vec::new(),
        Mutation::WrongType => other_type(value).into_iter().collect(),
        Mutation::Flipped if presence => Vec::new(),
        Mutation::Flipped => flipped(value).into_iter().collect(),
        Mutation::OtherText if part.matcher.as_ref().is_none_or(asks_text) => other_text(value).into_iter().collect(),
        Mutation::OtherText => Vec::new(),
        Mutation::JustAcross | Mutation::FarAcross => across(mutation, part, value, against, any),
        Mutation::Zero => none_of(part, value).into_iter().collect(),
        Mutation::Appears => appearing(part, value).into_iter().collect(),
        // These change the whole answer.
        Mutation::Unreachable | Mutation::Status500 | Mutation::Exit1 | Mutation::Truncated => Vec::new(),
    };
    values.into_iter().filter(|worse| !is_same(worse, value)).collect()
}

/// Tells whether nothing was changed; reasons do not count.
fn is_same(worse: &Value, value: &Value) -> bool {
    match (worse, value) {
        (Value::Missing(_), Value::Missing(_)) | (Value::NoData(_), Value::NoData(_)) => true,
        // A vector without series is no data.
        (Value::NoData(_), Value::Series(samples)) => samples.is_empty(),
        (worse, value) => worse == value,
    }
}

fn empty(value: &Value) -> Option<Value> {
    match value {
        Value::Text(_) => Some(Value::Text(String::new())),
        Value::Set(_) => Some(Value::Set(Vec::new())),
        Value::Series(_) => Some(Value::Series(Vec::new())),
        Value::Json(json) => Some(Value::Json(match json {
            Json::String(_) => json!(""),
            Json::Array(_) => json!([]),
            Json::Object(_) => json!({}),
            Json::Null | Json::Bool(_) | Json::Number(_) => Json::Null,
        })),
        Value::Tally(_) => Some(Value::Tally(Tally::default())),
        Value::Number(_) | Value::Bool(_) | Value::Missing(_) | Value::NoData(_) => None,
    }
}

fn not_a_number(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(Value::Number(f64::NAN)),
        Value::Series(samples) if !samples.is_empty() => Some(each(samples, |_| f64::NAN)),
        Value::Series(_)
        | Value::Text(_)
        | Value::Bool(_)
        | Value::Json(_)
        | Value::Set(_)
        | Value::Tally(_)
        | Value::Missing(_)
        | Value::NoData(_) => None,
    }
}

fn each(samples: &[Sample], value: impl Fn(f64) -> f64) -> Value {
    let changed = samples.iter().map(|sample| Sample { labels: sample.labels.clone(), value: value(sample.value) });
    Value::Series(changed.collect())
}

fn other_type(value: &Value) -> Option<Value> {
    let Value::Json(json) = value else { return None };
    Some(Value::Json(match json {
        Json::Null => json!("null"),
        Json::Number(number) => json!(number.to_string()),
        Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => json!(0),
    }))
}

fn flipped(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(flag) => Some(Value::Bool(!flag)),
        Value::Json(Json::Bool(flag)) => Some(Value::Json(json!(!flag))),
        Value::Set(members) if !members.is_empty() => {
            let other = |word: &String| match word.as_str() {
                "true" => Some("false"),
                "yes" => Some("no"),
                "false" => Some("true"),
                "no" => Some("yes"),
                _ => None,
            };
            let members: Option<Vec<_>> = members.iter().map(|word| other(word).map(str::to_owned)).collect();
            members.map(Value::Set)
        }
        Value::Set(_)
        | Value::Tally(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::Json(_)
        | Value::Series(_)
        | Value::Missing(_)
        | Value::NoData(_) => None,
    }
}

fn other_text(value: &Value) -> Option<Value> {
    match value {
        Value::Text(_) => Some(Value::Text(MADE_UP.into())),
        Value::Json(Json::String(_)) => Some(Value::Json(json!(MADE_UP))),
        Value::Json(Json::Array(_)) => Some(Value::Json(json!([MADE_UP]))),
        Value::Json(Json::Object(_)) => Some(Value::Json(json!({ MADE_UP: 0 }))),
        Value::Set(_) => Some(Value::Set(vec![MADE_UP.into()])),
        Value::Tally(tally) => {
            Some(Value::Tally(Tally { of: tally.of.max(1), ..Tally::named([(MADE_UP.into(), true)]) }))
        }
        Value::Number(_)
        | Value::Bool(_)
        | Value::Json(_)
        | Value::Series(_)
        | Value::Missing(_)
        | Value::NoData(_) => None,
    }
}

fn across(mutation: Mutation, part: &Part, value: &Value, against: &[Reference], any: bool) -> Vec<Value> {
    let Some(matcher) = &part.matcher else { return Vec::new() };
    if let Value::Tally(tally) = value {
        return tally::across(mutation, matcher, tally, against);
    }
    let behind = behind(matcher, part.kind, against);
    let numbers = if mutation == Mutation::JustAcross { behind.just } else { behind.far };
    let put = |number: f64| match value {
        Value::Number(_) => Some(Value::Number(number)),
        Value::Json(Json::Number(_)) => serde_json::Number::from_f64(number).map(|n| Value::Json(Json::Number(n))),
        Value::Series(samples) if any => Some(each(samples, |_| number)),
        Value::Series(samples) => {
            // One of them is enough; it is the last, as a judge that looks at the first alone would not see it.
            let mut samples = samples.clone();
            samples.last_mut().map(|last| last.value = number)?;
            Some(Value::Series(samples))
        }
        Value::Text(_)
        | Value::Bool(_)
        | Value::Json(_)
        | Value::Set(_)
        | Value::Tally(_)
        | Value::Missing(_)
        | Value::NoData(_) => None,
    };
    numbers.into_iter().filter_map(put).collect()
}

fn none_of(part: &Part, value: &Value) -> Option<Value> {
    let counted = POPULATIONS.contains(&part.name.name());
    match value {
        Value::Number(_) if counted => Some(Value::Number(0.0)),
        Value::Series(samples) if counted && !samples.is_empty() => Some(each(samples, |_| 0.0)),
        Value::Number(_)
        | Value::Series(_)
        | Value::Text(_)
        | Value::Bool(_)
        | Value::Json(_)
        | Value::Set(_)
        | Value::Tally(_)
        | Value::Missing(_)
        | Value::NoData(_) => None,
    }
}

/// What was not there, as was asked for, is there.
fn appearing(part: &Part, value: &Value) -> Option<Value> {
    let matcher = part.matcher.as_ref()?;
    let nothing = match value {
        Value::Missing(_) | Value::NoData(_) => takes_absence(matcher),
        Value::Text(text) => text.is_empty() && takes_emptiness(matcher),
        Value::Set(members) => members.is_empty() && takes_emptiness(matcher),
        Value::Series(samples) => samples.is_empty() && takes_absence(matcher),
        Value::Json(json) => {
            empty(value).is_some_and(|empty| empty == Value::Json(json.clone())) && takes_emptiness(matcher)
        }
        Value::Number(_) | Value::Bool(_) | Value::Tally(_) => false,
    };
    nothing.then(|| match (part.kind, value) {
        (Kind::Text, _) => Value::Text(MADE_UP.into()),
        (Kind::Set, _) => Value::Set(vec![MADE_UP.into()]),
        (Kind::Tally, _) => Value::Tally(Tally::counted(1, 1)),
        (Kind::Bool, _) => Value::Bool(true),
        (Kind::Json, Value::Json(Json::Array(_))) => Value::Json(json!([MADE_UP])),
        (Kind::Json, Value::Json(Json::Object(_))) => Value::Json(json!({ MADE_UP: 0 })),
        (Kind::Json, _) => Value::Json(json!(MADE_UP)),
        (Kind::Quantity, _) => Value::Series(vec![Sample { labels: Default::default(), value: 1.0 }]),
        (Kind::Number | Kind::Ratio | Kind::Duration | Kind::Size | Kind::Rate | Kind::Growth, _) => Value::Number(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Literal, Matcher, MeasureName, Op, Quantity};

    fn part(name: &'static str, kind: Kind, matcher: Matcher) -> Part {
        Part { name: MeasureName::plain(name), kind, matcher: Some(matcher) }
    }

    fn of(mutation: Mutation, part: &Part, value: &Value) -> Vec<Value> {
        worse(mutation, part, value, &[], false)
    }

    #[test]
    fn what_is_asked_for_is_not_taken_for_worse() {
        let absent = part("value", Kind::Quantity, Matcher::Absent);
        let nothing = Value::NoData("none".into());
        assert_eq!(of(Mutation::Missing, &absent, &nothing), []);
        assert_eq!(of(Mutation::NoData, &absent, &nothing), []);
        assert!(matches!(of(Mutation::Appears, &absent, &nothing)[..], [Value::Series(_)]));
        let exists = part("body", Kind::Text, Matcher::Exists);
        let text = Value::Text("x".into());
        assert_eq!(of(Mutation::Empty, &exists, &text), []);
        assert_eq!(of(Mutation::Missing, &exists, &text).len(), 1);
    }

    #[test]
    fn one_series_of_many_goes_across_unless_one_is_enough() {
        let limit = part("value", Kind::Quantity, Matcher::Compare(Op::Less, Quantity::number(5.0)));
        let sample = |value| Sample { labels: Default::default(), value };
        let value = Value::Series(vec![sample(1.0), sample(2.0)]);
        assert_eq!(of(Mutation::JustAcross, &limit, &value)[0], Value::Series(vec![sample(1.0), sample(5.0)]));
        let any = worse(Mutation::JustAcross, &limit, &value, &[], true);
        assert_eq!(any[0], Value::Series(vec![sample(5.0), sample(5.0)]));
    }

    #[test]
    fn a_tally_of_none_is_worse_even_than_none_of_some() {
        let firing = part("firing", Kind::Tally, Matcher::NoneOf);
        let value = Value::Tally(Tally::counted(0, 2));
        assert_eq!(of(Mutation::Empty, &firing, &value), [Value::Tally(Tally::default())]);
        assert_eq!(of(Mutation::JustAcross, &firing, &value), [Value::Tally(Tally::counted(1, 2))]);
    }

    #[test]
    fn none_of_what_is_looked_at_is_worse_whatever_the_limit_says() {
        let at_most = Matcher::Compare(Op::AtMost, Quantity::number(5.0));
        let value = Value::Number(3.0);
        assert_eq!(of(Mutation::Zero, &part("count", Kind::Number, at_most.clone()), &value), [Value::Number(0.0)]);
        assert_eq!(of(Mutation::Zero, &part("redirects", Kind::Number, at_most), &value), []);
    }

    #[test]
    fn json_changes_its_type() {
        let five = part("json", Kind::Json, Matcher::Equals(Literal::Quantity(Quantity::number(5.0))));
        assert_eq!(of(Mutation::WrongType, &five, &Value::Json(json!(5))), [Value::Json(json!("5"))]);
        assert_eq!(of(Mutation::Flipped, &five, &Value::Json(json!(true))), [Value::Json(json!(false))]);
    }
}
