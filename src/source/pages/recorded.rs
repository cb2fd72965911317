//! The source kind `recorded`: what was kept of a service's metrics, so that a checklist can be tried without one.
//!
//! A file holds samples with their times. A folder holds one page a scrape, each named after its time. Queries are
//! evaluated at the time of the data.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use tokio::sync::OnceCell;

use super::{Need, Of, Pages};
use crate::promql::exposition::Format;
use crate::promql::storage::{Dropped, Feed, Honor, Memory, Refused, Shape, Times};
use crate::source::Failure;
use crate::sys::{Policy, World};
use crate::template::{Scope, Template};

/// The endings of files in a folder that are pages.
const ENDINGS: &[&str] = &["prom", "txt", "om", "openmetrics", "metrics"];
/// The most pages of a folder.
const MOST_PAGES: usize = 10_000;
/// How a time is written in the name of a page; with `Z` for UTC.
const FORMS: &[&str] = &["%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%dT%H-%M-%S%.fZ", "%Y%m%dT%H%M%S%.fZ", "%Y-%m-%dT%H%M%S%.fZ"];

/// Evidence that a checklist declares.
#[derive(Debug)]
pub struct Recorded {
    pub(super) name: String,
    pub(super) what: What,
    pub(super) at: Option<Template>,
    pub(super) job: Option<Template>,
    pub(super) labels: Vec<(String, Template)>,
    pub(super) honor: Option<Honor>,
    pub(super) max_series: usize,
    pub(super) max_body: usize,
    pub(super) read: OnceCell<Arc<Recording>>,
}

/// What holds the record.
#[derive(Debug)]
pub(super) enum What {
    /// One file, its samples with their times.
    File(Template),
    /// A folder with a page a scrape.
    Folder(Template),
}

/// A record that was read.
#[derive(Debug)]
pub(super) struct Recording {
    memory: Arc<Memory>,
    shown: String,
    /// The moment that is now, in milliseconds since 1970.
    now: i64,
    /// The times of the first sample and of the last, and how far apart two are on average.
    begin: i64,
    gap: i64,
    /// How many times there are.
    times: usize,
    dropped: Dropped,
}

/// What reading takes, templates filled in.
struct Job {
    path: PathBuf,
    folder: bool,
    at: Option<i64>,
    labels: Vec<(String, String)>,
    honor: Honor,
    shape: Shape,
    max_body: usize,
}

impl Recorded {
    /// Returns the name under which it is declared.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the samples askable; reads them if need be. What could not be read is read again the next time.
    ///
    /// # Errors
    /// Says which file cannot be read, or which line of it is malformed.
    pub async fn open<'a>(&self, world: &'a World, scope: &Scope, timeout: Duration) -> Result<Pages<'a>, Failure> {
        let job = self.job(scope)?;
        let reading = async {
            let _busy = world.clock.busy();
            let policy = Arc::clone(&world.policy);
            let read = tokio::task::spawn_blocking(move || job.read(&policy)).await;
            let read = read.map_err(|fault| Failure::lasting(format!("the record could not be read: {fault}")))?;
            read.map(Arc::new).map_err(Failure::lasting)
        };
        let record = self.read.get_or_try_init(|| reading).await?;
        Ok(Pages::new(world, Of::Record(Arc::clone(record)), timeout))
    }

    fn job(&self, scope: &Scope) -> Result<Job, Failure> {
        let fill = |template: &Template| {
            template.render(scope).map_err(|error| Failure::lasting(format!("the source {:?}: {error}", self.name)))
        };
        let (path, folder) = match &self.what {
            What::File(path) => (fill(path)?, false),
            What::Folder(path) => (fill(path)?, true),
        };
        let mut labels = Vec::new();
        match &self.job {
            Some(job) => labels.push(("job".to_owned(), fill(job)?)),
            // A page knows no job; a file may well be an export that does.
            None if folder => labels.push(("job".to_owned(), self.name.clone())),
            None => {}
        }
        for (name, value) in &self.labels {
            labels.retain(|(n, _)| n != name);
            labels.push((name.clone(), fill(value)?));
        }
        let at = match &self.at {
            None => None,
            Some(at) => Some(read_time(&fill(at)?).ok_or_else(|| {
                let message = "at is neither an RFC 3339 time nor seconds since 1970";
                Failure::lasting(format!("the source {:?}: {message}", self.name))
            })?),
        };
        let honor = self.honor.unwrap_or(if folder { Honor::Target } else { Honor::Page });
        let shape = Shape { keep: None, max_series: self.max_series };
        Ok(Job { path: path.into(), folder, at, labels, honor, shape, max_body: self.max_body })
    }
}

impl Job {
    fn read(self, policy: &Policy) -> Result<Recording, String> {
        policy.allow_path(&self.path).map_err(|refusal| refusal.message)?;
        let memory = Arc::new(Memory::new(self.shape));
        let feed = Feed::new(Arc::clone(&memory), self.labels.clone(), self.honor);
        let (dropped, times) = match self.folder {
            true => self.folder(feed, policy)?,
            false => (self.file(feed)?, 0),
        };
        let Some((begin, end)) = memory.span() else {
            return Err(format!("there is no sample in {}", self.path.display()));
        };
        // How many times a file holds is seen in its samples; its rhythm then is that of its busiest series.
        let times = if self.folder { times } else { memory.longest() };
        let gap = (end - begin) / i64::try_from(times.saturating_sub(1)).unwrap_or(1).max(1);
        let what = if self.folder { "the pages in" } else { "the samples in" };
        let shown = format!("{what} {}", self.path.display());
        Ok(Recording { memory, shown, now: self.at.unwrap_or(end), begin, gap, times, dropped })
    }

    fn file(&self, mut feed: Feed) -> Result<Dropped, String> {
        let page = self.page(&self.path)?;
        let taken = feed.take(&page, Format::of_page(&page), Times::Own(self.at));
        let taken = taken.map_err(|refused| match refused {
            Refused::Timeless(line) => format!(
                "{}, line {line}: the sample has no timestamp; give `at`, or a folder of pages named after their times",
                self.path.display()
            ),
            Refused::Malformed(_) | Refused::Full(_) => format!("{}, {refused}", self.path.display()),
        })?;
        Ok(taken.dropped)
    }

    fn folder(&self, mut feed: Feed, policy: &Policy) -> Result<(Dropped, usize), String> {
        let pages = self.pages()?;
        // A page may be a link that leads elsewhere.
        pages.iter().try_for_each(|(_, path)| policy.allow_path(path)).map_err(|refusal| refusal.message)?;
        let mut dropped = Dropped::default();
        for (at, path) in &pages {
            let page = self.page(path)?;
            let wrong = |refused: Refused| format!("{}, {refused}", path.display());
            let taken = feed.take(&page, Format::of_page(&page), Times::Recorded(*at)).map_err(wrong)?;
            feed.about(Times::Recorded(*at), true, 0.0, &taken).map_err(|full| wrong(full.into()))?;
            dropped.add(taken.dropped);
        }
        Ok((dropped, pages.len()))
    }

    /// Lists the pages of a folder in the order of their times.
    fn pages(&self) -> Result<Vec<(i64, PathBuf)>, String> {
        let shown = self.path.display();
        let fault = |error: std::io::Error| format!("the folder {shown} cannot be read: {error}");
        let mut pages: Vec<(i64, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if !ENDINGS.contains(&ending) {
                continue;
            }
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let Some(at) = time_in(&stem) else {
                return Err(format!(
                    "the name of {} tells no time; name a page after its scrape, as 1763640000.{ending} or \
                     2026-11-20T12:00:00Z.{ending}",
                    path.display()
                ));
            };
            pages.push((at, path));
            if pages.len() > MOST_PAGES {
                return Err(format!("the folder {shown} holds more than {MOST_PAGES} pages"));
            }
        }
        pages.sort();
        if let Some(pair) = pages.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("{} and {} are of the same time", pair[0].1.display(), pair[1].1.display()));
        }
        match pages.is_empty() {
            true => Err(format!("the folder {shown} holds no page: no file that ends with .{}", ENDINGS.join(", ."))),
            false => Ok(pages),
        }
    }

    fn page(&self, path: &Path) -> Result<Vec<u8>, String> {
        let shown = path.display();
        let fault = |error: std::io::Error| format!("{shown} cannot be read: {error}");
        let facts = std::fs::metadata(path).map_err(fault)?;
        if !facts.is_file() {
            return Err(format!("{shown} is not a file"));
        }
        let mut page = Vec::new();
        let limit = self.max_body as u64;
        std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut page)).map_err(fault)?;
        match page.len() as u64 > limit {
            true => Err(format!("{shown} is larger than max_body: {}", crate::model::quantity::bytes(limit as f64))),
            false => Ok(page),
        }
    }
}

impl Recording {
    pub(super) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(super) fn shown(&self) -> String {
        self.shown.clone()
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Tells how far back the record reaches, and how far apart its samples are.
    pub(super) fn history(&self) -> (Duration, Duration) {
        let millis = |n: i64| Duration::from_millis(u64::try_from(n).unwrap_or_default().max(1));
        (millis(self.now - self.begin + self.gap), millis(self.gap))
    }

    pub(super) fn begin(&self) -> i64 {
        self.begin
    }

    /// Tells whether the samples are there that a query needs.
    pub(super) fn covers(&self, need: &Need) -> bool {
        let early = need.from.is_none_or(|from| self.begin.saturating_sub(self.gap) <= from);
        early && (!need.pair || self.times > 1)
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let words = self.dropped.words();
        words.map(|words| format!("{} samples were not kept: {words}", self.dropped.count())).into_iter().collect()
    }
}

/// Reads a time: RFC 3339, or seconds since 1970. Returns milliseconds.
fn read_time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let seconds: f64 = text.parse().ok()?;
    (seconds.is_finite() && seconds.abs() < 1e12).then_some((seconds * 1000.0) as i64)
}

/// Finds the time in the name of a page: seconds or milliseconds since 1970, or a time in UTC; words may stand before it.
fn time_in(stem: &str) -> Option<i64> {
    let begins = |at: usize| {
        let before = stem[..at].chars().next_back();
        stem.as_bytes()[at].is_ascii_digit() && before.is_none_or(|c| !c.is_alphanumeric())
    };
    let starts = (0..stem.len()).filter(|at| stem.is_char_boundary(*at) && begins(*at));
    starts.map(|at| &stem[at..]).find_map(time)
}

fn time(text: &str) -> Option<i64> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return match text.len() {
            9..=11 => Some(number * 1000),
            12..=14 => Some(number),
            _ => None,
        };
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|t| t.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_times() {
        for (stem, millis) in [
            ("1763640000", Some(1_763_640_000_000)),
            ("1763640000123", Some(1_763_640_000_123)),
            ("2025-11-20T12:00:00Z", Some(1_763_640_000_000)),
            ("2025-11-20T12-00-00Z", Some(1_763_640_000_000)),
            ("20251120T120000.5Z", Some(1_763_640_000_500)),
            ("2025-11-20T13:00:00+01:00", Some(1_763_640_000_000)),
            ("orders-1-1763640000", Some(1_763_640_000_000)),
            ("node_2025-11-20T120000Z", Some(1_763_640_000_000)),
            ("before", None),
            ("page1", None),
            ("2025-11-20", None),
            ("2025-11-20T12:00:00", None),
        ] {
            assert_eq!(time_in(stem), millis, "{stem}");
        }
    }
}
