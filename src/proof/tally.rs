//! Worse tallies: one member more or fewer than is asked for, and all or none of them.

use super::number::{join, limits_of, meets, settled};
use crate::model::{Literal, Matcher, Mutation, Quantity, Reference, Tally, Unit, Value};

/// Returns tallies of as many members of which a matcher must not let pass: right behind its limit, or far behind.
pub fn across(mutation: Mutation, matcher: &Matcher, tally: &Tally, against: &[Reference]) -> Vec<Value> {
    let of = tally.of;
    let Some(matcher) = settled(matcher, against).filter(|_| of > 0) else { return Vec::new() };
    let is = |count: u64| holds(&matcher, count, of);
    let bad = |count: &u64| is(*count) == Some(false);
    let mut counts: Vec<u64> = match mutation {
        Mutation::JustAcross => {
            let good = |count: u64| count <= of && is(count) == Some(true);
            let near = |count: &u64| good(count + 1) || count.checked_sub(1).is_some_and(good);
            turns(&matcher, of).into_iter().filter(bad).filter(near).collect()
        }
        _ => [0, of].into_iter().filter(bad).collect(),
    };
    counts.sort_unstable();
    counts.dedup();
    counts.into_iter().map(|count| Value::Tally(Tally::counted(count, of))).collect()
}

/// Lists the counts at which a matcher may turn.
fn turns(matcher: &Matcher, of: u64) -> Vec<u64> {
    let mut limits = Vec::new();
    limits_of(matcher, &mut limits);
    let wholes = limits.into_iter().flat_map(|limit| [limit, limit * of as f64]);
    let around = wholes.flat_map(|number| [number.floor() - 1.0, number.floor(), number.ceil(), number.ceil() + 1.0]);
    let counts = around.filter(|n| *n >= 0.0 && *n <= of as f64).map(|n| n as u64);
    counts.chain([0, 1, of.saturating_sub(1), of]).collect()
}

/// Tells whether so many of so many are what a matcher asks for; nothing when it does not ask about how many.
fn holds(matcher: &Matcher, count: u64, of: u64) -> Option<bool> {
    let inner = |one: &Matcher| holds(one, count, of);
    match matcher {
        Matcher::Every => Some(count == of),
        Matcher::NoneOf => Some(count == 0),
        Matcher::Some => Some(count > 0),
        Matcher::OneOf(list) => join(list.iter().map(inner), true),
        Matcher::All(list) => join(list.iter().map(inner), false),
        Matcher::Not(one) => inner(one).map(|holds| !holds),
        other if is_share(other) => meets(count as f64 / of as f64, other),
        other => meets(count as f64, other),
    }
}

fn is_share(matcher: &Matcher) -> bool {
    let percent = |limit: &Quantity| limit.unit == Unit::Percent;
    match matcher {
        Matcher::Compare(_, limit) | Matcher::Equals(Literal::Quantity(limit)) => percent(limit),
        Matcher::Between(limit, _) | Matcher::Within(_, limit) | Matcher::Around(limit, _) => percent(limit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Op;

    fn counts(mutation: Mutation, matcher: &Matcher, of: u64) -> Vec<u64> {
        let worse = across(mutation, matcher, &Tally::counted(0, of), &[]);
        let count = |value| match value {
            Value::Tally(tally) => tally.count,
            _ => u64::MAX,
        };
        worse.into_iter().map(count).collect()
    }

    #[test]
    fn one_more_or_one_fewer_is_behind_the_limit() {
        let at_least = |text: &str| Matcher::Compare(Op::AtLeast, Quantity::parse(text).expect(text));
        let table = [
            (Matcher::Every, 3, vec![2], vec![0]),
            (Matcher::NoneOf, 3, vec![1], vec![3]),
            (Matcher::Some, 3, vec![0], vec![0]),
            (at_least("2"), 3, vec![1], vec![0]),
            (at_least("90%"), 20, vec![17], vec![0]),
            (Matcher::Equals(Literal::Quantity(Quantity::number(2.0))), 3, vec![1, 3], vec![0, 3]),
            (Matcher::Not(Box::new(Matcher::Every)), 3, vec![3], vec![3]),
            (Matcher::Contains(Literal::Text("a".into())), 3, vec![], vec![]),
            (Matcher::Every, 0, vec![], vec![]),
        ];
        for (matcher, of, just, far) in table {
            assert_eq!(counts(Mutation::JustAcross, &matcher, of), just, "{matcher:?}");
            assert_eq!(counts(Mutation::FarAcross, &matcher, of), far, "{matcher:?}");
        }
    }
}
