//! A service that is watched: a real Prometheus that scrapes it and evaluates rules, and a real Alertmanager that is told.

use chrono::{Duration, Utc};
use serde_json::json;

use super::alertmanager::Alertmanager;
use super::nginx::free_port;
use super::prometheus::Prometheus;

/// The rules: one alert that fires at once, one that is pending for an hour, one that does neither, one that cannot be
/// evaluated, and a recorded series.
pub(crate) const RULES: &str = r#"groups:
- name: service
  rules:
  - alert: ServiceWatched
    expr: up{job="service"} == 1
    labels: { severity: info, team: api }
    annotations: { summary: "{{ $labels.instance }} is watched", runbook_url: "https://wiki.example.com/watched" }
  - alert: ServiceYoung
    expr: |
      up{job="service"} == 1
    for: 1h
    labels: { severity: warning, team: api }
    annotations: { summary: up for less than an hour }
  - alert: ServiceDown
    expr: up{job="service"} == 0
    for: 5m
    labels: { severity: critical, team: api }
    annotations: { summary: Service is DOWN, runbook_url: "https://wiki.example.com/down" }
- name: recorded
  rules:
  - { record: "job:up:sum", expr: sum by (job) (up) }
- name: broken
  rules:
  - alert: Ambiguous
    expr: vector(1) * on () group_left () (vector(1) or label_replace(vector(1), "a", "b", "", ""))
    labels: { severity: page, team: db }
"#;

/// A watched service. Everything ends with it.
pub(crate) struct Monitored {
    pub(crate) prometheus: Prometheus,
    pub(crate) alertmanager: Alertmanager,
}

impl Monitored {
    /// Watches the service at `host:port`, and one at which nobody answers, and waits until the first alert was told.
    /// Beside it the Alertmanager holds one alert that another inhibits, and one that is silenced.
    pub(crate) fn start(address: &str) -> Self {
        let alertmanager = Alertmanager::start();
        let prometheus = Prometheus::configured("", &config(address, &alertmanager.address()), RULES);
        prometheus.wait_until("count_over_time(up{job=\"service\"}[1m]) >= 2");
        prometheus.wait_until("ALERTS{alertname=\"ServiceWatched\",alertstate=\"firing\"}");
        prometheus.wait_until("ALERTS{alertname=\"ServiceYoung\",alertstate=\"pending\"}");
        prometheus.wait_for("/api/v1/rules", &|body| {
            !body.contains("\"health\":\"unknown\"") && body.contains("\"health\":\"err\"")
        });
        prometheus.wait_for("/api/v1/targets", &|body| !body.contains("\"health\":\"unknown\""));
        alertmanager.wait_for("ServiceWatched");
        let began = Utc::now() - Duration::minutes(10);
        let alert = |name: &str, severity: &str, service: &str| json!({ "alertname": name, "severity": severity, "service": service });
        alertmanager.raise(
            began,
            &[
                alert("ShopDown", "critical", "shop"),
                alert("ShopSlow", "warning", "shop"),
                alert("DiskFull", "critical", "db"),
            ],
        );
        alertmanager.silence("DiskFull");
        Self { prometheus, alertmanager }
    }
}

fn config(address: &str, alertmanager: &str) -> String {
    let nobody = format!("127.0.0.1:{}", free_port());
    format!(
        r#"global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [ rules.yml ]
alerting: {{ alertmanagers: [ {{ static_configs: [ {{ targets: ['{alertmanager}'] }} ] }} ] }}
scrape_configs:
- job_name: service
  static_configs: [ {{ targets: ['{address}'], labels: {{ zone: a }} }} ]
- job_name: gone
  static_configs: [ {{ targets: ['{nobody}'], labels: {{ zone: b }} }}, {{ targets: ['dropped.example:80'] }} ]
  relabel_configs: [ {{ source_labels: [__address__], regex: 'dropped.*', action: drop }} ]
"#
    )
}
