//! What waits for what: `needs`, captured values, changes. An order that cannot be kept is said, with the way round.

use std::collections::{HashMap, HashSet};

use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::model::outline::Part;

use super::{Builder, Places, PlanSection, PlanStep};

/// Resolves the needs of a section: they must lie before it.
pub(super) fn resolve_section_needs(builder: &mut Builder<'_, '_, '_>, position: usize, needs: &[(String, Span)]) {
    for (n, (id, span)) in needs.iter().enumerate() {
        let start = builder.sections[position].steps.start;
        let before = &builder.sections[..position];
        match find(id, &builder.steps[..start], before) {
            Some(steps) => builder.sections[position].needs[n].steps = steps,
            None => {
                let names = names(&builder.steps[..start], before);
                let message = format!("no step or section before this one has the id {id:?}");
                let diagnostic = Diagnostic::error("unknown-id", *span, message);
                let near: Vec<&str> = names.iter().map(String::as_str).collect();
                builder.reading.diagnostics.push(diagnostic.near(id, near));
            }
        }
    }
}

/// Resolves the needs and captured values of all steps, and makes sure that every step can begin.
pub(super) fn settle(
    sections: &[PlanSection],
    steps: &mut [PlanStep],
    places: &[Places],
    diagnostics: &mut Diagnostics,
) {
    let producers = producers(steps, places, diagnostics);
    let ids: HashMap<String, usize> = steps.iter().enumerate().map(|(i, s)| (s.outline.id.to_string(), i)).collect();
    for section in sections {
        for step in section.steps.clone() {
            resolve_needs(step, section.steps.clone(), sections, steps, &ids, &places[step], diagnostics);
            for (name, span) in &places[step].captured {
                let Some(&producer) = producers.get(name.as_str()) else { continue };
                steps[step].uses.push((name.clone(), producer));
                if producer >= section.steps.end {
                    let message = format!("{name:?} is captured by a step that runs later");
                    diagnostics.push(
                        Diagnostic::error("cyclic-needs", *span, message).also(places[producer].name, "captured here"),
                    );
                } else if producer >= section.steps.start {
                    steps[step].after.push(producer);
                }
            }
        }
        order_changes(section, steps);
        refuse_cycles(section, steps, places, diagnostics);
    }
}

fn producers(steps: &[PlanStep], places: &[Places], diagnostics: &mut Diagnostics) -> HashMap<String, usize> {
    let mut producers = HashMap::new();
    for (i, step) in steps.iter().enumerate() {
        for (name, _) in &step.capture {
            if let Some(first) = producers.insert(name.clone(), i) {
                let message = format!("two steps capture {name:?}");
                let diagnostic = Diagnostic::error("duplicate-capture", places[i].name, message);
                diagnostics.push(diagnostic.also(places[first].name, "the first one"));
            }
        }
    }
    producers
}

fn resolve_needs(
    step: usize,
    home: std::ops::Range<usize>,
    sections: &[PlanSection],
    steps: &mut [PlanStep],
    ids: &HashMap<String, usize>,
    places: &Places,
    diagnostics: &mut Diagnostics,
) {
    for (n, (id, span)) in places.needs.iter().enumerate() {
        let section = || sections.iter().find(|s| s.outline.id.as_str() == id && s.outline.part == Part::Section);
        let found = ids.get(id).map(|&i| i..i + 1).or_else(|| section().map(|s| s.steps.clone()));
        let Some(range) = found else {
            let names = names(steps, sections);
            let near: Vec<&str> = names.iter().map(String::as_str).collect();
            let message = format!("no step or section has the id {id:?}");
            diagnostics.push(Diagnostic::error("unknown-id", *span, message).near(id, near));
            continue;
        };
        if range.start >= home.end || range.contains(&step) {
            let how = if range.contains(&step) { "is this step itself or the section around it" } else { "runs later" };
            diagnostics.push(Diagnostic::error("cyclic-needs", *span, format!("{id:?} {how}")));
            continue;
        }
        if range.start >= home.start {
            steps[step].after.extend(range.clone());
        }
        steps[step].needs[n].steps = range;
    }
}

/// A step that changes the world waits for everything above it in its section, and everything below waits for it: what
/// is looked at below is the world as changed. Steps that the change itself waits for come before it all the same.
fn order_changes(section: &PlanSection, steps: &mut [PlanStep]) {
    let mut since = section.steps.start;
    // Each change with all that it waits for, the last one first.
    let mut changes: Vec<(usize, HashSet<usize>)> = Vec::new();
    for step in section.steps.clone().filter(|_| !section.sequential) {
        let last = changes.iter().rev().find(|(_, waits)| !waits.contains(&step)).map(|(change, _)| *change);
        steps[step].after.extend(last);
        if steps[step].outline.changes.is_none() {
            continue;
        }
        let above = (since..step).filter(|&i| !awaited(i, steps).contains(&step)).collect::<Vec<_>>();
        steps[step].after.extend(above);
        changes.push((step, awaited(step, steps)));
        since = step;
    }
}

/// Returns everything that a step waits for, by however many others.
fn awaited(step: usize, steps: &[PlanStep]) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut way = steps[step].after.clone();
    while let Some(step) = way.pop() {
        if found.insert(step) {
            way.extend(&steps[step].after);
        }
    }
    found
}

/// Says when steps of a section wait for each other, with the way round.
fn refuse_cycles(section: &PlanSection, steps: &mut [PlanStep], places: &[Places], diagnostics: &mut Diagnostics) {
    let base = section.steps.start;
    for step in section.steps.clone() {
        steps[step].after.sort_unstable();
        steps[step].after.dedup();
    }
    let before = |step: usize| {
        let line = (section.sequential && step > base).then(|| step - 1);
        steps[step].after.iter().copied().chain(line)
    };
    let mut waits: Vec<usize> = section.steps.clone().map(|step| before(step).count()).collect();
    let mut followers = vec![Vec::new(); waits.len()];
    for step in section.steps.clone() {
        before(step).for_each(|earlier| followers[earlier - base].push(step));
    }
    let mut free: Vec<usize> = section.steps.clone().filter(|step| waits[step - base] == 0).collect();
    while let Some(step) = free.pop() {
        for &follower in &followers[step - base] {
            waits[follower - base] -= 1;
            if waits[follower - base] == 0 {
                free.push(follower);
            }
        }
    }
    let Some(stuck) = section.steps.clone().find(|step| waits[step - base] > 0) else { return };
    let circle = circle(stuck, |step| before(step).find(|earlier| waits[earlier - base] > 0));
    let names: Vec<_> = circle.iter().map(|step| steps[*step].outline.id.as_str()).collect();
    let message = format!("these steps wait for each other: {}", names.join(", which waits for "));
    let mut diagnostic = Diagnostic::error("cyclic-needs", places[circle[0]].name, message);
    for step in circle.iter().skip(1).take(5) {
        diagnostic = diagnostic.also(places[*step].name, "part of the circle");
    }
    diagnostics.push(diagnostic);
}

/// Follows what a step waits for until it comes round.
fn circle(start: usize, waits_for: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    let mut way = vec![start];
    while let Some(next) = way.last().and_then(|&step| waits_for(step)) {
        if let Some(at) = way.iter().position(|&step| step == next) {
            return way.split_off(at);
        }
        way.push(next);
    }
    way
}

fn find(id: &str, steps: &[PlanStep], sections: &[PlanSection]) -> Option<std::ops::Range<usize>> {
    let step = steps.iter().position(|s| s.outline.id.as_str() == id).map(|i| i..i + 1);
    step.or_else(|| sections.iter().find(|s| s.outline.id.as_str() == id).map(|s| s.steps.clone()))
}

fn names(steps: &[PlanStep], sections: &[PlanSection]) -> Vec<String> {
    let steps = steps.iter().map(|s| s.outline.id.to_string());
    steps.chain(sections.iter().map(|s| s.outline.id.to_string())).collect()
}
