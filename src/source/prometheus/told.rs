//! What a Prometheus tells of itself: its targets, its rules and its alerts.
//!
//! API: <https://prometheus.io/docs/prometheus/latest/querying/api/#targets>, `#rules` and `#alerts`. What a field holds
//! is that page's to say; fields that only newer servers have may be missing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::endpoint::{Endpoint, LARGE};
use crate::source::Failure;

/// Labels, or annotations.
pub type Texts = BTreeMap<String, String>;

/// How many rule groups are asked for at a time when a server hands them out in parts.
const GROUPS: &str = "200";
/// How many parts are asked for at most.
const MOST_PARTS: usize = 200;

/// The targets that are scraped, and those that relabelling dropped.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// Those that are scraped.
    pub active_targets: Vec<Target>,
    /// Those that were dropped, as far as the server keeps them.
    #[serde(default)]
    pub dropped_targets: Vec<Dropped>,
    /// How many were dropped, by scrape pool. Since Prometheus 2.48.
    #[serde(default)]
    pub dropped_target_counts: BTreeMap<String, u64>,
}

/// A target that is scraped.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its labels, `job` and `instance` among them.
    pub labels: Texts,
    /// The scrape configuration that it comes from.
    #[serde(default)]
    pub scrape_pool: String,
    /// What is scraped.
    #[serde(default)]
    pub scrape_url: String,
    /// What went wrong at the last scrape; empty when nothing did.
    #[serde(default)]
    pub last_error: String,
    /// When it was last scraped; the year 1 when it never was.
    pub last_scrape: DateTime<Utc>,
    /// How long that took, in seconds.
    #[serde(default)]
    pub last_scrape_duration: f64,
    /// `up`, `down`, or `unknown` before the first scrape.
    pub health: String,
}

/// A target that relabelling dropped.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// Its labels before relabelling.
    #[serde(default)]
    pub discovered_labels: Texts,
}

/// A group of rules.
#[derive(Clone, Debug, Deserialize)]
pub struct Group {
    /// Its name, unique in its file.
    pub name: String,
    /// Its rules, in their order.
    pub rules: Vec<Rule>,
}

/// A rule as it is loaded.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Whether it alerts or records.
    #[serde(rename = "type")]
    pub kind: RuleKind,
    /// The name of the alert, or of the series that is recorded.
    pub name: String,
    /// The expression, as the server writes it.
    pub query: String,
    /// How long it must hold before the alert fires, in seconds.
    #[serde(default)]
    pub duration: f64,
    /// How long the alert keeps firing when it holds no more, in seconds.
    #[serde(default)]
    pub keep_firing_for: f64,
    /// The labels that it adds, those of its group among them.
    #[serde(default)]
    pub labels: Texts,
    /// The annotations, their templates unfilled.
    #[serde(default)]
    pub annotations: Texts,
    /// `ok`, `err`, or `unknown` before it was evaluated.
    pub health: String,
    /// What went wrong when it was last evaluated.
    #[serde(default)]
    pub last_error: String,
    /// `inactive`, `pending` or `firing`; nothing for a rule that records.
    pub state: Option<String>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// It alerts.
    Alerting,
    /// It records a series.
    Recording,
}

/// An alert that is pending or fires.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Its labels, `alertname` among them.
    pub labels: Texts,
    /// Its annotations.
    #[serde(default)]
    pub annotations: Texts,
    /// `pending` or `firing`.
    pub state: String,
    /// Since when its expression holds.
    pub active_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Part {
    groups: Vec<Group>,
    /// What to ask for the next part with. Since Prometheus 3.0.
    #[serde(default, rename = "groupNextToken")]
    next: String,
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

impl Endpoint<'_> {
    /// Asks for the targets.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn targets(&self) -> Result<Targets, Failure> {
        self.data("/api/v1/targets", &[]).await
    }

    /// Asks for the rules, all of them, without their alerts where the server can leave these out.
    ///
    /// # Errors
    /// Says why there is no answer, or that it comes in more parts than are read.
    pub async fn rules(&self) -> Result<Vec<Group>, Failure> {
        let path = "/api/v1/rules";
        let mut groups = Vec::new();
        let mut part: Part = self.data(path, &[("exclude_alerts", "true")]).await?;
        for _ in 0..MOST_PARTS {
            groups.append(&mut part.groups);
            if part.next.is_empty() {
                return Ok(groups);
            }
            let query = [("exclude_alerts", "true"), ("group_limit", GROUPS), ("group_next_token", part.next.as_str())];
            part = self.data(path, &query).await?;
        }
        Err(Failure::lasting(format!("{} hands its rules out in more than {MOST_PARTS} parts", self.shown())))
    }

    /// Asks for the alerts that are pending or fire.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn alerts(&self) -> Result<Vec<Alert>, Failure> {
        self.data::<Alerts>("/api/v1/alerts", &[]).await.map(|all| all.alerts)
    }

    /// Asks for a path and reads what stands under `data`.
    async fn data<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let question = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let response = self.send("GET", &question, &[]).await?;
        self.check(&response)?;
        let read: Result<Envelope<T>, serde_json::Error> = match response.body.len() < LARGE {
            true => serde_json::from_slice(&response.body),
            false => {
                let body = response.body.clone();
                tokio::task::spawn_blocking(move || serde_json::from_slice(&body)).await.map_err(|fault| {
                    Failure::lasting(format!("the answer of {} could not be read: {fault}", self.shown()))
                })?
            }
        };
        let read = read.map_err(|fault| self.unreadable(&response, &fault))?;
        match read.warnings.first() {
            // Thanos answers so when one of those whom it asks does not answer: something may be missing.
            Some(warning) => {
                let warning: String = warning.chars().take(300).collect();
                Err(Failure::passing(format!("{} says that its answer may be incomplete: {warning}", self.shown())))
            }
            None => Ok(read.data),
        }
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
    #[serde(default)]
    warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_older_and_newer_servers_tell_is_read() {
        let old = r#"{"activeTargets":[{"discoveredLabels":{},"labels":{"job":"a","instance":"h:1"},
            "scrapeUrl":"http://h:1/metrics","lastError":"","lastScrape":"0001-01-01T00:00:00Z","health":"unknown"}]}"#;
        let targets: Targets = serde_json::from_str(old).expect("targets");
        assert_eq!((targets.active_targets[0].health.as_str(), targets.dropped_targets.len()), ("unknown", 0));
        let rule = r#"{"type":"recording","name":"a:b","query":"sum(c)","health":"ok","evaluationTime":0.1}"#;
        let rule: Rule = serde_json::from_str(rule).expect("a rule");
        assert_eq!((rule.kind, rule.state, rule.labels.len()), (RuleKind::Recording, None, 0));
    }

    #[test]
    fn what_lacks_its_list_is_not_taken_for_empty() {
        assert!(serde_json::from_str::<Targets>("{}").is_err());
        assert!(serde_json::from_str::<Part>("{}").is_err());
        assert!(serde_json::from_str::<Alerts>(r#"{"alerts":null}"#).is_err());
        assert!(serde_json::from_str::<Envelope<Alerts>>(r#"{"status":"success"}"#).is_err());
    }
}
