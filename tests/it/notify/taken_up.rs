//! Runs that are left, killed and taken up again: nobody is told the same twice.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{answer, checklist, last, told};
use crate::support::env::TestEnv;
use crate::support::rogue::{Asked, Rogue};

/// Takes Slack's messages, and Grafana's annotations under the number 41.
fn server() -> Rogue {
    Rogue::start(|asked, stream| match asked.path.as_str() {
        "/api/annotations" => answer(stream, "200 OK", "", r#"{"message":"Annotation added","id":41}"#),
        "/api/annotations/41" => answer(stream, "200 OK", "", r#"{"message":"Annotation patched"}"#),
        _ => answer(stream, "200 OK", "", "ok"),
    })
}

fn notify(server: &Rogue) -> String {
    format!(
        "notify:\n  - {{ slack: '{}', on: [start, held, failure, no-go, go, undecided, end] }}\n  - {{ grafana: '{}', token: t }}\n",
        server.url("/slack"),
        server.url("")
    )
}

fn titles(server: &Rogue) -> Vec<String> {
    let title = |asked: &Asked| {
        let body: Value = serde_json::from_str(&asked.body).expect("JSON");
        body["blocks"][0]["text"]["text"].as_str().unwrap_or_default().to_owned()
    };
    server.asked().iter().filter(|asked| asked.path == "/slack").map(title).collect()
}

fn annotations(server: &Rogue) -> Vec<String> {
    let of = server.asked().into_iter().filter(|asked| asked.path.starts_with("/api/"));
    of.map(|asked| format!("{} {}", asked.method, asked.path)).collect()
}

#[test]
fn a_run_that_is_held_and_taken_up_says_everything_once() {
    let (env, server) = (TestEnv::new(), server());
    let more = "  - { name: Promotion, hold: true, steps: [{ name: Goes on, exec: 'true', expect: 0 }] }\n";
    env.write("checklist.yaml", &checklist(&notify(&server), more));
    let ran = env.run(&["run", "checklist.yaml", "--store", "runs.db"]);
    assert_eq!(ran.status, 4, "{}", ran.stderr);
    assert_eq!(titles(&server), ["▶ Started: Promotion", "✋ HELD: Promotion"]);
    let held = server.asked().into_iter().find(|asked| asked.body.contains("HELD")).expect("a message");
    let run = last(&env).run;
    assert!(held.body.contains(&format!("holdpoint release {run} promotion --store runs.db")), "{}", held.body);
    assert_eq!(annotations(&server), ["POST /api/annotations"]);
    // Nobody has released it yet: there is nothing new to say.
    let ran = env.run(&["resume", "last", "--store", "runs.db"]);
    assert_eq!(ran.status, 4, "{}", ran.stderr);
    assert_eq!(titles(&server).len(), 2);
    let released = env.run(&["release", "last", "promotion", "--store", "runs.db"]);
    assert_ne!(released.status, 2, "{}", released.stderr);
    let ran = env.run(&["resume", "last", "--store", "runs.db"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(titles(&server)[2..], ["✅ GO: Promotion", "🏁 Ended (go): Promotion"]);
    assert_eq!(annotations(&server), ["POST /api/annotations", "PATCH /api/annotations/41"]);
    let record = last(&env);
    let ids: Vec<_> = record.notices.iter().filter_map(|(_, notice)| notice.id.as_deref()).collect();
    assert_eq!(ids, ["41"]);
    assert!(told(&record).iter().all(|one| one.3.is_none()));
    assert_eq!(env.run(&["verify", "last", "--store", "runs.db"]).status, 0);
}

#[test]
fn a_run_that_is_killed_and_taken_up_says_its_start_once_and_closes_its_annotation() {
    let (env, server) = (TestEnv::new(), server());
    let more = "  - { name: Long, steps: [{ name: Takes a while, wait: 3s }] }\n";
    env.write("checklist.yaml", &checklist(&notify(&server), more));
    let mut command = env.command(&["run", "checklist.yaml", "--store", "runs.db"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let begun = Instant::now();
    // Both messages of the start must be in the record, or it cannot know of them.
    while !env.path("runs.db").exists() || told_so_far(&env) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(15), "nobody was told of the start");
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it could be killed");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
    let ran = env.run(&["resume", "last", "--store", "runs.db"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(titles(&server), ["▶ Started: Promotion", "✅ GO: Promotion", "🏁 Ended (go): Promotion"]);
    assert_eq!(annotations(&server), ["POST /api/annotations", "PATCH /api/annotations/41"]);
}

/// Counts the messages that the record of a run under way knows of.
fn told_so_far(env: &TestEnv) -> usize {
    let Ok(store) = holdpoint::record::store::open(&env.path("runs.db").display().to_string()) else { return 0 };
    let Ok(run) = store.resolve("last") else { return 0 };
    holdpoint::record::load(&*store, &run).map_or(0, |record| record.notices.len())
}

#[test]
fn checkpoints_are_told_one_by_one_and_failures_when_they_happen() {
    let (env, server) = (TestEnv::new(), server());
    let notify = format!(
        "soak: {{ for: 6s, every: 2s }}\nnotify:\n  - {{ slack: '{}', on: [checkpoint, failure, no-go] }}\n",
        server.url("/slack")
    );
    let more = "  - name: Every two seconds\n    at: checkpoint\n    steps:\n      - { name: Stays well, exec: 'test -e fine', expect: 0 }\n";
    env.write("checklist.yaml", &checklist(&notify, more));
    env.write("fine", "");
    let mut command = env.command(&["run", "checklist.yaml", "--store", "runs.db"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let begun = Instant::now();
    while titles(&server).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(15), "no checkpoint was told");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::remove_file(env.path("fine")).expect("a file");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    let titles = titles(&server);
    assert!(titles[0].starts_with("⏱ Checkpoint 1 of 3: "), "{titles:?}");
    assert!(titles.contains(&"⏱ Checkpoint 3 of 3: Promotion".to_owned()), "{titles:?}");
    assert!(titles.contains(&"❌ A step failed: Promotion".to_owned()), "{titles:?}");
    assert_eq!(titles.iter().filter(|title| title.contains("NO-GO")).count(), 1, "{titles:?}");
}
