//! Sums and means that lose no small numbers beside large ones: Kahan summation as improved by Neumaier
//! (<https://en.wikipedia.org/wiki/Kahan_summation_algorithm#Further_enhancements>).

/// A running sum with what was lost by rounding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) sum: f64,
    pub(super) lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, v: f64) {
        let total = self.sum + v;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= v.abs() {
            self.lost += (self.sum - total) + v;
        } else {
            self.lost += (v - total) + self.sum;
        }
        self.sum = total;
    }

    pub(super) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }
}

/// A running mean: of the sum as long as that does not overflow, then step by step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sum: Sum,
    count: f64,
    stepwise: bool,
}

impl Mean {
    pub(super) fn add(&mut self, v: f64) {
        self.count += 1.0;
        if !self.stepwise {
            let mut sum = self.sum;
            sum.add(v);
            // The first value may be infinite by itself.
            if !sum.sum.is_infinite() || self.count == 1.0 {
                self.sum = sum;
                return;
            }
            self.stepwise = true;
            let before = self.count - 1.0;
            self.sum = Sum { sum: self.sum.sum / before, lost: self.sum.lost / before };
        }
        let kept = (self.count - 1.0) / self.count;
        self.sum = Sum { sum: kept * self.sum.sum, lost: kept * self.sum.lost };
        self.sum.add(v / self.count);
    }

    pub(super) fn mean(self) -> f64 {
        if self.stepwise {
            self.sum.sum + self.sum.lost
        } else {
            self.sum.sum / self.count + self.sum.lost / self.count
        }
    }
}

/// Returns the population variance of values (Welford's method, with compensated sums).
pub(super) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for v in values {
        count += 1.0;
        let delta = v - (mean.sum + mean.lost);
        mean.add(delta / count);
        squares.add(delta * (v - (mean.sum + mean.lost)));
    }
    (squares.sum + squares.lost) / count
}

/// Returns the quantile of values, interpolated between the nearest two; a NaN counts as the smallest.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = Sum::default();
        values.iter().for_each(|v| sum.add(*v));
        sum.total()
    }

    fn mean(values: &[f64]) -> f64 {
        let mut mean = Mean::default();
        values.iter().for_each(|v| mean.add(*v));
        mean.mean()
    }

    #[test]
    fn small_numbers_are_not_lost() {
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(mean(&[1.0, 1e100, 1.0, -1e100]), 0.5);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let big = f64::MAX / 1.8;
        assert_eq!(mean(&[big, big, big]), big);
        assert_eq!(mean(&[f64::INFINITY, 0.0, f64::INFINITY]), f64::INFINITY);
        assert!(mean(&[f64::INFINITY, 0.0, f64::NEG_INFINITY]).is_nan());
        assert_eq!(mean(&[52.0; 12]), 52.0);
    }

    #[test]
    fn quantiles_are_interpolated() {
        assert_eq!(quantile(0.75, &mut [4.0, 0.0, 1.0]), 2.5);
        assert_eq!(quantile(1.0, &mut [1.0]), 1.0);
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
        assert_eq!((quantile(-1.0, &mut [1.0]), quantile(2.0, &mut [1.0])), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn equal_values_do_not_vary() {
        assert_eq!(variance([1.599_050_563_727_786_8; 3].into_iter()), 0.0);
        assert!((variance([0.0, 8.0, 8.0, 2.0, 3.0].into_iter()) - 10.56).abs() < 1e-12);
    }
}
