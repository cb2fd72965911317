//! Real runs that are killed, left and taken up again: against a real Prometheus, with the program itself.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use holdpoint::event::Observed;
use holdpoint::model::{Outcome, RunId};
use holdpoint::record::{self, RunRecord, store};

use crate::support::env::TestEnv;
use crate::support::prometheus::Prometheus;

/// Two hours of a counter that grows and of a target that is up, as far ahead of now as a test may take.
fn recorded() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let mut text = String::from("# TYPE requests counter\n");
    for n in 0..160 {
        text.push_str(&format!("requests_total{{code=\"200\"}} {} {}\n", 100 * n, now - 1200 + n * 15));
    }
    text.push_str("# TYPE up gauge\n");
    for n in 0..160 {
        text.push_str(&format!("up{{job=\"app\"}} 1 {}\n", now - 1200 + n * 15));
    }
    text + "# EOF\n"
}

fn checklist(url: &str) -> String {
    format!(
        "holdpoint: 1\nname: Two minutes\nsources: {{ prometheus: {{ url: '{url}' }} }}\n\
         soak: {{ for: 100s, every: 10s, grace: 4s }}\n\
         guards:\n  - {{ name: Stays up, promql: up, expect: '>= 1', consistently: {{ every: 1s, tolerate: 10s }} }}\n\
         sections:\n\
         \x20 - name: Before\n    at: start\n    steps:\n\
         \x20     - {{ name: Requests come, promql: 'sum(rate(requests_total[5m]))', expect: '> 1' }}\n\
         \x20     - {{ name: Up from the start, promql: up, expect: 1, consistently: {{ for: 3s, every: 1s, min_samples: 2 }} }}\n\
         \x20 - name: Every ten seconds\n    at: checkpoint\n    steps:\n\
         \x20     - {{ name: Requests go on, promql: 'sum(requests_total)', expect: '>= previous' }}\n\
         \x20     - {{ name: Still up, promql: up, expect: 1 }}\n\
         \x20 - name: After\n    at: end\n    steps:\n\
         \x20     - {{ name: Up to the end, promql: up, expect: 1 }}\n"
    )
}

/// What a record comes to, apart from times.
type Essence = BTreeMap<String, (Outcome, usize)>;

fn essence(record: &RunRecord) -> Essence {
    let steps = record.sections.iter().flat_map(|section| &section.steps);
    steps.map(|step| (step.outline.id.to_string(), (step.outcome(), step.checks.len()))).collect()
}

fn load(env: &TestEnv) -> Option<(RunId, RunRecord)> {
    let store = store::open(&env.path("runs.db").display().to_string()).ok()?;
    let run = store.resolve("last").ok()?;
    let record = record::load(&*store, &run).expect("what was kept is whole");
    Some((run, record))
}

fn start(env: &TestEnv, args: &[&str]) -> Child {
    let mut command = env.command(args);
    command.args(["--store", "runs.db"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the program starts")
}

#[test]
fn a_soak_killed_twenty_times_records_what_an_undisturbed_one_does() {
    let prometheus = Prometheus::start(&recorded(), &[]);
    prometheus.wait_until("up");
    let (calm, rough) = (TestEnv::new(), TestEnv::new());
    for env in [&calm, &rough] {
        env.write("checklist.yaml", &checklist(&prometheus.url()));
    }
    let mut undisturbed = start(&calm, &["run", "checklist.yaml"]);
    let mut random = u64::from(std::process::id());
    let (mut child, mut kills) = (start(&rough, &["run", "checklist.yaml"]), 0);
    let deadline = Instant::now() + Duration::from_secs(300);
    let status = loop {
        assert!(Instant::now() < deadline, "the soak does not come to its end");
        // Numbers that look random, from a well-known generator (Knuth's MMIX).
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let until = Instant::now() + Duration::from_millis(1_500 + (random >> 33) % 5_000);
        let mut ended = None;
        while ended.is_none() && (Instant::now() < until || kills >= 20) {
            assert!(Instant::now() < deadline, "the soak does not come to its end");
            std::thread::sleep(Duration::from_millis(20));
            ended = child.try_wait().expect("a child");
        }
        if let Some(status) = ended {
            break status;
        }
        let before = load(&rough).map_or(0, |(_, record)| record.head.seq);
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        kills += 1;
        let begun = load(&rough);
        // Nothing that was acknowledged is lost.
        assert!(begun.as_ref().map_or(0, |(_, record)| record.head.seq) >= before);
        child = match begun {
            Some(_) => start(&rough, &["resume", "last"]),
            None => start(&rough, &["run", "checklist.yaml"]),
        };
    };
    assert!(kills >= 10, "only {kills} kills");
    assert_eq!(status.code(), Some(0), "{:?}", load(&rough).map(|(_, record)| record.decided));
    assert_eq!(undisturbed.wait().expect("it ends").code(), Some(0));
    let ((_, calm), (_, rough)) = (load(&calm).expect("a run"), load(&rough).expect("a run"));
    assert_eq!(essence(&rough), essence(&calm));
    assert_eq!(rough.decided, calm.decided);
    let numbers = |record: &RunRecord| record.checkpoints.iter().map(|(_, c)| (c.n, c.slot)).collect::<Vec<_>>();
    assert_eq!(numbers(&rough), numbers(&calm));
    assert!(rough.checkpoints.iter().all(|(_, checkpoint)| checkpoint.how != Observed::Missed));
    assert!(!rough.resumptions.is_empty() && calm.resumptions.is_empty());
}

#[test]
fn a_second_process_on_a_run_says_so_and_leaves() {
    let env = TestEnv::new();
    let yaml = "holdpoint: 1\nname: Long\nsoak: { for: 1h, every: 30m }\nsections:\n\
        \x20 - { name: Look, at: checkpoint, steps: [{ name: look, exec: 'true', expect: 0 }] }\n\
        \x20 - { name: Begin, at: end, steps: [{ name: done, exec: 'true', expect: 0 }] }\n";
    env.write("checklist.yaml", yaml);
    let mut first = start(&env, &["run", "checklist.yaml"]);
    let begun = Instant::now();
    while load(&env).is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = env.run(&["resume", "last", "--store", "runs.db"]);
    assert_eq!(second.status, 2, "{second:?}");
    assert!(second.stderr.contains(&format!("{}", first.id())), "{second:?}");
    let tick = env.run(&["tick", "--store", "runs.db"]);
    assert_eq!(tick.status, 4, "{tick:?}");
    first.kill().expect("it is killed");
    first.wait().expect("it is gone");
    let tick = env.run(&["tick", "--store", "runs.db"]);
    assert_eq!(tick.status, 4, "{tick:?}");
    assert!(tick.stderr.contains("holdpoint tick"), "{tick:?}");
}

#[test]
fn a_hold_point_is_passed_by_release_and_resume() {
    let env = TestEnv::new();
    let yaml = "holdpoint: 1\nname: Promotion\nsections:\n\
        \x20 - { name: Canary, steps: [{ name: healthy, exec: 'true', expect: 0 }] }\n\
        \x20 - { name: Promote, hold: true, steps: [{ name: roll out, exec: 'touch done', expect: 0, changes: it }] }\n";
    env.write("checklist.yaml", yaml);
    let held = env.run(&["run", "checklist.yaml", "--allow-changes"]);
    assert_eq!(held.status, 4, "{held:?}");
    assert!(held.stderr.contains("holdpoint resume"), "{held:?}");
    let again = env.run(&["resume"]);
    assert_eq!(again.status, 4, "nobody released it: {again:?}");
    assert!(!env.path("done").exists());
    env.run(&["release", "last"]);
    let done = env.run(&["resume", "last", "--allow-changes"]);
    assert_eq!(done.status, 0, "{done:?}");
    assert!(env.path("done").exists());
    let over = env.run(&["resume"]);
    assert!(over.status == 2 && over.stderr.contains("it is over: go"), "{over:?}");
}

#[test]
fn another_checklist_is_refused_unless_it_is_accepted_and_asks_for_the_same() {
    let env = TestEnv::new();
    let yaml = "holdpoint: 1\nname: Promotion\nsections:\n\
        \x20 - { name: Promote, hold: true, steps: [{ name: roll out, exec: 'true', expect: 0 }] }\n";
    env.write("checklist.yaml", yaml);
    assert_eq!(env.run(&["run", "checklist.yaml"]).status, 4);
    env.run(&["release"]);
    env.write("checklist.yaml", &format!("# a remark\n{yaml}"));
    let refused = env.run(&["resume"]);
    assert!(refused.status == 2 && refused.stderr.contains("--accept-changed"), "{refused:?}");
    env.write("checklist.yaml", &yaml.replace("expect: 0", "expect: 1"));
    let other = env.run(&["resume", "--accept-changed"]);
    assert!(other.status == 2 && other.stderr.contains("step roll-out is another"), "{other:?}");
    env.write("checklist.yaml", &format!("# a remark\n{yaml}"));
    let accepted = env.run(&["resume", "--accept-changed", "--report", "json=r.json"]);
    assert_eq!(accepted.status, 0, "{accepted:?}");
    assert!(env.read("r.json").contains("changed: "), "both digests are in the report");
}

#[test]
fn past_times_are_judged_side_by_side() {
    let prometheus = Prometheus::start(&recorded(), &[]);
    prometheus.wait_until("up");
    let env = TestEnv::new();
    let yaml = format!(
        "holdpoint: 1\nname: Limits\nsources: {{ prometheus: {{ url: '{}' }} }}\nsections:\n  - name: One\n    steps:\n\
         \x20     - {{ name: Few requests, promql: 'sum(requests_total)', expect: '< 5000' }}\n\
         \x20     - {{ name: A person looks, manual: look }}\n",
        prometheus.url()
    );
    env.write("checklist.yaml", &yaml);
    let table = env.run(&["backtest", "checklist.yaml", "--every", "5m", "--last", "15m"]);
    assert_eq!(table.status, 0, "{table:?}");
    assert!(table.stdout.contains("3 times: 2 go, 1 no-go, 0 undecided"), "{}", table.stdout);
    assert!(table.stdout.contains("cannot be asked about the past: a-person-looks"), "{}", table.stdout);
    let json = env.run(&["backtest", "checklist.yaml", "--at", "15m", "--at", "5m", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let decisions: Vec<_> = json["times"].as_array().expect("times").iter().map(|t| t["decision"].clone()).collect();
    assert_eq!(decisions, ["go", "no-go"]);
    // As a gate, what cannot be asked about the past is not known.
    let one = env.run(&["run", "checklist.yaml", "--at", "15m", "--report", "json=r.json"]);
    assert_eq!(one.status, 3, "{one:?}");
    assert!(one.stdout.contains("cannot be asked about the past"), "{one:?}");
    let one = env.run(&["run", "checklist.yaml", "--at", "15m", "--skip", "a-person-looks"]);
    assert_eq!(one.status, 0, "{one:?}");
    assert!(env.run(&["run", "checklist.yaml", "--at", "2099-01-01"]).stderr.contains("is not past"));
}
