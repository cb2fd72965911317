//! One Prometheus with its address filled in: sends queries and tells apart everything that may come instead of an
//! answer.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::Version;
use super::answer::{self, Answer};
use crate::source::Failure;
use crate::sys::World;
use crate::sys::http::{BodyEnd, Connection, Fault, Request, Response};

/// The largest answer that is read, in bytes.
const MAX_BODY: usize = 64 << 20;
/// From this size on an answer is read on a thread of its own.
pub(super) const LARGE: usize = 256 << 10;

/// A Prometheus that can be asked.
pub struct Endpoint<'a> {
    pub(super) world: &'a World,
    pub(super) base: String,
    pub(super) shown: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) connection: Connection,
    /// The longest time for one request.
    pub(super) timeout: Duration,
    /// When the time for all requests is up, by the clock that never goes back.
    pub(super) until: Duration,
    pub(super) version: Version,
}

/// Which time a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The server's own now.
    Now,
    /// One moment.
    At(DateTime<Utc>),
    /// A range, both ends included, and the distance of its points.
    Range {
        /// The first point.
        start: DateTime<Utc>,
        /// The end; the last point is at most `step` before it.
        end: DateTime<Utc>,
        /// The distance of two points.
        step: Duration,
    },
}

impl Endpoint<'_> {
    /// Asks a query.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn query(&self, query: &str, when: When) -> Result<Answer, Failure> {
        let timeout = format!("{}ms", self.time_left().as_millis());
        let mut form = vec![("query", query.to_owned()), ("timeout", timeout)];
        let path = match when {
            When::Now => "query",
            When::At(at) => {
                form.push(("time", rfc3339(at)));
                "query"
            }
            When::Range { start, end, step } => {
                form.push(("start", rfc3339(start)));
                form.push(("end", rfc3339(end)));
                form.push(("step", step.as_secs_f64().to_string()));
                "query_range"
            }
        };
        let response = self.send("POST", &format!("/api/v1/{path}"), &form).await?;
        self.check(&response)?;
        if response.body.len() < LARGE {
            return answer::parse(&response.body).map_err(|fault| self.unreadable(&response, &fault));
        }
        let body = response.body.clone();
        match tokio::task::spawn_blocking(move || answer::parse(&body)).await {
            Ok(parsed) => parsed.map_err(|fault| self.unreadable(&response, &fault)),
            Err(fault) => Err(Failure::lasting(format!("the answer of {} could not be read: {fault}", self.shown()))),
        }
    }

    /// Lists the names that metrics ever had here, of those that a selector finds.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn names_of(&self, selector: &str) -> Result<Vec<String>, Failure> {
        let form = [("match[]", selector.to_owned()), ("limit", "10".to_owned())];
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
        let response = self.send("GET", &format!("/api/v1/label/__name__/values?{query}"), &[]).await?;
        self.check(&response)?;
        let value: Value = serde_json::from_slice(&response.body).map_err(|e| self.unreadable(&response, &e))?;
        let names = value.get("data").and_then(Value::as_array).into_iter().flatten();
        Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Says through what is looked: `prometheus at http://localhost:9090 (3.5.0)`. The version is asked for once.
    pub async fn through(&self) -> String {
        let version = self.version.get_or_init(|| self.ask_version()).await;
        let insecure = if self.connection.insecure { ", certificate not checked" } else { "" };
        match version {
            Some(version) => format!("prometheus at {} ({version}{insecure})", self.shown),
            None => format!("prometheus at {}{insecure}", self.shown),
        }
    }

    /// Tells the time of the clock here, which is taken for the server's.
    pub fn now(&self) -> DateTime<Utc> {
        self.world.clock.now()
    }

    /// Says through what is looked, with what is known already.
    pub fn shown(&self) -> String {
        format!("prometheus at {}", self.shown)
    }

    fn time_left(&self) -> Duration {
        let left = self.until.saturating_sub(self.world.clock.elapsed());
        self.timeout.min(left).max(Duration::from_millis(1))
    }

    async fn ask_version(&self) -> Option<String> {
        let response = self.send("GET", "/api/v1/status/buildinfo", &[]).await.ok()?;
        let value: Value = serde_json::from_slice(&response.body).ok()?;
        let version = value.pointer("/data/version")?.as_str()?;
        // It is shown in reports: what is not a version is left out.
        let short = version.len() <= 40 && version.chars().all(|c| c.is_ascii_graphic());
        short.then(|| version.to_owned())
    }

    pub(super) async fn send(&self, method: &str, path: &str, form: &[(&str, String)]) -> Result<Response, Failure> {
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        headers.extend(self.headers.iter().cloned());
        if !path.ends_with("query_range")
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"))
        {
            // For a small answer Prometheus spends five times as long on compressing it as on the query.
            headers.push(("accept-encoding".into(), "identity".into()));
        }
        let mut body = Bytes::new();
        if method == "POST" {
            headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
            let text: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            body = text.into();
        }
        let request = Request {
            method: method.to_owned(),
            url: format!("{}{path}", self.base),
            headers,
            body,
            timeout: self.time_left(),
            max_body: MAX_BODY,
            // A redirected POST would lose its form.
            max_redirects: 0,
            connection: self.connection.clone(),
            timed: false,
        };
        self.world.http.send(&request).await.map_err(|error| {
            let cause = format!("{} does not answer: {error}", self.shown());
            match error.kind {
                Fault::Request | Fault::Redirect => Failure::lasting(cause),
                Fault::Dns | Fault::Connect | Fault::Tls | Fault::Timeout | Fault::Protocol => Failure::passing(cause),
            }
        })
    }

    /// Tells an answer of the API from everything else.
    pub(super) fn check(&self, response: &Response) -> Result<(), Failure> {
        let who = self.shown();
        match &response.body_end {
            BodyEnd::Complete => {}
            BodyEnd::TooLarge => {
                let limit = MAX_BODY >> 20;
                return Err(Failure::lasting(format!(
                    "the answer of {who} is larger than {limit} MiB; aggregate more"
                )));
            }
            BodyEnd::Broken(cause) => {
                return Err(Failure::passing(format!("the answer of {who} broke off: {cause}")));
            }
        }
        let said = answer::error(&response.body);
        let status = response.status;
        match (status, said) {
            (200..=299, Some(said)) => Err(Failure::passing(format!("{who} answered {status} with an error: {said}"))),
            (200..=299, None) if is_html(response) => {
                Err(Failure::lasting(format!("{who} answered with HTML; is this the address of a Prometheus?")))
            }
            (200..=299, None) => Ok(()),
            (400, Some(said)) => Err(Failure::lasting(format!("{who} refused the query: {said}"))),
            (422, Some(said)) => Err(Failure::lasting(format!("{who} could not compute the query: {said}"))),
            (401 | 403, _) => Err(Failure::lasting(format!("{who} answered {status}: access is denied"))),
            (404, _) => Err(Failure::lasting(format!("{who} answered 404; is a path prefix missing in the URL?"))),
            (300..=399, _) => {
                let to = response.headers.iter().find(|(name, _)| name == "location").map_or("elsewhere", |(_, v)| v);
                Err(Failure::lasting(format!("{who} redirects to {to}; declare that URL")))
            }
            (429 | 500.., said) => {
                let said = said.map(|s| format!(": {s}")).unwrap_or_default();
                Err(Failure::passing(format!("{who} answered {status}{said}")))
            }
            (_, said) => {
                let said = said.map(|s| format!(": {s}")).unwrap_or_default();
                Err(Failure::lasting(format!("{who} answered {status}{said}")))
            }
        }
    }

    pub(super) fn unreadable(&self, response: &Response, fault: &serde_json::Error) -> Failure {
        let who = self.shown();
        if fault.is_eof() {
            return Failure::passing(format!("the answer of {who} breaks off after {} bytes", response.body.len()));
        }
        match response.body.first() {
            Some(b'{') => Failure::lasting(format!("{who} answered what cannot be understood: {fault}")),
            _ => Failure::lasting(format!("{who} did not answer with JSON; is this the address of a Prometheus?")),
        }
    }
}

fn is_html(response: &Response) -> bool {
    let header = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    header.is_some_and(|(_, value)| value.contains("html")) || response.body.trim_ascii_start().starts_with(b"<")
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
