//! What ends a run before its time, what becomes of the steps that it cuts off, and the decision.

use crate::event::{EventKind, Release, Skip};
use crate::judge::gate::{Counted, Rules, gate};
use crate::model::outline::{Part, Weight};
use crate::model::{Decision, Outcome, quantity};
use crate::plan::CellPlan;

use super::crew::Duty;
use super::dispatcher::{Dispatcher, State};
use super::lanes::{Doing, sections_of};

/// Why nothing more begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Halt {
    /// Somebody asked for the end, or what happens cannot be kept.
    Interrupted(String),
    /// A guard tripped.
    Tripped(usize),
    /// People declined to release a section.
    Declined(usize, Release),
}

impl Halt {
    /// Says why a section that had not begun is left out.
    pub(super) fn keeps_out(&self, dispatcher: &Dispatcher) -> (Skip, String) {
        match self {
            Halt::Interrupted(cause) => (Skip::NotReached, format!("not reached: {cause}")),
            Halt::Tripped(_) | Halt::Declined(..) => (Skip::Blocked, self.words(dispatcher)),
        }
    }

    /// Says what ended the run, in one line.
    pub(super) fn words(&self, dispatcher: &Dispatcher) -> String {
        match self {
            Halt::Interrupted(cause) => format!("interrupted: {cause}"),
            Halt::Tripped(guard) => {
                format!("the guard {:?} tripped", dispatcher.plan.steps[*guard].outline.name)
            }
            Halt::Declined(section, release) => {
                let name = &dispatcher.plan.sections[*section].outline.name;
                let note = if release.note.is_empty() { String::new() } else { format!(": {}", release.note) };
                format!("{name:?} was declined by {}{note}", release.by)
            }
        }
    }
}

impl Dispatcher {
    /// Returns what interrupted the run, if something did.
    pub(super) fn interrupted(&self) -> Option<String> {
        match &self.halt {
            Some(Halt::Interrupted(cause)) => Some(cause.clone()),
            Some(Halt::Tripped(_) | Halt::Declined(..)) | None => None,
        }
    }

    /// Ends the run where nothing works: what follows cannot be had.
    pub(super) fn break_off(&mut self, cause: String) {
        self.emitter.emit(EventKind::Interrupted { cause: cause.clone() });
        self.halt = Some(Halt::Interrupted(cause));
    }

    /// Stops everything but actions. What works is cut off; what has not begun is left out as the lanes come to it.
    pub(super) async fn halt(&mut self, halt: Halt) {
        if let Halt::Interrupted(cause) = &halt {
            if self.interrupted().is_some() {
                return;
            }
            self.emitter.emit(EventKind::Interrupted { cause: cause.clone() });
        } else if self.halt.is_some() {
            return;
        }
        let guards = matches!(halt, Halt::Interrupted(_));
        self.halt = Some(halt);
        if self.acting {
            return;
        }
        let lanes: Vec<(usize, usize)> = self
            .lanes
            .iter()
            .enumerate()
            .filter_map(|(n, lane)| match &lane.doing {
                Doing::Section(section, _) | Doing::Held(section) if self.is_of_checklist(*section) => {
                    Some((n, *section))
                }
                Doing::Section(..)
                | Doing::Held(_)
                | Doing::Next
                | Doing::Until(..)
                | Doing::Children(_)
                | Doing::Over => None,
            })
            .collect();
        let stops = |duty: Duty| match duty {
            Duty::Lane(lane) => lanes.iter().any(|(n, _)| *n == lane),
            Duty::Guard => guards,
        };
        let ended = self.crew.dismiss(stops).await;
        self.hear_all();
        for (duty, done) in ended {
            Box::pin(self.ended(duty, done)).await;
        }
        for (lane, section) in lanes {
            let held = matches!(self.lanes[lane].doing, Doing::Held(_));
            self.leave_rest(section);
            if !held {
                self.end_section(section);
            }
            self.close(lane, section);
        }
        if guards {
            self.cut_guards();
        }
    }

    /// Gives every step of a section that has not ended an end: cut off, or not reached.
    pub(super) fn leave_rest(&mut self, section: usize) {
        let Some(halt) = self.halt.clone() else { return };
        let (skip, reason) = halt.keeps_out(self);
        for step in self.plan.sections[section].steps.clone() {
            match self.states[step] {
                State::Done(..) => {}
                State::Idle => self.skip(step, skip, reason.clone()),
                State::Running { .. } => self.cut_off(step, &halt),
            }
        }
    }

    /// Ends a step that works: whatever it would have come to is not known.
    pub(super) fn cut_off(&mut self, step: usize, halt: &Halt) {
        let State::Running { since, .. } = self.states[step] else { return };
        let took = self.shop.world.clock.elapsed().saturating_sub(since);
        let cause = match halt {
            Halt::Interrupted(cause) => cause.clone(),
            Halt::Tripped(_) | Halt::Declined(..) => halt.words(self),
        };
        let reason = format!("cut off after {}: {cause}", quantity::seconds(took.as_secs_f64()));
        let mut result = self.unrun(Outcome::Inconclusive, None, reason);
        result.took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // A change that was begun is not begun a second time: whether it was made is not known.
        result.cut = matches!(halt, Halt::Interrupted(_)) && self.plan.steps[step].outline.changes.is_none();
        self.finish(step, result);
    }

    /// Decides on the whole run.
    pub(super) fn decide(&self) -> (Decision, Vec<String>) {
        // Actions do not count.
        let counts = |part: Part| matches!(part, Part::Section | Part::Guard);
        let sections = (0..self.plan.sections.len()).filter(|&at| counts(self.plan.sections[at].outline.part));
        let rules = Rules {
            interrupted: self.interrupted().is_some(),
            strict: self.strict,
            unsigned: !self.plan.roles.is_empty() && !self.options.signed,
        };
        let decision = gate(self.counted(sections), rules);
        let reasons = self.halt.iter().map(|halt| halt.words(self)).collect();
        match &self.halt {
            Some(Halt::Tripped(_) | Halt::Declined(..)) => (Decision::NoGo, reasons),
            Some(Halt::Interrupted(_)) | None => (decision, reasons),
        }
    }

    /// Decides on a cell of a matrix, by its own steps alone.
    pub(super) fn decide_cell(&self, cell: &CellPlan) -> Decision {
        let mut sections = sections_of(&cell.flow);
        if self.soaking.is_some() {
            // A cell of the whole checklist is looked at on several occasions.
            let of_cell = |at: &usize| self.plan.sections[*at].outline.cells.first() == Some(&cell.cell);
            sections = (0..self.plan.sections.len()).filter(|at| self.is_of_checklist(*at)).filter(of_cell).collect();
        }
        let ran = sections.iter().any(|&section| self.any_ran(section));
        match &self.halt {
            // What had begun when the run was stopped is as wrong as the run; what had not is left as it was.
            Some(Halt::Tripped(_) | Halt::Declined(..)) if ran => Decision::NoGo,
            Some(_) if !ran => Decision::Undecided,
            Some(_) | None => {
                let rules = Rules { interrupted: self.interrupted().is_some(), strict: self.strict, unsigned: false };
                gate(self.counted(sections.into_iter()), rules)
            }
        }
    }

    /// Tells whether anything of a section was begun.
    pub(super) fn any_ran(&self, section: usize) -> bool {
        self.plan.sections[section].steps.clone().any(|step| match self.states[step] {
            State::Idle => false,
            State::Running { .. } => true,
            State::Done(outcome, _) => outcome != Outcome::Skipped,
        })
    }

    fn counted(&self, sections: impl Iterator<Item = usize>) -> impl Iterator<Item = Counted> {
        sections.flat_map(|section| self.plan.sections[section].steps.clone()).map(|step| {
            let (outcome, skip) = match self.states[step] {
                State::Done(outcome, skip) => (outcome, skip),
                State::Idle | State::Running { .. } => (Outcome::Inconclusive, None),
            };
            let blocked = skip.is_some_and(Skip::blocks);
            let outcome = if skip == Some(Skip::Waiting) { Outcome::Pending } else { outcome };
            let waived = outcome == Outcome::Fail && self.is_waived(step);
            Counted { weight: self.plan.steps[step].outline.weight, outcome, blocked, waived }
        })
    }

    /// Tells whether a waiver lets a failure of this step pass now.
    pub(super) fn is_waived(&self, step: usize) -> bool {
        let now = self.shop.world.clock.now();
        let id = &self.plan.steps[step].outline.id;
        let waivers = self.options.waivers.iter().flat_map(|waivers| &waivers.waivers);
        self.plan.steps[step].outline.weight != Weight::Trial
            && waivers.into_iter().any(|waiver| waiver.step == *id && waiver.acts_at(now))
    }
}
