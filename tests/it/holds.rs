//! Hold points and guards: what waits for people, and what watches meanwhile.

use std::time::Duration;

use holdpoint::event::{EventKind, Release, Request, Skip};
use holdpoint::model::{Decision, Outcome, SectionId};
use holdpoint::run::{Asked, Patience};

use crate::support::engine::{Played, Scene, Stage};

const HOUR: Duration = Duration::from_secs(3600);

fn promotion(hold: &str) -> String {
    format!(
        "holdpoint: 1\nname: Promotion\ndefaults: {{ timeout: 3h }}\n\
         sections:\n\
         \x20 - name: Canary\n    steps: [{{ name: healthy, exec: 'true', expect: 0 }}]\n\
         \x20 - name: Promote\n    hold: {hold}\n    steps: [{{ name: roll out, exec: 'true', expect: 0, changes: the image }}]\n\
         \x20 - name: After\n    steps: [{{ name: still healthy, exec: 'true', expect: 0 }}]\n\
         on_no_go: [{{ name: roll back, exec: 'true', expect: 0, changes: the image }}]\n\
         signoff: {{ roles: [{{ role: sre }}] }}\n"
    )
    .replace(if hold == "true" { "signoff: { roles: [{ role: sre }] }\n" } else { "\u{0}" }, "")
}

fn release(accepted: bool, signed: bool) -> Asked {
    let release = Release { accepted, by: "carol".into(), signed, note: "seen".into() };
    Asked::Request(Request::Release(SectionId::new("promote"), release))
}

fn patient(stage: Stage) -> Stage {
    stage.with(|options| options.patience = Patience::People)
}

fn counts(played: &Played, which: impl Fn(&EventKind) -> bool) -> usize {
    played.events.iter().filter(|event| which(&event.kind)).count()
}

#[test]
fn nothing_behind_a_hold_point_runs_before_it_is_released() {
    let played = Stage::new(&promotion("true"), &[]).run();
    assert_eq!(played.ended.decision, Decision::Held);
    assert_eq!(played.ended.waits.as_deref(), Some("\"Promote\" waits to be released"));
    assert!(played.looks("roll-out").is_empty() && played.looks("roll-back").is_empty());
    let record = played.record();
    assert!(record.paused.is_some() && record.finished.is_none());
    assert!(record.sections[1].held.is_some());
}

#[test]
fn a_yes_lets_the_same_process_go_on() {
    let yes = |_: &_, ask: &tokio::sync::mpsc::UnboundedSender<Asked>, _: &_| drop(ask.send(release(true, false)));
    let played = patient(Stage::new(&promotion("true"), &[])).act(HOUR, yes).run();
    assert_eq!((played.ended.decision, played.looks("roll-out")), (Decision::Go, vec![3600.0]));
    let releases = &played.record().sections[1].releases;
    assert!(releases.len() == 1 && !releases[0].1.signed && releases[0].1.by == "carol", "{releases:?}");
}

#[test]
fn a_no_stops_the_run_and_starts_the_way_back() {
    let no = |_: &_, ask: &tokio::sync::mpsc::UnboundedSender<Asked>, _: &_| drop(ask.send(release(false, false)));
    let played = patient(Stage::new(&promotion("true"), &[])).act(HOUR, no).run();
    assert_eq!(played.ended.decision, Decision::NoGo);
    assert_eq!(played.ended.reasons, ["\"Promote\" was declined by carol: seen"]);
    for id in ["roll-out", "still-healthy"] {
        assert_eq!(played.result(id).skip, Some(Skip::Blocked), "{id}");
    }
    assert_eq!(played.result("roll-back").outcome, Outcome::Pass);
}

#[test]
fn a_plain_yes_is_not_enough_where_roles_must_sign() {
    let ask = |signed| {
        move |_: &_, ask: &tokio::sync::mpsc::UnboundedSender<Asked>, _: &_| drop(ask.send(release(true, signed)))
    };
    let leave = |_: &_, ask: &tokio::sync::mpsc::UnboundedSender<Asked>, _: &_| drop(ask.send(Asked::Leave));
    let played =
        patient(Stage::new(&promotion("{ sign: [sre] }"), &[])).act(HOUR, ask(false)).act(2 * HOUR, leave).run();
    assert_eq!(
        (played.ended.decision, counts(&played, |e| matches!(e, EventKind::Released { .. }))),
        (Decision::Held, 0)
    );
    let played = patient(Stage::new(&promotion("{ sign: [sre] }"), &[])).act(HOUR, ask(true)).run();
    assert_eq!(played.looks("roll-out"), [3600.0]);
}

#[test]
fn behind_a_required_failure_nobody_is_asked() {
    let played = Stage::new(&promotion("true"), &[]).play("healthy", |_| Scene::Exit(1.0, 0)).run();
    assert_eq!(played.ended.decision, Decision::NoGo);
    assert_eq!(counts(&played, |e| matches!(e, EventKind::Held { .. })), 0);
    assert_eq!(
        (played.result("roll-out").skip, played.result("roll-back").outcome),
        (Some(Skip::Blocked), Outcome::Pass)
    );
}

#[test]
fn a_release_that_was_recorded_lets_the_next_process_go_on() {
    let held = Stage::new(&promotion("true"), &[]).run();
    let mut events = held.events.clone();
    let (seq, at) = (events.len() as u64 + 1, events.last().expect("an event").at);
    let release = Release { accepted: true, by: "carol".into(), signed: false, note: String::new() };
    let kind = EventKind::Released { section: SectionId::new("promote"), release };
    events.push(holdpoint::event::Event { seq, at, kind });
    let played = Stage::new(&promotion("true"), &[]).after(&events, HOUR).run();
    assert_eq!(played.ended.decision, Decision::Go, "{:?}", played.ended);
    assert!(played.looks("healthy").is_empty(), "what is done stays done");
    assert_eq!(counts(&played, |e| matches!(e, EventKind::Held { .. })), 1);
    played.record();
}

fn guarded(tolerate: &str, sections: &str) -> String {
    format!(
        "holdpoint: 1\nname: Guarded\ndefaults: {{ timeout: 3h }}\n\
         guards: [{{ name: few errors, exec: 'true', expect: 0, consistently: {{ every: 15s{tolerate} }} }}]\n\
         sections:\n{sections}\
         on_no_go: [{{ name: roll back, exec: 'true', expect: 0, changes: the image }}]\n"
    )
}

const TWO: &str = "  - name: One\n    steps: [{ name: long, exec: 'true', expect: 0 }]\n\
    \x20 - name: Two\n    steps: [{ name: later, exec: 'true', expect: 0 }]\n";

#[test]
fn a_guard_that_trips_stops_everything_and_starts_the_way_back() {
    let played = Stage::new(&guarded("", TWO), &[])
        .play("long", |_| Scene::Exit(0.0, 3600))
        .play_now("few-errors", |when| Scene::Exit(f64::from(u8::from(when.timestamp() >= 60)), 0))
        .run();
    assert_eq!(played.ended.decision, Decision::NoGo);
    assert_eq!(played.ended.reasons, ["the guard \"few errors\" tripped"]);
    assert_eq!(played.looks("few-errors"), [0.0, 15.0, 30.0, 45.0, 60.0]);
    assert_eq!(played.result("few-errors").outcome, Outcome::Fail);
    let long = played.result("long");
    assert_eq!((long.outcome, long.cut), (Outcome::Inconclusive, false));
    assert!(long.reason.contains("the guard \"few errors\" tripped"), "{}", long.reason);
    assert_eq!(played.result("later").skip, Some(Skip::Blocked));
    assert_eq!((played.result("roll-back").outcome, played.took.as_secs()), (Outcome::Pass, 60));
    played.record();
}

#[test]
fn a_short_breach_is_forgiven_and_the_guard_looks_a_last_time() {
    let short =
        |when: chrono::DateTime<chrono::Utc>| Scene::Exit(f64::from(u8::from((60..90).contains(&when.timestamp()))), 0);
    let stage = || Stage::new(&guarded(", tolerate: 1m", TWO), &[]).play("long", |_| Scene::Exit(0.0, 100));
    let played = stage().play_now("few-errors", short).run();
    assert_eq!(played.ended.decision, Decision::Go, "{:?}", played.ended);
    assert_eq!(played.looks("few-errors").last(), Some(&100.0));
    assert!(played.result("few-errors").reason.starts_with("held for 1m40s"), "{}", played.result("few-errors").reason);
    // What could never look says nothing, and so does not pass.
    let played = stage().play("few-errors", |_| Scene::Away).run();
    assert_eq!(played.ended.decision, Decision::Undecided);
}

#[test]
fn a_guard_watches_while_people_are_waited_for() {
    let held = "  - name: One\n    hold: true\n    steps: [{ name: long, exec: 'true', expect: 0 }]\n";
    let played = patient(Stage::new(&guarded("", held), &[]))
        .play_now("few-errors", |when| Scene::Exit(f64::from(u8::from(when.timestamp() >= 7200)), 0))
        .run();
    assert_eq!((played.ended.decision, played.took), (Decision::NoGo, 2 * HOUR));
    assert_eq!(played.result("long").skip, Some(Skip::Blocked));
}
