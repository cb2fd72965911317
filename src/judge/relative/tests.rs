//! Relative limits: every way to have something to hold a value against, and every way to have nothing.

use std::collections::BTreeMap;

use super::*;
use crate::judge::{Terms, look};
use crate::model::{Found, Observation, Op, Origin};

fn of(kind: Kind, matcher: Matcher) -> Expectation {
    let origin = Origin { file: "c.yaml".into(), line: 1, column: 1 };
    Expectation::Measure { name: MeasureName::plain("value"), kind, matcher, origin }
}

fn times(op: Op, factor: f64, against: Against) -> Matcher {
    Matcher::Relative(Relation::Compare(op, factor), against)
}

fn reference(name: Against, value: Value) -> Reference {
    Reference { name, measure: MeasureName::plain("value"), value, origin: "step p95-before, 21:04:10 UTC".into() }
}

fn series(all: &[(&str, f64)]) -> Value {
    let sample = |(pod, value): &(&str, f64)| {
        let mut labels = BTreeMap::from([("__name__".to_owned(), format!("m{value}"))]);
        if !pod.is_empty() {
            labels.insert("pod".into(), (*pod).to_owned());
        }
        Sample { labels, value: *value }
    };
    Value::Series(all.iter().map(sample).collect())
}

fn judged(expect: &Expectation, value: Value, against: &[Reference]) -> Verdict {
    let observation =
        Observation::new("q", Found::Measures([(MeasureName::plain("value"), value)].into_iter().collect()));
    look(&observation, &Terms { expect: Some(expect), against, ..Terms::default() })
}

#[test]
fn the_limit_is_said_with_what_it_comes_from() {
    let expect = of(Kind::Duration, times(Op::AtMost, 1.5, Against::Baseline));
    let against = [reference(Against::Baseline, Value::Number(0.8))];
    let got = judged(&expect, Value::Number(1.31), &against);
    assert_eq!(got.outcome, Outcome::Fail);
    assert_eq!(
        got.summary,
        "value: expected <= 1.5x baseline (800ms: step p95-before, 21:04:10 UTC → limit 1.2s), observed 1.31s"
    );
    assert_eq!((got.findings[0].value, got.findings[0].limit), (Some(1.31), Some(0.8 * 1.5)));
    assert_eq!(judged(&expect, Value::Number(1.2), &against).outcome, Outcome::Pass);
}

#[test]
fn every_relation_has_values_that_hold_and_values_that_do_not() {
    use Outcome::{Fail, Pass};
    let (compare, baseline) = (|op| times(op, 1.0, Against::Baseline), Against::Baseline);
    let between = || Matcher::Relative(Relation::Between(0.9, 1.1), baseline);
    let within = || Matcher::Relative(Relation::Within(0.1), baseline);
    let table = [
        (compare(Op::Less), 100.0, 99.0, Pass),
        (compare(Op::Less), 100.0, 100.0, Fail),
        (compare(Op::Equal), 100.0, 100.0, Pass),
        (compare(Op::NotEqual), 100.0, 100.0, Fail),
        (times(Op::Greater, 2.0, baseline), 100.0, 201.0, Pass),
        (between(), 100.0, 90.0, Pass),
        (between(), 100.0, 111.0, Fail),
        (between(), -100.0, -105.0, Pass),
        (between(), -100.0, -80.0, Fail),
        (within(), 100.0, 110.0, Pass),
        (within(), -100.0, -111.0, Fail),
        (Matcher::Not(Box::new(compare(Op::Greater))), 100.0, 50.0, Pass),
        (Matcher::All(vec![compare(Op::AtLeast), times(Op::AtMost, 2.0, baseline)]), 100.0, 300.0, Fail),
        (Matcher::OneOf(vec![compare(Op::Equal), times(Op::Equal, 2.0, baseline)]), 100.0, 200.0, Pass),
    ];
    for (matcher, base, value, outcome) in table {
        let got = judged(
            &of(Kind::Quantity, matcher.clone()),
            Value::Number(value),
            &[reference(baseline, Value::Number(base))],
        );
        assert_eq!(got.outcome, outcome, "{matcher:?} with {value} for {base}: {got:?}");
    }
}

#[test]
fn missing_baseline_is_inconclusive() {
    let no_data = || Value::NoData("the step did not pass".into());
    let table = [
        (None, "there is no baseline"),
        (Some(no_data()), "there is no baseline: the step did not pass"),
        (Some(Value::Missing("no field".into())), "there is no baseline: no field"),
        (Some(Value::Number(0.0)), "the baseline is 0"),
        (Some(Value::Number(-0.0)), "the baseline is 0"),
        (Some(Value::Number(f64::NAN)), "the baseline is NaN"),
        (Some(Value::Number(f64::INFINITY)), "the baseline is +Inf"),
        (Some(Value::Text("7".into())), "the baseline is not a number"),
        (Some(series(&[])), "the baseline has no series"),
        (Some(series(&[("a", 1.0), ("b", 2.0)])), "the baseline has 2 series for one number"),
        (Some(series(&[("a", f64::NAN)])), "the baseline is NaN"),
    ];
    for negated in [false, true] {
        for (value, why) in &table {
            let expect = of(Kind::Quantity, times(Op::AtMost, 1.0, Against::Baseline));
            let expect = if negated { Expectation::Not(Box::new(expect)) } else { expect };
            let against: Vec<_> = value.clone().map(|v| reference(Against::Baseline, v)).into_iter().collect();
            let got = judged(&expect, Value::Number(1.0), &against);
            assert_eq!(got.outcome, Outcome::Inconclusive, "{value:?}");
            assert!(got.summary.contains(why), "{} for {why}", got.summary);
            assert!(!is_first(&got), "{value:?}");
        }
    }
}

#[test]
fn a_counter_that_stays_at_zero_has_not_grown_but_has_no_multiple() {
    let zero = [reference(Against::Previous, Value::Number(0.0))];
    let whole = of(Kind::Quantity, times(Op::AtMost, 1.0, Against::Previous));
    assert_eq!(judged(&whole, Value::Number(0.0), &zero).outcome, Outcome::Pass);
    assert_eq!(judged(&whole, Value::Number(1.0), &zero).outcome, Outcome::Fail);
    let multiple = of(Kind::Quantity, times(Op::AtMost, 1.5, Against::Previous));
    assert_eq!(judged(&multiple, Value::Number(0.0), &zero).outcome, Outcome::Inconclusive);
    let share = of(Kind::Quantity, Matcher::Relative(Relation::Within(0.1), Against::Previous));
    assert_eq!(judged(&share, Value::Number(0.0), &zero).outcome, Outcome::Inconclusive);
}

#[test]
fn series_are_held_against_those_of_equal_labels() {
    let expect = of(Kind::Quantity, times(Op::AtMost, 2.0, Against::Baseline));
    let base = |all: &[(&str, f64)]| [reference(Against::Baseline, series(all))];
    let two = [("a", 10.0), ("b", 100.0)];
    type Series<'a> = &'a [(&'a str, f64)];
    let table: &[(Series<'_>, Series<'_>, Outcome, &str)] = &[
        (&[("a", 20.0), ("b", 200.0)], &two, Outcome::Pass, ""),
        (&[("a", 21.0), ("b", 100.0)], &two, Outcome::Fail, "1 of 2 series fail: worst 21 at m21{pod=\"a\"}"),
        (&[("a", 20.0), ("c", 1.0)], &two, Outcome::Inconclusive, "the baseline has no such series"),
        (&[("a", 21.0), ("c", 1.0)], &two, Outcome::Fail, "worst 21"),
        (&[("a", 20.0)], &two, Outcome::Pass, ""),
        // One serves all, with labels or without.
        (&[("a", 20.0), ("b", 21.0)], &[("", 10.0)], Outcome::Fail, "worst 21"),
        (&[("a", 20.0), ("b", 20.0)], &[("x", 10.0)], Outcome::Pass, ""),
        (&[("a", f64::NAN)], &two, Outcome::Inconclusive, "NaN"),
    ];
    for (now, before, outcome, words) in table {
        let got = judged(&expect, series(now), &base(before));
        assert_eq!(got.outcome, *outcome, "{now:?} for {before:?}: {got:?}");
        assert!(got.summary.contains(words), "{}", got.summary);
    }
    let number = [reference(Against::Baseline, Value::Number(10.0))];
    assert_eq!(judged(&expect, series(&two), &number).outcome, Outcome::Fail);
    // What was there at the look before is the same series or nothing.
    let previous = of(Kind::Quantity, times(Op::AtMost, 1.0, Against::Previous));
    let other = [reference(Against::Previous, series(&[("old", 10.0)]))];
    assert_eq!(judged(&previous, series(&[("new", 1.0)]), &other).outcome, Outcome::Inconclusive);
}

#[test]
fn the_first_look_is_taken_as_the_first_value() {
    let expect = of(Kind::Quantity, times(Op::AtMost, 1.0, Against::Previous));
    for (value, words) in [
        (Value::Number(7.0), "7, taken as the first value"),
        (series(&[("a", 7.0)]), "7, taken as the first value"),
        (series(&[("a", 7.0), ("b", 8.0)]), "2 series, taken as the first value"),
    ] {
        let got = judged(&expect, value, &[]);
        assert_eq!(got.outcome, Outcome::Inconclusive);
        assert_eq!(got.findings[0].observed, words);
        assert!(is_first(&got));
    }
    let nan = judged(&expect, Value::Number(f64::NAN), &[]);
    assert!(nan.outcome == Outcome::Inconclusive && !is_first(&nan), "NaN is no first value");
    let lost = reference(Against::Previous, Value::NoData("the look before could not look".into()));
    assert!(!is_first(&judged(&expect, Value::Number(7.0), &[lost])));
    let both = Expectation::All(vec![expect, of(Kind::Quantity, times(Op::AtMost, 1.5, Against::Baseline))]);
    assert!(!is_first(&judged(&both, Value::Number(7.0), &[])), "a baseline is missing too");
}

#[test]
fn what_an_expectation_is_relative_to_is_listed_once() {
    let expect = Expectation::All(vec![
        of(Kind::Quantity, times(Op::AtMost, 1.5, Against::Baseline)),
        Expectation::Not(Box::new(of(Kind::Quantity, times(Op::Greater, 3.0, Against::Baseline)))),
        of(Kind::Quantity, Matcher::Not(Box::new(times(Op::Greater, 1.0, Against::Start)))),
        of(Kind::Quantity, Matcher::Exists),
    ]);
    let value = || MeasureName::plain("value");
    let wanted = relatives(&expect);
    assert_eq!(wanted, [(Against::Baseline, value()), (Against::Start, value())]);
    let earlier: Measures = [(value(), Value::Number(3.0))].into_iter().collect();
    let taken = references(Against::Start, &wanted, &earlier, "the first look");
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].name, &taken[0].value), (Against::Start, &Value::Number(3.0)));
    let nothing = references(Against::Start, &wanted, &Measures::new(), "the first look");
    assert_eq!(nothing[0].value, Value::NoData("value was not measured".into()));
}

#[test]
fn a_counter_that_began_anew_is_not_one_that_did_not_grow() {
    let errors = |value: f64| {
        let labels = [("__name__".to_owned(), "errors_total".to_owned()), ("pod".to_owned(), "a".to_owned())];
        Value::Series(vec![Sample { labels: labels.into(), value }])
    };
    let expect = of(Kind::Quantity, times(Op::AtMost, 1.0, Against::Previous));
    for (now, outcome) in [(50.0, Outcome::Pass), (51.0, Outcome::Fail), (3.0, Outcome::Inconclusive)] {
        let got = judged(&expect, errors(now), &[reference(Against::Previous, errors(50.0))]);
        assert_eq!(got.outcome, outcome, "{now}");
        assert_eq!(got.summary.contains("the counter began anew: 3 after 50"), now < 50.0, "{}", got.summary);
    }
}
