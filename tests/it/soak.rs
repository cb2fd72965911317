//! Runs that are spread over hours, on a made-up clock: the timetable, what was missed, moved clocks, and runs that are
//! killed at any moment and taken up again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use holdpoint::event::{Event, EventKind, Observed, Skip};
use holdpoint::model::outline::Slot;
use holdpoint::model::{Decision, Outcome};
use holdpoint::run::Patience;

use crate::support::engine::{Played, Scene, Stage};

const HOUR: Duration = Duration::from_secs(3600);

fn day(keys: &str, checkpoint: &str) -> String {
    format!(
        "holdpoint: 1\nname: A day\ndefaults: {{ timeout: 5m }}\n\
         soak: {{ for: 24h, every: 4h, grace: 15m{keys} }}\n\
         sections:\n\
         \x20 - name: Before\n    at: start\n    steps:\n      - {{ name: set up, exec: 'true', expect: 0 }}\n\
         \x20 - name: Every four hours\n    at: checkpoint\n{checkpoint}    steps:\n\
         \x20     - {{ name: errors, exec: 'true', expect: 0 }}\n\
         \x20     - {{ name: memory, exec: 'true', expect: 0 }}\n\
         \x20 - name: After a day\n    at: end\n    steps:\n      - {{ name: alive, exec: 'true', expect: 0 }}\n"
    )
}

fn at(hours: f64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds((hours * 3_600_000.0) as i64)
}

/// Lists the checkpoints: number, hours at which they were due, how they were looked at.
fn checkpoints(played: &Played) -> Vec<(u32, f64, Observed)> {
    let of = |event: &Event| match &event.kind {
        EventKind::CheckpointStarted { checkpoint } => {
            let due = (checkpoint.due - DateTime::UNIX_EPOCH).num_seconds() as f64 / 3600.0;
            Some((checkpoint.n, due, checkpoint.how))
        }
        _ => None,
    };
    played.events.iter().filter_map(of).collect()
}

/// Lists how a step came out at each checkpoint.
fn checked(played: &Played, id: &str) -> Vec<(u32, Outcome)> {
    let of = |event: &Event| match &event.kind {
        EventKind::Checked { step, n, result } if step.as_str() == id => Some((*n, result.outcome)),
        _ => None,
    };
    played.events.iter().filter_map(of).collect()
}

fn hours(played: &Played, id: &str) -> Vec<f64> {
    played.looks(id).iter().map(|seconds| seconds / 3600.0).collect()
}

#[test]
fn a_day_is_looked_at_by_its_timetable() {
    let played = Stage::new(&day("", ""), &[]).run();
    assert_eq!(played.ended.decision, Decision::Go, "{:?}", played.ended);
    let due: Vec<f64> = checkpoints(&played).iter().map(|(_, due, _)| *due).collect();
    assert_eq!(due, [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 24.0]);
    assert!(checkpoints(&played).iter().all(|(.., how)| *how == Observed::InTime));
    assert_eq!(hours(&played, "set-up"), [0.0]);
    assert_eq!(hours(&played, "errors"), [4.0, 8.0, 12.0, 16.0, 20.0, 24.0]);
    assert_eq!(hours(&played, "alive"), [24.0]);
    assert_eq!(played.result("errors").reason, "held at 6 checkpoints");
    let record = played.record();
    assert_eq!(record.checkpoints.last().map(|(_, c)| (c.n, c.slot)), Some((7, Slot::End)));
}

#[test]
fn a_failing_checkpoint_is_summed_up_and_does_not_end_the_soak() {
    let plays = |when: DateTime<Utc>| Scene::Exit(f64::from(u8::from(when == at(8.0) || when == at(16.0))), 0);
    let played = Stage::new(&day("", ""), &[]).play_at("errors", plays).run();
    assert_eq!(played.ended.decision, Decision::NoGo);
    assert_eq!(hours(&played, "errors").len(), 6);
    let result = played.result("errors");
    assert_eq!(result.outcome, Outcome::Fail);
    assert!(result.reason.starts_with("2 of 6 checkpoints failed, first at +8h: "), "{}", result.reason);
    assert_eq!(result.look.as_ref().map(|look| look.at), Some(at(8.0)));
    assert_eq!(played.result("alive").outcome, Outcome::Pass);

    let played = Stage::new(&day("", "    stop_on_failure: true\n"), &[]).play_at("errors", plays).run();
    assert_eq!((played.ended.decision, hours(&played, "errors")), (Decision::NoGo, vec![4.0, 8.0]));
    assert_eq!(played.result("alive").skip, Some(Skip::Blocked));
    assert!(played.result("memory").reason.contains("cut short after 2 of 6"), "{}", played.result("memory").reason);
    played.record();
}

/// Does what is due at these hours, each time as a process of its own.
fn ticks(make: &dyn Fn() -> Stage, hours: &[f64]) -> Played {
    let patient = |stage: Stage| stage.with(|options| options.patience = Patience::None);
    let mut played = patient(make()).run();
    for hour in hours {
        assert_eq!(played.ended.decision, Decision::Held, "{:?}", played.ended);
        let last = played.events.last().expect("an event").at;
        let wait = (at(*hour) - last).to_std().expect("time goes on");
        played = patient(make().after(&played.events, wait)).run();
    }
    played
}

#[test]
fn a_tick_does_what_is_due_and_leaves() {
    let make = || Stage::new(&day("", ""), &[]);
    let played = ticks(&make, &[0.5, 4.1, 8.0, 12.2, 16.0, 20.0, 24.1]);
    assert_eq!(played.ended.decision, Decision::Go, "{:?}", played.ended);
    let numbers: Vec<u32> = checkpoints(&played).iter().map(|(n, ..)| *n).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(checked(&played, "errors").len(), 6);
    let record = played.record();
    assert_eq!((record.resumptions.len(), record.paused), (7, None));
}

#[test]
fn a_pause_says_what_it_waits_for_and_until_when() {
    let played = ticks(&|| Stage::new(&day("", ""), &[]), &[4.0]);
    let record = played.record();
    let paused = record.paused.expect("it waits");
    assert_eq!(paused.until, Some(at(8.0)));
    assert_eq!(paused.why, "checkpoint 2 of 6 (+8h), due 1970-01-01 08:00:00 UTC");
}

#[test]
fn a_missed_checkpoint_is_asked_for_its_own_time_and_never_passes_unseen() {
    let fails_at_eight = |when: DateTime<Utc>| Scene::Exit(f64::from(u8::from(when == at(8.0))), 0);
    let make = || Stage::new(&day("", ""), &[]).play_at("errors", fails_at_eight);
    let played = ticks(&make, &[4.0, 13.0, 16.0, 20.0, 24.0]);
    let how: Vec<Observed> = checkpoints(&played).iter().map(|(.., how)| *how).collect();
    use Observed::{InTime, Late};
    assert_eq!(how, [InTime, InTime, Late, Late, InTime, InTime, InTime, InTime]);
    // What can be asked about the past was asked for the time when it was due.
    use Outcome::{Fail, Inconclusive, Pass};
    assert_eq!(checked(&played, "errors"), [(1, Pass), (2, Fail), (3, Pass), (4, Pass), (5, Pass), (6, Pass)]);
    assert_eq!(played.result("errors").look.as_ref().and_then(|look| look.as_of), Some(at(8.0)));
    // What cannot be is not known.
    assert_eq!(checked(&played, "memory")[1], (2, Inconclusive));
    let reason = &played.result("memory").reason;
    assert!(
        reason.contains("was not observed at +8h") && reason.contains("cannot be asked about the past"),
        "{reason}"
    );
    assert_eq!(played.ended.decision, Decision::NoGo);

    let make = || Stage::new(&day(", missed: inconclusive", ""), &[]).play_at("errors", fails_at_eight);
    let played = ticks(&make, &[4.0, 13.0, 16.0, 20.0, 24.0]);
    assert_eq!(checkpoints(&played)[2].2, Observed::Missed);
    assert_eq!(checked(&played, "errors")[1], (2, Inconclusive));
    assert_eq!(played.ended.decision, Decision::Undecided);
}

#[test]
fn whoever_sets_the_clock_makes_nothing_due_early() {
    for (set, word) in [(TimeDelta::hours(25), "forward"), (TimeDelta::hours(-2), "back")] {
        let played = Stage::new(&day("", ""), &[]).act(5 * HOUR, move |clock, _, _| clock.set_wall(set)).run();
        assert_eq!(hours(&played, "errors"), [4.0, 8.0, 12.0, 16.0, 20.0, 24.0], "{word}");
        assert!(checkpoints(&played).iter().all(|(.., how)| *how == Observed::InTime), "{word}");
        assert_eq!(played.ended.decision, Decision::Go);
        let said = &played.record().clock;
        assert!(said.len() == 1 && said[0].1.contains(word), "{said:?}");
    }
}

#[test]
fn a_machine_that_slept_is_late_and_says_so() {
    let sleep = |minutes: u64| {
        let nap = Duration::from_secs(60 * minutes);
        Stage::new(&day("", ""), &[])
            .act(4 * HOUR - Duration::from_secs(60), move |clock, _, _| clock.sleep_through(nap))
    };
    let played = sleep(10).run();
    assert_eq!((played.ended.decision, checkpoints(&played)[1].2), (Decision::Go, Observed::InTime));
    assert!(hours(&played, "errors")[0] >= 4.0 && hours(&played, "errors")[1] == 8.0);
    assert!(played.record().clock[0].1.contains("slept for 10m"), "{:?}", played.record().clock);
    assert_eq!(checkpoints(&sleep(60).run())[1].2, Observed::Late);
}

#[test]
fn a_soak_that_is_stopped_goes_on_where_it_stood() {
    let played = Stage::new(&day("", ""), &[]).run_until(Some(9 * HOUR));
    assert_eq!(played.ended.decision, Decision::Undecided);
    let result = played.result("errors");
    assert_eq!((result.outcome, result.cut), (Outcome::Inconclusive, true));
    assert_eq!(played.result("alive").skip, Some(Skip::NotReached));
    let played = Stage::new(&day("", ""), &[]).after(&played.events, HOUR).run();
    assert_eq!(played.ended.decision, Decision::Go, "{:?}", played.ended);
    assert_eq!(hours(&played, "errors"), [2.0, 6.0, 10.0, 14.0]);
    assert_eq!(played.result("errors").reason, "held at 6 checkpoints");
    assert_eq!(played.record().interrupted, None);
}

const SHORT: &str = "holdpoint: 1\nname: Short\ndefaults: { timeout: 5m }\n\
    soak: { for: 3h, every: 1h, grace: 10m }\n\
    sections:\n\
    \x20 - name: Before\n    at: start\n    steps:\n\
    \x20     - { name: version, exec: 'true', expect: 0, capture: { version: stdout } }\n\
    \x20     - { name: warm up, exec: 'true', expect: 0, eventually: { within: 10m, every: 1m } }\n\
    \x20 - name: Hourly\n    at: checkpoint\n    steps:\n\
    \x20     - { name: errors, exec: 'true', expect: 0 }\n\
    \x20     - { name: stays, exec: 'true', expect: 0, consistently: { for: 4m, every: 1m } }\n\
    \x20 - name: After\n    at: end\n    steps:\n      - { name: still, exec: 'echo {{ captured.version }}', expect: 0 }\n\
    on_no_go:\n  - { name: roll back, exec: 'true', expect: 0, changes: everything }\n\
    always:\n  - { name: tidy up, exec: 'true', expect: 0 }\n";

/// What a run comes to, apart from times: how each step came out at each checkpoint and in the end.
type Essence = (String, Outcome, Vec<(u32, Outcome)>);

fn essence(played: &Played) -> Vec<Essence> {
    let record = played.record();
    let steps = record.sections.iter().flat_map(|section| &section.steps);
    steps
        .map(|step| {
            let id = step.outline.id.to_string();
            let checks = checked(played, &id);
            (id, step.outcome(), checks)
        })
        .collect()
}

#[test]
fn a_soak_that_is_killed_after_any_event_comes_to_the_same() {
    for bad in [false, true] {
        let make = || {
            Stage::new(SHORT, &[])
                .play("version", |_| Scene::Says("1.2.3"))
                .play_at("errors", move |when| {
                    // For as long as any process may need to come to it.
                    Scene::Exit(f64::from(u8::from(bad && (at(2.0)..at(2.5)).contains(&when))), 0)
                })
                .play("warm-up", |look| Scene::Exit(f64::from(u8::from(look < 2)), 0))
        };
        let whole = make().run();
        let decision = if bad { Decision::NoGo } else { Decision::Go };
        assert_eq!(whole.ended.decision, decision, "{:?}", whole.ended);
        for n in 1..whole.events.len() {
            let kept = &whole.events[..n];
            let again = make().after(kept, Duration::from_secs(5)).run();
            assert_eq!(again.ended.decision, decision, "killed after {n}: {:?}", kept.last());
            assert_eq!(again.events[..n], *kept, "killed after {n}");
            // A change that was begun is not begun a second time: whether it was made is not known.
            let begun =
                |e: &Event| matches!(&e.kind, EventKind::StepStarted { step, .. } if step.as_str() == "roll-back");
            let done =
                |e: &Event| matches!(&e.kind, EventKind::StepFinished { step, .. } if step.as_str() == "roll-back");
            let (mut mine, mut theirs) = (essence(&again), essence(&whole));
            if kept.iter().any(begun) && !kept.iter().any(done) {
                let unknown = mine.iter().find(|(id, ..)| id == "roll-back").map(|(_, outcome, _)| *outcome);
                assert_eq!(unknown, Some(Outcome::Inconclusive));
                mine.retain(|(id, ..)| id != "roll-back");
                theirs.retain(|(id, ..)| id != "roll-back");
            }
            assert_eq!(mine, theirs, "killed after {n}: {:?}", kept.last());
        }
    }
}

#[test]
fn a_soak_that_is_stopped_at_any_minute_comes_to_the_same() {
    let make = || Stage::new(SHORT, &[]).play("version", |_| Scene::Says("1.2.3"));
    let whole = make().run();
    for minute in 0..190 {
        let stopped = make().run_until(Some(Duration::from_secs(60 * minute + 30)));
        if stopped.ended.interrupted.is_none() {
            continue;
        }
        assert_eq!(stopped.ended.decision, Decision::Undecided, "minute {minute}");
        let again = make().after(&stopped.events, Duration::from_secs(5)).run();
        assert_eq!(again.ended.decision, Decision::Go, "minute {minute}: {:?}", again.ended);
        let sections =
            |played: &Played| essence(played).into_iter().filter(|(id, ..)| id != "tidy-up").collect::<Vec<_>>();
        assert_eq!(sections(&again), sections(&whole), "minute {minute}");
    }
}

#[test]
fn earlier_values_are_held_against_later_ones_across_checkpoints_and_processes() {
    let yaml = "holdpoint: 1\nname: Grows\ndefaults: { timeout: 5m }\n\
        soak: { for: 3h, every: 1h, grace: 10m }\n\
        sections:\n  - name: Hourly\n    at: checkpoint\n    steps:\n\
        \x20     - { name: grows, exec: 'true', expect: { duration: '<= previous' } }\n\
        \x20     - { name: drifts, exec: 'true', expect: { duration: 'within 10% of start' } }\n";
    let make = |growth: f64| {
        let value = move |when: DateTime<Utc>| {
            Scene::Took(0.0, 10.0 + growth * (when - DateTime::UNIX_EPOCH).num_hours() as f64)
        };
        Stage::new(yaml, &[]).play_at("grows", value).play_at("drifts", value)
    };
    let steady = make(0.0).run();
    assert_eq!(steady.ended.decision, Decision::Go, "{:?}", steady.record());
    let growing = make(0.6).run();
    let outcomes = |played: &Played, id| checked(played, id).iter().map(|(_, o)| *o).collect::<Vec<_>>();
    use Outcome::{Fail, Inconclusive, Pass};
    assert_eq!(outcomes(&growing, "grows"), [Inconclusive, Fail, Fail]);
    assert_eq!(outcomes(&growing, "drifts"), [Inconclusive, Pass, Fail]);
    assert_eq!(growing.ended.decision, Decision::NoGo);
    let ticked = ticks(&|| make(0.6), &[1.0, 2.0, 3.0]);
    assert_eq!(outcomes(&ticked, "grows"), [Inconclusive, Fail, Fail]);
    assert_eq!(outcomes(&ticked, "drifts"), [Inconclusive, Pass, Fail]);
}

#[test]
fn a_week_of_minutes_passes_at_once() {
    let yaml = "holdpoint: 1\nname: Week\ndefaults: { timeout: 10s }\nsoak: { for: 7d, every: 10m, grace: 1m }\n\
        sections:\n  - name: Look\n    at: checkpoint\n    steps: [{ name: errors, exec: 'true', expect: 0 }]\n";
    let played = Stage::new(yaml, &[]).run();
    assert_eq!((played.ended.decision, played.looks("errors").len()), (Decision::Go, 1008));
    assert_eq!(played.took, Duration::from_secs(7 * 86_400));
}
