//! What the engine asks of a storage: series by matchers, with their samples in time order.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::labels::Labels;
use super::matcher::Matcher;

/// One value at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970, UTC.
    pub t: i64,
    /// The value; [`STALE`] says that the series ended here.
    pub v: f64,
}

/// The value that marks the end of a series: one NaN among many, told apart by its bits.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Tells whether a value marks the end of a series.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// Where samples come from.
///
/// An implementation keeps an index of its own (see [`Matcher::values`]) and calls [`Selection::begin`] for each series
/// that fits all matchers, then [`Selection::push`] or [`Selection::samples`] for its samples. Their errors are handed
/// on with `?`: they are how a limit, a deadline or a cancellation stops a select half-way.
pub trait Storage: Send + Sync {
    /// Finds series and adds them to `found`, in any order; each label set once.
    ///
    /// # Errors
    /// When the storage cannot be read, or what [`Selection`] returned.
    fn select(&self, wanted: &Wanted<'_>, found: &mut Selection<'_>) -> Result<(), StorageError>;
}

/// What a selector asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// All of them must fit.
    pub matchers: &'a [Matcher],
    /// The first time, in milliseconds, itself included.
    pub from: i64,
    /// The last time, in milliseconds, itself included.
    pub to: i64,
    /// Only the newest sample of each series is looked at: a storage may give no other. A staleness marker is one too.
    pub newest: bool,
}

/// Why a select failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The query would hold more samples than it may.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// The query was cancelled.
    #[error("query was canceled in query execution")]
    Cancelled,
    /// The query's deadline has passed.
    #[error("query timed out in query execution")]
    TimedOut,
    /// A series holds native histograms.
    #[error("native histograms are not supported: {0}")]
    NativeHistogram(String),
    /// The storage itself failed.
    #[error("{0}")]
    Failed(String),
}

/// The series that a select has found so far; all their samples stand in one buffer.
pub struct Selection<'a> {
    series: Vec<(Labels, Range<usize>)>,
    samples: Vec<Sample>,
    most: usize,
    stop: &'a Stop,
}

impl<'a> Selection<'a> {
    pub(in crate::promql) fn new(most: usize, stop: &'a Stop) -> Self {
        Self { series: Vec::new(), samples: Vec::new(), most, stop }
    }

    /// Begins a series.
    ///
    /// # Errors
    /// When the query must stop.
    pub fn begin(&mut self, labels: &Labels) -> Result<(), StorageError> {
        if self.series.len().is_multiple_of(256) {
            self.stop.check()?;
        }
        let at = self.samples.len();
        self.series.push((labels.clone(), at..at));
        Ok(())
    }

    /// Adds a sample to the series begun last; later than those before it.
    ///
    /// # Errors
    /// When there are too many samples.
    pub fn push(&mut self, sample: Sample) -> Result<(), StorageError> {
        if self.samples.len() >= self.most {
            return Err(StorageError::TooManySamples);
        }
        self.samples.push(sample);
        if let Some((_, range)) = self.series.last_mut() {
            range.end = self.samples.len();
        }
        Ok(())
    }

    /// Adds samples to the series begun last, in time order and later than those before them.
    ///
    /// # Errors
    /// When there are too many samples.
    pub fn samples(&mut self, samples: &[Sample]) -> Result<(), StorageError> {
        if self.samples.len() + samples.len() > self.most {
            return Err(StorageError::TooManySamples);
        }
        self.samples.extend_from_slice(samples);
        if let Some((_, range)) = self.series.last_mut() {
            range.end = self.samples.len();
        }
        Ok(())
    }

    /// Returns the number of samples found.
    pub(super) fn count(&self) -> usize {
        self.samples.len()
    }

    /// Returns the series in the order in which they were found.
    pub(in crate::promql) fn iter(&self) -> impl ExactSizeIterator<Item = (&Labels, &[Sample])> {
        self.series.iter().map(|(labels, range)| (labels, &self.samples[range.clone()]))
    }
}

/// What stops a query from outside.
#[derive(Debug, Default)]
pub struct Stop {
    cancelled: AtomicBool,
    deadline: Option<Instant>,
}

impl Stop {
    /// Makes a query stop at a time.
    pub fn at(deadline: Instant) -> Self {
        Self { cancelled: AtomicBool::new(false), deadline: Some(deadline) }
    }

    /// Stops the query that was started with this, soon.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Tells whether to go on.
    ///
    /// # Errors
    /// When the query was cancelled or its deadline has passed.
    pub fn check(&self) -> Result<(), StorageError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(StorageError::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(StorageError::TimedOut),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_told_from_other_nans() {
        assert!(is_stale(STALE) && !is_stale(f64::NAN) && STALE.is_nan());
    }

    #[test]
    fn a_selection_stops_at_its_limit() {
        let stop = Stop::default();
        let mut found = Selection::new(2, &stop);
        found.begin(&Labels::empty()).expect("begun");
        found.push(Sample { t: 0, v: 1.0 }).expect("room");
        assert_eq!(found.samples(&[Sample { t: 1, v: 1.0 }; 2]), Err(StorageError::TooManySamples));
        found.push(Sample { t: 1, v: 1.0 }).expect("room");
        assert_eq!(found.push(Sample { t: 2, v: 1.0 }), Err(StorageError::TooManySamples));
        assert_eq!(found.count(), 2);
        stop.cancel();
        let mut found = Selection::new(2, &stop);
        assert_eq!(found.begin(&Labels::empty()), Err(StorageError::Cancelled));
    }
}
