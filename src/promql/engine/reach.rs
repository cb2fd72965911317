//! How far back a query looks: whoever collects samples can tell whether it has enough of them.

use super::Engine;
use super::tree::{Extent, Kind, Node, Selector};

/// The times of the samples that a query looks at, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The beginning of the earliest range, and the time itself when there is none: how long a single sample counts
    /// is no part of it.
    pub from: i64,
    /// The latest time that is looked at.
    pub to: i64,
    /// The length of the longest range; 0 when there is none.
    pub longest_range: i64,
}

/// Finds the reach of a node that is evaluated at one time.
pub(super) fn of(node: &Node, t: i64, engine: &Engine) -> Reach {
    let mut reach = Reach { from: t, to: t, longest_range: 0 };
    visit(node, (t, t), engine, &mut reach);
    reach
}

fn visit(node: &Node, (first, last): (i64, i64), engine: &Engine, reach: &mut Reach) {
    let mut look = |selector: &Selector, range: i64| {
        let after = if selector.extent == Extent::Smoothed { engine.lookback } else { 0 };
        reach.from = reach.from.min(selector.shift.time(first).saturating_sub(range));
        reach.to = reach.to.max(selector.shift.time(last).saturating_add(after));
        reach.longest_range = reach.longest_range.max(range);
    };
    match &node.kind {
        Kind::Number(_) | Kind::Text(_) => {}
        Kind::Vector(selector) => look(selector, 0),
        Kind::Matrix(selector, range) => look(selector, *range),
        Kind::Subquery(subquery) => {
            let from = subquery.shift.time(first).saturating_sub(subquery.range);
            reach.longest_range = reach.longest_range.max(subquery.range);
            visit(&subquery.inner, (from, subquery.shift.time(last)), engine, reach);
        }
        Kind::Paren(inner) | Kind::Negated(inner) => visit(inner, (first, last), engine, reach),
        Kind::Call(_, args) => args.iter().for_each(|arg| visit(arg, (first, last), engine, reach)),
        Kind::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| visit(param, (first, last), engine, reach));
            visit(&aggregate.inner, (first, last), engine, reach);
        }
        Kind::Binary(binary) => {
            visit(&binary.left, (first, last), engine, reach);
            visit(&binary.right, (first, last), engine, reach);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_offsets_add_up() {
        let reach = |query: &str| Engine::default().reach(query, 1_000_000).expect(query);
        assert_eq!(reach("x"), Reach { from: 1_000_000, to: 1_000_000, longest_range: 0 });
        assert_eq!(reach("rate(x[5m]) / y offset 1m").from, 700_000);
        assert_eq!(reach("max_over_time(rate(x[1m])[5m:10s] offset 10s)").from, 630_000);
        assert_eq!(reach("x offset -5s").to, 1_005_000);
        assert_eq!(reach("rate(x[1m] @ 100)").from, 40_000);
    }
}
