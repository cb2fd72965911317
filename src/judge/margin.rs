//! How far a passing value is from its limit, and, where it has a trend, when it would cross it: for the approver, who
//! wants to know what only just passed.
//!
//! A margin is *thin* when the value is nearer to its limit than a tenth of it, or when its trend crosses the limit
//! within seven days. A value that stands exactly at a limit of 0 or 1 is not thin: no error, or one replica where one
//! is needed, is how it should be.

use crate::model::{Finding, MeasureName, Measures, Outcome, Sample, Value, quantity};
use crate::stats::{self, Crossing, Trend};

/// A margin under this share of the limit is thin.
const NEAR: f64 = 0.1;
/// A limit that is crossed within this many seconds makes a margin thin.
const SOON: f64 = 7.0 * 86_400.0;

/// How far a passing value is from its limit. Numbers are in the base unit of the measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Margin {
    /// What was asserted about: `latency`.
    pub subject: String,
    /// The value.
    pub value: f64,
    /// The limit.
    pub limit: f64,
    /// How far the one is from the other, never negative.
    pub distance: f64,
    /// The distance as a share of the limit; nothing for a limit of 0.
    pub share: Option<f64>,
    /// When the trend crosses the limit, in seconds since 1970; nothing when it has none, or leads away from it.
    pub crossing: Option<Crossing>,
    /// Why it is thin, in a few words; nothing when it is not.
    pub thin: Option<String>,
}

/// Lists the margins of a look that was judged at `now`, in seconds since 1970: one for each finding that passed with one
/// number against one limit.
///
/// The trend is that of the range, where the measures hold one; else that of `course`, the times and values of earlier
/// looks for the first of these findings.
pub fn margins(findings: &[Finding], measures: Option<&Measures>, course: &[(f64, f64)], now: f64) -> Vec<Margin> {
    let compared = |f: &&Finding| {
        let limit = f.expected.strip_prefix("not ").unwrap_or(&f.expected);
        f.outcome == Outcome::Pass && limit.starts_with(['<', '>'])
    };
    let mut first = true;
    let mut margins = Vec::new();
    for finding in findings.iter().filter(compared) {
        let (Some(value), Some(limit)) = (finding.value, finding.limit) else { continue };
        if !value.is_finite() || !limit.is_finite() {
            continue;
        }
        let crossing = match measures.and_then(|m| in_range(m, &finding.subject, limit, now)) {
            Some(found) => found,
            None if first => stats::trend(course).and_then(|trend| trend.crosses(limit)),
            None => None,
        };
        first = false;
        margins.push(margin(&finding.subject, value, limit, crossing, now));
    }
    margins
}

fn margin(subject: &str, value: f64, limit: f64, crossing: Option<Crossing>, now: f64) -> Margin {
    let distance = (limit - value).abs();
    let share = (limit != 0.0).then(|| distance / limit.abs());
    let meant = distance == 0.0 && (limit == 0.0 || limit == 1.0);
    // Binary fractions make a tenth of some limits a little less than a tenth.
    let near = share.filter(|share| *share < NEAR - 1e-9 && !meant).map(|share| match share {
        0.0 => "at its limit".to_owned(),
        _ => format!("{}% from its limit", quantity::plain((share * 1000.0).round() / 10.0)),
    });
    let soon = crossing.filter(|c| c.at - now < SOON).map(|c| match c.at > now {
        true => format!("crosses its limit in {}", quantity::seconds((c.at - now).round().max(1.0))),
        false => "its trend has crossed its limit".to_owned(),
    });
    let thin = match (near, soon) {
        (Some(near), Some(soon)) => Some(format!("{near}; {soon}")),
        (near, soon) => near.or(soon),
    };
    Margin { subject: subject.to_owned(), value, limit, distance, share, crossing, thin }
}

/// Finds the series of a range that is the first to cross the limit; nothing when the range was not fitted.
fn in_range(measures: &Measures, subject: &str, limit: f64, now: f64) -> Option<Option<Crossing>> {
    const LEVELS: &[&str] = &["min", "max", "avg", "p50", "p95", "p99", "first", "last"];
    let series = |name: &str| match measures.get(&MeasureName::parse(name)) {
        Some(Value::Series(samples)) => Some(samples.as_slice()),
        _ => None,
    };
    if !LEVELS.contains(&subject) {
        return None;
    }
    let (slopes, lasts) = (series("slope")?, series("last")?);
    let crossings = slopes.iter().filter_map(|slope| {
        let same = |samples: &[Sample]| samples.iter().find(|s| s.labels == slope.labels).map(|s| s.value);
        let interval = series("slope_low").and_then(same).zip(series("slope_high").and_then(same));
        let trend = Trend { slope: slope.value, interval, at: now, level: same(lasts)? };
        trend.crosses(limit)
    });
    Some(crossings.min_by(|a, b| a.at.total_cmp(&b.at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400.0;

    fn finding(expected: &str, value: f64, limit: f64) -> Finding {
        Finding {
            subject: "max".into(),
            expected: expected.into(),
            observed: String::new(),
            outcome: Outcome::Pass,
            origin: None,
            value: Some(value),
            limit: Some(limit),
        }
    }

    fn thin(expected: &str, value: f64, limit: f64) -> Option<String> {
        let all = margins(&[finding(expected, value, limit)], None, &[], 0.0);
        all.into_iter().next().and_then(|m| m.thin)
    }

    #[test]
    fn what_only_just_passed_is_thin() {
        let table = [
            ("< 500ms", 0.48, 0.5, Some("4% from its limit")),
            ("< 500ms", 0.45, 0.5, None),
            (">= 100", 101.0, 100.0, Some("1% from its limit")),
            ("<= 5", 5.0, 5.0, Some("at its limit")),
            (">= 1", 1.0, 1.0, None),
            ("<= 0", 0.0, 0.0, None),
            ("not > 10", 9.5, 10.0, Some("5% from its limit")),
            ("<= 1.5x baseline (0.8: step a → limit 1.2)", 1.19, 1.2, Some("0.8% from its limit")),
        ];
        for (expected, value, limit, words) in table {
            assert_eq!(thin(expected, value, limit).as_deref(), words, "{expected}: {value}");
        }
        assert_eq!(margins(&[finding("200", 200.0, 200.0)], None, &[], 0.0), [], "equality has no margin");
        let failed = Finding { outcome: Outcome::Fail, ..finding("< 5", 6.0, 5.0) };
        assert_eq!(margins(&[failed], None, &[], 0.0), []);
    }

    #[test]
    fn a_course_that_crosses_its_limit_soon_is_thin() {
        // 1 more a day: 10 away is ten days away, 3 away is three.
        let course: Vec<_> = (0..20).map(|n| (f64::from(n) * DAY, f64::from(n))).collect();
        let now = 19.0 * DAY;
        let of = |limit: f64| margins(&[finding("< x", 19.0, limit)], None, &course, now).remove(0);
        let far = of(100.0);
        assert!(far.thin.is_none() && far.crossing.is_some_and(|c| (c.at - 100.0 * DAY).abs() < 1.0), "{far:?}");
        assert_eq!(of(25.0).thin.as_deref(), Some("crosses its limit in 6d"));
        assert_eq!(of(20.0).thin.as_deref(), Some("5% from its limit; crosses its limit in 1d"));
        assert_eq!(of(10.0).crossing, None, "it leads away from a lower limit");
    }

    #[test]
    fn the_first_series_of_a_range_to_cross_decides() {
        let series = |values: [f64; 2]| {
            let of = |(pod, value): (&str, f64)| Sample { labels: [("pod".to_owned(), pod.to_owned())].into(), value };
            Value::Series(["a", "b"].into_iter().zip(values).map(of).collect())
        };
        let mut measures = Measures::new();
        measures.plain("max", series([60.0, 50.0]));
        measures.plain("last", series([50.0, 50.0]));
        measures.plain("slope", series([1.0 / DAY, 10.0 / DAY]));
        measures.plain("slope_low", series([0.9 / DAY, 9.0 / DAY]));
        measures.plain("slope_high", series([1.1 / DAY, 11.0 / DAY]));
        let got = margins(&[finding("< 100", 60.0, 100.0)], Some(&measures), &[], 1000.0).remove(0);
        assert!(got.crossing.is_some_and(|c| (c.at - 1000.0 - 5.0 * DAY).abs() < 1.0), "{got:?}");
        assert_eq!(got.thin.as_deref(), Some("crosses its limit in 5d"));
        measures.plain("slope_low", series([-0.1, -0.1]));
        let flat = margins(&[finding("< 100", 60.0, 100.0)], Some(&measures), &[], 1000.0).remove(0);
        assert_eq!((flat.crossing, flat.thin), (None, None), "a slope that may be 0 is no trend");
    }
}
