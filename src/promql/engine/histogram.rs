//! Classic histograms: `histogram_quantile` and `histogram_fraction` over buckets in series with the label `le`.

use super::answer::QueryError;
use super::call::{first, second, text, third};
use super::eval::Evaluator;
use super::format::open_metrics;
use super::grid::{Collector, Grid, Steps, present, without_name};
use super::labels::{LabelMap, Labels, NAME, Quoted};
use super::notes::{Mended, for_metric};
use super::tree::Node;

/// The label that holds a bucket's upper bound.
const LE: &str = "le";

/// How much two counts may differ, relative to their sum, and still be taken for equal.
const TOLERANCE: f64 = 1e-12;

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    /// Its upper bound.
    le: f64,
    /// How many observations were at most that.
    count: f64,
}

/// The buckets of one histogram: which rows of a grid.
struct Histogram {
    /// Without the label `le`, and the name if it is dropped already.
    labels: Labels,
    drop_from: bool,
    /// The metric's name.
    metric: String,
    rows: Vec<(f64, usize)>,
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(&mut self, args: &[Node], steps: Steps) -> Result<Grid, QueryError> {
        let quantiles = self.scalar(first(args)?, steps)?;
        for q in &quantiles {
            self.notes.quantile(args[0].at, *q);
        }
        self.of_buckets(second(args)?, second(args)?.at, steps, &mut |_, step, buckets| {
            vec![(None, quantile(quantiles[step], buckets))]
        })
    }

    pub(super) fn histogram_quantiles(&mut self, args: &[Node], steps: Steps) -> Result<Grid, QueryError> {
        let label = text(args, 1)?;
        let mut wanted = Vec::new();
        for arg in &args[2..] {
            let quantiles = self.scalar(arg, steps)?;
            quantiles.iter().for_each(|q| self.notes.quantile(arg.at, *q));
            wanted.push(quantiles);
        }
        let at = second(args)?.at;
        self.of_buckets(first(args)?, at, steps, &mut |labels, step, buckets| {
            let each = wanted.iter().map(|quantiles| {
                let named = labels.with(label, &open_metrics(quantiles[step]));
                (Some(named), quantile(quantiles[step], &mut buckets.clone()))
            });
            each.collect()
        })
    }

    pub(super) fn histogram_fraction(&mut self, args: &[Node], steps: Steps) -> Result<Grid, QueryError> {
        let (lower, upper) = (self.scalar(first(args)?, steps)?, self.scalar(second(args)?, steps)?);
        self.of_buckets(third(args)?, args[2].at, steps, &mut |_, step, buckets| {
            vec![(None, (fraction(lower[step], upper[step], buckets), None))]
        })
    }

    /// Computes numbers of each histogram at each step.
    fn of_buckets(&mut self, arg: &Node, at: usize, steps: Steps, compute: Compute<'_>) -> Result<Grid, QueryError> {
        let grid = self.eval(arg, steps)?;
        let later = self.engine.names_later;
        let mut out = Collector::new(steps.count);
        let mut buckets = Vec::new();
        for histogram in self.histograms(&grid, arg.at) {
            for step in 0..steps.count {
                buckets.clear();
                let counts = histogram.rows.iter().map(|(le, row)| Bucket { le: *le, count: grid.row(*row)[step] });
                buckets.extend(counts.filter(|b| present(b.count)));
                if buckets.is_empty() {
                    continue;
                }
                for (named, (value, mended)) in compute(&histogram.labels, step, &mut buckets) {
                    if let Some(fix) = mended {
                        let metric = if later { histogram.metric.as_str() } else { "" };
                        self.notes.mended(at, metric, Mended::new(steps.time(step), fix.lowest, fix.highest, fix.most));
                    }
                    let labels = named.unwrap_or_else(|| histogram.labels.clone());
                    let labels = if later { labels } else { without_name(&labels) };
                    let row = out.row(labels, histogram.drop_from);
                    out.put(row, step, value)?;
                }
            }
        }
        let grid = out.finish();
        if later { Ok(grid) } else { grid.merged() }
    }

    /// Puts the buckets that belong together together.
    fn histograms(&mut self, grid: &Grid, at: usize) -> Vec<Histogram> {
        let mut places: LabelMap<usize> = LabelMap::default();
        let mut out: Vec<Histogram> = Vec::new();
        for (i, row) in grid.rows.iter().enumerate() {
            let le = row.labels.get(LE);
            let Some(bound) = bound(le) else {
                let metric = if self.engine.names_later { row.labels.metric() } else { "" };
                let text = "bucket label \"le\" is missing or has a malformed value of";
                self.notes.warn(at, &format!("{text} {}{}", Quoted(le), for_metric(metric)));
                continue;
            };
            let key = row.labels.filtered(|name| name != LE);
            let place = *places.entry(key.clone()).or_insert(out.len());
            if place == out.len() {
                let metric = key.metric().to_owned();
                let labels = key.filtered(|name| name != NAME);
                out.push(Histogram { labels, drop_from: true, metric, rows: Vec::new() });
            }
            out[place].rows.push((bound, i));
        }
        out
    }
}

/// Computes numbers of the buckets of one histogram, perhaps with labels of their own.
type Compute<'f> = &'f mut dyn FnMut(&Labels, usize, &mut Vec<Bucket>) -> Vec<(Option<Labels>, (f64, Option<Fix>))>;

/// Reads a bucket's bound.
fn bound(le: &str) -> Option<f64> {
    let plain = le.strip_prefix(['+', '-']).unwrap_or(le);
    let wordy = plain.starts_with(|c: char| c.is_ascii_alphabetic());
    if wordy && !["inf", "infinity", "nan"].iter().any(|word| plain.eq_ignore_ascii_case(word)) {
        return None;
    }
    le.parse().ok()
}

/// What had to be mended so that counts grow with their bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fix {
    lowest: f64,
    highest: f64,
    most: f64,
}

/// Returns the quantile of the observations in buckets, which is interpolated within a bucket; see
/// <https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile>.
fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Fix>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, None);
    }
    if !ordered(buckets) {
        return (f64::NAN, None);
    }
    let fix = monotonic(buckets);
    let last = buckets.len() - 1;
    let all = buckets[last].count;
    if last == 0 || all == 0.0 {
        return (f64::NAN, fix);
    }
    let mut rank = q * all;
    // What no bucket reaches, NaN among it, is in the last one.
    let at = buckets[..last].iter().position(|b| b.count >= rank).unwrap_or(last);
    if at == last {
        return (buckets[last - 1].le, fix);
    }
    let Bucket { le: upper, mut count } = buckets[at];
    if at == 0 && upper <= 0.0 {
        return (upper, fix);
    }
    let mut lower = 0.0;
    if at > 0 {
        lower = buckets[at - 1].le;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    (lower + (upper - lower) * (rank / count), fix)
}

/// Returns the part of the observations that lies between two bounds.
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !ordered(buckets) {
        return f64::NAN;
    }
    let all = buckets[buckets.len() - 1].count;
    if all == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank(upper, buckets).min(all) - rank(lower, buckets).min(all)) / all
}

/// Returns how many observations are below a value; the last count when it is above all bounds.
fn rank(value: f64, buckets: &[Bucket]) -> f64 {
    let mut below = 0.0;
    let mut lower = if buckets[0].le <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    for bucket in buckets {
        if lower >= value {
            return below;
        }
        if bucket.le > value {
            if lower == f64::NEG_INFINITY {
                return bucket.count;
            }
            return below + (bucket.count - below) * (value - lower) / (bucket.le - lower);
        }
        below = bucket.count;
        lower = bucket.le;
    }
    below
}

/// Orders buckets by their bounds and adds up those with the same one. Tells whether the last one holds everything.
fn ordered(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| a.le.total_cmp(&b.le));
    buckets.dedup_by(|next, kept| {
        let same = next.le == kept.le;
        if same {
            kept.count += next.count;
        }
        same
    });
    buckets.last().is_some_and(|b| b.le == f64::INFINITY)
}

/// Raises counts that are lower than the one before; tells what was raised by more than rounding explains.
fn monotonic(buckets: &mut [Bucket]) -> Option<Fix> {
    let mut fix: Option<Fix> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if nearly_equal(before, count) {
            bucket.count = before;
            continue;
        }
        if count < before {
            bucket.count = before;
            let old = fix.unwrap_or(Fix { lowest: f64::INFINITY, highest: f64::NEG_INFINITY, most: 0.0 });
            fix = Some(Fix {
                lowest: old.lowest.min(bucket.le),
                highest: old.highest.max(bucket.le),
                most: old.most.max(before - count),
            });
            continue;
        }
        before = count;
    }
    fix
}

fn nearly_equal(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: &[(f64, f64)]) -> Vec<Bucket> {
        counts.iter().map(|(le, count)| Bucket { le: *le, count: *count }).collect()
    }

    #[test]
    fn quantiles_are_interpolated_within_a_bucket() {
        let all = buckets(&[(f64::INFINITY, 10.0), (1.0, 2.0), (2.0, 6.0), (4.0, 8.0)]);
        let of = |q: f64| quantile(q, &mut all.clone()).0;
        assert_eq!([of(0.1), of(0.4), of(0.6), of(0.7), of(0.95)], [0.5, 1.5, 2.0, 3.0, 4.0]);
        assert_eq!((of(-1.0), of(2.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(of(f64::NAN).is_nan());
    }

    #[test]
    fn what_is_no_histogram_has_no_quantile() {
        for counts in [&[(1.0, 5.0)][..], &[(f64::INFINITY, 5.0)], &[(1.0, 0.0), (f64::INFINITY, 0.0)]] {
            assert!(quantile(0.5, &mut buckets(counts)).0.is_nan());
        }
        assert_eq!(quantile(0.5, &mut buckets(&[(-1.0, 5.0), (f64::INFINITY, 5.0)])).0, -1.0);
    }

    #[test]
    fn counts_that_fall_are_raised() {
        let mut all = buckets(&[(0.5, 40.0), (1.0, 30.0), (f64::INFINITY, 35.0)]);
        let (_, fix) = quantile(0.5, &mut all);
        assert_eq!(fix, Some(Fix { lowest: 1.0, highest: f64::INFINITY, most: 10.0 }));
        let mut close = buckets(&[(0.5, 40.0), (f64::INFINITY, 40.0 - 1e-12)]);
        assert_eq!(quantile(0.5, &mut close).1, None);
    }

    #[test]
    fn fractions_are_interpolated_too() {
        let all = buckets(&[(1.0, 2.0), (2.0, 6.0), (f64::INFINITY, 10.0)]);
        let of = |a: f64, b: f64| fraction(a, b, &mut all.clone());
        assert_eq!([of(0.0, 1.0), of(1.0, 1.5), of(0.5, 2.0), of(2.0, 1.0)], [0.2, 0.2, 0.5, 0.0]);
        assert_eq!(of(f64::NEG_INFINITY, f64::INFINITY), 1.0);
    }

    #[test]
    fn bounds_are_numbers() {
        assert_eq!((bound("+Inf"), bound("1e3"), bound("-.5")), (Some(f64::INFINITY), Some(1000.0), Some(-0.5)));
        assert_eq!((bound(""), bound("Hello"), bound("1s")), (None, None, None));
    }
}
