//! `plan`: what would run, in which order, against what.

use std::fmt::Write;

use crate::model::outline::{Part, Slot, Weight};
use crate::plan::{Plan, PlanSection, PlanStep};
use crate::sys::Policy;
use crate::sys::env::Env;

use super::args::PlanArgs;
use super::load::{Ask, load};
use super::timetable::{timetable, who};
use super::{Result, USAGE, policed, stdio};

pub(super) fn main(args: &PlanArgs) -> Result<u8> {
    let env = Env::of_process();
    let ask = Ask { inputs: &args.inputs, select: &args.select, env: &env, complete: true, recorded: &[] };
    let policy = policed::accept(args.policy.policy.as_deref())?;
    let mut loaded = load(&args.file, &ask)?;
    policed::judge_sources(&policy, &mut loaded);
    stdio::tell(&loaded.complaints());
    let Some(plan) = loaded.plan else { return Ok(USAGE) };
    stdio::print(&loaded.redactor.text(&describe(&plan, &policy)));
    Ok(0)
}

fn describe(plan: &Plan, policy: &Policy) -> String {
    let mut out = format!("{}\n", plan.head.name);
    for input in &plan.inputs.shown {
        let value = input
            .value
            .as_ref()
            .map_or("(none)".to_owned(), |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
        let _ = writeln!(out, "  {} = {value}  ({})", input.name, input.from);
    }
    out.push_str(&timetable(plan));
    for section in &plan.sections {
        let _ = writeln!(out, "\n{}  [{}]{}", section.outline.name, section.outline.id, conditions(section));
        for step in &plan.steps[section.steps.clone()] {
            out.push_str(&describe_step(plan, step));
            if let Some(refusal) = policed::refusal(policy, plan, step) {
                let _ = writeln!(out, "      {:<8} {refusal}", "policy");
            }
        }
    }
    out
}

fn conditions(section: &PlanSection) -> String {
    let mut words = Vec::new();
    match section.outline.part {
        Part::Section => {}
        Part::Guard => words.push("watched beside everything else; one that trips stops the run".to_owned()),
        Part::OnGo | Part::OnNoGo | Part::Always => words.push("actions".to_owned()),
    }
    match section.outline.at {
        None => {}
        Some(Slot::Start) => words.push("at the start".to_owned()),
        Some(Slot::Checkpoint) => words.push("at every checkpoint".to_owned()),
        Some(Slot::End) => words.push("at the end".to_owned()),
    }
    if section.outline.hold.is_some() {
        words.push(who(section));
    }
    if section.sequential {
        words.push("one after another".to_owned());
    }
    if section.barrier {
        words.push("a barrier".to_owned());
    }
    if let Some(when) = &section.when {
        words.push(format!("when {}", when.source()));
    }
    words.extend(section.needs.iter().map(|need| format!("needs {}", need.id)));
    if words.is_empty() { String::new() } else { format!("  ({})", words.join(", ")) }
}

fn describe_step(plan: &Plan, step: &PlanStep) -> String {
    let mark = if step.selected { "-" } else { "x" };
    let mut out = format!("  {mark} {}  [{}]\n", step.outline.name, step.outline.id);
    let mut line = |label: &str, text: &str| {
        let _ = writeln!(out, "      {label:<8} {text}");
    };
    line(step.kind.name, &step.probe.describe());
    if let Some(used) = &step.outline.template {
        line("from", &format!("the template {}, {}, used at {}", used.name, used.origin, step.outline.origin));
    }
    if let Some(expect) = step.outline.expect.as_ref().filter(|_| step.deferred.is_none()) {
        line("expect", &crate::judge::words::expectation(expect));
    }
    if let Some(warn) = step.outline.warn.as_ref().filter(|_| step.deferred.is_none()) {
        line("warn", &crate::judge::words::expectation(warn));
    }
    if let Some(baseline) = &step.outline.baseline {
        line("baseline", baseline);
    }
    if step.deferred.is_some() {
        line("expect", "known when the values that it uses are captured");
    }
    if !step.outline.window.is_empty() {
        line("window", &step.outline.window);
    }
    let after: Vec<_> = step.after.iter().map(|&i| plan.steps[i].outline.id.as_str()).collect();
    if !after.is_empty() {
        line("after", &after.join(", "));
    }
    let needs: Vec<_> = step.needs.iter().map(|need| need.id.as_str()).collect();
    if !needs.is_empty() {
        line("needs", &needs.join(", "));
    }
    if let Some(when) = &step.when {
        line("when", when.source());
    }
    if let Some(action) = &step.outline.then_of {
        line("verifies", action.as_str());
    }
    if let Some(action) = &step.outline.fallback_for {
        line("fallback", &format!("runs when {action}, or what verifies it, does not come out well"));
    }
    if !step.outline.blind_to.is_empty() {
        line("blind to", &step.outline.blind_to.join(", "));
    }
    match step.outline.weight {
        Weight::Required => {}
        Weight::Optional => line("counts", "as a warning at most"),
        Weight::Trial => line("counts", "not at all: on trial"),
    }
    if let Some(changes) = &step.outline.changes {
        line("changes", changes);
    }
    if !step.selected {
        line("", "not selected");
    }
    out
}
