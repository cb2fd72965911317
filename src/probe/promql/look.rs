//! Asks, and turns the answer into measures.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::{empty, range};
use crate::model::{Expectation, Found, MeasureName, Measures, Note, Observation, Sample, Value};
use crate::probe::{Look, Probe, Wants};
use crate::promql;
use crate::source::prometheus::{self, Answer, Data, Point, Row, When};
use crate::source::{Asked, Failure, Moment};
use crate::template::{Scope, Template};

/// A `promql` step.
pub(super) struct Promql {
    pub(super) wants: Wants,
    /// What is measured: the query, or the side of it that is not a constant.
    pub(super) query: Template,
    /// What the query itself asserts.
    pub(super) implied: Option<Expectation>,
    /// The comparison that was taken out, for `describe`.
    pub(super) limit: String,
    pub(super) span: Option<Span>,
    pub(super) at: Option<Template>,
    pub(super) source: String,
    /// The URL of the source, for limits per host; nothing when it is asked without the network.
    pub(super) url: Option<Template>,
    /// Whether a look may wait for samples, by the clock.
    pub(super) waits: bool,
    pub(super) any: bool,
    pub(super) max_series: usize,
}

/// A range and the distance of its points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) length: Duration,
    pub(super) step: Duration,
}

impl Span {
    /// Counts the points, both ends included.
    fn points(self) -> u64 {
        u64::try_from(self.length.as_nanos() / self.step.as_nanos().max(1)).unwrap_or(u64::MAX).saturating_add(1)
    }
}

#[async_trait]
impl Probe for Promql {
    fn describe(&self) -> String {
        let query: Vec<&str> = self.query.source().split_whitespace().collect();
        let over = self.span.map(|s| format!(" over the last {}", words(s.length))).unwrap_or_default();
        format!("asks {} for {}{}{over}", self.source, query.join(" "), self.limit)
    }

    fn implied(&self) -> Option<Expectation> {
        self.implied.clone()
    }

    fn series_any(&self) -> bool {
        self.any
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        prometheus::host(self.url.as_ref()?, scope)
    }

    fn source(&self) -> Option<&str> {
        Some(&self.source)
    }

    fn needs(&self) -> Option<Duration> {
        self.waits.then_some(Duration::ZERO)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let query = match self.query.render(look.scope) {
            Ok(query) => query.trim().to_owned(),
            Err(error) => return Observation::new(self.query.source(), Found::refused(error.to_string())),
        };
        let mut observation = Observation::new(query.as_str(), Found::Measures(Measures::new()));
        // A variable may have made it invalid; the place is of no use any more.
        let parsed = match promql::parse(&query) {
            Ok(parsed) => parsed,
            Err(error) => {
                observation.found = Found::refused(format!("the query is not valid: {error}"));
                return observation;
            }
        };
        let opened = match look.sources.metrics(Some(&self.source)) {
            Some(source) => source.open(look.world, look.scope, look.timeout).await,
            None => Err(Failure::lasting(format!("there is no source {:?}", self.source))),
        };
        let found = match opened {
            Ok(source) => {
                observation.through = Some(source.shown());
                let found = self.ask_when_ready(&source, &parsed, look, &mut observation.notes).await;
                if !matches!(found, Err(Failure { retry: true, .. })) {
                    observation.through = Some(source.through().await);
                }
                observation.notes.extend(source.notes().into_iter().map(Note::warning));
                found
            }
            Err(failure) => Err(failure),
        };
        observation.found = match found {
            Ok(found) => found,
            Err(failure) => Found::CouldNotLook { cause: failure.cause, retry: failure.retry },
        };
        observation
    }
}

impl Promql {
    /// Asks once the samples that the query looks at are there; says so when they are not.
    async fn ask_when_ready(
        &self,
        source: &Asked<'_>,
        query: &promql::Query,
        look: &Look<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Found, Failure> {
        let at = match &self.at {
            None => None,
            Some(template) => Some(read_time(template, look.scope)?),
        };
        let span = self.span.map_or(Duration::ZERO, |span| span.length);
        let moment = Moment { at, span, reach: promql::reach(query) };
        if let Err(cause) = source.ready(&moment).await {
            return Ok(Found::NotEnough { cause });
        }
        self.ask(source, query.text(), at, notes).await.map(Found::Measures)
    }

    async fn ask(
        &self,
        source: &Asked<'_>,
        query: &str,
        at: Option<DateTime<Utc>>,
        notes: &mut Vec<Note>,
    ) -> Result<Measures, Failure> {
        let now = at.unwrap_or_else(|| source.now());
        let when = match (self.span, at) {
            (None, None) => When::Now,
            (None, Some(at)) => When::At(at),
            (Some(span), _) => When::Range { start: before(now, span.length), end: now, step: span.step },
        };
        let answer = source.query(query, when).await?;
        complete(&answer)?;
        notes.extend(answer.infos.iter().map(|i| Note::info(bounded(i))));
        self.bound(&answer)?;
        let mut measures = Measures::new();
        match answer.data {
            Data::Scalar(_, value) => {
                measures.plain("value", Value::Number(value));
                measures.plain("series", Value::Number(1.0));
                self.labels(&[], &mut measures);
                if self.wants.any("age") {
                    measures.plain("age", Value::NoData("a number without series has no age".into()));
                }
            }
            Data::Vector(points) => {
                self.vector(source, query, when, points, &mut measures).await;
            }
            Data::Matrix(rows) => self.matrix(source, query, now, rows, notes, &mut measures).await?,
            Data::Text(_) => return Err(Failure::lasting("the query gives a text, not numbers")),
            Data::Histograms => {
                return Err(Failure::lasting(
                    "the query gives native histograms, which are no numbers; take histogram_quantile, histogram_avg or \
                     histogram_count of them",
                ));
            }
        }
        Ok(measures)
    }

    fn bound(&self, answer: &Answer) -> Result<(), Failure> {
        let count = match &answer.data {
            Data::Vector(points) => points.len(),
            Data::Matrix(rows) => rows.len(),
            Data::Scalar(..) | Data::Text(_) | Data::Histograms => 1,
        };
        match count > self.max_series {
            true => Err(Failure::lasting(format!(
                "the query gives {count} series, more than max_series: {}; aggregate them, or allow more",
                self.max_series
            ))),
            false => Ok(()),
        }
    }

    async fn vector(&self, source: &Asked<'_>, query: &str, when: When, points: Vec<Point>, measures: &mut Measures) {
        let count = points.len();
        let age = self.age(source, query, when, &points).await;
        let samples: Vec<Sample> = points.into_iter().map(|p| Sample { labels: p.labels, value: p.value }).collect();
        let value = match samples.iter().all(|s| s.value.is_nan()) {
            true => Value::NoData(empty::explain(source, query, when, count > 0).await),
            false => Value::Series(samples.clone()),
        };
        measures.plain("value", value);
        measures.plain("series", Value::Number(count as f64));
        self.labels(&samples, measures);
        if let Some(age) = age {
            measures.plain("age", age);
        }
    }

    async fn matrix(
        &self,
        source: &Asked<'_>,
        query: &str,
        now: DateTime<Utc>,
        rows: Vec<Row>,
        notes: &mut Vec<Note>,
        measures: &mut Measures,
    ) -> Result<(), Failure> {
        let wanted = |name: &&str| self.wants.is_empty() || self.wants.any(name);
        let names: Vec<&'static str> = range::NAMES.iter().copied().filter(wanted).collect();
        let samples: Vec<Sample> = rows.iter().map(|r| Sample { labels: r.labels.clone(), value: 0.0 }).collect();
        let numbers = rows.iter().flat_map(|r| &r.samples).filter(|(_, v)| !v.is_nan()).count();
        let all = rows.iter().map(|r| r.samples.len()).sum::<usize>();
        if numbers == 0 {
            let why = empty::explain(source, query, When::At(now), all > 0).await;
            measures.plain("value", Value::NoData(why.clone()));
            for name in names.iter().chain(&["age"]) {
                measures.plain(name, Value::NoData(why.clone()));
            }
        } else {
            let points = self.span.map_or(0, Span::points);
            let end = now.timestamp_millis() as f64 / 1000.0;
            // A million samples take a while to sort.
            let computing = tokio::task::spawn_blocking(move || range::measure(&rows, &names, points, end));
            let computed = computing.await;
            let computed = computed.map_err(|e| Failure::lasting(format!("the range could not be computed: {e}")))?;
            for (name, value) in computed {
                measures.plain(name, value);
            }
            if numbers < all {
                notes.push(Note::warning(format!("{} of {all} samples are NaN and are left out", all - numbers)));
            }
        }
        measures.plain("series", Value::Number(samples.len() as f64));
        self.labels(&samples, measures);
        Ok(())
    }

    /// Gives the values of each label that is asked about.
    fn labels(&self, samples: &[Sample], measures: &mut Measures) {
        let mut names: BTreeSet<&str> = self.wants.keys("labels").into_iter().collect();
        if self.wants.whole("labels") {
            names.extend(samples.iter().flat_map(|s| s.labels.keys()).map(String::as_str));
        }
        for name in names {
            let values: BTreeSet<&String> = samples.iter().filter_map(|s| s.labels.get(name)).collect();
            let value = match (values.is_empty(), samples.is_empty()) {
                (false, _) => Value::Set(values.into_iter().cloned().collect()),
                (true, true) => Value::NoData("there are no series".into()),
                (true, false) => Value::Missing(format!("no series has the label {name:?}")),
            };
            measures.set(MeasureName::keyed("labels", name), value);
        }
    }

    /// Asks how old the samples are, if anybody wants to know.
    async fn age(&self, source: &Asked<'_>, query: &str, when: When, points: &[Point]) -> Option<Value> {
        match self.wants.any("age") {
            true => Some(self.age_of(source, query, when, points).await),
            false => None,
        }
    }

    async fn age_of(&self, source: &Asked<'_>, query: &str, when: When, points: &[Point]) -> Value {
        let selector = promql::parse(query).is_ok_and(|q| q.is_selector());
        if !selector {
            return Value::NoData(
                "only samples that are looked up have an age: the query must be a plain selector".into(),
            );
        }
        let Some(now) = points.first().map(|p| p.at) else {
            return Value::NoData("there are no series".into());
        };
        match source.query(&format!("timestamp({query})"), when).await {
            Ok(answer) if !answer.warnings.is_empty() => {
                Value::NoData("the server says that the answer may be incomplete".into())
            }
            Ok(Answer { data: Data::Vector(times), .. }) if !times.is_empty() => Value::Series(
                times.into_iter().map(|p| Sample { labels: p.labels, value: (now - p.value).max(0.0) }).collect(),
            ),
            Ok(_) => Value::NoData("there are no series".into()),
            Err(failure) => Value::NoData(format!("the age could not be asked for: {failure}")),
        }
    }
}

/// Refuses an answer of which the server says that something may be missing or wrong in it: a part of what is looked
/// through did not answer, so that neither its numbers nor their absence say anything.
fn complete(answer: &Answer) -> Result<(), Failure> {
    let Some(first) = answer.warnings.first() else { return Ok(()) };
    let more = match answer.warnings.len() {
        1 => String::new(),
        n => format!("; and {} more", n - 1),
    };
    let cause = format!("the server says that the answer may be incomplete: {}{more}", bounded(first));
    // What the query itself brings about would only come again.
    let lasting = answer.warnings.iter().any(|warning| warning.starts_with("PromQL "));
    Err(Failure { cause, retry: !lasting })
}

fn read_time(template: &Template, scope: &Scope) -> Result<DateTime<Utc>, Failure> {
    let text = template.render(scope).map_err(|e| Failure::lasting(e.to_string()))?;
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.with_timezone(&Utc));
    }
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && s.abs() < 1e12);
    seconds
        .and_then(|s| DateTime::from_timestamp_millis((s * 1000.0) as i64))
        .ok_or_else(|| Failure::lasting(format!("at: {text:?} is neither an RFC 3339 time nor seconds since 1970")))
}

fn before(at: DateTime<Utc>, length: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(length).ok().and_then(|d| at.checked_sub_signed(d)).unwrap_or(DateTime::UNIX_EPOCH)
}

fn words(length: Duration) -> String {
    crate::model::quantity::seconds(length.as_secs_f64())
}

fn bounded(text: &str) -> String {
    text.chars().take(500).collect()
}
