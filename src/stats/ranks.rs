//! Two groups of numbers against each other by their ranks: is one of them really greater, and by how much?
//!
//! Ranks ask nothing of how the numbers are distributed, and one outlier weighs no more than any other number: the
//! reason why automated canary analysis compares time series with this test.

/// What the ranks of two groups say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranks {
    /// Mann and Whitney's U of the first group: how many pairs of a number of each group have the greater number in
    /// the first, ties counted half.
    pub u: f64,
    /// The likelihood of such ranks if the first group were *not* greater than the second.
    pub greater: f64,
    /// The likelihood of such ranks if the first group were *not* less than the second.
    pub less: f64,
    /// The likelihood of such ranks, or of ranks as far apart the other way, if the two did not differ.
    pub differs: f64,
    /// The common-language effect size, `U / (n · m)`: the share of pairs in which the first group has the greater
    /// number. 0.5 when neither is greater.
    pub effect: f64,
}

/// Compares two groups by the rank-sum test; nothing when one of them is empty or holds a NaN.
///
/// `U = R − n(n + 1)/2` with `R` the sum of the first group's ranks, ties given the mean of their ranks. By the normal
/// approximation with correction for ties and for continuity, `z = (|U − nm/2| − ½) / σ` with
/// `σ² = nm/12 · (n + m + 1 − Σ(t³ − t) / ((n + m)(n + m − 1)))`, `t` the sizes of the groups of equal numbers. Mann and
/// Whitney, *On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other* (1947); with
/// fewer than eight numbers in a group the approximation is poor. When all numbers are equal, nothing differs.
pub fn rank_sum(first: &[f64], second: &[f64]) -> Option<Ranks> {
    let (n, m) = (first.len() as f64, second.len() as f64);
    let mut all: Vec<(f64, bool)> =
        first.iter().map(|v| (*v, true)).chain(second.iter().map(|v| (*v, false))).collect();
    if first.is_empty() || second.is_empty() || all.iter().any(|(v, _)| v.is_nan()) {
        return None;
    }
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    // -0 and 0 stand side by side in the total order and are equal here.
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        let size = equal.len() as f64;
        let rank = before + (size + 1.0) / 2.0;
        ranks += rank * equal.iter().filter(|(_, first)| *first).count() as f64;
        ties += size * size * size - size;
        before += size;
    }
    let u = ranks - n * (n + 1.0) / 2.0;
    let variance = n * m / 12.0 * (before + 1.0 - ties / (before * (before - 1.0)));
    let effect = u / (n * m);
    if variance.is_nan() || variance <= 0.0 {
        return Some(Ranks { u, greater: 1.0, less: 1.0, differs: 1.0, effect });
    }
    let beyond = |over: f64| tail((over - 0.5) / variance.sqrt());
    let over = u - n * m / 2.0;
    Some(Ranks { u, greater: beyond(over), less: beyond(-over), differs: (2.0 * beyond(over.abs())).min(1.0), effect })
}

/// Returns the share of a standard normal distribution that lies above `z`.
fn tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

/// Returns how far the first group lies above the second: the median of all differences of a number of the first and
/// one of the second, after Hodges and Lehmann, *Estimates of Location Based on Rank Tests* (1963). Nothing when one is
/// empty or holds a NaN.
///
/// The `n · m` differences are never written down: how many are at most some number is counted along the sorted groups
/// in `n · log m` steps, and the number for which that is half of them is found by halving the range of all numbers, 64
/// times.
pub fn shift(first: &[f64], second: &[f64]) -> Option<f64> {
    let sorted = |numbers: &[f64]| {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable_by(f64::total_cmp);
        numbers
    };
    let (first, second) = (sorted(first), sorted(second));
    let count = (first.len() as u64).checked_mul(second.len() as u64).filter(|count| *count > 0)?;
    if first.iter().chain(&second).any(|v| !v.is_finite()) {
        return None;
    }
    let (low, high) = (difference(&first, &second, (count - 1) / 2), difference(&first, &second, count / 2));
    Some(low / 2.0 + high / 2.0)
}

/// Finds the difference that has `rank` others below it, by halving.
fn difference(first: &[f64], second: &[f64], rank: u64) -> f64 {
    let (mut low, mut high) = (ordered(f64::NEG_INFINITY), ordered(f64::INFINITY));
    while low < high {
        let middle = low.midpoint(high);
        match at_most(first, second, number(middle)) > rank {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    number(low)
}

/// Counts the differences of sorted groups that are at most `limit`.
fn at_most(first: &[f64], second: &[f64], limit: f64) -> u64 {
    let mut from = second.len();
    let mut count = 0;
    for value in first.iter().rev() {
        // The greater the number of the first, the greater must be that of the second.
        let skip = second[..from].partition_point(|other| value - other > limit);
        count += (second.len() - skip) as u64;
        from = skip + usize::from(skip < second.len());
    }
    count
}

/// Maps a number to an integer of the same order.
fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Maps an integer of [`ordered`] back.
fn number(ordered: u64) -> f64 {
    f64::from_bits(if ordered >> 63 == 1 { ordered ^ 1 << 63 } else { !ordered })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::median;

    fn near(got: f64, expected: f64) -> bool {
        (got - expected).abs() <= 1e-9 * expected.abs().max(1e-3)
    }

    #[test]
    fn the_test_gives_what_other_tools_give() {
        // scipy.stats.mannwhitneyu of the same numbers, method="asymptotic".
        for (first, second, u, greater, less, differs) in KNOWN {
            let got = rank_sum(first, second).expect("numbers");
            assert_eq!(got.u, *u);
            let all = [(got.greater, greater), (got.less, less), (got.differs, differs)];
            assert!(all.iter().all(|(a, b)| near(*a, **b)), "{first:?} and {second:?}: {got:?}");
        }
    }

    #[test]
    fn equal_and_missing_numbers_say_nothing() {
        let same = rank_sum(&[3.0; 20], &[3.0; 30]).expect("numbers");
        assert_eq!((same.greater, same.less, same.differs, same.effect), (1.0, 1.0, 1.0, 0.5));
        assert_eq!(rank_sum(&[], &[1.0]), None);
        assert_eq!(rank_sum(&[1.0, f64::NAN], &[1.0]), None);
        assert_eq!(rank_sum(&[0.0], &[-0.0]).map(|r| r.effect), Some(0.5));
        let far = rank_sum(&[f64::INFINITY; 10], &[1.0; 10]).expect("numbers");
        assert!(far.greater < 1e-4 && far.effect == 1.0);
        assert_eq!((shift(&[], &[1.0]), shift(&[f64::INFINITY], &[1.0])), (None, None));
    }

    /// Numbers with many ties among them.
    fn group() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(prop_oneof![(-5_i32..5).prop_map(f64::from), -5.0..5.0_f64], 1..40)
    }

    proptest! {
        #[test]
        fn the_effect_is_the_share_of_pairs_that_are_greater(first in group(), second in group()) {
            let pairs = first.iter().flat_map(|a| second.iter().map(move |b| match a.total_cmp(b) {
                _ if a == b => 0.5,
                std::cmp::Ordering::Greater => 1.0,
                _ => 0.0,
            }));
            let u: f64 = pairs.sum();
            let got = rank_sum(&first, &second).expect("numbers");
            prop_assert!((got.u - u).abs() < 1e-9);
            prop_assert!((got.effect - u / (first.len() * second.len()) as f64).abs() < 1e-12);
        }

        #[test]
        fn turned_round_it_says_the_opposite(first in group(), second in group()) {
            let (here, there) = (rank_sum(&first, &second), rank_sum(&second, &first));
            let (here, there) = (here.expect("numbers"), there.expect("numbers"));
            prop_assert!(near(here.greater, there.less) && near(here.differs, there.differs));
            prop_assert!((here.effect + there.effect - 1.0).abs() < 1e-12);
        }

        #[test]
        fn the_shift_is_the_median_of_all_differences(first in group(), second in group()) {
            let mut all: Vec<f64> = first.iter().flat_map(|a| second.iter().map(move |b| a - b)).collect();
            let (got, expected) = (shift(&first, &second).expect("numbers"), median(&mut all).expect("some"));
            prop_assert!((got - expected).abs() < 1e-12, "{} for {}", got, expected);
        }
    }

    type Known = (&'static [f64], &'static [f64], f64, f64, f64, f64);

    const KNOWN: &[Known] = &[
        (
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
            &[11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0],
            0.0,
            0.9998399830292902,
            0.00022433402018915614,
            0.0004486680403783123,
        ),
        (
            &[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0],
            &[2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0, 2.0, 8.0],
            50.5,
            0.6391396001619251,
            0.38784967398738446,
            0.7756993479747689,
        ),
        (
            &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 2.0],
            &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            72.0,
            0.06430813454645173,
            0.9507040437469916,
            0.12861626909290347,
        ),
        (
            &[0.5, 0.53, 0.473, 0.411, 0.455, 0.401, 0.506, 0.634, 0.451, 0.438, 0.549, 0.536],
            &[0.411, 0.307, 0.397, 0.47, 0.266, 0.354, 0.21, 0.271, 0.216, 0.376, 0.273, 0.427, 0.416, 0.381, 0.148],
            169.5,
            5.777174989212532e-05,
            0.9999527304708119,
            0.00011554349978425063,
        ),
    ];
}
