//! One target: its page is fetched, read and kept, again and again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::model::quantity;
use crate::promql::exposition::Format;
use crate::promql::storage::{Dropped, Feed, Memory, Refused, Taken, Times};
use crate::source::reach::Filled;
use crate::sys::World;
use crate::sys::http::{BodyEnd, Connection, Request, Response};

/// How soon the second scrape follows the first, so that two samples are there at once.
const QUICKLY: Duration = Duration::from_secs(1);
/// How often what is too old is dropped.
const FORGET_EVERY: Duration = Duration::from_secs(15);
/// How many redirects are followed.
const MOST_REDIRECTS: u32 = 10;

/// A target with everything that scraping it takes.
pub(super) struct Target {
    pub(super) world: World,
    pub(super) at: Filled,
    pub(super) connection: Connection,
    pub(super) every: Duration,
    pub(super) timeout: Duration,
    pub(super) max_body: usize,
    pub(super) memory: Arc<Memory>,
}

/// How the scrapes of a target went.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// The URL as it may be shown.
    pub(super) shown: String,
    /// How many scrapes have ended.
    pub(super) scrapes: u64,
    /// How many of them gave a page.
    pub(super) pages: u64,
    /// When the first scrape began, and when the first began that gave a page: milliseconds since 1970.
    pub(super) first: Option<i64>,
    pub(super) first_page: Option<i64>,
    /// Why the last scrape gave no page.
    pub(super) trouble: Option<String>,
    /// What was not kept of all pages.
    pub(super) dropped: Dropped,
}

/// The states of all targets; each task changes its own.
pub(super) type States = watch::Sender<Vec<State>>;

impl Target {
    /// Scrapes until it is dropped.
    pub(super) async fn run(self, feed: Feed, states: Arc<States>, number: usize) {
        let clock = self.world.clock.clone();
        let begin = clock.elapsed();
        let mut forgotten = begin;
        let mut due = begin;
        let mut feed = Some(feed);
        loop {
            let forget = clock.elapsed().saturating_sub(forgotten) >= FORGET_EVERY;
            if forget {
                forgotten = clock.elapsed();
            }
            let busy = clock.busy();
            let (at, outcome) = self.once(&mut feed, forget).await;
            drop(busy);
            states.send_modify(|all| {
                if let Some(state) = all.get_mut(number) {
                    state.tell(at, outcome);
                }
            });
            due = match due == begin && self.every > QUICKLY {
                true => begin + QUICKLY,
                false => next(begin, self.every, clock.elapsed()),
            };
            clock.sleep(due.saturating_sub(clock.elapsed())).await;
        }
    }

    /// Scrapes once. Returns when it began, and what the page came to or why there is none.
    async fn once(&self, feed: &mut Option<Feed>, forget: bool) -> (i64, Result<Taken, String>) {
        let (at, begun) = (self.world.clock.now().timestamp_millis(), std::time::Instant::now());
        let fetched = self.fetch().await;
        let took = begun.elapsed().as_secs_f64();
        let memory = Arc::clone(&self.memory);
        let Some(mut owned) = feed.take() else { return (at, Err("an earlier page broke the reader".into())) };
        let kept = tokio::task::spawn_blocking(move || {
            let outcome = keep(&mut owned, at, took, fetched);
            if forget {
                memory.forget(at);
            }
            (owned, outcome)
        });
        match kept.await {
            Ok((back, outcome)) => {
                *feed = Some(back);
                (at, outcome)
            }
            Err(fault) => (at, Err(format!("the page could not be read: {fault}"))),
        }
    }

    async fn fetch(&self) -> Result<(Bytes, Format), String> {
        let mut headers = vec![
            ("accept".to_owned(), Format::ACCEPT.to_owned()),
            ("x-prometheus-scrape-timeout-seconds".to_owned(), self.timeout.as_secs_f64().to_string()),
        ];
        headers.extend(self.at.headers.iter().cloned());
        let request = Request {
            method: "GET".into(),
            url: self.at.written.clone(),
            headers,
            body: Bytes::new(),
            timeout: self.timeout,
            max_body: self.max_body,
            max_redirects: MOST_REDIRECTS,
            connection: self.connection.clone(),
            timed: false,
        };
        let response = self.world.http.send(&request).await.map_err(|error| error.to_string())?;
        page(response, self.max_body)
    }
}

/// Tells a page of metrics from everything else that may come.
fn page(response: Response, max_body: usize) -> Result<(Bytes, Format), String> {
    if response.status != 200 {
        return Err(format!("it answered {}", response.status));
    }
    match &response.body_end {
        BodyEnd::Complete => {}
        BodyEnd::TooLarge => {
            let limit = quantity::bytes(max_body as f64);
            return Err(format!("the page is larger than max_body: {limit}"));
        }
        BodyEnd::Broken(cause) => return Err(format!("the page broke off: {cause}")),
    }
    let format = Format::of_content_type(response.header("content-type")).map_err(|error| error.to_string())?;
    Ok((response.body, format))
}

fn keep(feed: &mut Feed, at: i64, took: f64, fetched: Result<(Bytes, Format), String>) -> Result<Taken, String> {
    let times = Times::Scraped(at);
    let outcome = match fetched {
        Ok((page, format)) => feed.take(&page, format, times).map_err(|refused| match refused {
            Refused::Malformed(malformed) => format!("the page is malformed, {malformed}"),
            Refused::Full(full) => format!("the page has too many series: {full}"),
            Refused::Timeless(_) => refused.to_string(),
        }),
        Err(cause) => {
            feed.lost(at);
            Err(cause)
        }
    };
    let taken = outcome.as_ref().copied().unwrap_or_default();
    let told = feed.about(times, outcome.is_ok(), took, &taken);
    outcome.and_then(|taken| told.map(|()| taken).map_err(|full| format!("there are too many series: {full}")))
}

/// Returns the next moment of a timetable after `now`; those that are overdue are not made up for.
fn next(begin: Duration, every: Duration, now: Duration) -> Duration {
    let rounds = now.saturating_sub(begin).as_nanos() / every.as_nanos().max(1) + 1;
    begin + every.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
}

impl State {
    fn tell(&mut self, at: i64, outcome: Result<Taken, String>) {
        self.scrapes += 1;
        self.first.get_or_insert(at);
        match outcome {
            Ok(taken) => {
                self.pages += 1;
                self.first_page.get_or_insert(at);
                self.dropped.add(taken.dropped);
                self.trouble = None;
            }
            Err(cause) => self.trouble = Some(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timetable_is_kept_and_what_is_overdue_is_left_out() {
        let seconds = Duration::from_secs;
        assert_eq!(next(seconds(10), seconds(5), seconds(10)), seconds(15));
        assert_eq!(next(seconds(10), seconds(5), seconds(11)), seconds(15));
        assert_eq!(next(seconds(10), seconds(5), seconds(28)), seconds(30));
    }
}
