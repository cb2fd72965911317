//! Logs in a Loki. [`lines`] brings the lines that a query finds, for the scanner; [`value`] asks a metric query, whose
//! numbers are judged as they are. Both know here how Loki answers, and what a query selects.
//!
//! API: <https://grafana.com/docs/loki/latest/reference/loki-http-api/>.

mod lines;
pub(in crate::probe::log) mod value;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

pub(super) use lines::KIND;

use crate::probe::{Compiling, asked};
use crate::shape::{Object, Shape, field, required};
use crate::source::Failure;
use crate::source::api::{Asked, Reply};
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// How far back a stream is looked for before it is said that there is none.
const KNOWN_FOR: TimeDelta = TimeDelta::days(7);
/// The most that is repeated of what Loki says of an error, in characters.
const MOST_SAID: usize = 300;

/// The form of the value under `loki`.
const SHAPE: Shape = Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]);

static OBJECT: Object = Object {
    name: "a query to Loki",
    fields: &[
        required("query", Shape::Template, "The query, in LogQL: `{app=\"orders\"} |= \"error\"`."),
        field(
            "limit",
            Shape::Int(1, 10_000_000),
            "The most lines that are read (100000 unless said otherwise); when there are more, counts have no data.",
        ),
        field("source", Shape::Text, "The source to ask, when there are several."),
    ],
    open: false,
};

/// A query as the checklist names it.
#[derive(Clone, Debug)]
struct Logql {
    query: Template,
    limit: Option<usize>,
    /// The name of the source, and its URL for limits per host.
    source: String,
    url: Template,
}

impl Logql {
    /// Reads a query. Every mistake is said.
    fn read(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Self> {
        let place = if node.text().is_some() { node } else { node.get("query")? };
        let query = compiling.reading.template(place, Place::Promql);
        let api = asked::api(compiling, node, "loki", "logs")?;
        let (source, url) = (api.name().to_owned(), api.url().clone());
        let limit = node.get("limit").and_then(Node::number).map(|limit| limit as usize);
        Some(Self { query: query?, limit, source, url })
    }

    /// Tells whether it is written as a query for lines: it begins with its selector. Nothing when a template decides.
    fn finds_lines(&self) -> Option<bool> {
        let text = self.query.source().trim_start();
        (!text.starts_with("{{")).then(|| text.starts_with('{'))
    }

    fn fill(&self, scope: &Scope) -> Result<String, Failure> {
        let filled = self.query.render(scope).map_err(|error| Failure::lasting(error.to_string()))?;
        Ok(filled.trim().to_owned())
    }
}

/// Asks, and returns what stands under `data`; nothing in it is cut. Warnings of the server are given beside it.
async fn ask(asked: &Asked<'_>, path: &str, query: &[(&str, &str)]) -> Result<(Value, Option<String>), Failure> {
    let reply = asked.send("GET", path, query, None).await?;
    if (400..500).contains(&reply.status) && !matches!(reply.status, 401 | 403 | 404 | 429) {
        let said = said(&reply).unwrap_or_else(|| "without saying why".into());
        return Err(Failure::lasting(format!("{} answered {}: {said}", asked.through(), reply.status)));
    }
    asked.check(&reply, path)?;
    let mut answer = asked.json(&reply)?;
    if answer["status"] != "success" || answer["data"].is_null() {
        return Err(Failure::lasting(format!("{} answered with something else than data", asked.through())));
    }
    let warning = answer["warnings"].as_array().and_then(|all| all.first()).and_then(Value::as_str);
    let warning = warning.map(|warning| format!("Loki warns: {}", bounded(warning)));
    Ok((answer["data"].take(), warning))
}

/// Returns what Loki says of an error: plain text, or JSON with a message.
fn said(reply: &Reply) -> Option<String> {
    let text = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(json) => ["message", "error"].iter().find_map(|key| json[key].as_str().map(str::to_owned))?,
        Err(_) => String::from_utf8_lossy(&reply.body).into_owned(),
    };
    let text = bounded(&text);
    (!text.is_empty() && !text.starts_with('<')).then_some(text)
}

fn bounded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MOST_SAID).collect()
}

/// Makes sure that a query that found nothing looked at something: each of its selectors must have had a stream not
/// long ago, for one that never had any may be misspelled.
async fn had_streams(asked: &Asked<'_>, query: &str, end: DateTime<Utc>) -> Result<(), Failure> {
    let (from, to) = (nanos(end - KNOWN_FOR), nanos(end));
    for selector in selectors(query) {
        let pairs = [("match[]", selector.as_str()), ("start", from.as_str()), ("end", to.as_str())];
        let (streams, _) = ask(asked, "/loki/api/v1/series", &pairs).await?;
        match streams.as_array().map(Vec::is_empty) {
            Some(false) => {}
            Some(true) => {
                let days = KNOWN_FOR.num_days();
                return Err(Failure::lasting(format!(
                    "no stream fits {selector}, nor did any in the last {days} days"
                )));
            }
            None => return Err(Failure::lasting(format!("{} gave no list of streams", asked.through()))),
        }
    }
    Ok(())
}

/// Finds the stream selectors of a query: what stands in braces outside of texts.
fn selectors(query: &str) -> Vec<String> {
    let (mut found, mut start, mut quote, mut escaped) = (Vec::new(), None, None, false);
    for (at, sign) in query.char_indices() {
        match (quote, sign) {
            (Some('"'), _) if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(open), sign) if sign == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(sign),
            (None, '{') => start = Some(at),
            (None, '}') => {
                if let Some(start) = start.take() {
                    found.push(query[start..=at].to_owned());
                }
            }
            (None, _) => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Writes a time as Loki takes it: nanoseconds since 1970.
fn nanos(at: DateTime<Utc>) -> String {
    at.timestamp_nanos_opt().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_found_outside_of_texts() {
        let query =
            r#"sum(rate({app="a}\"{", env=`{x}`} |= "{no}" | line_format `{{.x}}` [5m])) / sum(rate({app="b"}[5m]))"#;
        assert_eq!(selectors(query), [r#"{app="a}\"{", env=`{x}`}"#, r#"{app="b"}"#]);
        assert!(selectors("vector(1)").is_empty());
    }
}
