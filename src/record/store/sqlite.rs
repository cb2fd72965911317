//! Runs in one SQLite file. An append is one transaction, and it is on disk when it returns: write-ahead log,
//! `synchronous=FULL`.
//!
//! An event's key is made of the number of its run and its own number, so that a run lies together in the file and
//! appending to it never searches. This folder is the only place that knows SQL.

use std::fs::{DirBuilder, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};

use super::{Batch, EachStored, RunStore, RunSummary, StoreError};
use crate::model::{Decision, RunId};
use crate::record::Head;
use crate::record::chain::{Chain, Digest, hex};

/// The version of the tables.
const VERSION: i64 = 1;

/// Marks the file as ours: `hold`.
const APPLICATION: i64 = 0x686f_6c64;

/// How many events fit into a run: the low bits of an event's key.
const EVENT_BITS: u32 = 40;

const SCHEMA: &str = "
    CREATE TABLE runs (
        no INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, stage TEXT,
        started TEXT, finished TEXT, decision TEXT, events INTEGER NOT NULL, head BLOB NOT NULL
    ) STRICT;
    CREATE TABLE events (key INTEGER PRIMARY KEY, json TEXT NOT NULL, digest BLOB NOT NULL) STRICT;
";

const COLUMNS: &str = "no, run, name, path, stage, started, finished, decision, events, head";

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
        let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(absolute, flags).map_err(|e| of_sqlite(&place, &e))?;
        let mut store = Self { place, connection };
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

    fn prepare(&mut self) -> Result<(), StoreError> {
        let prepared = self.set_up();
        let (application, version) = prepared.map_err(|e| self.error(&e))?;
        if application != APPLICATION {
            return Err(StoreError::NotAStore { place: self.place.clone() });
        }
        if version > VERSION {
            return Err(StoreError::Newer { place: self.place.clone(), found: version, known: VERSION });
        }
        if version < VERSION {
            return Err(self.damaged(format!("it says version {version}, which never was")));
        }
        Ok(())
    }

    /// Makes the tables in a new file; returns whose file it is and its version.
    fn set_up(&mut self) -> rusqlite::Result<(i64, i64)> {
        self.connection.busy_timeout(Duration::from_secs(5))?;
        let number = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let new = number("application_id")? == 0 && number("user_version")? == 0 && number("schema_version")? == 0;
        if new {
            self.connection.pragma_update(None, "journal_mode", "WAL")?;
            let tables = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have been quicker.
            if tables.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))? == 0 {
                tables.execute_batch(SCHEMA)?;
                tables.pragma_update(None, "application_id", APPLICATION)?;
                tables.pragma_update(None, "user_version", VERSION)?;
            }
            tables.commit()?;
        }
        let connection = &self.connection;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4096)?;
        connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok((number("application_id")?, number("user_version")?))
    }

    fn find(&self, run: &RunId) -> Result<Found, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM runs WHERE run = ?1");
        let found = self.connection.prepare_cached(&sql).and_then(|mut s| s.query_row([run.as_str()], read).optional());
        match found.map_err(|e| self.error(&e))? {
            Some(row) => self.understand(row),
            None => Err(StoreError::NoSuchRun { name: run.to_string(), near: Vec::new() }),
        }
    }

    fn understand(&self, row: Raw) -> Result<Found, StoreError> {
        let run = RunId::new(row.run);
        let damaged = |what: &str| self.damaged(format!("the {what} of run {run} is unreadable"));
        let time = |text: Option<String>, what: &str| match text {
            Some(text) => text.parse::<DateTime<Utc>>().map(Some).map_err(|_| damaged(what)),
            None => Ok(None),
        };
        let digest = Digest::try_from(row.head).map_err(|_| damaged("head"))?;
        let seq = u64::try_from(row.events).map_err(|_| damaged("number of events"))?;
        if row.no < 1 || row.no >= 1 << (63 - EVENT_BITS) || seq >= 1 << EVENT_BITS {
            return Err(damaged("number"));
        }
        let decision = row.decision.map(|word| decision(&word).ok_or_else(|| damaged("decision"))).transpose()?;
        let (started, finished) = (time(row.started, "start")?, time(row.finished, "end")?);
        let head = Head { seq, digest: hex(&digest) };
        let (name, path, stage) = (row.name, row.path, row.stage);
        let summary = RunSummary { run, name, path, stage, started, finished, decision, head };
        Ok(Found { no: row.no, chain: Chain::at(seq, digest), summary })
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
            "UPDATE runs SET name = ?2, path = ?3, stage = ?4, started = ?5, finished = ?6, decision = ?7,
             events = ?8, head = ?9 WHERE no = ?1",
        )?;
        update.execute(params![
            found.no,
            s.name,
            s.path,
            s.stage,
            s.started.map(written),
            s.finished.map(written),
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

/// A row of `runs`, understood.
struct Found {
    no: i64,
    chain: Chain,
    summary: RunSummary,
}

/// A row of `runs` as it is stored.
struct Raw {
    no: i64,
    run: String,
    name: String,
    path: String,
    stage: Option<String>,
    started: Option<String>,
    finished: Option<String>,
    decision: Option<String>,
    events: i64,
    head: Vec<u8>,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        no: row.get(0)?,
        run: row.get(1)?,
        name: row.get(2)?,
        path: row.get(3)?,
        stage: row.get(4)?,
        started: row.get(5)?,
        finished: row.get(6)?,
        decision: row.get(7)?,
        events: row.get(8)?,
        head: row.get(9)?,
    })
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn decision(word: &str) -> Option<Decision> {
    [Decision::Go, Decision::NoGo, Decision::Undecided, Decision::Held].into_iter().find(|d| d.word() == word)
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

fn of_io(place: &str, error: &std::io::Error) -> StoreError {
    let (place, what) = (place.to_owned(), error.to_string());
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full { place, what },
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly { place, what }
        }
        _ => StoreError::Unusable { place, what },
    }
}

fn of_sqlite(place: &str, error: &rusqlite::Error) -> StoreError {
    let (place, what) = (place.to_owned(), one_line(&error.to_string()));
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        // Only damage makes a column hold what never was written into it.
        return StoreError::Damaged { place, what };
    };
    match failure.code {
        ErrorCode::DiskFull => StoreError::Full { place, what },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Locked { place },
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::ReadOnly { place, what },
        ErrorCode::NotADatabase => StoreError::NotAStore { place },
        ErrorCode::DatabaseCorrupt | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::Unknown => {
            StoreError::Damaged { place, what }
        }
        _ => StoreError::Unusable { place, what },
    }
}

/// SQLite quotes whole statements, and from a damaged file anything at all: what is told is one short line.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if line.len() > 160 {
            return line + " …";
        }
        line.push_str(if line.is_empty() { "" } else { " " });
        line.extend(word.chars().take(80));
    }
    line
}
