//! Samples that should be there and are not, told from the step at which they are expected.

/// How complete a series is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaps {
    /// How many samples are missing.
    pub missing: u64,
    /// The longest time without a sample, the ends of the window included, in the unit of the times.
    pub longest: f64,
}

/// Finds the gaps of a series within `(start, end]` that should have a sample every `step`. `times` ascend.
///
/// Two neighbours that are `d` apart miss `round(d / step) − 1` samples between them, so that a sample that comes a
/// little early or late is not a gap. Before the first and behind the last sample, every *whole* step without one is a
/// gap: nothing hangs on where in its step the window begins, nor on a sample that is due at its very end.
pub fn gaps(times: &[f64], start: f64, end: f64, step: f64) -> Gaps {
    let length = (end - start).max(0.0);
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return Gaps { missing: whole((length / step).floor()), longest: length };
    };
    let edges = [first - start, end - last].map(|edge| edge.max(0.0));
    // A sample exactly a step behind the start is the first that was expected.
    let outside: u64 = edges.iter().map(|edge| whole((edge / step - TOLERANCE).floor())).sum();
    let inside: u64 = times.windows(2).map(|pair| whole(((pair[1] - pair[0]) / step).round() - 1.0)).sum();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).chain(edges).fold(0.0, f64::max);
    Gaps { missing: outside.saturating_add(inside), longest }
}

/// How much of a step a sample at the edge of the window may be late.
const TOLERANCE: f64 = 0.1;

fn whole(count: f64) -> u64 {
    // A cast saturates, and takes NaN for 0: a step of 0 expects nothing.
    if count.is_finite() { count.max(0.0) as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_whole_series_has_no_gap_wherever_its_window_begins() {
        let times: Vec<f64> = (0..=20).map(|n| f64::from(n) * 30.0).collect();
        for offset in 0..30 {
            let (start, end) = (f64::from(offset), f64::from(offset) + 300.0);
            let within: Vec<f64> = times.iter().copied().filter(|t| *t > start && *t <= end).collect();
            assert_eq!((within.len(), gaps(&within, start, end, 30.0).missing), (10, 0), "from {offset}");
        }
    }

    #[test]
    fn missing_samples_are_counted_inside_and_at_the_ends() {
        let table: &[(&[f64], u64, f64)] = &[
            (&[10.0, 20.0, 30.0, 40.0, 50.0], 0, 10.0),
            (&[10.2, 19.7, 30.4, 40.0, 50.0], 0, 10.7),
            (&[10.0, 30.0, 40.0, 50.0], 1, 20.0),
            (&[10.0, 50.0], 3, 40.0),
            (&[30.0, 40.0, 50.0], 2, 30.0),
            (&[10.0, 20.0], 2, 30.0),
            (&[], 5, 50.0),
        ];
        for (times, missing, longest) in table {
            let found = gaps(times, 0.0, 50.0, 10.0);
            assert_eq!(found.missing, *missing, "{times:?}");
            assert!((found.longest - longest).abs() < 1e-9, "{times:?}: {}", found.longest);
        }
        assert_eq!(gaps(&[1.0], 0.0, 5.0, 0.0).missing, 0);
    }

    proptest! {
        #[test]
        fn what_is_taken_out_is_missing(taken in prop::collection::btree_set(0_usize..100, 0..100)) {
            let kept: Vec<f64> = (0..100).filter(|n| !taken.contains(n)).map(|n| (n + 1) as f64 * 15.0).collect();
            prop_assert_eq!(gaps(&kept, 0.0, 1507.0, 15.0).missing, taken.len() as u64);
        }
    }
}
