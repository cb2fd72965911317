//! Secrets, end to end: used in every place of a checklist, echoed back in every form, and nowhere to be found.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::env::{Ran, TestEnv};
use crate::support::rogue::{Rogue, write};
use crate::support::ssh::Keys;

/// The inputs and their values. None of them is a word that stands anywhere else.
const SECRETS: [(&str, &str); 5] = [
    ("token", "Tk9-header/Value+with=signs"),
    ("password", "pässwört \"quoted\" & <angled>"),
    ("query_key", "qk 7f3a&b=c#frag?x"),
    ("env_key", "ENV-key-$HOME-`tick`-'single'"),
    ("pin", "8675309421"),
];

const CHECKLIST: &str = r#"
holdpoint: 1
name: "Masking {{ inputs.token }}"
description: "about {{ inputs.password }}"
service: "svc {{ inputs.query_key }}"
links: { runbook: "https://wiki.example.com/?k={{ inputs.env_key }}" }
inputs:
  token: { secret: true }
  password: { secret: true }
  query_key: { secret: true, env: QUERY_KEY }
  env_key: { secret: true }
  pin: { secret: true }
  base_url: { type: url }
  prometheus_url: { type: url }
sources:
  prometheus: { url: "{{ inputs.prometheus_url }}", headers: { X-Key: "{{ inputs.token }}" } }
sections:
  - name: "Section of {{ inputs.env_key }}"
    description: "described with {{ inputs.pin }}"
    steps:
      - name: "Header and URL {{ inputs.token }}"
        http:
          url: "{{ inputs.base_url }}/echo/{{ inputs.query_key }}?k={{ inputs.query_key }}&p={{ inputs.password }}"
          method: POST
          headers: { X-Token: "{{ inputs.token }}", X-Pin: "{{ inputs.pin }}" }
          json: { password: "{{ inputs.password }}", env: "{{ inputs.env_key }}" }
        expect:
          status: 418
          body: { contains: "{{ inputs.password }}", matches: 'nothing {{ inputs.pin }}' }
          json: { $.token: "{{ inputs.pin }}", $.pin: "< 5" }
          headers: { x-echo: "{{ inputs.password }}" }
        why: "because {{ inputs.password }}"
        runbook: "turn {{ inputs.env_key }} off and on"
        owner: "{{ inputs.query_key }}"
        contact: "{{ inputs.pin }}"
        evidence: full
      - name: Commands
        exec:
          command: [sh, -c, 'echo "$1"; echo "$KEY" >&2; echo "$KEY" | base64 >&2; printf %s "$1" | od -An -v -tx1 | tr -d " \n"; printf "%s" "$PW"; sleep 0.3; echo " later $PIN"; exit 3', sh, "{{ inputs.token }}"]
          env: { KEY: "{{ inputs.env_key }}", PW: "{{ inputs.password }}", PIN: "{{ inputs.pin }}" }
        expect:
          exit_code: 0
          stdout: { equals: "{{ inputs.env_key }}" }
          that: "stdout == '{{ inputs.pin }}'"
        evidence: full
      - name: Log of a command
        log: { exec: [sh, -c, 'echo "pin $1 found"; echo "key $2 found"', sh, "{{ inputs.pin }}", "{{ inputs.query_key }}"] }
        expect: { matches: { '{{ inputs.pin }}': 0, 'found': 1 } }
        evidence: full
      - name: Split over two reads
        exec: "printf %s {{ inputs.token }} | cut -c1-9 | tr -d '\\n'; sleep 0.2; printf %s {{ inputs.token }} | cut -c10-"
        expect: { stdout: { contains: "not there {{ inputs.token }}" } }
        eventually: { within: 1s, every: 400ms }
      - name: Query
        promql: 'up{key="{{ inputs.query_key }}", pin="{{ inputs.pin }}"}'
        expect: 1
      - name: Captures
        id: captures
        exec: [echo, "{{ inputs.password }}"]
        capture: { seen: "stdout | upper", plain: stdout }
        expect: 0
      - name: Uses what was captured
        exec: [echo, "{{ captured.plain }}", "{{ inputs.token }}"]
        expect: { stdout: { equals: "{{ captured.plain }} and {{ inputs.env_key }}" } }
      - name: Deferred and wrong
        exec: [echo, "5"]
        expect: { exit_code: "{{ captured.plain }}" }
      - name: Command not there
        exec: ["/no/such/{{ inputs.token }}"]
        expect: 0
      - name: Shell reads the key
        exec: "no-such-command-{{ inputs.env_key }}"
        expect: 0
      - name: File away
        file: "/no/{{ inputs.token }}/{{ inputs.pin }}"
        expect: { exists: true }
      - name: By hand
        manual: "log in with {{ inputs.password }}"
      - name: Needs consent
        exec: "true"
        changes: "writes {{ inputs.pin }}"
        expect: 0
      - name: Left out
        when: "inputs.pin == 'x' or '{{ inputs.token }}' == 'y'"
        exec: "true"
        expect: 0
  - name: Condition with a secret
    when: "inputs.env_key == 'nothing'"
    steps:
      - { name: Never, exec: "true", expect: 0 }
appendix:
  - { title: "Title {{ inputs.token }}", text: "Text {{ inputs.password }}" }
  - title: Table
    table: { columns: [a], rows: [["{{ inputs.pin }}"], ["{{ inputs.env_key }}"]] }
"#;

/// The secret in the forms in which it must not be found: raw, base64, percent-encoded, JSON-escaped, hexadecimal.
fn forms(secret: &str) -> Vec<String> {
    let percent = |space: &str| {
        let byte = |b: u8| match b {
            b' ' => space.to_owned(),
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        };
        secret.bytes().map(byte).collect::<String>()
    };
    let json = serde_json::to_string(secret).expect("text");
    let json = json[1..json.len() - 1].to_owned();
    let ascii = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) };
    let ascii: String = json.chars().map(ascii).collect();
    let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut forms = vec![
        secret.to_owned(),
        STANDARD.encode(secret).trim_end_matches('=').to_owned(),
        percent("%20"),
        percent("+"),
        json,
        ascii,
        hex.to_uppercase(),
        hex,
        html,
    ];
    forms.sort();
    forms.dedup();
    forms
}

/// The forms to look for: each as it is, and within JSON.
fn traces(secret: &str) -> Vec<String> {
    let within = |form: &String| {
        let quoted = serde_json::to_string(form).expect("text");
        quoted[1..quoted.len() - 1].to_owned()
    };
    let mut traces = forms(secret);
    traces.extend(forms(secret).iter().map(within));
    // What an id makes of it.
    traces.push(holdpoint::model::id::kebab(secret));
    traces.sort();
    traces.dedup();
    traces
}

fn leaks(place: &str, bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    // Wrapped lines hide nothing.
    let unwrapped: String = text.split('\n').map(str::trim_start).collect();
    let found = |form: &String| text.contains(form.as_str()) || unwrapped.contains(form.as_str());
    let mut out = Vec::new();
    for (name, secret) in SECRETS {
        for form in traces(secret).iter().filter(|form| found(form)) {
            let at = text.find(form.as_str()).unwrap_or_default();
            let from = (0..=at.saturating_sub(60)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
            let around: String = text[from..].chars().take(160).collect();
            out.push(format!("{place}: {name} as {form:?}: {around:?}"));
        }
    }
    out
}

/// Answers with everything that was sent, in every form.
fn echo() -> Rogue {
    Rogue::start(|asked, stream| {
        let mut body = format!("{{\"asked\": {:?}, \"pin\": 8675309421, \"forms\": [", asked.path);
        for (_, secret) in SECRETS {
            for form in forms(secret) {
                // As a member of the answer, and as JSON within JSON.
                let member = serde_json::to_string(&form).expect("text");
                body.push_str(&format!("{member},{},", serde_json::to_string(&member).expect("text")));
            }
        }
        body.push_str(&format!("{}]}}", serde_json::to_string(&asked.body).expect("text")));
        let header = asked.header("x-token").unwrap_or_default();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-echo: {header}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // The body comes in two pieces, cut within a secret.
        let cut = body.find("Tk9-header").map_or(body.len() / 2, |at| at + 7);
        write(stream, head.as_bytes());
        write(stream, &body.as_bytes()[..cut]);
        std::thread::sleep(std::time::Duration::from_millis(50));
        write(stream, &body.as_bytes()[cut..]);
    })
}

/// A Prometheus that refuses every question and quotes it.
fn quoting() -> Rogue {
    Rogue::start(|asked, stream| {
        let body = serde_json::json!({
            "status": "error", "errorType": "bad_data",
            "error": format!("cannot answer {} {} {}", asked.path, asked.body, asked.header("x-key").unwrap_or_default()),
        })
        .to_string();
        let head = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        write(stream, head.as_bytes());
        write(stream, body.as_bytes());
    })
}

fn with_inputs(env: &TestEnv, args: &[&str], echo: &Rogue, prometheus: &Rogue) -> Ran {
    let set = |name: &str, value: &str| format!("--set={name}={value}");
    let mut given: Vec<String> = SECRETS.iter().filter(|(n, _)| *n != "query_key").map(|(n, v)| set(n, v)).collect();
    given.push(set("base_url", &echo.url("")));
    given.push(set("prometheus_url", &prometheus.url("")));
    let args: Vec<&str> = args.iter().copied().chain(given.iter().map(String::as_str)).collect();
    Ran::of(env.command(&args).env("QUERY_KEY", SECRETS[2].1).output().expect("runs"))
}

fn files(folder: &Path, problems: &mut Vec<String>) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            count += files(&path, problems);
        } else if !path.ends_with("checklist.yaml") {
            problems.extend(leaks(&path.display().to_string(), &std::fs::read(&path).expect("read")));
            count += 1;
        }
    }
    count
}

#[test]
fn no_secret_leaves_the_process_in_any_form() {
    let env = TestEnv::new();
    env.write("checklist.yaml", CHECKLIST);
    let (echo, prometheus) = (echo(), quoting());
    let formats = ["markdown", "junit", "json", "tap", "record"];
    let reports: Vec<String> = formats.iter().map(|f| format!("--report={f}=report.{f}")).collect();
    let mut args = vec!["run", "checklist.yaml"];
    args.extend(reports.iter().map(String::as_str));
    let ran = with_inputs(&env, &args, &echo, &prometheus);
    assert_eq!(ran.status, 1, "{}\n{}", ran.stdout, ran.stderr);
    let mut problems = leaks("stdout", ran.stdout.as_bytes());
    problems.extend(leaks("stderr", ran.stderr.as_bytes()));
    assert!(ran.stdout.contains("***"), "{}", ran.stdout);
    // The secrets were really used: the server saw them.
    let seen = format!("{:?}", echo.asked());
    assert!(seen.contains("Tk9-header/Value+with=signs") && seen.contains("8675309421"), "{seen}");
    assert!(format!("{:?}", prometheus.asked()).contains("Tk9-header"));

    let lines = with_inputs(&env, &["run", "checklist.yaml", "--format", "json"], &echo, &prometheus);
    problems.extend(leaks("json lines", lines.stdout.as_bytes()));
    problems.extend(leaks("json lines, stderr", lines.stderr.as_bytes()));
    for command in ["plan", "check"] {
        let said = with_inputs(&env, &[command, "checklist.yaml"], &echo, &prometheus);
        assert_eq!(said.status, 0, "{}", said.stderr);
        problems.extend(leaks(command, (said.stdout + &said.stderr).as_bytes()));
    }
    let keys = Keys::new();
    let key = keys.make("release", "ed25519", "").display().to_string();
    for args in [
        &["show"][..],
        &["show", "--format", "json"],
        &["runs"],
        &["export"],
        &["show", "report.record"],
        &["export", "--as", "in-toto"],
        &["export", "--as", "in-toto", "--sign", &key, "--output", "run.intoto.json"],
        &["export", "--as", "summary"],
        &["export", "report.record", "--as", "summary", "--sign", &key, "--output", "summary.json"],
        &["prove"],
        &["prove", "--format", "json"],
        &["prove", "report.record", "checklist.yaml"],
    ] {
        let said = env.run(args);
        let good = if args[0] == "prove" { [0, 1, 3].contains(&said.status) } else { said.status == 0 };
        assert!(good, "{args:?}: {}", said.stderr);
        problems.extend(leaks(args[0], (said.stdout + &said.stderr).as_bytes()));
    }
    // What stands in an envelope is encoded, which would hide it.
    let envelope = env.json("run.intoto.json");
    let payload = STANDARD.decode(envelope["payload"].as_str().expect("text")).expect("base64");
    problems.extend(leaks("the payload", &payload));
    let count = files(&env.path("."), &mut problems);
    assert!(count >= 6, "the store and five reports: {count}");
    assert!(problems.is_empty(), "{} leaks\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn messages_about_a_checklist_do_not_quote_secrets() {
    let env = TestEnv::new();
    let wrong = CHECKLIST
        .replace("status: 418", "status: \"{{ inputs.token }}\"\n          latency: \"{{ inputs.password }}\"")
        .replace("          status:", "          size: \"> {{ inputs.pin }}zz\"\n          status:")
        .replace("evidence: full", "evidence: full\n        timeout: \"{{ inputs.env_key }}\"");
    env.write("checklist.yaml", &wrong);
    let (echo, prometheus) = (echo(), quoting());
    let mut problems = Vec::new();
    for args in [
        &["check", "checklist.yaml"][..],
        &["check", "checklist.yaml", "--format", "json"],
        &["check", "checklist.yaml", "--format", "github"],
        &["plan", "checklist.yaml"],
        &["run", "checklist.yaml"],
    ] {
        let said = with_inputs(&env, args, &echo, &prometheus);
        assert_eq!(said.status, 2, "{args:?}: {}{}", said.stdout, said.stderr);
        assert!((said.stdout.clone() + &said.stderr).contains("***"), "{args:?}: {}{}", said.stdout, said.stderr);
        problems.extend(leaks(&args.join(" "), (said.stdout + &said.stderr).as_bytes()));
    }
    assert!(problems.is_empty(), "{} leaks\n{}", problems.len(), problems.join("\n"));
}

/// What people write after the run is held against the secrets that are known again: from the environment, and from
/// the checklist.
#[test]
fn what_people_write_brings_no_secret_into_the_record() {
    let env = TestEnv::new();
    let (written, given) = ("written-in-the-ch3cklist", "given-by-the-env1ronment/+x");
    env.write(
        "gate.yaml",
        &format!(
            "
holdpoint: 1
name: Gate
inputs:
  one: {{ secret: true, default: '{written}' }}
  two: {{ secret: true, env: SECRET_TWO }}
sections:
  - name: Section
    steps:
      - {{ name: Uses them, exec: [echo, '{{{{ inputs.one }}}} {{{{ inputs.two }}}}'], expect: 0 }}
      - {{ name: By hand, manual: Look }}
signoff: {{ roles: [ {{ role: sre }} ] }}
"
        ),
    );
    let keys = Keys::new();
    let key = keys.make("sre", "ed25519", "").display().to_string();
    let run = |args: &[&str]| Ran::of(env.command(args).env("SECRET_TWO", given).output().expect("runs"));
    assert_eq!(run(&["run", "gate.yaml"]).status, 4);
    let encoded = STANDARD.encode(given);
    for secret in [written, given, encoded.as_str()] {
        let note = format!("I used {secret} for it");
        env.write("seen.txt", &format!("line\n{note}\nline\n"));
        for args in [
            &["attest", "last", "by-hand", "--pass", "--note", &note][..],
            &["attest", "last", "by-hand", "--pass", "--evidence", "seen.txt"],
            &["sign", "last", "--role", "sre", "--decision", "approve", "--key", &key, "--note", &note],
            &["sign", "last", "--role", "sre", "--decision", "conditional", "--conditions", &note, "--key", &key],
        ] {
            let said = run(args);
            assert_eq!(said.status, 2, "{args:?}: {}{}", said.stdout, said.stderr);
            assert!(said.stderr.contains("holds a secret"), "{args:?}: {}", said.stderr);
        }
    }
    for file in std::fs::read_dir(env.path(".holdpoint")).expect("a store") {
        let path = file.expect("a file").path();
        let bytes = if path.is_file() { std::fs::read(&path).expect("bytes") } else { Vec::new() };
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(written) && !text.contains(given), "{}", path.display());
    }
    assert_eq!(run(&["attest", "last", "by-hand", "--pass", "--note", "looked"]).status, 4);
    let signed = run(&["sign", "last", "--role", "sre", "--decision", "approve", "--key", &key, "--note", "fine"]);
    assert_eq!(signed.status, 0, "{}", signed.stderr);
    let record = run(&["export"]).stdout;
    for secret in [written, given, encoded.as_str()] {
        assert!(!record.contains(secret), "{record}");
    }
}
