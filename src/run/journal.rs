//! Hands events to the sinks on a thread of its own: the recorder first, then everything that shows or tells, so that
//! an event is on disk before anything that depends on it is seen.
//!
//! Fast steps are committed in groups, at most one a 50 ms; after a pause an event is committed at once. When the
//! recorder fails, what it could not keep is held in memory, so that the reports can still be written.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
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
    door: Arc<Door>,
}

/// What every clone of a journal holds: when the last one is gone, the thread ends.
struct Door {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when the thread has something to do. One event after another is none, until the group is due: a thread
    /// that is woken for each of them costs more than the events.
    bell: Condvar,
    fault: OnceLock<String>,
}

/// What waits for the thread.
#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// How many events the thread has taken and not yet handed on.
    in_hand: usize,
    flushes: Vec<oneshot::Sender<()>>,
    tick: Option<DateTime<Utc>>,
    /// Every sender is gone.
    closed: bool,
    /// The thread is gone.
    gone: bool,
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
        let shared = Arc::new(Shared::default());
        let keeper = Keeper { recorder, others, shared: Arc::clone(&shared), end: JournalEnd::default() };
        let thread = std::thread::spawn(move || keeper.keep());
        (Self { door: Arc::new(Door { shared }) }, thread)
    }

    /// Takes an event.
    pub fn take(&self, event: Event) {
        let mut waiting = self.door.shared.lock();
        if waiting.gone {
            return;
        }
        waiting.events.push_back(event);
        let count = waiting.events.len();
        drop(waiting);
        // The first one begins a group, and a whole group needs not wait.
        if count == 1 || count == BATCH {
            self.door.shared.bell.notify_one();
        }
    }

    /// Waits until every event taken so far was handed on.
    pub async fn flush(&self) {
        let (done, waiter) = oneshot::channel();
        self.door.shared.ask(done);
        // When the thread is gone there is nothing left to wait for.
        let _ = waiter.await;
    }

    /// Returns how many events are not handed on yet.
    pub fn backlog(&self) -> usize {
        let waiting = self.door.shared.lock();
        waiting.events.len() + waiting.in_hand
    }

    /// Says why the recorder failed, if it did.
    pub fn fault(&self) -> Option<String> {
        self.door.shared.fault.get().cloned()
    }

    /// Lets displays show the time.
    pub fn tick(&self, now: DateTime<Utc>) {
        self.door.shared.lock().tick = Some(now);
        self.door.shared.bell.notify_one();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.bell.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that is done under the lock can break down half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, done: oneshot::Sender<()>) {
        let mut waiting = self.lock();
        if !waiting.gone {
            waiting.flushes.push(done);
            self.bell.notify_one();
        }
    }

    /// Waits for something to do. Events wait until `due`, unless somebody waits for them or there are many.
    fn next(&self, due: Instant) -> Turn {
        let mut waiting = self.lock();
        loop {
            if let Some(now) = waiting.tick.take() {
                return Turn::Tick(now);
            }
            let left = due.saturating_duration_since(Instant::now());
            let count = waiting.events.len();
            let pressing = waiting.closed || !waiting.flushes.is_empty() || count >= BATCH;
            if count > 0 && (pressing || left.is_zero()) {
                return waiting.group();
            }
            if !waiting.flushes.is_empty() {
                return Turn::HandOn(Vec::new(), std::mem::take(&mut waiting.flushes));
            }
            if waiting.closed {
                return Turn::End;
            }
            waiting = match count {
                0 => self.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                _ => self.bell.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

struct Keeper {
    recorder: Box<dyn Sink>,
    others: Vec<Box<dyn Sink>>,
    shared: Arc<Shared>,
    end: JournalEnd,
}

/// What the thread does next.
enum Turn {
    /// Hands these on, then answers whoever waits for them.
    HandOn(Vec<Event>, Vec<oneshot::Sender<()>>),
    /// Lets displays show the time.
    Tick(DateTime<Utc>),
    /// Ends: every sender is gone, and everything was handed on.
    End,
}

impl Keeper {
    fn keep(mut self) -> JournalEnd {
        let mut due = Instant::now();
        let guard = Gone(Arc::clone(&self.shared));
        loop {
            match self.shared.next(due) {
                Turn::HandOn(mut events, flushes) => {
                    if !events.is_empty() {
                        self.hand_on(&mut events);
                        due = Instant::now() + GROUP;
                    }
                    for done in flushes {
                        // Nobody waits any more when the run was dropped.
                        let _ = done.send(());
                    }
                }
                Turn::Tick(now) => self.others.iter_mut().for_each(|sink| sink.tick(now)),
                Turn::End => {
                    drop(guard);
                    return self.end;
                }
            }
        }
    }

    fn hand_on(&mut self, events: &mut Vec<Event>) {
        if self.end.fault.is_none() {
            if let Err(error) = self.recorder.take(events) {
                self.end.fault = Some(error.to_string());
                // The first fault is the one that is told.
                let _ = self.shared.fault.set(error.to_string());
            }
        }
        for sink in &mut self.others {
            if let Err(error) = sink.take(events) {
                let complaint = error.to_string();
                if !self.end.complaints.contains(&complaint) {
                    self.end.complaints.push(complaint);
                }
            }
        }
        self.shared.lock().in_hand = 0;
        if self.end.fault.is_some() {
            self.end.unrecorded.append(events);
        }
    }
}

impl Waiting {
    /// Takes a group of events; whoever waits is answered with the last one.
    fn group(&mut self) -> Turn {
        let count = self.events.len().min(BATCH);
        let events: Vec<Event> = self.events.drain(..count).collect();
        self.in_hand = count;
        let flushes = if self.events.is_empty() { std::mem::take(&mut self.flushes) } else { Vec::new() };
        Turn::HandOn(events, flushes)
    }
}

/// Lets everybody go when the thread is gone: a sink that breaks down must not leave the run waiting for ever.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The first fault is the one that is told.
            let _ = self.0.fault.set("the thread that keeps the record broke down".to_owned());
        }
        let mut waiting = self.0.lock();
        waiting.gone = true;
        waiting.flushes.clear();
        waiting.events.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, SinkError};

    struct Keeps(Arc<Mutex<Vec<Vec<u64>>>>);

    impl Sink for Keeps {
        fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
            self.0.lock().expect("the list").push(events.iter().map(|e| e.seq).collect());
            Ok(())
        }
    }

    struct Breaks;

    impl Sink for Breaks {
        fn take(&mut self, _events: &[Event]) -> Result<(), SinkError> {
            panic!("broken on purpose")
        }
    }

    fn event(seq: u64) -> Event {
        Event { seq, at: DateTime::UNIX_EPOCH, kind: EventKind::RunFinished { took_ms: 0 } }
    }

    #[tokio::test]
    async fn every_event_is_handed_on_once_in_order_and_in_groups() {
        let kept = Arc::default();
        let (journal, thread) = Journal::start(Box::new(Keeps(Arc::clone(&kept))), Vec::new());
        (1..=5_000).for_each(|seq| journal.take(event(seq)));
        journal.flush().await;
        assert_eq!((journal.backlog(), kept.lock().expect("the list").concat().len()), (0, 5_000));
        (5_001..=5_003).for_each(|seq| journal.take(event(seq)));
        drop(journal);
        assert!(thread.join().expect("an end").fault.is_none());
        let kept = kept.lock().expect("the list");
        assert_eq!(kept.concat(), (1..=5_003).collect::<Vec<u64>>());
        assert!(kept.iter().all(|group| group.len() <= BATCH));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_thread_that_broke_down() {
        let (journal, thread) = Journal::start(Box::new(Breaks), Vec::new());
        journal.take(event(1));
        journal.flush().await;
        assert!(thread.join().is_err());
        journal.take(event(2));
        journal.flush().await;
        assert_eq!(journal.fault().as_deref(), Some("the thread that keeps the record broke down"));
    }
}
