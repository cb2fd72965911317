//! The engine on a made-up clock: order, limits, windows, retries, barriers, changes, interruptions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use holdpoint::event::{EventKind, Skip};
use holdpoint::model::{Decision, Outcome};

use crate::support::engine::{Played, Scene, Stage};
use crate::support::env::TestEnv;
use crate::support::rogue::{Rogue, write};

fn checklist(sections: &str) -> String {
    format!("holdpoint: 1\nname: Engine\ndefaults: {{ timeout: 3h }}\nsections:\n{sections}")
}

/// A section of so many steps, `PREFIX-1` and so on.
fn section(name: &str, keys: &str, prefix: &str, steps: usize) -> String {
    let mut text = format!("  - name: {name}\n{keys}    steps:\n");
    for n in 1..=steps {
        text.push_str(&format!("      - {{ name: {prefix} {n}, exec: 'true', expect: 0 }}\n"));
    }
    text
}

fn outcome(played: &Played, id: &str) -> (Outcome, Option<Skip>) {
    let result = played.result(id);
    (result.outcome, result.skip)
}

const BLOCKED: (Outcome, Option<Skip>) = (Outcome::Skipped, Some(Skip::Blocked));
const NOT_REACHED: (Outcome, Option<Skip>) = (Outcome::Skipped, Some(Skip::NotReached));

#[test]
fn sections_run_in_order_and_their_steps_side_by_side() {
    for jobs in [1, 3, 16] {
        let yaml = checklist(&(section("One", "", "a", 6) + &section("Two", "", "b", 6)));
        let mut stage = Stage::new(&yaml, &[]).jobs(jobs);
        for n in 1..=6 {
            stage = stage
                .play(&format!("a-{n}"), move |_| Scene::Exit(0.0, n))
                .play(&format!("b-{n}"), |_| Scene::Exit(0.0, 5));
        }
        let played = stage.run();
        assert_eq!(played.ended.decision, Decision::Go);
        assert_eq!(played.side_by_side(), jobs.min(6));
        let last_of_first = (1..=6).map(|n| played.at(&format!("-a-{n}"))).max();
        let first_of_second = (1..=6).map(|n| played.at(&format!("+b-{n}"))).min();
        assert!(last_of_first < first_of_second, "{:?}", played.log);
    }
}

#[test]
fn a_sequential_section_runs_one_step_after_another() {
    let yaml = checklist(&section("One", "    sequential: true\n", "a", 5));
    let mut stage = Stage::new(&yaml, &[]);
    for n in 1..=5 {
        stage = stage.play(&format!("a-{n}"), |_| Scene::Exit(0.0, 10));
    }
    let played = stage.run();
    assert_eq!((played.side_by_side(), played.took.as_secs()), (1, 50));
    assert!((1..5).all(|n| played.at(&format!("-a-{n}")) < played.at(&format!("+a-{}", n + 1))));
}

#[test]
fn needs_order_steps_and_block_them() {
    let yaml = checklist(
        "  - name: One\n    steps:\n      \
         - { name: last, exec: 'true', expect: 0, needs: [middle] }\n      \
         - { name: middle, exec: 'true', expect: 0, needs: first }\n      \
         - { name: first, exec: 'true', expect: 0 }\n      \
         - { name: bad, exec: 'true', expect: 0 }\n      \
         - { name: after bad, exec: 'true', expect: 0, needs: bad }\n      \
         - { name: after that, exec: 'true', expect: 0, needs: after-bad }\n  \
         - name: Two\n    needs: one\n    steps: [{ name: needs all, exec: 'true', expect: 0 }]\n",
    );
    let played = Stage::new(&yaml, &[]).play("bad", |_| Scene::Exit(1.0, 3)).run();
    assert!(played.at("-first") < played.at("+middle") && played.at("-middle") < played.at("+last"));
    assert_eq!(outcome(&played, "last").0, Outcome::Pass);
    for id in ["after-bad", "after-that", "needs-all"] {
        assert_eq!(outcome(&played, id), BLOCKED, "{id}");
        assert!(played.looks(id).is_empty());
    }
    assert_eq!(played.ended.decision, Decision::NoGo);
}

#[test]
fn a_barrier_that_does_not_pass_lets_nothing_through_also_when_it_is_blocked_itself() {
    let barrier = "    stop_on_failure: true\n";
    let yaml = checklist(&(section("One", barrier, "a", 2) + &section("Two", "", "b", 1)));
    let played = Stage::new(&yaml, &[]).play("a-1", |_| Scene::Exit(1.0, 0)).run();
    assert_eq!((outcome(&played, "a-2").0, outcome(&played, "b-1")), (Outcome::Pass, BLOCKED));

    let needs = format!("    needs: one\n{barrier}");
    let yaml =
        checklist(&(section("One", "", "a", 1) + &section("Two", &needs, "b", 1) + &section("Three", "", "c", 1)));
    let played = Stage::new(&yaml, &[]).play("a-1", |_| Scene::Exit(1.0, 0)).run();
    assert_eq!((outcome(&played, "b-1"), outcome(&played, "c-1")), (BLOCKED, BLOCKED));
    assert!(played.result("c-1").reason.contains("Two"), "{}", played.result("c-1").reason);
    let played = Stage::new(&yaml, &[]).run();
    assert_eq!(played.ended.decision, Decision::Go);
}

const CHANGES: &str = "  - name: One\n    steps:\n      \
    - { name: slow, exec: 'true', expect: 0 }\n      \
    - { name: change, exec: 'true', expect: 0, changes: the world }\n      \
    - { name: beside, exec: 'true', expect: 0 }\n      \
    - { name: second change, exec: 'true', expect: 0, changes: more of it }\n";

#[test]
fn a_change_waits_for_everything_above_and_is_on_disk_before_it_begins() {
    let played = Stage::new(&checklist(CHANGES), &[])
        .play("slow", |_| Scene::Exit(0.0, 100))
        .play("beside", |_| Scene::Exit(0.0, 200))
        .run();
    assert_eq!(played.ended.decision, Decision::Go);
    assert!(played.at("-slow") < played.at("+change"));
    assert!(played.at("-change") < played.at("+second-change") && played.at("-beside") < played.at("+second-change"));
    for id in ["change", "second-change"] {
        assert!(played.at(&format!("recorded {id}")) == played.at(&format!("+{id}")) + 1, "{:?}", played.log);
    }
}

#[test]
fn nothing_is_changed_after_a_required_failure() {
    for scene in [Scene::Exit(1.0, 0), Scene::Away, Scene::Panic] {
        let played = Stage::new(&checklist(CHANGES), &[]).play("slow", move |_| scene.clone()).run();
        assert_eq!((outcome(&played, "change"), outcome(&played, "second-change")), (BLOCKED, BLOCKED));
        assert!(played.looks("change").is_empty());
    }
}

#[test]
fn a_change_that_cannot_be_recorded_does_not_begin() {
    // Room for the head, the plan and the section: the event that the change begins finds none.
    for room in 3..6 {
        let yaml = checklist("  - name: One\n    steps: [{ name: change, exec: 'true', expect: 0, changes: it }]\n");
        let played = Stage::with_room(&yaml, &[], Some(room)).run();
        let begun = !played.looks("change").is_empty();
        let recorded = played.log.iter().any(|(_, what)| what == "recorded change");
        assert_eq!(begun, recorded, "room for {room} events: {:?}", played.log);
        assert_eq!(begun, room >= 4);
        assert_eq!(played.ended.decision, Decision::Undecided);
        assert!(played.ended.interrupted.as_ref().is_some_and(|cause| cause.contains("no space is left")));
    }
}

#[test]
fn what_comes_true_must_hold_for_as_long_as_asked() {
    let yaml = checklist(
        "  - name: One\n    steps:\n      \
         - { name: comes, exec: 'true', expect: 0, eventually: { within: 10m, every: 5s, hold: 1m } }\n      \
         - { name: never, exec: 'true', expect: 0, eventually: { within: 10m, every: 5s } }\n",
    );
    let real = Instant::now();
    // True from 100 s on, with a relapse at 130 s.
    let played = Stage::new(&yaml, &[])
        .play("comes", |n| Scene::Exit(f64::from(u8::from(n < 20 || n == 26)), 0))
        .play("never", |_| Scene::Exit(1.0, 0))
        .run();
    assert_eq!(outcome(&played, "comes").0, Outcome::Pass, "{}", played.result("comes").reason);
    let looks = played.looks("comes");
    assert!(looks.windows(2).all(|pair| (pair[1] - pair[0] - 5.0).abs() < 1e-6), "{looks:?}");
    assert_eq!(looks.last(), Some(&195.0), "from 135 s on it held for a minute");
    assert_eq!(outcome(&played, "never").0, Outcome::Fail);
    assert!((600.0..606.0).contains(&played.took.as_secs_f64()), "{:?}", played.took);
    assert_eq!(played.result("comes").looks as usize, looks.len());
    let told =
        played.events.iter().filter(|e| matches!(&e.kind, EventKind::Looked { step, .. } if step.as_str() == "comes"));
    assert_eq!(told.count(), looks.len());
    assert!(real.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_hour_of_watching_passes_in_no_time() {
    let yaml = checklist(
        "  - name: One\n    steps:\n      \
         - { name: steady, exec: 'true', expect: 0, consistently: { for: 1h, every: 1m } }\n      \
         - { name: breaks, exec: 'true', expect: 0, consistently: { for: 1h, every: 1m } }\n      \
         - { name: forgiven, exec: 'true', expect: 0, consistently: { for: 1h, every: 1m, tolerate: 2m } }\n      \
         - { name: blind, exec: 'true', expect: 0, consistently: { for: 1h, every: 1m } }\n",
    );
    let real = Instant::now();
    let played = Stage::new(&yaml, &[])
        .play("breaks", |n| Scene::Exit(f64::from(u8::from(n == 30)), 0))
        .play("forgiven", |n| Scene::Exit(f64::from(u8::from(n == 30)), 0))
        .play("blind", |_| Scene::Away)
        .run();
    let outcomes: Vec<_> = ["steady", "breaks", "forgiven"].map(|id| outcome(&played, id).0).to_vec();
    assert_eq!(outcomes, [Outcome::Pass, Outcome::Fail, Outcome::Pass]);
    assert!(matches!(outcome(&played, "blind").0, Outcome::Error | Outcome::Inconclusive));
    assert_eq!(played.looks("breaks").last(), Some(&1800.0), "the breach ends the watch");
    let steady = played.looks("steady");
    assert!((60..=61).contains(&steady.len()), "{steady:?}");
    assert!((3600.0..3661.0).contains(&played.took.as_secs_f64()), "{:?}", played.took);
    assert!(real.elapsed() < Duration::from_secs(20));
}

#[test]
fn errors_of_looking_are_tried_again_with_growing_pauses() {
    let yaml = checklist(
        "  - name: One\n    steps:\n      \
         - { name: heals, exec: 'true', expect: 0, retry: { attempts: 5, delay: 1s, backoff: 3 } }\n      \
         - { name: stays, exec: 'true', expect: 0, retry: { attempts: 3, delay: 2s, backoff: 1 } }\n      \
         - { name: fails, exec: 'true', expect: 0, retry: 4 }\n      \
         - { name: once, exec: 'true', expect: 0 }\n",
    );
    let played = Stage::new(&yaml, &[])
        .play("heals", |n| if n < 3 { Scene::Away } else { Scene::Exit(0.0, 0) })
        .play("stays", |_| Scene::Away)
        .play("fails", |_| Scene::Exit(1.0, 0))
        .play("once", |_| Scene::Away)
        .run();
    assert_eq!(played.looks("heals"), [0.0, 1.0, 4.0, 13.0]);
    assert_eq!((outcome(&played, "heals").0, played.result("heals").flaky), (Outcome::Pass, true));
    assert_eq!((played.looks("stays"), outcome(&played, "stays").0), (vec![0.0, 2.0, 4.0], Outcome::Error));
    assert_eq!((played.looks("fails").len(), outcome(&played, "fails").0), (1, Outcome::Fail), "a finding is no error");
    assert_eq!(played.looks("once").len(), 1);
}

#[test]
fn a_look_that_takes_too_long_is_cut_off() {
    let yaml = checklist("  - name: One\n    steps: [{ name: slow, exec: 'true', expect: 0, timeout: 30s }]\n");
    let played = Stage::new(&yaml, &[]).play("slow", |_| Scene::Exit(0.0, 3600)).run();
    assert_eq!(outcome(&played, "slow").0, Outcome::Error);
    assert_eq!(played.result("slow").reason, "no answer within 30s");
    assert!((30.0..31.0).contains(&played.took.as_secs_f64()), "{:?}", played.took);
    assert_eq!(played.ended.decision, Decision::Undecided);
}

#[test]
fn captured_values_order_steps_and_only_pulls_in_what_is_needed() {
    let yaml = checklist(
        "  - name: One\n    steps:\n      \
         - { name: uses, exec: 'echo {{ captured.v }}', expect: 0 }\n      \
         - { name: gives, exec: 'true', capture: { v: stdout }, expect: 0, needs: base }\n      \
         - { name: base, exec: 'true', expect: 0 }\n      \
         - { name: other, exec: 'true', expect: 0 }\n",
    );
    for only in [&[][..], &["uses"]] {
        let played = Stage::new(&yaml, only).play("gives", |_| Scene::Says("1.2.3")).run();
        assert!(played.at("-base") < played.at("+gives") && played.at("-gives") < played.at("+uses"));
        let result = played.result("gives");
        assert_eq!(result.captured, [("v".to_owned(), serde_json::json!("1.2.3"))]);
        let expected =
            if only.is_empty() { (Outcome::Pass, None) } else { (Outcome::Skipped, Some(Skip::NotSelected)) };
        assert_eq!(outcome(&played, "other"), expected);
        assert_eq!(played.ended.decision, Decision::Go);
    }
    let played = Stage::new(&yaml, &[]).play("gives", |_| Scene::Exit(1.0, 0)).run();
    assert_eq!(outcome(&played, "uses"), BLOCKED);

    let yaml = checklist(&(section("One", "", "a", 2) + &section("Two", "    needs: one\n", "b", 2)));
    let played = Stage::new(&yaml, &["b-2"]).run();
    let ran: Vec<bool> = ["a-1", "a-2", "b-1", "b-2"].map(|id| !played.looks(id).is_empty()).into();
    assert_eq!((ran, played.ended.decision), (vec![true, true, false, true], Decision::Go));
}

#[test]
fn a_probe_that_breaks_down_ends_its_step_alone() {
    let yaml = checklist(&(section("One", "", "a", 3) + &section("Two", "", "b", 1)));
    let played = Stage::new(&yaml, &[]).play("a-2", |_| Scene::Panic).play("a-3", |_| Scene::Exit(0.0, 10)).run();
    let result = played.result("a-2");
    assert_eq!((result.outcome, result.started.timestamp()), (Outcome::Error, 0));
    assert!(result.reason.contains("broke down"), "{}", result.reason);
    assert!(["a-1", "a-3", "b-1"].iter().all(|id| outcome(&played, id).0 == Outcome::Pass));
    assert_eq!(played.ended.decision, Decision::Undecided);
}

#[test]
fn read_only_and_missing_consent_let_no_change_begin() {
    let mut stage = Stage::new(&checklist(CHANGES), &[]);
    stage.options.read_only = true;
    let played = stage.run();
    assert!(played.log.is_empty(), "{:?}", played.log);
    assert_eq!(outcome(&played, "slow"), (Outcome::Skipped, Some(Skip::Refused)));
    assert_eq!(played.ended.decision, Decision::Undecided);

    let mut stage = Stage::new(&checklist(CHANGES), &[]);
    stage.options.allow_changes = false;
    let played = stage.run();
    assert_eq!((outcome(&played, "change").0, played.looks("change").len()), (Outcome::Pending, 0));
    assert_eq!(played.ended.decision, Decision::Held);
}

const STOPPED: &str = "  - name: One\n    steps:\n      \
    - { name: quick, exec: 'true', expect: 0 }\n      \
    - { name: slow, exec: 'true', expect: 0 }\n      \
    - { name: watches, exec: 'true', expect: 0, consistently: { for: 1h, every: 1m } }\n  \
    - name: Two\n    steps: [{ name: change, exec: 'true', expect: 0, changes: the world }]\n\
    always: [{ name: cleans up, exec: 'true', expect: 0 }]\n\
    on_go: [{ name: rejoices, exec: 'true', expect: 0 }]\n";

#[test]
fn a_run_that_is_asked_to_stop_leaves_nothing_unfinished_as_a_pass() {
    let stage = || Stage::new(&checklist(STOPPED), &[]).play("slow", |_| Scene::Exit(0.0, 5000));
    let played = stage().run_until(Some(Duration::from_secs(600)));
    assert_eq!(played.ended.decision, Decision::Undecided);
    assert_eq!(played.ended.interrupted.as_deref(), Some("SIGTEST"));
    assert_eq!(outcome(&played, "quick").0, Outcome::Pass);
    for id in ["slow", "watches"] {
        assert_eq!(outcome(&played, id), (Outcome::Inconclusive, None));
        assert_eq!(played.result(id).reason, "cut off after 10m: SIGTEST");
    }
    assert_eq!(outcome(&played, "change"), NOT_REACHED);
    assert_eq!((outcome(&played, "cleans-up").0, played.looks("rejoices").len()), (Outcome::Pass, 0));
}

#[test]
fn a_run_that_was_asked_to_stop_before_it_began_begins_nothing() {
    let played = Stage::new(&checklist(STOPPED), &[]).run_until(Some(Duration::ZERO));
    let began: Vec<_> = played.log.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(began, ["+cleans-up", "-cleans-up"]);
    for id in ["quick", "slow", "watches", "change"] {
        assert_eq!(outcome(&played, id), NOT_REACHED, "{id}");
    }
    assert_eq!(played.ended.decision, Decision::Undecided);
}

#[test]
fn the_record_is_the_same_with_one_two_and_many_jobs() {
    let yaml = checklist(
        &(section("One", "", "a", 40)
            + &section("Two", "    needs: one\n", "b", 3)
            + "  - name: Three\n    steps:\n      \
               - { name: gives, exec: 'true', capture: { v: stdout }, expect: 0 }\n      \
               - { name: uses, exec: 'echo {{ captured.v }}', expect: 0 }\n      \
               - { name: twice, exec: 'true', expect: 0, eventually: { within: 1m, every: 1s } }\n      \
               - { name: changes, exec: 'true', expect: 0, changes: it }\n"),
    );
    let records = [1, 2, 64].map(|jobs| {
        let mut stage = Stage::new(&yaml, &[]).jobs(jobs);
        for n in 1..=40 {
            stage = stage.play(&format!("a-{n}"), move |_| match n % 5 {
                0 => Scene::Exit(1.0, n % 7),
                1 => Scene::Away,
                2 if n == 2 => Scene::Panic,
                _ => Scene::Exit(0.0, n % 3),
            });
        }
        let stage =
            stage.play("gives", |_| Scene::Says("x")).play("twice", |n| Scene::Exit(f64::from(u8::from(n < 3)), 0));
        essence(&stage.run())
    });
    assert_eq!(records[0], records[1]);
    assert_eq!(records[0], records[2]);
    assert_eq!(records[0].len(), 47);
}

/// What a run came to, without times and the order in which steps ended.
fn essence(played: &Played) -> BTreeMap<String, String> {
    let result = |kind: &EventKind| match kind {
        EventKind::StepFinished { step, result } => {
            let found = result.look.as_ref().map(|look| (&look.observation, &look.verdict, look.attempts));
            let told = (&result.outcome, &result.reason, &result.skip, result.looks, result.flaky, &result.captured);
            Some((step.to_string(), format!("{told:?} {found:?} {}", played.ended.decision)))
        }
        _ => None,
    };
    played.events.iter().filter_map(|event| result(&event.kind)).collect()
}

#[test]
fn events_are_numbered_without_gaps_and_every_step_ends_once() {
    let played = Stage::new(&checklist(STOPPED), &[]).run_until(Some(Duration::from_secs(90)));
    assert!(played.events.iter().zip(1..).all(|(event, n)| event.seq == n));
    let ends = played.events.iter().filter(|e| matches!(e.kind, EventKind::StepFinished { .. })).count();
    assert_eq!(ends, 6);
    assert!(matches!(played.events.last().map(|e| &e.kind), Some(EventKind::RunFinished { .. })));
}

#[test]
fn a_host_is_asked_by_so_many_steps_at_a_time_and_no_more() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = Rogue::start(move |_, stream| {
        let count = inside.fetch_add(1, Ordering::SeqCst) + 1;
        peak.fetch_max(count, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(40));
        inside.fetch_sub(1, Ordering::SeqCst);
        write(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
    let env = TestEnv::new();
    let mut yaml = "holdpoint: 1\nname: Limits\nsections:\n  - name: One\n    steps:\n".to_owned();
    for n in 0..40 {
        yaml.push_str(&format!(
            "      - {{ name: Step {n}, http: 'GET {}', expect: 200 }}\n",
            server.url(&format!("/{n}"))
        ));
    }
    env.write("checklist.yaml", &yaml);
    let ran = env.run(&["run", "checklist.yaml", "--jobs", "40", "--per-host", "3"]);
    assert_eq!((ran.status, server.asked().len()), (0, 40), "{}", ran.stderr);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}
