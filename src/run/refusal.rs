//! Why a step or a section may not run: what it needs, what stands above it, what the options refuse.

use chrono::{DateTime, Utc};

use crate::event::{Observed, Skip};
use crate::model::Outcome;
use crate::model::outline::{Part, Slot, Weight};
use crate::plan::{Need, PlanSection};

use super::dispatcher::{Dispatcher, State};
use super::soak::stamp;

/// Why a step is not run, with the outcome that this gives.
pub(super) type Refusal = (Outcome, Option<Skip>, String);

impl Dispatcher {
    /// Tells why a step may not run.
    pub(super) fn refusal(&self, step: usize, section: usize) -> Option<Refusal> {
        let plan = &self.plan.steps[step];
        let skip = |skip, reason: String| Some((Outcome::Skipped, Some(skip), reason));
        if !plan.selected {
            return skip(Skip::NotSelected, "not selected".to_owned());
        }
        if let Some(reason) = self.needless(step) {
            return skip(Skip::Condition, reason);
        }
        if let Some(reason) = self.mends_what_waits(step) {
            return skip(Skip::Waiting, reason);
        }
        // What its own condition leaves out misses nothing that it needs: the condition is what is told then.
        let left_out = self.is_left_out(step);
        if let Some((kind, reason)) = self.unmet(&plan.needs).filter(|_| !left_out) {
            return skip(kind, reason);
        }
        let missing = |(name, producer): &&(String, usize)| {
            !self.captured_by.get(producer).is_some_and(|captured| captured.contains_key(name))
        };
        if let Some((name, producer)) = plan.uses.iter().find(missing).filter(|_| !left_out) {
            let id = &self.plan.steps[*producer].outline.id;
            if self.waits(*producer) {
                return skip(Skip::Waiting, format!("waits for {id}, which captures {name:?}"));
            }
            return skip(Skip::Blocked, format!("blocked by {id}, which did not capture {name:?}"));
        }
        let changes = plan.outline.changes.as_deref();
        if self.options.read_only && (changes.is_some() || plan.probe.runs_commands()) {
            return skip(Skip::Refused, "refused by --read-only".to_owned());
        }
        if let Some(refusal) = self.refusal_of_the_past(step) {
            return Some(refusal);
        }
        let changes = changes?;
        // No consent helps against the policy.
        if let Err(refusal) = self.shop.world.policy.allow_changes(changes)
            && !self.is_left_out(step)
        {
            return Some((Outcome::Error, None, refusal.message));
        }
        if self.plan.sections[section].outline.part == Part::Section
            && let Some(id) = self.failed_above(step)
        {
            return skip(Skip::Blocked, format!("blocked by {id}: nothing is changed after a required failure"));
        }
        let reason = format!("{changes}: needs consent (--allow-changes)");
        (!self.options.allow_changes).then_some((Outcome::Pending, None, reason))
    }

    /// Tells why a step cannot be run for a time that is past.
    fn refusal_of_the_past(&self, step: usize) -> Option<Refusal> {
        let (kind, looks_back) = (self.plan.steps[step].kind.name, self.plan.steps[step].probe.can_look_back());
        if let Some(past) = self.options.past {
            if looks_back {
                return None;
            }
            let reason = format!("{kind} cannot be asked about the past ({})", stamp(past.at));
            // Nothing is to be waited for in the past.
            let needless = kind == "wait";
            let skip = if past.leave_out || needless { Skip::NotSelected } else { Skip::Refused };
            return Some((Outcome::Skipped, Some(skip), reason));
        }
        let soaking = self.soaking.as_ref().filter(|soaking| soaking.steps.contains(&step))?;
        let now = soaking.now.filter(|now| now.slot != Slot::Start)?;
        if self.is_left_out(step) {
            return None;
        }
        let what = format!("was not observed at {} ({})", soaking.table.label(now.n), stamp(now.due));
        match now.how {
            Observed::InTime => None,
            Observed::Late if looks_back => None,
            Observed::Late => {
                let reason = format!("{what}, and {kind} cannot be asked about the past");
                Some((Outcome::Inconclusive, None, reason))
            }
            Observed::Missed => Some((Outcome::Inconclusive, None, format!("{what}: nobody looked"))),
        }
    }

    /// Tells whether the step's own condition leaves it out: then nothing of it was missed.
    fn is_left_out(&self, step: usize) -> bool {
        let when = self.plan.steps[step].when.as_ref();
        when.is_some_and(|when| when.holds(&self.scope_of(step)) == Ok(false))
    }

    /// Returns the past time that a step is asked about; nothing for now.
    pub(super) fn past_of(&self, step: usize) -> Option<DateTime<Utc>> {
        if !self.plan.steps[step].probe.can_look_back() {
            return None;
        }
        let now = self.soaking.as_ref().and_then(|soaking| soaking.now);
        match (self.options.past, now) {
            (Some(_), Some(occasion)) => Some(occasion.due),
            (Some(past), None) => Some(past.at),
            (None, Some(occasion)) => (occasion.how == Observed::Late).then_some(occasion.due),
            (None, None) => None,
        }
    }

    /// Tells what keeps a section from running, apart from what stands above it.
    pub(super) fn unmet_condition(&self, section: usize) -> Option<(Skip, String)> {
        let scope = self.scope_of_section(section);
        let section = &self.plan.sections[section];
        if let Some(when) = &section.when {
            match when.holds(&scope) {
                Ok(true) => {}
                Ok(false) => {
                    return Some((Skip::Condition, format!("its section's condition is false: {}", when.source())));
                }
                Err(e) => return Some((Skip::Blocked, format!("the section's condition `{}`: {e}", when.source()))),
            }
        }
        self.unmet(&section.needs)
    }

    /// Says what follows from a section that lets nothing pass.
    pub(super) fn behind(&self, barrier: usize) -> (Skip, String) {
        let section = &self.plan.sections[barrier];
        let name = &section.outline.name;
        match section.steps.clone().all(|step| self.lets_pass(step) || self.waits(step)) {
            true => (Skip::Waiting, format!("waits for {name:?}, where a person has not answered")),
            false => (Skip::Blocked, format!("blocked by {name:?}, which did not pass")),
        }
    }

    /// Tells what keeps needs from being met: what went wrong before what only waits.
    fn unmet(&self, needs: &[Need]) -> Option<(Skip, String)> {
        let (waits, id) = needs.iter().filter_map(|need| self.obstacle(need)).min_by_key(|(waits, _)| *waits)?;
        Some(match waits {
            true => (Skip::Waiting, format!("waits for {id}")),
            false => (Skip::Blocked, format!("blocked by {id}")),
        })
    }

    /// Names what keeps a need from being met, and tells whether that only waits.
    fn obstacle(&self, need: &Need) -> Option<(bool, String)> {
        let named = |step: usize| (self.waits(step), self.plan.steps[step].outline.id.to_string());
        let good = |step: usize| matches!(self.states[step], State::Done(outcome, _) if outcome.satisfies());
        if need.steps.len() == 1 {
            return (!good(need.steps.start)).then(|| named(need.steps.start));
        }
        let bad = need.steps.clone().filter(|&step| match self.states[step] {
            State::Done(outcome, skip) => {
                let counts = self.plan.steps[step].outline.weight == Weight::Required;
                counts && !outcome.satisfies() && skip != Some(Skip::Condition)
            }
            State::Idle | State::Running { .. } => true,
        });
        let none = !need.steps.clone().any(good);
        bad.map(named).min_by_key(|(waits, _)| *waits).or_else(|| none.then(|| (false, need.id.clone())))
    }

    /// Tells whether a step waits for a person, itself or through what it needs.
    pub(super) fn waits(&self, step: usize) -> bool {
        matches!(self.states[step], State::Done(Outcome::Pending, _) | State::Done(_, Some(Skip::Waiting)))
    }

    pub(super) fn passed(&self, section: usize) -> bool {
        let section: &PlanSection = &self.plan.sections[section];
        section.steps.clone().all(|step| self.lets_pass(step))
    }

    /// Tells whether a step does not close the barrier of its section.
    pub(super) fn lets_pass(&self, step: usize) -> bool {
        match self.states[step] {
            State::Done(outcome, skip) => {
                let free = matches!(skip, Some(Skip::Condition | Skip::NotSelected));
                outcome.satisfies()
                    || free
                    || self.plan.steps[step].outline.weight != Weight::Required
                    || (outcome == Outcome::Fail && self.is_waived(step))
            }
            State::Idle | State::Running { .. } => false,
        }
    }

    /// Names the first required step above that did not come out well. Cells do not stand above each other.
    pub(super) fn failed_above(&self, step: usize) -> Option<String> {
        let cells = |step: usize| {
            let section = self.section_of(step);
            section.map(|section| self.plan.sections[section].outline.cells.as_slice()).unwrap_or_default()
        };
        let bad = (0..step).find(|&above| {
            let required = self.plan.steps[above].outline.weight == Weight::Required;
            let failed = matches!(
                self.states[above],
                State::Done(Outcome::Fail | Outcome::Error | Outcome::Inconclusive, _)
                    | State::Done(_, Some(Skip::Blocked | Skip::Waiting | Skip::Refused))
            );
            let beside = |(a, b): (&crate::model::outline::Cell, &crate::model::outline::Cell)| a.id != b.id;
            required && failed && !self.is_waived(above) && !cells(above).iter().zip(cells(step)).any(beside)
        });
        bad.map(|above| self.plan.steps[above].outline.id.to_string())
    }
}
