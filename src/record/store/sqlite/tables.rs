//! The tables: made in a new file, brought up to date in an old one.

use std::time::Duration;

use rusqlite::TransactionBehavior;

use super::Sqlite;
use crate::record::store::StoreError;

/// The version of the tables.
const VERSION: i64 = 2;

/// Marks the file as ours: `hold`.
const APPLICATION: i64 = 0x686f_6c64;

/// What each version added. A new file gets them all, an old one what it lacks; no version changes an event.
const STEPS: [&str; 2] = [
    "CREATE TABLE runs (
        no INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, stage TEXT,
        started TEXT, finished TEXT, decision TEXT, events INTEGER NOT NULL, head BLOB NOT NULL
    ) STRICT;
    CREATE TABLE events (key INTEGER PRIMARY KEY, json TEXT NOT NULL, digest BLOB NOT NULL) STRICT;",
    "ALTER TABLE runs ADD COLUMN paused TEXT;
    ALTER TABLE runs ADD COLUMN due TEXT;
    CREATE TABLE requests (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, json TEXT NOT NULL, taken INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE blobs (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;",
];

impl Sqlite {
    /// Sets the connection up, makes the tables in a new file and adds what an older one lacks.
    pub(super) fn prepare(&mut self) -> Result<(), StoreError> {
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

    /// Makes what is missing; returns whose file it is and its version.
    fn set_up(&mut self) -> rusqlite::Result<(i64, i64)> {
        self.connection.busy_timeout(Duration::from_secs(5))?;
        let number = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let new = number("application_id")? == 0 && number("user_version")? == 0 && number("schema_version")? == 0;
        if new {
            self.connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        let old = number("application_id")? == APPLICATION && (1..VERSION).contains(&number("user_version")?);
        if new || old {
            self.bring_up_to_date()?;
        }
        let connection = &self.connection;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4096)?;
        connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok((number("application_id")?, number("user_version")?))
    }

    fn bring_up_to_date(&mut self) -> rusqlite::Result<()> {
        let tables = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let number = |name| tables.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        // Another process may have been quicker.
        let version = number("user_version")?;
        let ours = number("application_id")? == APPLICATION || number("schema_version")? == 0;
        if ours && version < VERSION {
            for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(STEPS.len())) {
                tables.execute_batch(step)?;
            }
            tables.pragma_update(None, "application_id", APPLICATION)?;
            tables.pragma_update(None, "user_version", VERSION)?;
        }
        tables.commit()
    }
}
