//! Signatures against OpenSSH itself: what one makes the other accepts, and both allow the same people.

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeZone, Utc};
use holdpoint::signoff::sign::{Agent, AllowedSigners, NAMESPACE, PublicKey, Signer, verify};

use crate::support::ssh::{Keys, RunningAgent};

const KINDS: [&str; 6] = ["ed25519", "rsa:2048", "rsa:4096", "ecdsa:256", "ecdsa:384", "ecdsa:521"];

const TEXT: &str = "holdpoint statement v1\nrun: r1\nnote: größer\n";

fn signer(keys: &Keys, name: &str) -> Signer {
    let text = std::fs::read_to_string(keys.path(name)).expect("a key");
    Signer::of_private_key(&text, &mut || None).expect("a signer")
}

fn verifies(keys: &Keys, principal: &str, text: &str) -> bool {
    let args = ["-Y", "verify", "-f", "allowed", "-I", principal, "-n", NAMESPACE, "-s", "text.sig"];
    keys.keygen(&args, text, "UTC").status.success()
}

#[test]
fn ssh_keygen_alone_accepts_what_is_signed_here_and_the_other_way_round() {
    for (n, kind) in KINDS.into_iter().enumerate() {
        let keys = Keys::new();
        keys.make("key", kind, "");
        keys.write("allowed", &format!("carol {}\n", keys.public("key")));
        let ours = signer(&keys, "key").sign(TEXT).expect("a signature");
        keys.write("text.sig", &ours);
        assert!(verifies(&keys, "carol", TEXT), "{kind}");
        assert!(!verifies(&keys, "carol", &TEXT.replace("r1", "r2")), "{kind}");

        keys.write("text", TEXT);
        let made = keys.keygen(&["-Y", "sign", "-f", "key", "-n", NAMESPACE, "text"], "", "UTC");
        assert!(n > 0 || made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let theirs = std::fs::read_to_string(keys.path("text.sig")).expect("their signature");
        let key = PublicKey::from_line(&keys.public("key")).expect("a key");
        assert_eq!(verify(TEXT, &theirs), Ok(key.clone()), "{kind}");
        assert_eq!(verify(TEXT, &ours), Ok(key.clone()), "{kind}");
        assert!(verify(&TEXT.replace("r1", "r2"), &theirs).is_err(), "{kind}");
        let listed = keys.keygen(&["-l", "-f", "key.pub"], "", "UTC");
        assert!(String::from_utf8_lossy(&listed.stdout).contains(&key.fingerprint()), "{kind}");
    }
}

#[test]
fn a_signature_for_something_else_is_none() {
    let keys = Keys::new();
    keys.make("key", "ed25519", "");
    keys.write("text", TEXT);
    keys.keygen(&["-Y", "sign", "-f", "key", "-n", "file", "text"], "", "UTC");
    let other = std::fs::read_to_string(keys.path("text.sig")).expect("their signature");
    let why = verify(TEXT, &other).expect_err("another namespace");
    assert!(why.contains("\"file\""), "{why}");
}

#[test]
fn no_changed_byte_of_a_signature_is_accepted() {
    let keys = Keys::new();
    for kind in ["ed25519", "ecdsa:256", "rsa:2048"] {
        keys.make(kind, kind, "");
        let armour = signer(&keys, kind).sign(TEXT).expect("a signature");
        let key = verify(TEXT, &armour).expect("a good signature");
        for at in 0..armour.len() {
            let mut bytes = armour.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("text");
            // The end of base64 has bits that mean nothing; such a text is the same signature, or refused.
            if let Ok(found) = verify(TEXT, &changed) {
                panic!("{kind} at {at}: {}", if found == key { "the same key" } else { "another key" });
            }
        }
    }
}

#[test]
fn a_passphrase_is_asked_for_and_only_the_right_one_opens_the_key() {
    let keys = Keys::new();
    keys.make("key", "ed25519", "horse battery");
    let text = std::fs::read_to_string(keys.path("key")).expect("a key");
    let mut asked = 0;
    let opened = Signer::of_private_key(&text, &mut || {
        asked += 1;
        Some(if asked == 3 { "horse battery" } else { "wrong" }.to_owned())
    });
    assert!(opened.is_ok_and(|signer| signer.sign(TEXT).is_ok()));
    let wrong = Signer::of_private_key(&text, &mut || Some("wrong".to_owned())).expect_err("a wrong passphrase");
    assert_eq!(wrong.to_string(), "the passphrase is wrong");
    let nobody = Signer::of_private_key(&text, &mut || None).expect_err("nobody to ask");
    assert!(nobody.to_string().contains("ssh-add"), "{nobody}");
    keys.make("old", "rsa:2048", "");
    keys.keygen(&["-p", "-m", "PEM", "-N", "", "-P", "", "-f", "old"], "", "UTC");
    let old = std::fs::read_to_string(keys.path("old")).expect("a key");
    let old = Signer::of_private_key(&old, &mut || None).expect_err("an old form");
    assert!(old.to_string().contains("ssh-keygen -p"), "{old}");
    assert!(Signer::of_private_key("no key at all", &mut || None).is_err());
}

#[test]
fn an_agent_signs_with_every_kind_of_key() {
    let keys = Keys::new();
    let agent = RunningAgent::start(&keys.path("."));
    for kind in KINDS {
        agent.add(&keys.make(kind, kind, ""));
    }
    let ours = Agent::at(&agent.socket);
    let identities = ours.identities().expect("a list");
    assert_eq!(identities.iter().map(|i| i.comment.as_str()).collect::<Vec<_>>(), KINDS);
    for identity in &identities {
        let armour = Signer::of_agent(ours.clone(), identity.key.clone()).sign(TEXT).expect("a signature");
        keys.write("text.sig", &armour);
        keys.write("allowed", &format!("carol {}\n", keys.public(&identity.comment)));
        assert!(verifies(&keys, "carol", TEXT), "{}", identity.comment);
    }
    let first = Signer::of_agent(ours.clone(), identities[0].key.clone());
    agent.ssh_add(&["-D"]);
    let declined = first.sign(TEXT).expect_err("a key that the agent has no more");
    assert!(declined.to_string().contains("does not sign with SHA256:"), "{declined}");
    drop(agent);
    let away = ours.identities().expect_err("no agent");
    assert!(away.to_string().contains("SSH_AUTH_SOCK"), "{away}");
}

#[test]
fn an_agent_that_talks_nonsense_is_an_error() {
    use std::io::{Read, Write};
    let keys = Keys::new();
    let socket = keys.path("odd.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let answers: [&[u8]; 5] = [
        b"",
        b"\0\0\0\x01\x05",
        b"\0\0\0\x05\x0c\xff\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x0a\x0c\0\0\0\x01\xff\xff\xff\xff",
    ];
    let thread = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a question");
            let mut question = [0; 5];
            stream.read_exact(&mut question).expect("a question");
            stream.write_all(answer).expect("an answer");
        }
    });
    for answer in answers {
        assert!(Agent::at(&socket).identities().is_err(), "{answer:?}");
    }
    thread.join().expect("an end");
}

/// A zone that stands still, the same for both.
fn zone(naive: NaiveDateTime) -> Option<DateTime<Utc>> {
    FixedOffset::east_opt(3 * 3600)?.from_local_datetime(&naive).single().map(|at| at.to_utc())
}

#[test]
fn both_allow_the_same_people_keys_and_times() {
    let keys = Keys::new();
    keys.make("key", "ed25519", "");
    keys.make("other", "ecdsa:256", "");
    keys.write("text.sig", &signer(&keys, "key").sign(TEXT).expect("a signature"));
    let (key, other) = (keys.public("key"), keys.public("other"));
    let public = PublicKey::from_line(&key).expect("a key");
    let files = [
        format!("carol@example.com {key}"),
        format!("carol@example.com {other}"),
        format!("bob@example.com {key}\n\n# more\ncarol@example.com {key} a comment\n"),
        format!("*@example.com {key}"),
        format!("*@example.com,!carol@example.com {key}"),
        format!("!carol@*,*@example.com {key}\ncarol@example.com {key}"),
        format!("c?rol@example.com {key}\r\n"),
        format!("\"carol smith,carol@example.com\" {key}"),
        format!("carol@example.com,,bob {key}"),
        format!("carol@example.com namespaces=\"holdpoint\" {key}"),
        format!("carol@example.com namespaces=\"git,hold*\" {key}"),
        format!("carol@example.com namespaces=\"git\" {key}"),
        format!("carol@example.com namespaces=\"*,!holdpoint\" {key}"),
        format!("carol@example.com namespaces=\"git\" {key}\ncarol@example.com {key}"),
        format!("carol@example.com NAMESPACES=\"holdpoint\" {key}"),
        format!("carol@example.com cert-authority {key}"),
        format!("carol@example.com cert-authority {key}\ncarol@example.com {key}"),
        format!("carol@example.com valid-after=\"20260701Z\" {key}"),
        format!("carol@example.com valid-after=\"20260701\" {key}"),
        format!("carol@example.com valid-before=\"20260701Z\" {key}"),
        format!("carol@example.com valid-before=\"202607010000\" {key}"),
        format!("carol@example.com valid-before=\"20260630235959utc\" {key}"),
        format!(
            "carol@example.com valid-after=\"20260630Z\",valid-before=\"20260701000000Z\",namespaces=\"holdpoint\" {key}"
        ),
        format!(
            "carol@example.com valid-before=\"20260101Z\" {key}\ncarol@example.com valid-after=\"20260101Z\" {key}"
        ),
        format!("no key here\ncarol@example.com {key}"),
        format!("carol@example.com valid-after=\"gestern\" {key}\ncarol@example.com valid-before=\"20270101Z\" {key}"),
        format!("carol@example.com some-option {key}"),
        format!("carol@example.com namespaces=\"holdpoint {key}"),
        format!("carol@example.com valid-before=\"20250101Z\",valid-after=\"20260101Z\" {key}"),
    ];
    let mut allowed = 0;
    for file in files {
        keys.write("allowed", &file);
        let ours = AllowedSigners::parse(file.as_bytes(), zone);
        for principal in ["carol@example.com", "bob@example.com", "carol smith", "*@example.com", "Carol@example.com"] {
            for at in ["20260630205959", "20260630210000", "20260630235959", "20260701000000", "20260701000001"] {
                let time = NaiveDateTime::parse_from_str(at, "%Y%m%d%H%M%S").expect("a time").and_utc();
                let option = format!("-Overify-time={at}Z");
                let args =
                    ["-Y", "verify", "-f", "allowed", "-I", principal, "-n", NAMESPACE, "-s", "text.sig", &option];
                let theirs = keys.keygen(&args, TEXT, "XYZ-3").status.success();
                let ours = ours.allows(principal, &public, NAMESPACE, time);
                assert_eq!(ours.is_ok(), theirs, "{principal} at {at}: {ours:?} in\n{file}");
                allowed += usize::from(theirs);
            }
        }
        let found = keys.keygen(
            &["-Y", "find-principals", "-f", "allowed", "-s", "text.sig", "-Overify-time=20260701000000Z"],
            TEXT,
            "XYZ-3",
        );
        let time = NaiveDateTime::parse_from_str("20260701000000", "%Y%m%d%H%M%S").expect("a time").and_utc();
        // `ssh-keygen` looks at no namespace here, so that it may find more; it names the first line only.
        if let Ok(names) = ours.principals(&public, NAMESPACE, time) {
            assert!(found.status.success(), "{names:?} in\n{file}");
            let theirs = String::from_utf8_lossy(&found.stdout).into_owned();
            let ours_first = names.first().copied().unwrap_or_default();
            assert!(
                file.contains("git\"") || theirs.lines().any(|name| name == ours_first),
                "{theirs} {names:?} in\n{file}"
            );
        } else {
            assert!(!found.status.success() || file.contains("namespaces"), "in\n{file}");
        }
    }
    assert!(allowed > 100, "the comparison says too little: {allowed}");
}
