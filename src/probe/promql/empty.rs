//! Finds out why a query found nothing, with a few cheap questions that are asked only then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::DateTime;

use crate::model::quantity;
use crate::promql::{self, Selector};
use crate::source::Asked;
use crate::source::prometheus::{Data, Point, When};

/// The most questions that one explanation may cost.
const MOST_QUESTIONS: u32 = 5;
/// The most values of a label that are listed.
const MOST_VALUES: usize = 8;

/// Says in one line why there is no number: no series at all, or, with `nan`, nothing but NaN.
pub(super) async fn explain(source: &Asked<'_>, query: &str, when: When, nan: bool) -> String {
    let why = explained(source, query, when, nan).await;
    match source.trouble() {
        Some(trouble) => format!("{why}; {trouble}"),
        None => why,
    }
}

async fn explained(source: &Asked<'_>, query: &str, when: When, nan: bool) -> String {
    let Ok(parsed) = promql::parse(query) else { return "the query found nothing".into() };
    let asking = Asking { source, when, left: AtomicU32::new(MOST_QUESTIONS) };
    if nan {
        return asking.why_nan(&parsed).await;
    }
    let selectors = promql::selectors(&parsed);
    let mut present = 0;
    for selector in &selectors {
        match asking.why_absent(selector).await {
            Reason::Absent(why) => return why,
            Reason::Present => present += 1,
            Reason::Unknown => {}
        }
    }
    let compares = query.contains(['<', '>']) || query.contains("==") || query.contains("!=");
    match (present == selectors.len(), compares) {
        (true, true) => "no series: everything that the query looks up has series now, but a comparison in it is true for none of them".into(),
        (true, false) => "no series: everything that the query looks up has series now, but they do not match each other, or a range holds fewer than two samples".into(),
        (false, _) => "no series".into(),
    }
}

enum Reason {
    /// The selector finds nothing, and this is why.
    Absent(String),
    /// The selector finds something.
    Present,
    /// It could not be asked.
    Unknown,
}

/// When a selector last found something.
enum Seen {
    /// Then, in words.
    Stopped(String),
    /// Not for as long as is looked back.
    NotLately,
    /// It could not be asked.
    Unknown,
}

struct Asking<'a> {
    source: &'a Asked<'a>,
    when: When,
    left: AtomicU32,
}

impl Asking<'_> {
    async fn ask(&self, query: &str) -> Option<Vec<Point>> {
        if !self.spend() {
            return None;
        }
        match self.source.glimpse(query, self.when).await.ok()?.data {
            Data::Vector(points) => Some(points),
            Data::Scalar(at, value) => Some(vec![Point { labels: BTreeMap::new(), at, value }]),
            Data::Matrix(_) | Data::Text(_) | Data::Histograms => None,
        }
    }

    fn spend(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    async fn why_nan(&self, query: &promql::Query) -> String {
        let Some((above, below)) = query.division() else { return "every value is NaN".into() };
        let zero =
            |points: Option<Vec<Point>>| points.is_some_and(|p| !p.is_empty() && p.iter().all(|p| p.value == 0.0));
        match (zero(self.ask(&above).await), zero(self.ask(&below).await)) {
            (true, true) => {
                "every value is NaN: 0/0, both sides of the division are zero; no traffic in the range".into()
            }
            _ => "every value is NaN".into(),
        }
    }

    async fn why_absent(&self, selector: &Selector) -> Reason {
        let Some(metric) = &selector.metric else {
            return match self.ask(&format!("count({})", selector.text)).await {
                None => Reason::Unknown,
                Some(points) if points.is_empty() => Reason::Absent(format!("no series matches {}", selector.text)),
                Some(_) => Reason::Present,
            };
        };
        let labels: BTreeSet<&str> = selector.matching.iter().map(promql::Matching::label).collect();
        let by: Vec<&str> = labels.into_iter().collect();
        let name = promql_name(metric);
        let Some(groups) = self.ask(&format!("count by ({}) ({name})", by.join(", "))).await else {
            return Reason::Unknown;
        };
        if groups.is_empty() {
            return Reason::Absent(self.gone(metric, &name).await);
        }
        let holds = |m: &promql::Matching, p: &Point| m.holds(p.labels.get(m.label()).map_or("", String::as_str));
        if groups.iter().any(|p| selector.matching.iter().all(|m| holds(m, p))) {
            return match selector.shifted {
                true => Reason::Unknown,
                false => Reason::Present,
            };
        }
        if let Seen::Stopped(stopped) = self.last_seen(&selector.text).await {
            return Reason::Absent(format!("{} {stopped}", selector.text));
        }
        let culprit = selector.matching.iter().find(|m| !groups.iter().any(|p| holds(m, p)));
        Reason::Absent(match culprit {
            Some(matching) => missing_value(metric, matching, &groups),
            None => format!("{metric} has series, but none with all the labels of {} together", selector.text),
        })
    }

    /// Says what became of a metric that has no series now.
    async fn gone(&self, metric: &str, name: &str) -> String {
        match self.last_seen(name).await {
            Seen::Stopped(stopped) => return format!("the metric {metric} {stopped}"),
            Seen::Unknown => return format!("the metric {metric} has no series now"),
            Seen::NotLately => {}
        }
        let lately = quantity::seconds(self.source.history().0.as_secs_f64());
        let absent = format!("the metric {metric} has not existed in the last {lately}");
        if !self.spend() {
            return absent;
        }
        match self.source.names_of(name).await {
            Ok(names) if names.is_empty() => format!("the metric {metric} has never existed here"),
            Ok(_) => format!("the metric {metric} existed, but not in the last {lately}"),
            Err(_) => absent,
        }
    }

    async fn last_seen(&self, selector: &str) -> Seen {
        let (range, step) = self.source.history();
        let (range, step) = (range.as_millis(), step.as_millis());
        let query = format!("max(max_over_time(timestamp({selector})[{range}ms:{step}ms]))");
        let Some(points) = self.ask(&query).await else {
            return Seen::Unknown;
        };
        let Some(point) = points.first() else { return Seen::NotLately };
        let Some(time) = DateTime::from_timestamp(point.value as i64, 0) else { return Seen::Unknown };
        let ago = quantity::seconds((point.at - point.value).max(0.0).round());
        Seen::Stopped(format!("stopped at {} UTC, {ago} before", time.format("%Y-%m-%d %H:%M")))
    }
}

/// Writes a metric's name so that any name works.
fn promql_name(metric: &str) -> String {
    let plain = metric.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    match plain {
        true => format!("{{__name__=\"{metric}\"}}"),
        false => format!("{{__name__={}}}", serde_json::Value::from(metric)),
    }
}

fn missing_value(metric: &str, matching: &promql::Matching, groups: &[Point]) -> String {
    let label = matching.label();
    let values: BTreeSet<&str> = groups.iter().filter_map(|p| p.labels.get(label)).map(String::as_str).collect();
    if values.is_empty() {
        return format!("the series of {metric} have no label {label}");
    }
    let count = values.len();
    let mut listed = values.into_iter().take(MOST_VALUES).collect::<Vec<_>>().join(", ");
    if count > MOST_VALUES {
        listed.push_str(&format!(" and {} more", count - MOST_VALUES));
    }
    match matching.sign() {
        "=" => format!("label {label} of {metric} has the values {listed}, but not {}", matching.value()),
        sign => {
            format!("label {label} of {metric} has the values {listed}, none of which is {sign} {:?}", matching.value())
        }
    }
}
