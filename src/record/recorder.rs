//! The first sink: what happens is on disk before anything that depends on it is shown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Head;
use super::store::{Batch, RunStore, StoreError};
use crate::event::{Event, Sink, SinkError};
use crate::model::RunId;

/// Appends the events of one run to a store. Its failure stops the run.
pub struct Recorder {
    kept: Handle,
    batch: Batch,
}

impl Recorder {
    /// Begins a run in a store.
    ///
    /// # Errors
    /// The store has the run already, or cannot be written.
    pub fn new(mut store: Box<dyn RunStore>, run: RunId) -> Result<Self, StoreError> {
        store.begin(&run)?;
        Self::resume(store, run)
    }

    /// Goes on with a run that the store has.
    ///
    /// # Errors
    /// The store does not have the run, or cannot be read.
    pub fn resume(store: Box<dyn RunStore>, run: RunId) -> Result<Self, StoreError> {
        let head = store.summary(&run)?.head;
        let kept = Handle(Arc::new(Mutex::new(Kept { store, run, head })));
        Ok(Self { kept, batch: Batch::default() })
    }

    /// Returns a handle that outlives the recorder: on the store and on the end of the run.
    pub fn handle(&self) -> Handle {
        self.kept.clone()
    }
}

impl Sink for Recorder {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        self.batch.clear();
        let failed = |error: StoreError| SinkError(error.to_string());
        for event in events {
            self.batch.add(event).map_err(failed)?;
        }
        let mut kept = self.kept.lock();
        let Kept { store, run, head } = &mut *kept;
        match store.put(run, &self.batch) {
            Ok(end) => *head = end,
            Err(error) => {
                self.batch.start_over();
                return Err(failed(error));
            }
        }
        Ok(())
    }
}

/// The store of a recorder and the end of its run, shared.
#[derive(Clone)]
pub struct Handle(Arc<Mutex<Kept>>);

struct Kept {
    store: Box<dyn RunStore>,
    run: RunId,
    head: Head,
}

impl Handle {
    /// Returns the run.
    pub fn run(&self) -> RunId {
        self.lock().run.clone()
    }

    /// Returns the end of the run, as far as it is on disk.
    pub fn head(&self) -> Head {
        self.lock().head.clone()
    }

    /// Does something with the store, while the recorder waits.
    pub fn with_store<T>(&self, act: impl FnOnce(&mut dyn RunStore) -> T) -> T {
        act(&mut *self.lock().store)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic in another thread leaves the store as it was: an append is all or nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
