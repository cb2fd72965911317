//! The pages of one target, one after the other, as Prometheus takes them: a page whole or not at all, and a staleness
//! marker for every series that is gone.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::memory::{Dropped, Full, Memory, Slot};
use crate::promql::engine::labels::NAME;
use crate::promql::engine::{Labels, STALE, Sample};
use crate::promql::exposition::{self, Entry, Format, Malformed, Reader};

/// What happens to a label on the page that the target has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Honor {
    /// The target's stays, the page's gets the prefix `exported_`.
    Target,
    /// The page's stays.
    Page,
}

/// Takes the pages of one target.
#[derive(Debug)]
pub struct Feed {
    memory: Arc<Memory>,
    /// The labels of the target: `job`, `instance` and what else it was given.
    target: Vec<(String, String)>,
    honor: Honor,
    /// The series of earlier pages, by how they are written: the places of their slots.
    known: HashMap<Box<str>, u32>,
    slots: Vec<Slot>,
    /// For each slot, the last page that had it at all, and the last that had it without a time of its own.
    seen: Vec<(u64, u64)>,
    /// The series that tell about the scrapes themselves.
    about: Vec<Slot>,
    /// The number of the page, from 1.
    page: u64,
}

/// The series that tell about a scrape, as Prometheus names them.
const ABOUT: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// How many more series than a page has may be remembered by how they are written.
const SPARE: usize = 1000;

/// What a page came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many samples are on the page.
    pub samples: usize,
    /// How many series were not on the pages before.
    pub new: usize,
    /// What was not kept.
    pub dropped: Dropped,
}

/// Why a page was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A line of it is malformed.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// It would make too many series.
    #[error("{0}")]
    Full(#[from] Full),
    /// A sample has no time, where only the page could tell it.
    #[error("line {0}: the sample has no timestamp")]
    Timeless(usize),
}

/// The times of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// It was scraped at this time, in milliseconds since 1970, by the clock.
    Scraped(i64),
    /// It was scraped at this time, which need not be near the clock's.
    Recorded(i64),
    /// Its samples tell their times, several of a series perhaps; those without one have the time given here, if any.
    Own(Option<i64>),
}

impl Times {
    fn of(self) -> Option<i64> {
        match self {
            Self::Scraped(at) | Self::Recorded(at) => Some(at),
            Self::Own(at) => at,
        }
    }

    fn clock(self) -> Option<i64> {
        match self {
            Self::Scraped(at) => Some(at),
            Self::Recorded(_) | Self::Own(_) => None,
        }
    }
}

impl Feed {
    /// Makes the feed of a target with these labels.
    pub fn new(memory: Arc<Memory>, target: Vec<(String, String)>, honor: Honor) -> Self {
        let about = |name: &&str| {
            let pairs = target.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            Slot::new(Labels::new(pairs.chain([(NAME, *name)])))
        };
        let about = ABOUT.iter().map(about).collect();
        Self { memory, target, honor, known: HashMap::new(), slots: Vec::new(), seen: Vec::new(), about, page: 0 }
    }

    /// Takes a page: the whole of it or nothing. A series of the page before that is not on this one ends here.
    ///
    /// # Errors
    /// Says which line is malformed, or that there are too many series. The series of the page before end then too.
    pub fn take(&mut self, page: &[u8], format: Format, times: Times) -> Result<Taken, Refused> {
        self.page += 1;
        let before = self.slots.len();
        let read = self.read(page, format, times);
        let added = read.and_then(|samples| {
            let dropped = self.memory.add(&mut self.slots, &samples, times.clock())?;
            Ok(Taken { samples: samples.len(), new: self.slots.len() - before, dropped })
        });
        if added.is_err() {
            self.known.retain(|_, place| (*place as usize) < before);
            self.slots.truncate(before);
            self.seen.truncate(before);
            // Nothing of this page was kept.
            let page = self.page;
            self.seen.iter_mut().for_each(|(used, seen)| {
                *used = (*used).min(page - 1);
                *seen = (*seen).min(page - 1);
            });
        }
        if let (Some(at), false) = (times.of(), matches!(times, Times::Own(_))) {
            self.end_missing(at);
        }
        self.forget_unused();
        added
    }

    /// Takes note that the target gave no page: all its series end.
    pub fn lost(&mut self, at: i64) {
        self.page += 1;
        self.end_missing(at);
    }

    /// Adds what Prometheus tells about a scrape: `up`, `scrape_duration_seconds` and the counts of samples.
    ///
    /// # Errors
    /// When there would be too many series.
    pub fn about(&mut self, times: Times, up: bool, seconds: f64, taken: &Taken) -> Result<(), Full> {
        let Some(at) = times.of() else { return Ok(()) };
        let samples = taken.samples as f64;
        let values = [f64::from(u8::from(up)), seconds, samples, samples, taken.new as f64];
        let samples: Vec<_> = (0..).zip(values).map(|(slot, v)| (slot, Sample { t: at, v })).collect();
        self.memory.add(&mut self.about, &samples, times.clock()).map(|_| ())
    }

    /// Reads a page into samples of slots.
    fn read(&mut self, page: &[u8], format: Format, times: Times) -> Result<Vec<(u32, Sample)>, Refused> {
        let mut samples = Vec::with_capacity(self.known.len());
        for entry in Reader::new(page, format) {
            let Entry::Sample(sample) = entry? else { continue };
            let t = sample.timestamp.or_else(|| times.of()).ok_or(Refused::Timeless(sample.line))?;
            let slot = match self.known.get(sample.series) {
                Some(slot) => *slot,
                None => self.learn(&sample)?,
            };
            let (used, seen) = &mut self.seen[slot as usize];
            *used = self.page;
            if sample.timestamp.is_none() {
                *seen = self.page;
            }
            samples.push((slot, Sample { t, v: sample.value }));
        }
        if matches!(times, Times::Own(_)) {
            // Somebody else's file need not be in the order of time.
            samples.sort_by_key(|(_, sample)| sample.t);
        }
        Ok(samples)
    }

    fn learn(&mut self, sample: &exposition::Sample<'_>) -> Result<u32, Refused> {
        let most = self.memory.max_series();
        if self.slots.len() > most.saturating_mul(2).saturating_add(SPARE) {
            return Err(Full { series: most + 1, most }.into());
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let labels = labels(sample, &self.target, self.honor)?;
        self.slots.push(Slot::new(labels));
        self.seen.push((0, 0));
        self.known.insert(sample.series.into(), slot);
        Ok(slot)
    }

    /// Marks the series of the page before that are not on this one as ended.
    fn end_missing(&mut self, at: i64) {
        let missing = self.seen.iter().zip(0..).filter(|((_, seen), _)| *seen > 0 && *seen + 1 == self.page);
        let ends: Vec<_> = missing.map(|(_, slot)| (slot, Sample { t: at, v: STALE })).collect();
        // The series are there, so that there is room; a marker that comes too late marks nothing.
        let _ = self.memory.add(&mut self.slots, &ends, None);
    }

    /// Forgets how series were written that are no longer on the pages, when they are many.
    fn forget_unused(&mut self) {
        let in_use = |(used, _): &(u64, u64)| *used + 1 >= self.page;
        let count = self.seen.iter().filter(|seen| in_use(seen)).count();
        if self.slots.len() <= count + count / 2 + SPARE {
            return;
        }
        let mut places = vec![None; self.slots.len()];
        let (mut slots, mut seen) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (place, (slot, when)) in places.iter_mut().zip(self.slots.drain(..).zip(self.seen.drain(..))) {
            if when.0 + 1 >= self.page {
                *place = u32::try_from(slots.len()).ok();
                slots.push(slot);
                seen.push(when);
            }
        }
        self.known.retain(|_, place| match places[*place as usize] {
            Some(new) => {
                *place = new;
                true
            }
            None => false,
        });
        (self.slots, self.seen) = (slots, seen);
    }
}

/// Joins the labels of a sample with those of its target.
fn labels(sample: &exposition::Sample<'_>, target: &[(String, String)], honor: Honor) -> Result<Labels, Malformed> {
    let mut labels: Vec<(Cow<'_, str>, Cow<'_, str>)> = sample.labels().collect();
    labels.push((Cow::Borrowed(NAME), sample.name()));
    labels.sort();
    if let Some(pair) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let message = format!("the label {} comes twice", pair[0].0);
        return Err(Malformed { line: sample.line, message });
    }
    for (name, value) in target {
        match labels.iter().position(|(n, _)| n == name) {
            None => {}
            Some(_) if honor == Honor::Page => continue,
            Some(at) => {
                let (_, own) = labels.remove(at);
                let mut renamed = format!("exported_{name}");
                while labels.iter().any(|(n, _)| *n == renamed) || target.iter().any(|(n, _)| *n == renamed) {
                    renamed.insert_str(0, "exported_");
                }
                if !own.is_empty() {
                    labels.push((Cow::Owned(renamed), own));
                }
            }
        }
        labels.push((Cow::Borrowed(name), Cow::Borrowed(value)));
    }
    Ok(Labels::new(labels))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::promql::engine::is_stale;
    use crate::promql::engine::storage::{Selection, Stop, Storage, Wanted};
    use crate::promql::storage::Shape;

    fn feed(max_series: usize, honor: Honor) -> Feed {
        let memory = Memory::new(Shape { keep: Some(Duration::from_secs(3600)), max_series });
        let target = [("job", "a"), ("instance", "h:1")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        Feed::new(Arc::new(memory), target.into(), honor)
    }

    fn all(feed: &Feed) -> Vec<String> {
        let stop = Stop::default();
        let mut found = Selection::new(1_000_000, &stop);
        let wanted = Wanted { matchers: &[], from: i64::MIN, to: i64::MAX, newest: false };
        feed.memory.select(&wanted, &mut found).expect("readable");
        let value = |s: &Sample| if is_stale(s.v) { format!("end@{}", s.t) } else { format!("{}@{}", s.v, s.t) };
        let mut out: Vec<_> = found
            .iter()
            .map(|(labels, samples)| {
                let short = labels.to_string().replace("instance=\"h:1\", job=\"a\"", "T");
                format!("{short} {}", samples.iter().map(value).collect::<Vec<_>>().join(" "))
            })
            .collect();
        out.sort();
        out
    }

    fn scrape(feed: &mut Feed, page: &str, at: i64) -> Result<Taken, Refused> {
        feed.take(page.as_bytes(), Format::Text, Times::Scraped(at))
    }

    #[test]
    fn a_series_that_disappears_ends_and_may_come_back() {
        let mut feed = feed(100, Honor::Target);
        let taken = scrape(&mut feed, "a 1\nb 2\n", 1000).expect("a page");
        assert_eq!(taken, Taken { samples: 2, new: 2, dropped: Dropped::default() });
        scrape(&mut feed, "a 2\n", 2000).expect("a page");
        scrape(&mut feed, "a 3\n", 3000).expect("a page");
        let taken = scrape(&mut feed, "a 4\nb 5\nc 1\n", 4000).expect("a page");
        assert_eq!(taken.new, 1);
        assert_eq!(all(&feed), ["a{T} 1@1000 2@2000 3@3000 4@4000", "b{T} 2@1000 end@2000 5@4000", "c{T} 1@4000"]);
    }

    #[test]
    fn a_target_that_is_lost_ends_all_its_series_once() {
        let mut feed = feed(100, Honor::Target);
        scrape(&mut feed, "a 1\n", 1000).expect("a page");
        feed.lost(2000);
        feed.lost(3000);
        scrape(&mut feed, "a 2\n", 4000).expect("a page");
        assert_eq!(all(&feed), ["a{T} 1@1000 end@2000 2@4000"]);
    }

    #[test]
    fn nothing_of_a_malformed_page_is_kept() {
        let mut feed = feed(100, Honor::Target);
        scrape(&mut feed, "a 1\nb 1\n", 1000).expect("a page");
        let refused = scrape(&mut feed, "a 2\nc 1\nb", 2000).expect_err("cut off");
        assert_eq!(refused.to_string(), "line 3: the page ends in the middle of this line: it is cut off");
        assert_eq!(all(&feed), ["a{T} 1@1000 end@2000", "b{T} 1@1000 end@2000"]);
        let taken = scrape(&mut feed, "a 3\nc 2\n", 3000).expect("a page");
        assert_eq!(taken.new, 1);
        assert_eq!(all(&feed)[0], "a{T} 1@1000 end@2000 3@3000");
    }

    #[test]
    fn too_many_series_refuse_the_page_and_the_next_one_may_fit() {
        let mut feed = feed(3, Honor::Target);
        scrape(&mut feed, "a 1\n", 1000).expect("a page");
        let page: String = (0..5000).map(|n| format!("x{{n=\"{n}\"}} 1\n")).collect();
        assert!(matches!(scrape(&mut feed, &page, 2000), Err(Refused::Full(Full { most: 3, .. }))));
        assert!(matches!(scrape(&mut feed, "b 1\nc 1\nd 1\n", 3000), Err(Refused::Full(Full { series: 4, most: 3 }))));
        scrape(&mut feed, "a 2\nb 1\n", 4000).expect("a page");
        assert_eq!(all(&feed), ["a{T} 1@1000 end@2000 2@4000", "b{T} 1@4000"]);
    }

    #[test]
    fn labels_of_the_page_that_the_target_has_too_are_renamed_or_honoured() {
        let page = "m{job=\"x\",exported_job=\"y\",instance=\"\"} 1\n";
        let mut renaming = feed(9, Honor::Target);
        scrape(&mut renaming, page, 1).expect("a page");
        assert_eq!(all(&renaming), ["m{exported_exported_job=\"x\", exported_job=\"y\", T} 1@1"]);
        let mut honouring = feed(9, Honor::Page);
        scrape(&mut honouring, page, 1).expect("a page");
        assert_eq!(all(&honouring), ["m{exported_job=\"y\", job=\"x\"} 1@1"]);
        assert!(scrape(&mut honouring, "m{a=\"1\",a=\"2\"} 1\n", 2).is_err_and(|e| e.to_string().contains("twice")));
    }

    #[test]
    fn times_of_the_page_count_and_such_series_do_not_end() {
        let mut feed = feed(9, Honor::Target);
        scrape(&mut feed, "a 1 900\nb 1\n", 1000).expect("a page");
        let taken = scrape(&mut feed, "b 2 800\na 1 900\nb 3\n", 2000).expect("a page");
        assert_eq!(taken.dropped, Dropped { out_of_order: 1, ..Dropped::default() });
        scrape(&mut feed, "b 1\n", 3000).expect("a page");
        assert_eq!(all(&feed), ["a{T} 1@900", "b{T} 1@1000 3@2000 1@3000"]);
    }

    #[test]
    fn the_same_series_twice_on_a_page_is_kept_once() {
        let mut feed = feed(9, Honor::Target);
        let taken = scrape(&mut feed, "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n", 1000).expect("a page");
        assert_eq!((taken.samples, taken.dropped.duplicate), (2, 1));
        assert_eq!(all(&feed), ["a{T, x=\"1\", y=\"2\"} 1@1000"]);
    }

    #[test]
    fn a_file_with_times_of_its_own_is_put_in_order() {
        let mut feed = feed(9, Honor::Target);
        let file = b"a 3 3000\na 1 1000\na 2 2000\n";
        feed.take(file, Format::Text, Times::Own(None)).expect("a file");
        assert_eq!(all(&feed), ["a{T} 1@1000 2@2000 3@3000"]);
        assert_eq!(feed.take(b"a 1\n", Format::Text, Times::Own(None)), Err(Refused::Timeless(1)));
        feed.take(b"b 1\n", Format::Text, Times::Own(Some(7))).expect("a file");
        assert_eq!(all(&feed)[1], "b{T} 1@7");
    }

    #[test]
    fn a_scrape_tells_about_itself() {
        let mut feed = feed(9, Honor::Target);
        let taken = scrape(&mut feed, "a 1\n", 1000).expect("a page");
        feed.about(Times::Scraped(1000), true, 0.25, &taken).expect("room");
        feed.about(Times::Scraped(2000), false, 0.5, &Taken::default()).expect("room");
        assert_eq!(
            all(&feed),
            [
                "a{T} 1@1000",
                "scrape_duration_seconds{T} 0.25@1000 0.5@2000",
                "scrape_samples_post_metric_relabeling{T} 1@1000 0@2000",
                "scrape_samples_scraped{T} 1@1000 0@2000",
                "scrape_series_added{T} 1@1000 0@2000",
                "up{T} 1@1000 0@2000",
            ]
        );
    }

    #[test]
    fn labels_that_change_on_every_page_do_not_pile_up() {
        let mut feed = feed(1_000_000, Honor::Target);
        for n in 0..4000 {
            scrape(&mut feed, &format!("a{{n=\"{n}\"}} 1\n"), n * 5000).expect("a page");
            if n % 100 == 99 {
                feed.memory.forget(n * 5000);
            }
        }
        assert!(feed.slots.len() <= SPARE + 2 && feed.known.len() == feed.slots.len());
        assert!(feed.memory.series() < 800, "{}", feed.memory.series());
        scrape(&mut feed, "a{n=\"3999\"} 2\n", 4000 * 5000).expect("a page");
        assert!(all(&feed).iter().any(|line| line.contains("3999") && line.ends_with("1@19995000 2@20000000")));
    }
}
