//! Writes down what came of steps: for good, or at a checkpoint of a soak.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::dispatcher::{Dispatcher, State};
use super::references::Memory;
use super::worker::Done;
use crate::event::{EventKind, Skip, StepResult};
use crate::model::Outcome;

impl Dispatcher {
    pub(super) fn settle(&mut self, done: Done) {
        if !done.captured.is_empty() {
            self.keep_captured(done.step, done.captured);
        }
        if done.memory != Memory::default() {
            self.memories.insert(done.step, done.memory);
        }
        self.finish(done.step, done.result);
    }

    pub(super) fn keep_captured(&mut self, step: usize, captured: Vec<(String, serde_json::Value)>) {
        self.captured.extend(captured.iter().cloned());
        self.captured_by.entry(step).or_default().extend(captured);
        self.scope = Arc::new(self.plan.scope(&self.captured));
    }

    /// Writes down how a step came out: at a checkpoint of a soak for that checkpoint, else for good.
    pub(super) fn finish(&mut self, step: usize, result: StepResult) {
        self.states[step] = State::Done(result.outcome, result.skip);
        self.keep_measures(step, &result);
        let id = self.plan.steps[step].outline.id.clone();
        match self.checkpoint_of(step) {
            None => self.emitter.emit(EventKind::StepFinished { step: id, result: Box::new(result) }),
            // A checkpoint that was cut off is looked at again when the run is taken up.
            Some(_) if result.cut || result.skip == Some(Skip::NotReached) => {}
            Some(n) => {
                if let Some(soaking) = &mut self.soaking {
                    soaking.take(step, n, &result);
                }
                self.emitter.emit(EventKind::Checked { step: id, n, result: Box::new(result) });
            }
        }
    }

    pub(super) fn skip(&mut self, step: usize, skip: Skip, reason: String) {
        let selected = self.plan.steps[step].selected;
        let (skip, reason) = if selected { (skip, reason) } else { (Skip::NotSelected, "not selected".to_owned()) };
        let result = self.unrun(Outcome::Skipped, Some(skip), reason);
        self.finish(step, result);
    }

    pub(super) fn unrun(&self, outcome: Outcome, skip: Option<Skip>, reason: String) -> StepResult {
        let reason = self.shop.redactor.text(&reason).into_owned();
        StepResult { skip, ..StepResult::new(outcome, reason, self.shop.world.clock.now()) }
    }

    /// Returns when a step began.
    pub(super) fn begun(&self, step: usize) -> DateTime<Utc> {
        let clock = &self.shop.world.clock;
        let ago = match self.states[step] {
            State::Running { since, .. } => clock.elapsed().saturating_sub(since),
            State::Idle | State::Done(..) => Duration::ZERO,
        };
        clock.now() - TimeDelta::from_std(ago).unwrap_or_default()
    }
}
