//! Words for what must hold, for a step whose look came to no assertion: nothing answered, or it never ran.

use crate::judge::words::expectation;
use crate::model::outline::StepOutline;

/// Words what a step expects; what it should hold when nothing must.
pub(super) fn words(outline: &StepOutline) -> String {
    outline.expect.as_ref().or(outline.warn.as_ref()).map(expectation).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Expectation, Kind, Literal, Matcher, MeasureName, Op, Origin, Quantity};

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
