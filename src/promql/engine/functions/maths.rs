//! Functions of one number.

use std::f64::consts::PI;

/// Changes one number.
pub(in super::super) type Map = fn(f64) -> f64;

/// By name.
pub(in super::super) const FUNCTIONS: &[(&str, Map)] = &[
    ("abs", f64::abs),
    ("acos", f64::acos),
    ("acosh", f64::acosh),
    ("asin", f64::asin),
    ("asinh", f64::asinh),
    ("atan", f64::atan),
    ("atanh", f64::atanh),
    ("ceil", f64::ceil),
    ("cos", f64::cos),
    ("cosh", f64::cosh),
    ("deg", |v| v * 180.0 / PI),
    ("exp", f64::exp),
    ("floor", f64::floor),
    ("ln", f64::ln),
    ("log10", f64::log10),
    ("log2", f64::log2),
    ("rad", |v| v * PI / 180.0),
    ("sgn", sign),
    ("sin", f64::sin),
    ("sinh", f64::sinh),
    ("sqrt", f64::sqrt),
    ("tan", f64::tan),
    ("tanh", f64::tanh),
];

/// Returns -1, 1, or what is neither: zeros and NaN.
fn sign(v: f64) -> f64 {
    if v < 0.0 {
        -1.0
    } else if v > 0.0 {
        1.0
    } else {
        v
    }
}

/// Rounds to a multiple; halves upwards.
pub(in super::super) fn round(v: f64, to: f64) -> f64 {
    // The inverse makes fewer errors with multiples such as 0.1.
    let inverse = 1.0 / to;
    (v * inverse + 0.5).floor() / inverse
}

/// Returns the larger one; NaN when one is NaN and the other not infinite, as in Go.
pub(in super::super) fn larger(a: f64, b: f64) -> f64 {
    match a == f64::INFINITY || b == f64::INFINITY {
        true => f64::INFINITY,
        false if a.is_nan() || b.is_nan() => f64::NAN,
        false => a.max(b),
    }
}

/// Returns the smaller one; NaN when one is NaN and the other not negative and infinite, as in Go.
pub(in super::super) fn smaller(a: f64, b: f64) -> f64 {
    match a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        true => f64::NEG_INFINITY,
        false if a.is_nan() || b.is_nan() => f64::NAN,
        false => a.min(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_upwards() {
        assert_eq!((round(2.5, 1.0), round(-2.5, 1.0), round(5.25, 0.1)), (3.0, -2.0, 5.3));
    }

    #[test]
    fn nan_is_handed_on() {
        assert!(larger(f64::NAN, 1.0).is_nan() && smaller(1.0, f64::NAN).is_nan() && sign(f64::NAN).is_nan());
        assert_eq!((larger(1.0, 2.0), smaller(1.0, 2.0), sign(-3.0)), (2.0, 1.0, -1.0));
        assert_eq!(larger(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert_eq!(smaller(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
    }
}
