//! What waits for what: `needs`, captured values, changes. An order that cannot be kept is said, with the way round.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::model::StepId;
use crate::model::outline::Part;

use super::{Places, PlanSection, PlanStep};

/// What an id may stand for.
pub(super) struct Ids {
    /// The steps that an id stands for: itself, or those of the section.
    steps: HashMap<String, Range<usize>>,
    /// Steps that could not be compiled: about them something was said already.
    broken: HashSet<String>,
}

impl Ids {
    /// Collects the ids; `given` are those of all steps as written.
    pub(super) fn new<'a>(
        sections: &[PlanSection],
        steps: &[PlanStep],
        given: impl Iterator<Item = &'a StepId>,
    ) -> Self {
        let of_section = |s: &PlanSection| (s.outline.id.to_string(), s.steps.clone());
        let mut all: HashMap<_, _> =
            sections.iter().filter(|s| s.outline.part == Part::Section).map(of_section).collect();
        all.extend(steps.iter().enumerate().map(|(i, s)| (s.outline.id.to_string(), i..i + 1)));
        let broken = given.map(StepId::to_string).filter(|id| !all.contains_key(id)).collect();
        Self { steps: all, broken }
    }

    /// Says that there is no such id. Only the first few times is a near one looked for, among what may be very many.
    fn say_unknown(&self, id: &str, place: Span, which: &str, diagnostics: &mut Diagnostics) {
        if self.broken.contains(id) {
            return;
        }
        let diagnostic = Diagnostic::error("unknown-id", place, format!("no step or section{which} has the id {id:?}"));
        if diagnostics.len() >= 10 {
            return diagnostics.push(diagnostic);
        }
        let mut names: Vec<&str> = self.steps.keys().map(String::as_str).collect();
        names.sort_unstable();
        diagnostics.push(diagnostic.near(id, names));
    }
}

/// Resolves the needs of the sections: they must lie before them.
pub(super) fn settle_sections(
    sections: &mut [PlanSection],
    needs: &[Vec<(String, Span)>],
    ids: &Ids,
    diagnostics: &mut Diagnostics,
) {
    for (section, needs) in sections.iter_mut().zip(needs) {
        for (n, (id, span)) in needs.iter().enumerate() {
            match ids.steps.get(id) {
                Some(steps) if steps.end <= section.steps.start => section.needs[n].steps = steps.clone(),
                Some(_) => {
                    let message = format!("{id:?} does not come before this section");
                    diagnostics.push(Diagnostic::error("cyclic-needs", *span, message));
                }
                None => ids.say_unknown(id, *span, " before this one", diagnostics),
            }
        }
    }
}

/// Resolves the needs and captured values of all steps, and makes sure that every step can begin.
pub(super) fn settle(
    sections: &[PlanSection],
    steps: &mut [PlanStep],
    places: &[Places],
    ids: &Ids,
    diagnostics: &mut Diagnostics,
) {
    let producers = producers(steps, places, diagnostics);
    for section in sections {
        for step in section.steps.clone() {
            resolve_needs(step, section.steps.clone(), steps, ids, &places[step], diagnostics);
            for (name, span) in &places[step].captured {
                let Some(&producer) = producers.get(name.as_str()) else { continue };
                steps[step].uses.push((name.clone(), producer));
                if producer >= section.steps.end {
                    let message = format!("{name:?} is captured by a step that runs later");
                    diagnostics.push(
                        Diagnostic::error("cyclic-needs", *span, message)
                            .also(places[producer].of_capture(name), "captured here"),
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

impl Places {
    /// Returns where a value is captured.
    fn of_capture(&self, name: &str) -> Span {
        self.captures.iter().find(|(captured, _)| captured == name).map_or(self.name, |(_, span)| *span)
    }
}

fn producers(steps: &[PlanStep], places: &[Places], diagnostics: &mut Diagnostics) -> HashMap<String, usize> {
    let mut producers = HashMap::new();
    for (i, step) in steps.iter().enumerate() {
        for (name, _) in &step.capture {
            if let Some(first) = producers.insert(name.clone(), i) {
                let message = format!("two steps capture {name:?}");
                let diagnostic = Diagnostic::error("duplicate-capture", places[i].of_capture(name), message);
                diagnostics.push(diagnostic.also(places[first].of_capture(name), "the first one"));
            }
        }
    }
    producers
}

fn resolve_needs(
    step: usize,
    home: Range<usize>,
    steps: &mut [PlanStep],
    ids: &Ids,
    places: &Places,
    diagnostics: &mut Diagnostics,
) {
    for (n, (id, span)) in places.needs.iter().enumerate() {
        let Some(range) = ids.steps.get(id).cloned() else {
            ids.say_unknown(id, *span, "", diagnostics);
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

/// How many steps of a circle are named.
const MOST_NAMED: usize = 6;

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
    let names: Vec<_> = circle.iter().take(MOST_NAMED).map(|step| steps[*step].outline.id.as_str()).collect();
    let more = circle.len().checked_sub(MOST_NAMED + 1).map_or(String::new(), |n| format!(" and {} more", n + 1));
    let message = format!("these steps wait for each other: {}{more}", names.join(", which waits for "));
    let mut diagnostic = Diagnostic::error("cyclic-needs", places[circle[0]].name, message);
    for step in circle.iter().take(MOST_NAMED).skip(1) {
        diagnostic = diagnostic.also(places[*step].name, "part of the circle");
    }
    diagnostics.push(diagnostic);
}

/// Follows what a step waits for until it comes round.
fn circle(start: usize, waits_for: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    let (mut way, mut seen) = (vec![start], HashMap::from([(start, 0)]));
    while let Some(next) = way.last().and_then(|&step| waits_for(step)) {
        if let Some(at) = seen.insert(next, way.len()) {
            return way.split_off(at);
        }
        way.push(next);
    }
    way
}
