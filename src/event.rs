//! What happens, in the order in which it happens: where the run and the record meet.
//!
//! The engine emits events; sinks take them: the recorder first, then everything that shows or tells. A run can be
//! told again from its events alone.

mod written;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::outline::{Header, SectionOutline, StepOutline};
use crate::model::{Decision, Observation, Outcome, RunId, SectionId, StepId, Verdict};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "written::Written")]
pub struct Event {
    /// Its number within the run, from 1, without gaps.
    pub seq: u64,
    /// When, by the wall clock.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A run begins. The first event of every run.
    RunStarted {
        /// The run.
        run: RunId,
        /// Who, what, where, with what.
        header: Box<Header>,
    },
    /// A section and its steps are planned. Large sections come in several pieces, all of them before any step begins.
    Planned {
        /// The section.
        section: SectionOutline,
        /// Its steps, or the next of them.
        steps: Vec<StepOutline>,
    },
    /// A section begins.
    SectionStarted {
        /// The section.
        section: SectionId,
    },
    /// A step takes a while: emitted for steps that wait, that change the world, or that have run for 100 ms.
    StepStarted {
        /// The step.
        step: StepId,
        /// What it does: its resolved request, where that is known already.
        #[serde(skip_serializing_if = "String::is_empty")]
        doing: String,
        /// When its time is up, for a step that waits.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// One look of a step that looks more than once.
    Looked {
        /// The step.
        step: StepId,
        /// The look.
        look: Box<Look>,
    },
    /// A step is done.
    StepFinished {
        /// The step.
        step: StepId,
        /// The result.
        result: Box<StepResult>,
    },
    /// A section is done.
    SectionFinished {
        /// The section.
        section: SectionId,
    },
    /// The run was asked to stop.
    Interrupted {
        /// By what: `SIGINT`, `SIGTERM`, or a fault of the store.
        cause: String,
    },
    /// A person answered a manual step.
    Answered {
        /// The step.
        step: StepId,
        /// The answer.
        answer: Answer,
    },
    /// The steps are judged and the gate says this.
    Decided {
        /// The decision.
        decision: Decision,
        /// Why, one line each.
        reasons: Vec<String>,
    },
    /// The run is over. The last event, until a person adds an answer or a signature.
    RunFinished {
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
}

/// One look and its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Its number within the step, from 1.
    pub n: u32,
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// How many attempts it took, when errors of looking were tried again.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub attempts: u32,
    /// What was found.
    pub observation: Observation,
    /// What follows from this look alone.
    pub verdict: Verdict,
}

/// How a step came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// The outcome.
    pub outcome: Outcome,
    /// One line that says why, for everything but a plain pass.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why it was not run, for a skipped step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
    /// When the step began.
    pub started: DateTime<Utc>,
    /// How long it took, waits included, in microseconds.
    pub took_us: u64,
    /// How many looks it took.
    pub looks: u32,
    /// The look that decided: the last one, or the first that failed for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Box<Look>>,
    /// Whether it passed only after an error of looking was tried again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flaky: bool,
    /// Values captured for later steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captured: Vec<(String, serde_json::Value)>,
}

/// Why a step was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// Its `when`, or that of its section, is false.
    Condition,
    /// What it needs did not pass, or a barrier above it did not.
    Blocked,
    /// What it needs, or a barrier above it, waits for a person.
    Waiting,
    /// `--only` or `--skip` left it out.
    NotSelected,
    /// `--read-only` refuses it.
    Refused,
    /// The run was cut short before it.
    NotReached,
}

impl Skip {
    /// Tells whether something that should have been looked at was not: nobody wished it so.
    pub fn blocks(self) -> bool {
        match self {
            Skip::Condition | Skip::NotSelected | Skip::Waiting => false,
            Skip::Blocked | Skip::Refused | Skip::NotReached => true,
        }
    }
}

/// What a person answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Pass, fail or not applicable.
    pub outcome: Outcome,
    /// Who.
    pub by: String,
    /// With which words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Takes events. The recorder is the first sink; its failure stops the run. Every other sink is best effort.
///
/// Sinks are called on a thread of their own, never on the async threads, so they may block.
pub trait Sink: Send {
    /// Takes events that happened, in order. The recorder has them on disk when it returns.
    ///
    /// # Errors
    /// Says why the events could not be taken.
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError>;

    /// Called about ten times a second while the run goes on, for displays that show the time.
    fn tick(&mut self, _now: DateTime<Utc>) {}
}

/// Why a sink could not take an event.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(n: &u32) -> bool {
    *n == 1
}
