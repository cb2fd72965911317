//! The measures of a range, computed series by series.

use std::collections::BTreeMap;

use chrono::DateTime;

use super::span::Window;
use crate::model::{Sample, Value};
use crate::probe::Wants;
use crate::source::prometheus::Row;
use crate::stats::{self, counter, gaps, trend};

/// The measures that only a range has.
pub(super) const NAMES: &[&str] = &[
    "min",
    "max",
    "avg",
    "p50",
    "p95",
    "p99",
    "first",
    "last",
    "delta",
    "increase",
    "slope",
    "slope_low",
    "slope_high",
    "samples",
    "gaps",
    "longest_gap",
    "resets",
];

/// The most different values of a series that `value` holds one by one.
const MOST_VALUES: usize = 50;
/// The most pairs of points from which the slopes of all series together are taken: about a second's work.
const ALL_PAIRS: usize = 20_000_000;

/// Tells whether a measure is taken: it is asked for, or the trend belongs to a level that is.
pub(super) fn is_taken(name: &str, wants: &Wants) -> bool {
    const LEVELS: &[&str] = &["min", "max", "avg", "p50", "p95", "p99", "first", "last"];
    const TREND: &[&str] = &["last", "slope", "slope_low", "slope_high"];
    let level = || LEVELS.iter().any(|level| wants.any(level));
    wants.is_empty() || wants.any(name) || (TREND.contains(&name) && level())
}

/// Computes the measures `names` of a range.
pub(super) fn measure(rows: &[Row], names: &[&'static str], window: Window) -> Vec<(&'static str, Value)> {
    let mut values = Vec::new();
    let mut tables: Vec<Vec<Sample>> = names.iter().map(|_| Vec::new()).collect();
    let mut ages = Vec::new();
    let end = seconds(window.end);
    let most_pairs = (ALL_PAIRS / rows.len().max(1)).min(trend::MOST_PAIRS);
    for row in rows {
        let numbers: Vec<(f64, f64)> = row.samples.iter().copied().filter(|(_, v)| !v.is_nan()).collect();
        values.extend(every_value(row, &numbers));
        let age = numbers.last().map_or(f64::NAN, |(at, _)| (end - at).max(0.0));
        ages.push(Sample { labels: row.labels.clone(), value: age });
        let statistics = Statistics::new(&numbers, names, window, most_pairs);
        for (name, table) in names.iter().zip(&mut tables) {
            // A series of which nothing can be computed stays among them as NaN, so that it cannot pass unseen.
            let value = statistics.get(name).unwrap_or(f64::NAN);
            table.push(Sample { labels: row.labels.clone(), value });
        }
    }
    let mut measured = vec![("value", Value::Series(values)), ("age", series(ages))];
    measured.extend(names.iter().copied().zip(tables.into_iter().map(series)));
    measured
}

fn series(samples: Vec<Sample>) -> Value {
    match samples.iter().all(|sample| sample.value.is_nan()) {
        true => Value::NoData("the samples of the range are NaN, or too few".into()),
        false => Value::Series(samples),
    }
}

/// What one series comes to. Sorting and fitting are done once, and only when somebody asks for what they give.
struct Statistics<'a> {
    numbers: &'a [(f64, f64)],
    sorted: Vec<f64>,
    trend: Option<stats::Trend>,
    gaps: gaps::Gaps,
    window: Window,
}

impl<'a> Statistics<'a> {
    fn new(numbers: &'a [(f64, f64)], names: &[&str], window: Window, most_pairs: usize) -> Self {
        let mut sorted = Vec::new();
        if names.iter().any(|name| name.starts_with('p') || *name == "min" || *name == "max") {
            sorted.extend(numbers.iter().map(|(_, v)| *v));
            sorted.sort_unstable_by(f64::total_cmp);
        }
        let fitted = names.iter().any(|name| name.starts_with("slope"));
        let trend = if fitted { trend::fit(numbers, most_pairs) } else { None };
        let times: Vec<f64> = numbers.iter().map(|(at, _)| *at).collect();
        let gaps = gaps::gaps(&times, seconds(window.start), seconds(window.end), window.step.as_secs_f64());
        Self { numbers, sorted, trend, gaps, window }
    }

    fn get(&self, name: &str) -> Option<f64> {
        let count = self.numbers.len() as f64;
        let values = || self.numbers.iter().map(|(_, v)| *v);
        match name {
            "samples" => return Some(count),
            "gaps" if self.window.scraped => return Some(self.gaps.missing as f64),
            // The points of a step are where they should be or nowhere.
            "gaps" => return Some((self.window.points() as f64 - count).max(0.0)),
            "longest_gap" => return Some(self.gaps.longest),
            _ => {}
        }
        let (first, last) = (self.numbers.first()?.1, self.numbers.last()?.1);
        match name {
            "min" => self.sorted.first().copied(),
            "max" => self.sorted.last().copied(),
            "avg" => stats::mean(values()),
            "p50" => stats::quantile(&self.sorted, 0.5),
            "p95" => stats::quantile(&self.sorted, 0.95),
            "p99" => stats::quantile(&self.sorted, 0.99),
            "first" => Some(first),
            "last" => Some(last),
            "delta" => Some(last - first),
            "increase" => counter::increase(values()),
            "slope" => self.trend.map(|trend| trend.slope),
            "slope_low" => self.trend.and_then(|trend| trend.interval).map(|(low, _)| low),
            "slope_high" => self.trend.and_then(|trend| trend.interval).map(|(_, high)| high),
            "resets" => Some(counter::resets(values()) as f64),
            _ => None,
        }
    }
}

/// Returns a time in seconds since 1970.
fn seconds(at: DateTime<chrono::Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

/// Each different value with the time at which it was first seen; the least and the greatest alone when there are many.
/// One NaN stays among them.
fn every_value(row: &Row, numbers: &[(f64, f64)]) -> Vec<Sample> {
    let mut different: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (at, value) in numbers {
        // Adding 0 makes -0 the same as 0.
        different.entry((value + 0.0).to_bits()).or_insert((*at, *value));
        if different.len() > MOST_VALUES {
            break;
        }
    }
    let mut kept: Vec<(f64, f64)> = different.into_values().collect();
    if kept.len() > MOST_VALUES {
        let least = numbers.iter().copied().reduce(|a, b| if b.1 < a.1 { b } else { a });
        let greatest = numbers.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a });
        kept = least.into_iter().chain(greatest).collect();
    }
    kept.extend(row.samples.iter().copied().find(|(_, v)| v.is_nan()));
    kept.sort_by(|a, b| a.0.total_cmp(&b.0));
    kept.into_iter().map(|(at, value)| at_time(row, at, value)).collect()
}

fn at_time(row: &Row, at: f64, value: f64) -> Sample {
    let mut labels = row.labels.clone();
    let time = DateTime::from_timestamp_millis((at * 1000.0) as i64);
    labels.insert("at".into(), time.map_or_else(|| at.to_string(), |t| t.format("%Y-%m-%dT%H:%M:%SZ").to_string()));
    Sample { labels, value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MeasureName, Measures};

    /// The window of 0 to `end` seconds, with a point every ten.
    fn window(end: i64, scraped: bool) -> Window {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time");
        Window { start: at(0), end: at(end), step: std::time::Duration::from_secs(10), scraped }
    }

    fn measured(values: &[f64]) -> Measures {
        let samples = values.iter().zip(0..).map(|(v, i)| (f64::from(i) * 10.0, *v)).collect();
        let row = Row { labels: BTreeMap::new(), samples };
        measure(&[row], NAMES, window(90, false)).into_iter().map(|(name, v)| (MeasureName::plain(name), v)).collect()
    }

    fn one(measures: &Measures, name: &'static str) -> f64 {
        match measures.get(&MeasureName::plain(name)) {
            Some(Value::Series(samples)) if samples.len() == 1 => samples[0].value,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn a_line_has_the_statistics_of_a_line() {
        let m = measured(&[1.0, 3.0, 5.0, 7.0, 9.0]);
        for (name, value) in [
            ("min", 1.0),
            ("max", 9.0),
            ("avg", 5.0),
            ("p50", 5.0),
            ("first", 1.0),
            ("last", 9.0),
            ("delta", 8.0),
            ("slope", 0.2),
            ("samples", 5.0),
            ("gaps", 5.0),
            ("resets", 0.0),
            ("age", 50.0),
            ("increase", 8.0),
            ("longest_gap", 50.0),
        ] {
            assert!((one(&m, name) - value).abs() < 1e-12, "{name}");
        }
        assert!((one(&m, "p95") - 8.6).abs() < 1e-12);
    }

    #[test]
    fn nan_counts_as_a_gap_and_stays_in_the_value() {
        let m = measured(&[1.0, f64::NAN, 0.0]);
        assert_eq!((one(&m, "samples"), one(&m, "gaps"), one(&m, "resets")), (2.0, 8.0, 1.0));
        let Some(Value::Series(values)) = m.get(&MeasureName::plain("value")) else { panic!("no series") };
        assert_eq!(values.len(), 3);
        assert!(values.iter().any(|s| s.value.is_nan()));
        assert_eq!(values[0].labels["at"], "1970-01-01T00:00:00Z");
        let m = measured(&[f64::NAN]);
        assert!(matches!(m.get(&MeasureName::plain("max")), Some(Value::NoData(_))));
    }

    #[test]
    fn a_series_of_nothing_but_nan_stays_among_the_others() {
        let row = |values: &[f64]| Row {
            labels: BTreeMap::new(),
            samples: values.iter().zip(0..).map(|(v, i)| (f64::from(i) * 10.0, *v)).collect(),
        };
        for (name, value) in
            measure(&[row(&[1.0, 2.0, 3.0, 4.0, 5.0]), row(&[f64::NAN, f64::NAN])], NAMES, window(10, false))
        {
            let Value::Series(samples) = value else { panic!("{name}: {value:?}") };
            let counted = matches!(name, "samples" | "gaps" | "longest_gap");
            assert_eq!(samples.iter().any(|s| s.value.is_nan()), !counted, "{name}: {samples:?}");
        }
    }

    #[test]
    fn every_value_is_kept_until_there_are_many() {
        let few: Vec<f64> = (0..100).map(|i| f64::from(i % 50)).collect();
        let many: Vec<f64> = (0..100).map(f64::from).collect();
        let count = |values: &[f64]| match measured(values).get(&MeasureName::plain("value")) {
            Some(Value::Series(samples)) => samples.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!((count(&few), count(&many)), (50, 2));
    }

    #[test]
    fn one_sample_has_no_slope_and_infinities_do_no_harm() {
        assert!(matches!(measured(&[1.0]).get(&MeasureName::plain("slope")), Some(Value::NoData(_))));
        let m = measured(&[f64::INFINITY, 1.0]);
        assert_eq!((one(&m, "max"), one(&m, "min")), (f64::INFINITY, 1.0));
        assert_eq!(one(&measured(&[f64::MAX, f64::MAX]), "avg"), f64::MAX);
    }

    #[test]
    fn a_counter_that_begins_anew_has_grown_all_the_same() {
        let m = measured(&[10.0, 15.0, 2.0, 4.0]);
        assert_eq!((one(&m, "increase"), one(&m, "delta"), one(&m, "resets")), (9.0, -6.0, 1.0));
    }

    #[test]
    fn the_slope_comes_with_its_confidence_or_without_one() {
        let m = measured(&[1.0, 1.2, 0.9, 1.1, 1.0, 90.0, 1.1, 0.9]);
        assert!(one(&m, "slope").abs() < 0.01 && one(&m, "slope_low") <= 0.0 && one(&m, "slope_high") >= 0.0);
        assert!(matches!(measured(&[1.0, 2.0]).get(&MeasureName::plain("slope_high")), Some(Value::NoData(_))));
    }

    #[test]
    fn scraped_samples_may_come_a_little_late() {
        let times = [9.8, 20.1, 29.9, 40.2, 70.0, 80.0, 90.0];
        let row = Row { labels: BTreeMap::new(), samples: times.iter().map(|t| (*t, 1.0)).collect() };
        let m: Measures = measure(&[row], &["samples", "gaps", "longest_gap"], window(95, true))
            .into_iter()
            .map(|(name, v)| (MeasureName::plain(name), v))
            .collect();
        assert_eq!((one(&m, "samples"), one(&m, "gaps")), (7.0, 2.0));
        assert!((one(&m, "longest_gap") - 29.8).abs() < 1e-9);
    }
}
