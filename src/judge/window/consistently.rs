//! Must hold throughout, short breaches forgiven where the step says so.

use std::time::Duration;

use super::{Next, Sample, looks, sample, time, words};
use crate::model::{Finding, Outcome, Verdict};

/// Watches that something goes on holding for a time.
///
/// A look that fails opens a breach, and a look that holds closes it. A breach is as long as is known from the looks
/// that failed, the first to the last. Without `tolerate` and `failures` the first failing look is the end; with
/// either, it is the end as soon as that one is exceeded. A look that could not look, or could not tell, neither opens
/// nor closes a breach; it is a gap. With `min_samples` that many looks that held are enough, whatever the gaps. Without
/// it, one gap is a warning, as nobody knows what was in it, and more gaps than looks that saw something are
/// inconclusive. So is a window that was cut short. The first look of a limit that is relative to an earlier one neither
/// holds nor is a gap.
#[derive(Clone, Debug)]
pub struct Consistently {
    length: Duration,
    tolerate: Option<Duration>,
    failures: Option<u32>,
    min_samples: Option<u32>,
    good: u32,
    warned: u32,
    failed: u32,
    blank: u32,
    first: u32,
    breach: Option<Breach>,
    longest: Duration,
    worst: Option<Worst>,
    last_warn: Option<Verdict>,
    last_blank: Option<Verdict>,
    last: Option<Verdict>,
}

#[derive(Clone, Copy, Debug)]
struct Breach {
    since: Duration,
    looks: u32,
}

/// The look that came nearest to its limit, or went furthest beyond it.
#[derive(Clone, Debug)]
struct Worst {
    subject: String,
    failed: bool,
    distance: f64,
    observed: String,
}

impl Consistently {
    /// Opens a window of this length. `tolerate` is the longest breach that is forgiven (0 is none at all), `failures`
    /// how many looks may fail, `min_samples` how many looks must have held at the end (one, unless said).
    pub fn new(length: Duration, tolerate: Option<Duration>, failures: Option<u32>, min_samples: Option<u32>) -> Self {
        Self {
            length,
            tolerate: tolerate.filter(|tolerate| !tolerate.is_zero()),
            failures: failures.filter(|failures| *failures > 0 || tolerate.is_some_and(|t| !t.is_zero())),
            min_samples,
            good: 0,
            warned: 0,
            failed: 0,
            blank: 0,
            first: 0,
            breach: None,
            longest: Duration::ZERO,
            worst: None,
            last_warn: None,
            last_blank: None,
            last: None,
        }
    }

    /// Ends a window that had no end of its own, `elapsed` after it began.
    pub fn close(&mut self, elapsed: Duration) {
        self.length = elapsed;
    }

    /// Returns when the window ends.
    pub fn ends_at(&self) -> Duration {
        self.length
    }

    /// Takes the verdict of a look that began `elapsed` after the window. A look at or behind the end is the last.
    pub fn look(&mut self, elapsed: Duration, verdict: &Verdict) -> Next {
        self.last = Some(verdict.clone());
        match sample(verdict) {
            Sample::Good => self.take_good(verdict),
            Sample::Bad => {
                if let Some(why) = self.take_bad(elapsed, verdict) {
                    return Next::Done(self.broken(elapsed, verdict, &why));
                }
            }
            Sample::Blank => {
                self.blank = self.blank.saturating_add(1);
                self.last_blank = Some(verdict.clone());
            }
            Sample::First => self.first = self.first.saturating_add(1),
        }
        match elapsed >= self.length {
            true => Next::Done(self.at_end(elapsed)),
            false => Next::Continue,
        }
    }

    fn take_good(&mut self, verdict: &Verdict) {
        self.good = self.good.saturating_add(1);
        self.breach = None;
        if verdict.outcome == Outcome::Warn {
            self.warned = self.warned.saturating_add(1);
            self.last_warn = Some(verdict.clone());
        }
        self.remember(verdict, false);
    }

    /// Returns why that is the end, if it is.
    fn take_bad(&mut self, elapsed: Duration, verdict: &Verdict) -> Option<String> {
        self.failed = self.failed.saturating_add(1);
        let breach = self.breach.get_or_insert(Breach { since: elapsed, looks: 0 });
        breach.looks = breach.looks.saturating_add(1);
        let (lasted, count) = (elapsed.saturating_sub(breach.since), breach.looks);
        self.longest = self.longest.max(lasted);
        self.remember(verdict, true);
        if let Some(tolerate) = self.tolerate.filter(|tolerate| lasted > *tolerate) {
            let (lasted, tolerate) = (time(lasted), time(tolerate));
            return Some(format!("failing for {lasted} ({}), longer than the tolerated {tolerate}", looks(count)));
        }
        match (self.failures, self.tolerate) {
            (Some(failures), _) if self.failed > failures => {
                Some(format!("{} failed, more than the tolerated {failures}", looks(self.failed)))
            }
            (None, None) => Some("failed".into()),
            (Some(_), _) | (None, Some(_)) => None,
        }
    }

    /// Remembers the first limit of the step: the value that came nearest to it, or went furthest beyond it.
    fn remember(&mut self, verdict: &Verdict, failed: bool) {
        let subject = self.worst.as_ref().map(|worst| worst.subject.clone());
        let fits = |f: &&Finding| {
            f.expected.starts_with(['<', '>'])
                && (f.outcome == Outcome::Fail) == failed
                && subject.as_ref().is_none_or(|subject| *subject == f.subject)
        };
        let Some(finding) = verdict.findings.iter().find(fits) else { return };
        let (Some(value), Some(limit)) = (finding.value, finding.limit) else { return };
        let distance = (value - limit).abs();
        let worse = match &self.worst {
            None => !distance.is_nan(),
            Some(worst) if worst.failed != failed => failed,
            Some(worst) if failed => distance > worst.distance,
            Some(worst) => distance < worst.distance,
        };
        if worse {
            let (subject, observed) = (finding.subject.clone(), finding.observed.clone());
            self.worst = Some(Worst { subject, failed, distance, observed });
        }
    }

    fn broken(&self, elapsed: Duration, verdict: &Verdict, why: &str) -> Verdict {
        let n = self.count();
        let at = time(elapsed);
        let summary = match verdict.summary.is_empty() {
            true => format!("{why} after {at}, at look {n}"),
            false => format!("{why} after {at}, at look {n}: {}", verdict.summary),
        };
        Verdict { outcome: Outcome::Fail, summary, findings: verdict.findings.clone() }
    }

    /// Returns what follows when the window is over, or is cut short, `elapsed` after it began.
    pub fn at_end(&self, elapsed: Duration) -> Verdict {
        let findings = self.last.as_ref().map(|last| last.findings.clone()).unwrap_or_default();
        let (outcome, summary) = self.conclusion(elapsed);
        Verdict { outcome, summary, findings }
    }

    fn conclusion(&self, elapsed: Duration) -> (Outcome, String) {
        let length = time(self.length);
        let count = looks(self.count());
        if elapsed < self.length {
            return (Outcome::Inconclusive, format!("cut short after {} of {length} ({count})", time(elapsed)));
        }
        let because = self.last_blank.as_ref().map(|v| format!("; last: {}", words(v))).unwrap_or_default();
        if self.good == 0 && self.failed == 0 && self.first == 0 && self.all_errors() {
            return (Outcome::Error, format!("could not look once in {length} ({count}){because}"));
        }
        let enough = self.min_samples.unwrap_or(1).max(1);
        if self.good < enough {
            return (Outcome::Inconclusive, format!("only {} of {count} held, {enough} needed{because}", self.good));
        }
        // A look that took as long as the window has not seen that it went on holding.
        if self.count() < 2 && !self.length.is_zero() {
            return (
                Outcome::Inconclusive,
                format!("only {count} in {length}: whether it went on holding is not known"),
            );
        }
        if self.min_samples.is_none() && self.blank > self.count() / 2 {
            return (
                Outcome::Inconclusive,
                format!("{} of {count} could not look or could not tell, more than half{because}", self.blank),
            );
        }
        self.held(&length, &count)
    }

    fn held(&self, length: &str, count: &str) -> (Outcome, String) {
        let mut summary = format!("held for {length} over {count}");
        if let Some(worst) = &self.worst {
            summary.push_str(&format!(", worst {}", worst.observed));
        }
        if self.failed > 0 {
            summary.push_str(&format!("; {} failed, tolerated", looks(self.failed)));
            if !self.longest.is_zero() {
                summary.push_str(&format!(" (longest breach {})", time(self.longest)));
            }
        }
        let gap = self.blank > 0 && self.min_samples.is_none();
        if self.blank > 0 {
            let because = self.last_blank.as_ref().map(|v| format!(" (last: {})", words(v))).unwrap_or_default();
            summary.push_str(&format!("; {} could not look or could not tell{because}", looks(self.blank)));
        }
        if self.breach.is_some() {
            return (Outcome::Warn, format!("{summary}; it was failing at the end"));
        }
        match &self.last_warn {
            Some(warn) => (Outcome::Warn, format!("{summary}; {} warned: {}", looks(self.warned), words(warn))),
            None if gap => (Outcome::Warn, summary),
            None => (Outcome::Pass, summary),
        }
    }

    fn all_errors(&self) -> bool {
        self.last_blank.as_ref().is_none_or(|v| v.outcome == Outcome::Error)
    }

    fn count(&self) -> u32 {
        self.good.saturating_add(self.failed).saturating_add(self.blank).saturating_add(self.first)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Feeds outcomes one every ten seconds, beginning at 0, through a window that ends with the last of them.
    fn feed(tolerate: Option<u64>, failures: Option<u32>, outcomes: &[Outcome]) -> (usize, Verdict) {
        let length = s(10 * (outcomes.len() as u64 - 1));
        let mut window = Consistently::new(length, tolerate.map(s), failures, None);
        for (n, outcome) in outcomes.iter().enumerate() {
            if let Next::Done(verdict) = window.look(s(10 * n as u64), &Verdict::of(*outcome, "because")) {
                return (n, verdict);
            }
        }
        panic!("the last look is at the end");
    }

    #[test]
    fn breaches_are_forgiven_as_far_as_the_step_says() {
        use Outcome::{Error, Fail, Inconclusive, Pass, Warn};
        type Case = (Option<u64>, Option<u32>, &'static [Outcome], usize, Outcome);
        let table: &[Case] = &[
            (None, None, &[Pass, Pass, Pass], 2, Pass),
            (None, None, &[Pass, Fail, Pass], 1, Fail),
            (Some(0), None, &[Pass, Fail, Pass], 1, Fail),
            (Some(0), Some(1), &[Fail, Pass, Fail, Pass], 2, Fail),
            (Some(10), None, &[Pass, Fail, Fail, Pass], 3, Pass),
            (Some(10), None, &[Pass, Fail, Fail, Fail, Pass], 3, Fail),
            (Some(10), None, &[Fail, Fail, Pass, Fail, Fail, Pass], 5, Pass),
            (Some(10), None, &[Pass, Fail, Error, Fail, Pass], 3, Fail),
            (None, Some(2), &[Fail, Pass, Fail, Pass], 3, Pass),
            (None, Some(2), &[Fail, Pass, Fail, Fail, Pass], 3, Fail),
            (None, Some(0), &[Pass, Fail, Pass], 1, Fail),
            (Some(10), Some(2), &[Fail, Fail, Fail, Pass], 2, Fail),
            (Some(60), Some(1), &[Fail, Fail, Pass], 1, Fail),
            (None, None, &[Pass, Warn, Pass], 2, Warn),
            (None, None, &[Pass, Error, Pass], 2, Warn),
            (None, None, &[Pass, Inconclusive, Pass], 2, Warn),
            (None, None, &[Pass, Error], 1, Warn),
            (None, None, &[Pass, Error, Error], 2, Inconclusive),
            (None, None, &[Error, Error], 1, Error),
            (None, None, &[Inconclusive, Inconclusive], 1, Inconclusive),
            (Some(60), None, &[Fail, Fail], 1, Inconclusive),
            (Some(60), None, &[Pass, Fail], 1, Warn),
        ];
        for (tolerate, failures, outcomes, at, outcome) in table {
            let (n, verdict) = feed(*tolerate, *failures, outcomes);
            assert_eq!(
                (n, verdict.outcome),
                (*at, *outcome),
                "{outcomes:?} with {tolerate:?}, {failures:?}: {verdict:?}"
            );
        }
    }

    #[test]
    fn the_summary_names_the_time_the_looks_and_the_worst() {
        let mut window = Consistently::new(s(3600), None, None, None);
        let mut done = None;
        for n in 0..=60_u64 {
            let value = if n == 20 { 0.031 } else { 0.01 };
            let finding = Finding {
                subject: "value".into(),
                expected: "< 5%".into(),
                observed: format!("{}%", value * 100.0),
                outcome: Outcome::Pass,
                origin: None,
                value: Some(value),
                limit: Some(0.05),
            };
            let verdict = Verdict { outcome: Outcome::Pass, summary: String::new(), findings: vec![finding] };
            if let Next::Done(verdict) = window.look(s(60 * n), &verdict) {
                done = Some(verdict.summary);
            }
        }
        assert_eq!(done.as_deref(), Some("held for 1h over 61 looks, worst 3.1%"));
    }

    #[test]
    fn a_failure_names_its_look_and_its_breach() {
        let (_, verdict) = feed(Some(10), None, &[Outcome::Pass, Outcome::Fail, Outcome::Fail, Outcome::Fail]);
        let expected = "failing for 20s (3 looks), longer than the tolerated 10s after 30s, at look 4: because";
        assert_eq!(verdict.summary, expected);
    }

    #[test]
    fn a_window_that_is_cut_short_is_inconclusive() {
        let mut window = Consistently::new(s(60), None, None, Some(2));
        assert_eq!(window.at_end(s(0)).outcome, Outcome::Inconclusive);
        assert_eq!(window.look(s(0), &Verdict::of(Outcome::Pass, "")), Next::Continue);
        assert_eq!(window.at_end(s(20)).summary, "cut short after 20s of 1m (1 look)");
        assert_eq!(window.at_end(s(60)).outcome, Outcome::Inconclusive, "two samples are needed");
    }

    #[test]
    fn one_look_has_not_seen_that_it_went_on() {
        let mut window = Consistently::new(s(60), None, None, None);
        assert_eq!(window.look(s(0), &Verdict::of(Outcome::Pass, "")), Next::Continue);
        let end = window.at_end(s(70));
        assert_eq!(end.outcome, Outcome::Inconclusive);
        assert_eq!(end.summary, "only 1 look in 1m: whether it went on holding is not known");
    }

    #[test]
    fn gaps_are_forgiven_only_where_the_step_says_how_many_looks_are_enough() {
        let judged = |least: Option<u32>| {
            let mut window = Consistently::new(s(40), None, None, least);
            let outcomes = [Outcome::Pass, Outcome::Error, Outcome::Error, Outcome::Error, Outcome::Pass];
            let next = outcomes.iter().zip(0..).map(|(o, n)| window.look(s(10 * n), &Verdict::of(*o, "away"))).last();
            let Some(Next::Done(verdict)) = next else { panic!("the last look is at the end") };
            verdict
        };
        assert_eq!(judged(Some(2)).outcome, Outcome::Pass);
        assert_eq!(judged(Some(3)).outcome, Outcome::Inconclusive);
        let without = judged(None);
        assert_eq!(without.outcome, Outcome::Inconclusive);
        assert!(without.summary.starts_with("3 of 5 looks could not look"), "{}", without.summary);
        let (_, one) = feed(None, None, &[Outcome::Pass, Outcome::Error, Outcome::Pass]);
        assert_eq!(one.summary, "held for 20s over 3 looks; 1 look could not look or could not tell (last: because)");
    }

    #[test]
    fn a_first_look_neither_holds_nor_is_a_gap() {
        let first = Verdict {
            outcome: Outcome::Inconclusive,
            summary: String::new(),
            findings: vec![Finding {
                subject: "value".into(),
                expected: "<= previous".into(),
                observed: "7, taken as the first value".into(),
                outcome: Outcome::Inconclusive,
                origin: None,
                value: Some(7.0),
                limit: None,
            }],
        };
        let mut window = Consistently::new(s(20), None, None, None);
        assert_eq!(window.look(s(0), &first), Next::Continue);
        assert_eq!(window.at_end(s(20)).outcome, Outcome::Inconclusive, "nothing was ever compared");
        assert_eq!(window.look(s(10), &Verdict::of(Outcome::Pass, "")), Next::Continue);
        let Next::Done(end) = window.look(s(20), &Verdict::of(Outcome::Pass, "")) else { panic!("it is over") };
        assert_eq!((end.outcome, end.summary.as_str()), (Outcome::Pass, "held for 20s over 3 looks"));
    }

    proptest! {
        #[test]
        fn it_passes_only_when_nothing_failed_or_all_was_forgiven(
            numbers in prop::collection::vec(0_usize..4, 1..20),
            failures in prop::option::of(0_u32..4),
        ) {
            use Outcome::{Error, Fail, Pass, Warn};
            let outcomes: Vec<_> = numbers.iter().map(|n| [Pass, Warn, Fail, Error][*n]).collect();
            let (_, verdict) = feed(None, failures, &outcomes);
            let failed = outcomes.iter().filter(|o| **o == Fail).count() as u32;
            prop_assert_eq!(verdict.outcome == Fail, failed > failures.unwrap_or(0));
            let good = outcomes.iter().filter(|o| o.satisfies()).count();
            if verdict.outcome.satisfies() {
                let gap = outcomes.contains(&Error);
                prop_assert!(good > 0 && !((gap || outcomes.contains(&Warn)) && verdict.outcome == Pass));
            }
        }
    }
}
