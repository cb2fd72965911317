//! Asks an Alertmanager for its alerts, silences, receivers and status.
//!
//! API: version 2, <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>. Mimir's and Cortex'
//! Alertmanager answers the same under a path prefix.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use regex::Regex;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Failure;
use super::api::Asked;

/// An alert that fires, as it arrived.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Its labels, `alertname` among them.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Since when it fires.
    pub starts_at: DateTime<Utc>,
    /// Whether it is told to anybody.
    pub status: AlertStatus,
    /// Whom it is told.
    #[serde(default)]
    pub receivers: Vec<Receiver>,
}

/// Whether an alert is told to anybody.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// The silences that keep it quiet.
    pub silenced_by: Vec<String>,
    /// The alerts that keep it quiet.
    pub inhibited_by: Vec<String>,
}

/// A receiver.
#[derive(Clone, Debug, Deserialize)]
pub struct Receiver {
    /// Its name.
    pub name: String,
}

/// A silence.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// `active`, `pending` or `expired`.
    pub status: SilenceStatus,
    /// Which alerts it keeps quiet: those for which all of these hold.
    pub matchers: Vec<Matcher>,
    /// When it ends.
    pub ends_at: DateTime<Utc>,
    /// Who made it.
    #[serde(default)]
    pub created_by: String,
    /// Why.
    #[serde(default)]
    pub comment: String,
}

/// The state of a silence.
#[derive(Clone, Debug, Deserialize)]
pub struct SilenceStatus {
    /// `active`, `pending` or `expired`.
    pub state: String,
}

/// What a silence asks of one label.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// The value or the pattern.
    pub value: String,
    /// Whether it is a pattern, which fits the whole value.
    pub is_regex: bool,
    /// Whether it must hold, or must not. Since Alertmanager 0.22.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

/// How it does.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The cluster that it is part of.
    pub cluster: Cluster,
    /// What runs.
    pub version_info: VersionInfo,
}

/// A cluster of Alertmanagers.
#[derive(Clone, Debug, Deserialize)]
pub struct Cluster {
    /// `ready`, `settling`, or `disabled` for one that is alone by configuration.
    pub status: String,
    /// Its members, this one among them.
    #[serde(default)]
    pub peers: Option<Vec<serde::de::IgnoredAny>>,
}

/// What runs.
#[derive(Clone, Debug, Deserialize)]
pub struct VersionInfo {
    /// The version.
    pub version: String,
}

/// Asks for all alerts, those that are kept quiet among them.
///
/// # Errors
/// Says why there is no answer.
pub async fn alerts(asked: &Asked<'_>) -> Result<Vec<Alert>, Failure> {
    let all = [("active", "true"), ("silenced", "true"), ("inhibited", "true"), ("unprocessed", "true")];
    read(asked, "/api/v2/alerts", &all).await
}

/// Asks for all silences, those that have ended among them.
///
/// # Errors
/// Says why there is no answer.
pub async fn silences(asked: &Asked<'_>) -> Result<Vec<Silence>, Failure> {
    read(asked, "/api/v2/silences", &[]).await
}

/// Asks for the receivers that are configured.
///
/// # Errors
/// Says why there is no answer.
pub async fn receivers(asked: &Asked<'_>) -> Result<Vec<Receiver>, Failure> {
    read(asked, "/api/v2/receivers", &[]).await
}

/// Asks how it does.
///
/// # Errors
/// Says why there is no answer.
pub async fn status(asked: &Asked<'_>) -> Result<Status, Failure> {
    read(asked, "/api/v2/status", &[]).await
}

async fn read<T: DeserializeOwned>(asked: &Asked<'_>, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
    let value = asked.get(path, query).await?;
    serde_json::from_value(value)
        .map_err(|fault| Failure::lasting(format!("{} answered what cannot be understood: {fault}", asked.through())))
}

impl Silence {
    /// Tells whether it keeps some alert quiet that has these labels, whatever others it has.
    pub fn may_cover(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matchers.iter().all(|matcher| labels.get(&matcher.name).is_none_or(|value| matcher.holds(value)))
    }

    /// Tells whether it counts now.
    pub fn is_active(&self) -> bool {
        self.status.state == "active"
    }
}

impl Matcher {
    fn holds(&self, value: &str) -> bool {
        let found = match self.is_regex {
            false => self.value == value,
            true => Regex::new(&format!("^(?:{})$", self.value)).is_ok_and(|pattern| pattern.is_match(value)),
        };
        found == self.is_equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(matchers: &str) -> Silence {
        let text = format!(
            r#"{{"status":{{"state":"active"}},"endsAt":"2026-01-01T00:00:00.000Z","matchers":{matchers},"id":"x"}}"#
        );
        serde_json::from_str(&text).expect("a silence")
    }

    #[test]
    fn a_silence_may_cover_what_none_of_its_matchers_excludes() {
        let labels = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let one = silence(
            r#"[{"name":"alertname","value":"Api.*","isRegex":true},
                {"name":"team","value":"db","isRegex":false,"isEqual":false}]"#,
        );
        assert!(one.may_cover(&labels(&[("alertname", "ApiDown")])), "there may be one of another team");
        assert!(!one.may_cover(&labels(&[("alertname", "ApiDown"), ("team", "db")])));
        assert!(!one.may_cover(&labels(&[("alertname", "MyApiDown")])), "a pattern fits the whole");
        assert!(one.may_cover(&labels(&[])));
    }
}
