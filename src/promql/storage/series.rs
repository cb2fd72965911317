//! One series: its labels and its chunks.

use super::chunk::{Open, Sealed};
use crate::promql::engine::{Labels, Sample, Selection, StorageError};

/// A series. The open chunk holds the newest samples.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    sealed: Vec<Sealed>,
    open: Option<Open>,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Append {
    /// It was kept, or was there already.
    Kept,
    /// There is a later one.
    OutOfOrder,
    /// There is another value at that time.
    Duplicate,
}

impl Series {
    pub(super) fn new(labels: Labels) -> Self {
        Self { labels, sealed: Vec::new(), open: None }
    }

    /// Adds a sample, as Prometheus does: later than the last one or not at all; the first of two at one time counts.
    pub(super) fn append(&mut self, sample: Sample) -> Append {
        let Some(open) = &mut self.open else {
            self.open = Some(Open::new(sample));
            return Append::Kept;
        };
        let last = open.last();
        if sample.t < last.t {
            return Append::OutOfOrder;
        }
        if sample.t == last.t {
            let same = sample.v.to_bits() == last.v.to_bits();
            return if same { Append::Kept } else { Append::Duplicate };
        }
        if !open.is_full() {
            open.push(sample);
        } else if let Some(full) = self.open.replace(Open::new(sample)) {
            self.sealed.push(full.seal());
        }
        Append::Kept
    }

    /// Returns the newest sample.
    pub(super) fn last(&self) -> Option<Sample> {
        self.open.as_ref().map(Open::last)
    }

    /// Returns how many samples there are.
    pub(super) fn count(&self) -> usize {
        self.sealed.iter().map(Sealed::count).chain(self.open.iter().map(Open::count)).sum()
    }

    /// Drops the chunks that hold nothing from `time` on. Tells whether anything is left.
    pub(super) fn drop_before(&mut self, time: i64) -> bool {
        let old = self.sealed.partition_point(|chunk| chunk.last_time() < time);
        self.sealed.drain(..old);
        if self.sealed.is_empty() && self.open.as_ref().is_some_and(|open| open.last().t < time) {
            self.open = None;
        }
        self.open.is_some()
    }

    /// Hands out the samples from `from` to `to`, both included.
    pub(super) fn select(
        &self,
        from: i64,
        to: i64,
        newest: bool,
        found: &mut Selection<'_>,
    ) -> Result<(), StorageError> {
        let Some(open) = &self.open else { return Ok(()) };
        let last = open.last();
        if last.t < from {
            return Ok(());
        }
        if newest {
            let sample = self.newest(from, to);
            if let Some(sample) = sample {
                found.begin(&self.labels)?;
                found.push(sample)?;
            }
            return Ok(());
        }
        let mut begun = false;
        let mut hand_out = |sample: Sample, found: &mut Selection<'_>| {
            if !std::mem::replace(&mut begun, true) {
                found.begin(&self.labels)?;
            }
            found.push(sample)
        };
        let first = self.sealed.partition_point(|chunk| chunk.last_time() < from);
        for chunk in self.sealed[first..].iter().take_while(|chunk| chunk.first_time() <= to) {
            for sample in chunk.samples().skip_while(|s| s.t < from).take_while(|s| s.t <= to) {
                hand_out(sample, found)?;
            }
        }
        if open.first_time() <= to {
            for sample in open.samples().skip_while(|s| s.t < from).take_while(|s| s.t <= to) {
                hand_out(sample, found)?;
            }
        }
        Ok(())
    }

    /// Finds the newest sample from `from` to `to`.
    fn newest(&self, from: i64, to: i64) -> Option<Sample> {
        let open = self.open.as_ref()?;
        if open.last().t <= to {
            return Some(open.last()).filter(|s| s.t >= from);
        }
        let found = match open.first_time() <= to {
            true => open.samples().take_while(|s| s.t <= to).last(),
            false => {
                let chunk = self.sealed.iter().rev().find(|chunk| chunk.first_time() <= to)?;
                chunk.samples().take_while(|s| s.t <= to).last()
            }
        };
        found.filter(|s| s.t >= from)
    }
}
