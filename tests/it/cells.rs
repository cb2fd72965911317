//! Matrices and actions: cells in order and side by side, each with its own decision, and what is done about it.

use holdpoint::event::{EventKind, Skip};
use holdpoint::model::{Decision, Outcome};

use crate::support::engine::{Played, Scene, Stage};

fn regions(keys: &str) -> String {
    format!(
        "holdpoint: 1\nname: Regions\ndefaults: {{ timeout: 3h }}\n\
         matrix: {{ region: [us, eu, ap]{keys} }}\n\
         sections:\n\
         \x20 - name: 'Canary in {{{{ matrix.region }}}}'\n    id: canary\n    stop_on_failure: true\n\
         \x20   steps: [{{ name: deploy, exec: 'true', expect: 0 }}]\n\
         \x20 - name: Watch\n    steps: [{{ name: watch, exec: 'true', expect: 0 }}]\n\
         on_no_go: [{{ name: roll back, exec: 'echo {{{{ matrix.region }}}}', expect: 0, changes: the region }}]\n"
    )
}

fn outcome(played: &Played, id: &str) -> (Outcome, Option<Skip>) {
    let result = played.result(id);
    (result.outcome, result.skip)
}

const PASS: (Outcome, Option<Skip>) = (Outcome::Pass, None);
const BLOCKED: (Outcome, Option<Skip>) = (Outcome::Skipped, Some(Skip::Blocked));
const CONDITION: (Outcome, Option<Skip>) = (Outcome::Skipped, Some(Skip::Condition));

#[test]
fn cells_run_one_after_another_with_a_pause_between() {
    let mut stage = Stage::new(&regions(", pause: 90m"), &[]);
    for region in ["us", "eu", "ap"] {
        stage = stage.play(&format!("deploy@{region}"), |_| Scene::Exit(0.0, 600));
    }
    let played = stage.run();
    assert_eq!(played.ended.decision, Decision::Go, "{:?}", played.ended);
    let begun: Vec<f64> = ["us", "eu", "ap"].iter().map(|r| played.looks(&format!("deploy@{r}"))[0]).collect();
    assert_eq!(begun, [0.0, 6000.0, 12_000.0]);
    let pauses = played.events.iter().filter(|e| matches!(e.kind, EventKind::Waiting { .. })).count();
    assert_eq!(pauses, 2);
    assert_eq!(outcome(&played, "roll-back@eu"), CONDITION);
    played.record();
}

#[test]
fn a_cell_that_fails_stops_the_later_ones_and_touches_its_own_actions_alone() {
    let bad = |keys: &str| Stage::new(&regions(keys), &[]).play("deploy@eu", |_| Scene::Exit(1.0, 0)).run();
    let played = bad(", on_failure: stop");
    assert_eq!(played.ended.decision, Decision::NoGo);
    assert_eq!((outcome(&played, "watch@us"), outcome(&played, "watch@eu")), (PASS, BLOCKED));
    assert_eq!((outcome(&played, "deploy@ap"), outcome(&played, "watch@ap")), (BLOCKED, BLOCKED));
    assert!(played.result("deploy@ap").reason.contains("eu"), "{}", played.result("deploy@ap").reason);
    assert_eq!(outcome(&played, "roll-back@eu"), PASS);
    assert_eq!((outcome(&played, "roll-back@us"), outcome(&played, "roll-back@ap")), (CONDITION, CONDITION));

    let played = bad(", on_failure: continue");
    assert_eq!((outcome(&played, "deploy@ap"), outcome(&played, "watch@ap")), (PASS, PASS));
    assert_eq!((outcome(&played, "watch@eu"), outcome(&played, "roll-back@eu")), (BLOCKED, PASS));
    played.record();
}

#[test]
fn cells_go_side_by_side_where_that_is_asked_for() {
    let mut stage = Stage::new(&regions(", order: parallel, on_failure: continue"), &[]);
    for region in ["us", "eu", "ap"] {
        stage = stage.play(&format!("deploy@{region}"), |_| Scene::Exit(0.0, 600));
    }
    let played = stage.play("deploy@eu", |_| Scene::Exit(1.0, 100)).run();
    assert_eq!((played.side_by_side(), played.took.as_secs()), (3, 600));
    assert_eq!((outcome(&played, "watch@us"), outcome(&played, "watch@eu")), (PASS, BLOCKED));
    assert!(played.at("-roll-back@eu") < played.at("-deploy@us"), "its own actions wait for nobody: {:?}", played.log);
    assert_eq!(played.ended.decision, Decision::NoGo);
}

#[test]
fn rows_of_a_section_go_one_after_another() {
    let yaml = "holdpoint: 1\nname: Rows\ndefaults: { timeout: 3h }\nsections:\n\
        \x20 - name: 'Traffic {{ matrix.traffic }}%'\n    id: traffic\n    stop_on_failure: true\n\
        \x20   matrix: { rows: [{ traffic: 10 }, { traffic: 50 }, { traffic: 100 }] }\n\
        \x20   steps: [{ name: shift, exec: 'echo {{ matrix.traffic }}', expect: 0 }]\n\
        \x20 - name: After\n    steps: [{ name: done, exec: 'true', expect: 0 }]\n";
    let played = Stage::new(yaml, &[]).play("shift@50", |_| Scene::Exit(1.0, 0)).run();
    assert_eq!((outcome(&played, "shift@10"), outcome(&played, "shift@100")), (PASS, BLOCKED));
    assert_eq!(outcome(&played, "done"), BLOCKED);
    assert_eq!(Stage::new(yaml, &[]).run().ended.decision, Decision::Go);
}

const ACTIONS: &str = "holdpoint: 1\nname: Actions\ndefaults: { timeout: 3h }\n\
    sections: [{ name: One, steps: [{ name: bad, exec: 'true', expect: 0 }] }]\n\
    on_no_go:\n  - name: roll back\n    exec: 'true'\n    expect: 0\n    changes: the image\n\
    \x20   then: [{ name: rolled back, exec: 'true', expect: 0 }]\n\
    \x20   fallback: [{ name: scale to zero, exec: 'true', expect: 0, changes: the size }]\n\
    on_go: [{ name: announce, exec: 'true', expect: 0 }]\n\
    always: [{ name: tidy up, exec: 'true', expect: 0 }]\n";

#[test]
fn an_action_is_verified_and_mended_when_it_did_not_work() {
    let bad = || Stage::new(ACTIONS, &[]).play("bad", |_| Scene::Exit(1.0, 0));
    let played = bad().run();
    assert_eq!((outcome(&played, "rolled-back"), outcome(&played, "scale-to-zero")), (PASS, CONDITION));
    assert_eq!((outcome(&played, "announce"), outcome(&played, "tidy-up")), (CONDITION, PASS));

    let played = bad().play("rolled-back", |_| Scene::Exit(1.0, 0)).run();
    assert_eq!(outcome(&played, "scale-to-zero"), PASS);

    let played = bad().play("roll-back", |_| Scene::Exit(1.0, 0)).run();
    assert_eq!((outcome(&played, "rolled-back"), outcome(&played, "scale-to-zero")), (BLOCKED, PASS));
    assert_eq!(played.ended.decision, Decision::NoGo);

    let played = bad().with(|options| options.allow_changes = false).run();
    assert_eq!(outcome(&played, "roll-back"), (Outcome::Pending, None));
    assert!(played.looks("scale-to-zero").is_empty() && played.looks("rolled-back").is_empty());
}

#[test]
fn a_go_acts_too() {
    let played = Stage::new(ACTIONS, &[]).run();
    assert_eq!((outcome(&played, "announce"), outcome(&played, "roll-back")), (PASS, CONDITION));
}
