//! A run out of a store as a record, verified on the way.

use std::ops::ControlFlow;

use super::chain::{Chain, ChainError, Digest, hex};
use super::fold::{FoldError, Folding};
use super::format::Reader;
use super::store::{RunStore, RunSummary, StoreError};
use super::{Head, RunRecord};
use crate::event::Event;
use crate::model::RunId;

/// Loads a run: every digest is verified, the events are told, and what the store says of the run must agree.
///
/// # Errors
/// The store cannot be read, or the run is not what was recorded; the message names the event.
pub fn load(store: &dyn RunStore, run: &RunId) -> Result<RunRecord, LoadError> {
    let mut folding = Folding::default();
    let (summary, head) =
        events(store, run, &mut |event, digest| folding.take(event, digest).map_err(LoadError::impossible(run)))?;
    agree(summary, folding.end(head).map_err(LoadError::impossible(run))?)
}

/// Reads the events of a run in order, each with its digest. The chain is verified on the way: an event is handed on
/// only when it is the one that was recorded. Memory does not grow with their number.
///
/// # Errors
/// The store cannot be read, the run is not what was recorded, or what `each` answers.
pub fn events(
    store: &dyn RunStore,
    run: &RunId,
    each: &mut dyn FnMut(Event, &Digest) -> Result<(), LoadError>,
) -> Result<(RunSummary, Head), LoadError> {
    let mut chain = Chain::begin(run);
    let mut reader = Reader::default();
    let mut failed = None;
    let summary = store.events(run, &mut |seq, json, digest| {
        let unreadable = |e: serde_json::Error| LoadError::Unreadable { run: run.clone(), seq, what: e.to_string() };
        let taken = chain
            .check(seq, json, digest)
            .map_err(LoadError::damaged(run))
            .and_then(|()| reader.decode(json).map_err(unreadable))
            .and_then(|event| each(event, digest));
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let head = chain.head();
    if summary.head != head {
        let seq = head.seq.min(summary.head.seq) + u64::from(summary.head.seq != head.seq);
        let what = format!("the store keeps {} events and promises {} with another end", head.seq, summary.head.seq);
        return Err(LoadError::damaged(run)(ChainError { seq, what }));
    }
    Ok((summary, head))
}

/// Holds what the store says of a run against its record; the record is right.
fn agree(summary: RunSummary, record: RunRecord) -> Result<RunRecord, LoadError> {
    let run = &summary.run;
    if record.run != *run {
        let what = format!("the run calls itself {}", record.run);
        return Err(LoadError::damaged(run)(ChainError { seq: 1, what }));
    }
    match summary.differs_from(&record) {
        Some(word) => {
            let what = format!("the {word} in the list of runs is not that of the events");
            Err(LoadError::damaged(run)(ChainError { seq: 1, what }))
        }
        None => Ok(record),
    }
}

/// Loads a run whose store failed on the way: what it keeps, and the events that it could not keep.
///
/// # Errors
/// As for [`load`]; without such events it is the same.
pub fn load_with(store: &dyn RunStore, run: &RunId, unrecorded: Vec<Event>) -> Result<RunRecord, LoadError> {
    if unrecorded.is_empty() {
        return load(store, run);
    }
    let mut folding = Folding::default();
    let mut reader = Reader::default();
    let mut digest = String::new();
    // A store that fails may fail at reading too; then the record begins with what is at hand.
    let first = unrecorded.first().map_or(1, |event| event.seq);
    if first > 1 {
        let mut failed = None;
        store.events(run, &mut |seq, json, link| {
            digest = hex(link);
            let told = reader
                .decode(json)
                .map_err(|e| e.to_string())
                .and_then(|e| folding.take(e, link).map_err(|e| e.to_string()));
            match told {
                Ok(()) => ControlFlow::Continue(()),
                Err(what) => {
                    failed = Some(LoadError::Unreadable { run: run.clone(), seq, what });
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    let seq = unrecorded.last().map_or(0, |event| event.seq);
    for event in unrecorded {
        folding.take_without_digest(event).map_err(LoadError::impossible(run))?;
    }
    folding.end(Head { seq, digest }).map_err(LoadError::impossible(run))
}

/// Why a run could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The store said no.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The events are not those that were recorded.
    #[error("run {run} is damaged at {damage}; restore the store from a backup, or import an earlier export")]
    Damaged {
        /// The run.
        run: RunId,
        /// Where.
        damage: ChainError,
    },
    /// The events are intact, but they cannot have happened in this order.
    #[error("run {run} cannot be told: {cause}; it was written by another version of holdpoint, use that one")]
    Impossible {
        /// The run.
        run: RunId,
        /// Which event.
        cause: FoldError,
    },
    /// An event is intact, but this program does not understand it.
    #[error("run {run} has an event {seq} that this version of holdpoint cannot read: {what}; use a newer one")]
    Unreadable {
        /// The run.
        run: RunId,
        /// The number of the event.
        seq: u64,
        /// What is wrong.
        what: String,
    },
}

impl LoadError {
    fn damaged(run: &RunId) -> impl Fn(ChainError) -> Self {
        move |damage| LoadError::Damaged { run: run.clone(), damage }
    }

    fn impossible(run: &RunId) -> impl Fn(FoldError) -> Self {
        move |cause| LoadError::Impossible { run: run.clone(), cause }
    }
}
