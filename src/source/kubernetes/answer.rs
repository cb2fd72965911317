//! What may come instead of an answer, told apart. The API describes errors as `Status` objects:
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>.

use std::time::Duration;

use serde_json::Value;

use super::ask::Question;
use crate::source::Failure;
use crate::sys::http::{BodyEnd, Fault, HttpError};
use crate::sys::kubernetes::Answer;

/// The most that is repeated of what the API says of an error, in characters.
const MAX_SAID: usize = 300;

/// Words why there is no answer at all.
pub(super) fn unanswered(through: &str, error: &HttpError) -> Failure {
    let cause = format!("{through} does not answer: {error}");
    match error.kind {
        Fault::Request | Fault::Redirect => Failure::lasting(cause),
        Fault::Dns | Fault::Connect | Fault::Tls | Fault::Timeout | Fault::Protocol => Failure::passing(cause),
    }
}

/// Tells a whole answer from a cut one.
pub(super) fn whole(through: &str, answer: Answer) -> Result<Answer, Failure> {
    match &answer.end {
        BodyEnd::Complete => Ok(answer),
        BodyEnd::TooLarge => {
            Err(Failure::lasting(format!("the answer of {through} is larger than {} MiB", answer.body.len() >> 20)))
        }
        BodyEnd::Broken(cause) => Err(Failure::passing(format!("the answer of {through} broke off: {cause}"))),
    }
}

/// Tells success from every other status.
pub(super) fn check(through: &str, answer: &Answer, question: &Question) -> Result<(), Failure> {
    let said = said(answer).map(|said| format!(": {said}")).unwrap_or_default();
    let Question { verb, what, namespace, path } = question;
    let place = namespace.as_ref().map(|name| format!(" in the namespace {name}")).unwrap_or_default();
    match answer.status {
        200..=299 => Ok(()),
        401 => Err(Failure::lasting(format!("{through} answered 401: the credentials are not accepted{said}"))),
        403 => {
            let cause = format!("{through} answered 403: a role that allows to {verb} {what}{place} is missing{said}");
            Err(Failure::lasting(cause))
        }
        404 => {
            let path = path.split('?').next().unwrap_or_default();
            Err(Failure::lasting(format!("{through} answered 404 for {path}; is this the address of its API?{said}")))
        }
        300..=399 => {
            let to = header(answer, "location").unwrap_or("elsewhere");
            Err(Failure::lasting(format!("{through} redirects to {to}; is this the address of its API?")))
        }
        410 => Err(Failure::passing(format!("{through} answered 410: what was asked for is too old{said}"))),
        429 | 500.. => {
            let wait = header(answer, "retry-after").map(|wait| format!(" (retry after {wait})")).unwrap_or_default();
            Err(Failure::passing(format!("{through} answered {}{wait}{said}", answer.status)))
        }
        status => Err(Failure::lasting(format!("{through} answered {status} to {verb} {what}{place}{said}"))),
    }
}

/// Reads a body as JSON.
pub(super) fn json(through: &str, answer: &Answer) -> Result<Value, Failure> {
    let value: Result<Value, _> = serde_json::from_slice(&answer.body);
    value.map_err(|fault| match answer.body.trim_ascii_start().first() {
        Some(b'{') if fault.is_eof() => {
            Failure::passing(format!("the answer of {through} breaks off after {} bytes", answer.body.len()))
        }
        Some(b'{') => Failure::lasting(format!("{through} answered what cannot be understood: {fault}")),
        Some(b'<') => Failure::lasting(format!("{through} answered with HTML; is this the address of its API?")),
        _ => Failure::lasting(format!("{through} did not answer with JSON; is this the address of its API?")),
    })
}

/// Returns how long the server asks to wait, when it asks for a little.
pub(super) fn wait(answer: &Answer) -> Option<Duration> {
    let seconds = header(answer, "retry-after")?.trim().parse().ok()?;
    (seconds <= 60).then(|| Duration::from_secs(seconds))
}

/// Tells whether an error comes from the API itself, and not from what stands before it.
pub(super) fn is_status(answer: &Answer) -> bool {
    status(answer).is_some()
}

fn status(answer: &Answer) -> Option<Value> {
    let value: Value = serde_json::from_slice(&answer.body).ok()?;
    (value["kind"] == "Status").then_some(value)
}

/// Returns what the API says of an error, in one bounded line.
fn said(answer: &Answer) -> Option<String> {
    let status = status(answer)?;
    let line = status["message"].as_str()?.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then(|| line.chars().take(MAX_SAID).collect())
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
