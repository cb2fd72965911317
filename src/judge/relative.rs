//! Limits that are relative to a value that was there before: `<= 1.5x baseline`, `> previous`, `within 10% of start`.
//!
//! A relative limit is made absolute with the value that it refers to, and judged like any other. Where there is no such
//! value, or it is NaN, infinite, or zero where only a share of it counts, nothing can be said, and nothing passes. A
//! baseline of zero says nothing at all: it is more often a query that found nothing than a fact.
//!
//! A counter (a series whose name ends in `_total`) that is less than at an earlier look began anew in between. That is
//! said, and nothing else can be: what it had counted before is lost.
//!
//! Series are held against series of equal labels, the metric's name aside. A baseline of one series, or of a plain
//! number, serves all.

use super::compare;
use super::words;
use crate::model::{
    Against, Expectation, Finding, Kind, Matcher, MeasureName, Measures, Outcome, Quantity, Reference, Relation,
    Sample, Unit, Value, Verdict,
};

/// How the finding of a first look ends: there is nothing yet to hold its value against.
const FIRST: &str = "taken as the first value";

/// Lists what an expectation is relative to, with the measure of which a value is needed.
pub fn relatives(expectation: &Expectation) -> Vec<(Against, MeasureName)> {
    let mut found = Vec::new();
    collect(expectation, &mut found);
    found
}

fn collect(expectation: &Expectation, found: &mut Vec<(Against, MeasureName)>) {
    match expectation {
        Expectation::Measure { name, matcher, .. } => {
            for against in used(matcher) {
                if !found.iter().any(|(a, n)| *a == against && n == name) {
                    found.push((against, name.clone()));
                }
            }
        }
        Expectation::That { .. } => {}
        Expectation::All(of) | Expectation::Any(of) => of.iter().for_each(|part| collect(part, found)),
        Expectation::Not(inner) => collect(inner, found),
    }
}

/// Takes from earlier measures what `wanted` asks of them under one name, with where it comes from.
pub fn references(
    name: Against,
    wanted: &[(Against, MeasureName)],
    earlier: &Measures,
    origin: &str,
) -> Vec<Reference> {
    let of = |measure: &MeasureName| Reference {
        name,
        measure: measure.clone(),
        value: earlier.get(measure).cloned().unwrap_or_else(|| Value::NoData(format!("{measure} was not measured"))),
        origin: origin.to_owned(),
    };
    wanted.iter().filter(|(against, _)| *against == name).map(|(_, measure)| of(measure)).collect()
}

/// Tells whether a look is inconclusive for no other reason than that it was the first: its values are those that later
/// looks are held against. A step that never had another look is inconclusive.
pub fn is_first(verdict: &Verdict) -> bool {
    let first = |finding: &Finding| finding.observed.ends_with(FIRST);
    let mut unknown = verdict.findings.iter().filter(|f| f.outcome == Outcome::Inconclusive).peekable();
    verdict.outcome == Outcome::Inconclusive && unknown.peek().is_some() && unknown.all(first)
}

/// Lists what a matcher is relative to.
fn used(matcher: &Matcher) -> Vec<Against> {
    if let Matcher::Relative(_, against) = matcher {
        return vec![*against];
    }
    if let Matcher::Not(inner) | Matcher::Length(inner) = matcher {
        return used(inner);
    }
    if let Matcher::All(of) | Matcher::OneOf(of) = matcher {
        return of.iter().flat_map(used).collect();
    }
    Vec::new()
}

/// A matcher that is relative, with what there is to hold a measure against.
pub(super) struct Relative<'a> {
    matcher: &'a Matcher,
    kind: Kind,
    references: Vec<&'a Reference>,
    first: Option<Against>,
}

/// A matcher made absolute for one value; what could not be made absolute stays in it, and nothing holds of that.
pub(super) struct Held {
    pub(super) matcher: Matcher,
    /// Why a part of it could not be made absolute.
    pub(super) unknown: Option<String>,
}

impl<'a> Relative<'a> {
    /// Looks up what a matcher is relative to; nothing for one that is not relative.
    pub(super) fn new(
        matcher: &'a Matcher,
        measure: &MeasureName,
        kind: Kind,
        against: &'a [Reference],
    ) -> Option<Self> {
        let used = used(matcher);
        if used.is_empty() {
            return None;
        }
        let given = |name: &Against| against.iter().find(|r| r.name == *name && r.measure == *measure);
        let references = used.iter().filter_map(given).collect();
        let first = used.iter().find(|name| **name != Against::Baseline && given(name).is_none()).copied();
        Some(Self { matcher, kind, references, first })
    }

    /// Says that a value was taken as the first, when there is nothing yet to hold it against and it is good for later.
    pub(super) fn first_words(&self, value: &Value) -> Option<String> {
        self.first?;
        let shown = match value {
            Value::Number(number) if number.is_finite() => words::number(*number, self.kind, None),
            Value::Json(json) => json.as_f64().map(|number| words::number(number, self.kind, None))?,
            Value::Tally(tally) if tally.of > 0 => words::value(value, self.kind, None),
            Value::Series(samples) if samples.iter().all(|s| s.value.is_finite()) => match samples.as_slice() {
                [one] => words::number(one.value, self.kind, None),
                many => format!("{} series", many.len()),
            },
            Value::Number(_)
            | Value::Series(_)
            | Value::Text(_)
            | Value::Bool(_)
            | Value::Set(_)
            | Value::Tally(_)
            | Value::Missing(_)
            | Value::NoData(_) => return None,
        };
        Some(format!("{shown}, {FIRST}"))
    }

    /// Makes the matcher absolute for a plain number.
    pub(super) fn for_number(&self) -> Held {
        self.held(&|reference| match &reference.value {
            Value::Series(samples) if samples.len() > 1 => {
                Err(format!("the {} has {} series for one number", reference.name, samples.len()))
            }
            value => one(value, reference.name),
        })
    }

    /// Makes the matcher absolute for one series of a vector.
    pub(super) fn for_series(&self, sample: &Sample) -> Held {
        self.held(&|reference| match &reference.value {
            Value::Series(samples) if !serves_all(samples, reference.name) => {
                let partner = samples.iter().find(|other| same_labels(sample, other));
                let partner = partner.ok_or_else(|| format!("the {} has no such series", reference.name))?;
                not_anew(sample, partner, reference.name)
            }
            Value::Series(samples) => match samples.as_slice() {
                [only] => not_anew(sample, only, reference.name),
                _ => one(&reference.value, reference.name),
            },
            value => one(value, reference.name),
        })
    }

    /// Says the limit with what it comes from: `<= 1.5x baseline (800ms: step p95-before, 21:04:10 UTC → limit 1.2s)`.
    pub(super) fn words(&self) -> String {
        let mut text = words::matcher(self.matcher);
        let held = self.for_number();
        for reference in &self.references {
            let value = match one(&reference.value, reference.name) {
                Ok(value) => words::number(value, self.kind, None),
                Err(_) => match &reference.value {
                    Value::Series(samples) if !samples.is_empty() => format!("{} series", samples.len()),
                    _ => continue,
                },
            };
            let several = self.references.len() > 1;
            let name = if several { format!("{}: ", reference.name) } else { String::new() };
            let limit = match (several, &held.unknown) {
                (false, None) => limit_words(&held.matcher, reference, self.kind),
                _ => String::new(),
            };
            text.push_str(&format!(" ({name}{value}: {}{limit})", reference.origin));
        }
        text
    }

    fn held(&self, value: &dyn Fn(&Reference) -> Result<f64, String>) -> Held {
        let mut unknown = None;
        let matcher = self.absolute(self.matcher, value, &mut unknown);
        Held { matcher, unknown }
    }

    fn absolute(
        &self,
        matcher: &Matcher,
        value: &dyn Fn(&Reference) -> Result<f64, String>,
        unknown: &mut Option<String>,
    ) -> Matcher {
        let mut all = |of: &[Matcher]| of.iter().map(|m| self.absolute(m, value, unknown)).collect();
        if let Matcher::All(of) = matcher {
            return Matcher::All(all(of));
        }
        if let Matcher::OneOf(of) = matcher {
            return Matcher::OneOf(all(of));
        }
        if let Matcher::Not(inner) = matcher {
            return Matcher::Not(Box::new(self.absolute(inner, value, unknown)));
        }
        let Matcher::Relative(relation, against) = matcher else { return matcher.clone() };
        let found = match self.references.iter().find(|r| r.name == *against) {
            Some(reference) => value(reference).and_then(|v| usable(v, *relation, *against)),
            None => Err(format!("there is no {against}")),
        };
        match found {
            Ok(value) => limit(*relation, value, self.kind),
            Err(why) => {
                unknown.get_or_insert(why);
                matcher.clone()
            }
        }
    }
}

/// Tells whether one series stands for all: a baseline of one, and anything that has no labels to tell it apart.
fn serves_all(samples: &[Sample], name: Against) -> bool {
    let [one] = samples else { return false };
    name == Against::Baseline || one.labels.keys().all(|label| label == "__name__")
}

fn same_labels(one: &Sample, other: &Sample) -> bool {
    let labels = |sample: &'_ Sample| {
        sample.labels.iter().filter(|(name, _)| *name != "__name__").map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let of_one: Vec<(String, String)> = labels(one);
    of_one == labels(other)
}

/// Refuses a counter that began anew since: that it is less than it was says nothing of how much was counted.
fn not_anew(now: &Sample, then: &Sample, name: Against) -> Result<f64, String> {
    let counter = now.labels.get("__name__").is_some_and(|metric| metric.ends_with("_total"));
    match counter && name != Against::Baseline && now.value < then.value {
        false => Ok(then.value),
        true => {
            let plain = crate::model::quantity::plain;
            Err(format!("the counter began anew: {} after {}", plain(now.value), plain(then.value)))
        }
    }
}

/// Returns the one number that a value is.
fn one(value: &Value, name: Against) -> Result<f64, String> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Series(samples) => match samples.as_slice() {
            [one] => Ok(one.value),
            [] => Err(format!("the {name} has no series")),
            many => Err(format!("the {name} has {} series", many.len())),
        },
        Value::Tally(tally) if tally.of == 0 => Err(format!("the {name} is of none")),
        Value::Tally(tally) => Ok(tally.count as f64),
        Value::Json(json) => json.as_f64().ok_or_else(|| format!("the {name} is not a number")),
        Value::Missing(reason) | Value::NoData(reason) => Err(format!("there is no {name}: {reason}")),
        Value::Text(_) | Value::Bool(_) | Value::Set(_) => Err(format!("the {name} is not a number")),
    }
}

/// Refuses a value of which no limit can be made.
fn usable(value: f64, relation: Relation, name: Against) -> Result<f64, String> {
    if !value.is_finite() {
        return Err(format!("the {name} is {}", crate::model::quantity::plain(value)));
    }
    let whole = matches!(relation, Relation::Compare(_, factor) if factor == 1.0);
    match value == 0.0 && (name == Against::Baseline || !whole) {
        true => Err(format!("the {name} is 0")),
        false => Ok(value),
    }
}

fn limit(relation: Relation, value: f64, kind: Kind) -> Matcher {
    let quantity = |value: f64| Quantity { value, unit: unit(kind) };
    match relation {
        Relation::Compare(op, factor) => Matcher::Compare(op, quantity(factor * value)),
        Relation::Between(low, high) => {
            // Of a negative value, the greater multiple is the lesser number.
            let (a, b) = (low * value, high * value);
            Matcher::Between(quantity(a.min(b)), quantity(a.max(b)))
        }
        Relation::Within(share) => Matcher::Within(share, quantity(value)),
    }
}

fn unit(kind: Kind) -> Unit {
    match kind {
        Kind::Duration => Unit::Seconds,
        Kind::Size => Unit::Bytes,
        Kind::Ratio => Unit::Percent,
        Kind::Rate | Kind::Growth => Unit::PerSecond,
        Kind::Number | Kind::Quantity | Kind::Tally | Kind::Text | Kind::Json | Kind::Set | Kind::Bool => Unit::One,
    }
}

/// Says the limit that a relative one came to; nothing when it is the value itself, or none.
fn limit_words(matcher: &Matcher, reference: &Reference, kind: Kind) -> String {
    let number = |value: f64| words::number(value, kind, None);
    if let Matcher::Between(low, high) = matcher {
        return format!(" → {} to {}", number(low.value), number(high.value));
    }
    if let Matcher::Within(share, centre) = matcher {
        let reach = share * centre.value.abs();
        return format!(" → {} to {}", number(centre.value - reach), number(centre.value + reach));
    }
    let itself = one(&reference.value, reference.name).ok();
    let limit = compare::limit(matcher).filter(|limit| Some(limit.value) != itself);
    limit.map(|limit| format!(" → limit {}", number(limit.value))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
