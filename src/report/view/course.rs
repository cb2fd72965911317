//! The course of a run that is spread over hours, cells and people: its timetable, its grid, its hold points, what
//! happened to it on the way. Each is empty for a run that has none.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::head::moment;
use super::{Step, urgency};
use crate::event::{Checkpoint, Observed, Release};
use crate::model::outline::{Part, Slot};
use crate::model::waiver::Waiver;
use crate::model::{Outcome, quantity};
use crate::record::{RunRecord, SectionRecord};

/// One occasion of a soak: the start, a checkpoint, the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Occasion {
    /// Its number, 0 for the start.
    pub n: u32,
    /// What it is: `start`, `+4h`, `end, +24h`.
    pub what: String,
    /// When it was due, UTC.
    pub due: String,
    /// How it was looked at: `in time`, `12m late`, `missed`, `not yet`.
    pub observed: String,
    /// The worst outcome of its steps, one word; empty when none was looked at.
    pub outcome: &'static str,
    /// How many steps came out how: `3 pass, 1 fail`.
    pub counts: String,
}

/// The cells of a matrix against its sections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grid {
    /// The sections, the headings of the columns.
    pub columns: Vec<String>,
    /// The cells.
    pub rows: Vec<GridRow>,
}

/// One cell of a matrix and how its sections came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GridRow {
    /// The cell.
    pub name: String,
    /// The worst outcome of each section, one word; empty where the cell has no such section.
    pub outcomes: Vec<&'static str>,
}

/// A hold point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HoldView {
    /// The section's id.
    pub id: String,
    /// The section.
    pub section: String,
    /// Who must sign; empty when a plain yes is enough.
    pub roles: Vec<String>,
    /// `not reached`, `waiting`, `released` or `declined`.
    pub state: &'static str,
    /// By whom; empty while it waits.
    pub by: String,
    /// What stands behind it: `signed`, or `a yes without a signature`; empty while it waits.
    pub how: &'static str,
    /// When, UTC; empty while it waits.
    pub at: String,
    /// With which words.
    pub note: String,
}

/// Something that happened to a run on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Happened {
    /// When, UTC.
    pub at: String,
    /// What.
    pub what: String,
}

/// The waivers in effect, with the file that they come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaiversView {
    /// The file.
    pub file: String,
    /// The SHA-256 of its bytes.
    pub digest: String,
    /// The waivers.
    pub list: Vec<WaiverView>,
}

/// A failure that somebody answers for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaiverView {
    /// The step.
    pub step: String,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub approved_by: String,
    /// From when, UTC.
    pub from: String,
    /// Until when, UTC.
    pub until: String,
}

/// Returns the waivers in effect.
pub(super) fn waivers(record: &RunRecord) -> Option<WaiversView> {
    let waivers = record.waivers.as_ref()?;
    let view = |waiver: &Waiver| WaiverView {
        step: waiver.step.to_string(),
        reason: waiver.reason.clone(),
        approved_by: waiver.approved_by.clone(),
        from: moment(waiver.from),
        until: moment(waiver.until),
    };
    let list = waivers.waivers.iter().map(view).collect();
    Some(WaiversView { file: waivers.file.clone(), digest: waivers.digest.clone(), list })
}

/// Lists the occasions of a soak, those to come among them.
pub(super) fn timetable(record: &RunRecord) -> Vec<Occasion> {
    let Some(soak) = record.header.soak else { return Vec::new() };
    let begun: HashMap<u32, &(DateTime<Utc>, Checkpoint)> = record.checkpoints.iter().map(|c| (c.1.n, c)).collect();
    let tallies = tallies(record, soak.checkpoints() + 1);
    let none = Tally::default();
    let occasion = |n: u32| {
        let after = soak.after(n)?;
        let (begun, tally) = (begun.get(&n).copied(), tallies.get(&n).unwrap_or(&none));
        Some(Occasion {
            n,
            what: match soak.slot(n) {
                Slot::Start => "start".to_owned(),
                Slot::Checkpoint => format!("+{}", length(after)),
                Slot::End => format!("end, +{}", length(after)),
            },
            due: moment(begun.map_or(record.started + after, |(_, c)| c.due)),
            observed: match begun.map(|(_, c)| c.how) {
                None if record.finished.is_some() => "not reached".to_owned(),
                None => "not yet".to_owned(),
                Some(Observed::InTime) => "in time".to_owned(),
                Some(Observed::Late) => {
                    begun.map(|(at, c)| format!("{} late", length(*at - c.due))).unwrap_or_default()
                }
                Some(Observed::Missed) => "missed".to_owned(),
            },
            outcome: worst(tally.outcomes()).map_or("", Outcome::word),
            counts: tally.words(),
        })
    };
    // A start or an end at which nothing is looked at is no occasion.
    let empty = |o: &Occasion| {
        soak.slot(o.n) != Slot::Checkpoint && !begun.contains_key(&o.n) && !planned(record, soak.slot(o.n))
    };
    (0..).map_while(occasion).filter(|o| !empty(o)).collect()
}

/// Tells whether the checklist looks at something then.
fn planned(record: &RunRecord, slot: Slot) -> bool {
    let sections = record.sections.iter().filter(|s| s.outline.part == Part::Section);
    sections.map(|s| s.outline.at.unwrap_or(Slot::Start)).any(|at| at == slot)
}

/// How the steps of one occasion came out.
#[derive(Default)]
struct Tally {
    counts: [usize; Outcome::ALL.len()],
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        let of = Outcome::ALL.iter().zip(&mut self.counts).find(|(o, _)| **o == outcome);
        of.into_iter().for_each(|(_, count)| *count += 1);
    }

    fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        Outcome::ALL.into_iter().zip(self.counts).filter(|(_, n)| *n > 0).map(|(outcome, _)| outcome)
    }

    fn words(&self) -> String {
        let some = Outcome::ALL.iter().zip(self.counts).filter(|(_, n)| *n > 0);
        some.map(|(outcome, n)| format!("{n} {outcome}")).collect::<Vec<_>>().join(", ")
    }
}

/// Counts the occasions in one pass: a week of minutes has ten thousand of them.
fn tallies(record: &RunRecord, end: u32) -> HashMap<u32, Tally> {
    let mut tallies: HashMap<u32, Tally> = HashMap::new();
    for section in record.sections.iter().filter(|s| s.outline.part == Part::Section) {
        for step in Step::all(section).filter(|step| !step.is_trial()) {
            match section.outline.at.unwrap_or(Slot::Start) {
                Slot::Checkpoint => {
                    for sample in step.samples().filter(|s| s.n.is_some()) {
                        let tally = tallies.entry(sample.n.unwrap_or_default()).or_default();
                        tally.add(sample.outcome);
                    }
                }
                slot @ (Slot::Start | Slot::End) if step.result().is_some() => {
                    let n = if slot == Slot::Start { 0 } else { end };
                    tallies.entry(n).or_default().add(step.outcome());
                }
                Slot::Start | Slot::End => {}
            }
        }
    }
    tallies
}

/// Makes the grid of a matrix; nothing without one.
pub(super) fn grid(record: &RunRecord) -> Option<Grid> {
    let sections = || record.sections.iter().filter(|s| s.outline.part == Part::Section && !s.outline.cells.is_empty());
    let mut columns: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut rows: Vec<String> = Vec::new();
    for section in sections() {
        let of = written(section);
        match columns.iter_mut().find(|(id, _)| *id == of) {
            Some((_, names)) => names.push(&section.outline.name),
            None => columns.push((of, vec![&section.outline.name])),
        }
        let row = cell(section);
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return None;
    }
    let outcome = |row: &str, of: &str| {
        let section = sections().find(|s| cell(s) == row && written(s) == of)?;
        worst(Step::all(section).filter(|s| !s.is_trial()).map(|s| s.outcome())).map(Outcome::word)
    };
    let row = |name: &String| GridRow {
        name: name.clone(),
        outcomes: columns.iter().map(|(of, _)| outcome(name, of).unwrap_or_default()).collect(),
    };
    let rows = rows.iter().map(row).collect();
    // A name that differs from cell to cell names no column.
    let heading = |(of, names): &(&str, Vec<&str>)| match names.iter().all(|name| name == &names[0]) {
        true => names[0].to_owned(),
        false => (*of).to_owned(),
    };
    Some(Grid { columns: columns.iter().map(heading).collect(), rows })
}

/// Names the cell of a section, the outermost first: `us-east / 10`.
pub(super) fn cell(section: &SectionRecord) -> String {
    let ids: Vec<_> = section.outline.cells.iter().map(|cell| cell.id.as_str()).collect();
    ids.join(" / ")
}

fn written(section: &SectionRecord) -> &str {
    section.outline.of.as_ref().unwrap_or(&section.outline.id).as_str()
}

/// Lists the hold points in the order of the checklist.
pub(super) fn holds(record: &RunRecord) -> Vec<HoldView> {
    let hold = |section: &SectionRecord| {
        let hold = section.outline.hold.as_ref()?;
        let last = section.releases.last();
        let release = last.map(|(_, release)| release);
        Some(HoldView {
            id: section.outline.id.to_string(),
            section: section.outline.name.clone(),
            roles: hold.sign.clone(),
            state: match (release, section.held) {
                (Some(Release { accepted: true, .. }), _) => "released",
                (Some(Release { accepted: false, .. }), _) => "declined",
                (None, Some(_)) => "waiting",
                (None, None) => "not reached",
            },
            by: release.map(|r| r.by.clone()).unwrap_or_default(),
            how: match release {
                Some(Release { signed: true, .. }) => "signed",
                Some(Release { signed: false, .. }) => "a yes without a signature",
                None => "",
            },
            at: last.map(|(at, _)| moment(*at)).unwrap_or_default(),
            note: release.map(|r| r.note.clone()).unwrap_or_default(),
        })
    };
    record.sections.iter().filter_map(hold).collect()
}

/// Lists what happened to the run on its way, in order: pauses, resumptions, clocks.
pub(super) fn happened(record: &RunRecord) -> Vec<Happened> {
    let mut all: Vec<(DateTime<Utc>, String)> = Vec::new();
    for (at, resumption) in &record.resumptions {
        let gap = length(*at - resumption.last_seen);
        let mut what = format!(
            "taken up again by {} on {} ({}); nobody looked for {gap}",
            resumption.by, resumption.host, resumption.how
        );
        for accepted in &resumption.accepted {
            what.push_str("; accepted: ");
            what.push_str(accepted);
        }
        all.push((*at, what));
    }
    all.extend(record.clock.iter().map(|(at, what)| (*at, format!("the clock: {what}"))));
    if let Some(paused) = &record.paused {
        let until = paused.until.map(|until| format!(", until {}", moment(until))).unwrap_or_default();
        all.push((paused.at, format!("paused: {}{until}", paused.why)));
    }
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(at, what)| Happened { at: moment(at), what }).collect()
}

/// Returns the worst outcome; nothing of nothing. What passed and what was skipped is a pass where one passed.
pub(super) fn worst(outcomes: impl Iterator<Item = Outcome>) -> Option<Outcome> {
    let rank = |outcome: &Outcome| match (urgency(*outcome), outcome) {
        (Some(urgency), _) => urgency,
        (None, Outcome::Skipped) => 7,
        (None, _) => 6,
    };
    outcomes.min_by_key(rank)
}

fn length(time: TimeDelta) -> String {
    quantity::seconds(time.num_seconds().max(0) as f64)
}
