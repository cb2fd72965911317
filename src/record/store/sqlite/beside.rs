//! What stands beside the events: requests that wait, and files kept as evidence.

use rusqlite::{OptionalExtension, params};

use super::Sqlite;
use crate::event::Request;
use crate::model::RunId;
use crate::record::chain::hex;
use crate::record::store::inbox::{Posted, Settled};
use crate::record::store::{StoreError, blob};

impl Sqlite {
    /// Keeps a request and returns its number.
    pub(super) fn keep_request(&self, run: &RunId, request: &Request) -> Result<u64, StoreError> {
        let json = serde_json::to_string(request)
            .map_err(|e| StoreError::Unwritable { seq: 0, what: format!("the request: {e}") })?;
        let sql = "INSERT INTO requests (run, json, taken) VALUES (?1, ?2, 0)";
        self.connection.execute(sql, params![run.as_str(), json]).map_err(|e| self.error(&e))?;
        Ok(self.connection.last_insert_rowid().cast_unsigned())
    }

    /// Takes the requests that no owner has in hand.
    pub(super) fn take_waiting(&self, run: &RunId) -> Result<Vec<Request>, StoreError> {
        let fresh: Vec<Posted> = self.waiting(run)?.into_iter().filter(|posted| !posted.taken).collect();
        for posted in &fresh {
            let sql = "UPDATE requests SET taken = 1 WHERE id = ?1";
            self.connection.prepare_cached(sql).and_then(|mut s| s.execute([posted.id])).map_err(|e| self.error(&e))?;
        }
        Ok(fresh.into_iter().map(|posted| posted.request).collect())
    }

    /// Lets the requests of a run be taken again.
    pub(super) fn hand_back(&self, run: &RunId) -> Result<(), StoreError> {
        let sql = "UPDATE requests SET taken = 0 WHERE run = ?1 AND taken <> 0";
        self.connection.execute(sql, [run.as_str()]).map(|_| ()).map_err(|e| self.error(&e))
    }

    /// Removes what a batch settles; part of the transaction that appends it.
    pub(super) fn settle(&self, run: &RunId, settled: &Settled) -> Result<(), StoreError> {
        for id in settled.of(self.waiting(run)?) {
            self.connection.execute("DELETE FROM requests WHERE id = ?1", [id]).map_err(|e| self.error(&e))?;
        }
        Ok(())
    }

    pub(super) fn is_waiting(&self, request: u64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM requests WHERE id = ?1";
        let found = self.connection.query_row(sql, [request.cast_signed()], |_| Ok(())).optional();
        Ok(found.map_err(|e| self.error(&e))?.is_some())
    }

    pub(super) fn take_back(&self, request: u64) -> Result<bool, StoreError> {
        let gone = self.connection.execute("DELETE FROM requests WHERE id = ?1", [request.cast_signed()]);
        Ok(gone.map_err(|e| self.error(&e))? > 0)
    }

    pub(super) fn keep_blob(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let digest = blob::digest(bytes)?;
        let sql = "INSERT INTO blobs (digest, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.connection.execute(sql, params![digest.as_slice(), bytes]).map_err(|e| self.error(&e))?;
        Ok(hex(&digest))
    }

    pub(super) fn find_blob(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        let asked = blob::asked(digest)?;
        let sql = "SELECT bytes FROM blobs WHERE digest = ?1";
        let found = self.connection.query_row(sql, [asked.as_slice()], |row| row.get::<_, Vec<u8>>(0)).optional();
        let bytes = found.map_err(|e| self.error(&e))?.ok_or_else(|| blob::unknown(digest))?;
        blob::proven(&asked, bytes, &self.place)
    }

    fn waiting(&self, run: &RunId) -> Result<Vec<Posted>, StoreError> {
        let wrong = |e: rusqlite::Error| self.error(&e);
        let sql = "SELECT id, json, taken FROM requests WHERE run = ?1 ORDER BY id";
        let mut select = self.connection.prepare_cached(sql).map_err(wrong)?;
        let mut rows = select.query([run.as_str()]).map_err(wrong)?;
        let mut waiting = Vec::new();
        while let Some(row) = rows.next().map_err(wrong)? {
            let (id, json): (i64, String) = (row.get(0).map_err(wrong)?, row.get(1).map_err(wrong)?);
            let request = serde_json::from_str(&json)
                .map_err(|_| self.damaged(format!("request {id} of run {run} is unreadable")))?;
            waiting.push(Posted { id, request, taken: row.get::<_, i64>(2).map_err(wrong)? != 0 });
        }
        Ok(waiting)
    }
}
