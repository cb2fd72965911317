//! Listens to a run: which events are worth a message. It never blocks, and what does not fit is counted.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{Asked, Desk};
use crate::event::{Event, EventKind, Sink, SinkError, StepResult};
use crate::model::outline::{Part, Slot, Weight};
use crate::model::{Decision, Outcome, SectionId, StepId};
use crate::notify::message::Occasion;
use crate::notify::on::On;

/// The most failures that wait to be handed on.
const MOST: usize = 1_000;

/// Hears of a run as a sink.
pub struct Ear {
    desk: Arc<Desk>,
    occasions: mpsc::Sender<Asked>,
    /// Whether the run has begun and nobody was told yet: the plan comes first.
    begins: bool,
    /// The checkpoint under way.
    checkpoint: Option<u32>,
    /// The required steps of sections and guards; kept only where somebody wants to hear of failures.
    required: HashSet<StepId>,
    /// The steps that are looked at at checkpoints, and those of them that are not done yet.
    at_checkpoints: Vec<StepId>,
    left: HashSet<StepId>,
    failures: bool,
    checkpoints: bool,
    /// Failures that are still to be handed on.
    failed: Vec<(StepId, Option<u32>)>,
}

impl Ear {
    pub(super) fn new(desk: Arc<Desk>, occasions: mpsc::Sender<Asked>) -> Self {
        let (failures, checkpoints) = (desk.wanted(On::Failure), desk.wanted(On::Checkpoint));
        Self {
            desk,
            occasions,
            begins: false,
            checkpoint: None,
            required: HashSet::new(),
            at_checkpoints: Vec::new(),
            left: HashSet::new(),
            failures,
            checkpoints,
            failed: Vec::new(),
        }
    }

    /// Learns of what happened before, in a process that is gone. Nothing of it is told.
    pub fn recall(&mut self, events: &[Event]) {
        for event in events {
            if let EventKind::Planned { section, steps } = &event.kind {
                self.plan(section.part, section.at, steps);
            }
        }
    }

    fn plan(&mut self, part: Part, at: Option<Slot>, steps: &[crate::model::outline::StepOutline]) {
        if self.failures && matches!(part, Part::Section | Part::Guard) {
            let required = steps.iter().filter(|step| step.weight == Weight::Required);
            self.required.extend(required.map(|step| step.id.clone()));
        }
        if (self.failures || self.checkpoints) && part == Part::Section && at == Some(Slot::Checkpoint) {
            let steps = steps.iter().map(|step| step.id.clone());
            self.at_checkpoints.extend(steps.filter(|id| !self.at_checkpoints.contains(id)).collect::<Vec<_>>());
        }
    }

    fn hear(&mut self, kind: &EventKind) {
        let before_all =
            matches!(kind, EventKind::RunStarted { .. } | EventKind::Planned { .. } | EventKind::Waived { .. });
        if self.begins && !before_all {
            self.begins = false;
            self.ask(On::Start, Occasion::Start);
        }
        match kind {
            EventKind::RunStarted { .. } => self.begins = true,
            EventKind::Planned { section, steps } => self.plan(section.part, section.at, steps),
            // Whoever was told of the start is not told again.
            EventKind::Resumed { .. } => self.ask(On::Start, Occasion::Start),
            EventKind::Held { section } => self.held(section),
            EventKind::CheckpointStarted { checkpoint } => {
                self.end_checkpoint();
                self.checkpoint = (checkpoint.slot == Slot::Checkpoint).then_some(checkpoint.n);
                self.left = self.at_checkpoints.iter().cloned().collect();
            }
            EventKind::Checked { step, n, result } => {
                self.failed(step, Some(*n), result);
                self.left.remove(step);
                if self.left.is_empty() {
                    self.end_checkpoint();
                }
            }
            EventKind::StepFinished { step, result } => {
                // What was checked at checkpoints is summed up in the end: each failure was told then.
                if !self.at_checkpoints.contains(step) {
                    self.failed(step, None, result);
                }
            }
            EventKind::Paused { .. } => self.end_checkpoint(),
            EventKind::Decided { decision, .. } => {
                self.end_checkpoint();
                // What waits is told when the run is over: one that leaves for a while is held in between.
                if *decision != Decision::Held {
                    self.ask(On::of(*decision), Occasion::Decided);
                }
            }
            EventKind::Notified { notice } => self.desk.state().kept.push(notice.clone()),
            EventKind::SectionStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::Looked { .. }
            | EventKind::SectionFinished { .. }
            | EventKind::Released { .. }
            | EventKind::Waiting { .. }
            | EventKind::ClockMoved { .. }
            | EventKind::Waived { .. }
            | EventKind::Signed { .. }
            | EventKind::Interrupted { .. }
            | EventKind::Answered { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }

    fn held(&mut self, section: &SectionId) {
        self.ask(On::Held, Occasion::Held(section.clone()));
    }

    fn failed(&mut self, step: &StepId, n: Option<u32>, result: &StepResult) {
        let wrong = matches!(result.outcome, Outcome::Fail | Outcome::Error) && !result.cut;
        if self.failures && wrong && self.required.contains(step) {
            self.failed.push((step.clone(), n));
        }
    }

    fn end_checkpoint(&mut self) {
        if let Some(n) = self.checkpoint.take() {
            self.ask(On::Checkpoint, Occasion::Checkpoint(n));
        }
    }

    /// Hands the failures on, all at once; what finds no room waits for the next time.
    fn hand_failures_on(&mut self) {
        if self.failed.is_empty() {
            return;
        }
        self.failed.truncate(MOST);
        let asked = Asked::Occasion(Occasion::Failure(std::mem::take(&mut self.failed)));
        match self.occasions.try_send(asked) {
            Ok(()) => {}
            Err(TrySendError::Full(Asked::Occasion(Occasion::Failure(steps)))) => self.failed = steps,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {}
        }
    }

    fn ask(&mut self, on: On, occasion: Occasion) {
        self.hand_failures_on();
        if self.desk.wanted(on) && self.occasions.try_send(Asked::Occasion(occasion)).is_err() {
            self.desk.state().lost += 1;
        }
    }
}

impl Sink for Ear {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        events.iter().for_each(|event| self.hear(&event.kind));
        self.hand_failures_on();
        Ok(())
    }
}
