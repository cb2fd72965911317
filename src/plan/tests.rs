//! Plans over time: cells, occasions, guards and actions, from a text to what will run.

use std::sync::Arc;
use std::time::Duration;

use crate::checklist::{self, inputs};
use crate::diag::{Diagnostics, SourceMap, Span};
use crate::model::outline::{Missed, Part, Slot};

use super::{BaselinePlan, Flow, Plan, Selection, Window, build};

fn plan(body: &str) -> Plan {
    let text = format!("holdpoint: 1\nname: Example\n{body}");
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let file = sources.add("t.yaml", &*text);
    let checklist = checklist::read(&mut sources, file, &mut diagnostics).expect("a checklist");
    let given = inputs::Given::default();
    let filled = inputs::fill(&checklist.inputs, &given, |_| None, true, Span::default(), &mut diagnostics);
    let plan = build(checklist, filled, &Selection::default(), Arc::new(sources), &mut diagnostics);
    let said: Vec<_> = diagnostics.iter().map(|d| format!("{}: {}", d.code, d.message)).collect();
    plan.unwrap_or_else(|| panic!("{said:?}"))
}

/// Writes the order of running: `a, {us-east: [b, c] …}`.
fn course(plan: &Plan, flow: &[Flow]) -> String {
    let one = |flow: &Flow| match flow {
        Flow::Section(at) => plan.sections[*at].outline.id.to_string(),
        Flow::Cells(cells) => {
            let cell = |cell: &super::CellPlan| {
                let actions: Vec<_> = cell.actions.iter().map(|at| plan.sections[*at].outline.id.as_str()).collect();
                let then = if actions.is_empty() { String::new() } else { format!(" then {}", actions.join(" ")) };
                format!("{}: {}{then}", cell.cell.id, course(plan, &cell.flow))
            };
            let how = if cells.parallel { "|" } else { ";" };
            format!("{{{}}}", cells.cells.iter().map(cell).collect::<Vec<_>>().join(&format!("{how} ")))
        }
    };
    flow.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.outline.id.as_str()).collect()
}

fn at(plan: &Plan, id: &str) -> usize {
    ids(plan).iter().position(|other| *other == id).unwrap_or_else(|| panic!("no {id} in {:?}", ids(plan)))
}

const REGIONS: &str = "
matrix: { region: [us-east, eu-west], pause: 90m }
sections:
  - name: Before
    steps:
      - { name: 'Version in {{ matrix.region }}', id: version, exec: 'cat {{ matrix.region }}', capture: { version: stdout }, expect: 0 }
  - name: Traffic
    matrix: { traffic: [10, 50] }
    needs: [before]
    steps:
      - { name: '{{ matrix.traffic }}% in {{ matrix.region }}', exec: 'shift {{ captured.version }} {{ matrix.traffic }}', expect: 0 }
  - name: After
    needs: [traffic]
    steps:
      - { name: Answers, id: 'answers-{{ matrix.region }}', http: 'GET http://h/{{ matrix.region }}', expect: 200 }
on_no_go:
  - { name: Roll back, exec: 'undo {{ matrix.region }}', expect: 0 }
";

#[test]
fn ids_carry_the_cell() {
    let plan = plan(REGIONS);
    let of_one_cell = ["version@us-east", "in@us-east.10", "in@us-east.50", "answers-us-east"];
    assert_eq!(ids(&plan)[..4], of_one_cell);
    assert_eq!(plan.steps[1].outline.name, "10% in us-east");
    let section = &plan.sections[1].outline;
    assert_eq!(
        (section.id.as_str(), section.of.as_ref().map(|of| of.as_str())),
        ("traffic@us-east.10", Some("traffic"))
    );
    assert_eq!(section.cells.iter().map(|cell| cell.id.as_str()).collect::<Vec<_>>(), ["us-east", "10"]);
}

#[test]
fn cells_run_one_after_another_each_with_its_own_actions() {
    let plan = plan(REGIONS);
    let of = |cell: &str| {
        let traffic = format!("{{10: traffic@{cell}.10; 50: traffic@{cell}.50}}");
        format!("{cell}: before@{cell}, {traffic}, after@{cell} then on-no-go@{cell}")
    };
    assert_eq!(course(&plan, &plan.flow), format!("{{{}; {}}}", of("us-east"), of("eu-west")));
    let Flow::Cells(cells) = &plan.flow[0] else { panic!("cells") };
    assert!(cells.stop && !cells.parallel && cells.pause == Duration::from_secs(90 * 60));
}

#[test]
fn what_is_needed_is_in_the_same_cell() {
    let plan = plan(REGIONS);
    let (version, shift) = (at(&plan, "version@eu-west"), at(&plan, "in@eu-west.50"));
    assert_eq!(plan.steps[shift].uses, [("version".to_owned(), version)]);
    let after = plan.sections.iter().find(|s| s.outline.id.as_str() == "after@eu-west").expect("a section");
    let needed: Vec<_> = after.needs.iter().flat_map(|need| need.steps.clone()).collect();
    assert_eq!(needed, [at(&plan, "in@eu-west.10"), shift]);
}

#[test]
fn a_cell_is_named_after_the_values_that_tell_it_apart() {
    let section = |rows: &str| {
        let step = "{ name: 'A {{ matrix.a }} {{ matrix.b }}', exec: 'true', expect: 0 }";
        let plan = plan(&format!("sections:\n  - name: S\n    matrix: {{ rows: [{rows}] }}\n    steps: [{step}]\n"));
        let names = plan.sections.iter().map(|s| s.outline.cells[0].id.clone());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(section("{ a: 10, b: 1% }, { a: 50, b: 1% }"), "10 50");
    assert_eq!(section("{ a: 10, b: 1% }, { a: 10, b: 2% }"), "10-1 10-2");
}

#[test]
fn an_input_may_be_the_list_of_an_axis() {
    let plan = plan(
        "inputs: { regions: { type: list, default: [a, b] } }\nmatrix: { r: '{{ inputs.regions }}', order: parallel }\n\
         sections:\n  - { name: S, steps: [{ name: 'Up {{ matrix.r }}', tcp: '{{ matrix.r }}:80' }] }\n",
    );
    assert_eq!(course(&plan, &plan.flow), "{a: s@a| b: s@b}");
}

#[test]
fn a_soak_has_three_occasions() {
    let plan = plan(
        "soak: { for: 24h, every: 4h, missed: inconclusive }
matrix: { r: [a, b] }
sections:
  - { name: First, steps: [{ name: 'Up {{ matrix.r }}', tcp: 'h:80' }] }
  - { name: Again, at: checkpoint, steps: [{ name: Errors, exec: errors, expect: { lines: '<= previous' } }] }
  - { name: Last, at: end, needs: [errors], steps: [{ name: Up then, tcp: 'h:80' }] }
always:
  - { name: Note, exec: note, expect: 0 }
",
    );
    let soak = plan.soak.as_ref().expect("a soak");
    assert_eq!(course(&plan, &plan.flow), "{a: first@a; b: first@b}");
    assert_eq!(course(&plan, &soak.checkpoint), "{a: again@a; b: again@b}");
    assert_eq!(course(&plan, &soak.end), "{a: last@a then always@a; b: last@b then always@b}");
    assert_eq!((soak.times.grace_ms, soak.times.missed), (15 * 60 * 1000, Missed::Inconclusive));
    assert_eq!(plan.sections[1].outline.at, Some(Slot::Checkpoint));
}

#[test]
fn a_guard_is_watched_throughout_and_one_for_each_cell_that_it_names() {
    let plan = plan(
        "matrix: { r: [a, b] }
guards:
  - { name: 'Up {{ matrix.r }}', tcp: '{{ matrix.r }}:80', expect: true, consistently: { every: 15s, tolerate: 1m } }
  - { name: Entrance, tcp: 'h:80', expect: true, consistently: { every: 1m } }
sections:
  - { name: S, steps: [{ name: 'On {{ matrix.r }}', tcp: 'h:80' }] }
",
    );
    assert_eq!(ids(&plan), ["up@a", "up@b", "entrance", "on@a", "on@b"]);
    let guards = &plan.sections[plan.guards.expect("guards")];
    assert_eq!((guards.outline.part, guards.steps.clone()), (Part::Guard, 0..3));
    let minute = Duration::from_secs(60);
    assert_eq!(plan.steps[2].window, Window::Guard { every: minute, tolerate: None, failures: None });
    assert_eq!(course(&plan, &plan.flow), "{a: s@a; b: s@b}");
}

#[test]
fn actions_stand_in_the_order_of_running_with_what_hangs_on_them() {
    let plan = plan(
        "sections:
  - { name: S, steps: [{ name: Up, tcp: 'h:80' }] }
on_no_go:
  - name: Undo
    exec: undo
    expect: 0
    then: [{ name: Undone, tcp: 'h:80' }]
    fallback:
      - { name: Stop, exec: stop, expect: 0, then: [{ name: Stopped, tcp: { address: 'h:80', closed: true } }] }
",
    );
    assert_eq!(ids(&plan), ["up", "undo", "undone", "stop", "stopped"]);
    let of = |id: &str| &plan.steps[at(&plan, id)];
    assert_eq!(of("undone").outline.then_of.as_ref().map(|id| id.as_str()), Some("undo"));
    assert!(of("undone").needs.iter().map(|need| need.steps.clone()).eq(std::iter::once(1..2)));
    assert_eq!((of("stop").fallback_for.clone(), of("stop").needs.len()), (vec![1, 2], 0));
    assert_eq!(of("stopped").outline.then_of.as_ref().map(|id| id.as_str()), Some("stop"));
}

#[test]
fn a_baseline_is_measured_before_it_is_compared_with() {
    let plan = plan(
        "baseline: { value: 3 }
sections:
  - name: S
    steps:
      - { name: Now, exec: count, baseline: { step: before }, expect: { lines: '<= 2x baseline' } }
      - { name: Before, exec: count, expect: 0 }
      - { name: Planned, exec: count, expect: { lines: '<= 2x baseline' } }
",
    );
    let now = &plan.steps[0];
    assert!(matches!(now.baseline, Some(BaselinePlan::Step(1))) && now.after == [1]);
    assert_eq!(now.outline.baseline.as_deref(), Some("step before"));
    assert!(matches!(plan.steps[2].baseline, Some(BaselinePlan::Value(_))));
}

#[test]
fn what_is_required_comes_before_every_cell() {
    let plan = plan(
        "requires: [{ checklist: staging.yaml, within: 72h }]
matrix: { r: [a, b] }
sections:
  - { name: S, steps: [{ name: 'Up {{ matrix.r }}', tcp: 'h:80' }] }
",
    );
    assert_eq!(course(&plan, &plan.flow), "earlier-runs, {a: s@a; b: s@b}");
    assert!(plan.sections[0].barrier);
    assert_eq!(plan.steps[0].outline.name, "A go of staging.yaml within 72h");
}
