//! The verdict of one look: what was observed, held against what must hold (`expect`) and what should (`warn`).
//!
//! The logic has four values, and the worst wins: fail, inconclusive, warn, pass. In an `any` the best wins. A `not` is
//! carried down to the assertions, where *holds* and *fails* change places; what is missing, of another kind or NaN does
//! not hold either way. `absent` is the one assertion that a missing value satisfies; it also holds of a query that
//! was answered with no data, as that is what it asks for, but of nothing else that could not be looked into. What was
//! not measured at all is inconclusive whatever the step says of no data.

use super::canary;
use super::compare;
use super::matching::{self, Seen, Truth};
use super::relative::Relative;
use super::series::{self, Policy};
use super::that::{self, Came};
use super::words;
use crate::model::outline::OnNoData;
use crate::model::{Expectation, Finding, Found, Kind, Matcher, MeasureName, Measures, Observation, Origin, Sample};
use crate::model::{Outcome, Reference, Value, Verdict};

/// What a look is held against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// What must hold, else fail.
    pub expect: Option<&'a Expectation>,
    /// What should hold, else warn.
    pub warn: Option<&'a Expectation>,
    /// What no data means.
    pub on_no_data: OnNoData,
    /// Whether one series of a vector is enough.
    pub series_any: bool,
    /// Whether the probe's answer needs no expectation.
    pub speaks: bool,
    /// What relative limits are held against. At the first look of a step there is no `previous` and no `start`.
    pub against: &'a [Reference],
}

/// Judges one look. A pure function: no I/O, no clock.
pub fn look(observation: &Observation, terms: &Terms<'_>) -> Verdict {
    match &observation.found {
        Found::Measures(measures) => judge(measures, terms),
        Found::NoAnswer { cause } => Verdict {
            outcome: Outcome::Fail,
            summary: cause.clone(),
            findings: vec![Finding {
                subject: "answer".into(),
                expected: "an answer".into(),
                observed: cause.clone(),
                outcome: Outcome::Fail,
                origin: None,
                value: None,
                limit: None,
            }],
        },
        Found::CouldNotLook { cause, retry: _ } => Verdict::of(Outcome::Error, cause.clone()),
        Found::NotEnough { cause } => Verdict::of(Outcome::Inconclusive, cause.clone()),
        Found::Waiting { instruction } => Verdict::of(Outcome::Pending, instruction.clone()),
    }
}

fn judge(measures: &Measures, terms: &Terms<'_>) -> Verdict {
    if terms.expect.is_none() && terms.warn.is_none() {
        return match terms.speaks {
            true => Verdict { outcome: Outcome::Pass, summary: String::new(), findings: Vec::new() },
            false => Verdict::of(Outcome::Inconclusive, "the step asserts nothing"),
        };
    }
    let asked = |otherwise| Asked { measures, terms, otherwise, negated: false };
    let mut findings = Vec::new();
    if let Some(expect) = terms.expect {
        findings.push(asked(Outcome::Fail).judge(expect));
    }
    if let Some(warn) = terms.warn {
        findings.push(asked(Outcome::Warn).judge(warn));
    }
    let all = worst(findings);
    Verdict { outcome: all.outcome, summary: summary(&all), findings: all.findings }
}

/// An outcome with the findings that led to it.
struct Part {
    outcome: Outcome,
    findings: Vec<Finding>,
}

/// One question to the measures.
#[derive(Clone, Copy)]
struct Asked<'a> {
    measures: &'a Measures,
    terms: &'a Terms<'a>,
    /// What it is when it does not hold: fail or warn.
    otherwise: Outcome,
    negated: bool,
}

impl Asked<'_> {
    fn judge(self, expectation: &Expectation) -> Part {
        match expectation {
            Expectation::Measure { name, kind, matcher, origin } => self.measure(name, *kind, matcher, origin),
            Expectation::That { expression, origin } => self.that(expression, origin),
            Expectation::All(of) => self.combine(of, self.negated),
            Expectation::Any(of) => self.combine(of, !self.negated),
            Expectation::Not(inner) => Asked { negated: !self.negated, ..self }.judge(inner),
        }
    }

    fn combine(self, of: &[Expectation], any: bool) -> Part {
        let parts: Vec<_> = of.iter().map(|part| self.judge(part)).collect();
        if any { best(parts) } else { worst(parts) }
    }

    fn measure(self, name: &MeasureName, kind: Kind, matcher: &Matcher, origin: &Origin) -> Part {
        let relative = Relative::new(matcher, name, kind, self.terms.against);
        let expected = relative.as_ref().map_or_else(|| words::matcher(matcher), Relative::words);
        let mut finding = Finding {
            subject: name.to_string(),
            expected: if self.negated { format!("not {expected}") } else { expected },
            observed: String::new(),
            outcome: Outcome::Pass,
            origin: Some(origin.clone()),
            value: None,
            limit: compare::limit(matcher).map(|limit| limit.value),
        };
        let value = self.measures.get(name);
        let presence = matching::of_absent(matcher).map(|holds| holds != self.negated);
        match value {
            None => {
                finding.observed = "not measured".into();
                finding.outcome = Outcome::Inconclusive;
            }
            Some(Value::NoData(_)) if presence == Some(true) && kind == Kind::Quantity => {
                finding.observed = "no data".into();
            }
            Some(Value::NoData(reason)) => self.no_data(reason, &mut finding),
            Some(Value::Series(samples)) if samples.is_empty() && presence == Some(true) => {
                finding.observed = "no series".into();
            }
            Some(Value::Series(samples)) if samples.is_empty() => self.no_data("no series", &mut finding),
            Some(Value::Missing(reason)) => {
                finding.observed = format!("missing: {reason}");
                finding.outcome = if presence == Some(true) { Outcome::Pass } else { self.otherwise };
            }
            Some(Value::Series(samples)) => self.series(samples, kind, matcher, relative.as_ref(), &mut finding),
            Some(value) => self.value(value, kind, matcher, relative.as_ref(), &mut finding),
        }
        if let (Some(value), Outcome::Inconclusive) = (value, finding.outcome)
            && let Some(first) = relative.and_then(|r| r.first_words(value))
        {
            finding.observed = first;
        }
        Part { outcome: finding.outcome, findings: vec![finding] }
    }

    fn series(
        self,
        samples: &[Sample],
        kind: Kind,
        matcher: &Matcher,
        relative: Option<&Relative<'_>>,
        finding: &mut Finding,
    ) {
        let policy = if self.terms.series_any { Policy::Any } else { Policy::Every };
        let vector = match relative {
            None => series::judge_all(samples, kind, matcher, self.negated, policy),
            Some(relative) => {
                let of_each = |sample: &Sample| relative.for_series(sample);
                series::judge_each(samples, kind, &of_each, self.negated, policy)
            }
        };
        finding.outcome = self.outcome(vector.truth);
        finding.observed = vector.observed;
        finding.value = vector.value;
        finding.limit = finding.limit.or(vector.limit);
    }

    fn value(
        self,
        value: &Value,
        kind: Kind,
        matcher: &Matcher,
        relative: Option<&Relative<'_>>,
        finding: &mut Finding,
    ) {
        let Some(seen) = Seen::new(value) else { return };
        let held = relative.map(Relative::for_number);
        let unknown = held.as_ref().and_then(|held| held.unknown.clone());
        let matcher = held.as_ref().map_or(matcher, |held| &held.matcher);
        let judged = matching::judge(seen, matcher);
        let judged = if self.negated { judged.negated() } else { judged };
        finding.outcome = self.outcome(judged.truth);
        finding.value = matching::held_against(seen, matcher);
        finding.limit = compare::limit(matcher).map(|limit| limit.value);
        let unit = compare::unit_of(matcher).filter(|_| held.is_none());
        let mut observed = match (matcher, seen.length()) {
            (Matcher::Length(_), Some(length)) => {
                finding.value = Some(length as f64);
                format!("length {length}")
            }
            (Matcher::NotWorse(worse, effect), _) => match seen {
                Seen::Json(vectors) => canary::judge(vectors, *worse, *effect).1,
                _ => words::value(value, kind, None),
            },
            _ => match (value, seen.number()) {
                (Value::Json(_), Some(number)) if compare::unit_of(matcher).is_some() => {
                    words::number(number, kind, unit)
                }
                _ => words::value(value, kind, unit),
            },
        };
        let unknown = unknown.filter(|_| judged.truth == Truth::Unknown);
        if let Some(note) = unknown.or(judged.note.filter(|_| judged.truth != Truth::Holds)) {
            observed.push_str(&format!(" ({note})"));
        }
        finding.observed = observed;
    }

    fn that(self, expression: &str, origin: &Origin) -> Part {
        let mut finding = Finding {
            subject: expression.trim().to_owned(),
            expected: if self.negated { "false".into() } else { "true".into() },
            observed: String::new(),
            outcome: Outcome::Pass,
            origin: Some(origin.clone()),
            value: None,
            limit: None,
        };
        match that::evaluate(expression, self.measures) {
            Came::NoData(reason) => self.no_data(&reason, &mut finding),
            Came::Of(truth, observed) => {
                finding.outcome = self.outcome(match (truth, self.negated) {
                    (Truth::Holds, true) => Truth::Fails,
                    (Truth::Fails, true) => Truth::Holds,
                    (truth, _) => truth,
                });
                finding.observed = observed;
            }
        }
        Part { outcome: finding.outcome, findings: vec![finding] }
    }

    fn outcome(self, truth: Truth) -> Outcome {
        match truth {
            Truth::Holds => Outcome::Pass,
            Truth::Fails | Truth::Broken => self.otherwise,
            Truth::Unknown => Outcome::Inconclusive,
        }
    }

    /// The engine looks again for `wait`; a single look with no data is inconclusive.
    fn no_data(self, reason: &str, finding: &mut Finding) {
        finding.observed = format!("no data: {reason}");
        finding.outcome = match self.terms.on_no_data {
            OnNoData::Inconclusive | OnNoData::Wait => Outcome::Inconclusive,
            OnNoData::Fail => self.otherwise,
            OnNoData::Warn => Outcome::Warn,
            OnNoData::Pass => Outcome::Pass,
        };
    }
}

/// How bad an outcome is; only the four of a judged look occur.
fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Pass | Outcome::Skipped | Outcome::NotApplicable => 0,
        Outcome::Warn => 1,
        Outcome::Inconclusive | Outcome::Error | Outcome::Pending => 2,
        Outcome::Fail => 3,
    }
}

/// All must hold: the worst outcome. Of nothing, nothing can be said.
fn worst(parts: Vec<Part>) -> Part {
    let outcome = parts.iter().map(|p| p.outcome).max_by_key(|o| rank(*o)).unwrap_or(Outcome::Inconclusive);
    Part { outcome, findings: parts.into_iter().flat_map(|p| p.findings).collect() }
}

/// One is enough: the best outcome, and of one that holds only the findings of the alternatives that do, as the others
/// need nobody's attention.
fn best(parts: Vec<Part>) -> Part {
    let outcome = parts.iter().map(|p| p.outcome).min_by_key(|o| rank(*o)).unwrap_or(Outcome::Inconclusive);
    let satisfied = outcome == Outcome::Pass;
    let kept = parts.into_iter().filter(|p| !satisfied || p.outcome == Outcome::Pass);
    Part { outcome, findings: kept.flat_map(|p| p.findings).collect() }
}

/// Says why it is not a plain pass: the first finding of the worst outcome, and how many more there are.
fn summary(part: &Part) -> String {
    if part.outcome == Outcome::Pass {
        let excused = part.findings.iter().find(|f| f.observed.starts_with("no data: "));
        return excused.map(|f| format!("{}: {}, which passes here", f.subject, f.observed)).unwrap_or_default();
    }
    let mut of = part.findings.iter().filter(|f| f.outcome == part.outcome);
    let Some(first) = of.next() else { return "nothing was asserted".into() };
    let line = match first.observed.starts_with("no data: ") {
        true => format!("{}: {}", first.subject, first.observed),
        false => format!("{}: expected {}, observed {}", first.subject, first.expected, first.observed),
    };
    match of.count() {
        0 => line,
        more => format!("{line}; and {more} more"),
    }
}

#[cfg(test)]
mod tests;
