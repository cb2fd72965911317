//! Quantiles, by one definition wherever a percentile is shown.

/// Returns the quantile of sorted numbers for a share between 0 and 1; nothing of no numbers.
///
/// It interpolates between the two nearest ranks: with `h = share · (n − 1)`, it is
/// `x[⌊h⌋] + (h − ⌊h⌋) · (x[⌈h⌉] − x[⌊h⌋])`, counted from 0. This is type 7 of Hyndman and Fan, *Sample Quantiles in
/// Statistical Packages* (1996), and what `quantile_over_time` of Prometheus computes.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = share.clamp(0.0, 1.0) * last as f64;
    let at = |rank: f64| sorted.get(rank as usize).copied();
    let (low, high) = (at(rank.floor())?, at(rank.ceil())?);
    // Two equal infinities have no distance; one of them swallows everything between.
    Some(if low == high || rank.fract() == 0.0 { low } else { low + (high - low) * rank.fract() })
}

/// Returns the median of numbers in any order, which it sorts; nothing of no numbers.
pub fn median(numbers: &mut [f64]) -> Option<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    quantile(numbers, 0.5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_those_of_other_tools() {
        // numpy.quantile of the same numbers, its default method.
        let numbers = [0.1, 0.4, 1.5, 2.0, 2.0, 3.7, 9.5];
        for (share, expected) in [(0.0, 0.1), (0.25, 0.95), (0.5, 2.0), (0.95, 7.76), (0.99, 9.152), (1.0, 9.5)] {
            let got = quantile(&numbers, share).expect("there are numbers");
            assert!((got - expected).abs() < 1e-12, "{share}: {got}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[f64::NEG_INFINITY, f64::INFINITY], 0.0), Some(f64::NEG_INFINITY));
        assert_eq!(quantile(&[1.0, f64::INFINITY, f64::INFINITY], 0.9), Some(f64::INFINITY));
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 10.0]), Some(2.5));
    }

    proptest! {
        #[test]
        fn a_quantile_parts_the_numbers_at_its_share(
            mut numbers in prop::collection::vec(-1e6..1e6_f64, 1..60),
            share in 0.0..=1.0_f64,
        ) {
            numbers.sort_by(f64::total_cmp);
            let cut = quantile(&numbers, share).expect("there are numbers");
            let below = numbers.iter().filter(|n| **n < cut).count() as f64;
            let up_to = numbers.iter().filter(|n| **n <= cut).count() as f64;
            let rank = share * (numbers.len() - 1) as f64;
            prop_assert!(below <= rank.ceil() && up_to >= rank.floor() + 1.0, "{} of {:?}", cut, numbers);
        }
    }
}
