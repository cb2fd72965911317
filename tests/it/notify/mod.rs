//! Messages out: what each channel is sent, how it is tried again, what is masked, and that nothing of it changes the
//! decision.

mod github;
mod limits;
mod mail;
mod payloads;
mod pushed;
mod secrecy;
mod sending;
mod taken_up;

use std::path::Path;
use std::sync::Arc;

use holdpoint::checklist::inputs::{self, Given};
use holdpoint::diag::{Diagnostics, SourceMap, Span, render};
use holdpoint::event::Notice;
use holdpoint::notify::{CHANNELS, Channels, Letter, Mask, Message, Occasion, Telling};
use holdpoint::record::{self, RunRecord, store};
use holdpoint::report::RunView;
use holdpoint::sys::env::Env;
use serde_json::Value;

use crate::support::env::TestEnv;
use crate::support::records;
use crate::support::rogue::{Rogue, write};

/// Reads the channels of a checklist; its mistakes are the test's.
fn channels(head: &str, set: &[(&str, &str)]) -> Channels {
    let text = format!(
        "holdpoint: 1\nname: Example\n{head}sections:\n  - {{ name: S, steps: [{{ name: a, exec: 'true', expect: 0 }}] }}\n"
    );
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let file = sources.add("checklist.yaml", text);
    let checklist = holdpoint::checklist::read(&mut sources, file, &mut diagnostics).expect("a checklist");
    let given =
        Given { set: set.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(), ..Given::default() };
    let filled = inputs::fill(&checklist.inputs, &given, |_| None, true, Span::new(file, 0, 0), &mut diagnostics);
    let channels = Channels::read(&checklist, &filled, &sources, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}", render::render(&diagnostics, &sources, false));
    channels
}

fn unmasked() -> Mask {
    Arc::new(str::to_owned)
}

fn telling() -> Telling {
    Telling { mask: unmasked(), store: String::new(), report: Some("out/signoff.md".into()), sample: false }
}

/// Makes the message of an occasion, twelve seconds into a sample run.
fn message(view: &RunView, occasion: &Occasion) -> Message {
    telling().message(view, occasion, records::at(12))
}

/// Makes the letters of all channels that want a message.
fn letters(channels: &Channels, message: &Message, env: &Env, id: Option<&str>) -> Vec<(String, Letter)> {
    let mask: Mask = Arc::new(|text| text.replace("s3cret-key", "***"));
    let wanting = channels.iter().filter(|open| open.wants(message.on));
    let letter = |open: &holdpoint::notify::Open| {
        let letter = open.letter(message, channels, (&mask, env), id).expect("a letter");
        letter.map(|letter| (open.name.clone(), letter))
    };
    wanting.filter_map(letter).collect()
}

/// Reads the body of a letter.
fn body(letter: &Letter) -> Value {
    match letter {
        Letter::Http(post) => serde_json::from_str(&post.body).expect("JSON"),
        Letter::Mail(..) | Letter::Runner(_) => panic!("no request: {letter:?}"),
    }
}

/// A server that answers every request in the same way.
fn answering(status: &str, headers: &str, body: &str) -> Rogue {
    Rogue::answering(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// Answers a request.
fn answer(stream: &mut std::net::TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    write(
        stream,
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}").as_bytes(),
    );
}

/// A checklist with these channels, one step that passes, and further steps.
fn checklist(notify: &str, more: &str) -> String {
    format!(
        "holdpoint: 1\nname: Promotion\nservice: zai-proxy\nstage: promotion\n{notify}sections:\n  - name: Checks\n    steps:\n      - {{ name: It runs, exec: 'true', expect: 0 }}\n{more}"
    )
}

/// A step that fails.
const FAILS: &str =
    "      - { name: It answers, exec: 'exit 3', expect: 0, runbook: 'https://wiki.example.com/answers' }\n";

/// Reads the latest run of the store `runs.db`.
fn last(env: &TestEnv) -> RunRecord {
    let store = store::open(&env.path("runs.db").display().to_string()).expect("a store");
    let run = store.resolve("last").expect("a run");
    record::load(&*store, &run).expect("a whole record")
}

/// Lists what the record says of messages: channel, event, attempts and why it was not sent.
fn told(record: &RunRecord) -> Vec<(String, String, u32, Option<String>)> {
    let one = |notice: &Notice| (notice.channel.clone(), notice.on.clone(), notice.attempts, notice.failed.clone());
    record.notices.iter().map(|(_, notice)| one(notice)).collect()
}

#[test]
fn every_channel_has_a_manual_whose_examples_are_right() {
    for kind in CHANNELS {
        assert!(kind.manual.len() > 300 && kind.manual.contains("ource"), "the manual of {} is thin", kind.name);
        let page = holdpoint::notify::manual::page(kind);
        let examples: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
        let mut shown = 0;
        for example in examples.iter().filter(|example| example.contains("notify:")) {
            let (_, notify) = example.split_once("notify:").expect("it tells somebody");
            let mut used: Vec<&str> = notify
                .split("inputs.")
                .skip(1)
                .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
                .collect();
            used.sort_unstable();
            used.dedup();
            let declared: String = used.iter().map(|name| format!("  {name}: {{ secret: true }}\n")).collect();
            let inputs = if used.is_empty() { String::new() } else { format!("inputs:\n{declared}") };
            let value = |name: &str| if name.ends_with("webhook") { "https://hooks.example.com/x" } else { "word" };
            let set: Vec<_> = used.iter().map(|name| (*name, value(name))).collect();
            let text = format!("{inputs}notify:{notify}");
            let channels = channels(&text, &set);
            assert!(channels.iter().any(|open| open.kind.name == kind.name), "{}\n{text}", kind.name);
            shown += 1;
        }
        assert!(shown > 0, "the manual of {} has no example", kind.name);
    }
}

#[test]
fn the_manual_and_the_schema_know_every_channel() {
    let env = TestEnv::new();
    let overview = env.run(&["explain", "notify"]).stdout;
    let schema: Value = serde_json::from_str(&env.run(&["schema"]).stdout).expect("JSON");
    let items = schema["properties"]["notify"]["items"]["oneOf"].as_array().expect("channels");
    assert_eq!(items.len(), CHANNELS.len());
    for kind in CHANNELS {
        assert!(overview.contains(&format!("- `{}`: {}", kind.name, kind.summary)), "{}", kind.name);
        let page = env.run(&["explain", kind.name]);
        assert!(page.status == 0 && page.stdout.contains(&format!("# {}\n", kind.name)), "{}", page.stdout);
        assert!(items.iter().any(|item| item["properties"].get(kind.name).is_some()), "{}", kind.name);
    }
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/notify").is_dir());
}
