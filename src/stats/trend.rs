//! How fast a series grows, told so that outliers do not decide: the estimate of Theil and Sen, with its confidence
//! interval, and the time at which the trend crosses a limit.

use super::quantile::median;

/// The most slopes of pairs that are taken: all pairs of 1000 points.
pub const MOST_PAIRS: usize = 500_000;

/// The share of a standard normal distribution within ±`Z` is 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A straight line through a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Growth per unit of time.
    pub slope: f64,
    /// The 95 % confidence interval of the slope; nothing when there are too few points for one.
    pub interval: Option<(f64, f64)>,
    /// The time of the last point.
    pub at: f64,
    /// The height of the line at that time.
    pub level: f64,
}

/// Fits a line to points `(time, value)` in the order of time.
///
/// The slope is the median of the slopes of all pairs of points, and the line passes through the median of
/// `value − slope · time`: Theil, *A Rank-Invariant Method of Linear Regression* (1950), and Sen, *Estimates of the
/// Regression Coefficient Based on Kendall's Tau* (1968). Up to 29 % of the points may be arbitrarily wrong. The interval
/// is Sen's: the slopes of the ranks `(N ± z · σ) / 2` among the `N` slopes, with
/// `σ² = (n(n − 1)(2n + 5) − Σ t(t − 1)(2t + 5)) / 18`, `t` the sizes of the groups of equal values. It takes the
/// deviations from the line for independent; those of neighbouring samples of a process mostly are not, so the true
/// uncertainty is larger.
///
/// Up to 1000 points every pair is taken. Of more, one out of each `k` pairs that stand next to each other in the order
/// of their distance, with the least `k` that leaves no more than 500,000: the same points always give the same line.
///
/// Nothing comes of fewer than two points, or when a number among them is not finite.
pub fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    fit(points, MOST_PAIRS)
}

/// Fits a line as [`trend`] does, from at most so many pairs: for many series at once.
pub fn fit(points: &[(f64, f64)], most_pairs: usize) -> Option<Trend> {
    let (at, _) = *points.last()?;
    if points.iter().any(|(t, v)| !t.is_finite() || !v.is_finite()) {
        return None;
    }
    let mut slopes = slopes(points, most_pairs.max(1));
    let slope = median(&mut slopes)?;
    // Times are taken from the last one, so that seconds since 1970 leave room for the digits of the values.
    let mut levels: Vec<f64> = points.iter().map(|(t, v)| v - slope * (t - at)).collect();
    let level = median(&mut levels)?;
    let interval = interval(points, &slopes);
    slope.is_finite().then_some(Trend { slope, interval, at, level })
}

/// Takes the slopes of pairs, all of them or evenly picked ones.
fn slopes(points: &[(f64, f64)], most: usize) -> Vec<f64> {
    let pairs = points.len() * (points.len() - 1) / 2;
    let every = pairs.div_ceil(most).max(1);
    let mut slopes = Vec::with_capacity(pairs / every);
    // Pairs are numbered by their distance, and within it by their first point.
    let (mut distance, mut before) = (1, 0);
    for stretch in 0..pairs / every {
        let pair = stretch * every + scattered(stretch, every);
        while pair - before >= points.len() - distance {
            before += points.len() - distance;
            distance += 1;
        }
        let ((t, v), (u, w)) = (points[pair - before], points[pair - before + distance]);
        if u != t {
            slopes.push((w - v) / (u - t));
        }
    }
    slopes
}

/// Picks one of `count` without a rhythm that could meet one of the series, and always the same one for a number: by
/// the finalizer of Vigna's SplitMix64.
fn scattered(number: usize, count: usize) -> usize {
    let mut mixed = (number as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ mixed >> 31) % count as u64) as usize
}

/// Finds the interval among the sorted slopes.
fn interval(points: &[(f64, f64)], slopes: &[f64]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let mut values: Vec<f64> = points.iter().map(|(_, v)| *v + 0.0).collect();
    values.sort_unstable_by(f64::total_cmp);
    let term = |t: f64| t * (t - 1.0) * (2.0 * t + 5.0);
    let ties: f64 = values.chunk_by(|a, b| a == b).map(|equal| term(equal.len() as f64)).sum();
    let pairs = n * (n - 1.0) / 2.0;
    let reach = Z * ((term(n) - ties) / 18.0).max(0.0).sqrt();
    if reach > pairs {
        return None;
    }
    // Ranks among all pairs, carried over to the slopes that were taken.
    let scale = slopes.len() as f64 / pairs;
    let rank = |of_all: f64| (of_all / 2.0 * scale).round_ties_even();
    let (low, high) = (rank(pairs - reach) - 1.0, rank(pairs + reach));
    let at = |rank: f64| slopes.get((rank.max(0.0) as usize).min(slopes.len().saturating_sub(1))).copied();
    Some((at(low)?, at(high)?))
}

/// When a trend crosses a limit, in the unit of its times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// When the line crosses it.
    pub at: f64,
    /// When it crosses it at the earliest, by the steeper end of the confidence interval.
    pub earliest: f64,
    /// When it crosses it at the latest; nothing when the interval holds slopes that never do.
    pub latest: Option<f64>,
}

impl Trend {
    /// Returns when the line, as it goes on from its last point, crosses a limit; nothing when it leads away from the
    /// limit, when it has crossed it already, or when the slope cannot be told from a flat one: its confidence interval
    /// is missing or holds 0.
    pub fn crosses(&self, limit: f64) -> Option<Crossing> {
        let (low, high) = self.interval?;
        let way = limit - self.level;
        if (low <= 0.0 && high >= 0.0) || way == 0.0 || (way > 0.0) != (self.slope > 0.0) {
            return None;
        }
        let (steep, flat) = if self.slope > 0.0 { (high, low) } else { (low, high) };
        let after = |slope: f64| self.at + way / slope;
        Some(Crossing { at: after(self.slope), earliest: after(steep), latest: Some(after(flat)) })
            .filter(|crossing| crossing.at.is_finite())
    }

    /// Returns the height of the line at a time.
    pub fn height(&self, at: f64) -> f64 {
        self.level + self.slope * (at - self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(got: f64, expected: f64) -> bool {
        (got - expected).abs() <= 1e-9 * expected.abs().max(1.0)
    }

    fn even(values: &[f64], step: f64) -> Vec<(f64, f64)> {
        values.iter().zip(0_u32..).map(|(v, n)| (f64::from(n) * step, *v)).collect()
    }

    #[test]
    fn the_line_is_that_of_other_tools() {
        // scipy.stats.theilslopes(method="joint"): slope, low, high, height at the last point.
        let first = even(&[1.0, 3.0, 2.0, 5.0, 4.0, 7.0, 8.0, 6.0, 9.0, 12.0], 1.0);
        let tied = even(&[5.0, 5.0, 5.0, 6.0, 5.0, 5.0, 7.0, 5.0, 5.0, 6.0, 6.0, 6.0, 5.0, 7.0, 8.0], 20.0);
        let times = [0.0, 10.0, 20.0, 35.0, 40.0, 60.0, 70.0, 80.0];
        let values = [-0.539, 0.251, 0.713, -0.48, 0.722, 0.821, 1.291, 3.461];
        let uneven: Vec<_> = times.into_iter().zip(values).collect();
        for (points, expected) in [
            (first, [1.0, 0.714_285_714_285_714_3, 1.333_333_333_333_333_3, 10.5]),
            (tied, [0.005, 0.0, 0.011_111_111_111_111_112, 6.3]),
            (uneven, [0.038_662_5, 0.004_95, 0.068_475, 2.411_25]),
        ] {
            let got = trend(&points).expect("a line");
            let (low, high) = got.interval.expect("enough points");
            let all = [got.slope, low, high, got.level];
            assert!(all.iter().zip(expected).all(|(a, b)| near(*a, b)), "{all:?} for {expected:?}");
        }
    }

    #[test]
    fn a_spike_does_not_tilt_the_line() {
        let mut values = vec![100.0; 50];
        values[44] = 1e9;
        let got = trend(&even(&values, 60.0)).expect("a line");
        assert_eq!((got.slope, got.interval, got.level), (0.0, Some((0.0, 0.0)), 100.0));
    }

    #[test]
    fn too_few_points_and_odd_numbers_have_no_line_or_no_interval() {
        assert_eq!(trend(&[]), None);
        assert_eq!(trend(&[(0.0, 1.0)]), None);
        assert_eq!(trend(&[(0.0, 1.0), (0.0, 2.0)]), None);
        assert_eq!(trend(&[(0.0, 1.0), (1.0, f64::INFINITY)]), None);
        assert_eq!(trend(&[(0.0, 1.0), (1.0, f64::NAN)]), None);
        assert_eq!(trend(&[(0.0, -f64::MAX), (1.0, f64::MAX)]), None);
        let two = trend(&[(0.0, 1.0), (2.0, 2.0)]).expect("a line");
        assert_eq!((two.slope, two.interval), (0.5, None));
        assert_eq!(two.crosses(5.0), None, "two points are no trend");
    }

    #[test]
    fn a_limit_is_crossed_when_the_line_gets_there() {
        let rising = trend(&even(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 10.0)).expect("a line");
        let crossing = rising.crosses(10.0).expect("it rises to 10");
        assert!(near(crossing.at, 90.0) && crossing.earliest <= crossing.at, "{crossing:?}");
        assert!(near(rising.height(90.0), 10.0));
        assert_eq!(rising.crosses(3.0), None, "it is above that already");
        let falling = trend(&even(&[7.0, 6.0, 5.0, 4.0, 3.0, 2.0], 1.0)).expect("a line");
        assert!(near(falling.crosses(0.0).expect("it falls to 0").at, 7.0));
        assert_eq!(falling.crosses(10.0), None);
        let noise = trend(&even(&[5.0, 4.0, 6.0, 5.0, 4.0, 6.0, 5.5, 4.5, 5.2], 1.0)).expect("a line");
        assert_eq!(noise.crosses(100.0), None, "a slope that may be 0 leads nowhere: {noise:?}");
    }

    #[test]
    fn many_points_are_fitted_from_some_of_their_pairs() {
        // A slow rise under a saw tooth, as a garbage collector makes it, of any rhythm.
        for period in [2, 97, 120, 121, 122, 242] {
            let values: Vec<f64> = (0..11_000).map(|n| f64::from(n) * 0.01 + f64::from(n % period)).collect();
            let points = even(&values, 30.0);
            assert!(slopes(&points, MOST_PAIRS).len() <= MOST_PAIRS);
            let got = trend(&points).expect("a line");
            assert!((got.slope * 30.0 - 0.01).abs() < 3e-4, "{period}: {got:?}");
            assert_eq!(trend(&points), Some(got));
        }
    }

    fn series() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((1_u32..100, prop_oneof![(-4_i32..4).prop_map(f64::from), -5.0..5.0_f64]), 2..40)
            .prop_map(|steps| {
                let mut at = 0.0;
                steps
                    .into_iter()
                    .map(|(step, value)| {
                        at += f64::from(step);
                        (at, value)
                    })
                    .collect()
            })
    }

    proptest! {
        #[test]
        fn the_slope_is_the_median_of_all_slopes_and_lies_in_its_interval(points in series()) {
            let mut all = Vec::new();
            for (n, (t, v)) in points.iter().enumerate() {
                all.extend(points[n + 1..].iter().map(|(u, w)| (w - v) / (u - t)));
            }
            let got = trend(&points).expect("a line");
            prop_assert_eq!(Some(got.slope), median(&mut all));
            if let Some((low, high)) = got.interval {
                prop_assert!(low <= got.slope && got.slope <= high);
            }
        }

        #[test]
        fn a_straight_line_is_found_and_moves_with_its_points(
            points in series(), slope in -100.0..100.0_f64, start in -1e6..1e6_f64,
        ) {
            let line: Vec<_> = points.iter().map(|(t, _)| (*t, start + slope * t)).collect();
            let got = trend(&line).expect("a line");
            prop_assert!((got.slope - slope).abs() < 1e-6);
            let tilted: Vec<_> = points.iter().map(|(t, v)| (*t, v + slope * t)).collect();
            let (flat, tilted) = (trend(&points).expect("a line"), trend(&tilted).expect("a line"));
            prop_assert!((tilted.slope - flat.slope - slope).abs() < 1e-6);
        }
    }
}
