//! What a step asserts, cut into the parts each of which must be noticed on its own.
//!
//! In an `all` each member is a unit; an `any` is one unit, as its members stand in for each other: only when all of
//! them are broken must the step notice. `not` is carried down to the measures.

use std::collections::BTreeSet;

use crate::model::{Expectation, Kind, Matcher, MeasureName, Measures};
use crate::template::Expression;

/// A part of what is asserted that must be noticed on its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unit {
    /// The measures that it is about, each with what it must be.
    pub parts: Vec<Part>,
}

/// A measure and what it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The measure.
    pub name: MeasureName,
    /// Its kind.
    pub kind: Kind,
    /// What it must be; nothing when an expression uses it.
    pub matcher: Option<Matcher>,
}

/// Cuts an expectation into units. Expressions use whatever was measured under the names that they mention.
pub fn units(expectation: &Expectation, measures: &Measures) -> Vec<Unit> {
    let mut out = Vec::new();
    walk(expectation, false, measures, &mut out);
    out.retain(|unit| !unit.parts.is_empty());
    out
}

fn walk(expectation: &Expectation, negated: bool, measures: &Measures, out: &mut Vec<Unit>) {
    match (expectation, negated) {
        (Expectation::All(list), false) | (Expectation::Any(list), true) => {
            list.iter().for_each(|one| walk(one, negated, measures, out));
        }
        (Expectation::Not(inner), _) => walk(inner, !negated, measures, out),
        (Expectation::Measure { .. } | Expectation::That { .. } | Expectation::Any(_) | Expectation::All(_), _) => {
            let mut unit = Unit::default();
            collect(expectation, negated, measures, &mut unit);
            out.push(unit);
        }
    }
}

fn collect(expectation: &Expectation, negated: bool, measures: &Measures, unit: &mut Unit) {
    match expectation {
        Expectation::Measure { name, kind, matcher, .. } => {
            let matcher = if negated { Matcher::Not(Box::new(matcher.clone())) } else { matcher.clone() };
            unit.add(Part { name: name.clone(), kind: *kind, matcher: Some(matcher) });
        }
        Expectation::That { expression, .. } => {
            for name in used(expression, measures) {
                unit.add(Part { name, kind: Kind::Quantity, matcher: None });
            }
        }
        Expectation::All(list) | Expectation::Any(list) => {
            list.iter().for_each(|one| collect(one, negated, measures, unit));
        }
        Expectation::Not(inner) => collect(inner, !negated, measures, unit),
    }
}

impl Unit {
    /// Adds a part. Two of the same measure stand in for each other: to break both, a value must be neither.
    fn add(&mut self, part: Part) {
        let Some(there) = self.parts.iter_mut().find(|there| there.name == part.name) else {
            self.parts.push(part);
            return;
        };
        there.matcher = match (there.matcher.take(), part.matcher) {
            (Some(Matcher::OneOf(mut list)), Some(other)) => {
                list.push(other);
                Some(Matcher::OneOf(list))
            }
            (Some(one), Some(other)) => Some(Matcher::OneOf(vec![one, other])),
            (None, _) | (_, None) => None,
        };
    }
}

/// Names the measures that an expression uses: `timing.dns` through `timing` and through `timing_dns`.
fn used(expression: &str, measures: &Measures) -> Vec<MeasureName> {
    let Ok(expression) = Expression::parse(expression) else { return Vec::new() };
    let roots: BTreeSet<String> = expression.references().into_iter().map(|reference| reference.root).collect();
    let is_used = |name: &str| {
        let first = name.split('.').next().unwrap_or_default();
        roots.contains(name) || roots.contains(first) || roots.contains(&name.replace('.', "_"))
    };
    measures.iter().map(|(name, _)| name).filter(|name| is_used(name.name())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Origin, Value};

    fn origin() -> Origin {
        Origin { file: "c.yaml".into(), line: 1, column: 1 }
    }

    fn measure(name: &'static str) -> Expectation {
        let matcher = Matcher::Exists;
        Expectation::Measure { name: MeasureName::plain(name), kind: Kind::Number, matcher, origin: origin() }
    }

    fn shown(expectation: &Expectation) -> Vec<Vec<String>> {
        let measures = ["timing.dns", "timing.tls", "d"];
        let measures = measures.map(|name| (MeasureName::plain(name), Value::Number(1.0))).into_iter().collect();
        let names = |unit: Unit| unit.parts.iter().map(|part| part.name.to_string()).collect();
        units(expectation, &measures).into_iter().map(names).collect()
    }

    #[test]
    fn members_of_all_are_noticed_each_and_those_of_any_together() {
        let (a, b, c) = (measure("a"), measure("b"), measure("c"));
        let any = Expectation::Any(vec![a.clone(), b.clone()]);
        assert_eq!(shown(&Expectation::All(vec![any.clone(), c.clone()])), [vec!["a", "b"], vec!["c"]]);
        assert_eq!(shown(&Expectation::Not(Box::new(any))), [vec!["a"], vec!["b"]]);
        let all = Expectation::All(vec![a.clone(), b]);
        assert_eq!(shown(&Expectation::Not(Box::new(all))), [vec!["a", "b"]]);
        assert_eq!(shown(&Expectation::Any(vec![a.clone(), a])), [vec!["a"]]);
    }

    #[test]
    fn expressions_use_what_was_measured_under_their_names() {
        let that = |expression: &str| Expectation::That { expression: expression.to_owned(), origin: origin() };
        assert_eq!(shown(&that("timing.dns < 1 and d > 0")), [vec!["timing.dns", "timing.tls", "d"]]);
        assert_eq!(shown(&that("timing_tls < 1")), [vec!["timing.tls"]]);
        assert!(shown(&that("other > 1")).is_empty());
    }
}
