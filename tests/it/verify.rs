//! `verify`: what is as it was recorded is said to be, and whatever was changed is found and named.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use holdpoint::record::format::read_record;

use crate::support::env::TestEnv;
use crate::support::ssh::Keys;

const CHECKLIST: &str = r#"
holdpoint: 1
name: Release
sections:
  - name: Build
    steps:
      - name: The archive says its version
        file: { path: release.txt }
        expect: { text: { contains: "2.4.1" }, size: "< 1KB" }
      - name: It stays there
        exec: "test -f release.txt"
        expect: { exit_code: 0 }
        consistently: { for: 300ms, every: 50ms }
      - name: The notes are short
        exec: "wc -l < release.txt"
        expect: { stdout: "1" }
        required: false
  - name: People
    steps:
      - name: Somebody looked
        manual: Look at the dashboard
signoff:
  roles: [{ role: sre }]
"#;

/// A folder with a run that is answered with a file as evidence, signed, exported and reported.
struct Signed {
    env: TestEnv,
    keys: Keys,
}

impl Signed {
    fn new() -> Self {
        let (env, keys) = (TestEnv::new(), Keys::new());
        let mut allowed = keys.person("alice@example.com");
        allowed.push_str(&keys.person("mallory@example.com"));
        env.write("allowed_signers", &allowed);
        env.write("c.yaml", CHECKLIST);
        env.write("release.txt", "2.4.1\nsecond\n");
        env.write("dashboard.txt", &"all green\n".repeat(300));
        assert_eq!(env.run(&["run", "c.yaml", "--allow-changes"]).status, 4, "it waits for people");
        let this = Self { env, keys };
        this.good(&["attest", "last", "somebody-looked", "--pass", "--evidence", "dashboard.txt"], 4);
        let key = this.keys.path("alice@example.com").display().to_string();
        let sign = ["sign", "last", "--role", "sre", "--decision", "approve", "--key", &key];
        this.good(&[&sign[..], &["--allowed-signers", "allowed_signers"]].concat(), 0);
        this.good(&["export", "last", "--output", "record.jsonl"], 0);
        this.good(&["report", "last", "--report", "markdown=signoff.md"], 0);
        this
    }

    fn good(&self, args: &[&str], status: i32) -> String {
        let ran = self.env.run(args);
        assert_eq!(ran.status, status, "{args:?}: {ran:?}");
        ran.stdout
    }

    fn verify(&self, what: &str) -> (i32, String) {
        let ran = self.env.run(&["verify", what, "--allowed-signers", "allowed_signers"]);
        (ran.status, ran.stdout + &ran.stderr)
    }

    fn record(&self) -> Vec<String> {
        self.env.read("record.jsonl").lines().map(str::to_owned).collect()
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/records/v1").join(name)
}

#[test]
fn a_signed_run_is_verified_from_store_record_and_document() {
    let signed = Signed::new();
    for what in ["last", "record.jsonl", "signoff.md"] {
        let (status, said) = signed.verify(what);
        assert_eq!(status, 0, "{what}: {said}");
        for word in ["intact", "1 kept", "alice@example.com as sre", "all the same", "go, decided again the same"] {
            assert!(said.contains(word), "{what} without {word}: {said}");
        }
        assert!(said.ends_with("verified\n"), "{said}");
    }
    let json = signed.good(&["verify", "signoff.md", "--format", "json"], 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["same"], &json["decision"]["again"]), (&true.into(), &"go".into()));
    assert!(json["looks"].as_u64().unwrap() > 6, "every look of the window is judged again: {json}");
}

#[test]
fn a_document_finds_its_record_in_the_store_and_what_it_claims_wrongly_is_named() {
    let signed = Signed::new();
    fs::remove_file(signed.env.path("record.jsonl")).unwrap();
    assert_eq!(signed.verify("signoff.md").0, 0);
    let document = signed.env.read("signoff.md");
    for (from, to, named) in [
        ("\ndecision: go\n", "\ndecision: no-go\n", "decision: the document says no-go, the record go"),
        ("\nfail: 1\n", "\n", "counts: the document says 3 pass, the record 3 pass; 1 fail"),
        ("sre, approve, alice", "sre, approve, bob", "signatures: the document says sre, approve, bob"),
    ] {
        assert!(document.contains(from), "{from:?} in {document}");
        signed.env.write("signoff.md", &document.replacen(from, to, 1));
        let (status, said) = signed.verify("signoff.md");
        assert!(status == 1 && said.contains(named), "{status} {said}");
    }
    signed.env.write("signoff.md", "# Nothing\n");
    assert_eq!(signed.verify("signoff.md").0, 2);
    // What is added later does not make the document wrong, and is said.
    signed.env.write("signoff.md", &document);
    let sign = ["sign", "last", "--role", "sre", "--decision", "approve", "--note", "again", "--allowed-signers"];
    let key = signed.keys.path("alice@example.com").display().to_string();
    signed.good(&[&sign[..], &["allowed_signers", "--key", &key]].concat(), 0);
    let (status, said) = signed.verify("signoff.md");
    assert!(status == 0 && said.contains("were added since"), "{status} {said}");
}

#[test]
fn dropped_swapped_inserted_cut_and_older_records_are_named() {
    let signed = Signed::new();
    let lines = signed.record();
    let count = lines.len();
    let mut swapped = lines.clone();
    swapped.swap(4, 5);
    let mut dropped = lines.clone();
    dropped.remove(6);
    let mut inserted = lines.clone();
    inserted.insert(3, lines[3].clone());
    let mut without_file = lines.clone();
    without_file.pop();
    let other_file = lines[count - 1].replacen("YWxs", "YWxz", 1);
    let mut changed_file = lines.clone();
    changed_file[count - 1] = other_file;
    for (lines, named) in [
        (swapped, "line 5"),
        (dropped, "line 7"),
        (inserted, "line 5"),
        (without_file, "kept file"),
        (changed_file, "not what was put there"),
        (lines[..8].to_vec(), "the header promises"),
    ] {
        signed.env.write("record.jsonl", &(lines.join("\n") + "\n"));
        let (status, said) = signed.verify("record.jsonl");
        assert!(status == 1 && said.starts_with("damaged") && said.contains(named), "{named}: {status} {said}");
    }
    signed.env.write("record.jsonl", &(lines.join("\n") + "\n"));
    let key = signed.keys.path("mallory@example.com").display().to_string();
    let sign = ["sign", "last", "--role", "sre", "--decision", "approve", "--allowed-signers", "allowed_signers"];
    signed.good(&[&sign[..], &["--key", &key]].concat(), 0);
    let (status, said) = signed.verify("record.jsonl");
    assert!(status == 1 && said.contains("is older than run"), "{status} {said}");
}

#[test]
fn a_key_that_is_somebody_elses_is_named() {
    let signed = Signed::new();
    let mallory = format!("alice@example.com {}\n", signed.keys.public("mallory@example.com"));
    signed.env.write("allowed_signers", &mallory);
    let (status, said) = signed.verify("record.jsonl");
    assert!(status == 1 && said.contains("the signature of alice@example.com as sre"), "{status} {said}");
}

#[test]
fn five_hundred_changed_bytes_are_all_found_and_named() {
    let signed = Signed::new();
    let files = [fixture("go.jsonl"), fixture("no-go.jsonl"), signed.env.path("record.jsonl")];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for n in 0..500 {
        let mut bytes = fs::read(&files[n % files.len()]).unwrap();
        let place = random(bytes.len());
        let new = u8::try_from(random(256)).unwrap();
        bytes[place] = if bytes[place] == new { new.wrapping_add(1) } else { new };
        let error = read_record(&mut Cursor::new(&bytes)).map(|_| ()).unwrap_err().to_string();
        let line = 1 + bytes[..place].iter().filter(|byte| **byte == b'\n').count();
        let near = [line - 1, line, line + 1].map(|line| format!("line {line}:"));
        let whole = error.starts_with("line 1:") || error.contains("version") || error.contains("kept file");
        assert!(whole || near.iter().any(|near| error.starts_with(near)), "byte {place} of line {line}: {error}");
        if n % 50 == 0 {
            fs::write(signed.env.path("damaged.jsonl"), &bytes).unwrap();
            let (status, said) = signed.verify("damaged.jsonl");
            assert!(matches!(status, 1 | 2) && !said.contains("verified"), "{status} {said}");
        }
    }
}

#[test]
fn a_verdict_that_does_not_follow_is_named_although_the_chain_is_intact() {
    use holdpoint::event::EventKind;
    use holdpoint::model::{Outcome, RunId};
    use holdpoint::record::format::{Part, export, read};
    use holdpoint::record::{RunStore, store};
    let mut lying = store::memory::Memory::default();
    let run = RunId::new("lie");
    lying.begin(&run).unwrap();
    let file = fs::read(fixture("no-go.jsonl")).unwrap();
    let take = &mut |part: Part<'_>| {
        let Part::Event(mut event, _, _) = part else { return Ok(()) };
        match &mut event.kind {
            EventKind::RunStarted { run, .. } => *run = RunId::new("lie"),
            EventKind::StepFinished { step, result } if step.as_str() == "the-notes-are-short" => {
                result.outcome = Outcome::Pass;
                result.reason.clear();
                let verdict = &mut result.look.as_mut().unwrap().verdict;
                (verdict.outcome, verdict.summary) = (Outcome::Pass, String::new());
            }
            _ => {}
        }
        lying.append(&run, &[event])?;
        Ok(())
    };
    read(&mut Cursor::new(&file), take).unwrap();
    let env = TestEnv::new();
    let mut out = Vec::new();
    export(&lying, &run, &mut out).unwrap();
    fs::write(env.path("lie.jsonl"), out).unwrap();
    let ran = env.run(&["verify", "lie.jsonl"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stdout.contains("the-notes-are-short, look 1: recorded pass"), "{}", ran.stdout);
}

#[test]
fn records_of_the_first_version_are_verified_for_ever() {
    let env = TestEnv::new();
    for name in ["go.jsonl", "no-go.jsonl"] {
        fs::copy(fixture(name), env.path(name)).unwrap();
        let ran = env.run(&["verify", name]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.stdout.contains("all the same"), "{}", ran.stdout);
    }
    fs::copy(fixture("store.db"), env.path("store.db")).unwrap();
    let ran = env.run(&["verify", "last", "--store", "store.db"]);
    assert_eq!(ran.status, 0, "{ran:?}");
}

#[test]
fn an_exported_record_carries_its_files_home() {
    let signed = Signed::new();
    let home = TestEnv::new();
    fs::copy(signed.env.path("record.jsonl"), home.path("record.jsonl")).unwrap();
    assert_eq!(home.run(&["import", "record.jsonl"]).status, 0);
    let ran = home.run(&["verify", "last"]);
    assert!(ran.status == 0 && ran.stdout.contains("1 kept"), "{ran:?}");
    assert_eq!(home.run(&["export", "last", "--output", "again.jsonl"]).status, 0);
    assert_eq!(home.read("again.jsonl"), signed.env.read("record.jsonl"));
}
