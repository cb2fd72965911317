//! A row of the list of runs, as it is stored and as it is understood.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::Row;

use super::{EVENT_BITS, Sqlite};
use crate::model::{Decision, RunId};
use crate::record::Head;
use crate::record::chain::{Chain, Digest, hex};
use crate::record::store::{RunSummary, StoreError};

/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str = "no, run, name, path, stage, started, finished, paused, due, decision, events, head";

/// A row of `runs`, understood.
pub(super) struct Found {
    pub no: i64,
    pub chain: Chain,
    pub summary: RunSummary,
}

/// A row of `runs` as it is stored.
pub(super) struct Raw {
    no: i64,
    run: String,
    name: String,
    path: String,
    stage: Option<String>,
    started: Option<String>,
    finished: Option<String>,
    paused: Option<String>,
    due: Option<String>,
    decision: Option<String>,
    events: i64,
    head: Vec<u8>,
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        no: row.get(0)?,
        run: row.get(1)?,
        name: row.get(2)?,
        path: row.get(3)?,
        stage: row.get(4)?,
        started: row.get(5)?,
        finished: row.get(6)?,
        paused: row.get(7)?,
        due: row.get(8)?,
        decision: row.get(9)?,
        events: row.get(10)?,
        head: row.get(11)?,
    })
}

pub(super) fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn decision(word: &str) -> Option<Decision> {
    [Decision::Go, Decision::NoGo, Decision::Undecided, Decision::Held].into_iter().find(|d| d.word() == word)
}

impl Sqlite {
    /// Understands a row; what cannot be understood is damage.
    pub(super) fn understand(&self, row: Raw) -> Result<Found, StoreError> {
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
        let due = time(row.due, "due time")?;
        let head = Head { seq, digest: hex(&digest) };
        let (name, path, stage, paused) = (row.name, row.path, row.stage, row.paused);
        let summary = RunSummary { run, name, path, stage, started, finished, paused, due, decision, head };
        Ok(Found { no: row.no, chain: Chain::at(seq, digest), summary })
    }
}
