//! `targets`, `rules`, `alerts` and `metrics`: what the cases in `tests/cases` cannot show. A real Prometheus whose alert
//! reaches a real Alertmanager, a real Pushgateway's page, and a service that begins anew between two looks.

use std::time::Duration;

use chrono::{DateTime, Utc};
use holdpoint::model::{Found, Observation, Value};

use crate::support::alertmanager::Alertmanager;
use crate::support::double;
use crate::support::env::TestEnv;
use crate::support::probing::{Probing, cause, get, number};
use crate::support::prometheus::Prometheus;
use crate::support::pushgateway::Pushgateway;
use crate::support::rogue::{Rogue, stall};

const BOTH: &[&str] = &["firing", "count"];

fn counts(observation: &Observation, name: &str) -> (u64, u64) {
    match get(observation, name) {
        Value::Tally(tally) => (tally.count, tally.of),
        other => panic!("{name}: {other:?}"),
    }
}

fn probing(prometheus: &str, alertmanager: &str) -> Probing {
    Probing::new().sources(&format!("prometheus: {prometheus}\nalertmanager: {alertmanager}\n"))
}

/// The course of one alert through both servers: quiet, then firing, told, silenced.
#[tokio::test]
async fn an_alert_fires_is_told_and_is_silenced() {
    let alertmanager = Alertmanager::start();
    let rules = "groups:\n- name: g\n  rules:\n  - { alert: Watched, expr: 'up{job=\"service\"} == 0', labels: { severity: critical } }\n";
    let gone = format!("127.0.0.1:{}", crate::support::nginx::free_port());
    let before = Utc::now() - chrono::Duration::seconds(1);
    let prometheus = Prometheus::with_rules(&[gone], rules, Some(&alertmanager.address()));
    prometheus.wait_until("ALERTS{alertname=\"Watched\",alertstate=\"firing\"}");
    alertmanager.wait_for("Watched");
    let (of_prometheus, of_alertmanager) = (prometheus.url(), alertmanager.url());
    let asking = || probing(&of_prometheus, &of_alertmanager);

    let look = asking().look("alerts", &["firing", "pending", "defined"], "Watched").await;
    assert_eq!((counts(&look, "firing"), counts(&look, "pending"), counts(&look, "defined")), ((1, 1), (0, 1), (1, 1)));
    assert!(look.through.as_deref().is_some_and(|through| through.contains("prometheus at")), "{look:?}");
    assert!(look.evidence.iter().any(|piece| piece.text.contains("Watched{")), "{look:?}");

    // It began after the run did, and not after a run that begins only now.
    for source in ["prometheus", "alertmanager"] {
        let yaml = "{ names: Watched, new: true }";
        let asking = || asking().source(source);
        let look = asking().started(before).look("alerts", BOTH, yaml).await;
        assert_eq!((counts(&look, "firing"), number(&look, "count")), ((1, 1), 1.0), "{source}");
        let look = asking().started(Utc::now() + chrono::Duration::minutes(1)).look("alerts", BOTH, yaml).await;
        assert_eq!((counts(&look, "firing"), number(&look, "count")), ((0, 1), 0.0), "{source}");
    }

    let told = &["firing", "active", "silenced", "silences", "notified"];
    let look = asking().look("alerts", told, "Watched").await;
    assert_eq!((counts(&look, "active"), counts(&look, "silenced"), number(&look, "silences")), ((1, 1), (0, 1), 0.0));
    assert_eq!(*get(&look, "notified"), Value::Set(vec!["nobody".into()]));
    alertmanager.silence("Watched");
    let look = asking().look("alerts", told, "Watched").await;
    assert_eq!((counts(&look, "firing"), counts(&look, "active"), counts(&look, "silenced")), ((1, 1), (0, 1), (1, 1)));
    assert_eq!(number(&look, "silences"), 1.0);
    assert!(look.notes.iter().any(|note| note.text.contains("is being worked on")), "{look:?}");
    let other = asking().look("alerts", &["silences"], "Other").await;
    assert_eq!(number(&other, "silences"), 0.0);
}

#[tokio::test]
async fn the_page_of_a_real_pushgateway_is_read() {
    let gateway = Pushgateway::start();
    gateway.push(
        "job/backup/instance/a",
        "# HELP backup_age_seconds How old.\n# TYPE backup_age_seconds gauge\nbackup_age_seconds 5\n",
    );
    assert!(gateway.page().contains("backup_age_seconds{"));
    let yaml = format!("{{ url: '{}/metrics', select: 'backup_age_seconds{{job=\"backup\"}}' }}", gateway.url());
    let wants = &["value", "valid", "type[backup_age_seconds]", "help[backup_age_seconds]", "labels[instance]"];
    let look = Probing::new().look("metrics", wants, &yaml).await;
    assert_eq!(*get(&look, "valid"), Value::Bool(true), "{look:?}");
    assert!(matches!(get(&look, "value"), Value::Series(series) if series.len() == 1 && series[0].value == 5.0));
    assert_eq!(*get(&look, "type[backup_age_seconds]"), Value::Text("gauge".into()));
    assert_eq!(*get(&look, "help[backup_age_seconds]"), Value::Text("How old.".into()));
    assert_eq!(*get(&look, "labels[instance]"), Value::Set(vec!["a".into()]));
}

#[tokio::test]
async fn both_looks_at_a_page_are_far_enough_apart() {
    let page = |n: u32| format!("- {{ ask: GET /metrics, text: \"a_total 1{n}\\n\" }}\n");
    let server = double::answering(&(page(0) + &page(7)), std::path::Path::new("."));
    let yaml = format!("{{ url: '{}', select: a_total, over: 200ms }}", server.url("/metrics"));
    let begun = std::time::Instant::now();
    let look = Probing::new().look("metrics", &["increase"], &yaml).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(matches!(get(&look, "increase"), Value::Series(series) if series[0].value == 7.0), "{look:?}");
    assert_eq!(server.asked().len(), 2);
    let accepts = server.asked()[0].header("accept").unwrap_or_default().to_owned();
    assert!(accepts.contains("openmetrics"), "{accepts}");
}

#[tokio::test]
async fn a_page_that_never_comes_is_a_failure_of_its_service() {
    let server = Rogue::start(|_, stream| stall(stream));
    let look = Probing::new().timeout(Duration::from_millis(200)).look("metrics", &[], &server.url("/metrics")).await;
    assert!(matches!(look.found, Found::NoAnswer { .. }), "{look:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_no_failure_of_what_it_watches() {
    let server = Rogue::start(|_, stream| stall(stream));
    for (kind, yaml) in [("targets", "a"), ("rules", "a"), ("alerts", "a"), ("alerts", "{ source: alertmanager }")] {
        let asking = probing(&server.url("/p"), &server.url("/a")).timeout(Duration::from_millis(200));
        let look = asking.look(kind, &[], yaml).await;
        assert!(matches!(look.found, Found::CouldNotLook { retry: true, .. }), "{kind}: {look:?}");
        assert!(cause(&look).contains("does not answer"), "{kind}: {}", cause(&look));
    }
}

#[tokio::test]
async fn credentials_are_sent_and_not_shown() {
    let server = Rogue::answering(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]",
    );
    let declared = format!("alertmanager: {{ url: '{}', basic: {{ user: me, password: hush }} }}\n", server.url("/am"));
    let look = Probing::new().sources(&declared).look("alerts", BOTH, "a").await;
    assert!(server.asked()[0].path.starts_with("/am/api/v2/alerts?"), "{:?}", server.asked());
    assert!(server.asked()[0].header("authorization").is_some_and(|sent| sent.starts_with("Basic ")));
    assert!(!format!("{look:?}").contains("hush"), "{look:?}");
    assert!(matches!(get(&look, "firing"), Value::NoData(why) if why.contains("holds no alert at all")), "{look:?}");
}

#[tokio::test]
async fn rules_that_come_in_parts_without_end_are_no_answer() {
    let part = r#"{"status":"success","data":{"groups":[],"groupNextToken":"again"}}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{part}",
        part.len()
    );
    let server = Rogue::answering(answer);
    let look = probing(&server.url(""), "http://127.0.0.1:1").look("rules", &[], "a").await;
    assert!(cause(&look).contains("more than 200 parts"), "{look:?}");
}

/// What a checklist says of a time is compared with the time that the server tells.
#[tokio::test]
async fn only_alerts_that_began_after_the_run_are_new() {
    let alert = |name: &str, at: &str| {
        format!(
            "{{ labels: {{ alertname: {name} }}, annotations: {{}}, state: firing, activeAt: \"{at}\", value: \"1e+00\" }}"
        )
    };
    let rule = |name: &str| {
        format!(
            "{{ type: alerting, name: {name}, query: up, duration: 0, labels: {{}}, annotations: {{}}, alerts: [], health: ok, state: firing }}"
        )
    };
    let text = format!(
        "- {{ ask: GET /api/v1/alerts, body: {{ status: success, data: {{ alerts: [{}, {}] }} }} }}\n- {{ ask: GET /api/v1/rules, body: {{ status: success, data: {{ groups: [ {{ name: g, file: f, rules: [{}, {}] }} ] }} }} }}\n",
        alert("Old", "2026-01-01T11:59:59.5Z"),
        alert("New", "2026-01-01T12:00:00.5Z"),
        rule("Old"),
        rule("New"),
    );
    let server = double::answering(&text, std::path::Path::new("."));
    let noon: DateTime<Utc> = "2026-01-01T12:00:00Z".parse().expect("a time");
    let asking = probing(&server.url(""), "http://127.0.0.1:1").started(noon);
    let look = asking.look("alerts", BOTH, "{ new: true }").await;
    let Value::Tally(tally) = get(&look, "firing") else { panic!("{look:?}") };
    assert_eq!((tally.count, tally.of, tally.names.as_slice()), (1, 2, ["New".to_owned()].as_slice()));
    assert_eq!(number(&look, "count"), 1.0);
}

/// Whole checklists in manual pages are what `check` takes.
#[test]
fn the_examples_of_the_manual_pages_are_valid() {
    let mut checked = Vec::new();
    for kind in holdpoint::probe::KINDS {
        for block in kind.manual.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            if !block.contains("sections:") {
                continue;
            }
            let env = TestEnv::new();
            let text = format!("holdpoint: 1\nname: An example of {}\n{block}", kind.name);
            env.write("example.yaml", &text);
            let ran = env.run(&["check", "example.yaml"]);
            assert_eq!(ran.status, 0, "{}:\n{block}\n{}", kind.name, ran.stderr);
            checked.push(kind.name);
        }
    }
    for kind in ["targets", "rules", "alerts", "metrics"] {
        assert!(checked.contains(&kind), "the page of {kind} has no example");
    }
}
