//! The measures of a range, computed series by series.

use std::collections::BTreeMap;

use chrono::DateTime;

use crate::model::{Sample, Value};
use crate::source::prometheus::Row;

/// The measures that only a range has.
pub(super) const NAMES: &[&str] =
    &["min", "max", "avg", "p50", "p95", "p99", "first", "last", "delta", "slope", "samples", "gaps", "resets"];

/// The most different values of a series that `value` holds one by one.
const MOST_VALUES: usize = 50;

/// Computes the measures `names` of a range of `points` points that ends at `end`, in seconds since 1970.
pub(super) fn measure(rows: &[Row], names: &[&'static str], points: u64, end: f64) -> Vec<(&'static str, Value)> {
    let mut values = Vec::new();
    let mut tables: Vec<Vec<Sample>> = names.iter().map(|_| Vec::new()).collect();
    let mut ages = Vec::new();
    for row in rows {
        let numbers: Vec<(f64, f64)> = row.samples.iter().copied().filter(|(_, v)| !v.is_nan()).collect();
        values.extend(every_value(row, &numbers));
        let age = numbers.last().map_or(f64::NAN, |(at, _)| (end - at).max(0.0));
        ages.push(Sample { labels: row.labels.clone(), value: age });
        let mut sorted: Vec<f64> = numbers.iter().map(|(_, v)| *v).collect();
        sorted.sort_by(f64::total_cmp);
        for (name, table) in names.iter().zip(&mut tables) {
            // A series of which nothing can be computed stays among them as NaN, so that it cannot pass unseen.
            let value = statistic(name, &numbers, &sorted, points).unwrap_or(f64::NAN);
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

fn statistic(name: &str, numbers: &[(f64, f64)], sorted: &[f64], points: u64) -> Option<f64> {
    let count = numbers.len() as f64;
    match name {
        "samples" => return Some(count),
        "gaps" => return Some((points as f64 - count).max(0.0)),
        _ => {}
    }
    let (first, last) = (numbers.first()?.1, numbers.last()?.1);
    match name {
        "min" => sorted.first().copied(),
        "max" => sorted.last().copied(),
        "avg" => Some(mean(numbers)),
        "p50" => Some(quantile(sorted, 0.5)),
        "p95" => Some(quantile(sorted, 0.95)),
        "p99" => Some(quantile(sorted, 0.99)),
        "first" => Some(first),
        "last" => Some(last),
        "delta" => Some(last - first),
        "slope" => slope(numbers),
        "resets" => Some(numbers.windows(2).filter(|pair| pair[1].1 < pair[0].1).count() as f64),
        _ => None,
    }
}

/// Adds up in steps, so that large values do not overflow.
fn mean(numbers: &[(f64, f64)]) -> f64 {
    if numbers.iter().any(|(_, v)| v.is_infinite()) {
        return numbers.iter().map(|(_, v)| *v).sum();
    }
    numbers.iter().zip(1_u32..).fold(0.0, |mean, ((_, v), n)| mean + (v / f64::from(n) - mean / f64::from(n)))
}

/// Interpolates between the two nearest ranks, as `quantile_over_time` does.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    if low == high { low } else { low + (high - low) * rank.fract() }
}

/// Fits a line by least squares. One sample has no slope.
fn slope(numbers: &[(f64, f64)]) -> Option<f64> {
    let count = numbers.len() as f64;
    let origin = numbers.first()?.0;
    let middle = numbers.iter().map(|(t, _)| t - origin).sum::<f64>() / count;
    let mean = mean(numbers);
    let (mut up, mut down) = (0.0, 0.0);
    for (t, v) in numbers {
        let distance = t - origin - middle;
        up += distance * (v - mean);
        down += distance * distance;
    }
    (down > 0.0).then(|| up / down)
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

    fn measured(values: &[f64]) -> Measures {
        let samples = values.iter().zip(0..).map(|(v, i)| (f64::from(i) * 10.0, *v)).collect();
        let row = Row { labels: BTreeMap::new(), samples };
        measure(&[row], NAMES, 10, 100.0).into_iter().map(|(name, v)| (MeasureName::plain(name), v)).collect()
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
            ("age", 60.0),
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
        for (name, value) in measure(&[row(&[1.0, 2.0]), row(&[f64::NAN, f64::NAN])], NAMES, 2, 10.0) {
            let Value::Series(samples) = value else { panic!("{name}: {value:?}") };
            let counted = matches!(name, "samples" | "gaps");
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
}
