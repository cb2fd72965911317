//! A store that keeps nothing on disk: for a run that is only looked at, and for tests.

use std::ops::ControlFlow;

use indexmap::IndexMap;

use super::{Batch, EachStored, RunStore, RunSummary, StoreError};
use crate::model::RunId;
use crate::record::Head;
use crate::record::chain::{Chain, Digest};

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
        Ok(kept.chain.head())
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
