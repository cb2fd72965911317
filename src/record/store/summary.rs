//! What a store says of a run without reading its events, kept up to date with every append.

use chrono::{DateTime, Utc};

use crate::event::{Event, EventKind};
use crate::model::{Decision, RunId};
use crate::record::{Head, RunRecord};

/// A run in a list of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// The title of its checklist.
    pub name: String,
    /// The checklist's file as the user named it.
    pub path: String,
    /// Its stage.
    pub stage: Option<String>,
    /// When it began; nothing for a run that has no event yet.
    pub started: Option<DateTime<Utc>>,
    /// When it ended; nothing while it goes on, or when it was cut.
    pub finished: Option<DateTime<Utc>>,
    /// What it waits for, when its process has left for that.
    pub paused: Option<String>,
    /// When there is something to do again, where that is known.
    pub due: Option<DateTime<Utc>>,
    /// The latest decision.
    pub decision: Option<Decision>,
    /// The end of its events; the number of the last one is how many there are.
    pub head: Head,
}

impl RunSummary {
    /// Makes the summary of a run that has no events yet.
    pub(super) fn empty(run: &RunId, head: Head) -> Self {
        Self {
            run: run.clone(),
            name: String::new(),
            path: String::new(),
            stage: None,
            started: None,
            finished: None,
            paused: None,
            due: None,
            decision: None,
            head,
        }
    }

    /// Returns how many events there are.
    pub fn events(&self) -> u64 {
        self.head.seq
    }

    /// Tells which word of the summary differs from the record; the record is right.
    pub fn differs_from(&self, record: &RunRecord) -> Option<&'static str> {
        let checklist = &record.header.checklist;
        [
            ("name", self.name != checklist.name),
            ("path", self.path != checklist.path),
            ("stage", self.stage != checklist.stage),
            ("start", self.started != Some(record.started)),
            ("end", self.finished != record.finished),
            ("pause", self.paused != record.paused.as_ref().map(|paused| paused.why.clone())),
            ("due time", self.due != record.paused.as_ref().and_then(|paused| paused.until)),
            ("decision", self.decision != record.decided.as_ref().map(|(decision, _)| *decision)),
        ]
        .into_iter()
        .find_map(|(word, differs)| differs.then_some(word))
    }
}

/// What a batch of events changes in a summary.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// Name, path, stage and start, when the batch begins the run.
    begun: Option<(String, String, Option<String>, DateTime<Utc>)>,
    finished: Option<DateTime<Utc>>,
    decision: Option<Decision>,
    paused: Option<(String, Option<DateTime<Utc>>)>,
    /// Whether the run was taken up again, so that what was decided before is open.
    reopened: bool,
}

impl Change {
    /// Notes what an event changes.
    pub(super) fn note(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { header, .. } => {
                let head = &header.checklist;
                self.begun = Some((head.name.clone(), head.path.clone(), head.stage.clone(), event.at));
            }
            EventKind::Decided { decision, .. } => self.decision = Some(*decision),
            EventKind::RunFinished { .. } => {
                (self.finished, self.paused) = (Some(event.at), None);
            }
            EventKind::Paused { why, until } => self.paused = Some((why.clone(), *until)),
            EventKind::Resumed { .. } => *self = Self { reopened: true, begun: self.begun.take(), ..Self::default() },
            EventKind::Planned { .. }
            | EventKind::SectionStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::Looked { .. }
            | EventKind::StepFinished { .. }
            | EventKind::SectionFinished { .. }
            | EventKind::CheckpointStarted { .. }
            | EventKind::Checked { .. }
            | EventKind::Held { .. }
            | EventKind::Released { .. }
            | EventKind::Waiting { .. }
            | EventKind::ClockMoved { .. }
            | EventKind::Notified { .. }
            | EventKind::Waived { .. }
            | EventKind::Signed { .. }
            | EventKind::Interrupted { .. }
            | EventKind::Answered { .. } => {}
        }
    }

    /// Applies the change.
    pub(super) fn apply(&self, summary: &mut RunSummary) {
        if let Some((name, path, stage, at)) = &self.begun {
            summary.name.clone_from(name);
            summary.path.clone_from(path);
            summary.stage.clone_from(stage);
            summary.started = Some(*at);
        }
        if self.reopened {
            (summary.finished, summary.decision) = (None, None);
            (summary.paused, summary.due) = (None, None);
        }
        if let Some((why, until)) = &self.paused {
            (summary.paused, summary.due) = (Some(why.clone()), *until);
        }
        if let Some(at) = self.finished {
            (summary.finished, summary.paused, summary.due) = (Some(at), None, None);
        }
        summary.decision = self.decision.or(summary.decision);
    }
}
