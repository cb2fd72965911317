//! Whole messages of every channel, for the runs that matter.

use holdpoint::model::outline::{Guidance, Hold};
use holdpoint::model::{Decision, Finding, Outcome, SectionId};
use holdpoint::notify::Occasion;
use holdpoint::record::{RunRecord, StepRecord};
use holdpoint::report::RunView;
use holdpoint::signoff;
use holdpoint::sys::env::Env;

use super::{channels, letters, message};
use crate::support::records::{self, at, finding, judged, passed, section, step};

/// Every channel, told of everything.
const ALL: &str = "\
inputs:
  hook: { secret: true }
  key: { secret: true }
  who: {}
notify:
  - { slack: \"{{ inputs.hook }}\", on: [start, held, checkpoint, failure, no-go, go, undecided, end], text: \"<!here> for {{ inputs.who }}\" }
  - { teams: \"{{ inputs.hook }}\", text: \"for **{{ inputs.who }}**\" }
  - { email: [sre@example.com, 'Ops <ops@example.com>'], server: 'smtp.example.com:587', from: deploys@example.com, user: me, password: \"{{ inputs.key }}\" }
  - { pagerduty: \"{{ inputs.key }}\", on: [held, no-go, go, undecided], component: proxy }
  - { webhook: \"https://deploys.example.com/hooks\", headers: { authorization: \"Bearer {{ inputs.key }}\" } }
  - { grafana: \"https://grafana.example.com/\", token: \"{{ inputs.key }}\", dashboard: zai-proxy, panel: 2, tags: [deploy], on: [start, held, no-go, go, undecided, end] }
  - { datadog: \"{{ inputs.key }}\", tags: \"team:proxy\" }
  - { datadog: \"{{ inputs.key }}\", version: v2, site: datadoghq.eu }
  - { pushgateway: \"http://pushgateway:9091\", labels: { region: eu/west }, on: [start, held, no-go, go, undecided] }
  - { github: true }
";

const INPUTS: &[(&str, &str)] =
    &[("hook", "https://hooks.example.com/services/T0/B0/s3cret-path"), ("key", "s3cret-key"), ("who", "<@all> *you*")];

fn env() -> Env {
    let variables = [("GITHUB_STEP_SUMMARY", "/nowhere/summary.md"), ("GITHUB_OUTPUT", "/nowhere/output")];
    Env::of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

fn failed(name: &str, expected: &str, observed: &str, number: Option<(f64, f64)>) -> StepRecord {
    let (value, limit) = number.unzip();
    let finding = Finding { value, limit, ..finding("value", expected, observed, Outcome::Fail) };
    let mut step = judged(name, Outcome::Fail, vec![finding], &format!("value is {observed}, expected {expected}"));
    step.outline.guidance = Guidance {
        runbook: Some("https://wiki.example.com/latency?a=1&b=2".into()),
        owner: Some("team-proxy".into()),
        ..Guidance::default()
    };
    step
}

fn view(mut record: RunRecord) -> RunView {
    let links = [("runbook", "https://wiki.example.com/zai-proxy"), ("report", "https://ci.example.com/runs/7")];
    record.header.checklist.links = links.map(|(name, link)| (name.to_owned(), link.to_owned())).into();
    let ruling = signoff::decide(&record, &[], at(12));
    RunView::new(record, &ruling)
}

/// Says everything that is sent of an occasion.
fn told(view: &RunView, occasion: &Occasion) -> String {
    let channels = channels(ALL, INPUTS);
    let message = message(view, occasion);
    let mut out = String::new();
    for (name, letter) in letters(&channels, &message, &env(), None) {
        out.push_str(&format!("=== {name}\n{}\n", letter.show().trim_end()));
    }
    for secret in ["s3cret-path", "s3cret-key"] {
        assert!(!out.contains(secret), "{out}");
    }
    out
}

fn go() -> RunView {
    view(records::run(vec![section(
        "Smoke",
        vec![passed("Health endpoint responds", "status", "200"), passed("Latency is low", "latency", "12ms")],
    )]))
}

fn no_go() -> RunView {
    let steps = vec![
        passed("Health endpoint responds", "status", "200"),
        failed("P95 latency has not regressed", "< 500ms", "812ms", Some((0.812, 0.5))),
        failed("Error rate < 5% & steady", "<= 5%", "7.1%", Some((0.071, 0.05))),
        failed("Version is *exactly* `1.4.0`", "1.4.0", "1.3.9-<dirty>", None),
    ];
    view(records::run(vec![section("After the rollout", steps)]))
}

fn undecided() -> RunView {
    let lost = judged(
        "Error rate stays below 5%",
        Outcome::Error,
        vec![],
        "could not look: prometheus at http://p:9090 does not answer: connection refused",
    );
    let thin = judged("P99 is known", Outcome::Inconclusive, vec![], "no series matches");
    view(records::run(vec![section(
        "After the rollout",
        vec![passed("Health endpoint responds", "status", "200"), lost, thin],
    )]))
}

fn held() -> RunView {
    let before = section("Canary health check", vec![passed("Health endpoint responds", "status", "200")]);
    let mut promotion = section("Promotion", vec![step("Production image is updated", "exec")]);
    promotion.outline.hold = Some(Hold { sign: vec!["sre".into()] });
    promotion.held = Some(at(11));
    let mut record = records::run(vec![before, promotion]);
    (record.finished, record.took_ms) = (None, None);
    view(record)
}

#[test]
fn a_go() {
    let view = go();
    assert_eq!(view.decision(), Decision::Go);
    insta::assert_snapshot!("notify_go", told(&view, &Occasion::Decided));
}

#[test]
fn a_no_go_with_three_failures() {
    let view = no_go();
    assert_eq!(view.decision(), Decision::NoGo);
    insta::assert_snapshot!("notify_no_go", told(&view, &Occasion::Decided));
}

#[test]
fn an_undecided_run() {
    let view = undecided();
    assert_eq!(view.decision(), Decision::Undecided);
    insta::assert_snapshot!("notify_undecided", told(&view, &Occasion::Decided));
}

#[test]
fn a_hold_point_that_waits() {
    insta::assert_snapshot!("notify_held", told(&held(), &Occasion::Held(SectionId::new("promotion"))));
}

#[test]
fn a_start_and_an_end() {
    let mut out = told(&held(), &Occasion::Start);
    out.push_str(&told(&go(), &Occasion::End));
    insta::assert_snapshot!("notify_start_and_end", out);
}

#[test]
fn an_annotation_is_closed_by_its_number() {
    let channels = channels(ALL, INPUTS);
    let message = message(&go(), &Occasion::End);
    let letters = letters(&channels, &message, &env(), Some("1124"));
    let (_, letter) = letters.iter().find(|(name, _)| name == "grafana").expect("a letter");
    let holdpoint::notify::Letter::Http(post) = letter else { panic!("a request") };
    assert_eq!(
        (post.method.as_str(), post.url.as_str()),
        ("PATCH", "https://grafana.example.com/api/annotations/1124")
    );
    let body = super::body(letter);
    assert_eq!(body["time"], at(0).timestamp_millis());
    assert_eq!(body["timeEnd"], at(12).timestamp_millis());
    assert!(body["tags"].as_array().expect("tags").contains(&serde_json::json!("go")), "{body}");
}
