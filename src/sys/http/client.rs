//! Sends a request, follows redirects and reads the body, all within one deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::Semaphore;

use super::body::{Body, Raw};
use super::hop::{Hop, shown};
use super::message::{BodyEnd, Certificate, Fault, HttpError, HttpVersion, Request, Response, Timing};
use super::pool::Pool;
use super::{fault, timed, tls};
use crate::model::quantity;
use crate::sys::policy::Policy;

/// Sends requests. One for the whole process.
pub struct Http {
    pool: Pool,
    large: Semaphore,
}

/// How many large bodies are held in memory at the same time.
const LARGE_BODIES: usize = 12;

/// An answer whose body comes piece by piece.
pub struct Streaming {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case, values as text.
    pub headers: Vec<(String, String)>,
    /// The URL that answered, after redirects.
    pub url: String,
    body: Body,
}

/// The head of an answer, its body still to come.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) version: http::Version,
    pub(super) headers: HeaderMap,
    pub(super) certificate: Option<Certificate>,
    pub(super) timing: Option<Timing>,
    pub(super) body: Body,
}

/// The answer at the end of all redirects.
struct Arrived {
    answer: Answer,
    url: String,
    redirects: Vec<String>,
    notes: Vec<String>,
}

/// When the whole exchange must be over.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: tokio::time::Instant,
    given: Duration,
}

impl Deadline {
    fn of(request: &Request) -> Self {
        // A timeout beyond what the clock can hold is as good as a year.
        let now = tokio::time::Instant::now();
        let at = now.checked_add(request.timeout).unwrap_or(now + Duration::from_secs(31_536_000));
        Self { at, given: request.timeout }
    }

    /// Waits for a future, at most until the deadline.
    pub(super) async fn within<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::time::timeout_at(self.at, future).await.ok()
    }

    /// Says how long there was: `2s`.
    pub(super) fn words(&self) -> String {
        quantity::seconds(self.given.as_secs_f64())
    }

    /// Tells whether it has passed.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.at.into_std()
    }

    /// Returns how long there was.
    pub(super) fn given(&self) -> Duration {
        self.given
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// Makes the client.
    pub fn new() -> Self {
        Self::under(Arc::default())
    }

    /// Makes a client that reaches only what a policy allows.
    pub fn under(policy: Arc<Policy>) -> Self {
        Self { pool: Pool::under(policy), large: Semaphore::new(LARGE_BODIES) }
    }

    /// Sends a request and reads the answer, its body at most to `max_body` decoded bytes.
    ///
    /// # Errors
    /// Says in one line why there is no answer. A body that breaks off is no error: status and headers are kept, and
    /// [`BodyEnd::Broken`] says why.
    pub async fn send(&self, request: &Request) -> Result<Response, HttpError> {
        let started = Instant::now();
        let Arrived { mut answer, url, redirects, notes } = self.follow(request, Deadline::of(request)).await?;
        let (body, body_end) = answer.body.collect(request.max_body, &self.large).await;
        Ok(Response {
            status: answer.status,
            version: version(answer.version),
            url,
            headers: words(&answer.headers),
            body,
            body_end,
            redirects,
            latency: started.elapsed(),
            timing: answer.timing,
            certificate: answer.certificate,
            notes,
        })
    }

    /// Sends a request and hands the decoded body out piece by piece, none larger than a few MiB. `max_body` does not
    /// count here; the timeout covers the whole body.
    ///
    /// # Errors
    /// Says in one line why there is no answer.
    pub async fn stream(&self, request: &Request) -> Result<Streaming, HttpError> {
        let Arrived { answer, url, .. } = self.follow(request, Deadline::of(request)).await?;
        Ok(Streaming { status: answer.status, headers: words(&answer.headers), url, body: answer.body })
    }

    async fn follow(&self, request: &Request, deadline: Deadline) -> Result<Arrived, HttpError> {
        let mut hop = Hop::first(request)?;
        let mut redirects: Vec<String> = Vec::new();
        let mut visited = Vec::new();
        let mut notes = Vec::new();
        loop {
            let exchanged = self.exchange(&hop, request, deadline, &mut notes).await;
            let mut answer = exchanged.map_err(|error| insisting(error, request.connection.version))?;
            let next = match request.max_redirects {
                0 => None,
                _ => hop.next(answer.status, &answer.headers, &mut notes)?,
            };
            let Some(next) = next else {
                return Ok(Arrived { answer, url: shown(&hop.url), redirects, notes });
            };
            visited.push((hop.method.clone(), hop.url.clone()));
            if visited.iter().any(|(method, url)| *method == next.method && *url == next.url) {
                let message = format!("the redirects go in a circle: {} leads back to {}", hop.shown(), next.shown());
                return Err(HttpError::new(Fault::Redirect, message));
            }
            if redirects.len() >= request.max_redirects as usize {
                let message = format!("more than {} redirects, the next one to {}", redirects.len(), next.shown());
                return Err(HttpError::new(Fault::Redirect, message));
            }
            answer.body.drain().await;
            redirects.push(shown(&next.url));
            hop = next;
        }
    }

    async fn exchange(
        &self,
        hop: &Hop,
        request: &Request,
        deadline: Deadline,
        notes: &mut Vec<String>,
    ) -> Result<Answer, HttpError> {
        let connection = hop.connection(&request.connection);
        self.pool.allow(hop, &connection)?;
        if request.timed {
            return timed::exchange(&self.pool, hop, &connection, deadline).await;
        }
        let client = self.pool.client(&connection, hop).await?;
        let peer = match (&connection.unix_socket, &connection.proxy) {
            (Some(path), _) => path.clone(),
            (None, Some(proxy)) => format!("the proxy {}", hide(proxy)),
            (None, None) => hop.peer(),
        };
        match attempt(&client, hop, deadline, &peer).await {
            // A server may close an idle connection at the moment in which it is used again. That says nothing of the
            // service, so a request that changes nothing is sent once more, and a reader is told.
            Err(error) if hop.is_safe() && fault::closed_unanswered(&error) => {
                let answer = attempt(&client, hop, deadline, &peer).await?;
                notes.push(format!("sent a second time: {}", error.message));
                Ok(answer)
            }
            other => other,
        }
    }
}

impl Streaming {
    /// Returns the next piece of the decoded body; nothing at its end. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<Bytes, HttpError>> {
        self.body.next().await
    }

    /// Returns the value of a header; the name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl Response {
    /// Returns the value of a header; the name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Tells whether the whole body was read.
    pub fn is_complete(&self) -> bool {
        self.body_end == BodyEnd::Complete
    }
}

async fn attempt(client: &reqwest::Client, hop: &Hop, deadline: Deadline, peer: &str) -> Result<Answer, HttpError> {
    let mut request = reqwest::Request::new(hop.method.clone(), hop.url.clone());
    *request.headers_mut() = hop.headers.clone();
    if !hop.body.is_empty() {
        *request.body_mut() = Some(hop.body.clone().into());
    }
    let outcome = deadline.within(client.execute(request)).await;
    let Some(result) = outcome else {
        let message = format!("no answer from {peer} within {}", deadline.words());
        return Err(HttpError::new(Fault::Timeout, message));
    };
    let mut response = result.map_err(|error| fault::of(&error, peer))?;
    let certificate = response.extensions().get::<reqwest::tls::TlsInfo>().and_then(|info| info.peer_certificate());
    Ok(Answer {
        status: response.status().as_u16(),
        version: response.version(),
        certificate: certificate.and_then(tls::certificate),
        timing: None,
        headers: std::mem::take(response.headers_mut()),
        body: Body::empty(deadline),
    }
    .with_body(Raw::Pooled(Box::new(response)), hop, deadline))
}

impl Answer {
    /// Puts the body behind the head.
    pub(super) fn with_body(mut self, raw: Raw, hop: &Hop, deadline: Deadline) -> Self {
        let bodiless = hop.method == http::Method::HEAD || matches!(self.status, 204 | 304);
        self.body = Body::new(raw, &self.headers, bodiless, deadline);
        self
    }
}

/// Says that the server may not speak the version that is insisted on.
fn insisting(error: HttpError, version: HttpVersion) -> HttpError {
    match (error.kind, version) {
        (Fault::Protocol, HttpVersion::Http2) => {
            HttpError::new(Fault::Protocol, format!("no answer in HTTP/2: {}", error.message))
        }
        _ => error,
    }
}

/// Shows a proxy without the credentials that its URL may carry.
fn hide(proxy: &str) -> String {
    url::Url::parse(proxy).map_or_else(|_| "that was given".to_owned(), |url| shown(&url))
}

fn words(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_09 => "HTTP/0.9",
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_11 => "HTTP/1.1",
        http::Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/3",
    }
}
