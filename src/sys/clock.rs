//! Time: of the wall, and for waiting. In tests a made-up clock jumps whenever everybody waits for it, so that a day
//! passes in milliseconds with the same code.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::oneshot;

/// How long a real clock waits at most before it looks again how late it is.
const PIECE: Duration = Duration::from_secs(15);

/// Tells the time and waits for it. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Inner);

#[derive(Clone)]
enum Inner {
    Real { origin: Instant, before: Duration, slept: Arc<AtomicU64> },
    Manual(Arc<Manual>),
}

struct Manual {
    start: DateTime<Utc>,
    state: Mutex<State>,
    busy: AtomicUsize,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    /// How far the clock on the wall was set.
    set: TimeDelta,
    /// How long the machine slept.
    slept: Duration,
    number: u64,
    sleepers: BinaryHeap<Reverse<(Duration, u64)>>,
    wakers: Vec<(u64, oneshot::Sender<()>)>,
}

/// Holds a made-up clock still while somebody is busy in the real world.
pub struct Busy(Option<Arc<Manual>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(manual) = &self.0 {
            manual.busy.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Clock {
    /// The clock on the wall.
    pub fn real() -> Self {
        Self(Inner::Real { origin: Instant::now(), before: asleep(), slept: Arc::default() })
    }

    /// A made-up clock that begins at `start` and stands still until [`Clock::drive`] moves it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Inner::Manual(Arc::new(Manual { start, state: Mutex::default(), busy: AtomicUsize::new(0) })))
    }

    /// Tells the wall-clock time.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Inner::Real { .. } => Utc::now(),
            Inner::Manual(manual) => {
                let set = manual.lock().set;
                manual.start + set + TimeDelta::from_std(self.elapsed()).unwrap_or(TimeDelta::MAX)
            }
        }
    }

    /// Tells how long the clock runs already, by a clock that nobody sets and that goes on while the machine sleeps.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Inner::Real { origin, .. } => origin.elapsed() + self.slept(),
            Inner::Manual(manual) => manual.lock().elapsed,
        }
    }

    /// Tells how long the machine slept since the clock began.
    pub fn slept(&self) -> Duration {
        match &self.0 {
            Inner::Real { before, slept, .. } => {
                // In whole seconds, and never less than was told before: the two clocks are read one after the other.
                let seconds = (asleep().saturating_sub(*before) + Duration::from_millis(500)).as_secs();
                Duration::from_secs(slept.fetch_max(seconds, Ordering::Relaxed).max(seconds))
            }
            Inner::Manual(manual) => manual.lock().slept,
        }
    }

    /// Sets the clock on the wall, when it is a made-up one; time goes on as before.
    pub fn set_wall(&self, by: TimeDelta) {
        if let Inner::Manual(manual) = &self.0 {
            manual.lock().set += by;
        }
    }

    /// Lets the machine of a made-up clock sleep: time passes, and nobody wakes.
    pub fn sleep_through(&self, duration: Duration) {
        if let Inner::Manual(manual) = &self.0 {
            let mut state = manual.lock();
            state.elapsed += duration;
            state.slept += duration;
        }
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Inner::Real { .. } => {
                // In pieces: what the runtime waits by stands still while the machine sleeps.
                let due = self.elapsed() + duration;
                while let Some(left) = due.checked_sub(self.elapsed()).filter(|left| !left.is_zero()) {
                    tokio::time::sleep(left.min(PIECE)).await;
                }
            }
            Inner::Manual(manual) => {
                if let Some(woken) = manual.register(duration) {
                    // A clock that is gone wakes nobody; whoever waits for it is being torn down.
                    let _ = woken.await;
                }
            }
        }
    }

    /// Gives a future so much time. Nothing when the time is up first.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.sleep(duration) => None,
        }
    }

    /// Marks the caller as busy in the real world, where a made-up clock must not jump.
    pub fn busy(&self) -> Busy {
        match &self.0 {
            Inner::Real { .. } => Busy(None),
            Inner::Manual(manual) => {
                manual.busy.fetch_add(1, Ordering::SeqCst);
                Busy(Some(Arc::clone(manual)))
            }
        }
    }

    /// Moves a made-up clock from sleeper to sleeper for as long as it is polled; does nothing on a real one.
    ///
    /// Needs a runtime of one thread: the clock jumps only when everybody else has had a turn and waits.
    pub async fn drive(&self) {
        let Inner::Manual(manual) = &self.0 else { return std::future::pending().await };
        loop {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            if manual.busy.load(Ordering::SeqCst) > 0 || !manual.jump() {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
    }
}

/// Tells how long the machine has slept since it was started: the difference of two clocks of the system.
#[cfg(target_os = "linux")]
fn asleep() -> Duration {
    use rustix::time::{ClockId, Timespec, clock_gettime};
    let length = |at: Timespec| {
        let (seconds, nanos) = (u64::try_from(at.tv_sec), u32::try_from(at.tv_nsec));
        Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
    };
    let (awake, all) = (clock_gettime(ClockId::Monotonic), clock_gettime(ClockId::Boottime));
    length(all).saturating_sub(length(awake))
}

/// Tells how long the machine has slept since it was started; not known here.
#[cfg(not(target_os = "linux"))]
fn asleep() -> Duration {
    Duration::ZERO
}

impl Manual {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, duration: Duration) -> Option<oneshot::Receiver<()>> {
        if duration.is_zero() {
            return None;
        }
        let mut state = self.lock();
        let (sender, receiver) = oneshot::channel();
        let (due, number) = (state.elapsed + duration, state.number);
        state.number += 1;
        state.sleepers.push(Reverse((due, number)));
        state.wakers.push((number, sender));
        Some(receiver)
    }

    /// Jumps to the next sleeper that still waits, and wakes it. Tells whether there was one.
    fn jump(&self) -> bool {
        let mut state = self.lock();
        while let Some(Reverse((due, number))) = state.sleepers.pop() {
            let Some(at) = state.wakers.iter().position(|(n, _)| *n == number) else { continue };
            let (_, waker) = state.wakers.swap_remove(at);
            if waker.is_closed() {
                continue;
            }
            state.elapsed = state.elapsed.max(due);
            return waker.send(()).is_ok();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_day_passes_at_once_on_a_made_up_clock() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let work = async {
            clock.sleep(Duration::from_secs(86_400)).await;
            clock.timeout(Duration::from_secs(3600), std::future::pending::<()>()).await
        };
        let result = tokio::select! {
            result = work => result,
            () = clock.drive() => unreachable!("the clock never stops"),
        };
        assert_eq!(result, None);
        assert_eq!(clock.now().timestamp(), 90_000);
    }
}
