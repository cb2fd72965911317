//! What is added to a run after it ended: a person's answer, the decision that follows, and what became of messages.

use chrono::{DateTime, Utc};

use super::fold::answerable;
use super::store::{RunStore, StoreError};
use super::{Head, LoadError, RunRecord, load};
use crate::diag::near::did_you_mean;
use crate::event::{Answer, Event, EventKind, Notice};
use crate::model::{Decision, RunId, StepId};

/// Adds a person's answer to a step of a run. The run is verified first.
///
/// # Errors
/// A damaged run, an unknown step, a step that waits for nobody, an outcome that is not an answer, or an answer that
/// another process just gave.
pub fn append_answer(
    store: &mut dyn RunStore,
    run: &RunId,
    step: &StepId,
    answer: Answer,
    at: DateTime<Utc>,
) -> Result<Head, AnswerError> {
    let record = load(store, run)?;
    let Some(found) = record.sections.iter().flat_map(|s| &s.steps).find(|s| s.outline.id == *step) else {
        return Err(AnswerError::NoSuchStep { step: step.clone(), near: nearest(step, &record) });
    };
    if record.finished.is_none() && record.paused.is_none() {
        let cause = "the run goes on, or was cut: answer when it has ended, or run the checklist again";
        return Err(AnswerError::Refused(cause.to_owned()));
    }
    answerable(found, &answer).map_err(AnswerError::Refused)?;
    Ok(append(store, &record, EventKind::Answered { step: step.clone(), answer }, at)?)
}

/// Adds the decision that follows from what was added to a run. `record` is the run as it is in the store.
///
/// # Errors
/// The store cannot be written, or another process added something meanwhile.
pub fn append_decision(
    store: &mut dyn RunStore,
    record: &RunRecord,
    (decision, reasons): (Decision, Vec<String>),
    at: DateTime<Utc>,
) -> Result<Head, StoreError> {
    append(store, record, EventKind::Decided { decision, reasons }, at)
}

/// Adds what became of messages to a run that is over or was left. `head` is the end of the run in the store.
///
/// # Errors
/// The store cannot be written, or another process added something meanwhile.
pub fn append_notices(
    store: &mut dyn RunStore,
    run: &RunId,
    head: &Head,
    notices: Vec<Notice>,
    at: DateTime<Utc>,
) -> Result<Head, StoreError> {
    let event = |(seq, notice)| Event { seq, at, kind: EventKind::Notified { notice } };
    let events: Vec<Event> = (head.seq + 1..).zip(notices).map(event).collect();
    store.append(run, &events)
}

/// Why an answer was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The run cannot be read.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// The store said no.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The run has no such step.
    #[error("the run has no step {step}{}; `holdpoint show` lists its steps", .near.as_ref().map(|n| format!(", did you mean {n}")).unwrap_or_default())]
    NoSuchStep {
        /// What was asked for.
        step: StepId,
        /// The nearest step.
        near: Option<String>,
    },
    /// The step does not take this answer.
    #[error("{0}")]
    Refused(String),
}

fn append(
    store: &mut dyn RunStore,
    record: &RunRecord,
    kind: EventKind,
    at: DateTime<Utc>,
) -> Result<Head, StoreError> {
    store.append(&record.run, &[Event { seq: record.head.seq + 1, at, kind }])
}

fn nearest(step: &StepId, record: &RunRecord) -> Option<String> {
    let names = record.sections.iter().flat_map(|s| &s.steps).map(|s| s.outline.id.as_str());
    did_you_mean(step.as_str(), names).map(str::to_owned)
}
