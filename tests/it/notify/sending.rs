//! Sending: what is tried again and what is not, and that nothing of it changes the decision or the exit status.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{FAILS, answer, answering, checklist, last, told};
use crate::support::env::{Ran, TestEnv};
use crate::support::nginx::free_port;
use crate::support::rogue::{Rogue, stall};

fn run(env: &TestEnv, notify: &str, more: &str, args: &[&str]) -> Ran {
    env.write("checklist.yaml", &checklist(notify, more));
    let mut all = vec!["run", "checklist.yaml", "--store", "runs.db"];
    all.extend(args);
    env.run(&all)
}

fn slack(server: &Rogue, rest: &str) -> String {
    format!("notify:\n  - {{ slack: '{}'{rest} }}\n", server.url("/services/T0/B0/x"))
}

#[test]
fn people_are_told_of_the_start_and_of_the_decision() {
    let (env, server) = (TestEnv::new(), answering("200 OK", "", "ok"));
    let ran = run(&env, &slack(&server, ""), FAILS, &[]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let asked = server.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let bodies: Vec<Value> = asked.iter().map(|a| serde_json::from_str(&a.body).expect("JSON")).collect();
    assert_eq!(bodies[0]["blocks"][0]["text"]["text"], "▶ Started: Promotion");
    assert_eq!(bodies[1]["blocks"][0]["text"]["text"], "❌ NO-GO: Promotion");
    let text = bodies[1].to_string();
    for part in [
        "exit_code: expected 0, observed 3",
        "https://wiki.example.com/answers|runbook",
        "1 pass, 1 fail of 2",
        "--store runs.db",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(asked[1].header("content-type"), Some("application/json"));
    let record = last(&env);
    assert_eq!(told(&record), [("slack".into(), "start".into(), 1, None), ("slack".into(), "no-go".into(), 1, None)]);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
}

#[test]
fn failures_are_told_together_before_the_decision() {
    let (env, server) = (TestEnv::new(), answering("200 OK", "", "ok"));
    let more = format!(
        "{FAILS}      - {{ name: It warns, exec: 'exit 1', expect: 0, required: false }}\n  - {{ name: Later, steps: [{{ name: waits, wait: 4s }}] }}\n"
    );
    let ran = run(&env, &slack(&server, ", on: [failure, no-go]"), &more, &[]);
    assert_eq!(ran.status, 1);
    let titles: Vec<String> = server
        .asked()
        .iter()
        .map(|asked| {
            let body: Value = serde_json::from_str(&asked.body).expect("JSON");
            body["blocks"][0]["text"]["text"].as_str().expect("a title").to_owned()
        })
        .collect();
    assert_eq!(titles, ["❌ A step failed: Promotion", "❌ NO-GO: Promotion"]);
}

#[test]
fn whoever_is_busy_is_asked_again_when_it_wishes() {
    let (env, count) = (TestEnv::new(), AtomicUsize::new(0));
    let began = Instant::now();
    let server = Rogue::start(move |_, stream| match count.fetch_add(1, Ordering::SeqCst) {
        0 => answer(stream, "429 Too Many Requests", "retry-after: 1\r\n", "rate_limited"),
        1 => answer(stream, "503 Service Unavailable", "", ""),
        _ => answer(stream, "200 OK", "", "ok"),
    });
    let ran = run(&env, &slack(&server, ", on: go, retry: { delay: 50ms }"), "", &[]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(told(&last(&env)), [("slack".into(), "go".into(), 3, None)]);
    assert!(began.elapsed() >= Duration::from_secs(1), "it did not wait as long as it was asked to");
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn who_refuses_is_not_asked_again_and_its_words_are_said() {
    let said = r#"{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect"]}"#;
    let (env, server) = (TestEnv::new(), answering("400 Bad Request", "", said));
    let notify = format!("notify:\n  - {{ pagerduty: k, url: '{}' }}\n", server.url(""));
    let ran = run(&env, &notify, FAILS, &["--report", "markdown=report.md", "--report", "json=report.json"]);
    assert_eq!(ran.status, 1);
    assert_eq!(server.asked().len(), 1);
    let words = "pagerduty was not told of no-go";
    let why = "answered 400: Event object is invalid: Length of 'routing_key' is incorrect";
    assert!(ran.stderr.contains(words) && ran.stderr.contains(why), "{}", ran.stderr);
    let report = env.read("report.md");
    assert!(report.contains(words), "{report}");
    assert!(env.json("report.json").to_string().contains(words));
    // Whoever looks at the run later sees it too.
    assert!(env.run(&["show", "last", "--store", "runs.db"]).stdout.contains(words));
}

#[test]
fn a_decision_stands_whatever_becomes_of_messages() {
    let broken = answering("500 Internal Server Error", "", r#"{"errors":["no"]}"#);
    let denied = answering("403 Forbidden", "", r#"{"message":"Forbidden"}"#);
    let gone = answering("410 Gone", "", "channel_is_archived");
    let slow = Rogue::start(|_, stream| stall(stream));
    let moved = answering("302 Found", "location: http://example.com/\r\n", "");
    let down = free_port();
    let notify = format!(
        "notify:\n  - {{ slack: '{}' }}\n  - {{ teams: '{}', timeout: 300ms, retry: {{ attempts: 2, delay: 10ms }} }}\n  \
         - {{ datadog: k, url: '{}', retry: 1 }}\n  - {{ grafana: '{}', token: t }}\n  - {{ pagerduty: k, url: 'http://127.0.0.1:{down}', on: [go, no-go], retry: {{ attempts: 2, delay: 10ms }} }}\n  \
         - {{ webhook: '{}' }}\n  - {{ email: a@b.example, server: '127.0.0.1:{down}', from: c@d.example, retry: 1 }}\n  \
         - {{ pushgateway: '{}', retry: 1 }}\n",
        gone.url("/x"),
        slow.url("/x"),
        broken.url(""),
        denied.url(""),
        moved.url("/x"),
        broken.url(""),
    );
    for (more, status) in [("", 0), (FAILS, 1), ("      - { name: Asks, manual: Look. }\n", 4)] {
        let env = TestEnv::new();
        let ran = run(&env, &notify, more, &[]);
        assert_eq!(ran.status, status, "{}", ran.stderr);
        let record = last(&env);
        let mut lost: Vec<String> = told(&record).into_iter().filter(|one| one.3.is_some()).map(|one| one.0).collect();
        lost.sort();
        lost.dedup();
        let all = ["datadog", "email", "grafana", "pagerduty", "pushgateway", "slack", "teams", "webhook"];
        let expected: Vec<_> = all.into_iter().filter(|name| status != 4 || *name != "pagerduty").collect();
        assert_eq!(lost, expected, "{}", ran.stderr);
        for words in
            ["channel_is_archived", "answered 403", "redirects are not followed", "within 300ms (tried 2 times)"]
        {
            assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_slow_channel_keeps_nobody_waiting() {
    let (env, slow, quick) = (TestEnv::new(), Rogue::start(|_, stream| stall(stream)), answering("200 OK", "", "ok"));
    let notify = format!(
        "notify:\n  - {{ slack: '{}', timeout: 6s, retry: 1 }}\n  - {{ webhook: '{}', on: [start, go] }}\n",
        slow.url("/x"),
        quick.url("/y")
    );
    let ran = run(&env, &notify, "", &[]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let record = last(&env);
    // The run itself was over long before the slow one gave up.
    assert!(record.took_ms.is_some_and(|took| took < 4_000), "{:?}", record.took_ms);
    assert_eq!(quick.asked().len(), 2);
    assert!(ran.stderr.contains("slack was not told of start: no answer"), "{}", ran.stderr);
}

#[test]
fn nothing_is_sent_when_nobody_wants_it() {
    let (env, server) = (TestEnv::new(), answering("200 OK", "", "ok"));
    let ran = run(&env, &slack(&server, ""), "", &["--no-notify"]);
    assert_eq!((ran.status, server.asked().len()), (0, 0));
    let ran = run(&env, &slack(&server, ""), "", &["--notify", "dry-run"]);
    assert_eq!((ran.status, server.asked().len()), (0, 0));
    assert!(ran.stderr.contains("slack, told of go, would be sent:\nPOST http://127.0.0.1:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("/***") && !ran.stderr.contains("/services/"), "{}", ran.stderr);
    assert!(told(&last(&env)).is_empty());
    // About the past nobody is told either.
    let ran = run(&env, &slack(&server, ""), "", &["--at", "1h"]);
    assert!(ran.status != 2 && server.asked().is_empty(), "{}", ran.stderr);
    let off = "inputs: { hook: { optional: true, secret: true } }\nnotify:\n  - { slack: '{{ inputs.hook }}', when: inputs.hook }\n";
    let ran = run(&env, off, "", &[]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let ran = run(&env, &off.replace(", when: inputs.hook", ""), "", &[]);
    assert!(
        ran.status == 2 && ran.stderr.contains("input \"hook\" has no value, and a channel needs it"),
        "{}",
        ran.stderr
    );
}

#[test]
fn messages_can_be_seen_before_there_is_anything_to_tell() {
    let (env, server) = (TestEnv::new(), answering("200 OK", "", "ok"));
    let notify = format!(
        "inputs: {{ key: {{ secret: true, env: KEY }} }}\nnotify:\n  - {{ slack: '{}' }}\n  - {{ pagerduty: '{{{{ inputs.key }}}}', url: '{}' }}\n  - {{ github: true }}\n",
        server.url("/services/T0"),
        server.url("")
    );
    let more = format!(
        "{FAILS}  - {{ name: Promotion, hold: true, steps: [{{ name: Goes on, exec: 'true', expect: 0 }}] }}\n"
    );
    env.write("checklist.yaml", &checklist(&notify, &more));
    let ran = env.run(&["notify", "checklist.yaml", "--event", "no-go", "--dry-run"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    for part in [
        "# slack, told of no-go",
        "NO-GO: Promotion (sample)",
        "# pagerduty, told of no-go",
        "\"event_action\": \"trigger\"",
        "\"routing_key\": \"(key)\"",
        "# github, told of no-go",
        "::error file=checklist.yaml,line=",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let ran = env.run(&["notify", "checklist.yaml", "--event", "held", "--dry-run"]);
    assert!(
        ran.stdout.contains("HELD: Promotion (sample)") && ran.stdout.contains("holdpoint release"),
        "{}",
        ran.stdout
    );
    for event in ["start", "go", "undecided"] {
        let ran = env.run(&["notify", "checklist.yaml", "--event", event, "--dry-run", "--channel", "slack"]);
        assert!(ran.status == 0 && ran.stdout.starts_with("# slack, told of"), "{event}: {}{}", ran.stdout, ran.stderr);
    }
    assert!(server.asked().is_empty());
    // What no channel is told of, or what there is not, is an error.
    let ran = env.run(&["notify", "checklist.yaml", "--event", "checkpoint", "--dry-run"]);
    assert!(ran.status == 2 && ran.stderr.contains("no channel is told of checkpoint"), "{}", ran.stderr);
    let ran = env.run(&["notify", "checklist.yaml", "--event", "nogo", "--dry-run"]);
    assert!(ran.status == 2 && ran.stderr.contains("did you mean \"no-go\"?"), "{}", ran.stderr);
    // Without --dry-run a sample is sent.
    let mut command = env.command(&["notify", "checklist.yaml", "--event", "go", "--channel", "slack"]);
    let ran = Ran::of(command.env("KEY", "abc").output().expect("it runs"));
    assert_eq!((ran.status, server.asked().len()), (0, 1), "{}", ran.stderr);
    assert!(server.asked()[0].body.contains("(sample)"));
}

#[test]
fn the_message_of_a_run_can_be_sent_once_more() {
    let (env, count) = (TestEnv::new(), AtomicUsize::new(0));
    let server = Rogue::start(move |_, stream| match count.fetch_add(1, Ordering::SeqCst) {
        0 => answer(stream, "404 Not Found", "", "no_service"),
        _ => answer(stream, "200 OK", "", "ok"),
    });
    let ran = run(&env, &slack(&server, ", on: [no-go]"), FAILS, &[]);
    assert!(ran.stderr.contains("no_service"), "{}", ran.stderr);
    let ran = env.run(&["notify", "last", "--store", "runs.db", "--dry-run"]);
    assert!(ran.stdout.contains("NO-GO: Promotion") && !ran.stdout.contains("(sample)"), "{}", ran.stdout);
    let ran = env.run(&["notify", "last", "--store", "runs.db"]);
    assert_eq!((ran.status, server.asked().len()), (0, 2), "{}", ran.stderr);
    // What was lost and then sent is no remark any more, and the record is whole.
    assert!(!env.run(&["show", "last", "--store", "runs.db"]).stdout.contains("was not told"));
    assert_eq!(told(&last(&env)).len(), 2);
    assert_eq!(env.run(&["verify", "last", "--store", "runs.db"]).status, 0);
    let ran = env.run(&["notify", "last", "--store", "runs.db", "--event", "go"]);
    assert!(ran.status == 2 && ran.stderr.contains("is not go: it is no-go"), "{}", ran.stderr);
}
