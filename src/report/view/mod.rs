//! A run as its readers see it: grouped, ordered and worded once for all formats.
//!
//! Nothing is copied: a view points into the record, and words are made when a format asks for them, so that a report
//! of a hundred thousand steps takes no more memory than the record itself.

mod counts;
mod course;
mod expected;
mod head;
mod margins;
mod next;
pub mod people;
mod step;

use std::sync::Arc;

pub use counts::Counts;
pub use course::{Grid, GridRow, Happened, HoldView, Occasion, WaiverView, WaiversView};
pub use head::{AppendixView, Head, InputView, Pair, RoleView, machine_moment, moment};
pub use margins::MarginView;
pub use people::SignatureView;
pub use step::{FindingView, SampleView, Step};

use crate::event::Skip;
use crate::model::outline::{Part, Role, Weight};
use crate::model::{Decision, Outcome};
use crate::record::{RunRecord, SectionRecord};
use crate::signoff::Ruling;
use crate::signoff::approval::RoleState;

/// A run as its readers see it. Cheap to clone.
#[derive(Clone)]
pub struct RunView(Arc<Shared>);

struct Shared {
    record: Arc<RunRecord>,
    ruling: Ruling,
    counts: Counts,
    attention: Arc<[Place]>,
    trial: Arc<[Place]>,
    not_run: Arc<[Place]>,
}

/// Where a step stands in the record: its section's index and its own.
pub type Place = (usize, usize);

impl RunView {
    /// Looks at a run and the ruling on it.
    pub fn new(record: impl Into<Arc<RunRecord>>, ruling: &Ruling) -> Self {
        let record = record.into();
        let places = || record.sections.iter().enumerate().flat_map(|(s, r)| (0..r.steps.len()).map(move |i| (s, i)));
        let chosen = |take: &dyn Fn(Step<'_>) -> bool| -> Vec<Place> {
            places().filter(|(s, i)| take(Step::new(&record.sections[*s], *i))).collect()
        };
        let mut attention = chosen(&|step| !step.is_trial() && urgency(step.outcome()).is_some());
        attention.sort_by_key(|(s, i)| urgency(record.sections[*s].steps[*i].outcome()));
        let trial = chosen(&|step| step.is_trial() && step.outcome() != Outcome::Skipped);
        let not_run = chosen(&|step| step.outcome() == Outcome::Skipped);
        let counts = Counts::of(&record);
        Self(Arc::new(Shared {
            attention: attention.into(),
            trial: trial.into(),
            not_run: not_run.into(),
            counts,
            ruling: ruling.clone(),
            record,
        }))
    }

    /// Returns the record.
    pub fn record(&self) -> &RunRecord {
        &self.0.record
    }

    /// Returns the decision.
    pub fn decision(&self) -> Decision {
        self.0.ruling.decision
    }

    /// Tells whether CI should be red: the decision is no-go or undecided.
    pub fn is_red(&self) -> bool {
        matches!(self.decision(), Decision::NoGo | Decision::Undecided)
    }

    /// Tells whether a step counts against the decision: it did not come out well, it is required (or the run is
    /// strict), it stands in a section, and the decision is no-go or undecided. When that is not so, somebody answers for the step.
    pub fn counts_against(&self, step: &Step<'_>) -> bool {
        let strict = self.record().header.strict;
        let against = match (step.outcome(), step.weight()) {
            (_, Weight::Trial) => false,
            (Outcome::Fail | Outcome::Error | Outcome::Inconclusive, Weight::Required) => true,
            (Outcome::Fail | Outcome::Error | Outcome::Inconclusive, Weight::Optional) => strict,
            (Outcome::Warn, Weight::Required | Weight::Optional) => strict,
            (Outcome::Pass | Outcome::Pending | Outcome::Skipped | Outcome::NotApplicable, _) => false,
        };
        let counts = matches!(step.section().outline.part, Part::Section | Part::Guard);
        let against = against && counts;
        against && self.is_red()
    }

    /// Returns why, one line each.
    pub fn reasons(&self) -> &[String] {
        &self.0.ruling.reasons
    }

    /// Returns how many steps came out how.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Returns who, what, where, with what.
    pub fn head(&self) -> Head {
        Head::of(&self.0.record)
    }

    /// Returns one line that says why.
    pub fn headline(&self) -> String {
        match (self.reasons(), self.decision()) {
            ([], Decision::Go) => match self.not_run().len() {
                0 => "every required step passed".into(),
                1 => "every required step that ran passed; 1 step was not run".into(),
                n => format!("every required step that ran passed; {n} steps were not run"),
            },
            ([], Decision::NoGo) => "a required step failed".into(),
            ([], Decision::Undecided) => "there is not enough to say".into(),
            ([], Decision::Held) => "something waits for a person".into(),
            ([one], _) => one.clone(),
            ([first, rest @ ..], _) => format!("{first} (the first of {} reasons)", rest.len() + 1),
        }
    }

    /// Returns a step by its place.
    pub fn step(&self, (section, step): Place) -> Option<Step<'_>> {
        let section = self.0.record.sections.get(section)?;
        (step < section.steps.len()).then(|| Step::new(section, step))
    }

    /// Returns the steps that need a reader's attention, the most urgent first: failed, could not look, not enough to
    /// say, waiting, warned.
    pub fn attention(&self) -> &Arc<[Place]> {
        &self.0.attention
    }

    /// Returns the steps on probation that ran.
    pub fn trial(&self) -> &Arc<[Place]> {
        &self.0.trial
    }

    /// Returns the steps that were not run.
    pub fn not_run(&self) -> &Arc<[Place]> {
        &self.0.not_run
    }

    /// Returns the indexes of the sections that count for the decision.
    pub fn sections(&self) -> impl Iterator<Item = usize> {
        self.parts(|part| part == Part::Section)
    }

    /// Returns the indexes of the parts that are watched beside everything else.
    pub fn guards(&self) -> impl Iterator<Item = usize> {
        self.parts(|part| part == Part::Guard)
    }

    /// Returns the indexes of the parts that act on the decision.
    pub fn actions(&self) -> impl Iterator<Item = usize> {
        self.parts(|part| !matches!(part, Part::Section | Part::Guard))
    }

    fn parts(&self, take: fn(Part) -> bool) -> impl Iterator<Item = usize> {
        let sections = self.0.record.sections.iter().enumerate();
        sections.filter(move |(_, s)| take(s.outline.part)).map(|(index, _)| index)
    }

    /// Returns the places of a section's steps that ran and are not on probation.
    pub fn ran(&self, section: usize) -> Vec<Place> {
        let Some(of) = self.0.record.sections.get(section) else { return Vec::new() };
        let ran = |i: &usize| {
            let step = Step::new(of, *i);
            !step.is_trial() && step.outcome() != Outcome::Skipped
        };
        (0..of.steps.len()).filter(ran).map(|i| (section, i)).collect()
    }

    /// Returns the occasions of a soak, those to come among them.
    pub fn timetable(&self) -> Vec<Occasion> {
        course::timetable(&self.0.record)
    }

    /// Returns the cells of a matrix against its sections.
    pub fn grid(&self) -> Option<Grid> {
        course::grid(&self.0.record)
    }

    /// Returns the hold points.
    pub fn holds(&self) -> Vec<HoldView> {
        course::holds(&self.0.record)
    }

    /// Names the cell of a section, the outermost first; empty without a matrix.
    pub fn cell(&self, section: &SectionRecord) -> String {
        course::cell(section)
    }

    /// Names a section with its cell; a name that tells its cell already needs no telling twice.
    pub fn title(&self, section: &SectionRecord) -> String {
        let cell = self.cell(section);
        match section.outline.name.contains(&cell) {
            true => section.outline.name.clone(),
            false => format!("{} — {cell}", section.outline.name),
        }
    }

    /// Returns how far what passed is from its limit.
    pub fn margins(&self) -> Vec<MarginView> {
        margins::all(&self.0.record)
    }

    /// Returns the waivers in effect.
    pub fn waivers(&self) -> Option<WaiversView> {
        course::waivers(&self.0.record)
    }

    /// Returns what happened on the way: pauses, resumptions, clocks.
    pub fn happened(&self) -> Vec<Happened> {
        course::happened(&self.0.record)
    }

    /// Returns what a reader should see beside the steps: waived failures, waivers and signatures that do not act.
    pub fn remarks(&self) -> &[String] {
        &self.0.ruling.remarks
    }

    /// Returns the conditions under which people agreed.
    pub fn conditions(&self) -> &[String] {
        &self.0.ruling.conditions
    }

    /// Returns who signed.
    pub fn signatures(&self) -> Vec<SignatureView> {
        people::signatures(&self.0.ruling.holds, &self.0.ruling.approval)
    }

    /// Returns the roles that must sign at the end, and who fills them.
    pub fn roles(&self) -> Vec<RoleState> {
        let ruled = &self.0.ruling.approval.roles;
        let asked = |role: &Role| RoleState {
            role: role.role.clone(),
            needs: role.needs,
            members: role.members.clone(),
            by: Vec::new(),
        };
        match ruled.is_empty() {
            true => self.record().header.roles.iter().map(asked).collect(),
            false => ruled.clone(),
        }
    }

    /// Returns the commands that verify the signatures without this program, one a line; nothing without signatures.
    pub fn signature_commands(&self) -> String {
        people::commands(&self.record().run, &self.signatures())
    }

    /// Returns the commands that lead on from here, each with what it does.
    pub fn next_steps(&self) -> Vec<Pair> {
        next::steps(self)
    }
}

/// Words which part a section stands in.
pub fn part_word(section: &SectionRecord) -> &'static str {
    match section.outline.part {
        Part::Section => "section",
        Part::Guard => "guards",
        Part::OnGo => "after a go",
        Part::OnNoGo => "after a no-go",
        Part::Always => "always",
    }
}

/// Words how much a step counts.
pub fn weight_word(weight: Weight) -> &'static str {
    match weight {
        Weight::Required => "required",
        Weight::Optional => "optional",
        Weight::Trial => "trial",
    }
}

/// Words why a step was not run.
pub fn skip_word(skip: Skip) -> &'static str {
    match skip {
        Skip::Condition => "condition",
        Skip::Blocked => "blocked",
        Skip::Waiting => "waiting",
        Skip::NotSelected => "not selected",
        Skip::Refused => "refused",
        Skip::NotReached => "not reached",
    }
}

fn urgency(outcome: Outcome) -> Option<u8> {
    match outcome {
        Outcome::Fail => Some(0),
        Outcome::Error => Some(1),
        Outcome::Inconclusive => Some(2),
        Outcome::Pending => Some(3),
        Outcome::Warn => Some(4),
        Outcome::Pass | Outcome::Skipped | Outcome::NotApplicable => None,
    }
}
