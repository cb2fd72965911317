//! Pages of metrics as a source: what a service shows under `/metrics`, scraped while the run goes on ([`Scrape`]), or
//! what was recorded of it ([`Recorded`]). The engine inside answers queries about them; no server is needed.
//!
//! [`declared`] reads both from `sources:`. [`scrape`] owns the tasks that scrape, `target` scrapes one, [`recorded`]
//! reads files, and [`Pages`] is either of them, ready to be asked.

pub(super) mod declared;
mod evaluate;
mod recorded;
mod scrape;
mod target;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub use recorded::Recorded;
pub use scrape::Scrape;

use self::recorded::Recording;
use self::scrape::Collecting;
use super::Failure;
use super::prometheus::{Answer, When};
use crate::model::quantity;
use crate::promql;
use crate::promql::storage::Memory;
use crate::sys::World;

/// How much of a look's time is left for the answer itself when it waits for samples.
const MARGIN: Duration = Duration::from_millis(50);

/// The most steps in which the past is searched.
const MOST_STEPS: u32 = 5000;

/// Samples in memory that can be asked.
pub struct Pages<'a> {
    world: &'a World,
    of: Of,
    /// When the time for all questions is up, by the clock that never goes back.
    until: Duration,
}

/// Where the samples come from.
enum Of {
    Scrapes(Arc<Collecting>),
    Record(Arc<Recording>),
}

/// What a query needs.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// The samples from this time on, in milliseconds since 1970; nothing when the newest ones will do.
    from: Option<i64>,
    /// Whether two samples of each series are needed, however young.
    pair: bool,
    /// Whether time alone moves what is needed.
    moves: bool,
    /// How far back from its moment the query looks, for words.
    back: Duration,
}

/// What can be said about samples that a query needs.
enum Cover {
    /// They are there.
    Whole,
    /// They are not, and will be after so long.
    Later(Duration),
    /// They never will be.
    Never,
}

impl<'a> Pages<'a> {
    fn new(world: &'a World, of: Of, timeout: Duration) -> Self {
        Self { world, of, until: world.clock.elapsed() + timeout }
    }

    /// Tells the moment that is now: that of the clock, or that of the record.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.of {
            Of::Scrapes(_) => self.world.clock.now(),
            Of::Record(record) => record.now(),
        }
    }

    /// Asks a query.
    ///
    /// # Errors
    /// Says why it cannot be answered; also when samples are missing that it looks at.
    pub async fn query(&self, query: &str, when: When) -> Result<Answer, Failure> {
        if let Some(need) = self.need(query, when) {
            match self.cover(&need) {
                Cover::Whole => {}
                cover => return Err(Failure::short(self.too_young(&need, &cover))),
            }
        }
        self.glimpse(query, when).await
    }

    /// Asks a query about what is there, whether or not that is all that the query looks at.
    ///
    /// # Errors
    /// Says why it cannot be answered.
    pub async fn glimpse(&self, query: &str, when: When) -> Result<Answer, Failure> {
        let _busy = self.world.clock.busy();
        evaluate::query(Arc::clone(self.memory()), query, when, self.now(), self.time_left()).await
    }

    /// Waits, as far as the time of the look allows, until the samples are there that a query about now, and about
    /// `back` before it, looks at.
    pub async fn wait(&self, query: &str, back: Duration) {
        let Of::Scrapes(collecting) = &self.of else { return };
        if !collecting.begun(&self.world.clock, self.time_left().saturating_sub(MARGIN)).await {
            return;
        }
        loop {
            let when = match back.is_zero() {
                true => When::Now,
                false => When::Range { start: before(self.now(), back), end: self.now(), step: back },
            };
            let Some(need) = self.need(query, when) else { return };
            match self.cover(&need) {
                Cover::Later(wait) if wait + MARGIN <= self.time_left() => self.world.clock.sleep(wait).await,
                Cover::Later(_) | Cover::Whole | Cover::Never => return,
            }
        }
    }

    /// Tells what a query looks at. Nothing when it is no query.
    fn need(&self, query: &str, when: When) -> Option<Need> {
        let reach = promql::reach(&promql::parse(query).ok()?);
        let (moment, span, moves) = match when {
            When::Now => (self.now(), Duration::ZERO, true),
            When::At(at) => (at, Duration::ZERO, false),
            When::Range { start, end, .. } => (start, (end - start).to_std().unwrap_or_default(), true),
        };
        let back = i64::try_from(reach.back.as_millis()).unwrap_or(i64::MAX);
        // The newest samples are there by now; those of another moment must reach as far.
        let newest = matches!(when, When::Now) && reach.back.is_zero();
        let relative = (!newest).then(|| moment.timestamp_millis().saturating_sub(back));
        let from = match (relative, reach.from) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Some(Need { from, pair: reach.pair, moves: moves && reach.from.is_none(), back: reach.back + span })
    }

    fn cover(&self, need: &Need) -> Cover {
        match &self.of {
            Of::Scrapes(collecting) => collecting.covers(need),
            Of::Record(record) if record.covers(need) => Cover::Whole,
            Of::Record(_) => Cover::Never,
        }
    }

    /// Says in one line why there are not samples enough.
    fn too_young(&self, need: &Need, cover: &Cover) -> String {
        let since = match &self.of {
            Of::Record(record) => format!("{} begin at {}", record.shown(), clock_time(record.begin())),
            Of::Scrapes(collecting) => match collecting.since() {
                Some(since) => format!("{} is scraped since {}", collecting.whom(), clock_time(since)),
                None => format!("{} has not been scraped yet", collecting.whom()),
            },
        };
        let what = match need.from {
            Some(from) if need.moves => {
                let back = quantity::seconds(need.back.as_secs_f64());
                format!("the query looks back {back}, to {}", clock_time(from))
            }
            Some(from) => format!("the query looks back to {}", clock_time(from)),
            None if need.pair => "the query needs two samples of each series".to_owned(),
            None => "the query needs a sample".to_owned(),
        };
        match (cover, &self.of) {
            (Cover::Later(wait), _) => {
                let wait = quantity::seconds((wait.as_secs_f64() * 10.0).ceil() / 10.0);
                format!("{since}, and {what}: it can be answered {wait} later")
            }
            (Cover::Never, Of::Scrapes(collecting)) if need.back > collecting.keep() => {
                format!("{since} and kept for {}, and {what}", quantity::seconds(collecting.keep().as_secs_f64()))
            }
            (Cover::Whole | Cover::Never, _) => format!("{since}, and {what}"),
        }
    }

    /// Lists the names that metrics ever had here, of those that a selector finds.
    pub fn names_of(&self, selector: &str) -> Vec<String> {
        let Ok(query) = promql::parse(selector) else { return Vec::new() };
        let wanted: Vec<_> = promql::selectors(&query).into_iter().filter_map(|s| s.metric).collect();
        self.memory().names(|name| wanted.iter().any(|w| w == name), 10)
    }

    /// Tells how far back there may be samples, and in which steps to look for them so that none is missed.
    pub fn history(&self) -> (Duration, Duration) {
        let (range, every) = match &self.of {
            Of::Scrapes(collecting) => (collecting.keep(), collecting.every()),
            Of::Record(record) => record.history(),
        };
        (range, (every / 2).max(range / MOST_STEPS).max(Duration::from_millis(1)))
    }

    /// Says through what is looked.
    pub fn shown(&self) -> String {
        match &self.of {
            Of::Scrapes(collecting) => collecting.shown(),
            Of::Record(record) => record.shown(),
        }
    }

    /// Says what a reader should know of the samples: targets that cannot be scraped, samples that were not kept.
    pub fn notes(&self) -> Vec<String> {
        match &self.of {
            Of::Scrapes(collecting) => collecting.notes(),
            Of::Record(record) => record.notes(),
        }
    }

    /// Says which targets cannot be scraped, if any: a reason for having no data.
    pub fn trouble(&self) -> Option<String> {
        match &self.of {
            Of::Scrapes(collecting) => collecting.trouble(),
            Of::Record(_) => None,
        }
    }

    /// Tells whether not one target can be scraped.
    pub fn is_dark(&self) -> bool {
        match &self.of {
            Of::Scrapes(collecting) => collecting.is_dark(),
            Of::Record(_) => false,
        }
    }

    fn memory(&self) -> &Arc<Memory> {
        match &self.of {
            Of::Scrapes(collecting) => collecting.memory(),
            Of::Record(record) => record.memory(),
        }
    }

    fn time_left(&self) -> Duration {
        self.until.saturating_sub(self.world.clock.elapsed()).max(Duration::from_millis(1))
    }
}

fn before(at: DateTime<Utc>, length: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(length).ok().and_then(|d| at.checked_sub_signed(d)).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Writes a time of the day, in UTC.
fn clock_time(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis)
        .map_or_else(|| format!("{millis} ms"), |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}
