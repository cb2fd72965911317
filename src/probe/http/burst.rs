//! Many requests of the same kind: what share went wrong, and how slow the slow ones were.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};

use super::answer::Taking;
use super::fill::shown;
use super::unanswered;
use crate::model::{Found, Measures, Note, Observation, Sample, Value};
use crate::probe::{Look, Wants};
use crate::stats;
use crate::sys::http::{BodyEnd, Fault, HttpError, Request};

/// How many requests, and how many of them at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    pub(super) times: usize,
    pub(super) parallel: usize,
}

/// What only a burst measures.
const OF_BURSTS: &[&str] =
    &["statuses", "error_rate", "latency.p50", "latency.p95", "latency.p99", "latency.max", "rate"];

/// What only a single request measures.
const OF_ONE: &[&str] = &[
    "body",
    "json",
    "headers",
    "size",
    "version",
    "url",
    "redirects",
    "timing.dns",
    "timing.connect",
    "timing.tls",
    "timing.first_byte",
    "tls.expires_in",
    "tls.issuer",
    "tls.subject",
];

/// Says which wanted measure does not go with the number of requests, and which key of `statuses` counts nothing.
pub(super) fn misplaced(wants: &Wants, burst: bool) -> Option<String> {
    let strange = wants.keys("statuses").into_iter().find(|key| !counts(key)).map(|key| {
        format!("statuses are counted by status (200), by class (5xx) or as none (no answer), not by {key:?}")
    });
    let other = if burst { OF_ONE } else { OF_BURSTS };
    let name = other.iter().find(|name| wants.any(name));
    let wrong = name.map(|name| match burst {
        true => format!("a burst of requests does not keep {name:?}: use a step without times for it"),
        false => format!("{name:?} is measured over a burst of requests: say how many with times"),
    });
    wrong.or(strange)
}

fn counts(key: &str) -> bool {
    let bytes = key.as_bytes();
    let first = bytes.first().is_some_and(|b| (b'1'..=b'5').contains(b));
    let rest = bytes.get(1..).unwrap_or_default();
    key == "none" || (bytes.len() == 3 && first && (rest == b"xx" || rest.iter().all(u8::is_ascii_digit)))
}

/// What came of the requests so far.
#[derive(Default)]
struct Tally {
    /// Seconds, in the order of answering.
    latencies: Vec<f64>,
    statuses: BTreeMap<u16, usize>,
    unanswered: usize,
    first: Option<HttpError>,
}

/// Sends the burst and measures it.
pub(super) async fn observe(burst: Burst, request: &Request, look: &Look<'_>, taking: &Taking) -> Observation {
    let started = Instant::now();
    let mut tally = Tally::default();
    {
        let send = |_| async {
            let left = look.timeout.checked_sub(started.elapsed()).filter(|left| !left.is_zero())?;
            let request = Request { timeout: left, ..request.clone() };
            Some(look.world.http.send(&request).await.and_then(|response| match response.body_end {
                BodyEnd::Complete | BodyEnd::TooLarge => Ok((response.status, response.latency)),
                BodyEnd::Broken(message) => Err(HttpError { kind: Fault::Protocol, message }),
            }))
        };
        let mut results = stream::iter(0..burst.times).map(send).buffer_unordered(burst.parallel);
        while let Some(result) = results.next().await {
            match result {
                Some(result) => tally.add(result),
                // The time is up: what was not sent any more is not counted as unanswered.
                None => break,
            }
        }
    }
    let took = started.elapsed();
    Observation {
        notes: tally
            .first
            .iter()
            .map(|e| Note::warning(format!("{} without an answer: {e}", tally.unanswered)))
            .collect(),
        ..Observation::new(
            format!("{}, {} times, {} at a time", shown(request), burst.times, burst.parallel),
            tally.found(burst, request, took, look.timeout, taking),
        )
    }
}

impl Tally {
    fn add(&mut self, result: Result<(u16, Duration), HttpError>) {
        match result {
            Ok((status, latency)) => {
                *self.statuses.entry(status).or_default() += 1;
                self.latencies.push(latency.as_secs_f64());
            }
            Err(error) => {
                self.unanswered += 1;
                self.first.get_or_insert(error);
            }
        }
    }

    fn found(mut self, burst: Burst, request: &Request, took: Duration, timeout: Duration, taking: &Taking) -> Found {
        let sent = self.latencies.len() + self.unanswered;
        if let Some(error) = self.first.clone().filter(|_| self.latencies.is_empty()) {
            let message = format!("none of {sent} requests was answered: {}", error.message);
            return unanswered(HttpError { message, ..error }, request);
        }
        if sent < burst.times {
            let within = crate::model::quantity::seconds(timeout.as_secs_f64());
            let answered = self.latencies.len();
            return Found::NoAnswer {
                cause: format!(
                    "the burst did not end within {within}: {answered} of {} requests were answered",
                    burst.times
                ),
            };
        }
        let rate = self.latencies.len() as f64 / took.as_secs_f64().max(1e-9);
        // Who never got an answer waited longer than everybody else.
        self.latencies.extend(std::iter::repeat_n(f64::INFINITY, self.unanswered));
        self.latencies.sort_by(f64::total_cmp);
        let percentile = |share| stats::quantile(&self.latencies, share).unwrap_or(f64::NAN);
        let mut measures = Measures::new();
        measures.plain("status", Value::Series(self.series()));
        measures.plain("latency", Value::Number(percentile(1.0)));
        self.count(&mut measures, taking);
        let failed = self.unanswered + self.class(5);
        measures.plain("error_rate", Value::Number(failed as f64 / sent as f64));
        for (name, share) in [("latency.p50", 0.5), ("latency.p95", 0.95), ("latency.p99", 0.99), ("latency.max", 1.0)]
        {
            measures.plain(name, Value::Number(percentile(share)));
        }
        measures.plain("rate", Value::Number(rate));
        Found::Measures(measures)
    }

    /// One series a status, so that what is expected of the status must hold for every answer. Requests without an
    /// answer have no number.
    fn series(&self) -> Vec<Sample> {
        let sample = |status: String, count: usize, value: f64| {
            let labels = [("status".to_owned(), status), ("requests".to_owned(), count.to_string())];
            Sample { labels: labels.into(), value }
        };
        let answered =
            self.statuses.iter().map(|(status, count)| sample(status.to_string(), *count, f64::from(*status)));
        let silent = (self.unanswered > 0).then(|| sample("none".into(), self.unanswered, f64::NAN));
        answered.chain(silent).collect()
    }

    fn count(&self, measures: &mut Measures, taking: &Taking) {
        for (status, count) in &self.statuses {
            measures.keyed("statuses", status.to_string(), Value::Number(*count as f64));
        }
        for key in &taking.statuses {
            let count = match (key.as_str(), key.strip_suffix("xx")) {
                ("none", _) => self.unanswered,
                (_, Some(class)) => class.parse().map_or(0, |class| self.class(class)),
                (status, None) => status.parse().ok().and_then(|s| self.statuses.get(&s).copied()).unwrap_or(0),
            };
            measures.keyed("statuses", key.as_str(), Value::Number(count as f64));
        }
    }

    fn class(&self, class: u16) -> usize {
        self.statuses.iter().filter(|(status, _)| **status / 100 == class).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_an_answer_are_the_slowest_and_do_not_count_for_the_rate() {
        let mut tally = Tally::default();
        let fault = || HttpError { kind: Fault::Protocol, message: "the connection broke off".into() };
        for n in 0..10 {
            tally.add(if n < 8 { Ok((200, Duration::from_millis(10))) } else { Err(fault()) });
        }
        let request = Request {
            method: "GET".into(),
            url: "http://a.test/".into(),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            timeout: Duration::from_secs(1),
            max_body: 1,
            max_redirects: 0,
            connection: crate::sys::http::Connection::default(),
            timed: false,
        };
        let (burst, second) = (Burst { times: 10, parallel: 1 }, Duration::from_secs(1));
        let found = tally.found(burst, &request, second, second, &Taking::of(&Wants::default()));
        let Found::Measures(measures) = found else { panic!("measured") };
        let get = |name: &str| measures.get(&crate::model::MeasureName::parse(name)).cloned();
        assert_eq!(get("latency.p50"), Some(Value::Number(0.01)));
        for name in ["latency", "latency.p95", "latency.max"] {
            assert_eq!(get(name), Some(Value::Number(f64::INFINITY)), "{name}");
        }
        assert_eq!(get("rate"), Some(Value::Number(8.0)));
    }

    #[test]
    fn statuses_are_counted_by_status_class_or_none() {
        for good in ["200", "5xx", "none", "418"] {
            assert!(counts(good), "{good}");
        }
        for bad in ["", "2x", "600", "ok", "2000", "5XX"] {
            assert!(!counts(bad), "{bad}");
        }
    }
}
