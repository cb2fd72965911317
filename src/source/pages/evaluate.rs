//! Evaluates a query on a thread of its own, and gives its answer the form that a Prometheus gives it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::promql::engine::storage::Stop;
use crate::promql::engine::{self, Engine, Labels, QueryError, StorageError};
use crate::promql::storage::Memory;
use crate::source::Failure;
use crate::source::prometheus::{Answer, Data, Point, Row, When};

/// Stops a query when nobody waits for it any more.
struct Cancel(Arc<Stop>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Asks a query.
///
/// # Errors
/// Says why it cannot be answered.
pub(super) async fn query(
    memory: Arc<Memory>,
    query: &str,
    when: When,
    now: DateTime<Utc>,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let query = query.to_owned();
    // A deadline that the clock cannot hold is none.
    let stop = Arc::new(Instant::now().checked_add(timeout).map(Stop::at).unwrap_or_default());
    let cancel = Cancel(Arc::clone(&stop));
    let work = move || match when {
        When::Now => instant(&memory, &query, now, &stop),
        When::At(at) => instant(&memory, &query, at, &stop),
        When::Range { start, end, step } => {
            let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
            let ends = (start.timestamp_millis(), end.timestamp_millis());
            let answer = Engine::default().range(&*memory, &query, ends, step, &stop);
            answer.map(|answer| told(answer, end)).map_err(failure)
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    drop(cancel);
    done.unwrap_or_else(|fault| Err(Failure::lasting(format!("the query could not be evaluated: {fault}"))))
}

fn instant(memory: &Memory, query: &str, at: DateTime<Utc>, stop: &Stop) -> Result<Answer, Failure> {
    let answer = Engine::default().instant(memory, query, at.timestamp_millis(), stop);
    answer.map(|answer| told(answer, at)).map_err(failure)
}

fn failure(error: QueryError) -> Failure {
    match error {
        QueryError::Storage(StorageError::TimedOut) => Failure::passing(error.to_string()),
        QueryError::Syntax(_) | QueryError::Invalid(_) | QueryError::Storage(_) => {
            Failure::lasting(format!("the query could not be evaluated: {error}"))
        }
    }
}

/// Gives an answer of the engine the form of one of the API.
fn told(answer: engine::Answer, at: DateTime<Utc>) -> Answer {
    let at = seconds(at.timestamp_millis());
    let data = match answer.value {
        engine::Value::Scalar(value) => Data::Scalar(at, value),
        engine::Value::Text(text) => Data::Text(text),
        engine::Value::Vector(points) => {
            Data::Vector(points.into_iter().map(|p| Point { labels: map(&p.labels), at, value: p.value }).collect())
        }
        engine::Value::Matrix(series) => {
            let row = |s: engine::Series| Row {
                labels: map(&s.labels),
                samples: s.samples.into_iter().map(|sample| (seconds(sample.t), sample.v)).collect(),
            };
            Data::Matrix(series.into_iter().map(row).collect())
        }
    };
    Answer { data, warnings: answer.warnings, infos: answer.infos }
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
