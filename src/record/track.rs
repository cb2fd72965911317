//! A long row of looks or checkpoints in little memory: a few bytes of each, and the telling ones in full.
//!
//! Half a million looks must be held by whoever writes a report. Of each, the number, the time, the outcome, the
//! measured value and its limit are kept (40 bytes); in full the first and the last [`ENDS`], and of those between that
//! did not pass the first and the last [`WORST`]. A row of no more than `2 * ENDS` is there in full. The events in the
//! store have everything; what judges again reads those.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::Check;
use crate::event::Look;
use crate::model::{Outcome, Verdict};

/// How many are kept in full at either end of a row.
pub const ENDS: usize = 16;

/// How many that did not pass are kept in full behind the first ones, and again before the last ones.
pub const WORST: usize = 16;

/// How many reasons are kept apart from what is kept in full.
const REASONS: usize = 1000;

/// What is kept in a row.
pub trait Tracked {
    /// Returns the few bytes of it that are always kept, and why it is not a plain pass.
    fn point(&self) -> (Point, &str);
}

/// The gist of one look, or of a step at one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The number of the look, or of the checkpoint.
    pub n: u32,
    /// When it was observed: for a look into the past, the time that was asked about.
    pub at: DateTime<Utc>,
    /// How it came out.
    pub outcome: Outcome,
    /// The measured number, where there is exactly one; of several assertions, that of the first with a limit.
    pub value: Option<f64>,
    /// The limit as a number, where there is exactly one.
    pub limit: Option<f64>,
}

/// A row of looks, or of checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Track<T> {
    points: Vec<Packed>,
    reasons: Vec<(u32, Arc<str>)>,
    first: Vec<T>,
    worst_first: Vec<T>,
    worst_last: VecDeque<T>,
    last: VecDeque<T>,
}

/// A point without the room that options and alignment take.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Packed {
    at: DateTime<Utc>,
    n: u32,
    value: f64,
    limit: f64,
    outcome: Outcome,
    has: u8,
}

const VALUE: u8 = 1;
const LIMIT: u8 = 2;

impl<T: Tracked> Track<T> {
    /// Adds the next one.
    pub fn push(&mut self, item: T) {
        let (point, reason) = item.point();
        self.add_reason(reason);
        self.points.push(Packed::of(&point));
        if self.first.len() < ENDS {
            return self.first.push(item);
        }
        self.last.push_back(item);
        if self.last.len() > ENDS {
            self.settle();
        }
    }

    /// Removes the last one and returns it. What had been dropped to make room for it stays dropped.
    pub fn pop(&mut self) -> Option<T> {
        self.points.pop()?;
        let left = u32::try_from(self.points.len()).unwrap_or(u32::MAX);
        self.reasons.retain(|(at, _)| *at < left);
        self.last.pop_back().or_else(|| if left < ENDS as u32 { self.first.pop() } else { None })
    }

    /// Keeps the oldest of the last ones only when it did not pass.
    fn settle(&mut self) {
        let Some(item) = self.last.pop_front() else { return };
        match item.point().0.outcome {
            Outcome::Pass | Outcome::NotApplicable => {}
            _ if self.worst_first.len() < WORST => self.worst_first.push(item),
            _ => {
                self.worst_last.push_back(item);
                if self.worst_last.len() > WORST {
                    self.worst_last.pop_front();
                }
            }
        }
    }

    fn add_reason(&mut self, reason: &str) {
        if reason.is_empty() || self.reasons.len() >= REASONS {
            return;
        }
        let at = u32::try_from(self.points.len()).unwrap_or(u32::MAX);
        let known = self.reasons.last().filter(|(_, last)| **last == *reason).map(|(_, last)| Arc::clone(last));
        self.reasons.push((at, known.unwrap_or_else(|| reason.into())));
    }
}

impl<T> Track<T> {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Walks over the gist of each, in order.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = Point> + ExactSizeIterator + '_ {
        self.points.iter().map(Packed::point)
    }

    /// Walks over the gist of each with why it is not a plain pass: empty for a pass, and beyond the first thousand
    /// that were not.
    pub fn told(&self) -> impl Iterator<Item = (Point, &str)> {
        let mut reasons = self.reasons.iter().peekable();
        self.points.iter().zip(0_u32..).map(move |(packed, at)| {
            let reason = reasons.next_if(|(of, _)| *of == at).map_or("", |(_, reason)| &**reason);
            (packed.point(), reason)
        })
    }

    /// Walks over those that are kept in full, in order.
    pub fn full(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.worst_first).chain(&self.worst_last).chain(&self.last)
    }

    /// Tells whether every one is kept in full.
    pub fn is_full(&self) -> bool {
        self.full().count() == self.points.len()
    }

    /// Returns the first one.
    pub fn first(&self) -> Option<&T> {
        self.first.first()
    }

    /// Returns the last one.
    pub fn last(&self) -> Option<&T> {
        self.last.back().or_else(|| self.first.last())
    }
}

/// Written as the list of those that are kept in full.
impl<T: Serialize> Serialize for Track<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.full())
    }
}

impl<T> Default for Track<T> {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            reasons: Vec::new(),
            first: Vec::new(),
            worst_first: Vec::new(),
            worst_last: VecDeque::new(),
            last: VecDeque::new(),
        }
    }
}

impl<T: Tracked> FromIterator<T> for Track<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut track = Self::default();
        items.into_iter().for_each(|item| track.push(item));
        track
    }
}

impl<T: Tracked> From<Vec<T>> for Track<T> {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl Packed {
    fn of(point: &Point) -> Self {
        let has = point.value.map_or(0, |_| VALUE) | point.limit.map_or(0, |_| LIMIT);
        let (value, limit) = (point.value.unwrap_or_default(), point.limit.unwrap_or_default());
        Self { at: point.at, n: point.n, value, limit, outcome: point.outcome, has }
    }

    fn point(&self) -> Point {
        let there = |bit: u8, number: f64| (self.has & bit != 0).then_some(number);
        let (value, limit) = (there(VALUE, self.value), there(LIMIT, self.limit));
        Point { n: self.n, at: self.at, outcome: self.outcome, value, limit }
    }
}

impl Tracked for Look {
    fn point(&self) -> (Point, &str) {
        let (value, limit) = numbers(&self.verdict);
        let (n, at, outcome) = (self.n, self.as_of.unwrap_or(self.at), self.verdict.outcome);
        (Point { n, at, outcome, value, limit }, &self.verdict.summary)
    }
}

impl Tracked for Check {
    fn point(&self) -> (Point, &str) {
        let result = &self.result;
        let (value, limit) = result.look.as_deref().map_or((None, None), |look| numbers(&look.verdict));
        let at = result.look.as_deref().map_or(result.started, |look| look.as_of.unwrap_or(look.at));
        (Point { n: self.n, at, outcome: result.outcome, value, limit }, &result.reason)
    }
}

/// Returns the number that charts show, with its limit.
fn numbers(verdict: &Verdict) -> (Option<f64>, Option<f64>) {
    let findings = &verdict.findings;
    let limited = findings.iter().find(|f| f.value.is_some() && f.limit.is_some());
    let chosen = limited.or_else(|| findings.iter().find(|f| f.value.is_some()));
    chosen.map_or((None, None), |finding| (finding.value, finding.limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Found, Measures, Observation};

    fn look(n: u32, outcome: Outcome) -> Look {
        let at = DateTime::from_timestamp(1_790_000_000 + i64::from(n), 0).expect("a time");
        let summary = if outcome == Outcome::Pass { String::new() } else { format!("not so {}", n / 2) };
        Look {
            n,
            ..Look::new(at, Observation::new("x", Found::Measures(Measures::new())), Verdict::of(outcome, summary))
        }
    }

    fn track(count: u32, bad: impl Fn(u32) -> bool) -> Track<Look> {
        (1..=count).map(|n| look(n, if bad(n) { Outcome::Fail } else { Outcome::Pass })).collect()
    }

    #[test]
    fn a_short_row_is_there_in_full() {
        for count in 0..=2 * ENDS as u32 {
            let track = track(count, |n| n % 3 == 0);
            let full: Vec<u32> = track.full().map(|look| look.n).collect();
            assert_eq!(full, (1..=count).collect::<Vec<_>>());
            assert!(track.is_full());
            assert_eq!(track.last().map(|look| look.n), (count > 0).then_some(count));
        }
    }

    #[test]
    fn of_a_long_row_every_point_and_the_telling_looks_are_kept() {
        let track = track(100_000, |n| n % 100 == 0);
        assert_eq!((track.len(), track.points().filter(|p| p.outcome == Outcome::Fail).count()), (100_000, 1000));
        let full: Vec<u32> = track.full().map(|look| look.n).collect();
        assert_eq!(full.len(), 2 * ENDS + 2 * WORST);
        assert!(full.is_sorted() && full[ENDS] == 100 && full.ends_with(&[100_000]), "{full:?}");
        let told: Vec<(u32, &str)> =
            track.told().map(|(p, why)| (p.n, why)).filter(|(_, why)| !why.is_empty()).collect();
        assert_eq!((told.len(), told[0]), (1000, (100, "not so 50")));
        assert!(size_of::<Packed>() <= 40);
    }

    #[test]
    fn the_last_one_can_be_taken_back() {
        let mut track = track(40, |n| n == 40);
        assert_eq!(track.pop().map(|look| look.n), Some(40));
        assert_eq!((track.len(), track.last().map(|look| look.n)), (39, Some(39)));
        assert!(track.told().all(|(_, why)| why.is_empty()));
        track.push(look(40, Outcome::Pass));
        assert_eq!((track.len(), track.last().map(|look| look.n)), (40, Some(40)));
    }
}
