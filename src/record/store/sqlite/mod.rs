//! Runs in one SQLite file. An append is one transaction, and it is on disk when it returns: write-ahead log,
//! `synchronous=FULL`.
//!
//! An event's key is made of the number of its run and its own number, so that a run lies together in the file and
//! appending to it never searches. This folder is the only place that knows SQL.

mod beside;
mod fault;
mod row;
mod tables;

use std::fs::{DirBuilder, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::owner::{self, Owner};
use super::{Batch, EachStored, RunStore, RunSummary, StoreError};
use crate::event::Request;
use crate::model::{Decision, RunId};
use crate::record::Head;
use crate::record::chain::Chain;
use fault::{of_io, of_sqlite};
use row::{COLUMNS, Found, read, written};

/// How many events fit into a run: the low bits of an event's key.
const EVENT_BITS: u32 = 40;

/// Opens the store in a file and makes what is missing: the folder for its owner alone (0700), the file too (0600).
///
/// # Errors
/// A file that is not a store, is newer, damaged, locked, or cannot be written.
pub fn open(address: &str) -> Result<Box<dyn RunStore>, StoreError> {
    Ok(Box::new(Sqlite::open(Path::new(address))?))
}

/// A store in one SQLite file.
pub struct Sqlite {
    place: String,
    /// The file itself, whatever links lead to it.
    path: PathBuf,
    connection: Connection,
}

impl Sqlite {
    /// Opens the store in a file.
    ///
    /// # Errors
    /// A file that is not a store, is newer, damaged, locked, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let place = path.display().to_string();
        if place.is_empty() {
            return Err(StoreError::Address { address: place, remedy: "write sqlite:PATH" });
        }
        make(path).map_err(|error| of_io(&place, &error))?;
        // The absolute path keeps SQLite from reading meaning into a name such as `:memory:`.
        let absolute = path.canonicalize().map_err(|error| of_io(&place, &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&absolute, flags).map_err(|e| of_sqlite(&place, &e))?;
        let mut store = Self { place, path: absolute, connection };
        store.prepare()?;
        Ok(store)
    }

    /// Lets the file grow to this many pages of 4 KiB and no further; beyond that the store is full.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        let limited = self.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        limited.map_err(|e| self.error(&e))
    }

    fn find(&self, run: &RunId) -> Result<Found, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM runs WHERE run = ?1");
        let found = self.connection.prepare_cached(&sql).and_then(|mut s| s.query_row([run.as_str()], read).optional());
        match found.map_err(|e| self.error(&e))? {
            Some(row) => self.understand(row),
            None => Err(StoreError::NoSuchRun { name: run.to_string(), near: Vec::new() }),
        }
    }

    /// Writes a batch within a transaction that is open.
    fn write(&self, found: &mut Found, batch: &Batch) -> rusqlite::Result<()> {
        let mut insert =
            self.connection.prepare_cached("INSERT INTO events (key, json, digest) VALUES (?1, ?2, ?3)")?;
        let base = found.no << EVENT_BITS;
        for json in batch.texts() {
            let digest = found.chain.add(json);
            insert.execute(params![base + found.chain.seq().cast_signed(), json, digest.as_slice()])?;
        }
        batch.change().apply(&mut found.summary);
        found.summary.head = found.chain.head();
        let s = &found.summary;
        let mut update = self.connection.prepare_cached(
            "UPDATE runs SET name = ?2, path = ?3, stage = ?4, started = ?5, finished = ?6, paused = ?7, due = ?8,
             decision = ?9, events = ?10, head = ?11 WHERE no = ?1",
        )?;
        update.execute(params![
            found.no,
            s.name,
            s.path,
            s.stage,
            s.started.map(written),
            s.finished.map(written),
            s.paused,
            s.due.map(written),
            s.decision.map(Decision::word),
            s.head.seq.cast_signed(),
            found.chain.digest().as_slice(),
        ])?;
        Ok(())
    }

    /// Appends within a transaction that is open.
    fn append_in(&self, run: &RunId, batch: &Batch) -> Result<Head, StoreError> {
        let mut found = self.find(run)?;
        let expected = found.chain.seq() + 1;
        if batch.first() != expected {
            return Err(StoreError::Gap { expected, got: batch.first() });
        }
        self.write(&mut found, batch).map_err(|e| self.error(&e))?;
        if !batch.settled().is_empty() {
            self.settle(run, batch.settled())?;
        }
        Ok(found.summary.head)
    }

    fn each(&self, no: i64, each: &mut EachStored<'_>) -> Result<(), StoreError> {
        let sql = "SELECT key, json, digest FROM events WHERE key > ?1 AND key < ?2 ORDER BY key";
        let wrong = |e: rusqlite::Error| self.error(&e);
        let mut select = self.connection.prepare_cached(sql).map_err(wrong)?;
        let base = no << EVENT_BITS;
        let mut rows = select.query([base, base + (1 << EVENT_BITS)]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            let seq = (row.get::<_, i64>(0).map_err(wrong)? - base).cast_unsigned();
            let unreadable = |what: &str| self.damaged(format!("the {what} of event {seq} is unreadable"));
            let json = row.get_ref(1).map_err(wrong)?.as_str().map_err(|_| unreadable("text"))?;
            let digest = row.get_ref(2).map_err(wrong)?.as_blob().map_err(|_| unreadable("digest"))?;
            let digest = digest.try_into().map_err(|_| unreadable("digest"))?;
            if let ControlFlow::Break(()) = each(seq, json, digest) {
                break;
            }
        }
        Ok(())
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { place: self.place.clone(), what }
    }

    fn error(&self, error: &rusqlite::Error) -> StoreError {
        of_sqlite(&self.place, error)
    }
}

impl RunStore for Sqlite {
    fn begin(&mut self, run: &RunId) -> Result<(), StoreError> {
        let chain = Chain::begin(run);
        let inserted = self.connection.execute(
            "INSERT INTO runs (run, name, path, events, head) VALUES (?1, '', '', 0, ?2) ON CONFLICT DO NOTHING",
            params![run.as_str(), chain.digest().as_slice()],
        );
        match inserted.map_err(|e| self.error(&e))? {
            0 => Err(StoreError::Exists { run: run.clone() }),
            _ => Ok(()),
        }
    }

    fn put(&mut self, run: &RunId, batch: &Batch) -> Result<Head, StoreError> {
        if batch.is_empty() {
            return Ok(self.find(run)?.summary.head);
        }
        // The lock is taken before the end of the run is read: of two writers, one finds a gap.
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| self.error(&e))?;
        let appended = self.append_in(run, batch);
        let committed = appended.and_then(|head| {
            self.connection.execute_batch("COMMIT").map_err(|e| self.error(&e))?;
            Ok(head)
        });
        if committed.is_err() && !self.connection.is_autocommit() {
            // The first error is the one to tell; a transaction that cannot be rolled back dies with the connection.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        committed
    }

    fn events(&self, run: &RunId, each: &mut EachStored<'_>) -> Result<RunSummary, StoreError> {
        // One transaction, so that the summary and the events are of the same moment.
        let moment = self.connection.unchecked_transaction().map_err(|e| self.error(&e))?;
        let found = self.find(run)?;
        self.each(found.no, each)?;
        moment.finish().map_err(|e| self.error(&e))?;
        Ok(found.summary)
    }

    fn summary(&self, run: &RunId) -> Result<RunSummary, StoreError> {
        Ok(self.find(run)?.summary)
    }

    fn own(&mut self, run: &RunId) -> Result<Owner, StoreError> {
        self.find(run)?;
        let owner = owner::by_file(&self.path, run, &|e| of_io(&self.place, &e))?;
        self.hand_back(run)?;
        Ok(owner)
    }

    fn post(&mut self, run: &RunId, request: &Request) -> Result<u64, StoreError> {
        self.find(run)?;
        self.keep_request(run, request)
    }

    fn take_requests(&mut self, run: &RunId) -> Result<Vec<Request>, StoreError> {
        self.take_waiting(run)
    }

    fn waits(&self, request: u64) -> Result<bool, StoreError> {
        self.is_waiting(request)
    }

    fn withdraw(&mut self, request: u64) -> Result<bool, StoreError> {
        self.take_back(request)
    }

    fn put_blob(&mut self, bytes: &[u8]) -> Result<String, StoreError> {
        self.keep_blob(bytes)
    }

    fn blob(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        self.find_blob(digest)
    }

    fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM runs WHERE events > 0 ORDER BY no");
        let wrong = |e: rusqlite::Error| self.error(&e);
        let mut select = self.connection.prepare_cached(&sql).map_err(wrong)?;
        let rows = select.query_map([], read).map_err(wrong)?;
        let mut runs = Vec::new();
        for row in rows {
            runs.push(self.understand(row.map_err(wrong)?)?.summary);
        }
        runs.sort_by_key(|run| run.started);
        Ok(runs)
    }
}

/// Makes the folder and the file where they are missing, for their owner alone.
fn make(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|_| ())
}
