//! Passes as soon as it holds, or as soon as it has held for a while in a row.

use std::time::Duration;

use super::{Next, Sample, looks, sample, time, words};
use crate::model::{Outcome, Verdict};

/// Waits until something holds: at least one look must hold within `within`; with `hold`, it must then go on holding
/// for that long in a row.
///
/// A row that began within the time may be completed after it. A look that could not look, or could not tell, does not
/// end the window, but it ends a row: what was not seen is not known to have held.
#[derive(Clone, Debug)]
pub struct Eventually {
    within: Duration,
    hold: Duration,
    count: u32,
    since: Option<Duration>,
    last: Option<Verdict>,
}

impl Eventually {
    /// Opens a window.
    pub fn new(within: Duration, hold: Option<Duration>) -> Self {
        Self { within, hold: hold.unwrap_or_default(), count: 0, since: None, last: None }
    }

    /// Returns when the window ends at the latest, as far as is known now.
    pub fn ends_at(&self) -> Duration {
        match self.since {
            Some(since) if since <= self.within => self.within.max(since + self.hold),
            _ => self.within,
        }
    }

    /// Takes the verdict of a look that began `elapsed` after the window.
    pub fn look(&mut self, elapsed: Duration, verdict: &Verdict) -> Next {
        self.count = self.count.saturating_add(1);
        self.last = Some(verdict.clone());
        match sample(verdict) {
            Sample::Good => {
                let since = *self.since.get_or_insert(elapsed);
                if elapsed.saturating_sub(since) >= self.hold {
                    return Next::Done(self.passed(elapsed, verdict));
                }
            }
            Sample::Bad | Sample::Blank | Sample::First => self.since = None,
        }
        match elapsed >= self.ends_at() {
            true => Next::Done(self.at_end(elapsed)),
            false => Next::Continue,
        }
    }

    /// Returns what follows when the time is up, or the run is cut short, `elapsed` after the window began.
    pub fn at_end(&self, elapsed: Duration) -> Verdict {
        let Some(last) = &self.last else {
            return Verdict::of(Outcome::Error, format!("no look was completed within {}", time(elapsed)));
        };
        if let Some(since) = self.since {
            let held = time(elapsed.saturating_sub(since));
            let summary =
                format!("held for {held} of {} when the time was up ({})", time(self.hold), looks(self.count));
            return Verdict { outcome: Outcome::Inconclusive, summary, findings: last.findings.clone() };
        }
        let within = time(self.within.min(elapsed.max(Duration::from_millis(1))));
        let summary = format!("did not hold within {within} ({}, last: {})", looks(self.count), words(last));
        Verdict { outcome: last.outcome, summary, findings: last.findings.clone() }
    }

    fn passed(&self, elapsed: Duration, verdict: &Verdict) -> Verdict {
        let mut verdict = verdict.clone();
        let when = match self.hold.is_zero() {
            true if self.count == 1 => return verdict,
            true => format!("held after {} ({})", time(elapsed), looks(self.count)),
            false => format!("held for {} in a row ({})", time(self.hold), looks(self.count)),
        };
        verdict.summary = match verdict.summary.is_empty() {
            true => when,
            false => format!("{when}: {}", verdict.summary),
        };
        verdict
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Feeds outcomes one every ten seconds, beginning at 0.
    fn feed(within: u64, hold: Option<u64>, outcomes: &[Outcome]) -> (Option<usize>, Verdict) {
        let mut window = Eventually::new(s(within), hold.map(s));
        for (n, outcome) in outcomes.iter().enumerate() {
            if let Next::Done(verdict) = window.look(s(10 * n as u64), &Verdict::of(*outcome, "because")) {
                return (Some(n), verdict);
            }
        }
        (None, window.at_end(s(10 * outcomes.len() as u64)))
    }

    #[test]
    fn it_ends_at_the_first_look_that_holds() {
        use Outcome::{Error, Fail, Inconclusive, Pass, Warn};
        assert_eq!(feed(60, None, &[Pass]).0, Some(0));
        assert_eq!(feed(60, None, &[Fail, Error, Inconclusive, Pass, Fail]).0, Some(3));
        let (at, verdict) = feed(60, None, &[Fail, Warn]);
        assert_eq!((at, verdict.outcome), (Some(1), Warn));
        assert_eq!(verdict.summary, "held after 10s (2 looks): because");
    }

    #[test]
    fn with_hold_it_must_go_on_holding() {
        use Outcome::{Error, Fail, Pass};
        assert_eq!(feed(60, Some(20), &[Pass, Pass, Pass]).0, Some(2));
        assert_eq!(feed(60, Some(20), &[Pass, Pass, Fail, Pass, Pass, Pass]).0, Some(5));
        assert_eq!(feed(60, Some(20), &[Pass, Pass, Error, Pass, Pass, Pass]).0, Some(5));
    }

    #[test]
    fn a_row_that_began_in_time_may_be_completed() {
        use Outcome::{Fail, Pass};
        let row = [Fail, Fail, Fail, Pass, Pass, Pass, Pass];
        let (at, verdict) = feed(30, Some(30), &row);
        assert_eq!((at, verdict.outcome), (Some(6), Pass));
        let broken = [Fail, Fail, Fail, Pass, Fail, Pass, Pass];
        let (at, verdict) = feed(30, Some(30), &broken);
        assert_eq!((at, verdict.outcome), (Some(4), Fail));
    }

    #[test]
    fn when_the_time_is_up_the_last_word_stays() {
        use Outcome::{Error, Fail, Inconclusive, Pass};
        for last in [Fail, Error, Inconclusive] {
            let (_, verdict) = feed(20, None, &[Fail, Fail, last]);
            assert_eq!(verdict.outcome, last);
            assert_eq!(verdict.summary, "did not hold within 20s (3 looks, last: because)");
        }
        assert_eq!(feed(20, None, &[]).1.outcome, Error);
        assert_eq!(feed(100, Some(50), &[Fail, Pass]).1.outcome, Inconclusive);
    }

    proptest! {
        #[test]
        fn it_passes_exactly_when_some_look_holds(numbers in prop::collection::vec(0_usize..5, 0..20)) {
            use Outcome::{Error, Fail, Inconclusive, Pass, Warn};
            let outcomes: Vec<_> = numbers.iter().map(|n| [Pass, Warn, Fail, Error, Inconclusive][*n]).collect();
            let (at, verdict) = feed(100, None, &outcomes);
            let first = outcomes.iter().take(11).position(|o| o.satisfies());
            prop_assert_eq!(verdict.outcome.satisfies(), first.is_some());
            if first.is_some() {
                prop_assert_eq!(at, first);
            }
        }
    }
}
