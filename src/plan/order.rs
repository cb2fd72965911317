//! What waits for what: `needs`, captured values, changes. An order that cannot be kept is said, with the way round.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::model::StepId;
use crate::model::outline::Part;

use super::builder::Places;
use super::flow::Laid;
use super::matrix::Matrices;
use super::naming::base;
use super::{Need, PlanSection, PlanStep};

/// A cell, and the steps of it that an id stands for.
type InCell = (Arc<str>, Range<usize>);

/// What an id may stand for.
pub(super) struct Ids {
    /// The steps that an id stands for: itself, or those of the section.
    exact: HashMap<String, Range<usize>>,
    /// What stands in cells, by its id without them: the cells with what is there.
    cells: HashMap<String, Vec<InCell>>,
    /// Steps that could not be compiled: about them something was said already.
    broken: HashSet<String>,
}

impl Ids {
    /// Collects the ids; `given` are those of all steps as written.
    pub(super) fn new<'a>(
        sections: &[PlanSection],
        steps: &[PlanStep],
        places: &[Places],
        given: impl Iterator<Item = &'a StepId>,
    ) -> Self {
        let mut ids = Self { exact: HashMap::new(), cells: HashMap::new(), broken: HashSet::new() };
        for section in sections.iter().filter(|s| s.outline.part == Part::Section) {
            let names: Vec<_> = section.outline.cells.iter().map(|cell| cell.id.as_str()).collect();
            let own = section.outline.of.as_ref().map_or(section.outline.id.as_str(), |of| of.as_str());
            ids.add(section.outline.id.as_str(), own, names.join(".").into(), section.steps.clone());
        }
        for (i, (step, places)) in steps.iter().zip(places).enumerate() {
            let id = &step.outline.id;
            ids.add(id.as_str(), base(id), Arc::clone(&places.path), i..i + 1);
        }
        let broken = given.filter(|id| !ids.exact.contains_key(id.as_str())).map(|id| base(id).to_owned()).collect();
        Self { broken, ..ids }
    }

    fn add(&mut self, id: &str, base: &str, path: Arc<str>, steps: Range<usize>) {
        if !path.is_empty() {
            self.cells.entry(base.to_owned()).or_default().push((path, steps.clone()));
        }
        self.exact.insert(id.to_owned(), steps);
    }

    /// Finds what an id means in a cell: what is in the same cell, else in all cells within it, else the same one
    /// cell further out.
    pub(super) fn find(&self, id: &str, path: &str) -> Vec<Range<usize>> {
        let within =
            |path: &str, outer: &str| outer.is_empty() || path.strip_prefix(outer).is_some_and(|p| p.starts_with('.'));
        let mut outer = Some(path);
        while let Some(here) = outer {
            let own = if here.is_empty() { self.exact.get(id) } else { self.exact.get(&format!("{id}@{here}")) };
            if let Some(own) = own {
                return vec![own.clone()];
            }
            let cells = self.cells.get(id).map(Vec::as_slice).unwrap_or_default();
            let inner: Vec<_> = cells.iter().filter(|(p, _)| within(p, here)).map(|(_, steps)| steps.clone()).collect();
            if !inner.is_empty() {
                return inner;
            }
            outer = (!here.is_empty()).then(|| here.rsplit_once('.').map_or("", |(outer, _)| outer));
        }
        Vec::new()
    }

    /// Says that there is no such id. Only the first few times is a near one looked for, among what may be very many.
    pub(super) fn say_unknown(&self, id: &str, place: Span, which: &str, diagnostics: &mut Diagnostics) {
        if self.broken.contains(id) {
            return;
        }
        let diagnostic = Diagnostic::error("unknown-id", place, format!("no step or section{which} has the id {id:?}"));
        if diagnostics.len() >= 10 {
            return diagnostics.push(diagnostic);
        }
        let mut names: Vec<&str> = self.exact.keys().chain(self.cells.keys()).map(String::as_str).collect();
        names.sort_unstable();
        diagnostics.push(diagnostic.near(id, names));
    }
}

/// The cell of the whole, and section and cell of a section's own matrix, where these are parallel.
type Stands = (Option<usize>, Option<(usize, usize, usize)>);

/// Which sections run side by side, because they belong to different cells of a parallel matrix.
pub(super) struct Lanes {
    /// For each section, where it stands.
    of: Vec<Stands>,
}

impl Lanes {
    pub(super) fn new(matrices: &Matrices, laid: &[Laid], count: usize) -> Self {
        let parallel = |matrix: Option<&super::matrix::Matrix>| matrix.is_some_and(|matrix| matrix.parallel);
        let whole = parallel(matrices.top.as_ref());
        let mut of = vec![(None, None); count];
        for laid in laid {
            let own = laid.section.filter(|&s| parallel(matrices.sections[s].as_ref()));
            of[laid.position] = (whole.then_some(laid.top), own.map(|s| (s, laid.top, laid.position)));
        }
        Self { of }
    }

    /// Tells whether two sections run side by side.
    fn apart(&self, a: usize, b: usize) -> bool {
        let ((top_a, own_a), (top_b, own_b)) = (self.of[a], self.of[b]);
        let tops = top_a.zip(top_b).is_some_and(|(a, b)| a != b);
        let cells = own_a.zip(own_b).is_some_and(|(a, b)| (a.0, a.1) == (b.0, b.1) && a.2 != b.2);
        tops || cells
    }
}

/// What is at hand while the order is settled.
pub(super) struct Order<'a> {
    pub ids: &'a Ids,
    pub lanes: &'a Lanes,
    pub places: &'a [Places],
}

impl Order<'_> {
    /// Resolves the needs of the sections: they must lie before them.
    pub(super) fn settle_sections(
        &self,
        sections: &mut [PlanSection],
        needs: &[Vec<(String, Span)>],
        diagnostics: &mut Diagnostics,
    ) {
        for at in 0..sections.len() {
            let path = path_of(&sections[at]);
            for (id, span) in &needs[at] {
                let found = self.ids.find(id, &path);
                if found.is_empty() {
                    self.ids.say_unknown(id, *span, " before this one", diagnostics);
                }
                for steps in found {
                    if steps.end > sections[at].steps.start {
                        let message = format!("{id:?} does not come before this section");
                        diagnostics.push(Diagnostic::error("cyclic-needs", *span, message));
                    } else if !self.refuse_beside(sections, at, steps.start, (id, *span), diagnostics) {
                        sections[at].needs.push(Need::of(id.as_str(), steps));
                    }
                }
            }
        }
    }

    /// Resolves the needs and captured values of all steps.
    pub(super) fn settle(&self, sections: &[PlanSection], steps: &mut [PlanStep], diagnostics: &mut Diagnostics) {
        let producers = producers(steps, self.places, diagnostics);
        for (at, section) in sections.iter().enumerate() {
            for step in section.steps.clone() {
                for (id, span) in &self.places[step].needs {
                    let found = self.before((sections, at), step, (id, *span), steps, diagnostics);
                    steps[step].needs.extend(found.into_iter().map(|range| Need::of(id.as_str(), range)));
                }
                for (name, span) in &self.places[step].captured {
                    self.use_captured((sections, at), step, (name, *span), &producers, steps, diagnostics);
                }
            }
            order_changes(section, steps);
        }
    }

    /// Finds the steps that an id stands for, which must come before a step; those of its own section then do.
    pub(super) fn before(
        &self,
        (sections, at): (&[PlanSection], usize),
        step: usize,
        (id, span): (&str, Span),
        steps: &mut [PlanStep],
        diagnostics: &mut Diagnostics,
    ) -> Vec<Range<usize>> {
        let home = &sections[at].steps;
        let mut found = self.ids.find(id, &self.places[step].path);
        if found.is_empty() {
            self.ids.say_unknown(id, span, "", diagnostics);
        }
        found.retain(|range| {
            if range.start >= home.end || range.contains(&step) {
                let itself = range.contains(&step);
                let how = if itself { "is this step itself or the section around it" } else { "runs later" };
                diagnostics.push(Diagnostic::error("cyclic-needs", span, format!("{id:?} {how}")));
                return false;
            }
            if range.start >= home.start {
                steps[step].after.extend(range.clone());
            }
            !self.refuse_beside(sections, at, range.start, (id, span), diagnostics)
        });
        found
    }

    /// Says when what is needed runs beside what needs it.
    fn refuse_beside(
        &self,
        sections: &[PlanSection],
        at: usize,
        needed: usize,
        (id, span): (&str, Span),
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let other = sections.partition_point(|section| section.steps.end <= needed);
        let beside = other < sections.len() && self.lanes.apart(at, other);
        if beside {
            let message = format!("{id:?} is in another cell, which runs side by side with this one");
            let help = "cells that wait for each other are run one after another: `order: sequential`";
            diagnostics.push(Diagnostic::error("cyclic-needs", span, message).help(help));
        }
        beside
    }

    fn use_captured(
        &self,
        (sections, at): (&[PlanSection], usize),
        step: usize,
        (name, span): (&str, Span),
        producers: &Producers,
        steps: &mut [PlanStep],
        diagnostics: &mut Diagnostics,
    ) {
        let section = &sections[at];
        let producer = match find_producer(producers, name, &self.places[step].path) {
            Found::One(producer) => producer,
            Found::None => return,
            Found::Several(count) => {
                let message = format!("{name:?} is captured in {count} cells, and this is outside of them");
                let help = "use it within the cell, or capture it outside of the matrix";
                return diagnostics.push(Diagnostic::error("duplicate-capture", span, message).help(help));
            }
        };
        if steps[step].uses.iter().any(|(used, by)| used == name && *by == producer) {
            return;
        }
        steps[step].uses.push((name.to_owned(), producer));
        if producer >= section.steps.end {
            let message = format!("{name:?} is captured by a step that runs later");
            diagnostics.push(
                Diagnostic::error("cyclic-needs", span, message)
                    .also(self.places[producer].of_capture(name), "captured here"),
            );
        } else if producer >= section.steps.start {
            steps[step].after.push(producer);
        }
    }
}

/// Makes sure that every step can begin.
pub(super) fn refuse_all_cycles(
    sections: &[PlanSection],
    steps: &mut [PlanStep],
    places: &[Places],
    diagnostics: &mut Diagnostics,
) {
    sections.iter().for_each(|section| refuse_cycles(section, steps, places, diagnostics));
}

fn path_of(section: &PlanSection) -> String {
    section.outline.cells.iter().map(|cell| cell.id.as_str()).collect::<Vec<_>>().join(".")
}

impl Places {
    /// Returns where a value is captured.
    fn of_capture(&self, name: &str) -> Span {
        self.captures.iter().find(|(captured, _)| captured == name).map_or(self.name, |(_, span)| *span)
    }
}

/// The steps that capture a value, by its name, each with its cells.
type Producers = HashMap<String, Vec<(Arc<str>, usize)>>;

fn producers(steps: &[PlanStep], places: &[Places], diagnostics: &mut Diagnostics) -> Producers {
    let mut producers = Producers::new();
    for (i, step) in steps.iter().enumerate() {
        for (name, _) in &step.capture {
            let all = producers.entry(name.clone()).or_default();
            if let Some((_, first)) = all.iter().find(|(path, _)| *path == places[i].path) {
                let message = format!("two steps capture {name:?}");
                let diagnostic = Diagnostic::error("duplicate-capture", places[i].of_capture(name), message);
                diagnostics.push(diagnostic.also(places[*first].of_capture(name), "the first one"));
            }
            all.push((Arc::clone(&places[i].path), i));
        }
    }
    producers
}

enum Found {
    None,
    One(usize),
    Several(usize),
}

/// Finds the step that captures a value for a cell: in the same cell, or the nearest one around it.
fn find_producer(producers: &Producers, name: &str, path: &str) -> Found {
    let all = producers.get(name).map(Vec::as_slice).unwrap_or_default();
    let around =
        |outer: &str| outer.is_empty() || outer == path || path.strip_prefix(outer).is_some_and(|p| p.starts_with('.'));
    match all.iter().filter(|(p, _)| around(p)).max_by_key(|(p, _)| p.len()) {
        Some((_, producer)) => Found::One(*producer),
        None => match all {
            [] => Found::None,
            [(_, producer)] => Found::One(*producer),
            several => Found::Several(several.len()),
        },
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
