//! Metrics, against a real Pushgateway.

use super::{FAILS, checklist, last, told};
use crate::support::env::TestEnv;
use crate::support::pushgateway::Pushgateway;

/// Returns the value of a series, whatever else its labels say.
fn value(metrics: &str, name: &str, label: &str) -> Option<f64> {
    let of = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(label);
    metrics.lines().find(of)?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_run_is_pushed_and_the_next_one_replaces_it() {
    let (env, gateway) = (TestEnv::new(), Pushgateway::start());
    let notify = format!("notify:\n  - {{ pushgateway: '{}', labels: {{ region: eu/west }} }}\n", gateway.url());
    env.write("checklist.yaml", &checklist(&notify, ""));
    let ran = env.run(&["run", "checklist.yaml", "--store", "runs.db"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(
        told(&last(&env)),
        [("pushgateway".into(), "start".into(), 1, None), ("pushgateway".into(), "end".into(), 1, None)]
    );
    let metrics = gateway.page();
    let group = r#"checklist="Promotion",decision="go",instance="",job="holdpoint",region="eu/west",service="zai-proxy",stage="promotion""#;
    assert!(metrics.contains(&format!("holdpoint_run_decision{{{group}}} 1")), "{metrics}");
    let go = value(&metrics, "holdpoint_last_go_timestamp_seconds", "").expect("a time");
    assert_eq!(value(&metrics, "holdpoint_run_steps", r#"outcome="pass""#), Some(1.0));
    assert_eq!(value(&metrics, "holdpoint_run_running", ""), Some(0.0));
    assert!(value(&metrics, "holdpoint_run_duration_seconds", "").is_some_and(|took| took < 30.0));
    let (began, ended) = ("holdpoint_run_started_timestamp_seconds", "holdpoint_run_finished_timestamp_seconds");
    assert!(value(&metrics, began, "") <= value(&metrics, ended, ""), "{metrics}");

    env.write("checklist.yaml", &checklist(&notify, FAILS));
    assert_eq!(env.run(&["run", "checklist.yaml", "--store", "runs.db"]).status, 1);
    let metrics = gateway.page();
    assert_eq!(value(&metrics, "holdpoint_run_decision", r#"decision="no-go""#), Some(1.0));
    assert_eq!(value(&metrics, "holdpoint_run_decision", r#"decision="go""#), Some(0.0));
    assert_eq!(value(&metrics, "holdpoint_run_steps", r#"outcome="fail""#), Some(1.0));
    assert_eq!(value(&metrics, "holdpoint_last_go_timestamp_seconds", ""), Some(go));
}
