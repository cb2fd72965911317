//! Measures one answer, and only what is wanted of it.

use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use super::api::Answered;
use super::fill::shown;
use crate::model::{Evidence, Found, Measures, Note, Observation, Value, quantity};
use crate::probe::Wants;
use crate::probe::json::{self, Paths};
use crate::sys::http::{BodyEnd, Request, Response};

/// How many bytes of a body are kept as evidence.
const EXCERPT: usize = 2048;

/// What is wanted of an answer.
pub(super) struct Taking {
    pub(super) timing: bool,
    tls: bool,
    body: bool,
    size: bool,
    version: bool,
    url: bool,
    redirects: bool,
    json: Paths,
    headers: Vec<String>,
    all_headers: bool,
    /// The statuses that a burst counts.
    pub(super) statuses: Vec<String>,
}

impl Taking {
    /// Notes what is wanted.
    pub(super) fn of(wants: &Wants) -> Self {
        let group = |name: &str, parts: &[&str]| {
            wants.any(name) || parts.iter().any(|part| wants.any(&format!("{name}.{part}")))
        };
        let keys = |name| wants.keys(name).into_iter().map(str::to_owned).collect();
        Self {
            timing: group("timing", &["dns", "connect", "tls", "first_byte"]),
            tls: group("tls", &["expires_in", "issuer", "subject"]),
            body: wants.any("body"),
            size: wants.any("size"),
            version: wants.any("version"),
            url: wants.any("url"),
            redirects: wants.any("redirects"),
            json: Paths::of(wants),
            headers: keys("headers"),
            all_headers: wants.whole("headers"),
            statuses: keys("statuses"),
        }
    }

    /// Tells whether the body is read as JSON.
    pub(super) fn reads_json(&self) -> bool {
        !self.json.is_empty()
    }
}

/// Turns an answer into an observation.
pub(super) fn observe(response: &Response, request: &Request, taking: &Taking, now: DateTime<Utc>) -> Observation {
    take(response, None, request, taking, now)
}

/// Turns what an API answered into an observation: the document is that of all pages.
pub(super) fn of_api(answered: Answered, request: &Request, taking: &Taking, now: DateTime<Utc>) -> Observation {
    let Answered { response, document, pages } = answered;
    let mut observation = take(&response, Some(document), request, taking, now);
    if pages > 1 {
        observation.notes.push(Note::info(format!("the list has {pages} pages")));
    }
    observation
}

fn take(
    response: &Response,
    document: Option<Result<Json, Value>>,
    request: &Request,
    taking: &Taking,
    now: DateTime<Utc>,
) -> Observation {
    let mut measures = Measures::new();
    measures.plain("status", Value::Number(f64::from(response.status)));
    // A body that was not read to its end has no last byte to wait for.
    let unread = unread(response, request);
    measures.plain("latency", unread.clone().unwrap_or(Value::Number(response.latency.as_secs_f64())));
    body(&mut measures, response, unread, document, taking);
    headers(&mut measures, response, taking);
    if taking.version {
        measures.plain("version", Value::Text(response.version.into()));
    }
    if taking.url {
        measures.plain("url", Value::Text(response.url.clone()));
    }
    if taking.redirects {
        measures.plain("redirects", Value::Number(response.redirects.len() as f64));
    }
    timing(&mut measures, response, taking);
    certificate(&mut measures, response, taking, now);
    let mut observation = Observation::new(shown(request), Found::Measures(measures));
    observation.notes = notes(response);
    let telling = taking.body || !taking.json.is_empty() || !(200..300).contains(&response.status);
    observation.evidence = telling.then(|| excerpt(&response.body)).flatten().into_iter().collect();
    observation
}

/// Says why the body was not read to its end.
fn unread(response: &Response, request: &Request) -> Option<Value> {
    match &response.body_end {
        BodyEnd::Complete => None,
        BodyEnd::TooLarge => {
            let limit = quantity::bytes(request.max_body as f64);
            Some(Value::NoData(format!("the body is larger than {limit} (max_body)")))
        }
        BodyEnd::Broken(cause) => Some(Value::NoData(cause.clone())),
    }
}

fn body(
    measures: &mut Measures,
    response: &Response,
    missing: Option<Value>,
    document: Option<Result<Json, Value>>,
    taking: &Taking,
) {
    let unless = |value: &dyn Fn() -> Value| missing.clone().unwrap_or_else(value);
    if taking.body {
        let text = || Value::Text(String::from_utf8_lossy(&response.body).into_owned());
        measures.plain("body", unless(&text));
    }
    if taking.size {
        measures.plain("size", unless(&|| Value::Number(response.body.len() as f64)));
    }
    if taking.json.is_empty() {
        return;
    }
    let kind = response.header("content-type").filter(|kind| !kind.is_empty()).unwrap_or("no content type");
    let document =
        document.unwrap_or_else(|| missing.map_or_else(|| json::parse(&response.body, "the body", Some(kind)), Err));
    taking.json.measure("the body", document, measures);
}

fn headers(measures: &mut Measures, response: &Response, taking: &Taking) {
    let value = |name: &str| {
        let all: Vec<_> = response.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).collect();
        let values: Vec<_> = all.iter().map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| Value::Text(values.join(", ")))
    };
    for name in &taking.headers {
        let missing = || Value::Missing(format!("no header {name:?}; there are {}", names(response)));
        measures.keyed("headers", name.as_str(), value(name).unwrap_or_else(missing));
    }
    if taking.all_headers {
        for (name, _) in &response.headers {
            if let Some(value) = value(name) {
                measures.keyed("headers", name.as_str(), value);
            }
        }
    }
}

fn names(response: &Response) -> String {
    let mut names: Vec<_> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let more = if names.len() > 20 { " …" } else { "" };
    format!("{}{more}", names[..names.len().min(20)].join(", "))
}

fn timing(measures: &mut Measures, response: &Response, taking: &Taking) {
    if !taking.timing {
        return;
    }
    let Some(timing) = response.timing else { return };
    let seconds = |duration: std::time::Duration| Value::Number(duration.as_secs_f64());
    measures.plain("timing.dns", seconds(timing.dns));
    measures.plain("timing.connect", seconds(timing.connect));
    measures.plain(
        "timing.tls",
        match response.url.starts_with("https:") {
            true => seconds(timing.tls),
            false => Value::Missing("the connection has no TLS".into()),
        },
    );
    measures.plain("timing.first_byte", seconds(timing.first_byte));
}

fn certificate(measures: &mut Measures, response: &Response, taking: &Taking, now: DateTime<Utc>) {
    if !taking.tls {
        return;
    }
    let missing = || Value::Missing("the connection has no TLS".into());
    let certificate = response.certificate.as_ref();
    let left = certificate.map(|c| Value::Number(c.expires_at as f64 - now.timestamp_millis() as f64 / 1e3));
    measures.plain("tls.expires_in", left.unwrap_or_else(missing));
    measures.plain("tls.issuer", certificate.map_or_else(missing, |c| Value::Text(c.issuer.clone())));
    measures.plain("tls.subject", certificate.map_or_else(missing, |c| Value::Text(c.subject.clone())));
}

fn notes(response: &Response) -> Vec<Note> {
    let mut notes = Vec::new();
    match response.redirects.len() {
        0 => {}
        1 => notes.push(Note::info(format!("followed a redirect to {}", response.url))),
        n => notes.push(Note::info(format!("followed {n} redirects to {}", response.url))),
    }
    notes.extend(response.notes.iter().map(Note::warning));
    if let BodyEnd::Broken(cause) = &response.body_end {
        notes.push(Note::warning(cause));
    }
    notes
}

/// Keeps the beginning of a body, if it is text.
fn excerpt(body: &[u8]) -> Option<Evidence> {
    if body.is_empty() {
        return None;
    }
    let mut end = body.len().min(EXCERPT);
    // A character is not cut in two.
    while end < body.len() && end > 0 && body[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    let binary = memchr::memchr(0, &body[..end]).is_some();
    let text = match binary {
        true => "(binary)".to_owned(),
        false => String::from_utf8_lossy(&body[..end]).into_owned(),
    };
    let kept = if binary { 0 } else { end };
    Some(Evidence { title: "body".into(), text, left_out: (body.len() - kept) as u64 })
}
