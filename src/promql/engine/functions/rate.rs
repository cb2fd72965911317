//! `rate`, `increase`, `delta` and their like: how much a series went up.

use super::super::storage::Sample;
use super::super::tree::Extent;
use super::over_time::Range;

/// What is computed of the difference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Gauge,
    Counter,
    CounterPerSecond,
}

pub(super) fn rate(range: &Range<'_>) -> Option<f64> {
    change(range, Of::CounterPerSecond)
}

pub(super) fn increase(range: &Range<'_>) -> Option<f64> {
    change(range, Of::Counter)
}

pub(super) fn delta(range: &Range<'_>) -> Option<f64> {
    change(range, Of::Gauge)
}

fn change(range: &Range<'_>, of: Of) -> Option<f64> {
    let per = if of == Of::CounterPerSecond { range.seconds() } else { 1.0 };
    match range.extent {
        Extent::Plain => extrapolated(range, of).map(|(change, factor)| change * (factor / per)),
        Extent::Anchored | Extent::Smoothed => to_the_ends(range, of).map(|change| change / per),
    }
}

/// Computes the change between the first and the last sample, and how much more it is up to the ends of the range: all
/// the way when the next sample would be expected beyond the end, else by half the usual distance; a counter not below
/// zero. See <https://prometheus.io/docs/prometheus/latest/querying/functions/#rate>.
fn extrapolated(range: &Range<'_>, of: Of) -> Option<(f64, f64)> {
    let [first, .., last] = range.samples else { return None };
    let mut change = last.v - first.v;
    if of != Of::Gauge {
        change += range.samples.windows(2).filter(|pair| pair[1].v < pair[0].v).map(|pair| pair[0].v).sum::<f64>();
    }
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let sampled = seconds(last.t - first.t);
    let usual = sampled / (range.samples.len() - 1) as f64;
    let threshold = usual * 1.1;
    let mut to_start = seconds(first.t - range.from);
    let mut to_end = seconds(range.to - last.t);
    if to_start >= threshold {
        to_start = usual / 2.0;
    }
    if of != Of::Gauge && change > 0.0 && first.v >= 0.0 {
        let to_zero = sampled * (first.v / change);
        to_start = to_start.min(to_zero);
    }
    if to_end >= threshold {
        to_end = usual / 2.0;
    }
    Some((change, (sampled + to_start + to_end) / sampled))
}

/// Computes the change between the values at the ends of the range themselves.
fn to_the_ends(range: &Range<'_>, of: Of) -> Option<f64> {
    let counter = of != Of::Gauge;
    let inner = range.inner()?;
    let (left, right) = (inner.left(counter), inner.right(counter));
    let mut change = right - left;
    if counter {
        let mut before = left;
        let within = inner.within().iter().map(|s| s.v).chain([right]);
        for v in within {
            if v < before {
                change += before;
            }
            before = v;
        }
    }
    Some(change)
}

pub(super) fn irate(range: &Range<'_>) -> Option<f64> {
    let (before, last) = last_two(range)?;
    let change = if last.v < before.v { last.v } else { last.v - before.v };
    Some(change / ((last.t - before.t) as f64 / 1000.0))
}

pub(super) fn idelta(range: &Range<'_>) -> Option<f64> {
    let (before, last) = last_two(range)?;
    Some(last.v - before.v)
}

fn last_two<'a>(range: &Range<'a>) -> Option<(&'a Sample, &'a Sample)> {
    match range.samples {
        [.., before, last] if last.t != before.t => Some((before, last)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(samples: &[Sample], extent: Extent) -> Range<'_> {
        Range { samples, from: 0, to: 100_000, now: 100_000, args: [0.0; 2], extent }
    }

    fn samples(values: &[(i64, f64)]) -> Vec<Sample> {
        values.iter().map(|(t, v)| Sample { t: t * 1000, v: *v }).collect()
    }

    #[test]
    fn a_change_is_extended_to_near_ends_only() {
        let near = samples(&[(10, 10.0), (50, 50.0), (90, 90.0)]);
        assert_eq!(increase(&range(&near, Extent::Plain)), Some(100.0));
        let far = samples(&[(50, 100.0), (60, 110.0)]);
        assert_eq!(increase(&range(&far, Extent::Plain)), Some(20.0));
        assert_eq!(rate(&range(&far, Extent::Plain)), Some(0.2));
        assert_eq!(delta(&range(&far[..1], Extent::Plain)), None);
    }

    #[test]
    fn a_counter_is_not_extended_below_zero() {
        let counter = samples(&[(50, 1.0), (60, 11.0)]);
        assert_eq!(increase(&range(&counter, Extent::Plain)), Some(16.0));
        assert_eq!(delta(&range(&counter, Extent::Plain)), Some(20.0));
    }

    #[test]
    fn a_reset_counts_from_zero() {
        let counter = samples(&[(0, 0.0), (50, 10.0), (100, 5.0)]);
        assert_eq!(increase(&range(&counter, Extent::Plain)), Some(15.0));
        assert_eq!(irate(&range(&counter, Extent::Plain)), Some(0.1));
        assert_eq!(idelta(&range(&counter, Extent::Plain)), Some(-5.0));
    }

    #[test]
    fn ends_can_be_anchored_or_interpolated() {
        let around = samples(&[(-50, 10.0), (50, 30.0), (150, 50.0)]);
        assert_eq!(increase(&range(&around[..2], Extent::Anchored)), Some(20.0));
        assert_eq!(increase(&range(&around, Extent::Smoothed)), Some(20.0));
        assert_eq!(increase(&range(&around[..1], Extent::Anchored)), None);
    }
}
