//! Numbers against limits. Nothing is truncated; NaN compares as nothing.

use crate::model::{Literal, Matcher, Op, Quantity};

/// Tells whether a number is in a band, both ends included.
pub(crate) fn between(value: f64, low: Quantity, high: Quantity) -> bool {
    low.value <= value && value <= high.value
}

/// Tells whether a number is within a share of a centre: 0.1 for 10%.
pub(crate) fn within(value: f64, share: f64, centre: Quantity) -> bool {
    near(value, centre, share * centre.value.abs())
}

/// Tells whether a number is at most a distance away from a centre.
pub(crate) fn around(value: f64, centre: Quantity, distance: Quantity) -> bool {
    near(value, centre, distance.value)
}

/// Tells whether a number is a status of a class: 2 for 200 to 299.
pub(crate) fn in_class(value: f64, class: u8) -> bool {
    value.fract() == 0.0 && (value / 100.0).floor() == f64::from(class)
}

/// Widens a band by what binary fractions add or lose, so that 2.0 is within 1.9 ± 0.1.
fn near(value: f64, centre: Quantity, distance: f64) -> bool {
    let slack = f64::EPSILON * 4.0 * (centre.value.abs() + distance);
    (value - centre.value).abs() <= distance + slack
}

/// Measures how bad a number is: the higher, the further beyond the limit, or the nearer to it from the good side.
pub(crate) fn badness(value: f64, matcher: &Matcher) -> f64 {
    let badness = match matcher {
        Matcher::Compare(Op::Less | Op::AtMost, limit) => value - limit.value,
        Matcher::Compare(Op::Greater | Op::AtLeast, limit) => limit.value - value,
        Matcher::Compare(Op::Equal, limit) | Matcher::Equals(Literal::Quantity(limit)) => (value - limit.value).abs(),
        Matcher::Compare(Op::NotEqual, limit) => -(value - limit.value).abs(),
        Matcher::Between(low, high) => (low.value - value).max(value - high.value),
        Matcher::Within(_, centre) | Matcher::Around(centre, _) => (value - centre.value).abs(),
        Matcher::Not(inner) => -badness(value, inner),
        Matcher::All(of) => of.iter().map(|m| badness(value, m)).fold(f64::NEG_INFINITY, f64::max),
        Matcher::OneOf(of) => of.iter().map(|m| badness(value, m)).fold(f64::INFINITY, f64::min),
        Matcher::Equals(_)
        | Matcher::Relative(..)
        | Matcher::NotWorse(..)
        | Matcher::StatusClass(_)
        | Matcher::Contains(_)
        | Matcher::StartsWith(_)
        | Matcher::EndsWith(_)
        | Matcher::Matches(_)
        | Matcher::Semver(_)
        | Matcher::Length(_)
        | Matcher::Exists
        | Matcher::Absent
        | Matcher::Empty
        | Matcher::Every
        | Matcher::NoneOf
        | Matcher::Some => 0.0,
    };
    if badness.is_nan() { 0.0 } else { badness }
}

/// Returns the limit of a matcher that has exactly one.
pub(crate) fn limit(matcher: &Matcher) -> Option<Quantity> {
    if let Matcher::Compare(_, limit) | Matcher::Equals(Literal::Quantity(limit)) = matcher {
        return Some(*limit);
    }
    if let Matcher::Not(inner) | Matcher::Length(inner) = matcher {
        return limit(inner);
    }
    None
}

/// Returns a quantity whose unit the observed number is said in. A length is said as it is.
pub(crate) fn unit_of(matcher: &Matcher) -> Option<Quantity> {
    if let Matcher::Between(unit, _) | Matcher::Within(_, unit) | Matcher::Around(unit, _) = matcher {
        return Some(*unit);
    }
    if let Matcher::All(of) | Matcher::OneOf(of) = matcher {
        return of.iter().find_map(unit_of);
    }
    if let Matcher::Not(inner) = matcher {
        return unit_of(inner);
    }
    if let Matcher::Length(_) = matcher {
        return None;
    }
    limit(matcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(text: &str) -> Quantity {
        Quantity::parse(text).expect(text)
    }

    #[test]
    fn bands_include_their_ends() {
        for (value, expected) in [(2.0, true), (5.0, true), (1.999, false), (5.001, false)] {
            assert_eq!(between(value, q("2s"), q("5s")), expected, "{value}");
        }
        for (value, expected) in [(2.0, true), (1.8, true), (2.01, false), (1.79, false)] {
            assert_eq!(around(value, q("1.9"), q("0.1")), expected, "{value}");
        }
        for (value, expected) in [(180.0, true), (220.0, true), (179.9, false), (221.0, false)] {
            assert_eq!(within(value, 0.1, q("200")), expected, "{value}");
            assert_eq!(within(-value, 0.1, q("-200")), expected, "-{value}");
        }
        for (value, expected) in [(200.0, true), (299.0, true), (300.0, false), (204.5, false), (-200.0, false)] {
            assert_eq!(in_class(value, 2), expected, "{value}");
        }
    }

    #[test]
    fn the_worst_is_the_one_furthest_beyond_the_limit() {
        let most = Matcher::Compare(Op::AtMost, q("5"));
        assert!(badness(9.0, &most) > badness(6.0, &most));
        let least = Matcher::Compare(Op::AtLeast, q("5"));
        assert!(badness(1.0, &least) > badness(4.0, &least));
        assert_eq!(badness(f64::INFINITY, &Matcher::Compare(Op::Less, Quantity::number(f64::INFINITY))), 0.0);
    }
}
