//! Is one vector of samples worse than another? A canary against production, judged from the recorded samples alone.
//!
//! The rule is that of automated canary analysis as Kayenta made it known: a difference counts when it is *both* unlikely
//! to be chance, by the rank-sum test of Mann and Whitney, and large enough to matter. Small but certain differences and
//! large but uncertain ones pass. Without enough data on both sides nothing can be said.

use serde_json::Value as Json;

use super::matching::{Judged, Truth};
use crate::model::{Worse, quantity};
use crate::stats;

/// A difference counts when the likelihood of such ranks by chance is less than this.
const LEVEL: f64 = 0.01;
/// The fewest numbers on either side of which something can be said.
const LEAST: usize = 10;

/// Says what must hold.
pub(super) fn limit(worse: Worse, effect: f64) -> String {
    let share = share(effect);
    match worse {
        Worse::Higher => format!("not higher by {share} or more (p < {LEVEL})"),
        Worse::Lower => format!("not lower by {share} or more (p < {LEVEL})"),
        Worse::Either => format!("not different by {share} or more (p < {LEVEL})"),
    }
}

/// Judges recorded vectors, and says what was there. With several series each is held against that of equal labels, or
/// against the only one there is.
pub(super) fn judge(vectors: &Json, worse: Worse, effect: f64) -> (Judged, String) {
    let points = vectors.get("points").and_then(Json::as_u64).unwrap_or(0);
    let (Some(observed), Some(reference)) = (series(vectors, "observed"), series(vectors, "reference")) else {
        return unknown("these are not two vectors");
    };
    let compared: Vec<Compared> = observed
        .iter()
        .map(|one| match partner(one, &observed, &reference) {
            Some(other) => compare(one, other, points, worse, effect),
            None => Compared { truth: Truth::Unknown, words: "there is no such series to compare with".into() },
        })
        .collect();
    let order = [Truth::Fails, Truth::Unknown, Truth::Holds];
    let Some(truth) = order.into_iter().find(|truth| compared.iter().any(|c| c.truth == *truth)) else {
        return unknown("there are no series");
    };
    let mut deciding = observed.iter().zip(&compared).filter(|(_, c)| c.truth == truth);
    let words = deciding.next().map(|(one, c)| format!("{}{}", c.words, one.name)).unwrap_or_default();
    let words = match compared.len() {
        1 => words,
        all => format!("{} of {all} series: {words}", deciding.count() + 1),
    };
    (Judged { truth, note: None }, words)
}

fn unknown(why: &str) -> (Judged, String) {
    (Judged { truth: Truth::Unknown, note: None }, why.to_owned())
}

/// One recorded series.
struct Series<'a> {
    labels: Option<&'a Json>,
    /// Its labels behind a number: ` at {pod="a"}`.
    name: String,
    /// Its numbers; NaN is left out.
    numbers: Vec<f64>,
}

fn series<'a>(vectors: &'a Json, side: &str) -> Option<Vec<Series<'a>>> {
    let read = |value: &Json| match value {
        Json::Number(number) => number.as_f64(),
        Json::String(word) => word.parse().ok().filter(|number: &f64| !number.is_nan()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    };
    let one = |series: &'a Json| {
        let labels = series.get("labels");
        let pairs = labels.and_then(Json::as_object).into_iter().flatten();
        let shown: Vec<_> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        let name = if shown.is_empty() { String::new() } else { format!(" at {{{}}}", shown.join(", ")) };
        let numbers = series.get("values")?.as_array()?.iter().filter_map(read).collect();
        Some(Series { labels, name, numbers })
    };
    vectors.get(side)?.as_array()?.iter().map(one).collect()
}

fn partner<'s, 'a>(one: &Series<'a>, observed: &[Series<'a>], reference: &'s [Series<'a>]) -> Option<&'s Series<'a>> {
    match reference {
        [only] if observed.len() == 1 || only.name.is_empty() => Some(only),
        [only] => Some(only).filter(|_| !observed.iter().any(|o| o.labels == only.labels) || one.labels == only.labels),
        many => many.iter().find(|other| other.labels == one.labels),
    }
}

struct Compared {
    truth: Truth,
    words: String,
}

/// Compares two series. Both must hold at least ten numbers, and numbers at half of their points.
fn compare(one: &Series<'_>, other: &Series<'_>, points: u64, worse: Worse, effect: f64) -> Compared {
    let (n, m) = (one.numbers.len(), other.numbers.len());
    let needed = LEAST.max(usize::try_from(points / 2).unwrap_or(usize::MAX));
    if n < needed || m < needed {
        let words = format!("{n} and {m} samples, at least {needed} of each are needed");
        return Compared { truth: Truth::Unknown, words };
    }
    let mean = |series: &Series<'_>| stats::mean(series.numbers.iter().copied()).unwrap_or(f64::NAN);
    let (a, b) = (mean(one), mean(other));
    // Two infinite means are not equal: nothing can be said of them.
    let difference = if a == b && a.is_finite() { 0.0 } else { (a - b) / b.abs() };
    let Some(ranks) = stats::rank_sum(&one.numbers, &other.numbers).filter(|_| !difference.is_nan()) else {
        return Compared { truth: Truth::Unknown, words: format!("means {} and {}", plain(a), plain(b)) };
    };
    let (chance, size) = match worse {
        Worse::Higher => (ranks.greater, difference),
        Worse::Lower => (ranks.less, -difference),
        Worse::Either => (ranks.differs, difference.abs()),
    };
    let truth = if chance < LEVEL && size >= effect { Truth::Fails } else { Truth::Holds };
    let sign = if difference > 0.0 { "+" } else { "" };
    let chance = if chance < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {chance:.4}") };
    let words = match difference == 0.0 && ranks.differs == 1.0 {
        true => format!("mean {} on both sides ({n} and {m} samples)", plain(a)),
        false => format!(
            "mean {} for {} ({sign}{}, {chance}, greater in {} of pairs, {n} and {m} samples)",
            plain(a),
            plain(b),
            share(difference),
            share(ranks.effect)
        ),
    };
    Compared { truth, words }
}

/// Prints a mean for people: four digits are enough.
fn plain(value: f64) -> String {
    let rounded = format!("{value:.3e}").parse().unwrap_or(value);
    quantity::plain(rounded)
}

fn share(value: f64) -> String {
    match value.is_finite() {
        true => format!("{}%", quantity::plain((value * 1000.0).round() / 10.0)),
        false => quantity::plain(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Values that jump about `middle` by `spread`, always in the same way.
    fn noisy(middle: f64, spread: f64, count: usize) -> Vec<f64> {
        (0..count).map(|n| middle + spread * ((n * 7919 % 101) as f64 / 50.0 - 1.0)).collect()
    }

    fn judged(observed: &Json, reference: &Json, worse: Worse) -> (Truth, String) {
        let vectors = json!({ "points": 20, "observed": observed, "reference": reference });
        let (judged, words) = judge(&vectors, worse, 0.1);
        (judged.truth, words)
    }

    fn one(values: &[f64]) -> Json {
        json!([{ "labels": {}, "values": values }])
    }

    #[test]
    fn worse_is_what_is_both_certain_and_large() {
        use Truth::{Fails, Holds};
        let base = noisy(100.0, 5.0, 40);
        let table = [
            (noisy(130.0, 5.0, 40), Worse::Higher, Fails),
            (noisy(130.0, 5.0, 40), Worse::Lower, Holds),
            (noisy(130.0, 5.0, 40), Worse::Either, Fails),
            (noisy(70.0, 5.0, 40), Worse::Higher, Holds),
            (noisy(70.0, 5.0, 40), Worse::Lower, Fails),
            (noisy(70.0, 5.0, 40), Worse::Either, Fails),
            // Certain, but small.
            (noisy(105.0, 5.0, 40), Worse::Higher, Holds),
            // Large on the whole, but one outlier makes it: ranks do not see it.
            ([noisy(100.0, 5.0, 39), vec![4000.0]].concat(), Worse::Higher, Holds),
            (base.clone(), Worse::Either, Holds),
        ];
        for (observed, worse, truth) in table {
            let got = judged(&one(&observed), &one(&base), worse);
            assert_eq!(got.0, truth, "{worse:?}: {}", got.1);
        }
    }

    #[test]
    fn the_words_hold_every_number_that_was_used() {
        let (_, words) = judged(&one(&noisy(130.0, 5.0, 40)), &one(&noisy(100.0, 5.0, 40)), Worse::Higher);
        assert_eq!(words, "mean 130 for 99.96 (+30%, p < 0.0001, greater in 100% of pairs, 40 and 40 samples)");
        assert_eq!(limit(Worse::Higher, 0.1), "not higher by 10% or more (p < 0.01)");
    }

    #[test]
    fn constants_are_equal_or_not() {
        let constant = |value: f64| one(&[value; 20]);
        assert_eq!(judged(&constant(3.0), &constant(3.0), Worse::Either).0, Truth::Holds);
        assert_eq!(judged(&constant(0.0), &constant(0.0), Worse::Higher).0, Truth::Holds);
        assert_eq!(judged(&constant(4.0), &constant(3.0), Worse::Higher).0, Truth::Fails);
        // Any growth from nothing is more than any share.
        assert_eq!(judged(&constant(0.1), &constant(0.0), Worse::Higher).0, Truth::Fails);
        assert_eq!(judged(&constant(-2.0), &constant(-1.0), Worse::Lower).0, Truth::Fails);
    }

    #[test]
    fn without_enough_data_nothing_is_said() {
        let base = noisy(100.0, 5.0, 20);
        let nan = json!([{ "labels": {}, "values": vec!["NaN"; 20] }]);
        let infinite = json!([{ "labels": {}, "values": vec!["+Inf"; 20] }]);
        let few = noisy(500.0, 5.0, 9);
        for (observed, reference) in [
            (one(&few), one(&base)),
            (one(&base), one(&few)),
            (json!([]), one(&base)),
            (one(&base), json!([])),
            (nan.clone(), one(&base)),
            (one(&base), nan),
            (infinite.clone(), infinite),
            (json!(5), one(&base)),
        ] {
            let got = judged(&observed, &reference, Worse::Higher);
            assert_eq!(got.0, Truth::Unknown, "{}", got.1);
        }
        let sparse = json!({ "points": 1000, "observed": one(&base), "reference": one(&base) });
        assert_eq!(judge(&sparse, Worse::Higher, 0.1).0.truth, Truth::Unknown);
    }

    #[test]
    fn series_are_compared_with_those_of_equal_labels() {
        let pods = |all: &[(&str, f64)]| -> Json {
            let one =
                |(pod, middle): &(&str, f64)| json!({ "labels": { "pod": pod }, "values": noisy(*middle, 5.0, 20) });
            all.iter().map(one).collect()
        };
        let base = pods(&[("a", 100.0), ("b", 200.0)]);
        let (truth, words) = judged(&pods(&[("a", 100.0), ("b", 300.0)]), &base, Worse::Higher);
        assert_eq!(truth, Truth::Fails);
        assert!(
            words.starts_with("1 of 2 series: mean 299.6 for 199.6 ") && words.ends_with(" at {pod=\"b\"}"),
            "{words}"
        );
        assert_eq!(judged(&pods(&[("a", 100.0), ("b", 200.0)]), &base, Worse::Higher).0, Truth::Holds);
        assert_eq!(judged(&pods(&[("a", 100.0), ("c", 200.0)]), &base, Worse::Higher).0, Truth::Unknown);
        // One serves all; of one for one, the labels may differ: `variant` tells canary from production.
        assert_eq!(judged(&pods(&[("a", 100.0), ("b", 150.0)]), &pods(&[("x", 100.0)]), Worse::Higher).0, Truth::Fails);
        assert_eq!(judged(&pods(&[("canary", 100.0)]), &pods(&[("production", 100.0)]), Worse::Higher).0, Truth::Holds);
    }
}
