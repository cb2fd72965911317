//! Equality by value. Measured text against a number is read as a number; JSON is strict: `"5"` is text and 5 is not.

use serde_json::Value as Json;

use super::matching::Seen;
use crate::model::{Literal, Quantity};

/// Tells whether a value is equal to a literal.
pub(crate) fn equal(seen: Seen<'_>, literal: &Literal) -> bool {
    match seen {
        Seen::Number(number) => number_equals(number, literal),
        Seen::Text { text, json } => text_equals(text, json, literal),
        Seen::Bool(flag) => match literal {
            Literal::Bool(wanted) | Literal::Json(Json::Bool(wanted)) => flag == *wanted,
            Literal::Quantity(_) | Literal::Text(_) | Literal::Json(_) => false,
        },
        Seen::Json(value) => match literal {
            Literal::Json(wanted) => json_equal(value, wanted),
            Literal::Quantity(wanted) => value.as_f64() == Some(wanted.value),
            Literal::Text(_) | Literal::Bool(_) => false,
        },
        Seen::Set(members) => set_equals(members, literal),
        Seen::Tally(tally) => number_equals(tally.count as f64, literal),
    }
}

fn number_equals(number: f64, literal: &Literal) -> bool {
    match literal {
        Literal::Quantity(wanted) => number == wanted.value,
        Literal::Text(text) => Quantity::parse(text).is_ok_and(|wanted| number == wanted.value),
        Literal::Json(wanted) => wanted.as_f64() == Some(number),
        Literal::Bool(_) => false,
    }
}

fn text_equals(text: &str, json: bool, literal: &Literal) -> bool {
    match literal {
        Literal::Text(wanted) | Literal::Json(Json::String(wanted)) => text == wanted,
        Literal::Quantity(wanted) => !json && Quantity::parse(text).is_ok_and(|read| read.value == wanted.value),
        Literal::Bool(wanted) => !json && text == wanted.to_string(),
        Literal::Json(_) => false,
    }
}

/// A set is equal to a list with the same members in any order, and to a text that is its only member.
fn set_equals(members: &[String], literal: &Literal) -> bool {
    match literal {
        Literal::Text(wanted) | Literal::Json(Json::String(wanted)) => {
            !members.is_empty() && members.iter().all(|m| m == wanted)
        }
        Literal::Json(Json::Array(wanted)) => {
            let word = |w: &Json| w.as_str().map_or_else(|| w.to_string(), str::to_owned);
            let wanted: Vec<String> = wanted.iter().map(word).collect();
            wanted.iter().all(|w| members.contains(w)) && members.iter().all(|m| wanted.contains(m))
        }
        Literal::Quantity(_) | Literal::Bool(_) | Literal::Json(_) => false,
    }
}

/// Tells whether two JSON values are equal: numbers by value, objects whatever their order.
pub(crate) fn json_equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(a), Json::Number(b)) => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| json_equal(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| json_equal(a, b)))
        }
        (Json::Null | Json::Bool(_) | Json::String(_), _) | (Json::Number(_) | Json::Array(_) | Json::Object(_), _) => {
            left == right
        }
    }
}

/// Whole numbers are compared digit by digit: beyond 2^53 floating point would take neighbours for equal.
fn whole(number: &serde_json::Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_numbers_are_equal_by_value_and_text_is_not_a_number() {
        let table = [
            (json!(1), json!(1.0), true),
            (json!("1"), json!(1), false),
            (json!({"a": 1, "b": [true, null]}), json!({"b": [true, null], "a": 1.0}), true),
            (json!([1, 2]), json!([2, 1]), false),
            (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64), false),
            (json!(null), json!(null), true),
            (json!(null), json!(false), false),
        ];
        for (left, right, expected) in table {
            assert_eq!(json_equal(&left, &right), expected, "{left} and {right}");
        }
    }

    #[test]
    fn sets_have_no_order() {
        let members = ["b".to_owned(), "a".to_owned()];
        assert!(equal(Seen::Set(&members), &Literal::Json(json!(["a", "b"]))));
        assert!(!equal(Seen::Set(&members), &Literal::Json(json!(["a"]))));
        assert!(!equal(Seen::Set(&members), &Literal::Text("a".into())));
        assert!(!equal(Seen::Set(&[]), &Literal::Text("a".into())));
    }

    #[test]
    fn text_that_reads_as_a_number_equals_it_outside_json() {
        let five = Literal::Quantity(Quantity::number(5.0));
        assert!(equal(Seen::Text { text: "5.0", json: false }, &five));
        assert!(!equal(Seen::Text { text: "5", json: true }, &five));
        assert!(equal(Seen::Number(5.0), &Literal::Text("5".into())));
        assert!(equal(Seen::Number(0.05), &Literal::Text("5%".into())));
    }
}
