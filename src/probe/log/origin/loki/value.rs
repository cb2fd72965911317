//! The numbers that a metric query gives at one moment.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value as Json;

use super::{Logql, ask, had_streams, nanos};
use crate::diag::Diagnostic;
use crate::model::{Found, Measures, Note, Observation, Sample, Value};
use crate::probe::{Compiling, Look, Probe};
use crate::source::api::Asked;
use crate::source::{Failure, prometheus};
use crate::template::Scope;
use crate::yaml::Node;

/// The measures of a value; all others are of lines.
pub(in crate::probe::log) const OF_VALUE: &[&str] = &["value", "series"];
/// The most series that are judged.
const MOST_SERIES: usize = 1000;

/// A query for numbers.
struct Metric(Logql);

/// Turns what was written into a probe, for a step that judges a value. Every mistake is said.
pub(in crate::probe::log) fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let Some((_, loki)) = node.entry("loki") else {
        let message = "only a query to a Loki gives a value";
        let help =
            "write `log: { loki: 'sum(count_over_time({app=\"orders\"} [5m]))' }`, or count lines with `matches`";
        compiling.reading.say(Diagnostic::error("bad-value", node.span, message).help(help));
        return None;
    };
    let mut good = true;
    let of_lines = compiling.wants.iter().find(|name| !OF_VALUE.contains(&name.name())).map(ToString::to_string);
    if let Some(name) = of_lines {
        let message = format!("a query gives either numbers or lines, and {name} is of lines");
        compiling.reading.say(Diagnostic::error("bad-value", loki.span, message).help("make two steps of it"));
        good = false;
    }
    for (key, _) in node.map().unwrap_or_default().iter().filter(|(key, _)| key.text() != Some("loki")) {
        let name = key.text().unwrap_or_default();
        let message = format!("{name} has no meaning for a value");
        let help = "the range stands in the query: count_over_time({app=\"orders\"} [5m])";
        compiling.reading.say(Diagnostic::error("bad-value", key.span, message).help(help));
        good = false;
    }
    let logql = Logql::read(compiling, loki)?;
    if logql.finds_lines() == Some(true) {
        let message = "this query gives lines, not numbers";
        let help = "count them with `matches`, or in the query: sum(count_over_time({app=\"orders\"} [5m]))";
        compiling.reading.say(Diagnostic::error("bad-value", loki.span, message).help(help));
        good = false;
    }
    good.then(|| Box::new(Metric(logql)) as Box<dyn Probe>)
}

#[async_trait]
impl Probe for Metric {
    fn describe(&self) -> String {
        format!("asks {} for {}", self.0.source, self.0.query.source().trim())
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        prometheus::host(&self.0.url, scope)
    }

    fn source(&self) -> Option<&str> {
        Some(&self.0.source)
    }

    fn can_look_back(&self) -> bool {
        true
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let mut observation = Observation::new(self.0.query.source(), Found::Measures(Measures::new()));
        observation.found = match self.look(look, &mut observation.request, &mut observation.through).await {
            Ok((measures, notes)) => {
                observation.notes = notes;
                Found::Measures(measures)
            }
            Err(Failure { cause, retry, .. }) => Found::CouldNotLook { cause, retry },
        };
        observation
    }
}

impl Metric {
    async fn look(
        &self,
        look: &Look<'_>,
        request: &mut String,
        through: &mut Option<String>,
    ) -> Result<(Measures, Vec<Note>), Failure> {
        let query = self.0.fill(look.scope)?;
        request.clone_from(&query);
        let source = look.sources.api("loki", Some(&self.0.source));
        let source = source.ok_or_else(|| Failure::lasting(format!("there is no source {:?}", self.0.source)))?;
        let asked = source.open(look.world, look.scope, look.timeout)?;
        *through = Some(asked.through());
        let at = look.as_of.unwrap_or_else(|| look.world.clock.now());
        let time = nanos(at);
        let (data, warning) =
            ask(&asked, "/loki/api/v1/query", &[("query", query.as_str()), ("time", time.as_str())]).await?;
        if let Some(warning) = warning {
            // Neither its numbers nor their absence can be relied on.
            return Err(Failure::passing(warning));
        }
        let samples = read(&data).map_err(|why| Failure::lasting(format!("{}: {why}", asked.through())))?;
        let mut measures = Measures::new();
        measures.plain("series", Value::Number(samples.len() as f64));
        measures.plain("value", value(&asked, &query, at, samples).await?);
        Ok((measures, Vec::new()))
    }
}

async fn value(
    asked: &Asked<'_>,
    query: &str,
    at: chrono::DateTime<chrono::Utc>,
    samples: Vec<Sample>,
) -> Result<Value, Failure> {
    if samples.is_empty() {
        had_streams(asked, query, at).await?;
        return Ok(Value::NoData("the query gives no series: there are streams, and no line that it looks for".into()));
    }
    if samples.len() > MOST_SERIES {
        let text = format!("the query gives {} series, more than {MOST_SERIES}; aggregate them", samples.len());
        return Err(Failure::lasting(text));
    }
    match samples.iter().all(|sample| sample.value.is_nan()) {
        true => Ok(Value::NoData("the query gives only NaN".into())),
        false => Ok(Value::Series(samples)),
    }
}

/// Reads the numbers of an answer.
fn read(data: &Json) -> Result<Vec<Sample>, String> {
    let number = |pair: &Json| {
        let text = pair[1].as_str().ok_or("a number of the answer is no text")?;
        text.parse::<f64>().map_err(|_| format!("{text:?} is no number"))
    };
    let labels = |metric: &Json| {
        let pairs = metric.as_object().into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect::<BTreeMap<_, _>>()
    };
    match data["resultType"].as_str() {
        Some("scalar") => Ok(vec![Sample { labels: BTreeMap::new(), value: number(&data["result"])? }]),
        Some("vector") => {
            let Some(rows) = data["result"].as_array() else { return Err("the answer holds no vector".into()) };
            let sample = |row: &Json| Ok(Sample { labels: labels(&row["metric"]), value: number(&row["value"])? });
            rows.iter().map(sample).collect()
        }
        Some("streams") => Err("the query gives lines, not numbers".into()),
        other => Err(format!("the query gives a {}, not a vector", other.unwrap_or("thing without a type"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn vectors_and_scalars_are_numbers_and_nothing_else_is() {
        let vector = json!({ "resultType": "vector", "result": [{ "metric": { "app": "a" }, "value": [1.5, "7"] }] });
        let read_one = read(&vector).expect("a vector");
        assert_eq!((read_one[0].labels["app"].as_str(), read_one[0].value), ("a", 7.0));
        let scalar = read(&json!({ "resultType": "scalar", "result": [1, "+Inf"] })).expect("a scalar");
        assert_eq!(scalar[0].value, f64::INFINITY);
        assert!(read(&json!({ "resultType": "streams", "result": [] })).is_err());
        assert!(read(&json!({ "resultType": "vector", "result": [{ "metric": {}, "value": [1, 7] }] })).is_err());
        assert!(read(&json!({})).is_err());
    }
}
