//! How far back a query looks: what samples must be there before its answer means anything.

use std::time::{Duration, SystemTime};

use promql_parser::parser::{AtModifier, Expr, Offset, SubqueryExpr, VectorSelector};

use super::Query;

/// How far back a query looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The samples of so long before the moment that is asked about must be there. Zero when the newest are enough.
    pub back: Duration,
    /// The samples from this time on must be there, whatever moment is asked about: milliseconds since 1970.
    pub from: Option<i64>,
    /// Whether two samples are needed, however young they are.
    pub pair: bool,
}

/// Functions of a range that look at its newest samples only: a range that has just begun to fill is enough.
const NEWEST: &[&str] = &["irate", "idelta", "last_over_time", "present_over_time", "ts_of_last_over_time"];
/// Those of them that need two samples.
const PAIRS: &[&str] = &["irate", "idelta"];

/// Tells how far back a query looks.
pub fn reach(query: &Query) -> Reach {
    let mut reach = Reach::default();
    walk(&query.expr, Base { fixed: None, back: 0 }, false, &mut reach);
    reach
}

/// The moment at which a part of a query is evaluated.
#[derive(Clone, Copy)]
struct Base {
    /// A fixed one, instead of that of the query.
    fixed: Option<i64>,
    /// So much before it, in milliseconds.
    back: i64,
}

impl Base {
    fn moved(self, at: Option<&AtModifier>, offset: Option<&Offset>, range: Duration) -> Self {
        let base = match at {
            None => self,
            // The ends of a range are moments of the query itself.
            Some(AtModifier::Start | AtModifier::End) => Self { fixed: None, back: 0 },
            Some(AtModifier::At(time)) => Self { fixed: Some(since_1970(*time)), back: 0 },
        };
        let offset = match offset {
            None => 0,
            Some(Offset::Pos(offset)) => millis(*offset),
            Some(Offset::Neg(offset)) => -millis(*offset),
        };
        Self { back: base.back.saturating_add(offset).saturating_add(millis(range)), ..base }
    }

    fn needed(self, reach: &mut Reach) {
        match self.fixed {
            Some(time) => {
                let from = time.saturating_sub(self.back);
                reach.from = Some(reach.from.map_or(from, |earlier| earlier.min(from)));
            }
            None => reach.back = reach.back.max(Duration::from_millis(u64::try_from(self.back).unwrap_or(0))),
        }
    }
}

fn walk(expr: &Expr, base: Base, newest: bool, reach: &mut Reach) {
    match expr {
        Expr::VectorSelector(selector) => of_selector(selector, Duration::ZERO, base, reach),
        Expr::MatrixSelector(matrix) => {
            let range = if newest { Duration::ZERO } else { matrix.range };
            of_selector(&matrix.vs, range, base, reach);
        }
        Expr::Subquery(subquery) => of_subquery(subquery, base, newest, reach),
        Expr::Call(call) => {
            let newest = NEWEST.contains(&call.func.name);
            reach.pair |= PAIRS.contains(&call.func.name);
            call.args.args.iter().for_each(|argument| walk(argument, base, newest, reach));
        }
        Expr::Aggregate(aggregate) => {
            walk(&aggregate.expr, base, false, reach);
            aggregate.param.iter().for_each(|param| walk(param, base, false, reach));
        }
        Expr::Binary(binary) => {
            walk(&binary.lhs, base, false, reach);
            walk(&binary.rhs, base, false, reach);
        }
        Expr::Unary(unary) => walk(&unary.expr, base, false, reach),
        Expr::Paren(paren) => walk(&paren.expr, base, newest, reach),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn of_selector(selector: &VectorSelector, range: Duration, base: Base, reach: &mut Reach) {
    base.moved(selector.at.as_ref(), selector.offset.as_ref(), range).needed(reach);
}

fn of_subquery(subquery: &SubqueryExpr, base: Base, newest: bool, reach: &mut Reach) {
    let range = if newest { Duration::ZERO } else { subquery.range };
    let inner = base.moved(subquery.at.as_ref(), subquery.offset.as_ref(), range);
    walk(&subquery.expr, inner, false, reach);
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn since_1970(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Reach {
        reach(&crate::promql::parse(query).expect(query))
    }

    #[test]
    fn ranges_offsets_and_subqueries_add_up() {
        for (query, seconds) in [
            ("up", 0),
            ("rate(x[5m])", 300),
            ("sum(rate(x[5m])) / sum(rate(y[10m] offset 1h))", 4200),
            ("x offset 1h", 3600),
            ("x offset -1h", 0),
            ("max_over_time(rate(x[5m])[1h:1m])", 3900),
            ("max_over_time(rate(x[5m] offset 10m)[1h:1m] offset 1d)", 86_400 + 4500),
            ("irate(x[5m])", 0),
            ("last_over_time(x[5m] offset 2m)", 120),
            ("last_over_time(rate(x[5m])[1h:1m])", 300),
            ("rate(x[5m] @ end())", 300),
            ("topk(scalar(max_over_time(n[7m])), x)", 420),
            ("time() - 5", 0),
        ] {
            assert_eq!(
                of(query),
                Reach {
                    pair: query.contains("irate"),
                    ..Reach { back: Duration::from_secs(seconds), from: None, pair: false }
                },
                "{query}"
            );
        }
    }

    #[test]
    fn fixed_times_are_needed_whatever_is_asked() {
        let reach = of("rate(x[5m] @ 1000) + y @ 2000 offset 10s + max_over_time(z[1m:1s] @ 3000)");
        assert_eq!(reach.from, Some(700_000));
        assert_eq!(reach.back, Duration::ZERO);
    }
}
