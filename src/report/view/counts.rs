//! How many steps came out how.

use serde::Serialize;

use crate::model::Outcome;
use crate::model::outline::Part;
use crate::record::{RunRecord, SectionRecord};

use super::Step;

/// How many steps came out how. Trial steps and actions are counted apart, since neither counts for the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All steps of the sections, without those on probation.
    pub total: usize,
    /// Passed.
    pub pass: usize,
    /// Warned.
    pub warn: usize,
    /// Failed.
    pub fail: usize,
    /// Could not look.
    pub error: usize,
    /// Not enough to say.
    pub inconclusive: usize,
    /// Waiting.
    pub pending: usize,
    /// Not run.
    pub skipped: usize,
    /// Said not to apply.
    pub not_applicable: usize,
    /// Steps on probation.
    pub trial: usize,
    /// Steps that act on the decision.
    pub actions: usize,
}

impl Counts {
    /// Counts a whole run.
    pub fn of(record: &RunRecord) -> Self {
        let mut counts = Self::default();
        for section in &record.sections {
            match section.outline.part {
                Part::Section | Part::Guard => counts.add_section(section),
                Part::OnGo | Part::OnNoGo | Part::Always => counts.actions += section.steps.len(),
            }
        }
        counts
    }

    /// Counts one section, whichever part it stands in.
    pub fn of_section(section: &SectionRecord) -> Self {
        let mut counts = Self::default();
        counts.add_section(section);
        counts
    }

    fn add_section(&mut self, section: &SectionRecord) {
        for index in 0..section.steps.len() {
            let step = Step::new(section, index);
            match step.is_trial() {
                true => self.trial += 1,
                false => self.add(step.outcome()),
            }
        }
    }

    fn add(&mut self, outcome: Outcome) {
        self.total += 1;
        *match outcome {
            Outcome::Pass => &mut self.pass,
            Outcome::Warn => &mut self.warn,
            Outcome::Fail => &mut self.fail,
            Outcome::Error => &mut self.error,
            Outcome::Inconclusive => &mut self.inconclusive,
            Outcome::Pending => &mut self.pending,
            Outcome::Skipped => &mut self.skipped,
            Outcome::NotApplicable => &mut self.not_applicable,
        } += 1;
    }

    /// Words the counts, without those that are zero: `7 pass, 1 fail of 8`.
    pub fn words(&self) -> String {
        let named = [
            (self.pass, "pass"),
            (self.warn, "warn"),
            (self.fail, "fail"),
            (self.error, "error"),
            (self.inconclusive, "inconclusive"),
            (self.pending, "pending"),
            (self.skipped, "skipped"),
            (self.not_applicable, "not applicable"),
        ];
        let some: Vec<_> = named.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        let apart = match self.trial {
            0 => String::new(),
            n => format!(" ({n} on trial apart)"),
        };
        match some.is_empty() {
            true => format!("no steps{apart}"),
            false => format!("{} of {}{apart}", some.join(", "), self.total),
        }
    }
}
