//! A storage that holds what a script loads.

use holdpoint::promql::engine::{Labels, Sample, Selection, Storage, StorageError, Wanted};

use super::script::Load;

/// What is said of samples that have start times.
pub(crate) const START_TIMES: &str = "the samples have start times";

/// Series in memory.
#[derive(Default)]
pub(crate) struct Memory {
    series: Vec<Held>,
}

struct Held {
    labels: Labels,
    samples: Vec<Sample>,
    /// The times of native histograms.
    histograms: Vec<i64>,
    start_times: bool,
}

impl Memory {
    /// Adds a series.
    pub(crate) fn add(&mut self, labels: &Labels, samples: &[Sample]) {
        self.extend(labels, samples.to_vec(), Vec::new());
    }

    /// Loads what a script says.
    pub(crate) fn load(&mut self, load: &Load) {
        for (i, series) in load.series.iter().enumerate() {
            // Of two lines about the same series the last one counts.
            if load.series[i + 1..].iter().any(|later| later.labels == series.labels) {
                continue;
            }
            let times = series.values.iter().enumerate().map(|(i, v)| (load.step * i as i64, v));
            let samples: Vec<_> = times.clone().filter_map(|(t, v)| Some(Sample { t, v: v.number? })).collect();
            let histograms = times.filter(|(_, v)| v.histogram).map(|(t, _)| t).collect();
            if load.with_histograms {
                self.native(&series.labels, &samples);
            }
            self.extend(&series.labels, samples, histograms).start_times |= load.start_times;
        }
    }

    /// Adds the native histogram that classic buckets are turned into.
    fn native(&mut self, labels: &Labels, samples: &[Sample]) {
        let metric = labels.metric();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
        if let Some(base) = base {
            let labels = labels.with("le", "").with("__name__", base);
            self.extend(&labels, Vec::new(), samples.iter().map(|s| s.t).collect());
        }
    }

    fn extend(&mut self, labels: &Labels, samples: Vec<Sample>, histograms: Vec<i64>) -> &mut Held {
        let place = self.series.iter().position(|held| held.labels == *labels).unwrap_or(self.series.len());
        if place == self.series.len() {
            let (samples, histograms) = (Vec::new(), Vec::new());
            self.series.push(Held { labels: labels.clone(), samples, histograms, start_times: false });
        }
        let held = &mut self.series[place];
        held.samples.extend(samples);
        held.samples.sort_by_key(|s| s.t);
        held.samples.dedup_by_key(|s| s.t);
        held.histograms.extend(histograms);
        held
    }
}

impl Storage for Memory {
    fn select(&self, wanted: &Wanted<'_>, found: &mut Selection<'_>) -> Result<(), StorageError> {
        let fits = |held: &&Held| wanted.matchers.iter().all(|m| m.fits_labels(&held.labels));
        for held in self.series.iter().filter(fits) {
            let from = held.samples.partition_point(|s| s.t < wanted.from);
            let to = held.samples.partition_point(|s| s.t <= wanted.to).max(from);
            let mut samples = &held.samples[from..to];
            if wanted.newest {
                samples = &samples[samples.len().saturating_sub(1)..];
            }
            let newest_float = samples.last().map(|s| s.t);
            let mut histograms = held.histograms.iter().filter(|t| (wanted.from..=wanted.to).contains(t));
            let refused = match wanted.newest {
                true => histograms.any(|t| Some(*t) > newest_float),
                false => histograms.next().is_some(),
            };
            if refused {
                return Err(StorageError::NativeHistogram(held.labels.to_string()));
            }
            if samples.is_empty() {
                continue;
            }
            if held.start_times {
                return Err(StorageError::Failed(START_TIMES.to_owned()));
            }
            found.begin(&held.labels)?;
            found.samples(samples)?;
        }
        Ok(())
    }
}
