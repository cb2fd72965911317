//! The proof: every step of a recorded run judged again on worse measures.

use serde::Serialize;

use super::units::{Unit, units};
use super::{value, whole};
use crate::event::{Look, StepResult};
use crate::judge::{self, Terms, words};
use crate::model::outline::{OnNoData, Part, StepOutline};
use crate::model::{Found, Measures, Mutation, Observation, Origin, Outcome, Reference, StepId, Value};
use crate::record::{RunRecord, StepRecord};

/// What a proof came to.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// The steps, in the order of the checklist; actions are not among them, as they decide nothing.
    pub steps: Vec<StepProof>,
}

/// What became of one step.
#[derive(Clone, Debug, Serialize)]
pub struct StepProof {
    /// The step.
    pub id: StepId,
    /// The sentence on the checklist.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// Whether it can go red.
    pub standing: Standing,
    /// Why nothing was proved.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What was tried.
    pub tried: Vec<Tried>,
    /// Accepted blind spots that the step does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<String>,
}

/// Whether a step can go red.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It noticed everything that it must.
    Proved,
    /// It stays green on something that nobody accepted.
    Blind,
    /// Nothing was proved.
    Unproved,
}

/// One worse look and what the step said to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// The mutation.
    pub mutation: Mutation,
    /// What was changed, in words: `latency = 500ms`.
    pub changed: String,
    /// How the step came out.
    pub outcome: Outcome,
    /// Whether it noticed.
    pub noticed: bool,
    /// Whether the checklist says that it need not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
}

impl Proof {
    /// Counts the steps of a standing.
    pub fn count(&self, standing: Standing) -> usize {
        self.steps.iter().filter(|step| step.standing == standing).count()
    }
}

impl StepProof {
    /// Walks over what the step does not notice, although it must.
    pub fn blind(&self) -> impl Iterator<Item = &Tried> {
        self.tried.iter().filter(|tried| !tried.noticed && !tried.accepted)
    }
}

/// Gives a step as it is written now; nothing for one that is gone.
pub type Outlines<'a> = dyn Fn(&StepId) -> Option<StepOutline> + 'a;

/// Proves the steps of a record. `outlines` gives the steps as they are written now, in place of those of the record.
pub fn prove(record: &RunRecord, outlines: Option<&Outlines<'_>>) -> Proof {
    let sections = record.sections.iter().filter(|section| matches!(section.outline.part, Part::Section | Part::Guard));
    let steps = sections.flat_map(|section| &section.steps).map(|step| match outlines {
        None => one(step, &step.outline),
        Some(outlines) => match outlines(&step.outline.id) {
            Some(outline) => one(step, &outline),
            None => unproved(&step.outline, "the checklist has no such step any more"),
        },
    });
    Proof { steps: steps.collect() }
}

fn unproved(outline: &StepOutline, why: impl Into<String>) -> StepProof {
    StepProof {
        id: outline.id.clone(),
        name: outline.name.clone(),
        origin: outline.origin.clone(),
        standing: Standing::Unproved,
        why: why.into(),
        tried: Vec::new(),
        unused: Vec::new(),
    }
}

fn one(step: &StepRecord, outline: &StepOutline) -> StepProof {
    match look_of(step, outline) {
        Err(why) => unproved(outline, why),
        Ok((look, measures)) => {
            let bench = Bench { outline, look, measures };
            let asserted = bench.judge(look.observation.found.clone(), &look.against);
            match asserted {
                Outcome::Pass | Outcome::Warn => bench.prove(asserted == Outcome::Warn),
                other => unproved(outline, format!("judged again on what was recorded, it does not pass: {other}")),
            }
        }
    }
}

/// Finds the look to change for the worse: that of a step that passed.
fn look_of<'a>(step: &'a StepRecord, outline: &StepOutline) -> Result<(&'a Look, &'a Measures), String> {
    if outline.speaks_for_itself {
        return Err(match outline.probe.as_str() {
            "manual" => "a person answers it: no proof can tell what they would notice".to_owned(),
            probe => format!("{probe} asserts nothing"),
        });
    }
    if outline.expect.is_none() && outline.warn.is_none() {
        return Err("what it expects is known only within a run: prove it with a run of this checklist".to_owned());
    }
    let Some(result) = &step.result else { return Err("the run was cut before it".to_owned()) };
    let look = match result {
        StepResult { outcome: Outcome::Pass | Outcome::Warn, look: Some(look), .. } => &**look,
        StepResult { outcome: Outcome::Pass | Outcome::Warn, look: None, .. } => {
            return Err("no look of it is recorded".to_owned());
        }
        StepResult { outcome: Outcome::Skipped, reason, .. } => return Err(format!("it was skipped: {reason}")),
        other => return Err(format!("it was {} already; prove it with a run in which it passes", other.outcome)),
    };
    match &look.observation.found {
        Found::Measures(measures) => Ok((look, measures)),
        Found::NoAnswer { .. } | Found::CouldNotLook { .. } | Found::NotEnough { .. } | Found::Waiting { .. } => {
            Err("its last look measured nothing".to_owned())
        }
    }
}

/// A step on the bench: what it asserts, and what it saw when it passed.
struct Bench<'a> {
    outline: &'a StepOutline,
    look: &'a Look,
    measures: &'a Measures,
}

impl Bench<'_> {
    fn prove(&self, warned: bool) -> StepProof {
        let mut tried = Vec::new();
        // What already warns cannot be seen to begin to.
        let terms = [self.outline.expect.as_ref(), self.outline.warn.as_ref().filter(|_| !warned)];
        let units: Vec<Unit> =
            terms.into_iter().flatten().flat_map(|expectation| units(expectation, self.measures)).collect();
        for mutation in Mutation::ALL {
            for worse in whole::worse(mutation, &self.outline.probe, self.measures, &units) {
                let outcome = self.judge(worse.found, &self.look.against);
                tried.push(self.tried(mutation, worse.what.to_owned(), outcome, warned));
            }
            for unit in &units {
                self.break_unit(mutation, unit, warned, &mut tried);
            }
        }
        for reference in 0..self.look.against.len() {
            let mut against = self.look.against.clone();
            against[reference].value = Value::NoData("made up for the proof".to_owned());
            let outcome = self.judge(self.look.observation.found.clone(), &against);
            let what = format!("{}: no data", against[reference].name);
            tried.push(self.tried(Mutation::NoData, what, outcome, warned));
        }
        tried.dedup();
        self.sum_up(tried)
    }

    /// Breaks all parts of a unit at once, in as many ways as the part with the most.
    fn break_unit(&self, mutation: Mutation, unit: &Unit, warned: bool, tried: &mut Vec<Tried>) {
        let worse = unit.parts.iter().map(|part| match self.measures.get(&part.name) {
            Some(value) => value::worse(mutation, part, value, &self.look.against, self.outline.series_any),
            None => Vec::new(),
        });
        let worse: Vec<Vec<Value>> = worse.collect();
        if worse.iter().any(Vec::is_empty) {
            return;
        }
        let ways = worse.iter().map(Vec::len).max().unwrap_or_default();
        for way in 0..ways {
            let mut measures = self.measures.clone();
            let mut changed = Vec::new();
            for (part, values) in unit.parts.iter().zip(&worse) {
                let value = &values[way % values.len()];
                changed.push(format!("{} = {}", part.name, said(value, part.kind)));
                measures.set(part.name.clone(), value.clone());
            }
            let outcome = self.judge(Found::Measures(measures), &self.look.against);
            tried.push(self.tried(mutation, changed.join(", "), outcome, warned));
        }
    }

    fn judge(&self, found: Found, against: &[Reference]) -> Outcome {
        let terms = Terms {
            expect: self.outline.expect.as_ref(),
            warn: self.outline.warn.as_ref(),
            on_no_data: self.outline.on_no_data,
            series_any: self.outline.series_any,
            speaks: self.outline.speaks_for_itself,
            against,
        };
        judge::look(&Observation::new("", found), &terms).outcome
    }

    fn tried(&self, mutation: Mutation, changed: String, outcome: Outcome, warned: bool) -> Tried {
        let noticed = match outcome {
            Outcome::Pass | Outcome::NotApplicable | Outcome::Skipped => false,
            Outcome::Warn => !warned,
            Outcome::Fail | Outcome::Error | Outcome::Inconclusive | Outcome::Pending => true,
        };
        // `on_no_data: pass` says the same in other words.
        let said = self.outline.on_no_data == OnNoData::Pass && mutation == Mutation::NoData;
        let accepted = !noticed && (said || self.outline.blind_to.iter().any(|word| word == mutation.word()));
        Tried { mutation, changed, outcome, noticed, accepted }
    }

    fn sum_up(&self, tried: Vec<Tried>) -> StepProof {
        let needed = |word: &String| tried.iter().any(|one| one.accepted && one.mutation.word() == word);
        let unused = self.outline.blind_to.iter().filter(|word| !needed(word)).cloned().collect();
        let mut proof = unproved(self.outline, "");
        proof.standing =
            if tried.iter().any(|one| !one.noticed && !one.accepted) { Standing::Blind } else { Standing::Proved };
        StepProof { tried, unused, ..proof }
    }
}

fn said(value: &Value, kind: crate::model::Kind) -> String {
    match value {
        Value::NoData(_) => "no data".to_owned(),
        Value::Missing(_) => "missing".to_owned(),
        Value::Text(text) if text.is_empty() => "\"\"".to_owned(),
        Value::Set(members) if members.is_empty() => "no member".to_owned(),
        Value::Series(samples) if samples.is_empty() => "no series".to_owned(),
        Value::Number(_)
        | Value::Text(_)
        | Value::Bool(_)
        | Value::Json(_)
        | Value::Set(_)
        | Value::Tally(_)
        | Value::Series(_) => words::value(value, kind, None),
    }
}
