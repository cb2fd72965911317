//! Proofs that a gate can go red: what each step notices, and what it does not.

use serde_json::Value;

use crate::support::env::TestEnv;
use crate::support::nginx::Nginx;

/// A step, and the mutations that it does not notice.
const STEPS: &[(&str, &str, &[&str])] = &[
    (
        "Health",
        "http: GET {{ inputs.base_url }}/ok.json\n  expect: { status: 200, json: { $.status: ok }, latency: '< 5s' }",
        &[],
    ),
    ("Page says ok", "http: GET {{ inputs.base_url }}/ok.json\n  expect: { body: { contains: ok } }", &[]),
    ("Latency alone", "http: GET {{ inputs.base_url }}/ok.json\n  expect: { latency: '< 5s' }", &["status-500"]),
    (
        "Page has no error",
        "http: GET {{ inputs.base_url }}/ok.json\n  expect: { status: 200, body: { not: { contains: error } } }",
        &["empty"],
    ),
    ("Command", "exec: [echo, done]\n  expect: { exit_code: 0, stdout: done }", &[]),
    ("Output alone", "exec: [echo, done]\n  expect: { stdout: done }", &["exit-1"]),
    (
        "Any text at all",
        "exec: [echo, done]\n  expect: { exit_code: 0, stdout: { matches: '.*' } }",
        &["empty", "other-text"],
    ),
    ("No errors in the log", "log: app.log\n  expect: { matches: { ERROR: 0 } }", &["zero"]),
    (
        "No errors in a log that is written",
        "log: app.log\n  expect: { matches: { ERROR: 0 }, scanned_lines: '> 0' }",
        &[],
    ),
    ("Not too many files", "file: '*.log'\n  expect: { count: '<= 5' }", &["zero"]),
    ("Some files", "file: '*.log'\n  expect: { count: between 1 and 5 }", &[]),
    ("Whatever it is", "file: settings.json\n  expect: { json: { $.replicas: { not: 0 } } }", &["empty", "wrong-type"]),
    ("Replicas", "file: settings.json\n  expect: { json: { $.replicas: '>= 2' } }", &[]),
    (
        "One of two",
        "file: settings.json\n  expect: { any: [ { json: { $.replicas: 3 } }, { json: { $.mode: prod } } ] }",
        &[],
    ),
    ("An expression", "exec: [echo, done]\n  expect: { that: 'exit_code == 0 and not (lines > 5)' }", &[]),
    (
        "No data is fine",
        "file: settings.json\n  expect: { json: { $.mode: prod } }\n  on_no_data: pass",
        &["truncated"],
    ),
];

fn checklist() -> String {
    let mut text =
        "holdpoint: 1\nname: Gate\ninputs: { base_url: {} }\nsections:\n- name: Section\n  steps:\n".to_owned();
    for (name, step, _) in STEPS {
        text.push_str(&format!("  - name: {name}\n    {}\n", step.replace("\n  ", "\n    ")));
    }
    text
}

fn site() -> TestEnv {
    let env = TestEnv::new();
    env.write("gate.yaml", &checklist());
    env.write("app.log", "INFO started\nINFO ready\n");
    env.write("settings.json", r#"{"replicas": 3, "mode": "prod"}"#);
    env
}

/// Returns the mutations that a step does not notice and nobody accepted.
fn blind(step: &Value) -> Vec<String> {
    let tried = step["tried"].as_array().expect("a list");
    let not = tried.iter().filter(|one| one["noticed"] == false && one["accepted"] != true);
    let mut words: Vec<String> = not.map(|one| one["mutation"].as_str().expect("a word").to_owned()).collect();
    words.dedup();
    words
}

#[test]
fn what_stays_green_is_listed_and_nothing_else() {
    let env = site();
    let nginx = Nginx::start("").expect("nginx is installed");
    nginx.put("ok.json", r#"{"status": "ok"}"#);
    let input = format!("base_url={}", nginx.url);
    let ran = env.run(&["run", "gate.yaml", "--set", &input]);
    assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    let proof = env.run(&["prove", "last", "--format", "json"]);
    assert_eq!(proof.status, 1, "{}", proof.stderr);
    let proof: Value = serde_json::from_str(&proof.stdout).expect("JSON");
    for ((name, _, expected), step) in STEPS.iter().zip(proof["steps"].as_array().expect("steps")) {
        assert_eq!(step["name"], *name);
        assert_eq!(blind(step), *expected, "{name}: {step:#}");
        assert!(step["tried"].as_array().is_some_and(|tried| tried.len() >= 4), "{name}: {step:#}");
        let standing = if expected.is_empty() { "proved" } else { "blind" };
        assert_eq!(step["standing"], standing, "{name}");
    }
    let text = env.run(&["prove"]).stdout;
    assert!(text.contains("zero: an empty log"), "{text}");
}

#[test]
fn a_checklist_is_mended_without_running_it_again() {
    let env = site();
    let gate = |expect: &str| {
        format!(
            "{{ holdpoint: 1, name: G, sections: [{{ name: S, steps: [{{ name: Log, log: app.log, expect: {expect} }}] }}] }}"
        )
    };
    env.write("log.yaml", &gate("{ matches: { ERROR: 0 }, scanned_bytes: '>= 0B' }"));
    assert_eq!(env.run(&["run", "log.yaml"]).status, 0);
    assert_eq!(env.run(&["prove"]).status, 1);
    env.write("log.yaml", &gate("{ matches: { ERROR: 0 }, scanned_bytes: '> 0B' }"));
    let proof = env.run(&["prove", "last", "log.yaml"]);
    assert_eq!(proof.status, 0, "{}{}", proof.stdout, proof.stderr);
    // What the run did not measure cannot be proved from it.
    env.write("log.yaml", &gate("{ matches: { FATAL: 0 } }"));
    let proof = env.run(&["prove", "last", "log.yaml", "--format", "json"]);
    assert_eq!(proof.status, 3, "{}", proof.stdout);
    assert!(proof.stdout.contains("does not pass"), "{}", proof.stdout);
}

#[test]
fn what_cannot_be_proved_is_said() {
    let env = TestEnv::new();
    env.write(
        "gate.yaml",
        "
holdpoint: 1
name: Gate
sections:
  - name: Section
    steps:
      - { name: By hand, manual: Look }
      - { name: Settle, wait: 1ms }
      - { name: Red already, exec: 'false', expect: 0 }
      - { name: Left out, when: 'false', exec: 'true', expect: 0 }
",
    );
    assert_eq!(env.run(&["run", "gate.yaml"]).status, 1);
    let proof = env.run(&["prove", "--format", "json"]);
    assert_eq!(proof.status, 3, "{}", proof.stdout);
    for part in ["a person answers it", "wait asserts nothing", "it was fail already", "it was skipped"] {
        assert!(proof.stdout.contains(part), "{part}: {}", proof.stdout);
    }
    assert!(env.run(&["prove"]).stdout.contains("Nothing was proved"));
}
