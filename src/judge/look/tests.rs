//! Whole looks: what was observed, what was expected, what follows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::{Literal, Op, Quantity, Sample, Tally};

fn at() -> Origin {
    Origin { file: "c.yaml".into(), line: 7, column: 3 }
}

fn of(name: &'static str, kind: Kind, matcher: Matcher) -> Expectation {
    Expectation::Measure { name: MeasureName::plain(name), kind, matcher, origin: at() }
}

fn status(wanted: f64) -> Expectation {
    of("status", Kind::Number, Matcher::Equals(Literal::Quantity(Quantity::number(wanted))))
}

fn under(op: Op, limit: &str) -> Expectation {
    of("latency", Kind::Duration, Matcher::Compare(op, Quantity::parse(limit).expect(limit)))
}

fn observed(entries: Vec<(&'static str, Value)>) -> Observation {
    let measures = entries.into_iter().map(|(name, value)| (MeasureName::plain(name), value)).collect();
    Observation::new("GET http://h/", Found::Measures(measures))
}

fn verdict(expect: &Expectation, entries: Vec<(&'static str, Value)>) -> Verdict {
    look(&observed(entries), &Terms { expect: Some(expect), ..Terms::default() })
}

#[test]
fn a_finding_says_what_was_expected_and_what_was_there() {
    let got = verdict(&under(Op::Less, "500ms"), vec![("latency", Value::Number(0.8123))]);
    assert_eq!(got.outcome, Outcome::Fail);
    assert_eq!(got.summary, "latency: expected < 500ms, observed 812ms");
    let finding = Finding {
        subject: "latency".into(),
        expected: "< 500ms".into(),
        observed: "812ms".into(),
        outcome: Outcome::Fail,
        origin: Some(at()),
        value: Some(0.8123),
        limit: Some(0.5),
    };
    assert_eq!(got.findings, [finding]);
}

#[test]
fn a_plain_pass_has_no_summary() {
    let got = verdict(&status(200.0), vec![("status", Value::Number(200.0))]);
    assert_eq!((got.outcome, got.summary.as_str()), (Outcome::Pass, ""));
    assert_eq!((got.findings[0].expected.as_str(), got.findings[0].observed.as_str()), ("200", "200"));
}

#[test]
fn what_cannot_be_measured_keeps_its_own_word() {
    let expect = status(200.0);
    let terms = Terms { expect: Some(&expect), ..Terms::default() };
    let table = [
        (Found::NoAnswer { cause: "connection refused".into() }, Outcome::Fail),
        (Found::could_not_look("no route"), Outcome::Error),
        (Found::NotEnough { cause: "too young".into() }, Outcome::Inconclusive),
        (Found::Waiting { instruction: "publish".into() }, Outcome::Pending),
    ];
    for (found, outcome) in table {
        let got = look(&Observation::new("r", found), &terms);
        assert_eq!(got.outcome, outcome);
        assert!(!got.summary.is_empty());
    }
}

#[test]
fn no_data_follows_the_steps_choice_and_missing_is_a_failure() {
    let expect = status(200.0);
    let table = [
        (OnNoData::Inconclusive, Outcome::Inconclusive),
        (OnNoData::Wait, Outcome::Inconclusive),
        (OnNoData::Fail, Outcome::Fail),
        (OnNoData::Warn, Outcome::Warn),
        (OnNoData::Pass, Outcome::Pass),
    ];
    for (on_no_data, outcome) in table {
        let terms = Terms { expect: Some(&expect), on_no_data, ..Terms::default() };
        let no_data = look(&observed(vec![("status", Value::NoData("the metric never existed".into()))]), &terms);
        assert_eq!(no_data.outcome, outcome, "{on_no_data:?}");
        let untaken = look(&observed(vec![]), &terms);
        assert_eq!((untaken.outcome, untaken.findings[0].observed.as_str()), (Outcome::Inconclusive, "not measured"));
        let empty = look(&observed(vec![("status", Value::Series(Vec::new()))]), &terms);
        assert_eq!(empty.outcome, outcome, "{on_no_data:?}");
        let missing = look(&observed(vec![("status", Value::Missing("no field".into()))]), &terms);
        assert_eq!(missing.outcome, Outcome::Fail, "{on_no_data:?}");
    }
    let got = verdict(&expect, vec![("status", Value::NoData("it stopped at 14:02".into()))]);
    assert_eq!(got.summary, "status: no data: it stopped at 14:02");
}

#[test]
fn nothing_is_absent_from_what_could_not_be_looked_into() {
    for on_no_data in [OnNoData::Inconclusive, OnNoData::Fail] {
        for (kind, passes) in [(Kind::Quantity, true), (Kind::Json, false), (Kind::Text, false), (Kind::Number, false)]
        {
            for matcher in [Matcher::Absent, Matcher::Not(Box::new(Matcher::Exists))] {
                let expect = of("x", kind, matcher);
                let terms = Terms { expect: Some(&expect), on_no_data, ..Terms::default() };
                let got = look(&observed(vec![("x", Value::NoData("it is not JSON".into()))]), &terms);
                assert_eq!(got.outcome == Outcome::Pass, passes, "{kind:?}: {got:?}");
            }
        }
    }
}

#[test]
fn absence_passes_only_when_it_is_asked_for() {
    let missing = || vec![("body", Value::Missing("no body".into()))];
    let body = |matcher| of("body", Kind::Text, matcher);
    let not = |m| Expectation::Not(Box::new(m));
    let inner_not = |m| Matcher::Not(Box::new(m));
    let table = [
        (body(Matcher::Absent), Outcome::Pass),
        (body(inner_not(Matcher::Exists)), Outcome::Pass),
        (not(body(Matcher::Exists)), Outcome::Pass),
        (body(Matcher::Exists), Outcome::Fail),
        (not(body(Matcher::Absent)), Outcome::Fail),
        (body(inner_not(Matcher::Contains(Literal::Text("x".into())))), Outcome::Fail),
        (not(body(Matcher::Contains(Literal::Text("x".into())))), Outcome::Fail),
        (body(Matcher::NoneOf), Outcome::Fail),
        (body(Matcher::Empty), Outcome::Fail),
    ];
    for (expect, outcome) in table {
        assert_eq!(verdict(&expect, missing()).outcome, outcome, "{expect:?}");
    }
    let no_series = || vec![("value", Value::NoData("no series".into()))];
    let value = |matcher| of("value", Kind::Quantity, matcher);
    assert_eq!(verdict(&value(Matcher::Absent), no_series()).outcome, Outcome::Pass);
    assert_eq!(verdict(&value(Matcher::Exists), no_series()).outcome, Outcome::Inconclusive);
    assert_eq!(verdict(&body(Matcher::Absent), vec![]).outcome, Outcome::Inconclusive);
}

#[test]
fn nan_is_never_a_pass_nor_a_failure() {
    for op in [Op::Less, Op::AtMost, Op::Greater, Op::AtLeast, Op::Equal, Op::NotEqual] {
        let expect = under(op, "5s");
        let got = verdict(&expect, vec![("latency", Value::Number(f64::NAN))]);
        assert_eq!(got.outcome, Outcome::Inconclusive, "{op:?}");
        assert!(got.summary.contains("NaN"), "{}", got.summary);
        let negated = Expectation::Not(Box::new(expect));
        assert_eq!(
            verdict(&negated, vec![("latency", Value::Number(f64::NAN))]).outcome,
            Outcome::Inconclusive,
            "not {op:?}"
        );
    }
}

#[test]
fn combinations_follow_three_valued_logic() {
    use Outcome::{Fail, Inconclusive, Pass};
    let entries =
        || vec![("status", Value::Number(200.0)), ("latency", Value::Number(9.0)), ("ratio", Value::Number(f64::NAN))];
    let holds = || status(200.0);
    let fails = || under(Op::Less, "1s");
    let unknown = || of("ratio", Kind::Ratio, Matcher::Compare(Op::Less, Quantity::number(1.0)));
    let not = |e| Expectation::Not(Box::new(e));
    let table = [
        (Expectation::Any(vec![fails(), holds()]), Pass),
        (Expectation::Any(vec![fails(), unknown()]), Inconclusive),
        (Expectation::Any(vec![fails(), fails()]), Fail),
        (Expectation::Any(vec![unknown(), holds()]), Pass),
        (Expectation::All(vec![holds(), unknown()]), Inconclusive),
        (Expectation::All(vec![unknown(), fails()]), Fail),
        (Expectation::All(vec![holds(), holds()]), Pass),
        (not(holds()), Fail),
        (not(fails()), Pass),
        (not(unknown()), Inconclusive),
        (not(not(holds())), Pass),
        (not(Expectation::Any(vec![fails(), holds()])), Fail),
        (not(Expectation::All(vec![fails(), holds()])), Pass),
        (Expectation::Any(vec![]), Inconclusive),
        (Expectation::All(vec![]), Inconclusive),
    ];
    for (expect, outcome) in table {
        assert_eq!(verdict(&expect, entries()).outcome, outcome, "{expect:?}");
    }
}

#[test]
fn an_any_that_holds_shows_only_what_holds() {
    let any = Expectation::Any(vec![status(200.0), status(204.0)]);
    let got = verdict(&any, vec![("status", Value::Number(204.0))]);
    assert_eq!(got.findings.len(), 1);
    assert_eq!(got.findings[0].expected, "204");
    assert_eq!(verdict(&any, vec![("status", Value::Number(500.0))]).findings.len(), 2);
}

#[test]
fn the_worst_of_expect_and_warn_wins() {
    let (expect, warn) = (under(Op::Less, "5s"), under(Op::Less, "1s"));
    let terms = Terms { expect: Some(&expect), warn: Some(&warn), ..Terms::default() };
    for (latency, outcome) in [(0.5, Outcome::Pass), (2.0, Outcome::Warn), (9.0, Outcome::Fail)] {
        let got = look(&observed(vec![("latency", Value::Number(latency))]), &terms);
        assert_eq!(got.outcome, outcome, "{latency}");
        assert_eq!(got.findings.len(), 2);
    }
    let alone = Terms { warn: Some(&warn), ..Terms::default() };
    assert_eq!(look(&observed(vec![("latency", Value::Number(2.0))]), &alone).outcome, Outcome::Warn);
}

#[test]
fn a_step_that_asserts_nothing_is_not_a_pass() {
    let terms = Terms::default();
    assert_eq!(look(&observed(vec![]), &terms).outcome, Outcome::Inconclusive);
    assert_eq!(look(&observed(vec![]), &Terms { speaks: true, ..terms }).outcome, Outcome::Pass);
}

#[test]
fn json_numbers_are_said_in_the_unit_of_the_limit() {
    let name = MeasureName::keyed("json", "$.ratio");
    let matcher = Matcher::Compare(Op::Less, Quantity::parse("5%").expect("valid"));
    let expect = Expectation::Measure { name: name.clone(), kind: Kind::Json, matcher, origin: at() };
    let measures = [(name, Value::Json(json!(0.0714)))].into_iter().collect();
    let terms = Terms { expect: Some(&expect), ..Terms::default() };
    let got = look(&Observation::new("r", Found::Measures(measures)), &terms);
    assert_eq!(got.summary, "json[$.ratio]: expected < 5%, observed 7.14%");
    assert_eq!(got.findings[0].value, Some(0.0714));
}

#[test]
fn an_expression_over_missing_fields_fails_either_way() {
    let that = || Expectation::That { expression: "json.a == 1".into(), origin: at() };
    let entries = || vec![("json", Value::Json(json!({})))];
    for expect in [that(), Expectation::Not(Box::new(that()))] {
        assert_eq!(verdict(&expect, entries()).outcome, Outcome::Fail, "{expect:?}");
    }
    let got = verdict(&that(), vec![("json", Value::Json(json!({"a": 2})))]);
    assert_eq!(got.summary, "json.a == 1: expected true, observed json = {\"a\":2}");
}

#[test]
fn a_vector_is_judged_series_by_series_and_negation_too() {
    let series = |values: &[f64]| {
        let sample = |v: &f64| Sample { labels: BTreeMap::new(), value: *v };
        vec![("latency", Value::Series(values.iter().map(sample).collect()))]
    };
    let over = || Expectation::Not(Box::new(under(Op::Greater, "5s")));
    assert_eq!(verdict(&over(), series(&[1.0, 2.0])).outcome, Outcome::Pass);
    assert_eq!(verdict(&over(), series(&[1.0, 9.0])).outcome, Outcome::Fail);
    let expect = under(Op::Less, "5s");
    let any = Terms { expect: Some(&expect), series_any: true, ..Terms::default() };
    assert_eq!(look(&observed(series(&[1.0, 9.0])), &any).outcome, Outcome::Pass);
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_map(Value::Number),
        ".{0,8}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|n| Value::Json(json!({"n": n, "l": [n, "x", null]}))),
        prop::collection::vec("[a-z]{0,3}", 0..4).prop_map(Value::Set),
        prop::collection::vec(("[a-z]{1,3}", any::<bool>()), 0..4).prop_map(|of| Value::Tally(Tally::named(of))),
        prop::collection::vec(any::<f64>(), 0..4).prop_map(|values| {
            Value::Series(values.into_iter().map(|value| Sample { labels: BTreeMap::new(), value }).collect())
        }),
        Just(Value::Missing("m".into())),
        Just(Value::NoData("n".into())),
    ]
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let quantity = || any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(Quantity::number);
    let leaf = prop_oneof![
        quantity().prop_map(|q| Matcher::Compare(Op::AtMost, q)),
        (quantity(), quantity()).prop_map(|(a, b)| Matcher::Between(a, b)),
        (0.0..1.0, quantity()).prop_map(|(share, q)| Matcher::Within(share, q)),
        ".{0,4}".prop_map(|t| Matcher::Contains(Literal::Text(t))),
        ".{0,4}".prop_map(Matcher::Matches),
        ".{0,4}".prop_map(Matcher::Semver),
        Just(Matcher::Exists),
        Just(Matcher::Absent),
        Just(Matcher::Empty),
        Just(Matcher::Every),
        Just(Matcher::NoneOf),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|m| Matcher::Not(Box::new(m))),
            inner.clone().prop_map(|m| Matcher::Length(Box::new(m))),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Matcher::All),
            prop::collection::vec(inner, 0..3).prop_map(Matcher::OneOf),
        ]
    })
}

proptest! {
    #[test]
    fn judging_is_deterministic_and_says_why(value in any_value(), matcher in any_matcher()) {
        let expect = of("x", Kind::Quantity, matcher);
        let first = verdict(&expect, vec![("x", value.clone())]);
        let text = format!("{first:?}");
        prop_assert_eq!(&text, &format!("{:?}", verdict(&expect, vec![("x", value)])));
        prop_assert!(matches!(first.outcome, Outcome::Pass | Outcome::Fail | Outcome::Inconclusive));
        prop_assert_eq!(first.summary.is_empty(), first.outcome == Outcome::Pass);
    }

    #[test]
    fn a_value_and_its_negation_never_both_pass(value in any_value(), matcher in any_matcher()) {
        let expect = of("x", Kind::Quantity, matcher);
        let not = Expectation::Not(Box::new(expect.clone()));
        let pass = |e: &Expectation| verdict(e, vec![("x", value.clone())]).outcome == Outcome::Pass;
        prop_assert!(!(pass(&expect) && pass(&not)));
    }

    #[test]
    fn every_verdict_survives_the_record(value in any_value(), matcher in any_matcher()) {
        let expect = of("x", Kind::Quantity, matcher);
        let text = serde_json::to_string(&expect).expect("serialises");
        let back: Expectation = serde_json::from_str(&text).expect("reads back");
        let again = verdict(&back, vec![("x", value.clone())]);
        prop_assert_eq!(format!("{:?}", verdict(&expect, vec![("x", value)])), format!("{again:?}"));
    }
}
