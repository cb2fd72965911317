//! Statements for machines elsewhere: their form, and their signatures checked by other programs.

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::env::TestEnv;
use crate::support::ssh::Keys;

const CHECKLIST: &str = "
holdpoint: 1
name: Release gate
stage: promotion
service: shop
inputs: { version: 1.4.2, token: { secret: true, default: s3cr3t-t0ken-value } }
sections:
  - name: Section
    steps:
      - { name: Passes, exec: [echo, '{{ inputs.token }}'], expect: 0 }
      - { name: Warns, exec: 'true', expect: 0, warn: { lines: '> 0' } }
      - { name: Fails on trial, exec: 'false', expect: 0, trial: true }
      - { name: Optional, exec: 'false', expect: 0, required: false }
      - { name: Left out, when: 'false', exec: 'true', expect: 0 }
      - { name: '{{ inputs.version }}', id: fails, exec: 'exit 1', expect: { exit_code: '{{ inputs.code }}' } }
";

const DIGEST: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

/// What the published pages say of a Statement (v1) and of the predicate of test results (v0.1), as a schema.
fn schema() -> Value {
    let digests = json!({
        "type": "object", "minProperties": 1, "additionalProperties": { "type": "string", "pattern": "^[0-9a-f]+$" }
    });
    let tests = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "required": ["_type", "subject", "predicateType", "predicate"],
        "properties": {
            "_type": { "const": "https://in-toto.io/Statement/v1" },
            "subject": {
                "type": "array", "minItems": 1,
                "items": {
                    "type": "object", "required": ["digest"],
                    "properties": { "name": { "type": "string", "minLength": 1 }, "digest": digests.clone() }
                }
            },
            "predicateType": { "const": "https://in-toto.io/attestation/test-result/v0.1" },
            "predicate": {
                "type": "object",
                "required": ["result", "configuration"],
                "properties": {
                    "result": { "enum": ["PASSED", "WARNED", "FAILED"] },
                    "configuration": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "anyOf": [{ "required": ["uri"] }, { "required": ["digest"] }, { "required": ["content"] }],
                            "properties": {
                                "name": { "type": "string" }, "digest": digests, "annotations": { "type": "object" }
                            }
                        }
                    },
                    "url": { "type": "string", "format": "uri" },
                    "passedTests": tests.clone(), "warnedTests": tests.clone(), "failedTests": tests
                }
            }
        }
    })
}

/// A site on which the gate ran; `code` is the exit code that the last step expects.
fn ran(code: u8) -> TestEnv {
    let env = TestEnv::new();
    env.write("gate.yaml", &CHECKLIST.replace("inputs: {", &format!("inputs: {{ code: {code}, ")));
    let ran = env.run(&["run", "gate.yaml"]);
    assert_eq!(ran.status, i32::from(code != 1), "{}{}", ran.stdout, ran.stderr);
    env
}

fn statement(env: &TestEnv, more: &[&str]) -> Value {
    let ran = env.run(&[&["export", "--as", "in-toto"], more].concat());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let statement: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let errors: Vec<_> = validator.iter_errors(&statement).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}: {statement:#}");
    statement
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_statement_says_what_passed_and_of_what() {
    let env = ran(1);
    let subject = format!("registry.example.com/shop=sha256:{DIGEST}");
    let statement = statement(&env, &["--subject", &subject, "--url", "https://ci.example.com/runs/7"]);
    let predicate = &statement["predicate"];
    assert_eq!(predicate["result"], "WARNED");
    assert_eq!(predicate["passedTests"], json!(["passes", "fails"]));
    assert_eq!(predicate["warnedTests"], json!(["warns", "optional"]));
    assert_eq!(predicate["failedTests"], json!([]));
    assert_eq!(predicate["holdpoint"]["decision"], "go");
    assert_eq!(predicate["url"], "https://ci.example.com/runs/7");
    assert_eq!(statement["subject"][0], json!({ "name": "registry.example.com/shop", "digest": { "sha256": DIGEST } }));
    // The record is named by the digest of its exported file.
    assert_eq!(env.run(&["export", "last", "-o", "run.jsonl"]).status, 0);
    let exported = sha256(env.read("run.jsonl").as_bytes());
    assert_eq!(statement["subject"][1]["digest"]["sha256"], exported.as_str());
    assert_eq!(predicate["configuration"][0]["digest"]["sha256"], sha256(env.read("gate.yaml").as_bytes()).as_str());
    // The same of the file, wherever the store is.
    let of_file = env.run(&["export", "run.jsonl", "--as", "in-toto", "--store", "elsewhere.db"]);
    let of_file: Value = serde_json::from_str(&of_file.stdout).expect("JSON");
    assert_eq!(of_file["subject"][0]["digest"]["sha256"], exported.as_str());
}

#[test]
fn whatever_is_no_go_is_failed() {
    let env = ran(2);
    let no_go = statement(&env, &[]);
    assert_eq!(no_go["predicate"]["result"], "FAILED");
    assert_eq!(no_go["predicate"]["failedTests"], json!(["fails"]));
    for step in ["manual: Look", "promql: up\n      expect: 1"] {
        let sources = "sources: { prometheus: { url: 'http://127.0.0.1:9' } }";
        let text = format!(
            "holdpoint: 1\nname: Open\n{}\nsections:\n  - name: S\n    steps:\n    - name: Open\n      {step}\n",
            if step.starts_with("promql") { sources } else { "" }
        );
        env.write("open.yaml", &text);
        assert!(matches!(env.run(&["run", "open.yaml"]).status, 3 | 4));
        let open = statement(&env, &[]);
        assert_eq!(open["predicate"]["result"], "FAILED", "{open:#}");
        assert_eq!(open["predicate"]["failedTests"], json!(["open"]));
    }
}

#[test]
fn envelopes_are_verified_by_openssl() {
    let env = ran(1);
    let keys = Keys::new();
    for (name, kind) in
        [("ed", "ed25519"), ("p256", "ecdsa:256"), ("p384", "ecdsa:384"), ("p521", "ecdsa:521"), ("rsa", "rsa:2048")]
    {
        let key = keys.make(name, kind, "").display().to_string();
        let args =
            ["export", "--as", "in-toto", "--sign", &key, "--public-key", "key.pem", "--output", "run.intoto.json"];
        let ran = env.run(&args);
        assert_eq!(ran.status, 0, "{name}: {}", ran.stderr);
        let envelope = env.json("run.intoto.json");
        let payload = STANDARD.decode(envelope["payload"].as_str().expect("text")).expect("base64");
        let kind_of = envelope["payloadType"].as_str().expect("text");
        assert_eq!(kind_of, "application/vnd.in-toto+json");
        let mut covered = format!("DSSEv1 {} {kind_of} {} ", kind_of.len(), payload.len()).into_bytes();
        covered.extend(&payload);
        let signature = STANDARD.decode(envelope["signatures"][0]["sig"].as_str().expect("text")).expect("base64");
        std::fs::write(env.path("covered"), &covered).expect("a file");
        std::fs::write(env.path("signature"), &signature).expect("a file");
        let good = openssl(&env, name);
        assert!(good.status.success(), "{name}: {good:?}");
        covered[40] ^= 1;
        std::fs::write(env.path("covered"), &covered).expect("a file");
        assert!(!openssl(&env, name).status.success(), "{name}: a changed byte goes unnoticed");
        assert!(envelope["signatures"][0]["keyid"].as_str().is_some_and(|id| id.starts_with("SHA256:")));
    }
}

fn openssl(env: &TestEnv, name: &str) -> Output {
    let mut command = Command::new("openssl");
    command.current_dir(env.path(""));
    match name {
        "ed" => command
            .args(["pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "covered"])
            .args(["-sigfile", "signature"]),
        other => {
            let digest = if other == "p384" {
                "-sha384"
            } else if other == "p521" {
                "-sha512"
            } else {
                "-sha256"
            };
            command.args(["dgst", digest, "-verify", "key.pem", "-signature", "signature", "covered"])
        }
    };
    command.output().expect("openssl")
}

#[test]
fn a_summary_is_verified_by_ssh_keygen() {
    let env = ran(2);
    let keys = Keys::new();
    let line = keys.person("release@example.com");
    let allowed = keys.write("allowed", &line).display().to_string();
    let key = keys.path("release@example.com").display().to_string();
    let ran = env.run(&["export", "--as", "summary", "--sign", &key, "--output", "summary.json"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let summary = env.json("summary.json");
    assert_eq!((&summary["decision"], &summary["holdpoint_summary"]), (&json!("no-go"), &json!(1)));
    assert_eq!((&summary["counts"]["pass"], &summary["counts"]["fail"]), (&json!(1), &json!(2)));
    assert_eq!(summary["reasons"].as_array().map(Vec::len), Some(1), "{summary:#}");
    let verify = |text: &str| {
        let signature = env.path("summary.json.sig").display().to_string();
        let args = ["-Y", "verify", "-f", &allowed, "-I", "release@example.com", "-n", "holdpoint", "-s", &signature];
        keys.keygen(&args, text, "UTC")
    };
    let text = env.read("summary.json");
    let good = verify(&text);
    assert!(good.status.success(), "{good:?}");
    assert!(!verify(&text.replace("no-go", "go")).status.success());
    // Without a file there is no place for the signature.
    let refused = env.run(&["export", "--as", "summary", "--sign", &key]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("--output"), "{}", refused.stderr);
}

#[test]
fn secrets_are_in_no_statement() {
    let env = ran(1);
    for kind in ["in-toto", "summary", "record"] {
        let text = env.run(&["export", "--as", kind]).stdout;
        assert!(text.contains("1.4.2") || kind == "summary", "{text}");
        assert!(!text.contains("s3cr3t-t0ken-value"), "{kind}: {text}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let env = ran(1);
    let table: &[&[&str]] = &[
        &["--as", "in-toto", "--subject", "app"],
        &["--as", "in-toto", "--subject", "app=sha256:12"],
        &["--as", "in-toto", "--sign", "no-such-key"],
        &["--sign", "key"],
        &["--as", "in-toto", "--public-key", "key.pem"],
    ];
    for args in table {
        let ran = env.run(&[&["export"], *args].concat());
        assert_eq!(ran.status, 2, "{args:?}: {}", ran.stderr);
        assert!(!Path::new(&env.path("key.pem")).exists());
    }
}
