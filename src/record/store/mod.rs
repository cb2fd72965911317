//! Where runs are kept: what every store does, and the table of the stores there are.

pub mod batch;
pub mod blob;
pub mod error;
mod inbox;
pub mod memory;
pub mod owner;
pub mod sqlite;
pub mod summary;

use std::ops::ControlFlow;

pub use batch::Batch;
pub use error::StoreError;
pub use owner::Owner;
pub use summary::RunSummary;

use super::Head;
use super::chain::Digest;
use crate::diag::near::did_you_mean;
use crate::event::{Event, Request};
use crate::model::RunId;

/// Takes the number, the stored text and the digest of an event; `Break` ends the reading.
pub type EachStored<'a> = dyn FnMut(u64, &str, &Digest) -> ControlFlow<()> + 'a;

/// Keeps runs, each an append-only chain of events. What was appended is there after a crash, where the store lasts.
pub trait RunStore: Send {
    /// Begins a run.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the store has it already.
    fn begin(&mut self, run: &RunId) -> Result<(), StoreError>;

    /// Appends events, all of them or none, and returns the new end of the run.
    ///
    /// # Errors
    /// [`StoreError::Gap`] when the first is not the one after the last: another process writes the same run.
    fn put(&mut self, run: &RunId, batch: &Batch) -> Result<Head, StoreError>;

    /// Reads a run from its first event on, and returns what the store says of it. Nothing is verified here.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or the store cannot be read.
    fn events(&self, run: &RunId, each: &mut EachStored<'_>) -> Result<RunSummary, StoreError>;

    /// Returns what the store says of a run, without reading its events.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or the store cannot be read.
    fn summary(&self, run: &RunId) -> Result<RunSummary, StoreError>;

    /// Lists the runs that have events, oldest first. The list is for finding a run; the record itself is the evidence.
    ///
    /// # Errors
    /// The store cannot be read.
    fn runs(&self) -> Result<Vec<RunSummary>, StoreError>;

    /// Makes this process the owner of a run, until what is returned is dropped or the process ends, however it ends.
    /// Whoever writes a run owns it. Requests that an owner before had in hand can be taken again.
    ///
    /// # Errors
    /// [`StoreError::Owned`] when another process owns it; the message names it.
    fn own(&mut self, run: &RunId) -> Result<Owner, StoreError>;

    /// Asks something of the owner of a run, and returns the number of the request.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or the store cannot be written.
    fn post(&mut self, run: &RunId, request: &Request) -> Result<u64, StoreError>;

    /// Takes what was asked of a run since the last time, oldest first. Only its owner does so. A request stays in the
    /// store until the event that answers it is appended, or the run ends.
    ///
    /// # Errors
    /// The store cannot be written, or a request is damaged.
    fn take_requests(&mut self, run: &RunId) -> Result<Vec<Request>, StoreError>;

    /// Tells whether nothing has come of a request yet.
    ///
    /// # Errors
    /// The store cannot be read.
    fn waits(&self, request: u64) -> Result<bool, StoreError>;

    /// Takes a request back: true when nothing had come of it, so that it can be done otherwise. The owner may have it
    /// in hand still: take a request back only when there is no owner.
    ///
    /// # Errors
    /// The store cannot be written.
    fn withdraw(&mut self, request: u64) -> Result<bool, StoreError>;

    /// Keeps a file, and returns the SHA-256 of its bytes in hexadecimal. The same bytes are kept once.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], or the store cannot be written.
    fn put_blob(&mut self, bytes: &[u8]) -> Result<String, StoreError>;

    /// Returns a file that is kept, verified against its digest.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBlob`], damage, or the store cannot be read.
    fn blob(&self, digest: &str) -> Result<Vec<u8>, StoreError>;

    /// Appends events, all of them or none, and returns the new end of the run.
    ///
    /// # Errors
    /// As for [`RunStore::put`].
    fn append(&mut self, run: &RunId, events: &[Event]) -> Result<Head, StoreError> {
        let mut batch = Batch::default();
        for event in events {
            batch.add(event)?;
        }
        self.put(run, &batch)
    }

    /// Finds a run by its name, by the beginning of its name where only one begins so, or as `last`.
    ///
    /// # Errors
    /// Nothing or more than one fits; the message names candidates.
    fn resolve(&self, name: &str) -> Result<RunId, StoreError> {
        pick(name, self.runs()?)
    }
}

/// One kind of store.
pub struct StoreKind {
    /// What its address begins with, before the colon.
    pub scheme: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
    /// Opens the store at an address, given without its scheme.
    pub open: fn(address: &str) -> Result<Box<dyn RunStore>, StoreError>,
}

/// The stores there are. The first is meant by an address without a scheme.
pub const STORES: &[StoreKind] = &[
    StoreKind { scheme: "sqlite", doc: "one SQLite file, `sqlite:PATH` or just a path", open: sqlite::open },
    StoreKind { scheme: "memory", doc: "nothing on disk, gone when the process ends: `memory:`", open: memory::open },
];

/// Opens a store by its address: a path, `sqlite:PATH` or `memory:`.
///
/// # Errors
/// An unknown scheme, or a store that cannot be opened.
pub fn open(url: &str) -> Result<Box<dyn RunStore>, StoreError> {
    if let Some((scheme, address)) = url.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) {
        if let Some(kind) = STORES.iter().find(|kind| kind.scheme == scheme) {
            return (kind.open)(address);
        }
        let near = did_you_mean(scheme, STORES.iter().map(|kind| kind.scheme)).map(str::to_owned);
        return Err(StoreError::Scheme { scheme: scheme.to_owned(), near });
    }
    (STORES[0].open)(url)
}

/// A single letter is a drive, not a scheme; a path with a colon behind a slash has none.
fn is_scheme(text: &str) -> bool {
    text.len() > 1 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-'))
}

fn pick(name: &str, runs: Vec<RunSummary>) -> Result<RunId, StoreError> {
    if name == "last" {
        return runs.into_iter().next_back().map(|run| run.run).ok_or(StoreError::NoRuns);
    }
    if runs.iter().any(|run| run.run.as_str() == name) {
        return Ok(RunId::new(name));
    }
    let mut fitting: Vec<String> = runs
        .iter()
        .map(|run| run.run.as_str())
        .filter(|run| !name.is_empty() && run.starts_with(name))
        .map(str::to_owned)
        .collect();
    match (fitting.len(), fitting.pop()) {
        (1, Some(only)) => Ok(RunId::new(only)),
        (0, _) | (_, None) => {
            let near = runs.iter().rev().take(3).map(|run| run.run.to_string()).collect();
            Err(StoreError::NoSuchRun { name: name.to_owned(), near })
        }
        (_, Some(latest)) => {
            fitting.push(latest);
            Err(StoreError::Ambiguous { name: name.to_owned(), candidates: fitting })
        }
    }
}
