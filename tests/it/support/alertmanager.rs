//! A real Alertmanager (Debian's `prometheus-alertmanager`) on a free loopback port.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::daemon::Daemon;

/// Two receivers that tell nobody; an alert of severity `critical` silences its likes of severity `warning`.
const CONFIG: &str = r#"
route:
  receiver: nobody
  group_wait: 1s
  routes: [ { matchers: [ 'team="api"' ], receiver: api-oncall } ]
receivers: [ { name: nobody }, { name: api-oncall } ]
inhibit_rules:
- { source_matchers: [ 'severity="critical"' ], target_matchers: [ 'severity="warning"' ], equal: [ service ] }
"#;

/// A running Alertmanager. It ends when this is dropped.
pub(crate) struct Alertmanager(Daemon);

impl Alertmanager {
    /// Starts one without alerts.
    pub(crate) fn start() -> Self {
        Self::configured(CONFIG)
    }

    /// Starts one with a configuration of its own.
    pub(crate) fn configured(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("alertmanager.yml"), config).expect("a configuration");
        Self(Daemon::start("prometheus-alertmanager", folder, "/-/ready", &|folder, port| {
            vec![
                format!("--config.file={}", folder.join("alertmanager.yml").display()),
                format!("--storage.path={}", folder.join("data").display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
                // Without an address it makes no cluster and needs no second port.
                "--cluster.listen-address=".to_owned(),
            ]
        }))
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Returns `host:port`, as a Prometheus names it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port())
    }

    /// Raises alerts, each with its labels, that began at a time and stay for an hour.
    pub(crate) fn raise(&self, began: DateTime<Utc>, alerts: &[Value]) {
        let alert = |labels: &Value| json!({ "labels": labels, "startsAt": time(began), "endsAt": time(Utc::now() + Duration::hours(1)) });
        let body: Vec<_> = alerts.iter().map(alert).collect();
        self.0.send("POST", "/api/v2/alerts", "application/json", &json!(body).to_string());
        for labels in alerts {
            let name = labels["alertname"].as_str().expect("a name").to_owned();
            self.wait_for(&name);
        }
    }

    /// Creates a silence for alerts of that name, for an hour, and waits until it counts.
    pub(crate) fn silence(&self, name: &str) {
        let now = Utc::now();
        let body = json!({
            "matchers": [{ "name": "alertname", "value": name, "isRegex": false, "isEqual": true }],
            "startsAt": time(now), "endsAt": time(now + Duration::hours(1)),
            "createdBy": "tests", "comment": format!("{name} is being worked on"),
        });
        self.0.send("POST", "/api/v2/silences", "application/json", &body.to_string());
        self.wait_until(&|alerts| {
            let mut named = alerts.iter().filter(|alert| alert["labels"]["alertname"] == name);
            named.all(|alert| alert["status"]["silencedBy"].as_array().is_some_and(|by| !by.is_empty()))
        });
    }

    /// Waits until an alert of that name is there.
    pub(crate) fn wait_for(&self, name: &str) {
        self.wait_until(&|alerts| alerts.iter().any(|alert| alert["labels"]["alertname"] == name));
    }

    /// Waits until its alerts are as they should be.
    pub(crate) fn wait_until(&self, good: &dyn Fn(&[Value]) -> bool) {
        self.0.wait_for("/api/v2/alerts", &|body| {
            serde_json::from_str::<Vec<Value>>(body).is_ok_and(|alerts| good(&alerts))
        });
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
