//! Where a run stood, from its events alone: what is done stays done, what was cut off is open again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::event::{Event, EventKind, Look, Release, Resumption, Skip, StepResult, Waivers};
use crate::model::outline::{Part, SectionOutline, StepOutline, Weight};
use crate::model::{Decision, Outcome, SectionId, StepId};
use crate::plan::Plan;

use super::dispatcher::{Dispatcher, State};
use super::ending::Halt;
use super::hold::Gate;
use super::redact::{MASK, Redactor};
use super::references::{Baseline, Memory, measured_by};
use super::soak::Soaking;
use super::watching::Watching;
use super::worker::Captured;

/// Where a run stands, made from its events one after the other. Its size does not grow with the number of looks.
pub struct Point {
    plan: Arc<Plan>,
    redactor: Redactor,
    sections: HashMap<SectionId, usize>,
    steps: HashMap<StepId, usize>,
    seq: u64,
    last: DateTime<Utc>,
    started: DateTime<Utc>,
    planned: HashSet<usize>,
    /// Whether anything happened behind the plan, so that all of it was told.
    closed: bool,
    states: Vec<State>,
    /// The steps whose end is open again when the run is taken up.
    open: HashSet<usize>,
    /// The changes that were begun and have no end.
    begun: HashMap<usize, DateTime<Utc>>,
    /// How steps came out at the last checkpoint at which they were looked at.
    checked: HashMap<usize, (u32, Outcome, Option<Skip>)>,
    answers: HashMap<usize, Outcome>,
    gates: HashMap<usize, Gate>,
    declined: Option<(usize, Release)>,
    section_ends: Vec<Option<DateTime<Utc>>>,
    memories: HashMap<usize, Memory>,
    remembers: HashSet<usize>,
    watching: HashMap<usize, Watching>,
    measured: HashMap<usize, Baseline>,
    wanted: HashSet<usize>,
    captured: HashMap<usize, Captured>,
    soaking: Option<Soaking>,
    waivers: Option<Waivers>,
    decided: Option<Decision>,
    finished: bool,
    paused: bool,
    /// Whether the last process left on purpose.
    left: bool,
    differs: Vec<String>,
}

impl Point {
    /// Begins; the plan is that of the run's checklist and inputs.
    pub fn new(plan: Arc<Plan>) -> Self {
        let sections = plan.sections.iter().enumerate().map(|(n, s)| (s.outline.id.clone(), n)).collect();
        let steps = plan.steps.iter().enumerate().map(|(n, s)| (s.outline.id.clone(), n)).collect();
        let remembers = (0..plan.steps.len()).filter(|&n| super::references::remembers(&plan.steps[n])).collect();
        Self {
            redactor: Redactor::new(plan.secrets()),
            sections,
            steps,
            seq: 0,
            last: DateTime::UNIX_EPOCH,
            started: DateTime::UNIX_EPOCH,
            planned: HashSet::new(),
            closed: false,
            states: vec![State::Idle; plan.steps.len()],
            open: HashSet::new(),
            begun: HashMap::new(),
            checked: HashMap::new(),
            answers: HashMap::new(),
            gates: HashMap::new(),
            declined: None,
            section_ends: vec![None; plan.sections.len()],
            memories: HashMap::new(),
            remembers,
            watching: HashMap::new(),
            measured: HashMap::new(),
            wanted: Dispatcher::wanted_measures(&plan),
            captured: HashMap::new(),
            soaking: None,
            waivers: None,
            decided: None,
            finished: false,
            paused: false,
            left: false,
            differs: Vec::new(),
            plan,
        }
    }

    /// Takes the next event. Events of steps that the plan does not have are told by [`Point::differs`].
    pub fn take(&mut self, event: &Event) {
        self.seq = event.seq;
        if matches!(event.kind, EventKind::Notified { .. }) {
            // It says nothing of the run: it may come when nobody looks any more.
            return;
        }
        self.last = event.at;
        let plans = |kind: &EventKind| {
            matches!(kind, EventKind::RunStarted { .. } | EventKind::Planned { .. } | EventKind::Resumed { .. })
        };
        self.closed |= !plans(&event.kind);
        match &event.kind {
            EventKind::RunStarted { .. } => {
                self.started = event.at;
                self.soaking = self.plan.soak.as_ref().map(|soak| Soaking::new(soak, event.at));
                self.settle_checkpoint_steps();
            }
            EventKind::Planned { section, steps } => self.compare(section, steps),
            EventKind::StepStarted { step, .. } => self.note(step, |point, step| {
                if point.plan.steps[step].outline.changes.is_some() {
                    point.begun.insert(step, event.at);
                }
            }),
            EventKind::Looked { step, look } => self.note(step, |point, step| point.looked(step, look)),
            EventKind::StepFinished { step, result } => self.note(step, |point, step| point.ended(step, result)),
            EventKind::Checked { step, n, result } => self.note(step, |point, step| point.checked(step, *n, result)),
            EventKind::SectionFinished { section } => {
                if let Some(&section) = self.sections.get(section) {
                    self.section_ends[section] = Some(event.at);
                }
            }
            EventKind::CheckpointStarted { checkpoint } => self.begin_checkpoint(checkpoint),
            EventKind::Held { section } => {
                if let Some(&section) = self.sections.get(section) {
                    self.gates.entry(section).or_default();
                }
            }
            EventKind::Released { section, release } => {
                if let Some(&section) = self.sections.get(section) {
                    self.gates.insert(section, Gate { release: Some(release.clone()) });
                    if !release.accepted {
                        self.declined.get_or_insert_with(|| (section, release.clone()));
                    }
                }
            }
            EventKind::Answered { step, answer } => self.note(step, |point, step| {
                point.answers.insert(step, answer.outcome);
            }),
            EventKind::Waived { waivers } => self.waivers = Some(waivers.clone()),
            // What people decide when it has ended is not what the run acted on.
            EventKind::Decided { decision, .. } if !self.finished => self.decided = Some(*decision),
            EventKind::Decided { .. } => {}
            EventKind::Paused { .. } => (self.paused, self.left) = (true, true),
            EventKind::RunFinished { .. } => self.finished = true,
            EventKind::Resumed { .. } => self.reopen(),
            EventKind::Interrupted { .. }
            | EventKind::SectionStarted { .. }
            | EventKind::ClockMoved { .. }
            | EventKind::Waiting { .. }
            | EventKind::Notified { .. }
            | EventKind::Signed { .. } => {}
        }
    }

    /// Returns the number of the last event.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns when the run began.
    pub fn started(&self) -> DateTime<Utc> {
        self.started
    }

    /// Returns when the last event happened: nobody has looked since.
    pub fn last_seen(&self) -> DateTime<Utc> {
        self.last
    }

    /// Returns the waivers that were in effect.
    pub fn waivers(&self) -> Option<&Waivers> {
        self.waivers.as_ref()
    }

    /// Says how the plan differs from the one that the run was begun with, apart from places in its text.
    pub fn differs(&self) -> Vec<String> {
        let mut said = self.differs.clone();
        // A process that was killed while it told the plan has not told all of it.
        let missing = (0..self.plan.steps.len()).filter(|step| self.closed && !self.planned.contains(step));
        said.extend(missing.map(|step| format!("step {} is new", self.plan.steps[step].outline.id)));
        said
    }

    /// Says why there is nothing to go on with, if so. `signed` tells whether the signatures asked for are there.
    pub fn is_over(&self, signed: bool) -> Option<String> {
        if !self.finished {
            return None;
        }
        let decision = self.decided?;
        let waits = decision == Decision::Held && (signed || self.answered());
        match decision {
            Decision::Go | Decision::NoGo => Some(format!("it is over: {decision}")),
            Decision::Undecided | Decision::Held if !self.open.is_empty() || waits => None,
            Decision::Undecided | Decision::Held => {
                Some(format!("nothing of it is left to be done; it came out {decision}"))
            }
        }
    }

    /// Tells whether the process before left on purpose, because the run waited.
    pub fn was_paused(&self) -> bool {
        self.left
    }

    fn answered(&self) -> bool {
        !self.answers.is_empty()
    }

    fn note(&mut self, id: &StepId, act: impl FnOnce(&mut Self, usize)) {
        if let Some(&step) = self.steps.get(id) {
            act(self, step);
        }
    }

    fn compare(&mut self, section: &SectionOutline, steps: &[StepOutline]) {
        match self.sections.get(&section.id) {
            None => self.differs.push(format!("section {} is gone", section.id)),
            Some(&at) => {
                let (mut now, _) = self.as_recorded(at, None);
                now.origin = section.origin.clone();
                if now != *section {
                    self.differs.push(format!("section {} is another", section.id));
                }
            }
        }
        for step in steps {
            let Some(&at) = self.steps.get(&step.id) else {
                self.differs.push(format!("step {} is gone", step.id));
                continue;
            };
            self.planned.insert(at);
            let section = self.sections.get(&section.id).copied().unwrap_or_default();
            let (_, now) = self.as_recorded(section, Some(at));
            if !now.is_some_and(|now| same_but_for_places(&now, step)) {
                self.differs.push(format!("step {} is another", step.id));
            }
        }
    }

    /// Returns a section, and a step of it, as they would stand in the record: secrets are masked there.
    fn as_recorded(&self, section: usize, step: Option<usize>) -> (SectionOutline, Option<StepOutline>) {
        let section = self.plan.sections[section].outline.clone();
        let steps = step.map(|step| self.plan.steps[step].outline.clone()).into_iter().collect();
        let mut planned = EventKind::Planned { section: section.clone(), steps };
        self.redactor.event(&mut planned);
        match planned {
            EventKind::Planned { section, mut steps } => (section, steps.pop()),
            _ => (section, None),
        }
    }

    fn looked(&mut self, step: usize, look: &Look) {
        if self.remembers.contains(&step) {
            self.memories.entry(step).or_default().take(look);
        }
        if !self.watching.contains_key(&step)
            && let Some(window) = Watching::open(&self.plan.steps[step].window)
        {
            self.watching.insert(step, window);
        }
        if let Some(window) = self.watching.get_mut(&step) {
            window.recall(look);
        }
    }

    fn ended(&mut self, step: usize, result: &StepResult) {
        self.states[step] = State::Done(result.outcome, result.skip);
        self.begun.remove(&step);
        match result.is_open() {
            true => self.open.insert(step),
            false => self.open.remove(&step),
        };
        if !result.cut {
            self.watching.remove(&step);
        }
        if let Some(soaking) = self.soaking.as_mut().filter(|soaking| soaking.steps.contains(&step)) {
            match result.is_open() {
                true => soaking.ended.remove(&step),
                false => soaking.ended.insert(step),
            };
        }
        self.keep(step, result);
    }

    fn checked(&mut self, step: usize, n: u32, result: &StepResult) {
        self.states[step] = State::Done(result.outcome, result.skip);
        self.begun.remove(&step);
        self.watching.remove(&step);
        self.checked.insert(step, (n, result.outcome, result.skip));
        if let Some(soaking) = &mut self.soaking {
            soaking.take(step, n, result);
        }
        self.keep(step, result);
    }

    fn keep(&mut self, step: usize, result: &StepResult) {
        if let Some(look) = result.look.as_ref().filter(|_| self.remembers.contains(&step) && result.looks <= 1) {
            self.memories.entry(step).or_default().take(look);
        }
        if self.wanted.contains(&step) {
            self.measured.insert(step, measured_by(&self.plan.steps[step], result));
        }
        if !result.captured.is_empty() {
            // What was a secret is not in the record: a step that needs it says so.
            let whole = result.captured.iter().filter(|(_, value)| !value.to_string().contains(MASK));
            self.captured.insert(step, whole.cloned().collect());
        }
    }

    fn begin_checkpoint(&mut self, checkpoint: &crate::event::Checkpoint) {
        let Some(soaking) = &mut self.soaking else { return };
        soaking.begun = Some(checkpoint.n);
        if checkpoint.slot == crate::model::outline::Slot::Checkpoint {
            for &step in &soaking.steps {
                self.states[step] = State::Idle;
                self.watching.remove(&step);
            }
        }
    }

    fn settle_checkpoint_steps(&mut self) {
        let plan = Arc::clone(&self.plan);
        if let Some(soaking) = &mut self.soaking {
            soaking.learn_steps(&plan);
        }
    }

    fn reopen(&mut self) {
        for step in self.open.drain() {
            self.states[step] = State::Idle;
        }
        (self.decided, self.finished, self.paused, self.left) = (None, false, false, false);
    }

    /// Opens what is open, but for what people answered and what was looked at at the checkpoint under way.
    fn settle(&mut self) {
        let open: Vec<usize> = self.open.iter().copied().collect();
        self.reopen();
        let under_way = self.soaking.as_ref().and_then(|soaking| soaking.begun);
        for step in open {
            if let Some((_, outcome, skip)) = self.checked.get(&step).filter(|(n, ..)| Some(*n) == under_way) {
                self.states[step] = State::Done(*outcome, *skip);
            }
        }
        for (step, outcome) in &self.answers {
            self.states[*step] = State::Done(*outcome, None);
        }
    }
}

impl Dispatcher {
    /// Goes on where a run stood.
    pub(super) async fn take_up(&mut self, mut point: Point, resumption: Option<Resumption>) {
        if let Some(resumption) = resumption {
            self.emitter.emit(EventKind::Resumed { resumption });
        }
        if !point.closed {
            self.announce_plan(&point.planned).await;
        }
        if self.options.waivers != point.waivers {
            self.say_waivers();
        }
        point.settle();
        self.states = point.states;
        self.gates = point.gates;
        self.section_ends = point.section_ends;
        self.memories = point.memories;
        self.watching = point.watching;
        self.measured = point.measured;
        self.soaking = point.soaking;
        for (step, captured) in point.captured {
            self.keep_captured(step, captured.into_iter().collect());
        }
        let mut begun: Vec<(usize, DateTime<Utc>)> = point.begun.into_iter().collect();
        begun.sort_unstable();
        for (step, at) in begun {
            let when = super::soak::stamp(at);
            let reason = format!("it was begun at {when} and the run was cut off: whether it was done is not known");
            let result = self.unrun(Outcome::Inconclusive, None, reason);
            self.finish(step, result);
        }
        // What had stopped the run stops it again.
        self.halt = match point.declined {
            Some((section, release)) => Some(Halt::Declined(section, release)),
            None => self.tripped().map(Halt::Tripped),
        };
        self.emitter.flush().await;
    }

    fn tripped(&self) -> Option<usize> {
        let guards = self.plan.sections.iter().filter(|section| section.outline.part == Part::Guard);
        guards.flat_map(|section| section.steps.clone()).find(|&step| {
            let required = self.plan.steps[step].outline.weight == Weight::Required;
            required && matches!(self.states[step], State::Done(Outcome::Fail, _)) && !self.is_waived(step)
        })
    }
}

/// Compares outlines apart from the places in which they are written.
fn same_but_for_places(a: &StepOutline, b: &StepOutline) -> bool {
    let plain = |outline: &StepOutline| {
        let mut value = serde_json::to_value(outline).unwrap_or_default();
        strip_places(&mut value);
        value
    };
    plain(a) == plain(b)
}

fn strip_places(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            map.remove("origin");
            map.values_mut().for_each(strip_places);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(strip_places),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}
