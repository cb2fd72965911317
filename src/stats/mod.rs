//! What numbers come to: pure functions over slices, each with its formula and where that comes from. This module
//! imports nothing of ours, does no I/O and knows no units; the same numbers give the same answer, in whatever order
//! the machine works.
//!
//! NaN is never computed with: a function that cannot leave it out says so and returns nothing.

pub mod counter;
pub mod gaps;
pub mod quantile;
pub mod ranks;
pub mod sparkline;
pub mod trend;

pub use quantile::{median, quantile};
pub use ranks::{Ranks, rank_sum, shift};
pub use sparkline::sparkline;
pub use trend::{Crossing, Trend, trend};

/// Returns the mean of numbers; nothing of none. It is added up in steps, so that large values do not overflow.
pub fn mean(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut numbers = numbers.into_iter();
    let mut mean = numbers.next()?;
    for (value, n) in numbers.zip(2_u64..) {
        // An infinity stays one; two of opposite signs have no mean.
        mean = match mean.is_finite() && value.is_finite() {
            true => mean + (value / n as f64 - mean / n as f64),
            false => mean + value,
        };
    }
    Some(mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_neither_overflows_nor_hides_an_infinity() {
        assert_eq!(mean([]), None);
        assert_eq!(mean([1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(mean([f64::MAX, f64::MAX]), Some(f64::MAX));
        assert_eq!(mean([1.0, f64::INFINITY, 2.0]), Some(f64::INFINITY));
        assert!(mean([f64::INFINITY, f64::NEG_INFINITY]).is_some_and(f64::is_nan));
    }
}
