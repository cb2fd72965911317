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

use chrono::{DateTime, Utc};

pub use recorded::Recorded;
pub use scrape::Scrape;

use self::recorded::Recording;
use self::scrape::Collecting;
use super::Failure;
use super::prometheus::{Answer, When};
use crate::model::quantity;
use crate::promql::storage::Memory;
use crate::promql::{self, Reach};
use crate::sys::World;

/// How much of a look's time is left for the answer itself when it waits for samples.
const MARGIN: Duration = Duration::from_millis(50);

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

/// Which moment a look is about, before its samples are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The moment, if the step names one; else now.
    pub at: Option<DateTime<Utc>>,
    /// How much before it is asked about too.
    pub span: Duration,
    /// How far the query itself looks back.
    pub reach: Reach,
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
    /// Says why it cannot be answered.
    pub async fn query(&self, query: &str, when: When) -> Result<Answer, Failure> {
        let _busy = self.world.clock.busy();
        evaluate::query(Arc::clone(self.memory()), query, when, self.now(), self.time_left()).await
    }

    /// Lists the names that metrics ever had here, of those that a selector finds.
    pub fn names_of(&self, selector: &str) -> Vec<String> {
        let Ok(query) = promql::parse(selector) else { return Vec::new() };
        let wanted: Vec<_> = promql::selectors(&query).into_iter().filter_map(|s| s.metric).collect();
        self.memory().names(|name| wanted.iter().any(|w| w == name), 10)
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

    /// Waits until the samples that a query needs are there, for as long as the look's time allows.
    ///
    /// # Errors
    /// Says in one line why they are not.
    pub async fn ready(&self, moment: &Moment) -> Result<(), String> {
        match &self.of {
            Of::Record(record) => {
                let now = moment.at.unwrap_or(record.now()).timestamp_millis();
                match record.covers(needed_from(moment, now), moment.reach.pair) {
                    true => Ok(()),
                    false => Err(format!(
                        "{} begins at {}, which is not early enough for what the query looks back to: {}",
                        record.shown(),
                        clock_time(record.begin()),
                        words_of(moment),
                    )),
                }
            }
            Of::Scrapes(collecting) => self.wait(collecting, moment).await,
        }
    }

    async fn wait(&self, collecting: &Collecting, moment: &Moment) -> Result<(), String> {
        if moment.span + moment.reach.back > collecting.keep() {
            let keep = quantity::seconds(collecting.keep().as_secs_f64());
            return Err(format!("the query looks back to {}, and samples are kept {keep}", words_of(moment)));
        }
        if !collecting.begun(&self.world.clock, self.time_left().saturating_sub(MARGIN)).await {
            return Err("no scrape has ended yet".into());
        }
        loop {
            let now = moment.at.unwrap_or(self.world.clock.now()).timestamp_millis();
            let wait = match collecting.covers(needed_from(moment, now), moment) {
                Cover::Whole => return Ok(()),
                Cover::Later(wait) if wait + MARGIN <= self.time_left() => wait,
                cover => return Err(too_young(collecting, moment, &cover)),
            };
            self.world.clock.sleep(wait.max(Duration::from_millis(1))).await;
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

/// Returns the time from which on samples must be there, in milliseconds since 1970; nothing when the newest ones do.
fn needed_from(moment: &Moment, now: i64) -> Option<i64> {
    let back = moment.span + moment.reach.back;
    let relative = match back.is_zero() && moment.at.is_none() {
        true => None,
        false => Some(now.saturating_sub(i64::try_from(back.as_millis()).unwrap_or(i64::MAX))),
    };
    match (relative, moment.reach.from) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Says how far back a look goes: `5m before now`.
fn words_of(moment: &Moment) -> String {
    let back = moment.span + moment.reach.back;
    let base = moment.at.map_or_else(|| "now".to_owned(), |at| clock_time(at.timestamp_millis()));
    match (back.is_zero(), moment.reach.from) {
        (_, Some(from)) => clock_time(from),
        (true, None) if moment.reach.pair => "two samples of each series".to_owned(),
        (true, None) => base,
        (false, None) => format!("{} before {base}", quantity::seconds(back.as_secs_f64())),
    }
}

fn too_young(collecting: &Collecting, moment: &Moment, cover: &Cover) -> String {
    let since = match collecting.since() {
        Some(since) => format!("{} is scraped since {}", collecting.whom(), clock_time(since)),
        None => format!("{} has not been scraped yet", collecting.whom()),
    };
    let so = format!("{since}, which is not long enough for what the query looks back to: {}", words_of(moment));
    match cover {
        Cover::Later(wait) => {
            let wait = quantity::seconds((wait.as_secs_f64() * 10.0).ceil() / 10.0);
            format!("{so}; that takes {wait} more, longer than the step's timeout")
        }
        Cover::Whole | Cover::Never => so,
    }
}

/// Writes a time of the day, in UTC.
fn clock_time(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis)
        .map_or_else(|| format!("{millis} ms"), |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}
