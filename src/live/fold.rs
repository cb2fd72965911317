//! What a display knows of a run that goes on: what is planned, running and done. This module writes nothing.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;

use crate::event::{Event, EventKind, Look};
use crate::model::outline::{Hold, Soak, Weight};
use crate::model::{Found, Outcome, SectionId, StepId};

/// What is known of a run that goes on.
#[derive(Default)]
pub(super) struct Progress {
    /// When it began.
    pub(super) started: Option<DateTime<Utc>>,
    /// The latest time that was told.
    pub(super) now: Option<DateTime<Utc>>,
    /// The run's name.
    pub(super) run: String,
    /// The timetable of a soak.
    pub(super) soak: Option<Soak>,
    /// The number of the latest checkpoint that was begun.
    pub(super) checkpoint: Option<u32>,
    /// The sections that must be released, and by whom.
    pub(super) holds: HashMap<SectionId, Hold>,
    /// The titles of the sections.
    pub(super) sections: HashMap<String, String>,
    /// The steps that are not done.
    pub(super) planned: HashMap<StepId, Planned>,
    /// The steps that run, in the order in which they began.
    pub(super) running: IndexMap<StepId, Running>,
    /// How many steps there are.
    pub(super) total: usize,
    /// How many are done.
    pub(super) done: usize,
    /// How many of them came out wrong.
    pub(super) wrong: usize,
}

/// A step that is not done.
pub(super) struct Planned {
    /// The sentence on the checklist.
    pub(super) name: String,
    /// Where it is written.
    pub(super) line: String,
    /// How much it counts.
    pub(super) weight: Weight,
}

/// A step that runs.
pub(super) struct Running {
    /// The sentence on the checklist.
    pub(super) name: String,
    /// When it began.
    pub(super) since: DateTime<Utc>,
    /// When its time is up.
    pub(super) until: Option<DateTime<Utc>>,
    /// The latest value against its limit: `2.1% < 5%`.
    pub(super) value: String,
    /// The number of the latest look.
    pub(super) looks: u32,
}

impl Progress {
    /// Takes an event in, after a display has told it. A finished step stays planned until then.
    pub(super) fn take(&mut self, event: &Event) {
        self.now = self.now.max(Some(event.at));
        match &event.kind {
            EventKind::RunStarted { run, header } => {
                self.started = Some(event.at);
                self.run = run.to_string();
                self.soak = header.soak;
            }
            EventKind::CheckpointStarted { checkpoint } => self.checkpoint = Some(checkpoint.n),
            EventKind::Planned { section, steps } => {
                self.sections.insert(section.id.to_string(), section.name.clone());
                if let Some(hold) = &section.hold {
                    self.holds.insert(section.id.clone(), hold.clone());
                }
                self.total += steps.len();
                self.planned.extend(steps.iter().map(|s| {
                    let line = s.origin.to_string();
                    (s.id.clone(), Planned { name: s.name.clone(), line, weight: s.weight })
                }));
            }
            EventKind::StepStarted { step, until, .. } => {
                let name = self.planned.get(step).map_or_else(|| step.to_string(), |p| p.name.clone());
                let running = Running { name, since: event.at, until: *until, value: String::new(), looks: 0 };
                self.running.insert(step.clone(), running);
            }
            EventKind::Looked { step, look } => {
                if let Some(running) = self.running.get_mut(step) {
                    running.looks = look.n;
                    running.value = value(look);
                }
            }
            EventKind::Checked { step, .. } => {
                self.running.shift_remove(step);
            }
            EventKind::StepFinished { step, result } => {
                self.running.shift_remove(step);
                self.planned.remove(step);
                self.done += 1;
                let wrong = matches!(result.outcome, Outcome::Fail | Outcome::Error | Outcome::Inconclusive);
                self.wrong += usize::from(wrong);
            }
            EventKind::Held { .. }
            | EventKind::Released { .. }
            | EventKind::Paused { .. }
            | EventKind::Waiting { .. }
            | EventKind::Resumed { .. }
            | EventKind::ClockMoved { .. }
            | EventKind::Notified { .. }
            | EventKind::Waived { .. }
            | EventKind::Signed { .. }
            | EventKind::SectionStarted { .. }
            | EventKind::SectionFinished { .. }
            | EventKind::Interrupted { .. }
            | EventKind::Answered { .. }
            | EventKind::Decided { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }
}

/// Words the value of a look against its limit: the first that does not hold, else the first.
fn value(look: &Look) -> String {
    let findings = &look.verdict.findings;
    let telling = findings.iter().find(|f| f.outcome != Outcome::Pass).or(findings.first());
    match (telling, &look.observation.found) {
        (Some(finding), _) => {
            let subject = if finding.subject == "value" { String::new() } else { format!("{} ", finding.subject) };
            // `2.1% < 5%` reads by itself; where it does not hold, or is no comparison, a word says what is what.
            let compared = finding.expected.starts_with(['<', '>', '=', '!']) && finding.outcome == Outcome::Pass;
            let between = if compared { " " } else { ", expected " };
            format!("{subject}{}{between}{}", finding.observed, finding.expected)
        }
        (None, Found::NoAnswer { cause }) => format!("no answer: {cause}"),
        (None, Found::CouldNotLook { cause, .. }) => format!("could not look: {cause}"),
        (None, Found::NotEnough { cause }) => format!("not enough to say: {cause}"),
        (None, Found::Measures(_) | Found::Waiting { .. }) => look.verdict.summary.clone(),
    }
}
