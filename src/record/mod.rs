//! Evidence: events folded into what a run was, kept in a store, chained by digests, portable in one file.

pub mod answer;
pub mod chain;
pub mod fold;
pub mod format;
pub mod load;
pub mod recorder;
pub mod store;
pub mod track;

pub use answer::{append_answer, append_notices};
pub use fold::{FoldError, fold};
pub use load::{LoadError, events, load, load_with};
pub use recorder::{Handle, Recorder};
pub use store::{Owner, RunStore, RunSummary, StoreError};
pub use track::{Point, Track};

use chrono::{DateTime, Utc};

use crate::event::{Answer, Checkpoint, Look, Notice, Release, Resumption, Signature, StepResult, Waivers};
use crate::model::outline::{Header, SectionOutline, StepOutline};
use crate::model::{Decision, Outcome, RunId};

/// What a run was, told by its events. Everything that is reported or judged again comes from here.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// Who, what, where, with what.
    pub header: Header,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended; nothing when it never did.
    pub finished: Option<DateTime<Utc>>,
    /// How long it took, in milliseconds, once it ended.
    pub took_ms: Option<u64>,
    /// What cut it short.
    pub interrupted: Option<String>,
    /// That it waits for people or for time, when its process has left for that.
    pub paused: Option<Paused>,
    /// How it was taken up again.
    pub resumptions: Vec<(DateTime<Utc>, Resumption)>,
    /// The checkpoints of a soak that were begun, each with when.
    pub checkpoints: Vec<(DateTime<Utc>, Checkpoint)>,
    /// What was noticed of clocks.
    pub clock: Vec<(DateTime<Utc>, String)>,
    /// The messages that were sent, or could not be.
    pub notices: Vec<(DateTime<Utc>, Notice)>,
    /// The waivers in effect.
    pub waivers: Option<Waivers>,
    /// Who signed.
    pub signatures: Vec<(DateTime<Utc>, Signature)>,
    /// The number of the newest event that is evidence: a signature that does not cover it has lapsed.
    pub evidence: u64,
    /// The sections in order, actions last.
    pub sections: Vec<SectionRecord>,
    /// The decision that the run itself came to, with its reasons.
    pub decided: Option<(Decision, Vec<String>)>,
    /// How many events there are, and the digest of the last one: it stands for all of them.
    pub head: Head,
}

/// The end of the chain of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event.
    pub seq: u64,
    /// The digest of the last event, SHA-256 in hexadecimal.
    pub digest: String,
}

/// A section and its steps.
#[derive(Clone, Debug)]
pub struct SectionRecord {
    /// What was planned.
    pub outline: SectionOutline,
    /// The steps in the order of the checklist.
    pub steps: Vec<StepRecord>,
    /// When its hold point was reached.
    pub held: Option<DateTime<Utc>>,
    /// How its hold point was released or declined, latest last.
    pub releases: Vec<(DateTime<Utc>, Release)>,
    /// The number of the newest event that a signature for its hold point must cover: a result, an answer, a waiver.
    pub hold_evidence: u64,
}

/// That a run waits, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// Since when.
    pub at: DateTime<Utc>,
    /// For what, in one line.
    pub why: String,
    /// Until when, where that is known.
    pub until: Option<DateTime<Utc>>,
}

/// How a step came out at one checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The number of the checkpoint.
    pub n: u32,
    /// The result.
    pub result: StepResult,
}

/// A step and what came of it.
#[derive(Clone, Debug)]
pub struct StepRecord {
    /// What was planned.
    pub outline: StepOutline,
    /// How it came out; nothing when it never ended.
    pub result: Option<StepResult>,
    /// Its looks, for a step that looks more than once. The last one also stands in `result`.
    pub looks: Track<Look>,
    /// How it came out at each checkpoint of a soak.
    pub checks: Track<Check>,
    /// What a person answered, latest last.
    pub answers: Vec<Answer>,
    /// What it counts as while it has no result: not enough to say, or waiting when the whole run waits.
    pub open: Outcome,
}

impl RunRecord {
    /// Makes the record of a run that has just begun.
    pub fn new(run: RunId, header: Header, started: DateTime<Utc>) -> Self {
        Self {
            run,
            header,
            started,
            finished: None,
            took_ms: None,
            interrupted: None,
            paused: None,
            resumptions: Vec::new(),
            checkpoints: Vec::new(),
            clock: Vec::new(),
            notices: Vec::new(),
            waivers: None,
            signatures: Vec::new(),
            evidence: 0,
            sections: Vec::new(),
            decided: None,
            head: Head { seq: 0, digest: String::new() },
        }
    }
}

impl SectionRecord {
    /// Makes the record of a section without steps.
    pub fn new(outline: SectionOutline) -> Self {
        Self { outline, steps: Vec::new(), held: None, releases: Vec::new(), hold_evidence: 0 }
    }
}

impl StepRecord {
    /// Makes the record of a step that has not begun.
    pub fn new(outline: StepOutline) -> Self {
        let (looks, checks, answers) = (Track::default(), Track::default(), Vec::new());
        Self { outline, result: None, looks, checks, answers, open: Outcome::Inconclusive }
    }

    /// Returns the outcome that counts: a person's answer before the run's own result; a step without either was cut
    /// off, which is not enough to say, or waits with the whole run.
    pub fn outcome(&self) -> Outcome {
        let answered = self.answers.last().map(|a| a.outcome);
        let looked = self.result.as_ref().map(|r| r.outcome);
        answered.or(looked).unwrap_or(self.open)
    }
}
