//! The engine: a plan becomes events.
//!
//! The [`dispatcher`] owns all state and orders the events. [`lanes`] walk the plan, several side by side where cells of
//! a matrix do; [`order`] says which steps of a section may begin, [`refusal`] why one may not, [`crew`] knows who works.
//! [`soak`] keeps the timetable, [`guards`] watch beside everything else, [`hold`] waits for people, [`actions`] act on
//! decisions, [`ending`] stops what must stop and decides, [`ledger`] writes down what came of steps. A [`worker`] runs one step (looks, retries, time-outs), a
//! [`watching`] feeds its window, [`references`] are what relative limits are held against. [`resume`] finds out from a
//! run's events where it stood. The [`journal`] hands events to the sinks on a thread of its own, the recorder first;
//! [`limits`] keeps hosts from being overrun; [`redact`] masks secrets and bounds sizes before anything leaves a worker.

mod actions;
mod crew;
pub mod dispatcher;
mod ending;
mod guards;
mod hold;
pub mod journal;
mod lanes;
mod ledger;
pub mod limits;
mod order;
mod policed;
pub mod redact;
mod references;
mod refusal;
pub mod resume;
mod soak;
mod timepiece;
mod waiting;
mod watching;
pub mod worker;

pub use dispatcher::{Stop, run};
pub use journal::{Journal, JournalEnd};
pub use policed::refused;
pub use redact::Redactor;
pub use resume::Point;
pub use soak::Timetable;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use crate::event::{Event, EventKind, Notice, Request, Resumption, Waivers};
use crate::model::outline::Header;
use crate::model::{Decision, RunId};
use crate::plan::Plan;
use crate::probe::Archive;
use crate::sys::World;

/// What is to be run, where, how.
pub struct Errand {
    /// What will run.
    pub plan: Arc<Plan>,
    /// The door to the world.
    pub world: World,
    /// Who the run is.
    pub identity: Identity,
    /// How it is carried out.
    pub options: Options,
    /// Where its events go.
    pub journal: Journal,
    /// Asks it to stop.
    pub stop: Stop,
    /// What people and other processes ask of it.
    pub inbox: Inbox,
    /// Where it stood, for a run that is taken up again.
    pub taken_up: Option<TakenUp>,
}

/// A run that is taken up again.
pub struct TakenUp {
    /// Where it stood.
    pub point: Point,
    /// By whom, where, with what.
    pub resumption: Resumption,
}

/// What people and other processes ask of a run that goes on.
pub type Inbox = mpsc::UnboundedReceiver<Asked>;

/// Something asked of a run that goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// A person answers, releases, signs.
    Request(Request),
    /// Nobody is going to answer here: the run leaves instead of waiting for people.
    Leave,
    /// A message was sent, or could not be: it is kept.
    Notified(Notice),
}

/// How a run is carried out.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many steps run side by side.
    pub jobs: usize,
    /// How many steps ask the same host side by side.
    pub per_host: usize,
    /// Whether steps may change the world.
    pub allow_changes: bool,
    /// Whether commands and changes are refused.
    pub read_only: bool,
    /// Earlier runs, where they can be asked.
    pub archive: Option<Arc<dyn Archive>>,
    /// What the run waits for before it leaves.
    pub patience: Patience,
    /// The past time as of which everything is asked.
    pub past: Option<Past>,
    /// The waivers in effect.
    pub waivers: Option<Waivers>,
    /// Whether the signatures that the checklist asks for are there.
    pub signed: bool,
}

/// What a run waits for before it leaves, to be taken up again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// For time; it leaves where only people can help.
    #[default]
    Time,
    /// For time and for people.
    People,
    /// For nothing: what is due is done.
    None,
}

/// That a run is about the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// When it is as if it began.
    pub at: DateTime<Utc>,
    /// Whether steps that cannot be asked about the past are left out, as if not selected.
    pub leave_out: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 16,
            per_host: 10,
            allow_changes: false,
            read_only: false,
            archive: None,
            patience: Patience::Time,
            past: None,
            waivers: None,
            signed: false,
        }
    }
}

/// Who a run is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The run.
    pub run: RunId,
    /// Who, what, where, with what.
    pub header: Header,
}

/// How a run ended, or left.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The decision.
    pub decision: Decision,
    /// Why, one line each.
    pub reasons: Vec<String>,
    /// What cut it short.
    pub interrupted: Option<String>,
    /// What it waits for, when it left and is not over.
    pub waits: Option<String>,
}

/// How many events may wait for the disk before the engine waits for it too.
const FAR_BEHIND: usize = 4_000;

/// Numbers events as they happen.
pub(crate) struct Emitter {
    journal: Journal,
    redactor: Arc<Redactor>,
    clock: crate::sys::Clock,
    seq: u64,
    /// When the last event happened.
    pub last: DateTime<Utc>,
}

impl Emitter {
    /// Goes on behind the event with the number `seq`.
    pub(crate) fn new(journal: Journal, redactor: Arc<Redactor>, clock: crate::sys::Clock, seq: u64) -> Self {
        let last = clock.now();
        Self { journal, redactor, clock, seq, last }
    }

    /// Hands an event on, with every secret masked: the one way out of the engine.
    pub(crate) fn emit(&mut self, mut kind: EventKind) {
        self.redactor.event(&mut kind);
        self.seq += 1;
        self.last = self.clock.now();
        self.journal.take(Event { seq: self.seq, at: self.last, kind });
    }

    /// Waits until everything emitted so far is on disk.
    pub(crate) async fn flush(&self) {
        // The disk is slow in the real world; no made-up time passes meanwhile.
        let _busy = self.clock.busy();
        self.journal.flush().await;
    }

    /// Waits while the journal is far behind, so that memory stays bounded.
    pub(crate) async fn keep_pace(&self) {
        if self.journal.backlog() > FAR_BEHIND {
            self.flush().await;
        }
    }

    /// Says why events can no longer be kept, if so.
    pub(crate) fn fault(&self) -> Option<String> {
        self.journal.fault()
    }

    pub(crate) fn tick(&self) {
        self.journal.tick(self.clock.now());
    }
}
