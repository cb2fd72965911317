//! A vector of series against one matcher: every series must hold, or at least one.

use super::compare;
use super::matching::{Judged, Seen, Truth, judge};
use super::relative::Held;
use super::words;
use crate::model::{Kind, Matcher, Sample};

/// How many of a vector's series must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// All of them.
    Every,
    /// One is enough.
    Any,
}

/// What came of a vector: the judgement, the words, and the number of the series that decided, with its limit.
pub(crate) struct Vector {
    pub(crate) truth: Truth,
    pub(crate) observed: String,
    pub(crate) value: Option<f64>,
    pub(crate) limit: Option<f64>,
}

/// Judges a vector that has at least one series. The words name the series that decided: the worst of those that
/// fail, or, where all hold, the one nearest to the limit.
pub(crate) fn judge_all(samples: &[Sample], kind: Kind, matcher: &Matcher, negated: bool, policy: Policy) -> Vector {
    if let Matcher::Length(inner) = matcher {
        return judge_count(samples, inner, negated);
    }
    let judged: Vec<Judged> = samples.iter().map(|sample| judge_one(sample, matcher, negated)).collect();
    let limit = compare::unit_of(matcher);
    decided(samples, &judged, &|_| matcher, (policy, negated), &|worst| words::number(worst, kind, limit))
}

/// Judges a vector whose series have a limit each.
pub(crate) fn judge_each(
    samples: &[Sample],
    kind: Kind,
    limit_of: &dyn Fn(&Sample) -> Held,
    negated: bool,
    policy: Policy,
) -> Vector {
    let held: Vec<Held> = samples.iter().map(limit_of).collect();
    let judge = |(sample, held): (&Sample, &Held)| {
        let judged = judge_one(sample, &held.matcher, negated);
        match (judged.truth, &held.unknown) {
            (Truth::Unknown, Some(why)) if !sample.value.is_nan() => Judged { note: Some(why.clone()), ..judged },
            _ => judged,
        }
    };
    let judged: Vec<Judged> = samples.iter().zip(&held).map(judge).collect();
    decided(samples, &judged, &|n| &held[n].matcher, (policy, negated), &|worst| words::number(worst, kind, None))
}

fn judge_one(sample: &Sample, matcher: &Matcher, negated: bool) -> Judged {
    let judged = judge(Seen::Number(sample.value), matcher);
    if negated { judged.negated() } else { judged }
}

/// Finds the series that decided, and says it.
fn decided<'m>(
    samples: &[Sample],
    judged: &[Judged],
    matcher: &dyn Fn(usize) -> &'m Matcher,
    (policy, negated): (Policy, bool),
    shown: &dyn Fn(f64) -> String,
) -> Vector {
    let truth = combined(judged, policy);
    let deciding = || (0..samples.len()).filter(|n| judged[*n].truth == truth);
    let sign = if negated { -1.0 } else { 1.0 };
    let badness = |n: usize| sign * compare::badness(samples[n].value, matcher(n));
    let worst = deciding().max_by(|a, b| badness(*a).total_cmp(&badness(*b)));
    let count = count_words(samples.len(), deciding().count(), truth);
    let Some(worst) = worst else { return Vector { truth, observed: count, value: None, limit: None } };
    let (sample, note) = (&samples[worst], judged[worst].note.as_deref());
    let number = shown(sample.value);
    let note = note.filter(|_| !sample.value.is_nan()).map(|note| format!(" ({note})")).unwrap_or_default();
    let at = name(sample);
    let observed = match samples.len() {
        1 => format!("{number}{note}{at}"),
        _ => format!("{count}: worst {number}{note}{at}"),
    };
    let limit = compare::limit(matcher(worst)).map(|limit| limit.value);
    Vector { truth, observed, value: Some(sample.value), limit }
}

fn judge_count(samples: &[Sample], inner: &Matcher, negated: bool) -> Vector {
    let count = samples.len() as f64;
    let judged = judge(Seen::Number(count), inner);
    let judged = if negated { judged.negated() } else { judged };
    Vector { truth: judged.truth, observed: format!("{count} series"), value: Some(count), limit: None }
}

fn combined(judged: &[Judged], policy: Policy) -> Truth {
    let order = match policy {
        Policy::Every => [Truth::Broken, Truth::Fails, Truth::Unknown, Truth::Holds],
        Policy::Any => [Truth::Holds, Truth::Unknown, Truth::Fails, Truth::Broken],
    };
    order.into_iter().find(|truth| judged.iter().any(|j| j.truth == *truth)).unwrap_or(Truth::Unknown)
}

fn count_words(all: usize, deciding: usize, truth: Truth) -> String {
    match truth {
        Truth::Holds if deciding == all => format!("all {all} series hold"),
        Truth::Holds => format!("{deciding} of {all} series hold"),
        Truth::Fails | Truth::Broken => format!("{deciding} of {all} series fail"),
        Truth::Unknown => format!("{deciding} of {all} series cannot be told"),
    }
}

/// Prints a series as PromQL writes it, behind a number: ` at up{job="a"}`; nothing for one without labels.
fn name(sample: &Sample) -> String {
    if sample.labels.is_empty() {
        return String::new();
    }
    let metric = sample.labels.get("__name__").map(String::as_str).unwrap_or_default();
    let labels: Vec<_> =
        sample.labels.iter().filter(|(k, _)| *k != "__name__").map(|(k, v)| format!("{k}={v:?}")).collect();
    match labels.is_empty() {
        true => format!(" at {metric}"),
        false => format!(" at {metric}{{{}}}", labels.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Op, Quantity};

    fn vector(values: &[f64]) -> Vec<Sample> {
        let sample = |(n, value): (usize, &f64)| Sample {
            labels: [("__name__".to_owned(), "up".to_owned()), ("n".to_owned(), n.to_string())].into(),
            value: *value,
        };
        values.iter().enumerate().map(sample).collect()
    }

    fn judged(values: &[f64], policy: Policy) -> (Truth, String, Option<f64>) {
        let most = Matcher::Compare(Op::AtMost, Quantity::parse("5%").expect("valid"));
        let vector = judge_all(&vector(values), Kind::Quantity, &most, false, policy);
        (vector.truth, vector.observed, vector.value)
    }

    #[test]
    fn the_worst_series_is_named_with_its_labels() {
        assert_eq!(
            judged(&[0.01, 0.06, 0.09], Policy::Every),
            (Truth::Fails, "2 of 3 series fail: worst 9% at up{n=\"2\"}".into(), Some(0.09))
        );
        assert_eq!(
            judged(&[0.01, 0.04], Policy::Every),
            (Truth::Holds, "all 2 series hold: worst 4% at up{n=\"1\"}".into(), Some(0.04))
        );
        assert_eq!(judged(&[0.07], Policy::Every), (Truth::Fails, "7% at up{n=\"0\"}".into(), Some(0.07)));
    }

    #[test]
    fn one_nan_among_good_series_cannot_be_told_and_a_failure_outweighs_it() {
        assert_eq!(judged(&[0.01, f64::NAN], Policy::Every).0, Truth::Unknown);
        assert!(judged(&[0.01, f64::NAN], Policy::Every).1.contains("NaN"));
        assert_eq!(judged(&[0.09, f64::NAN], Policy::Every).0, Truth::Fails);
        assert_eq!(judged(&[0.01, f64::NAN], Policy::Any).0, Truth::Holds);
        assert_eq!(judged(&[0.09, f64::NAN], Policy::Any).0, Truth::Unknown);
    }

    #[test]
    fn one_good_series_is_enough_only_when_asked_for() {
        assert_eq!(judged(&[0.01, 0.09], Policy::Every).0, Truth::Fails);
        assert_eq!(judged(&[0.01, 0.09], Policy::Any).0, Truth::Holds);
        assert_eq!(judged(&[0.08, 0.09], Policy::Any).0, Truth::Fails);
    }

    #[test]
    fn the_length_of_a_vector_is_its_number_of_series() {
        let three = Matcher::Length(Box::new(Matcher::Compare(Op::AtLeast, Quantity::number(3.0))));
        let judged = judge_all(&vector(&[1.0, f64::NAN]), Kind::Quantity, &three, false, Policy::Every);
        assert_eq!((judged.truth, judged.observed.as_str()), (Truth::Fails, "2 series"));
    }
}
