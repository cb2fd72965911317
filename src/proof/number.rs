//! Numbers behind their limit: right behind it, and far behind. Computed from the limit alone.

use crate::model::{Against, Kind, Literal, Matcher, Op, Quantity, Reference, Relation, Unit, Value};

/// Numbers that a matcher must not let pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Behind {
    /// Right behind the limit.
    pub just: Vec<f64>,
    /// Far behind it.
    pub far: Vec<f64>,
}

/// Returns numbers behind the limits of a matcher; none when it has no limits, or nothing lies behind them.
pub fn behind(matcher: &Matcher, kind: Kind, against: &[Reference]) -> Behind {
    let Some(matcher) = settled(matcher, against) else { return Behind::default() };
    let mut limits = Vec::new();
    limits_of(&matcher, &mut limits);
    let mut behind = Behind::default();
    for limit in limits {
        let step = step(limit, kind);
        add(&mut behind.just, [limit, limit - step, limit + step], &matcher);
        let far = limit.abs() * 10.0 + 1000.0;
        add(&mut behind.far, [limit - far, limit + far, f64::NEG_INFINITY, f64::INFINITY], &matcher);
    }
    behind
}

/// How far right behind a limit is: the next whole number where things are counted, else a millionth.
fn step(limit: f64, kind: Kind) -> f64 {
    match matches!(kind, Kind::Number | Kind::Tally) && limit.fract() == 0.0 {
        true => 1.0,
        false => (limit.abs() * 1e-6).max(1e-9),
    }
}

/// Keeps those that the matcher must not let pass.
fn add(into: &mut Vec<f64>, candidates: impl IntoIterator<Item = f64>, matcher: &Matcher) {
    for candidate in candidates {
        if meets(candidate, matcher) == Some(false) && !into.contains(&candidate) {
            into.push(candidate);
        }
    }
}

/// Puts the values of references into relative limits. Nothing when one is not a single number.
pub(super) fn settled(matcher: &Matcher, against: &[Reference]) -> Option<Matcher> {
    let all = |list: &[Matcher]| list.iter().map(|one| settled(one, against)).collect::<Option<Vec<_>>>();
    Some(match matcher {
        Matcher::Relative(relation, name) => {
            let number = number_of(*name, against)?;
            let times = |factor: f64| Quantity { value: factor * number, unit: Unit::One };
            match relation {
                Relation::Compare(op, factor) => Matcher::Compare(*op, times(*factor)),
                Relation::Between(low, high) => Matcher::Between(times(*low), times(*high)),
                Relation::Within(share) => Matcher::Within(*share, times(1.0)),
            }
        }
        Matcher::OneOf(list) => Matcher::OneOf(all(list)?),
        Matcher::All(list) => Matcher::All(all(list)?),
        Matcher::Not(inner) => Matcher::Not(Box::new(settled(inner, against)?)),
        other => other.clone(),
    })
}

fn number_of(name: Against, against: &[Reference]) -> Option<f64> {
    match &against.iter().find(|reference| reference.name == name)?.value {
        Value::Number(number) => Some(*number),
        Value::Series(samples) => match samples.as_slice() {
            [one] => Some(one.value),
            _ => None,
        },
        Value::Tally(tally) => (tally.of > 0).then_some(tally.count as f64),
        Value::Text(_) | Value::Bool(_) | Value::Json(_) | Value::Set(_) | Value::Missing(_) | Value::NoData(_) => None,
    }
}

/// Lists the numbers at which a matcher turns.
pub(super) fn limits_of(matcher: &Matcher, into: &mut Vec<f64>) {
    match matcher {
        Matcher::Compare(_, limit) | Matcher::Equals(Literal::Quantity(limit)) => into.push(limit.value),
        Matcher::Between(low, high) => into.extend([low.value, high.value]),
        Matcher::Within(share, centre) => band(centre.value, share * centre.value.abs(), into),
        Matcher::Around(centre, distance) => band(centre.value, distance.value, into),
        Matcher::StatusClass(class) => {
            let first = f64::from(*class) * 100.0;
            into.extend([first, first + 99.0]);
        }
        Matcher::OneOf(list) | Matcher::All(list) => list.iter().for_each(|one| limits_of(one, into)),
        Matcher::Not(inner) => limits_of(inner, into),
        Matcher::Relative(..)
        | Matcher::Equals(_)
        | Matcher::Contains(_)
        | Matcher::StartsWith(_)
        | Matcher::EndsWith(_)
        | Matcher::Matches(_)
        | Matcher::Semver(_)
        | Matcher::NotWorse(..)
        | Matcher::Length(_)
        | Matcher::Exists
        | Matcher::Absent
        | Matcher::Empty
        | Matcher::Every
        | Matcher::NoneOf
        | Matcher::Some => {}
    }
}

fn band(centre: f64, distance: f64, into: &mut Vec<f64>) {
    into.extend([centre - distance, centre, centre + distance]);
}

/// Tells whether a number is what a matcher asks for; nothing when it does not ask about numbers.
pub fn meets(number: f64, matcher: &Matcher) -> Option<bool> {
    let distance = |centre: &Quantity| (number - centre.value).abs();
    match matcher {
        Matcher::Compare(op, limit) => Some(is(number, *op, limit.value)),
        Matcher::Equals(Literal::Quantity(wanted)) => Some(number == wanted.value),
        Matcher::Between(low, high) => Some(!(number < low.value || number > high.value)),
        // A band is as wide as it is written and a little more, as fractions are not exact.
        Matcher::Within(share, centre) => Some(distance(centre) <= share * centre.value.abs() * (1.0 + 1e-7)),
        Matcher::Around(centre, width) => Some(distance(centre) <= width.value * (1.0 + 1e-7)),
        Matcher::StatusClass(class) => Some((number / 100.0).trunc() == f64::from(*class)),
        Matcher::OneOf(list) => join(list.iter().map(|one| meets(number, one)), true),
        Matcher::All(list) => join(list.iter().map(|one| meets(number, one)), false),
        Matcher::Not(inner) => meets(number, inner).map(|meets| !meets),
        Matcher::Exists => Some(true),
        Matcher::Absent => Some(false),
        Matcher::Relative(..)
        | Matcher::Equals(_)
        | Matcher::Contains(_)
        | Matcher::StartsWith(_)
        | Matcher::EndsWith(_)
        | Matcher::Matches(_)
        | Matcher::Semver(_)
        | Matcher::NotWorse(..)
        | Matcher::Length(_)
        | Matcher::Empty
        | Matcher::Every
        | Matcher::NoneOf
        | Matcher::Some => None,
    }
}

fn is(number: f64, op: Op, limit: f64) -> bool {
    match number.partial_cmp(&limit) {
        None => false,
        Some(order) => match op {
            Op::Less => order.is_lt(),
            Op::AtMost => order.is_le(),
            Op::Greater => order.is_gt(),
            Op::AtLeast => order.is_ge(),
            Op::Equal => order.is_eq(),
            Op::NotEqual => order.is_ne(),
        },
    }
}

/// Joins answers: one that is `decides` is enough; what does not ask about numbers leaves it open.
pub(super) fn join(answers: impl Iterator<Item = Option<bool>>, decides: bool) -> Option<bool> {
    let answers: Vec<_> = answers.collect();
    if answers.contains(&Some(decides)) {
        return Some(decides);
    }
    answers.iter().all(Option::is_some).then_some(!decides)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).expect("a quantity")
    }

    fn at_least(limit: &str) -> Matcher {
        Matcher::Compare(Op::AtLeast, quantity(limit))
    }

    #[test]
    fn right_behind_a_limit_is_the_nearest_that_must_not_pass() {
        let not = |m| Matcher::Not(Box::new(m));
        let table = [
            (at_least("1"), Kind::Number, vec![0.0]),
            (Matcher::Compare(Op::Less, quantity("500ms")), Kind::Duration, vec![0.5, 0.500_000_5]),
            (Matcher::Equals(Literal::Quantity(quantity("200"))), Kind::Number, vec![199.0, 201.0]),
            (Matcher::StatusClass(2), Kind::Number, vec![199.0, 300.0]),
            (Matcher::Between(quantity("2"), quantity("5")), Kind::Number, vec![1.0, 6.0]),
            (Matcher::Compare(Op::NotEqual, quantity("3")), Kind::Number, vec![3.0]),
            (not(at_least("4")), Kind::Number, vec![4.0, 5.0]),
            (Matcher::OneOf(vec![Matcher::StatusClass(2), Matcher::StatusClass(3)]), Kind::Number, vec![199.0, 400.0]),
        ];
        for (matcher, kind, just) in table {
            assert_eq!(behind(&matcher, kind, &[]).just, just, "{matcher:?}");
        }
    }

    #[test]
    fn behind_what_takes_everything_lies_nothing() {
        let any = Matcher::OneOf(vec![at_least("1"), Matcher::Compare(Op::Less, quantity("7"))]);
        assert_eq!(behind(&any, Kind::Number, &[]), Behind::default());
        assert_eq!(behind(&Matcher::Exists, Kind::Number, &[]), Behind::default());
    }

    #[test]
    fn relative_limits_are_those_of_their_reference() {
        let matcher = Matcher::Relative(Relation::Compare(Op::AtMost, 1.5), Against::Baseline);
        let name = crate::model::MeasureName::plain("value");
        let reference =
            Reference { name: Against::Baseline, measure: name, value: Value::Number(2.0), origin: "a step".into() };
        assert_eq!(behind(&matcher, Kind::Quantity, &[reference]).just, [3.000_003]);
        assert_eq!(behind(&matcher, Kind::Quantity, &[]), Behind::default());
    }
}
