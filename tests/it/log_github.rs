//! Logs of GitHub Actions, against a double of the REST API and of the host to which it redirects.

use std::path::Path;
use std::time::Duration;

use holdpoint::model::{Found, Observation};
use serde_json::{Value, json};

use crate::support::double;
use crate::support::probing::{Probing, cause, number};
use crate::support::rogue::{Rogue, stall};

const RUN: &str = "/repos/acme/shop/actions/runs/7/jobs";

fn job(id: u64, name: &str, status: &str, conclusion: &str) -> Value {
    json!({ "id": id, "run_id": 7, "name": name, "status": status, "conclusion": conclusion })
}

fn jobs(list: &[Value]) -> Value {
    json!({ "total_count": list.len(), "jobs": list })
}

fn to(id: u64, storage: &Rogue) -> Value {
    let location = format!("http://{}/signed/{id}?sig=s3cret", storage.address);
    json!({ "ask": format!("GET /repos/acme/shop/actions/jobs/{id}/logs"), "status": 302, "headers": { "location": location } })
}

fn api(answers: Value) -> Rogue {
    double::answering(&answers.to_string(), Path::new(""))
}

/// A host that keeps these logs, by the number of the job.
fn storage(logs: &[(u64, &str)]) -> Rogue {
    let answers = logs.iter().map(|(id, text)| json!({ "ask": format!("GET /signed/{id}"), "text": text }));
    api(answers.collect())
}

fn probing(api: &Rogue) -> Probing {
    let source = json!({ "github": { "url": format!("http://{}", api.address), "bearer": "t0ken" } });
    Probing::new().sources(&source.to_string())
}

async fn look(api: &Rogue, yaml: &str) -> Observation {
    probing(api).look("log", &["matches[error]", "scanned_lines"], yaml).await
}

const NAMED: &str = "{ github: { repository: acme/shop, run: 7, job: test } }";

#[tokio::test]
async fn the_log_of_a_job_is_fetched_where_it_is_kept_without_credentials() {
    let log = "\u{feff}2026-11-20T18:37:15.1234567Z error one\n2026-11-20T18:37:16.0000000Z fine\nnot stamped error";
    let kept = storage(&[(1, log)]);
    let api = api(
        json!([{ "ask": format!("GET {RUN}"), "body": jobs(&[job(1, "test", "completed", "success")]) }, to(1, &kept)]),
    );
    let seen = probing(&api).look("log", &["matches[^error one$]", "matches[error]", "scanned_lines"], NAMED).await;
    assert_eq!((number(&seen, "matches[^error one$]"), number(&seen, "matches[error]")), (1.0, 2.0));
    assert_eq!(number(&seen, "scanned_lines"), 3.0);
    assert!(api.asked().iter().all(|asked| asked.header("authorization") == Some("Bearer t0ken")));
    let asked = kept.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].header("authorization").is_none() && asked[0].path.ends_with("sig=s3cret"), "{asked:?}");
    assert!(!format!("{seen:?}").contains("s3cret"), "{seen:?}");
}

#[tokio::test]
async fn the_latest_run_of_a_workflow_is_found_and_every_page_of_its_jobs_read() {
    let kept =
        storage(&[(1, "2026-11-20T18:37:15Z error\n"), (2, "2026-11-20T18:37:15Z a\n2026-11-20T18:37:15Z error")]);
    let page = |number: u64, list: Value| json!({ "ask": format!("GET {RUN}?page={number}"), "body": { "total_count": 3, "jobs": list } });
    let runs = "GET /repos/acme/shop/actions/workflows/ci.yaml/runs?head_sha=abc&per_page=1";
    let api = api(json!([
        { "ask": runs, "body": { "total_count": 9, "workflow_runs": [{ "id": 7, "status": "completed" }] } },
        page(1, json!([job(1, "test (1.80)", "completed", "success"), job(3, "deploy", "completed", "skipped")])),
        page(2, json!([job(2, "test (1.90)", "completed", "failure")])),
        to(1, &kept), to(2, &kept),
    ]));
    let of = |more: &str| {
        format!("{{ github: {{ repository: acme/shop, workflow: ci.yaml, commit: abc{more} }}, tail: 1 }}")
    };
    let cells = look(&api, &of(", job: test")).await;
    assert_eq!((number(&cells, "matches[error]"), number(&cells, "scanned_lines")), (2.0, 2.0));
    let every = look(&api, &of("")).await;
    assert_eq!(number(&every, "matches[error]"), 2.0);
    assert!(every.notes.iter().any(|note| note.text.contains("\"deploy\" was skipped")), "{every:?}");
    let skipped = look(&api, &of(", job: deploy")).await;
    assert!(cause(&skipped).contains("all were skipped"), "{skipped:?}");
    let none = look(&api, &of(", job: tets")).await;
    assert!(cause(&none).contains("its jobs are test (1.80), deploy, test (1.90)"), "{none:?}");
}

#[tokio::test]
async fn what_cannot_be_had_is_said() {
    let done = jobs(&[job(1, "test", "completed", "success")]);
    let log = "GET /repos/acme/shop/actions/jobs/1/logs";
    let list = format!("GET {RUN}");
    let cases = [
        (json!([{ "ask": list, "body": jobs(&[job(1, "test", "in_progress", "")]) }]), "it is in_progress"),
        (
            json!([{ "ask": list, "body": done }, { "ask": log, "status": 410, "body": { "message": "Server Error" } }]),
            "answered 410",
        ),
        (
            json!([{ "ask": list, "body": done }, { "ask": log, "status": 404, "body": { "message": "Not Found" } }]),
            "answered 404",
        ),
        (
            json!([{ "ask": list, "status": 403, "body": { "message": "Resource not accessible" } }]),
            "access is denied: Resource not",
        ),
        (json!([{ "ask": list, "status": 429, "headers": { "retry-after": "60" } }]), "answered 429 (retry after 60)"),
        (json!([{ "ask": list, "body": { "message": "hello" } }]), "no list of jobs"),
        (json!([{ "ask": list, "body": { "total_count": 2, "jobs": [] } }]), "named 0 of 2 jobs"),
        (json!([]), "answered 404"),
    ];
    for (answers, word) in cases {
        let seen = look(&api(answers), NAMED).await;
        assert!(cause(&seen).contains(word), "{word}: {seen:?}");
        assert_eq!(matches!(seen.found, Found::NotEnough { .. }), word.contains("in_progress"), "{seen:?}");
    }
    let none =
        api(json!([{ "ask": "GET /repos/acme/shop/actions/workflows/ci.yaml/runs", "body": { "workflow_runs": [] } }]));
    let seen = look(&none, "{ github: { repository: acme/shop, workflow: ci.yaml, branch: main } }").await;
    assert!(cause(&seen).contains("there is no such run: the latest run of ci.yaml branch=main"), "{seen:?}");
}

#[tokio::test]
async fn a_storage_that_breaks_off_or_hangs_is_an_error() {
    let done = jobs(&[job(1, "test", "completed", "success")]);
    let with = |kept: &Rogue| api(json!([{ "ask": format!("GET {RUN}"), "body": done.clone() }, to(1, kept)]));
    let cut = api(json!([{ "ask": "GET /signed/1", "text": "2026-11-20T18:37:15Z fine\n", "cut": 9 }]));
    let seen = look(&with(&cut), NAMED).await;
    assert!(cause(&seen).contains("the log of job \"test\""), "{seen:?}");
    let hung = Rogue::start(|_, stream| stall(stream));
    let source = with(&hung);
    let seen = probing(&source).timeout(Duration::from_millis(500)).look("log", &["matches[error]"], NAMED).await;
    assert!(!cause(&seen).is_empty());
}

#[test]
fn mistakes_are_said() {
    let api = api(json!([]));
    for (yaml, code) in [
        ("{ github: { repository: acme, run: 7 } }", "bad-value"),
        ("{ github: { repository: a/b } }", "missing-key"),
        ("{ github: { repository: a/b, run: 7, workflow: ci.yaml } }", "bad-value"),
        ("{ github: { repository: a/b, run: 7, branch: main } }", "bad-value"),
        ("{ github: { run: 7 } }", "missing-key"),
        ("{ github: { repository: a/b, run: 7, source: x } }", "unknown-source"),
    ] {
        let said = probing(&api).compile("log", &["matches[x]"], yaml).err().unwrap_or_default();
        assert!(said.iter().any(|line| line.starts_with(code)), "{yaml}: {said:?}");
    }
    let said = Probing::new().compile("log", &["matches[x]"], NAMED).err().unwrap_or_default();
    assert!(said.iter().any(|line| line.starts_with("no-source")), "{said:?}");
}
