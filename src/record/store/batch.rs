//! Events on their way into a store, in the text in which they are kept.

use super::StoreError;
use super::inbox::Settled;
use super::summary::Change;
use crate::event::Event;
use crate::record::format::Writer;

/// Consecutive events as they are stored, in one buffer that is used again from batch to batch.
#[derive(Debug, Default)]
pub struct Batch {
    first: u64,
    text: String,
    ends: Vec<usize>,
    scratch: Vec<u8>,
    change: Change,
    settled: Settled,
    writer: Writer,
}

impl Batch {
    /// Adds an event.
    ///
    /// # Errors
    /// An event that is not the one after the last, or that cannot be written.
    pub fn add(&mut self, event: &Event) -> Result<(), StoreError> {
        let next = self.first + self.len() as u64;
        if !self.is_empty() && event.seq != next {
            return Err(StoreError::Gap { expected: next, got: event.seq });
        }
        self.scratch.clear();
        let wrong = |what: String| StoreError::Unwritable { seq: event.seq, what };
        self.writer.encode(event, &mut self.scratch).map_err(|e| wrong(e.to_string()))?;
        let json = std::str::from_utf8(&self.scratch).map_err(|e| wrong(e.to_string()))?;
        self.text.push_str(json);
        self.note(event);
        Ok(())
    }

    /// Adds an event in the text in which it was stored before. It must be the one after the last.
    pub fn add_stored(&mut self, event: &Event, json: &str) {
        self.text.push_str(json);
        self.note(event);
    }

    /// Forgets the events and keeps the buffers.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.change = Change::default();
        self.settled = Settled::default();
    }

    /// Forgets also what was written before, as it may not have been kept: the next look of each step is written in full.
    pub fn start_over(&mut self) {
        self.clear();
        self.writer.forget();
    }

    /// Returns how many events there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the number of the first event.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Returns what the events change in the run's summary.
    pub(super) fn change(&self) -> &Change {
        &self.change
    }

    /// Returns which requests the events settle.
    pub(super) fn settled(&self) -> &Settled {
        &self.settled
    }

    /// Returns the texts in order.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }

    fn note(&mut self, event: &Event) {
        if self.ends.is_empty() {
            self.first = event.seq;
        }
        self.ends.push(self.text.len());
        self.change.note(event);
        self.settled.note(event);
    }
}
