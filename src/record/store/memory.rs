//! A store that keeps nothing on disk: for a run that is only looked at, and for tests.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use indexmap::IndexMap;

use super::inbox::Posted;
use super::owner::{self, Owned, Owner};
use super::{Batch, EachStored, RunStore, RunSummary, StoreError, blob};
use crate::event::Request;
use crate::model::RunId;
use crate::record::Head;
use crate::record::chain::{Chain, Digest, hex};

/// Opens an empty store in memory.
///
/// # Errors
/// An address behind the scheme: there is nothing that it could name.
pub fn open(address: &str) -> Result<Box<dyn RunStore>, StoreError> {
    match address {
        "" => Ok(Box::new(Memory::default())),
        _ => Err(StoreError::Address {
            address: format!("memory:{address}"),
            remedy: "a store in memory has no name, write just memory:",
        }),
    }
}

/// Runs in memory.
#[derive(Debug, Default)]
pub struct Memory {
    runs: IndexMap<RunId, Kept>,
    owned: Arc<Owned>,
    requests: Vec<(RunId, Posted)>,
    posted: i64,
    blobs: HashMap<Digest, Vec<u8>>,
}

#[derive(Debug)]
struct Kept {
    summary: RunSummary,
    chain: Chain,
    events: Vec<(Box<str>, Digest)>,
}

impl Memory {
    fn kept(&self, run: &RunId) -> Result<&Kept, StoreError> {
        self.runs.get(run).ok_or_else(|| unknown(run))
    }
}

impl RunStore for Memory {
    fn begin(&mut self, run: &RunId) -> Result<(), StoreError> {
        if self.runs.contains_key(run) {
            return Err(StoreError::Exists { run: run.clone() });
        }
        let chain = Chain::begin(run);
        let summary = RunSummary::empty(run, chain.head());
        self.runs.insert(run.clone(), Kept { summary, chain, events: Vec::new() });
        Ok(())
    }

    fn put(&mut self, run: &RunId, batch: &Batch) -> Result<Head, StoreError> {
        let kept = self.runs.get_mut(run).ok_or_else(|| unknown(run))?;
        if batch.is_empty() {
            return Ok(kept.chain.head());
        }
        let expected = kept.chain.seq() + 1;
        if batch.first() != expected {
            return Err(StoreError::Gap { expected, got: batch.first() });
        }
        for json in batch.texts() {
            let digest = kept.chain.add(json);
            kept.events.push((json.into(), digest));
        }
        batch.change().apply(&mut kept.summary);
        kept.summary.head = kept.chain.head();
        let head = kept.chain.head();
        if !batch.settled().is_empty() {
            let waiting = self.requests.iter().filter(|(of, _)| of == run).map(|(_, posted)| posted.clone()).collect();
            let gone = batch.settled().of(waiting);
            self.requests.retain(|(_, posted)| !gone.contains(&posted.id));
        }
        Ok(head)
    }

    fn own(&mut self, run: &RunId) -> Result<Owner, StoreError> {
        self.kept(run)?;
        let owner = owner::in_memory(&self.owned, run)?;
        self.requests.iter_mut().filter(|(of, _)| of == run).for_each(|(_, posted)| posted.taken = false);
        Ok(owner)
    }

    fn post(&mut self, run: &RunId, request: &Request) -> Result<u64, StoreError> {
        self.kept(run)?;
        self.posted += 1;
        self.requests.push((run.clone(), Posted { id: self.posted, request: request.clone(), taken: false }));
        Ok(self.posted.cast_unsigned())
    }

    fn take_requests(&mut self, run: &RunId) -> Result<Vec<Request>, StoreError> {
        let fresh = self.requests.iter_mut().filter(|(of, posted)| of == run && !posted.taken);
        let take = |(_, posted): &mut (RunId, Posted)| {
            posted.taken = true;
            posted.request.clone()
        };
        Ok(fresh.map(take).collect())
    }

    fn waits(&self, request: u64) -> Result<bool, StoreError> {
        Ok(self.requests.iter().any(|(_, posted)| posted.id.cast_unsigned() == request))
    }

    fn withdraw(&mut self, request: u64) -> Result<bool, StoreError> {
        let waits = self.waits(request)?;
        self.requests.retain(|(_, posted)| posted.id.cast_unsigned() != request);
        Ok(waits)
    }

    fn put_blob(&mut self, bytes: &[u8]) -> Result<String, StoreError> {
        let digest = blob::digest(bytes)?;
        self.blobs.entry(digest).or_insert_with(|| bytes.to_vec());
        Ok(hex(&digest))
    }

    fn blob(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        self.blobs.get(&blob::asked(digest)?).cloned().ok_or_else(|| blob::unknown(digest))
    }

    fn events(&self, run: &RunId, each: &mut EachStored<'_>) -> Result<RunSummary, StoreError> {
        let kept = self.kept(run)?;
        for (seq, (json, digest)) in (1..).zip(&kept.events) {
            if let ControlFlow::Break(()) = each(seq, json, digest) {
                break;
            }
        }
        Ok(kept.summary.clone())
    }

    fn summary(&self, run: &RunId) -> Result<RunSummary, StoreError> {
        Ok(self.kept(run)?.summary.clone())
    }

    fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        let mut runs: Vec<_> = self.runs.values().map(|kept| kept.summary.clone()).collect();
        runs.retain(|run| run.events() > 0);
        runs.sort_by_key(|run| run.started);
        Ok(runs)
    }
}

fn unknown(run: &RunId) -> StoreError {
    StoreError::NoSuchRun { name: run.to_string(), near: Vec::new() }
}
