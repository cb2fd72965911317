//! `sign`, `attest` and waivers as people use them; what they leave is checked with ssh-keygen.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use holdpoint::event::{EventKind, SignDecision};
use holdpoint::model::Decision;
use holdpoint::record::{load, store};
use holdpoint::signoff::sign::allowed_signers::local_standard_time;
use holdpoint::signoff::sign::{AllowedSigners, Signer};
use holdpoint::signoff::signing::{Person, Wish, sign, still_covers};
use holdpoint::signoff::{amend, decide_against};

use crate::support::env::{Ran, TestEnv};
use crate::support::ssh::{Keys, RunningAgent};

const CAROL: &str = "carol@example.com";

/// A folder with a run that waits for signatures, and the keys of those around it.
struct Desk {
    env: TestEnv,
    keys: Keys,
}

impl Desk {
    fn new(signoff: &str, step: &str) -> Self {
        let (env, keys) = (TestEnv::new(), Keys::new());
        let checklist = format!(
            "holdpoint: 1\nname: Release\nsections:\n  - name: All\n    steps:\n      \
             - {{ name: Holds, exec: \"true\", expect: 0 }}\n{step}signoff:\n  roles:\n{signoff}"
        );
        env.write("checklist.yaml", &checklist);
        let lines: String = [CAROL, "dave@example.com"].iter().map(|name| keys.person(name)).collect();
        keys.write("allowed", &lines);
        Self { env, keys }
    }

    fn carol_signs() -> Self {
        let desk = Self::new(&format!("    - {{ role: sre, needs: 1, members: [{CAROL}] }}\n"), "");
        let ran = desk.env.run(&["run", "checklist.yaml"]);
        assert_eq!(ran.status, 4, "{}", ran.stderr);
        desk
    }

    fn file(&self, name: &str) -> String {
        self.keys.path(name).display().to_string()
    }

    fn sign(&self, key: &str, more: &[&str]) -> Ran {
        let (key, allowed) = (self.file(key), self.file("allowed"));
        let args = ["sign", "last", "--key", &key, "--allowed-signers", &allowed];
        self.env.run(&[&args, more].concat())
    }

    fn decision(&self) -> String {
        let runs = self.env.run(&["runs", "--format", "json"]);
        let runs: serde_json::Value = serde_json::from_str(&runs.stdout).expect("JSON");
        runs[0]["decision"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_signed_run_is_a_go_and_ssh_keygen_alone_verifies_it() {
    let desk = Desk::carol_signs();
    let signed = desk.sign(CAROL, &["--role", "sre", "--decision", "conditional", "--conditions", "watch p95"]);
    assert_eq!(signed.status, 0, "{}", signed.stderr);
    assert!(signed.stderr.contains("signed by carol@example.com as sre; the decision is go"), "{}", signed.stderr);
    assert!(signed.stderr.contains("condition of carol@example.com (sre): watch p95"), "{}", signed.stderr);
    assert_eq!(desk.decision(), "go");
    let exported = desk.env.run(&["export", "last", "--signatures", "signed"]);
    assert_eq!(exported.status, 0, "{}", exported.stderr);
    std::fs::copy(desk.keys.path("allowed"), desk.env.path("signed/allowed_signers")).expect("a copy");
    let verify = || {
        let mut shell = Command::new("sh");
        let ran = shell.arg("-c").arg(&exported.stdout).current_dir(desk.env.path("signed")).output();
        Ran::of(ran.expect("a shell"))
    };
    let good = verify();
    assert!(good.status == 0 && good.stdout.contains("Good \"holdpoint\" signature for carol@example.com"), "{good:?}");
    let mut names =
        std::fs::read_dir(desk.env.path("signed")).expect("a folder").map(|e| e.expect("an entry").file_name());
    let name = names.find(|name| name.to_string_lossy().ends_with(".txt")).expect("a text");
    let name = format!("signed/{}", name.to_string_lossy());
    assert!(name.starts_with("signed/sre-carol-example-com-conditional-"), "{name}");
    let text = desk.env.read(&name);
    assert!(text.starts_with("holdpoint statement v1\n") && text.contains("\ncondition: watch p95\n"), "{text}");
    desk.env.write(&name, &text.replace("watch p95", "watch p99"));
    assert_ne!(verify().status, 0);
}

#[test]
fn who_may_not_sign_is_told_why() {
    let desk = Desk::carol_signs();
    let expired = format!("{CAROL} valid-before=\"20200101Z\" {}\n", desk.keys.public(CAROL));
    desk.keys.write("expired", &expired);
    let old = desk.file("expired");
    let table: &[(&str, &[&str], &str)] = &[
        ("dave@example.com", &["--role", "sre", "--decision", "approve"], "dave@example.com may not sign as sre"),
        (CAROL, &["--role", "cto", "--decision", "approve"], "\"cto\" is not asked for; the roles are sre"),
        (CAROL, &["--role", "sre", "--decision", "reject"], "--note TEXT"),
        (CAROL, &["--role", "sre", "--decision", "conditional"], "--conditions TEXT"),
        (CAROL, &["--role", "sre", "--decision", "approve", "--conditions", "x"], "--decision conditional"),
        (CAROL, &["--role", "sre", "--decision", "approve", "--hold", "all"], "has no hold point"),
        (
            CAROL,
            &["--role", "sre", "--decision", "approve", "--as", "dave@example.com"],
            "no line gives dave@example.com",
        ),
    ];
    for (key, args, word) in table {
        let ran = desk.sign(key, args);
        assert_eq!(ran.status, 2, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{args:?}: {}", ran.stderr);
    }
    let key = desk.file(CAROL);
    let late = ["sign", "last", "--role", "sre", "--decision", "approve", "--key", &key, "--allowed-signers", &old];
    let late = desk.env.run(&late);
    assert!(late.status == 2 && late.stderr.contains("allowed the key until 2020-01-01"), "{}", late.stderr);
    let nobody = desk.env.run(&["sign", "last", "--role", "sre", "--decision", "approve", "--key", &key]);
    assert!(nobody.status == 2 && nobody.stderr.contains("--allowed-signers"), "{}", nobody.stderr);
    let keyless = desk.env.run(&["sign", "last", "--role", "sre", "--decision", "approve"]);
    assert!(keyless.status == 2 && keyless.stderr.contains("which key?"), "{}", keyless.stderr);
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode");
    let open = desk.sign(CAROL, &["--role", "sre", "--decision", "approve"]);
    assert!(open.status == 2 && open.stderr.contains("chmod 600"), "{}", open.stderr);
    assert_eq!(desk.decision(), "held");
}

#[test]
fn a_rejection_is_a_no_go() {
    let desk = Desk::carol_signs();
    let no = desk.sign(CAROL, &["--role", "sre", "--decision", "reject", "--note", "the graphs look odd"]);
    assert_eq!(no.status, 1, "{}", no.stderr);
    assert!(no.stderr.contains("rejected: sre by carol@example.com: the graphs look odd"), "{}", no.stderr);
    assert_eq!(desk.decision(), "no-go");
}

#[test]
fn an_agent_signs_without_a_key_file() {
    let desk = Desk::carol_signs();
    let agent = RunningAgent::start(&desk.keys.path("."));
    desk.keys.make("stranger", "rsa:2048", "");
    agent.add(&desk.keys.path("stranger"));
    agent.add(&desk.keys.path(CAROL));
    let allowed = desk.file("allowed");
    let args = ["sign", "last", "--role", "sre", "--decision", "approve", "--allowed-signers", &allowed];
    let ran = Ran::of(desk.env.command(&args).env("SSH_AUTH_SOCK", &agent.socket).output().expect("runs"));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let public = desk.file("carol@example.com.pub");
    let args = [&args[..], &["--key", &public]].concat();
    let ran = Ran::of(desk.env.command(&args).env("SSH_AUTH_SOCK", &agent.socket).output().expect("runs"));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
}

#[test]
fn an_answer_after_a_signature_asks_for_it_again() {
    let step = "      - { name: Asks, manual: Look., required: false }\n";
    let desk = Desk::new("    - { role: sre, needs: 1 }\n", step);
    assert_eq!(desk.env.run(&["run", "checklist.yaml"]).status, 4);
    let list = desk.env.run(&["attest", "last"]);
    assert!(list.stderr.contains("1 of 1 manual steps are open") && list.stderr.contains("Look."), "{}", list.stderr);
    assert_eq!(desk.sign(CAROL, &["--role", "sre", "--decision", "approve"]).status, 0);
    desk.env.write("graph.png", "not really");
    let answered = ["attest", "last", "asks", "--pass", "--note", "fine", "--evidence", "graph.png"];
    let answered = desk.env.run(&answered);
    assert_eq!(answered.status, 4, "{}", answered.stderr);
    assert!(answered.stderr.contains("(lapsed: carol@example.com)"), "{}", answered.stderr);
    let missing = desk.env.run(&["attest", "last", "asks", "--fail", "--evidence", "nowhere.png"]);
    assert!(missing.status == 2 && missing.stderr.contains("nowhere.png"), "{}", missing.stderr);
    let bare = desk.env.run(&["attest", "last", "asks", "--na"]);
    assert!(bare.status == 2 && bare.stderr.contains("without a note"), "{}", bare.stderr);
    assert_eq!(desk.sign(CAROL, &["--role", "sre", "--decision", "approve"]).status, 0);
    let store = store::open(&desk.env.path(".holdpoint/holdpoint.db").display().to_string()).expect("a store");
    let record = load(&*store, &store.resolve("last").expect("a run")).expect("a record");
    let answer = record.sections[0].steps[1].answers.last().expect("an answer");
    let kept = &answer.evidence[0];
    assert_eq!((kept.name.as_str(), kept.size), ("graph.png", 10));
    assert_eq!(store.blob(&kept.digest).expect("a file"), b"not really");
}

#[test]
fn two_hundred_signatures_at_once_are_neither_lost_nor_doubled() {
    const PEOPLE: usize = 20;
    const EACH: usize = 10;
    let desk = Desk::new(&format!("    - {{ role: sre, needs: {PEOPLE} }}\n"), "");
    assert_eq!(desk.env.run(&["run", "checklist.yaml"]).status, 4);
    let names: Vec<String> = (0..PEOPLE).map(|n| format!("p{n}@example.com")).collect();
    let lines: String = names.iter().map(|name| desk.keys.person(name)).collect();
    let signers = AllowedSigners::parse(lines.as_bytes(), local_standard_time);
    let url = desk.env.path(".holdpoint/holdpoint.db").display().to_string();
    let run = store::open(&url).and_then(|store| store.resolve("last")).expect("a run");
    let next = AtomicUsize::new(0);
    let attempt = |n: usize| {
        let mut store = store::open(&url).expect("a store");
        let name = &names[n % PEOPLE];
        let text = std::fs::read_to_string(desk.keys.path(name)).expect("a key");
        let signer = Signer::of_private_key(&text, &mut || None).expect("a signer");
        let (role, note) = ("sre".to_owned(), format!("attempt {n}"));
        let wish = Wish { role, decision: SignDecision::Approve, conditions: Vec::new(), note, section: None };
        let person = Person { by: name.clone(), user: "u".into(), key: signer.key() };
        let record = load(&*store, &run).expect("a record");
        let signature = sign(&record, &wish, &person, &signer, Utc::now()).expect("a signature");
        amend::add(&mut *store, &run, &Utc::now, &mut |record| {
            still_covers(record, &signature)?;
            Ok(vec![EventKind::Signed { signature: Box::new(signature.clone()) }])
        })
        .expect("kept");
        amend::settle(&mut *store, &run, Some(&signers), &Utc::now).expect("settled");
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= PEOPLE * EACH {
                        break;
                    }
                    attempt(n);
                }
            });
        }
    });
    let store = store::open(&url).expect("a store");
    let record = load(&*store, &run).expect("a record");
    let notes: HashSet<&str> = record.signatures.iter().map(|(_, signature)| signature.note.as_str()).collect();
    assert_eq!((record.signatures.len(), notes.len()), (PEOPLE * EACH, PEOPLE * EACH));
    let ruling = decide_against(&record, &[], Some(&signers), Utc::now());
    assert_eq!(ruling.decision, Decision::Go, "{:?}", ruling.reasons);
    assert_eq!(ruling.approval.roles[0].by.len(), PEOPLE);
    assert_eq!(record.decided.map(|(decision, _)| decision), Some(Decision::Go));
}

#[test]
fn people_who_sign_at_the_same_time_wait_for_each_other() {
    let desk = Desk::new("    - { role: sre, needs: 2 }\n", "");
    assert_eq!(desk.env.run(&["run", "checklist.yaml"]).status, 4);
    let (allowed, notes) = (desk.file("allowed"), ["a", "b", "c", "d", "e", "f"]);
    let start = |(n, note): (usize, &&str)| {
        let key = desk.file(if n % 2 == 0 { CAROL } else { "dave@example.com" });
        let args = ["sign", "last", "--role", "sre", "--decision", "approve", "--note", note, "--key", &key];
        let args = [&args[..], &["--allowed-signers", &allowed]].concat();
        desk.env.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs")
    };
    let all: Vec<_> = notes.iter().enumerate().map(start).collect();
    for mut child in all {
        let status = child.wait().expect("an end").code();
        assert!(matches!(status, Some(0 | 4)), "{status:?}");
    }
    let store = store::open(&desk.env.path(".holdpoint/holdpoint.db").display().to_string()).expect("a store");
    let record = load(&*store, &store.resolve("last").expect("a run")).expect("a record");
    let mut kept: Vec<&str> = record.signatures.iter().map(|(_, signature)| signature.note.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, notes);
    assert_eq!(desk.decision(), "go");
}

#[test]
fn a_process_killed_while_it_signs_leaves_a_sound_run() {
    let desk = Desk::carol_signs();
    let (key, allowed) = (desk.file(CAROL), desk.file("allowed"));
    let mut told = Vec::new();
    for n in 0..12_u64 {
        let note = format!("n{n}");
        let args = ["sign", "last", "--role", "sre", "--decision", "approve", "--note", &note, "--key", &key];
        let args = [&args[..], &["--allowed-signers", &allowed]].concat();
        let mut child = desk.env.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
        std::thread::sleep(Duration::from_millis(n * 9));
        let _ = child.kill();
        if child.wait().expect("an end").success() {
            told.push(note);
        }
    }
    let last = desk.sign(CAROL, &["--role", "sre", "--decision", "approve", "--note", "last"]);
    assert_eq!(last.status, 0, "{}", last.stderr);
    told.push("last".to_owned());
    let store = store::open(&desk.env.path(".holdpoint/holdpoint.db").display().to_string()).expect("a store");
    let record = load(&*store, &store.resolve("last").expect("a run")).expect("a record");
    let notes: Vec<&str> = record.signatures.iter().map(|(_, signature)| signature.note.as_str()).collect();
    assert!(told.iter().all(|note| notes.contains(&note.as_str())), "{told:?} {notes:?}");
    assert_eq!(notes.iter().collect::<HashSet<_>>().len(), notes.len(), "{notes:?}");
}

fn waiver(step: &str, from: TimeDelta, until: TimeDelta) -> String {
    let time = |offset: TimeDelta| (Utc::now() + offset).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (from, until) = (time(from), time(until));
    format!("  - {{ step: {step}, reason: Known, approved_by: carol, from: \"{from}\", until: \"{until}\" }}\n")
}

#[test]
fn a_waived_failure_is_a_go_that_says_so_and_is_judged_the_same_again() {
    let env = TestEnv::new();
    let steps =
        "      - { name: Holds, exec: \"true\", expect: 0 }\n      - { name: Fails, exec: \"false\", expect: 0 }\n";
    env.write("checklist.yaml", &format!("holdpoint: 1\nname: R\nsections:\n  - name: All\n    steps:\n{steps}"));
    assert_eq!(env.run(&["run", "checklist.yaml"]).status, 1);
    let head = "holdpoint: 1\nwaivers:\n";
    env.write("w.yaml", &format!("{head}{}", waiver("fails", -TimeDelta::hours(1), TimeDelta::days(30))));
    let ran = env.run(&["run", "checklist.yaml", "--waivers", "w.yaml"]);
    assert_eq!(ran.status, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("waived by carol until"), "{}", ran.stdout);
    std::fs::remove_file(env.path("w.yaml")).expect("gone");
    let json = env.run(&["show", "last", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["decision"], "go");
    let record = env.run(&["export", "last"]).stdout;
    assert!(record.contains("\"waived\"") && record.contains("w.yaml"), "{record}");

    env.write("w.yaml", &format!("{head}{}", waiver("fails", -TimeDelta::days(3), -TimeDelta::seconds(1))));
    let late = env.run(&["run", "checklist.yaml", "--waivers", "w.yaml"]);
    assert_eq!(late.status, 1, "{}", late.stderr);
    assert!(late.stderr.contains("waiver-expired"), "{}", late.stderr);
    let unused = waiver("holds", -TimeDelta::hours(1), TimeDelta::days(30));
    let soon = waiver("fails", -TimeDelta::hours(1), TimeDelta::days(6));
    env.write("w.yaml", &format!("{head}{unused}{soon}"));
    let soon = env.run(&["run", "checklist.yaml", "--waivers", "w.yaml"]);
    assert_eq!(soon.status, 0, "{}", soon.stderr);
    assert!(soon.stderr.contains("waiver-ends-soon"), "{}", soon.stderr);
    env.run(&["report", "last", "--report", "json=r.json"]);
    let report = env.read("r.json");
    assert!(report.contains("is not used: the step did not fail") && report.contains("ends soon"), "{report}");
}

#[test]
fn a_file_of_waivers_with_a_mistake_stops_the_run_before_it_begins() {
    let env = TestEnv::new();
    let step = "      - { name: Fails, exec: \"touch ran; false\", expect: 0 }\n";
    env.write("checklist.yaml", &format!("holdpoint: 1\nname: R\nsections:\n  - name: All\n    steps:\n{step}"));
    env.write("w.yaml", &format!("holdpoint: 1\nwaivers:\n{}", waiver("fals", TimeDelta::zero(), TimeDelta::days(91))));
    let ran = env.run(&["run", "checklist.yaml", "--waivers", "w.yaml"]);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    for word in ["waiver-unknown-step", "did you mean \"fails\"", "waiver-too-long", "w.yaml:3:"] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(!env.path("ran").exists());
    let checked = env.run(&["check", "checklist.yaml", "--waivers", "w.yaml"]);
    assert!(checked.status == 2 && checked.stderr.contains("waiver-too-long"), "{}", checked.stderr);
    let gone = env.run(&["run", "checklist.yaml", "--waivers", "nowhere.yaml"]);
    assert!(gone.status == 2 && gone.stderr.contains("file-unreadable"), "{}", gone.stderr);
}
