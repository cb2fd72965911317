//! All series, behind one lock that readers share.

use std::collections::{BTreeSet, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::index::Index;
use super::series::{Append, Series};
use crate::promql::engine::labels::LabelMap;
use crate::promql::engine::{Labels, Matcher, Sample, Selection, Storage, StorageError, Wanted};

/// How far ahead of the clock a sample may be, in milliseconds: as in Prometheus.
const MOST_AHEAD: i64 = 10 * 60 * 1000;
/// The most names of metrics that are remembered after their series are gone.
const MOST_NAMES: usize = 10_000;

/// What a storage is made for.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How long samples are kept; nothing keeps them for ever.
    pub keep: Option<Duration>,
    /// The most series.
    pub max_series: usize,
}

/// Samples in memory.
#[derive(Debug)]
pub struct Memory {
    shape: Shape,
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    series: Vec<Series>,
    places: LabelMap<u32>,
    index: Index,
    /// Grows whenever series were dropped: the numbers of all others have changed then.
    generation: u64,
    /// The metrics of which there were series once.
    gone: BTreeSet<Box<str>>,
    /// The oldest and the newest sample that was ever kept.
    span: Option<(i64, i64)>,
}

/// There would be more series than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{series} series or more, where max_series allows {most}")]
pub struct Full {
    /// How many there would be at least.
    pub series: usize,
    /// How many there may be.
    pub most: usize,
}

/// Samples that were not kept, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// A later sample of the series is there.
    pub out_of_order: u64,
    /// The series has another value at that time.
    pub duplicate: u64,
    /// They are older than what is kept.
    pub too_old: u64,
    /// They are more than ten minutes ahead of the clock.
    pub ahead: u64,
}

impl Dropped {
    /// Returns how many there are in all.
    pub fn count(&self) -> u64 {
        self.out_of_order + self.duplicate + self.too_old + self.ahead
    }

    /// Says how many there are of each kind: `2 out of order, 1 duplicate`. Nothing when there is none.
    pub fn words(&self) -> Option<String> {
        let kinds = [
            (self.out_of_order, "out of order"),
            (self.duplicate, "with another value at the same time"),
            (self.too_old, "older than what is kept"),
            (self.ahead, "more than 10m ahead of the clock"),
        ];
        let said: Vec<_> = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (!said.is_empty()).then(|| said.join(", "))
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.out_of_order += other.out_of_order;
        self.duplicate += other.duplicate;
        self.too_old += other.too_old;
        self.ahead += other.ahead;
    }
}

/// A series that somebody writes to, and where it stood last.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) labels: Labels,
    /// The generation and the number in it.
    place: Option<(u64, u32)>,
}

impl Slot {
    pub(super) fn new(labels: Labels) -> Self {
        Self { labels, place: None }
    }
}

impl Memory {
    /// Makes an empty one.
    pub fn new(shape: Shape) -> Self {
        Self { shape, held: RwLock::default() }
    }

    /// Returns the number of series.
    pub fn series(&self) -> usize {
        self.read().series.len()
    }

    /// Returns the times of the oldest and of the newest sample that was ever kept, in milliseconds since 1970.
    pub fn span(&self) -> Option<(i64, i64)> {
        self.read().span
    }

    /// Returns how many samples the series has that has most.
    pub fn longest(&self) -> usize {
        self.read().series.iter().map(Series::count).max().unwrap_or_default()
    }

    /// Lists the names of the metrics of which there are or were series, at most `most` of them, that fit.
    pub fn names(&self, fits: impl Fn(&str) -> bool, most: usize) -> Vec<String> {
        let held = self.read();
        let gone = held.gone.iter().map(|name| &**name);
        let all: BTreeSet<&str> = held.index.values("__name__").chain(gone).filter(|name| fits(name)).collect();
        all.into_iter().take(most).map(str::to_owned).collect()
    }

    /// Returns the most series that there may be.
    pub(super) fn max_series(&self) -> usize {
        self.shape.max_series
    }

    /// Adds samples to the slots that they name: all of them, or none when there would be too many series. `now` is the
    /// time of the clock, in milliseconds since 1970; nothing for data of another time, which may have any.
    ///
    /// # Errors
    /// When there would be too many series.
    pub(super) fn add(&self, slots: &mut [Slot], samples: &[(u32, Sample)], now: Option<i64>) -> Result<Dropped, Full> {
        let mut held = self.write();
        let held = &mut *held;
        let mut new = HashSet::new();
        for (slot, _) in samples {
            let Some(slot) = slots.get_mut(*slot as usize) else { continue };
            if slot.place.is_none_or(|(generation, _)| generation != held.generation) {
                slot.place = held.places.get(&slot.labels).map(|number| (held.generation, *number));
            }
            if slot.place.is_none() {
                new.insert(slot.labels.clone());
            }
        }
        let series = held.series.len() + new.len();
        if series > self.shape.max_series {
            return Err(Full { series, most: self.shape.max_series });
        }
        let span = (
            now.map_or(i64::MIN, |now| now.saturating_sub(self.keep())),
            now.map_or(i64::MAX, |now| now.saturating_add(MOST_AHEAD)),
        );
        let mut dropped = Dropped::default();
        for (slot, sample) in samples {
            let Some(slot) = slots.get_mut(*slot as usize) else { continue };
            if sample.t < span.0 {
                dropped.too_old += 1;
            } else if sample.t > span.1 {
                dropped.ahead += 1;
            } else {
                let number = match slot.place {
                    Some((_, number)) => number,
                    None => held.place(&slot.labels),
                };
                slot.place = Some((held.generation, number));
                held.append(number, *sample, &mut dropped);
            }
        }
        Ok(dropped)
    }

    /// Returns how long samples are kept, in milliseconds.
    fn keep(&self) -> i64 {
        self.shape.keep.and_then(|keep| i64::try_from(keep.as_millis()).ok()).unwrap_or(i64::MAX)
    }

    /// Drops what is older than the retention, seen from `now`, in milliseconds since 1970.
    pub fn forget(&self, now: i64) {
        if self.shape.keep.is_none() {
            return;
        }
        let floor = now.saturating_sub(self.keep());
        let mut held = self.write();
        let mut empty = false;
        for series in &mut held.series {
            empty |= !series.drop_before(floor);
        }
        if empty {
            held.compact();
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Finds the place of a series, and makes one if need be.
    fn place(&mut self, labels: &Labels) -> u32 {
        if let Some(number) = self.places.get(labels) {
            return *number;
        }
        // The limit on series lies far below.
        let number = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        self.series.push(Series::new(labels.clone()));
        self.places.insert(labels.clone(), number);
        self.index.add(labels, number);
        number
    }

    fn append(&mut self, number: u32, sample: Sample, dropped: &mut Dropped) {
        let Some(series) = self.series.get_mut(number as usize) else { return };
        match series.append(sample) {
            Append::Kept => {
                let (oldest, newest) = self.span.unwrap_or((sample.t, sample.t));
                self.span = Some((oldest.min(sample.t), newest.max(sample.t)));
            }
            Append::OutOfOrder => dropped.out_of_order += 1,
            Append::Duplicate => dropped.duplicate += 1,
        }
    }

    /// Takes the series out that have no sample any more, and numbers the others anew.
    fn compact(&mut self) {
        let series = std::mem::take(&mut self.series);
        let (kept, gone): (Vec<_>, Vec<_>) = series.into_iter().partition(|series| series.last().is_some());
        for series in gone {
            if self.gone.len() < MOST_NAMES && !self.gone.contains(series.labels.metric()) {
                self.gone.insert(series.labels.metric().into());
            }
        }
        self.places.clear();
        self.index = Index::default();
        for (series, number) in kept.iter().zip(0..) {
            self.places.insert(series.labels.clone(), number);
            self.index.add(&series.labels, number);
        }
        self.series = kept;
        self.generation += 1;
    }
}

impl Storage for Memory {
    fn select(&self, wanted: &Wanted<'_>, found: &mut Selection<'_>) -> Result<(), StorageError> {
        let held = self.read();
        let (candidates, settled) = held.index.candidates(wanted.matchers);
        let open: Vec<&Matcher> = wanted.matchers.iter().zip(settled).filter(|(_, s)| !s).map(|(m, _)| m).collect();
        let mut look = |series: &Series| match open.iter().all(|m| m.fits_labels(&series.labels)) {
            true => series.select(wanted.from, wanted.to, wanted.newest, found),
            false => Ok(()),
        };
        match candidates {
            Some(numbers) => numbers.iter().filter_map(|n| held.series.get(*n as usize)).try_for_each(&mut look),
            None => held.series.iter().try_for_each(&mut look),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::engine::MatchOp;
    use crate::promql::engine::storage::Stop;

    fn memory(keep: u64, max_series: usize) -> Memory {
        Memory::new(Shape { keep: Some(Duration::from_secs(keep)), max_series })
    }

    fn slot(text: &str) -> Slot {
        Slot::new(Labels::new(text.split(',').filter_map(|pair| pair.split_once('='))))
    }

    fn at(slot: u32, t: i64, v: f64) -> (u32, Sample) {
        (slot, Sample { t, v })
    }

    fn select(memory: &Memory, matchers: &[(&str, MatchOp, &str)], from: i64, to: i64, newest: bool) -> Vec<String> {
        let matchers: Vec<_> = matchers.iter().map(|(n, op, v)| Matcher::new(n, *op, v).expect("a matcher")).collect();
        let stop = Stop::default();
        let mut found = Selection::new(1_000_000, &stop);
        memory.select(&Wanted { matchers: &matchers, from, to, newest }, &mut found).expect("readable");
        let mut out: Vec<_> = found
            .iter()
            .map(|(labels, samples)| {
                let samples: Vec<_> = samples.iter().map(|s| format!("{}@{}", s.v, s.t)).collect();
                format!("{labels} {}", samples.join(" "))
            })
            .collect();
        out.sort();
        out
    }

    const NAME: &str = "__name__";

    #[test]
    fn series_are_found_by_every_kind_of_matcher() {
        let memory = memory(900, 100);
        let mut slots = [slot("__name__=up,job=a"), slot("__name__=up,job=b,x=1"), slot("__name__=down,job=a")];
        let samples = [at(0, 1, 1.0), at(1, 1, 2.0), at(2, 1, 3.0)];
        assert_eq!(memory.add(&mut slots, &samples, None), Ok(Dropped::default()));
        let find = |matchers: &[_]| select(&memory, matchers, 0, 9, false).len();
        assert_eq!(find(&[(NAME, MatchOp::Equal, "up")]), 2);
        assert_eq!(find(&[(NAME, MatchOp::Equal, "up"), ("job", MatchOp::Fits, "b|c")]), 1);
        assert_eq!(find(&[("job", MatchOp::Fits, "a.*")]), 2);
        assert_eq!(find(&[(NAME, MatchOp::Fits, ".+"), ("x", MatchOp::Equal, "")]), 2);
        assert_eq!(find(&[(NAME, MatchOp::NotEqual, "up")]), 1);
        assert_eq!(find(&[("x", MatchOp::NotEqual, "")]), 1);
        assert_eq!(find(&[("job", MatchOp::FitsNot, "a|c")]), 1);
        assert_eq!(find(&[("nowhere", MatchOp::Equal, "a")]), 0);
        assert_eq!(find(&[("nowhere", MatchOp::Fits, ".*")]), 3);
    }

    #[test]
    fn samples_between_two_times_are_found_across_chunks() {
        let memory = memory(100_000, 100);
        let mut slots = [slot("__name__=a")];
        for n in 0..200 {
            memory.add(&mut slots, &[at(0, n * 10, n as f64)], None).expect("room");
        }
        let find = |from, to, newest| select(&memory, &[(NAME, MatchOp::Equal, "a")], from, to, newest);
        assert_eq!(find(595, 620, false), ["a 60@600 61@610 62@620"]);
        assert_eq!(find(0, 5000, true), ["a 199@1990"]);
        assert_eq!(
            (find(590, 605, true), find(100, 105, true)),
            (vec!["a 60@600".into()], vec!["a 10@100".to_owned()])
        );
        assert_eq!((find(1991, 5000, true).len(), find(-9, -1, true).len(), find(601, 605, false).len()), (0, 0, 0));
        assert_eq!(find(0, 1990, false)[0].split(' ').count(), 201);
    }

    #[test]
    fn what_prometheus_would_not_keep_is_dropped_and_counted() {
        let memory = memory(60, 100);
        let mut slots = [slot("__name__=a")];
        let now = 1_000_000;
        let samples = [
            at(0, now, 1.0),
            at(0, now, 1.0),
            at(0, now, 2.0),
            at(0, now - 1, 1.0),
            at(0, now - 60_001, 1.0),
            at(0, now + 600_001, 1.0),
            at(0, now + 600_000, 5.0),
        ];
        let dropped = memory.add(&mut slots, &samples, Some(now)).expect("room");
        assert_eq!(dropped, Dropped { out_of_order: 1, duplicate: 1, too_old: 1, ahead: 1 });
        assert_eq!(
            dropped.words().as_deref(),
            Some(
                "1 out of order, 1 with another value at the same time, 1 older than what is kept, 1 more than 10m ahead of the clock"
            )
        );
        assert_eq!(select(&memory, &[], 0, i64::MAX, false), ["a 1@1000000 5@1600000"]);
    }

    #[test]
    fn too_many_series_are_refused_as_a_whole() {
        let memory = memory(60, 2);
        let mut slots = [slot("__name__=a"), slot("__name__=b"), slot("__name__=c"), slot("__name__=b")];
        memory.add(&mut slots, &[at(0, 1, 1.0)], None).expect("room");
        let full = memory.add(&mut slots, &[at(0, 2, 1.0), at(1, 2, 1.0), at(2, 2, 1.0)], None);
        assert_eq!(full, Err(Full { series: 3, most: 2 }));
        assert_eq!(select(&memory, &[], 0, 9, false), ["a 1@1"]);
        memory.add(&mut slots, &[at(1, 2, 1.0), at(3, 3, 1.0)], None).expect("the same series twice is one");
        assert_eq!(memory.series(), 2);
    }

    #[test]
    fn what_is_older_than_the_retention_goes_and_the_rest_is_still_found() {
        let memory = memory(60, 100);
        let mut slots = [slot("__name__=old,x=1"), slot("__name__=young,x=1")];
        for n in 0..100_i64 {
            memory.add(&mut slots, &[at(1, n * 1000, n as f64)], None).expect("room");
            if n < 10 {
                memory.add(&mut slots, &[at(0, n * 1000, n as f64)], None).expect("room");
            }
        }
        memory.forget(99_000 + 60_000 - 30_000);
        assert_eq!(memory.series(), 1);
        let young = select(&memory, &[("x", MatchOp::Equal, "1")], 0, i64::MAX, false);
        assert!(young.len() == 1 && young[0].starts_with("young{x=\"1\"} 60@60000") && young[0].ends_with("99@99000"));
        assert_eq!(memory.names(|name| name == "old", 9), ["old"]);
        // Places of the generation before are found anew.
        memory.add(&mut slots, &[at(1, 100_000, 1.0), at(0, 100_000, 2.0)], None).expect("room");
        assert_eq!(select(&memory, &[(NAME, MatchOp::Equal, "old")], 0, i64::MAX, false), ["old{x=\"1\"} 2@100000"]);
        assert_eq!(select(&memory, &[(NAME, MatchOp::Equal, "young")], 0, i64::MAX, true), ["young{x=\"1\"} 1@100000"]);
    }
}
