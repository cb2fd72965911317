//! Hands events to the sinks on a thread of its own: the recorder first, then everything that shows or tells, so that
//! an event is on disk before anything that depends on it is seen.
//!
//! Fast steps are committed in groups, at most one a 50 ms; after a pause an event is committed at once. When the
//! recorder fails, what it could not keep is held in memory, so that the reports can still be written.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use crate::event::{Event, Sink};

/// The shortest time between two commits.
const GROUP: Duration = Duration::from_millis(50);
/// The most events in one commit.
const BATCH: usize = 2_000;

/// The way to the sinks. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    sender: mpsc::Sender<Message>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    backlog: AtomicUsize,
    fault: OnceLock<String>,
}

enum Message {
    Event(Box<Event>),
    Flush(oneshot::Sender<()>),
    Tick(DateTime<Utc>),
}

/// What is left when the journal is closed.
#[derive(Debug, Default)]
pub struct JournalEnd {
    /// Why the recorder failed, if it did.
    pub fault: Option<String>,
    /// The events that it could not keep.
    pub unrecorded: Vec<Event>,
    /// What other sinks complained of, once each.
    pub complaints: Vec<String>,
}

impl Journal {
    /// Starts the thread.
    pub fn start(recorder: Box<dyn Sink>, others: Vec<Box<dyn Sink>>) -> (Self, JoinHandle<JournalEnd>) {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let keeper = Keeper { recorder, others, shared: Arc::clone(&shared), end: JournalEnd::default() };
        let thread = std::thread::spawn(move || keeper.keep(&receiver));
        (Self { sender, shared }, thread)
    }

    /// Takes an event.
    pub fn take(&self, event: Event) {
        self.shared.backlog.fetch_add(1, Ordering::Relaxed);
        self.send(Message::Event(Box::new(event)));
    }

    /// Waits until every event taken so far was handed on.
    pub async fn flush(&self) {
        let (done, waiter) = oneshot::channel();
        self.send(Message::Flush(done));
        // When the thread is gone there is nothing left to wait for.
        let _ = waiter.await;
    }

    /// Returns how many events are not handed on yet.
    pub fn backlog(&self) -> usize {
        self.shared.backlog.load(Ordering::Relaxed)
    }

    /// Says why the recorder failed, if it did.
    pub fn fault(&self) -> Option<String> {
        self.shared.fault.get().cloned()
    }

    /// Lets displays show the time.
    pub fn tick(&self, now: DateTime<Utc>) {
        self.send(Message::Tick(now));
    }

    fn send(&self, message: Message) {
        // The thread ends only when every sender is gone.
        let _ = self.sender.send(message);
    }
}

struct Keeper {
    recorder: Box<dyn Sink>,
    others: Vec<Box<dyn Sink>>,
    shared: Arc<Shared>,
    end: JournalEnd,
}

impl Keeper {
    fn keep(mut self, receiver: &mpsc::Receiver<Message>) -> JournalEnd {
        let mut pending: Vec<Event> = Vec::new();
        let mut committed: Option<Instant> = None;
        loop {
            let due = committed.map_or(Duration::ZERO, |at| GROUP.saturating_sub(at.elapsed()));
            let message = match pending.is_empty() {
                true => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => receiver.recv_timeout(due),
            };
            let mut waiter = None;
            match message {
                Ok(Message::Event(event)) => {
                    pending.push(*event);
                    if pending.len() < BATCH {
                        continue;
                    }
                }
                Ok(Message::Flush(done)) => waiter = Some(done),
                Ok(Message::Tick(now)) => {
                    self.others.iter_mut().for_each(|sink| sink.tick(now));
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.hand_on(&mut pending);
                    return self.end;
                }
            }
            if !pending.is_empty() {
                self.hand_on(&mut pending);
                committed = Some(Instant::now());
            }
            if let Some(done) = waiter {
                // Nobody waits any more when the run was dropped.
                let _ = done.send(());
            }
        }
    }

    fn hand_on(&mut self, pending: &mut Vec<Event>) {
        if self.end.fault.is_none() {
            if let Err(error) = self.recorder.take(pending) {
                self.end.fault = Some(error.to_string());
                // The first fault is the one that is told.
                let _ = self.shared.fault.set(error.to_string());
            }
        }
        for sink in &mut self.others {
            if let Err(error) = sink.take(pending) {
                let complaint = error.to_string();
                if !self.end.complaints.contains(&complaint) {
                    self.end.complaints.push(complaint);
                }
            }
        }
        self.shared.backlog.fetch_sub(pending.len(), Ordering::Relaxed);
        match self.end.fault {
            Some(_) => self.end.unrecorded.append(pending),
            None => pending.clear(),
        }
    }
}
