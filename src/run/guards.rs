//! Guards watch beside everything else, from the beginning to the end, in pauses and at hold points too.

use crate::event::Skip;
use crate::model::Outcome;
use crate::model::outline::Weight;

use super::crew::Duty;
use super::dispatcher::{Dispatcher, State};
use super::ending::Halt;

impl Dispatcher {
    /// Lets the guards begin to watch.
    pub(super) fn begin_guards(&mut self) {
        let Some(section) = self.plan.guards else { return };
        let steps = self.plan.sections[section].steps.clone();
        if steps.clone().any(|step| self.states[step] == State::Idle) {
            let id = self.plan.sections[section].outline.id.clone();
            self.emitter.emit(crate::event::EventKind::SectionStarted { section: id });
        }
        for step in steps {
            if self.states[step] != State::Idle {
                continue;
            }
            if self.options.past.is_some() {
                self.skip(step, Skip::NotSelected, "guards watch what goes on, and this is past".to_owned());
                continue;
            }
            if let Some((outcome, skip, reason)) = self.refusal(step, section) {
                self.finish(step, self.unrun(outcome, skip, reason));
                continue;
            }
            self.states[step] = State::Running { since: self.shop.world.clock.elapsed(), announced: false };
            self.begin_step(step, Duty::Guard);
        }
    }

    /// A guard that has failed for good stops the run.
    pub(super) async fn guard_ended(&mut self, step: usize, outcome: Outcome) {
        let required = self.plan.steps[step].outline.weight == Weight::Required;
        if outcome == Outcome::Fail && required && !self.is_waived(step) && !*self.curtain.borrow() {
            self.halt(Halt::Tripped(step)).await;
        }
    }

    /// Tells guards that everything is over; each looks once more and says what it saw.
    pub(super) async fn end_guards(&mut self) {
        self.curtain.send_replace(true);
        while self.crew.guards() > 0 {
            self.next_guard().await;
        }
        if let Some(section) = self.plan.guards {
            let id = self.plan.sections[section].outline.id.clone();
            self.emitter.emit(crate::event::EventKind::SectionFinished { section: id });
        }
    }

    /// Ends the guards of a run that was interrupted.
    pub(super) fn cut_guards(&mut self) {
        let (Some(section), Some(halt)) = (self.plan.guards, self.halt.clone()) else { return };
        for step in self.plan.sections[section].steps.clone() {
            self.cut_off(step, &halt);
        }
    }

    /// Tells whether each guard that watches has looked since this process began.
    pub(super) fn guards_have_looked(&self) -> bool {
        let steps = self.plan.guards.map(|section| self.plan.sections[section].steps.clone()).unwrap_or_default();
        steps.into_iter().all(|step| !matches!(self.states[step], State::Running { .. }) || self.looked.contains(&step))
    }
}
