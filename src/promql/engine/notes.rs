//! Annotations: warnings and infos that go with an answer, each once, with the place in the query that it is about.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{go_g, go_g2, utc};
use super::labels::Quoted;

/// The annotations of one query.
pub(super) struct Notes<'a> {
    query: &'a str,
    warnings: BTreeSet<String>,
    infos: BTreeSet<String>,
    /// What was mended in the buckets of classic histograms, by what is said of it and where.
    mended: BTreeMap<(String, usize), Mended>,
}

/// What was mended in the buckets of classic histograms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mended {
    pub(super) lowest: f64,
    pub(super) highest: f64,
    pub(super) most: f64,
    count: usize,
    first: i64,
    last: i64,
}

impl Mended {
    pub(super) fn new(t: i64, lowest: f64, highest: f64, most: f64) -> Self {
        Self { lowest, highest, most, count: 1, first: t, last: t }
    }
}

impl<'a> Notes<'a> {
    pub(super) fn new(query: &'a str) -> Self {
        Self { query, warnings: BTreeSet::new(), infos: BTreeSet::new(), mended: BTreeMap::new() }
    }

    pub(super) fn warn(&mut self, at: usize, text: &str) {
        let place = self.place(at);
        self.warnings.insert(format!("PromQL warning: {text} ({place})"));
    }

    pub(super) fn info(&mut self, at: usize, text: &str) {
        let place = self.place(at);
        self.infos.insert(format!("PromQL info: {text} ({place})"));
    }

    /// Warns of a quantile that is none.
    pub(super) fn quantile(&mut self, at: usize, q: f64) {
        if !(0.0..=1.0).contains(&q) {
            self.warn(at, &format!("quantile value should be between 0 and 1, got {}", go_g(q)));
        }
    }

    /// Says that buckets had to be mended.
    pub(super) fn mended(&mut self, at: usize, metric: &str, one: Mended) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let all =
            self.mended.entry((format!("{text}{}", for_metric(metric)), at)).or_insert(Mended { count: 0, ..one });
        all.lowest = all.lowest.min(one.lowest);
        all.highest = all.highest.max(one.highest);
        all.most = all.most.max(one.most);
        all.count += one.count;
        all.first = all.first.min(one.first);
        all.last = all.last.max(one.last);
    }

    /// Returns the warnings and the infos.
    pub(super) fn finish(mut self) -> (Vec<String>, Vec<String>) {
        for ((text, at), all) in std::mem::take(&mut self.mended) {
            let (from, to, most) = (go_g(all.lowest), go_g(all.highest), go_g2(all.most));
            let times = format!("over {} samples from {} to {}", all.count, utc(all.first), utc(all.last));
            self.info(at, &format!("{text}, from buckets {from} to {to}, with a max diff of {most}, {times}"));
        }
        (self.warnings.into_iter().collect(), self.infos.into_iter().collect())
    }

    /// Writes a place as line and column, both from 1.
    fn place(&self, at: usize) -> String {
        let before = self.query.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |i| i + 1) + 1;
        format!("{line}:{column}")
    }
}

/// Names the metric that an annotation is about, if there is one.
pub(super) fn for_metric(metric: &str) -> String {
    if metric.is_empty() { String::new() } else { format!(" for metric name {}", Quoted(metric)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_note_is_said_once_with_its_place() {
        let mut notes = Notes::new("a\n+ b");
        notes.quantile(4, 1.5);
        notes.quantile(4, 1.5);
        notes.quantile(0, 0.5);
        notes.info(0, "x");
        let (warnings, infos) = notes.finish();
        assert_eq!(warnings, ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (2:3)"]);
        assert_eq!(infos, ["PromQL info: x (1:1)"]);
    }

    #[test]
    fn mended_buckets_are_summed_up() {
        let mut notes = Notes::new("q");
        notes.mended(0, "h", Mended::new(60_000, 2.5, 75.0, 7.5));
        notes.mended(0, "h", Mended::new(0, 10.0, f64::INFINITY, 10.25));
        let info = notes.finish().1.pop().expect("an info");
        let wanted = "for metric name \"h\", from buckets 2.5 to +Inf, with a max diff of 10, over 2 samples from \
                      1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:1)";
        assert!(info.ends_with(wanted), "{info}");
    }
}
