//! Sending a letter: attempts with growing pauses, what the other side says when it refuses, and how long it wishes us
//! to wait.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::letter::{Letter, Post, Runner};
use crate::sys::World;
use crate::sys::http::{Fault, Request, Response};
use crate::sys::mail;

/// The most of an answer that is read, in bytes.
const MAX_BODY: usize = 256 << 10;
/// The most that is repeated of what the other side says, in characters.
const MAX_SAID: usize = 300;
/// The longest pause between two attempts, also when the other side asks for more.
const LONGEST: Duration = Duration::from_secs(60);

/// How hard it is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// How often in all.
    pub attempts: u32,
    /// The pause before the second attempt.
    pub delay: Duration,
    /// By what factor pauses grow.
    pub backoff: f64,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for Effort {
    fn default() -> Self {
        Self { attempts: 4, delay: Duration::from_secs(1), backoff: 2.0, timeout: Duration::from_secs(10) }
    }
}

/// A letter that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How often it was tried.
    pub attempts: u32,
    /// What the other side calls what it made of it.
    pub id: Option<String>,
}

/// A letter that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How often it was tried.
    pub attempts: u32,
    /// Why, in one line.
    pub why: String,
}

/// What one attempt came to.
enum Attempt {
    Taken(Option<String>),
    /// It may go better later, after this long when the other side says so.
    Later(String, Option<Duration>),
    Never(String),
}

/// Sends a letter, for as long as the effort goes.
///
/// # Errors
/// Says why it was not taken, after the last attempt.
pub async fn send(letter: &Letter, world: &World, effort: Effort) -> Result<Taken, Refused> {
    let mut pause = effort.delay;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (why, wait) = match attempt(letter, world, effort.timeout).await {
            Attempt::Taken(id) => return Ok(Taken { attempts, id }),
            Attempt::Later(why, wait) if attempts < effort.attempts => (why, wait),
            Attempt::Later(why, _) | Attempt::Never(why) => return Err(Refused { attempts, why: letter.hide(&why) }),
        };
        let wait = wait.unwrap_or(pause);
        if wait > LONGEST {
            let seconds = wait.as_secs();
            let why = format!("{why}; it asks to wait {seconds}s, longer than is waited");
            return Err(Refused { attempts, why: letter.hide(&why) });
        }
        world.clock.sleep(wait).await;
        pause = pause.mul_f64(effort.backoff.clamp(1.0, 100.0)).min(LONGEST);
    }
}

async fn attempt(letter: &Letter, world: &World, timeout: Duration) -> Attempt {
    match letter {
        Letter::Http(post) => over_http(post, world, timeout).await,
        Letter::Mail(server, mail) => {
            let sent = world.clock.timeout(timeout, mail::send(server, mail, &world.policy)).await;
            match sent {
                Some(Ok(())) => Attempt::Taken(None),
                Some(Err(error)) if error.passing => Attempt::Later(error.message, None),
                Some(Err(error)) => Attempt::Never(error.message),
                None => Attempt::Later(format!("no answer within {}s", timeout.as_secs_f64()), None),
            }
        }
        Letter::Runner(runner) => {
            let runner = runner.clone();
            match tokio::task::spawn_blocking(move || write(&runner)).await {
                Ok(Ok(())) => Attempt::Taken(None),
                Ok(Err(why)) => Attempt::Never(why),
                Err(_) => Attempt::Never("the files could not be written".to_owned()),
            }
        }
    }
}

async fn over_http(post: &Post, world: &World, timeout: Duration) -> Attempt {
    let request = Request {
        method: post.method.clone(),
        url: post.url.clone(),
        headers: post.headers.clone(),
        body: Bytes::from(post.body.clone()),
        timeout,
        max_body: MAX_BODY,
        max_redirects: 0,
        connection: post.connection.clone(),
        timed: false,
    };
    let response = match world.http.send(&request).await {
        Ok(response) => response,
        Err(error) => {
            return match error.kind {
                Fault::Request | Fault::Redirect | Fault::Tls => Attempt::Never(error.message),
                Fault::Dns | Fault::Connect | Fault::Timeout | Fault::Protocol => Attempt::Later(error.message, None),
            };
        }
    };
    let said = said(&response).map(|said| format!(": {said}")).unwrap_or_default();
    let why = format!("{} answered {}{said}", post.shown, response.status);
    match response.status {
        200..=299 => Attempt::Taken(post.id_key.and_then(|key| id(&response, key))),
        408 | 425 | 429 | 500..=599 => Attempt::Later(why, wait(&response, world.clock.now())),
        300..=399 => Attempt::Never(format!("{why}; redirects are not followed")),
        _ => Attempt::Never(why),
    }
}

fn id(response: &Response, key: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(&response.body).ok()?;
    match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns how long the other side asks to wait: seconds, or a time.
/// Source: RFC 9110, section 10.2.3.
fn wait(response: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    (at.with_timezone(&Utc) - now).to_std().ok()
}

/// Returns what the other side says of an error, in one bounded line.
fn said(response: &Response) -> Option<String> {
    let body = String::from_utf8_lossy(&response.body);
    let text = match serde_json::from_slice::<Value>(&response.body) {
        Ok(Value::Object(map)) => {
            let words = |value: &Value| match value {
                Value::String(text) => Some(text.clone()),
                Value::Array(items) => {
                    let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                    (!texts.is_empty()).then(|| texts.join("; "))
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
            };
            let keys = ["message", "error", "errors", "msg", "detail"];
            let found: Vec<String> = keys.iter().filter_map(|key| words(map.get(*key)?)).collect();
            found.join(": ")
        }
        Ok(Value::String(text)) => text,
        Ok(_) => String::new(),
        Err(_) if body.trim_start().starts_with('<') => String::new(),
        Err(_) => body.into_owned(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then(|| line.chars().take(MAX_SAID).collect())
}

fn write(runner: &Runner) -> Result<(), String> {
    for (path, text) in &runner.files {
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|e| format!("{} cannot be written: {e}", path.display()))?;
    }
    let mut err = std::io::stderr().lock();
    for line in &runner.lines {
        // A reader that has left wants no more.
        let _ = writeln!(err, "{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::BodyEnd;

    fn response(body: &str, headers: &[(&str, &str)]) -> Response {
        Response {
            status: 400,
            version: "HTTP/1.1",
            url: String::new(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            body_end: BodyEnd::Complete,
            redirects: Vec::new(),
            latency: Duration::ZERO,
            timing: None,
            certificate: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn what_is_said_of_an_error_is_one_line() {
        let of = |body| said(&response(body, &[]));
        assert_eq!(of("invalid_payload").as_deref(), Some("invalid_payload"));
        assert_eq!(
            of(r#"{"status":"invalid event","message":"Event object is invalid","errors":["a is missing","b is long"]}"#)
                .as_deref(),
            Some("Event object is invalid: a is missing; b is long")
        );
        assert_eq!(of("<html>no</html>"), None);
        assert_eq!(of(""), None);
        assert_eq!(of(&"x".repeat(9_000)).map(|said| said.len()), Some(MAX_SAID));
    }

    #[test]
    fn the_other_side_says_how_long_to_wait() {
        let now = DateTime::from_timestamp(1_772_366_400, 0).expect("a time");
        let of = |text| wait(&response("", &[("retry-after", text)]), now);
        assert_eq!(of("30"), Some(Duration::from_secs(30)));
        assert_eq!(of("Sun, 01 Mar 2026 12:00:07 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(of("Sun, 01 Mar 2026 11:00:00 GMT"), None);
        assert_eq!(of("soon"), None);
    }
}
