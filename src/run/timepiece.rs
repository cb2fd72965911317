//! When something planned by the wall clock is due, by a clock that nobody sets; and whether the two still agree.
//!
//! While the process lives, time passes as the machine counts it, sleep included: whoever sets the wall clock makes
//! nothing due any earlier. Across processes there is only the wall clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::quantity;
use crate::sys::Clock;

/// How far the clocks may come apart before that is said.
const DRIFT: TimeDelta = TimeDelta::seconds(2);

/// Holds the clock on the wall against the one that is never set.
pub(super) struct Timepiece {
    clock: Clock,
    wall: DateTime<Utc>,
    elapsed: Duration,
    said: TimeDelta,
    slept: Duration,
}

impl Timepiece {
    pub(super) fn new(clock: Clock) -> Self {
        let (wall, elapsed, slept) = (clock.now(), clock.elapsed(), clock.slept());
        Self { clock, wall, elapsed, said: TimeDelta::zero(), slept }
    }

    /// Tells what time it is on the wall, had nobody set the clock since the process began.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.wall + delta(self.clock.elapsed().saturating_sub(self.elapsed))
    }

    /// Tells how long it is until a time on the wall; zero when it has come.
    pub(super) fn until(&self, due: DateTime<Utc>) -> Duration {
        (due - self.now()).to_std().unwrap_or_default()
    }

    /// Says what happened to the clocks since it was last asked.
    pub(super) fn moved(&mut self) -> Option<String> {
        let slept = self.clock.slept();
        let nap = slept.saturating_sub(self.slept);
        let drift = self.clock.now() - self.now();
        let step = drift - self.said;
        let mut said = Vec::new();
        if delta(nap) > DRIFT {
            self.slept = slept;
            said.push(format!("the machine slept for {}", quantity::seconds(nap.as_secs_f64().round())));
        }
        if step.abs() > DRIFT {
            self.said = drift;
            let by = quantity::seconds((step.abs().num_milliseconds() as f64 / 1e3).round());
            let way = if step > TimeDelta::zero() { "forward" } else { "back" };
            said.push(format!("the clock was set {way} by {by}; what is due goes by the time that passed"));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_makes_nothing_due() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let mut timepiece = Timepiece::new(clock.clone());
        let due = DateTime::UNIX_EPOCH + TimeDelta::hours(4);
        clock.set_wall(TimeDelta::hours(25));
        assert_eq!(timepiece.until(due), Duration::from_secs(4 * 3600));
        let said = timepiece.moved().expect("it is said");
        assert!(said.starts_with("the clock was set forward by 1d1h"), "{said}");
        assert_eq!(timepiece.moved(), None);
        clock.set_wall(TimeDelta::hours(-27));
        assert!(timepiece.moved().expect("it is said").starts_with("the clock was set back by 1d3h"));
        clock.sleep_through(Duration::from_secs(600));
        assert_eq!(timepiece.moved().as_deref(), Some("the machine slept for 10m"));
        assert_eq!(timepiece.until(due), Duration::from_secs(4 * 3600 - 600));
    }
}
