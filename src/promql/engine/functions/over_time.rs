//! Functions of the samples in a range: `…_over_time`, `rate`, `deriv` and their like.

use super::super::storage::Sample;
use super::super::sums::{Mean, Sum, quantile, variance};
use super::super::tree::Extent;
use super::rate;

/// A function of the samples in a range.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Over {
    pub(in super::super) name: &'static str,
    /// Computes the value; the range has at least one sample.
    pub(in super::super) run: fn(&Range<'_>) -> Option<f64>,
    /// Refuses arguments.
    pub(in super::super) check: Option<Check>,
    /// Gives a sample of the series itself, so that the metric's name stays.
    pub(in super::super) keeps_name: bool,
    /// Is meant for counters.
    pub(in super::super) for_counters: bool,
    /// The first argument is a quantile.
    pub(in super::super) quantile: bool,
    pub(in super::super) looks_at_the_step: bool,
}

/// Says what is wrong with the arguments that are numbers.
type Check = fn([f64; 2]) -> Result<(), String>;

/// The samples of one series in a range.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Range<'a> {
    /// In time order, without staleness markers; those around the range too when it has an extent.
    pub(in super::super) samples: &'a [Sample],
    /// The time after which the range begins, in milliseconds.
    pub(in super::super) from: i64,
    /// The time with which it ends.
    pub(in super::super) to: i64,
    /// The time of the step.
    pub(in super::super) now: i64,
    /// The other arguments, in their order.
    pub(in super::super) args: [f64; 2],
    pub(in super::super) extent: Extent,
}

/// A range whose ends are anchored or smoothed.
pub(super) struct Inner<'a> {
    range: Range<'a>,
    first: usize,
    last: usize,
}

impl<'a> Range<'a> {
    pub(super) fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1000.0
    }

    /// Finds the samples that stand for the ends. Nothing when there is none in the range.
    pub(super) fn inner(&self) -> Option<Inner<'a>> {
        let mut last = self.samples.len().checked_sub(1)?;
        let first = self.samples[..last].partition_point(|s| s.t <= self.from).saturating_sub(1);
        if self.extent == Extent::Smoothed {
            last = self.samples[..last].partition_point(|s| s.t < self.to);
        }
        (self.samples[last].t > self.from).then_some(Inner { range: *self, first, last })
    }

    /// Returns the samples that count step by step: from the one that the beginning is anchored at.
    fn counted(&self) -> Option<&'a [Sample]> {
        match self.extent {
            Extent::Plain | Extent::Smoothed => Some(self.samples),
            Extent::Anchored => self.inner().map(|inner| &self.samples[inner.first..]),
        }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().map(|s| s.v)
    }
}

impl<'a> Inner<'a> {
    /// Returns the value at the beginning.
    pub(super) fn left(&self, counter: bool) -> f64 {
        let samples = self.range.samples;
        let first = samples[self.first];
        match samples.get(self.first + 1) {
            Some(next) if self.range.extent == Extent::Smoothed && first.t < self.range.from => {
                between(first, *next, self.range.from, counter)
            }
            Some(_) | None => first.v,
        }
    }

    /// Returns the value at the end.
    pub(super) fn right(&self, counter: bool) -> f64 {
        let last = self.range.samples[self.last];
        if self.range.extent == Extent::Smoothed && self.last > 0 && last.t > self.range.to {
            return between(self.range.samples[self.last - 1], last, self.range.to, counter);
        }
        last.v
    }

    /// Returns the samples between the ends.
    pub(super) fn within(&self) -> &'a [Sample] {
        let samples = self.range.samples;
        let first = self.first + usize::from(samples[self.first].t <= self.range.from);
        let end = self.last + usize::from(samples[self.last].t < self.range.to);
        samples.get(first..end).unwrap_or_default()
    }

    /// Returns the samples in the range with those that stand for its ends.
    pub(super) fn extended(&self) -> Vec<Sample> {
        let mut out = vec![Sample { t: self.range.from, v: self.left(false) }];
        out.extend_from_slice(self.within());
        out.push(Sample { t: self.range.to, v: self.right(false) });
        out
    }
}

/// Interpolates between two samples; a counter that was reset between them begins at zero.
pub(in super::super) fn between(a: Sample, b: Sample, t: i64, counter: bool) -> f64 {
    let left = if counter && b.v < a.v { 0.0 } else { a.v };
    left + (b.v - left) * (t - a.t) as f64 / (b.t - a.t) as f64
}

/// Returns the samples of an anchored or smoothed range as they are shown.
pub(in super::super) fn extended(range: &Range<'_>) -> Vec<Sample> {
    range.inner().map(|inner| inner.extended()).unwrap_or_default()
}

const fn over(name: &'static str, run: fn(&Range<'_>) -> Option<f64>) -> (&'static str, Over) {
    let over = Over {
        name,
        run,
        check: None,
        keeps_name: false,
        for_counters: false,
        quantile: false,
        looks_at_the_step: false,
    };
    (name, over)
}

const fn of_counter((name, over): (&'static str, Over)) -> (&'static str, Over) {
    (name, Over { for_counters: true, ..over })
}

const fn named((name, over): (&'static str, Over)) -> (&'static str, Over) {
    (name, Over { keeps_name: true, ..over })
}

const fn checked((name, over): (&'static str, Over)) -> (&'static str, Over) {
    (name, Over { check: Some(factors), ..over })
}

const fn with_quantile((name, over): (&'static str, Over)) -> (&'static str, Over) {
    (name, Over { quantile: true, ..over })
}

const fn stepped((name, over): (&'static str, Over)) -> (&'static str, Over) {
    (name, Over { looks_at_the_step: true, ..over })
}

/// By name. `holt_winters` is what Prometheus 2 called `double_exponential_smoothing`.
pub(in super::super) const FUNCTIONS: &[(&str, Over)] = &[
    over("avg_over_time", |r| Some(mean(r.values()))),
    over("changes", |r| r.counted().map(|s| count(s, |a, b| a != b && !(a.is_nan() && b.is_nan())))),
    over("count_over_time", |r| Some(r.samples.len() as f64)),
    over("delta", rate::delta),
    over("deriv", |r| regression(r.samples, r.samples.first()?.t).map(|line| line.slope)),
    checked(over("double_exponential_smoothing", smoothed)),
    named(over("first_over_time", |r| r.samples.first().map(|s| s.v))),
    checked(over("holt_winters", smoothed)),
    over("idelta", rate::idelta),
    of_counter(over("increase", rate::increase)),
    over("irate", rate::irate),
    named(over("last_over_time", |r| r.samples.last().map(|s| s.v))),
    over("mad_over_time", deviation),
    over("max_over_time", |r| best(r, |v, best| v > best).map(|s| s.v)),
    over("min_over_time", |r| best(r, |v, best| v < best).map(|s| s.v)),
    stepped(over("predict_linear", predicted)),
    over("present_over_time", |_| Some(1.0)),
    with_quantile(over("quantile_over_time", |r| Some(quantile(r.args[0], &mut r.values().collect::<Vec<_>>())))),
    of_counter(over("rate", rate::rate)),
    over("resets", |r| r.counted().map(|s| count(s, |a, b| b < a))),
    over("stddev_over_time", |r| Some(variance(r.values()).sqrt())),
    over("stdvar_over_time", |r| Some(variance(r.values()))),
    over("sum_over_time", |r| Some(sum(r.values()))),
    over("ts_of_first_over_time", |r| r.samples.first().map(seconds)),
    over("ts_of_last_over_time", |r| r.samples.last().map(seconds)),
    over("ts_of_max_over_time", |r| best(r, |v, best| v >= best).map(seconds)),
    over("ts_of_min_over_time", |r| best(r, |v, best| v <= best).map(seconds)),
];

fn seconds(sample: &Sample) -> f64 {
    sample.t as f64 / 1000.0
}

fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|v| sum.add(v));
    sum.total()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let mut mean = Mean::default();
    values.for_each(|v| mean.add(v));
    mean.mean()
}

fn count(samples: &[Sample], counts: impl Fn(f64, f64) -> bool) -> f64 {
    samples.windows(2).filter(|pair| counts(pair[0].v, pair[1].v)).count() as f64
}

/// Returns the sample that beats all before it; any number beats NaN.
fn best<'a>(range: &Range<'a>, beats: impl Fn(f64, f64) -> bool) -> Option<&'a Sample> {
    range.samples.iter().reduce(|best, s| if beats(s.v, best.v) || best.v.is_nan() { s } else { best })
}

/// Returns the median distance from the median; NaN when there is one among the values.
fn deviation(range: &Range<'_>) -> Option<f64> {
    if range.values().any(f64::is_nan) {
        return Some(f64::NAN);
    }
    let mut values: Vec<f64> = range.values().collect();
    let median = quantile(0.5, &mut values);
    let mut distances: Vec<f64> = range.values().map(|v| (v - median).abs()).collect();
    Some(quantile(0.5, &mut distances))
}

struct Line {
    slope: f64,
    /// The value at the time that the line was asked for.
    value: f64,
}

/// Fits a line by least squares; its value is that at time `t`.
fn regression(samples: &[Sample], t: i64) -> Option<Line> {
    let [first, _, ..] = samples else { return None };
    if samples.iter().all(|s| s.v == first.v) {
        let (slope, value) = if first.v.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first.v) };
        return Some(Line { slope, value });
    }
    let n = samples.len() as f64;
    let x = |s: &Sample| (s.t - t) as f64 / 1000.0;
    let sum_x = total(samples.iter().map(x));
    let sum_y = total(samples.iter().map(|s| s.v));
    let sum_xy = total(samples.iter().map(|s| x(s) * s.v));
    let sum_xx = total(samples.iter().map(|s| x(s) * x(s)));
    let slope = (sum_xy - sum_x * sum_y / n) / (sum_xx - sum_x * sum_x / n);
    Some(Line { slope, value: sum_y / n - slope * sum_x / n })
}

/// Sums up, and makes NaN of an infinite sum: a line through infinity is none.
fn total(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|v| sum.add(v));
    sum.sum + sum.lost
}

fn predicted(range: &Range<'_>) -> Option<f64> {
    regression(range.samples, range.now).map(|line| line.slope * range.args[0] + line.value)
}

/// Smooths twice, the values and their trend
/// (<https://en.wikipedia.org/wiki/Exponential_smoothing#Double_exponential_smoothing_(Holt_linear)>).
fn smoothed(range: &Range<'_>) -> Option<f64> {
    let [first, second, ..] = range.samples else { return None };
    let [factor, trend_factor] = range.args;
    let (mut before, mut level, mut trend) = (0.0, first.v, second.v - first.v);
    for (i, sample) in range.samples[1..].iter().enumerate() {
        if i > 0 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = factor * sample.v + (1.0 - factor) * (level + trend);
        (before, level) = (level, next);
    }
    Some(level)
}

fn factors(args: [f64; 2]) -> Result<(), String> {
    for (name, factor) in ["smoothing", "trend"].into_iter().zip(args) {
        if factor <= 0.0 || factor >= 1.0 {
            let letter = &name[..1];
            return Err(format!("invalid {name} factor. Expected: 0 < {letter}f < 1, got: {factor:.6}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, values: &[f64], args: [f64; 2]) -> Option<f64> {
        let samples: Vec<_> =
            values.iter().enumerate().map(|(i, v)| Sample { t: 10_000 * (i as i64 + 1), v: *v }).collect();
        let (_, over) = FUNCTIONS.iter().find(|(n, _)| *n == name).expect(name);
        (over.run)(&Range { samples: &samples, from: 0, to: 60_000, now: 60_000, args, extent: Extent::Plain })
    }

    #[test]
    fn each_function_has_its_value() {
        let v = [3.0, 1.0, 4.0, 1.0];
        for (name, wanted) in [
            ("avg_over_time", 2.25),
            ("changes", 3.0),
            ("count_over_time", 4.0),
            ("resets", 2.0),
            ("first_over_time", 3.0),
            ("last_over_time", 1.0),
            ("max_over_time", 4.0),
            ("min_over_time", 1.0),
            ("ts_of_max_over_time", 30.0),
            ("ts_of_min_over_time", 40.0),
            ("ts_of_first_over_time", 10.0),
            ("ts_of_last_over_time", 40.0),
            ("mad_over_time", 1.0),
            ("stdvar_over_time", 1.6875),
            ("sum_over_time", 9.0),
            ("present_over_time", 1.0),
        ] {
            assert_eq!(run(name, &v, [0.0; 2]), Some(wanted), "{name}");
        }
        assert_eq!(run("quantile_over_time", &v, [0.5, 0.0]), Some(2.0));
        assert_eq!(run("deriv", &[1.0, 2.0, 3.0], [0.0; 2]), Some(0.1));
        assert_eq!(run("predict_linear", &[1.0, 2.0, 3.0], [30.0, 0.0]).map(f64::round), Some(9.0));
        assert_eq!(run("double_exponential_smoothing", &[1.0, 2.0, 3.0], [0.5, 0.5]), Some(3.0));
    }

    #[test]
    fn one_sample_is_not_enough_for_a_line() {
        for name in ["deriv", "predict_linear", "rate", "irate", "idelta", "holt_winters"] {
            assert_eq!(run(name, &[1.0], [0.5; 2]), None, "{name}");
        }
    }

    #[test]
    fn factors_must_be_between_zero_and_one() {
        assert!(factors([0.5, 0.5]).is_ok());
        let message = factors([0.5, 1.0]).expect_err("too much");
        assert_eq!(message, "invalid trend factor. Expected: 0 < tf < 1, got: 1.000000");
    }
}
