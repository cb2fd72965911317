//! Words for what must hold, for a step whose look came to no assertion: nothing answered, or it never ran.

use crate::model::outline::StepOutline;
use crate::model::{Expectation, Literal, Matcher, quantity};

/// Words what a step expects; what it should hold when nothing must.
pub(super) fn words(outline: &StepOutline) -> String {
    outline.expect.as_ref().or(outline.warn.as_ref()).map(expectation).unwrap_or_default()
}

fn expectation(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Measure { name, matcher, .. } if name.name() == "value" && name.key().is_none() => {
            words_of(matcher)
        }
        Expectation::Measure { name, matcher, .. } => format!("{name} {}", words_of(matcher)),
        Expectation::That { expression, .. } => expression.clone(),
        Expectation::All(list) => joined(list, expectation_in_list, ", "),
        Expectation::Any(list) => joined(list, expectation_in_list, " or "),
        Expectation::Not(inner) => format!("not ({})", self::expectation(inner)),
    }
}

fn expectation_in_list(inner: &Expectation) -> String {
    match inner {
        Expectation::Measure { .. } | Expectation::That { .. } | Expectation::Not(_) => expectation(inner),
        Expectation::All(list) | Expectation::Any(list) if list.len() == 1 => expectation(inner),
        Expectation::All(_) | Expectation::Any(_) => format!("({})", expectation(inner)),
    }
}

fn words_of(matcher: &Matcher) -> String {
    match matcher {
        Matcher::Compare(op, limit) => format!("{} {limit}", op.sign()),
        Matcher::Between(low, high) => format!("between {low} and {high}"),
        Matcher::Within(share, centre) => format!("within {}% of {centre}", quantity::plain(share * 100.0)),
        Matcher::Around(centre, distance) => format!("{centre} ± {distance}"),
        Matcher::Equals(value) => literal(value),
        Matcher::StatusClass(digit) => format!("{digit}xx"),
        Matcher::OneOf(list) => format!("one of {}", joined(list, words_of, ", ")),
        Matcher::Contains(value) => format!("contains {}", literal(value)),
        Matcher::StartsWith(text) => format!("starts with {text:?}"),
        Matcher::EndsWith(text) => format!("ends with {text:?}"),
        Matcher::Matches(pattern) => format!("matches {pattern}"),
        Matcher::Semver(requirement) => format!("version {requirement}"),
        Matcher::Length(inner) => format!("length {}", words_of(inner)),
        Matcher::Exists => "exists".into(),
        Matcher::Absent => "absent".into(),
        Matcher::Empty => "empty".into(),
        Matcher::Every => "all".into(),
        Matcher::NoneOf => "none".into(),
        Matcher::Some => "any".into(),
        Matcher::All(list) => joined(list, words_of, " and "),
        Matcher::Not(inner) => format!("not {}", words_of(inner)),
    }
}

fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Quantity(quantity) => quantity.to_string(),
        Literal::Text(text) => text.clone(),
        Literal::Bool(value) => value.to_string(),
        Literal::Json(value) => value.to_string(),
    }
}

fn joined<T>(list: &[T], word: fn(&T) -> String, between: &str) -> String {
    list.iter().map(word).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, MeasureName, Op, Origin, Quantity};

    fn measure(name: MeasureName, matcher: Matcher) -> Expectation {
        let origin = Origin { file: "a.yaml".into(), line: 1, column: 1 };
        Expectation::Measure { name, kind: Kind::Quantity, matcher, origin }
    }

    #[test]
    fn expectations_read_like_the_checklist() {
        let limit = Quantity::parse("500ms").expect("a quantity");
        let latency = measure(MeasureName::plain("latency"), Matcher::Compare(Op::Less, limit));
        let value =
            measure(MeasureName::plain("value"), Matcher::Between(Quantity::number(1.0), Quantity::number(2.0)));
        let status = measure(
            MeasureName::plain("status"),
            Matcher::OneOf(vec![Matcher::StatusClass(2), Matcher::Equals(Literal::Quantity(Quantity::number(304.0)))]),
        );
        let any = Expectation::Any(vec![value.clone(), status]);
        assert_eq!(expectation(&value), "between 1 and 2");
        assert_eq!(
            expectation(&Expectation::All(vec![latency, any])),
            "latency < 500ms, (between 1 and 2 or status one of 2xx, 304)"
        );
    }
}
