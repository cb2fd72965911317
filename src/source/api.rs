//! A back end that answers JSON over HTTP: Alertmanager, Grafana, Loki, GitHub. [`Api`] is the declaration, [`Asked`] one
//! with its templates filled in; it tells apart everything that may come instead of an answer.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::Failure;
use super::reach::{Filled, Reach};
use crate::sys::World;
use crate::sys::http::{BodyEnd, Connection, Fault, HttpError, Request, Response, Streaming};
use crate::template::{Scope, Template};

/// The largest answer that is read, in bytes.
const MAX_BODY: usize = 64 << 20;
/// The most that is repeated of what a back end says of an error, in characters.
const MAX_SAID: usize = 300;

/// How much is read of an answer that says why there is none, in bytes.
const MAX_SAID_BODY: usize = 64 << 10;
/// What is asked for unless something else is.
const JSON: &str = "application/json";

/// A back end that a checklist declares.
#[derive(Debug)]
pub struct Api {
    name: String,
    kind: &'static str,
    reach: Reach,
}

/// A back end that can be asked.
pub struct Asked<'a> {
    world: &'a World,
    kind: &'static str,
    base: String,
    shown: String,
    headers: Vec<(String, String)>,
    connection: Connection,
    /// The longest time for one request.
    timeout: Duration,
    /// When the time for all requests is up, by the clock that never goes back.
    until: Duration,
}

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Bytes,
}

impl Api {
    /// Makes one from its declaration.
    pub fn new(name: &str, kind: &'static str, reach: Reach) -> Self {
        Self { name: name.to_owned(), kind, reach }
    }

    /// Returns the name under which it is declared.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its kind, as checklists write it.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns its URL, templates unfilled.
    pub fn url(&self) -> &Template {
        &self.reach.url
    }

    /// Fills the templates in, for requests that take `timeout` at most, all of them together.
    ///
    /// # Errors
    /// Says which template cannot be filled, or that the URL is none.
    pub fn open<'a>(&self, world: &'a World, scope: &Scope, timeout: Duration) -> Result<Asked<'a>, Failure> {
        let filled = self.reach.fill(&self.name, scope)?;
        let own = self.reach.timeout.unwrap_or(timeout);
        Ok(Asked::new(world, self.kind, filled, self.reach.connection.clone(), (own, timeout)))
    }
}

impl<'a> Asked<'a> {
    /// Makes one for a place that is known: `own` is the longest time for one request, `all` that for all of them.
    pub(super) fn new(
        world: &'a World,
        kind: &'static str,
        filled: Filled,
        connection: Connection,
        (own, all): (Duration, Duration),
    ) -> Self {
        let base = filled.written.trim_end_matches('/').to_owned();
        let (timeout, until) = (own.min(all), world.clock.elapsed() + all);
        Self { world, kind, base, shown: filled.shown, headers: filled.headers, connection, timeout, until }
    }

    /// Puts something before every path: the version of the API.
    pub(super) fn below(mut self, prefix: &str) -> Self {
        self.base.push_str(prefix);
        self
    }

    /// Says through what is looked: `grafana at http://localhost:3000`.
    pub fn through(&self) -> String {
        let insecure = if self.connection.insecure { " (certificate not checked)" } else { "" };
        format!("{} at {}{insecure}", self.kind, self.shown)
    }

    /// Returns the URL of a path as it may be shown.
    pub fn shown(&self, path: &str) -> String {
        format!("{}{path}", self.shown)
    }

    /// Asks with GET for what must be there.
    ///
    /// # Errors
    /// Says why there is no answer; a 404 is one of the reasons.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let reply = self.send("GET", path, query, None).await?;
        self.check(&reply, path)?;
        self.json(&reply)
    }

    /// Asks with GET for what may be there; nothing when the answer is 404.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn find(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<Value>, Failure> {
        let reply = self.send("GET", path, query, None).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        self.check(&reply, path)?;
        self.json(&reply).map(Some)
    }

    /// Asks with POST and a JSON body.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let reply = self.send("POST", path, &[], Some(body)).await?;
        self.check(&reply, path)?;
        self.json(&reply)
    }

    /// Sends a request and returns the answer whatever its status.
    ///
    /// # Errors
    /// Says why there is no whole answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        let request = self.request(method, path, query, body);
        let response = self.world.http.send(&request).await.map_err(|error| self.failure(&error))?;
        self.whole(response)
    }

    /// Asks with GET for what is no JSON and may be long, and hands it out piece by piece.
    ///
    /// # Errors
    /// Says why there is no answer, or what its status means.
    pub async fn stream(&self, path: &str, query: &[(&str, &str)]) -> Result<Streaming, Failure> {
        self.streamed(path, query, 0).await
    }

    /// The same where the back end answers with a redirect to whoever keeps it, as GitHub does; no credentials go along.
    ///
    /// # Errors
    /// Says why there is no answer, or what its status means.
    pub async fn stream_from_elsewhere(&self, path: &str, query: &[(&str, &str)]) -> Result<Streaming, Failure> {
        self.streamed(path, query, 3).await
    }

    async fn streamed(&self, path: &str, query: &[(&str, &str)], redirects: u32) -> Result<Streaming, Failure> {
        let mut request = self.request("GET", path, query, None);
        request.max_redirects = redirects;
        request.headers.retain(|(name, value)| name != "accept" || value != JSON);
        let mut answer = self.world.http.stream(&request).await.map_err(|error| self.failure(&error))?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let mut body = Vec::new();
        while let Some(Ok(piece)) = answer.next().await {
            body.extend_from_slice(&piece);
            if body.len() > MAX_SAID_BODY {
                break;
            }
        }
        let reply = Reply { status: answer.status, headers: answer.headers.clone(), body: body.into() };
        self.check(&reply, path)?;
        Err(Failure::lasting(format!("{} answered {} for {path}", self.through(), reply.status)))
    }

    fn request(&self, method: &str, path: &str, query: &[(&str, &str)], body: Option<&Value>) -> Request {
        let mut headers = vec![("accept".to_owned(), JSON.to_owned())];
        headers.retain(|(name, _)| !self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        headers.extend(self.headers.iter().cloned());
        if body.is_some() {
            headers.push(("content-type".into(), "application/json".into()));
        }
        let mut url = format!("{}{path}", self.base);
        if !query.is_empty() {
            let pairs: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            url = format!("{url}?{pairs}");
        }
        let left = self.until.saturating_sub(self.world.clock.elapsed());
        Request {
            method: method.to_owned(),
            url,
            headers,
            body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
            timeout: self.timeout.min(left).max(Duration::from_millis(1)),
            max_body: MAX_BODY,
            // A redirect of an API leads to a login page more often than to an answer.
            max_redirects: 0,
            connection: self.connection.clone(),
            timed: false,
        }
    }

    fn failure(&self, error: &HttpError) -> Failure {
        let cause = format!("{} does not answer: {error}", self.through());
        match error.kind {
            Fault::Request | Fault::Redirect => Failure::lasting(cause),
            Fault::Dns | Fault::Connect | Fault::Tls | Fault::Timeout | Fault::Protocol => Failure::passing(cause),
        }
    }

    /// Tells a whole answer from a cut one.
    fn whole(&self, response: Response) -> Result<Reply, Failure> {
        let who = self.through();
        match &response.body_end {
            BodyEnd::Complete => Ok(Reply { status: response.status, headers: response.headers, body: response.body }),
            BodyEnd::TooLarge => {
                Err(Failure::lasting(format!("the answer of {who} is larger than {} MiB", MAX_BODY >> 20)))
            }
            BodyEnd::Broken(cause) => Err(Failure::passing(format!("the answer of {who} broke off: {cause}"))),
        }
    }

    /// Tells success from every other status. `path` is what was asked for, for the message.
    ///
    /// # Errors
    /// Says what the status means.
    pub fn check(&self, reply: &Reply, path: &str) -> Result<(), Failure> {
        let who = self.through();
        let said = reply.said().map(|said| format!(": {said}")).unwrap_or_default();
        match reply.status {
            200..=299 => Ok(()),
            401 | 403 => Err(Failure::lasting(format!("{who} answered {}: access is denied{said}", reply.status))),
            404 => Err(Failure::lasting(format!("{who} answered 404 for {path}{said}"))),
            300..=399 => {
                let to = reply.header("location").unwrap_or("elsewhere");
                Err(Failure::lasting(format!("{who} redirects to {to}; declare that URL, or check the credentials")))
            }
            429 | 500.. => {
                let wait = reply.header("retry-after").map(|wait| format!(" (retry after {wait})")).unwrap_or_default();
                Err(Failure::passing(format!("{who} answered {}{wait}{said}", reply.status)))
            }
            status => Err(Failure::lasting(format!("{who} answered {status}{said}"))),
        }
    }

    /// Reads a body as JSON.
    ///
    /// # Errors
    /// Says that it breaks off, or is something else.
    pub fn json(&self, reply: &Reply) -> Result<Value, Failure> {
        serde_json::from_slice(&reply.body).map_err(|fault| {
            let who = self.through();
            match reply.body.trim_ascii_start().first() {
                Some(b'{' | b'[') if fault.is_eof() => {
                    Failure::passing(format!("the answer of {who} breaks off after {} bytes", reply.body.len()))
                }
                Some(b'{' | b'[') => Failure::lasting(format!("{who} answered what cannot be understood: {fault}")),
                Some(b'<') => Failure::lasting(format!("{who} answered with HTML; is this the address of its API?")),
                _ => Failure::lasting(format!("{who} did not answer with JSON; is this the address of its API?")),
            }
        })
    }
}

impl Reply {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns what the back end says of an error, in one bounded line.
    pub fn said(&self) -> Option<String> {
        let value: Value = serde_json::from_slice(&self.body).ok()?;
        let text = match &value {
            Value::String(text) => text.as_str(),
            other => ["message", "error", "msg", "detail"].iter().find_map(|key| other.get(key)?.as_str())?,
        };
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then(|| line.chars().take(MAX_SAID).collect())
    }
}
