//! The engine: a plan becomes events.
//!
//! The [`dispatcher`] owns all state and orders the events; a [`worker`] runs one step (looks, retries, time-outs,
//! windows); the [`journal`] hands events to the sinks on a thread of its own, the recorder first; [`limits`] keeps
//! hosts from being overrun; [`redact`] masks secrets and bounds sizes before anything leaves a worker.

pub mod dispatcher;
pub mod journal;
pub mod limits;
pub mod redact;
pub mod worker;

pub use dispatcher::run;
pub use journal::{Journal, JournalEnd};
pub use redact::Redactor;

use std::sync::Arc;

use crate::event::{Event, EventKind};
use crate::model::outline::Header;
use crate::model::{Decision, RunId};
use crate::probe::Archive;

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
}

impl Default for Options {
    fn default() -> Self {
        Self { jobs: 16, per_host: 10, allow_changes: false, read_only: false, archive: None }
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

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The decision.
    pub decision: Decision,
    /// Why, one line each.
    pub reasons: Vec<String>,
    /// What cut it short.
    pub interrupted: Option<String>,
}

/// How many events may wait for the disk before the engine waits for it too.
const FAR_BEHIND: usize = 4_000;

/// Numbers events as they happen.
pub(crate) struct Emitter {
    journal: Journal,
    redactor: Arc<Redactor>,
    clock: crate::sys::Clock,
    seq: u64,
}

impl Emitter {
    pub(crate) fn new(journal: Journal, redactor: Arc<Redactor>, clock: crate::sys::Clock) -> Self {
        Self { journal, redactor, clock, seq: 0 }
    }

    /// Hands an event on, with every secret masked: the one way out of the engine.
    pub(crate) fn emit(&mut self, mut kind: EventKind) {
        self.redactor.event(&mut kind);
        self.seq += 1;
        self.journal.take(Event { seq: self.seq, at: self.clock.now(), kind });
    }

    /// Waits until everything emitted so far is on disk.
    pub(crate) async fn flush(&self) {
        self.journal.flush().await;
    }

    /// Waits while the journal is far behind, so that memory stays bounded.
    pub(crate) async fn keep_pace(&self) {
        if self.journal.backlog() > FAR_BEHIND {
            self.journal.flush().await;
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
