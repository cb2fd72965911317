//! Asks, and turns the answer into measures.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::beside::{Compare, found, rendered};
use super::span::{Reach, Span, Window};
use super::{COMPARED, empty, range};
use crate::model::{Expectation, Found, MeasureName, Measures, Note, Observation, Reference, Sample, Value, quantity};
use crate::probe::{Along, Look, Probe, Wants};
use crate::promql;
use crate::source::prometheus::{self, Answer, Data, Point, Row, When};
use crate::source::{Asked, Failure};
use crate::stats::counter;
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
    /// What it is compared with, and what must hold of that.
    pub(super) compare: Option<Compare>,
    pub(super) not_worse: Option<Expectation>,
    /// What is asked along with it, to hold it against.
    pub(super) along: Option<Along>,
    pub(super) at: Option<Template>,
    pub(super) source: String,
    /// The URL of the source, for limits per host; nothing when it is asked without the network.
    pub(super) url: Option<Template>,
    /// Whether a look may wait for samples, by the clock.
    pub(super) waits: bool,
    pub(super) any: bool,
    pub(super) max_series: usize,
}

#[async_trait]
impl Probe for Promql {
    fn describe(&self) -> String {
        let query: Vec<&str> = self.query.source().split_whitespace().collect();
        let over = self.span.map(|span| format!(" over {}", span.words())).unwrap_or_default();
        let to = self.compare.as_ref().map(|compare| {
            let to: Vec<&str> = compare.to.source().split_whitespace().collect();
            format!(", compared with {} over {}", to.join(" "), quantity::seconds(compare.over.as_secs_f64()))
        });
        format!("asks {} for {}{}{over}{}", self.source, query.join(" "), self.limit, to.unwrap_or_default())
    }

    fn implied(&self) -> Option<Expectation> {
        match (self.implied.clone(), self.not_worse.clone()) {
            (Some(limit), Some(not_worse)) => Some(Expectation::All(vec![limit, not_worse])),
            (limit, not_worse) => limit.or(not_worse),
        }
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

    fn can_look_back(&self) -> bool {
        // What holdpoint scrapes itself begins with the run.
        !self.waits
    }

    fn takes_along(&self) -> bool {
        true
    }

    async fn along(&self, look: &Look<'_>) -> Vec<Reference> {
        match &self.along {
            Some(along) => self.baseline(along, look).await,
            None => Vec::new(),
        }
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let mut observation = Observation::new(self.query.source(), Found::Measures(Measures::new()));
        let query = match rendered(&self.query, look.scope) {
            Ok(query) => query,
            Err(failure) => {
                observation.found = found(Err(failure));
                return observation;
            }
        };
        observation.request = query.clone();
        let asked = match self.endpoint(look).await {
            Ok(endpoint) => {
                observation.through = Some(endpoint.shown());
                endpoint.wait(&query, self.back()).await;
                let asked = match endpoint.darkness().filter(|_| !is_about_scrapes(&query)) {
                    // What is looked through does not answer: an empty answer would say nothing of the service.
                    Some(why) => Err(Failure::passing(why)),
                    None => self.ask(&endpoint, &query, look, &mut observation.notes).await,
                };
                if !matches!(asked, Err(Failure { retry: true, .. })) {
                    observation.through = Some(endpoint.through().await);
                }
                observation.notes.extend(endpoint.notes().into_iter().map(|note| Note::warning(bounded(&note))));
                asked
            }
            Err(failure) => Err(failure),
        };
        observation.found = found(asked);
        observation
    }
}

/// Tells whether a query is only about whether targets can be scraped: it is answered when none can.
fn is_about_scrapes(query: &str) -> bool {
    let own = |name: &str| name == "up" || name.starts_with("scrape_");
    promql::parse(query).is_ok_and(|query| {
        let selectors = promql::selectors(&query);
        !selectors.is_empty() && selectors.iter().all(|selector| selector.metric.as_deref().is_some_and(own))
    })
}

impl Promql {
    /// Returns the back end with its address filled in.
    pub(super) async fn endpoint<'l>(&self, look: &'l Look<'_>) -> Result<Asked<'l>, Failure> {
        match look.sources.metrics(Some(&self.source)) {
            Some(source) => source.open(look.world, look.scope, look.timeout).await,
            None => Err(Failure::lasting(format!("there is no source {:?}", self.source))),
        }
    }

    /// Returns the moment that is asked about, where the server's own now will not do.
    pub(super) fn moment(&self, endpoint: &Asked<'_>, look: &Look<'_>) -> Result<DateTime<Utc>, Failure> {
        Ok(self.fixed(look)?.unwrap_or_else(|| endpoint.now()))
    }

    /// Returns how far back is asked about, apart from how far back the query looks by itself.
    pub(super) fn back(&self) -> Duration {
        let span = match self.span.map(|span| span.reach) {
            Some(Reach::Last(length)) => length,
            Some(Reach::Soak) | None => Duration::ZERO,
        };
        span.max(self.compare.as_ref().map_or(Duration::ZERO, |compare| compare.over))
    }

    /// Returns the past moment that is asked about. One that is written down outweighs that of the look.
    fn fixed(&self, look: &Look<'_>) -> Result<Option<DateTime<Utc>>, Failure> {
        match &self.at {
            None => Ok(look.as_of),
            Some(template) => read_time(template, look.scope).map(Some),
        }
    }

    async fn ask(
        &self,
        endpoint: &Asked<'_>,
        query: &str,
        look: &Look<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Measures, Failure> {
        // A step that only compares has no use for the value at one moment.
        let alone = self.compare.is_some() && self.wants.iter().all(|name| name.name() == COMPARED);
        let mut measures = match alone {
            true => Measures::new(),
            false => self.measures(endpoint, query, self.fixed(look)?, look, notes).await?,
        };
        if let Some(compare) = &self.compare {
            let vectors = compare.ask(endpoint, query, look.scope, self.moment(endpoint, look)?).await?;
            measures.plain(COMPARED, vectors);
        }
        Ok(measures)
    }

    /// Asks a query about a moment, or the range that ends then, and turns the answer into measures.
    pub(super) async fn measures(
        &self,
        endpoint: &Asked<'_>,
        query: &str,
        at: Option<DateTime<Utc>>,
        look: &Look<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Measures, Failure> {
        let now = at.unwrap_or_else(|| endpoint.now());
        let window = self.span.map(|span| span.window(now, look.soak)).transpose()?;
        let (question, when) = match (window, at) {
            (None, None) => (query.to_owned(), When::Now),
            (None, Some(at)) => (query.to_owned(), When::At(at)),
            (Some(window), _) => window.question(query),
        };
        let answer = endpoint.query(&question, when).await?;
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
                self.vector(endpoint, query, when, points, &mut measures).await;
            }
            Data::Matrix(rows) => self.matrix(endpoint, query, window, rows, notes, &mut measures).await?,
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

    async fn vector(&self, endpoint: &Asked<'_>, query: &str, when: When, points: Vec<Point>, measures: &mut Measures) {
        let count = points.len();
        let age = self.age(endpoint, query, when, &points).await;
        let samples: Vec<Sample> = points.into_iter().map(|p| Sample { labels: p.labels, value: p.value }).collect();
        let value = match samples.iter().all(|s| s.value.is_nan()) {
            true => Value::NoData(empty::explain(endpoint, query, when, count > 0).await),
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
        endpoint: &Asked<'_>,
        query: &str,
        window: Option<Window>,
        rows: Vec<Row>,
        notes: &mut Vec<Note>,
        measures: &mut Measures,
    ) -> Result<(), Failure> {
        let Some(window) = window else {
            return Err(Failure::lasting("the query gives several samples a series, and no range is asked for"));
        };
        let wanted = |name: &&str| range::is_taken(name, &self.wants);
        let names: Vec<&'static str> = range::NAMES.iter().copied().filter(wanted).collect();
        let samples: Vec<Sample> = rows.iter().map(|r| Sample { labels: r.labels.clone(), value: 0.0 }).collect();
        let numbers = rows.iter().flat_map(|r| &r.samples).filter(|(_, v)| !v.is_nan()).count();
        let all = rows.iter().map(|r| r.samples.len()).sum::<usize>();
        if numbers == 0 {
            let why = empty::explain(endpoint, query, When::At(window.end), all > 0).await;
            measures.plain("value", Value::NoData(why.clone()));
            for name in names.iter().chain(&["age"]) {
                measures.plain(name, Value::NoData(why.clone()));
            }
        } else {
            notes.extend(began_anew(query, &rows));
            // A million samples take a while to sort.
            let computing = tokio::task::spawn_blocking(move || range::measure(&rows, &names, window));
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
    async fn age(&self, endpoint: &Asked<'_>, query: &str, when: When, points: &[Point]) -> Option<Value> {
        match self.wants.any("age") {
            true => Some(self.age_of(endpoint, query, when, points).await),
            false => None,
        }
    }

    async fn age_of(&self, endpoint: &Asked<'_>, query: &str, when: When, points: &[Point]) -> Value {
        let selector = promql::parse(query).is_ok_and(|q| q.is_selector());
        if !selector {
            return Value::NoData(
                "only samples that are looked up have an age: the query must be a plain selector".into(),
            );
        }
        let Some(now) = points.first().map(|p| p.at) else {
            return Value::NoData("there are no series".into());
        };
        match endpoint.query(&format!("timestamp({query})"), when).await {
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
pub(super) fn complete(answer: &Answer) -> Result<(), Failure> {
    let Some(first) = answer.warnings.first() else { return Ok(()) };
    let more = match answer.warnings.len() {
        1 => String::new(),
        n => format!("; and {} more", n - 1),
    };
    let cause = format!("the server says that the answer may be incomplete: {}{more}", bounded(first));
    // What the query itself brings about would only come again.
    let lasting = answer.warnings.iter().any(|warning| warning.starts_with("PromQL "));
    Err(if lasting { Failure::lasting(cause) } else { Failure::passing(cause) })
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

/// Notices counters that began anew in the range: their last value less their first is not their growth.
fn began_anew(query: &str, rows: &[Row]) -> Option<Note> {
    let counter = |row: &&Row| row.labels.get("__name__").is_some_and(|name| name.ends_with("_total"));
    let resets = |row: &Row| counter::resets(row.samples.iter().map(|(_, v)| *v).filter(|v| !v.is_nan()));
    let count: usize = rows.iter().filter(counter).map(resets).sum();
    let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
    (count > 0).then(|| Note::warning(format!("{query} began anew {times} in the range; `increase` evens that out")))
}

/// Says a time so that it can be asked about again.
pub(super) fn time_words(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn bounded(text: &str) -> String {
    text.chars().take(500).collect()
}
