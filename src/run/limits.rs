//! Keeps hosts from being overrun: so many steps at a time and no more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Gives leave to ask a host.
pub struct Limits {
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Limits {
    /// Allows so many at a time for each host.
    pub fn new(per_host: usize) -> Self {
        Self { per_host: per_host.max(1), hosts: Mutex::default() }
    }

    /// Waits for leave. Whoever asks nobody needs none.
    pub async fn enter(&self, host: Option<String>) -> Option<OwnedSemaphorePermit> {
        let semaphore = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(hosts.entry(host?).or_insert_with(|| Arc::new(Semaphore::new(self.per_host))))
        };
        // The semaphore is never closed.
        semaphore.acquire_owned().await.ok()
    }
}
