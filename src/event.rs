//! What happens, in the order in which it happens: where the run and the record meet.
//!
//! The engine emits events; sinks take them: the recorder first, then everything that shows or tells. A run can be
//! told again from its events alone.

mod written;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::outline::{Header, SectionOutline, Slot, StepOutline};
use crate::model::waiver::Waiver;
use crate::model::{Decision, Observation, Outcome, Reference, RunId, SectionId, StepId, Verdict};

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
    /// A checkpoint of a soak begins.
    CheckpointStarted {
        /// Which.
        checkpoint: Checkpoint,
    },
    /// How a step came out at one checkpoint. When the soak is over, `StepFinished` sums it up.
    Checked {
        /// The step.
        step: StepId,
        /// The number of the checkpoint.
        n: u32,
        /// The result.
        result: Box<StepResult>,
    },
    /// A hold point is reached: people must release the section.
    Held {
        /// The section.
        section: SectionId,
    },
    /// People released a hold point, or declined to.
    Released {
        /// The section.
        section: SectionId,
        /// How.
        release: Release,
    },
    /// The process leaves, and the run is not over: it waits for people or for time.
    Paused {
        /// What it waits for, in one line.
        why: String,
        /// When there is something to do again, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// The run waits for time, and its process stays: a pause between cells.
    Waiting {
        /// What it waits for, in one line.
        why: String,
        /// Until when.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// A process takes the run up again. What was cut off, not reached or waiting is open again.
    Resumed {
        /// By whom, where, with what.
        resumption: Resumption,
    },
    /// Time did not pass as a clock should: it was set, or the machine slept.
    ClockMoved {
        /// What was noticed, in one line.
        what: String,
    },
    /// Waivers came into effect, in place of those before.
    Waived {
        /// The waivers.
        waivers: Waivers,
    },
    /// A person signed.
    Signed {
        /// The signature.
        signature: Box<Signature>,
    },
    /// The run was asked to stop.
    Interrupted {
        /// By what: `SIGINT`, `SIGTERM`, or a fault of the store.
        cause: String,
    },
    /// A message was sent, or could not be.
    Notified {
        /// The message.
        notice: Notice,
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
    /// The past time that was asked about, when that is not the time of asking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime<Utc>>,
    /// The values that it was held against: baseline, previous, start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<Reference>,
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
    /// Whether it was cut off by the end of the run: it may be taken up again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Values captured for later steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captured: Vec<(String, serde_json::Value)>,
}

impl Notice {
    /// Tells whether two are of the same message.
    pub fn same(&self, other: &Self) -> bool {
        (&self.channel, &self.on, &self.about) == (&other.channel, &other.on, &other.about)
    }

    /// Words one that could not be sent.
    pub fn words(&self) -> Option<String> {
        let Self { channel, on, attempts, failed, .. } = self;
        let tries = if *attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() };
        failed.as_ref().map(|why| format!("{channel} was not told of {on}: {why}{tries}"))
    }
}

impl Look {
    /// Makes the first look of a step, at the first attempt and in no time.
    pub fn new(at: DateTime<Utc>, observation: Observation, verdict: Verdict) -> Self {
        Self { n: 1, at, took_us: 0, attempts: 1, observation, as_of: None, against: Vec::new(), verdict }
    }
}

impl Answer {
    /// Makes an answer without words.
    pub fn new(outcome: Outcome, by: impl Into<String>) -> Self {
        Self { outcome, by: by.into(), note: String::new(), role: None, evidence: Vec::new() }
    }
}

impl StepResult {
    /// Makes a result without a look, in no time.
    pub fn new(outcome: Outcome, reason: impl Into<String>, started: DateTime<Utc>) -> Self {
        Self {
            outcome,
            reason: reason.into(),
            skip: None,
            started,
            took_us: 0,
            looks: 0,
            look: None,
            flaky: false,
            cut: false,
            captured: Vec::new(),
        }
    }

    /// Tells whether the step is open again when the run is taken up: it was cut off, not reached, or waits.
    pub fn is_open(&self) -> bool {
        self.cut || self.outcome == Outcome::Pending || matches!(self.skip, Some(Skip::NotReached | Skip::Waiting))
    }
}

/// A checkpoint of a soak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its number: 0 is the start, 1 the first checkpoint; the end has the number after the last.
    pub n: u32,
    /// What it is.
    pub slot: Slot,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// How it is looked at.
    pub how: Observed,
}

/// How a checkpoint was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observed {
    /// When it was due, within the grace.
    InTime,
    /// Later than that: what can be asked about the past was asked for the time when it was due.
    Late,
    /// Not at all.
    Missed,
}

/// How a hold point was released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Whether it was released; false when somebody declined.
    pub accepted: bool,
    /// Who.
    pub by: String,
    /// Whether signatures stand behind it, or a plain yes that anybody could give.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
    /// With which words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// How a run was taken up again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// The user.
    pub by: String,
    /// The host.
    pub host: String,
    /// The version of holdpoint.
    pub tool: String,
    /// The SHA-256 of the checklist now, in hexadecimal.
    pub digest: String,
    /// How: `resume`, `tick`.
    pub how: String,
    /// What was seen last before, when nobody looked since: the end of the last event's time.
    pub last_seen: DateTime<Utc>,
    /// What differs and was accepted: another checklist, another version; empty when nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
}

/// Waivers, with the file that they come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waivers {
    /// The file as the user named it.
    pub file: String,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// The waivers.
    pub waivers: Vec<Waiver>,
}

/// A person's signature under the record up to a point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Who, as the file of allowed signers names the key; empty when no such file was asked.
    pub by: String,
    /// The user who signed, as the system names them.
    pub user: String,
    /// In which role.
    pub role: String,
    /// What they say.
    pub decision: SignDecision,
    /// Under which conditions, for a conditional one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// With which words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The hold point that it is for; nothing for the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<SectionId>,
    /// The number of the last event that it covers.
    pub over_seq: u64,
    /// The digest of that event.
    pub over_digest: String,
    /// The fingerprint of the key: `SHA256:…`.
    pub key: String,
    /// The text that was signed, to the byte.
    pub text: String,
    /// The signature in OpenSSH's armoured form.
    pub armour: String,
}

/// What a signer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignDecision {
    /// Yes.
    Approve,
    /// Yes, if.
    Conditional,
    /// No.
    Reject,
}

/// What another process or a person asks of a run that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Answer a manual step.
    Answer(StepId, Answer),
    /// Release a hold point, or decline to.
    Release(SectionId, Release),
    /// Keep a signature, checked already.
    Sign(Box<Signature>),
}

/// A message to a channel. That it was sent is kept, so that it is not sent twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The channel: the name that the checklist gives it, else its kind.
    pub channel: String,
    /// What it told of: `start`, `held`, `no-go` …
    pub on: String,
    /// Which of those: a hold point, a checkpoint, a step, a mark of the decision; empty for what happens once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// How often it was tried to send it.
    pub attempts: u32,
    /// What the other side calls it, where more is said of it later: the id of an annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why it could not be sent; nothing when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
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
    /// The role in which it was answered, where the step asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Files that show it, kept in the store by their digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Attachment>,
}

/// A file kept as evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name, without folders.
    pub name: String,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// How many bytes it has.
    pub size: u64,
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
