//! What is asked beside the query itself: a baseline for it, or the vectors of a comparison.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::look::Promql;
use super::span::{Window, before};
use super::{empty, look};
use crate::model::{Against, Found, Measures, Reference, Value, Worse, quantity};
use crate::probe::{Along, Look};
use crate::promql;
use crate::source::prometheus::{Data, Row, When};
use crate::source::{Asked, Failure};
use crate::template::{Scope, Template};

/// The most samples that are compared, both sides together: all of them are kept in the record.
const MOST_SAMPLES: usize = 9_000;
/// The most series, both sides together.
const MOST_SERIES: usize = 100;

/// What a query is compared with, as a canary is with production.
pub(super) struct Compare {
    pub(super) to: Template,
    pub(super) over: Duration,
    pub(super) step: Duration,
    pub(super) worse: Worse,
    pub(super) effect: f64,
}

impl Compare {
    /// Asks for both vectors and keeps every sample of them: they are judged from what is kept, now and later.
    pub(super) async fn ask(
        &self,
        endpoint: &Asked<'_>,
        query: &str,
        scope: &Scope,
        now: DateTime<Utc>,
    ) -> Result<Value, Failure> {
        let to = rendered(&self.to, scope)?;
        let window = Window { start: before(now, self.over), end: now, step: self.step, scraped: false };
        let (observed, reference) = (rows(endpoint, query, window).await?, rows(endpoint, &to, window).await?);
        let count: usize = observed.iter().chain(&reference).map(|row| row.samples.len()).sum();
        let series = observed.len() + reference.len();
        if count > MOST_SAMPLES || series > MOST_SERIES {
            return Err(Failure::lasting(format!(
                "{series} series with {count} samples are too many to compare ({MOST_SERIES} and {MOST_SAMPLES} at most); \
                 aggregate them, or make the step longer"
            )));
        }
        for (rows, query, of) in
            [(&observed, query, "the query"), (&reference, to.as_str(), "what it is compared with")]
        {
            if !rows.iter().any(|row| row.samples.iter().any(|(_, v)| !v.is_nan())) {
                let why = empty::explain(endpoint, query, When::At(now), !rows.is_empty()).await;
                return Ok(Value::NoData(format!("{of} ({query}): {why}")));
            }
        }
        Ok(Value::Json(json!({
            "to": to,
            "start": look::time_words(window.start),
            "end": look::time_words(window.end),
            "points": window.points(),
            "observed": vectors(&observed),
            "reference": vectors(&reference),
        })))
    }
}

async fn rows(endpoint: &Asked<'_>, query: &str, window: Window) -> Result<Vec<Row>, Failure> {
    let (query, when) = window.question(query);
    let answer = endpoint.query(&query, when).await?;
    look::complete(&answer)?;
    match answer.data {
        Data::Matrix(rows) => Ok(rows),
        Data::Vector(_) | Data::Scalar(..) | Data::Text(_) | Data::Histograms => {
            Err(Failure::lasting(format!("the query {query} gives no numbers over a range")))
        }
    }
}

/// Writes series down as their labels and numbers. What JSON has no number for is written as the API does.
fn vectors(rows: &[Row]) -> Json {
    let number = |value: f64| serde_json::Number::from_f64(value).map_or_else(|| word(value), Json::Number);
    let series = |row: &Row| {
        let labels: BTreeMap<_, _> = row.labels.iter().filter(|(name, _)| *name != "__name__").collect();
        let values: Json = row.samples.iter().map(|(_, value)| number(*value)).collect();
        json!({ "labels": labels, "values": values })
    };
    rows.iter().map(series).collect()
}

fn word(value: f64) -> Json {
    Json::from(quantity::plain(value))
}

impl Promql {
    /// Asks for the baseline: the same query that much earlier, or another one now.
    pub(super) async fn baseline(&self, along: &Along, look: &Look<'_>) -> Vec<Reference> {
        let asked = self.asked_along(along, look).await;
        let none = |why: String| {
            let origin = match along {
                Along::Offset(by) => format!("the same query {} earlier", words(*by)),
                Along::Query(query) => query.source().trim().to_owned(),
            };
            (Measures::new(), origin, Some(why))
        };
        let (measures, origin, why) = match asked {
            Ok((measures, origin)) => (measures, origin, None),
            Err(failure) => none(failure.cause),
        };
        let missing = || why.clone().unwrap_or_else(|| "it was not measured there".into());
        let mut references: Vec<Reference> = Vec::new();
        for measure in self.wants.iter() {
            let value = measures.get(measure).cloned().unwrap_or_else(|| Value::NoData(missing()));
            references.push(Reference {
                name: Against::Baseline,
                measure: measure.clone(),
                value,
                origin: origin.clone(),
            });
        }
        references
    }

    async fn asked_along(&self, along: &Along, look: &Look<'_>) -> Result<(Measures, String), Failure> {
        let endpoint = self.endpoint(look).await?;
        let now = self.moment(&endpoint, look)?;
        let (query, at, origin) = match along {
            Along::Offset(by) => {
                let at = before(now, *by);
                (rendered(&self.query, look.scope)?, at, format!("the same query {} earlier", words(*by)))
            }
            Along::Query(query) => {
                let query = rendered(query, look.scope)?;
                (query.clone(), now, one_line(&query))
            }
        };
        let mut notes = Vec::new();
        let measures = self.measures(&endpoint, &query, Some(at), look, &mut notes).await?;
        Ok((measures, format!("{origin}, {}", look::time_words(at))))
    }
}

/// Fills in a query. A variable may have made it invalid; the place is of no use any more.
pub(super) fn rendered(template: &Template, scope: &Scope) -> Result<String, Failure> {
    let query = template.render(scope).map_err(|error| Failure::lasting(error.to_string()))?;
    let query = query.trim().to_owned();
    match (template.is_literal(), promql::parse(&query)) {
        (false, Err(error)) => Err(Failure::lasting(format!("the query is not valid: {error}"))),
        _ => Ok(query),
    }
}

fn one_line(query: &str) -> String {
    query.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn words(length: Duration) -> String {
    quantity::seconds(length.as_secs_f64())
}

/// Turns a failure into what a look found.
pub(super) fn found(asked: Result<Measures, Failure>) -> Found {
    match asked {
        Ok(measures) => Found::Measures(measures),
        Err(Failure { cause, short: true, .. }) => Found::NotEnough { cause },
        Err(Failure { cause, retry, short: false }) => Found::CouldNotLook { cause, retry },
    }
}
