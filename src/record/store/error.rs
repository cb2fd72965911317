//! What can go wrong with a store: one clear line each, with what to do.

use crate::model::RunId;

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing in the store is called so.
    #[error("there is no run {name:?} in the store{}; `holdpoint runs` lists them", few(" (the latest: ", near, ")"))]
    NoSuchRun {
        /// What was looked for.
        name: String,
        /// The latest runs.
        near: Vec<String>,
    },
    /// The store is empty.
    #[error("there is no run in the store yet; `holdpoint run` makes one")]
    NoRuns,
    /// More than one run begins so.
    #[error("{name:?} begins the names of {} runs{}; give more of the name", .candidates.len(), few(": ", .candidates, ""))]
    Ambiguous {
        /// What was looked for.
        name: String,
        /// The runs that begin so.
        candidates: Vec<String>,
    },
    /// The store has the run already.
    #[error("the store already has another run {run}; use another store with --store")]
    Exists {
        /// The run.
        run: RunId,
    },
    /// Events are missing, or another process writes the same run.
    #[error(
        "event {got} cannot follow here, event {expected} comes next; another process writes the same run, let it end first"
    )]
    Gap {
        /// The number that comes next.
        expected: u64,
        /// The number that was given.
        got: u64,
    },
    /// Another process works on the run.
    #[error("run {run} is in the hands of {by}; let it end first, or stop it")]
    Owned {
        /// The run.
        run: RunId,
        /// Who.
        by: String,
    },
    /// Nothing is kept under the digest.
    #[error("no file is kept under the digest {digest}; import the record together with its files")]
    NoSuchBlob {
        /// What was looked for.
        digest: String,
    },
    /// A file is larger than what is kept.
    #[error("the file has {size} bytes, at most {limit} are kept; give an excerpt, or a link to it in the note")]
    TooLarge {
        /// How many bytes it has.
        size: usize,
        /// How many are kept.
        limit: usize,
    },
    /// An event that cannot be written.
    #[error("event {seq} cannot be written: {what}; this is a fault of holdpoint, please report it")]
    Unwritable {
        /// The number of the event.
        seq: u64,
        /// Why.
        what: String,
    },
    /// No store has this scheme.
    #[error("there is no store {scheme:?}{}; give a path, sqlite:PATH or memory:", .near.as_ref().map(|n| format!(", did you mean {n:?}")).unwrap_or_default())]
    Scheme {
        /// The scheme.
        scheme: String,
        /// The nearest one.
        near: Option<String>,
    },
    /// The address says too little or too much.
    #[error("the store {address:?} has no place: {remedy}")]
    Address {
        /// The address.
        address: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// The disk, or the quota, is full.
    #[error("the store {place} is full: {what}; free some space on its disk, or use another place with --store")]
    Full {
        /// The store.
        place: String,
        /// The words of the back end.
        what: String,
    },
    /// Another process holds the store.
    #[error("the store {place} is locked by another process; try again when that is done, or use another with --store")]
    Locked {
        /// The store.
        place: String,
    },
    /// The store may be read only.
    #[error(
        "the store {place} cannot be written: {what}; make the file and its folder writable, or use another with --store"
    )]
    ReadOnly {
        /// The store.
        place: String,
        /// The words of the back end.
        what: String,
    },
    /// The file is not a store.
    #[error("{place} is not a store of holdpoint; give another path with --store")]
    NotAStore {
        /// The file.
        place: String,
    },
    /// The store was written by a newer program.
    #[error(
        "the store {place} has version {found}, this program knows up to {known}; use a newer holdpoint, or another store"
    )]
    Newer {
        /// The store.
        place: String,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The store's file is damaged.
    #[error("the store {place} is damaged: {what}; restore it from a backup, or move it away and import exported runs")]
    Damaged {
        /// The store.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// The store cannot be opened, read or written for another reason.
    #[error("the store {place} does not work: {what}; check the path and its disk, or use another with --store")]
    Unusable {
        /// The store.
        place: String,
        /// The words of the system.
        what: String,
    },
}

/// At most five names, between these words; nothing when there are none.
fn few(before: &str, names: &[String], after: &str) -> String {
    if names.is_empty() {
        return String::new();
    }
    let more = if names.len() > 5 { ", …" } else { "" };
    format!("{before}{}{more}{after}", names[..names.len().min(5)].join(", "))
}
