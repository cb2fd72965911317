//! The timetable of a run that is spread over hours: what is due when, what was missed, and what it all comes to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::{Checkpoint, EventKind, Look, Observed, Skip, StepResult};
use crate::judge;
use crate::judge::window::{Counts, Occasions};
use crate::model::outline::{Missed, Slot, Soak};
use crate::model::{Outcome, quantity};
use crate::plan::{Plan, SoakPlan};

use super::dispatcher::{Dispatcher, State};
use super::lanes::{Doing, Task, sections_of};

/// What is due when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timetable {
    times: Soak,
    started: DateTime<Utc>,
}

impl Timetable {
    /// Makes the timetable of a soak that began at `started`.
    pub fn new(times: Soak, started: DateTime<Utc>) -> Self {
        Self { times, started }
    }

    /// Counts the checkpoints; the end has the number after the last.
    pub fn checkpoints(&self) -> u32 {
        self.times.checkpoints()
    }

    /// Returns when a checkpoint is due; 0 is the start.
    pub fn due(&self, n: u32) -> DateTime<Utc> {
        let after = self.times.after(n).unwrap_or_default();
        self.started.checked_add_signed(after).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Tells what a number stands for.
    pub fn slot(&self, n: u32) -> Slot {
        self.times.slot(n)
    }

    /// Names a checkpoint by its time: `+8h`.
    pub fn label(&self, n: u32) -> String {
        let since = (self.due(n) - self.started).num_milliseconds() as f64 / 1e3;
        format!("+{}", quantity::seconds(since))
    }

    fn grace(&self) -> TimeDelta {
        TimeDelta::milliseconds(i64::try_from(self.times.grace_ms).unwrap_or(i64::MAX / 2))
    }
}

/// A soak that goes on.
pub(super) struct Soaking {
    pub table: Timetable,
    /// The steps that are looked at at every checkpoint.
    pub steps: HashSet<usize>,
    /// What goes on now.
    pub now: Option<Occasion>,
    /// The last one that was begun, by whatever process.
    pub begun: Option<u32>,
    sums: HashMap<usize, Sum>,
    /// The steps whose checkpoints were summed up by a process before.
    pub ended: HashSet<usize>,
    /// Whether the checkpoints are summed up already.
    summed: bool,
}

/// A start, a checkpoint or an end that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Occasion {
    pub n: u32,
    pub slot: Slot,
    pub due: DateTime<Utc>,
    pub how: Observed,
}

/// A step's checkpoints so far.
#[derive(Clone, Default)]
struct Sum {
    occasions: Occasions,
    look: Option<Box<Look>>,
    looks: u32,
    flaky: bool,
    started: Option<DateTime<Utc>>,
}

impl Soaking {
    pub(super) fn new(plan: &SoakPlan, started: DateTime<Utc>) -> Self {
        let table = Timetable::new(plan.times, started);
        Self {
            table,
            steps: HashSet::new(),
            now: None,
            begun: None,
            sums: HashMap::new(),
            ended: HashSet::new(),
            summed: false,
        }
    }

    /// Learns which steps are looked at at every checkpoint.
    pub(super) fn learn_steps(&mut self, plan: &Plan) {
        let sections = plan.soak.iter().flat_map(|soak| sections_of(&soak.checkpoint));
        self.steps = sections.flat_map(|section| plan.sections[section].steps.clone()).collect();
    }

    /// Sets when it began.
    pub(super) fn begin(&mut self, started: DateTime<Utc>) {
        self.table.started = started;
    }

    /// Returns from when to when the soak goes so far.
    pub(super) fn reach(&self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let end = self.now.filter(|at| at.slot != Slot::Start).map_or(now, |at| at.due);
        (self.table.started, end)
    }

    /// Takes how a step came out at a checkpoint.
    pub(super) fn take(&mut self, step: usize, n: u32, result: &StepResult) {
        let first = result.look.as_ref().is_some_and(|look| judge::is_first(&look.verdict));
        let counts = match (result.skip, result.outcome) {
            (Some(Skip::Condition | Skip::NotSelected), _) => Counts::LeftOut,
            (_, Outcome::Inconclusive) if first => Counts::First,
            (_, outcome) => Counts::As(outcome),
        };
        let label = self.table.label(n);
        let sum = self.sums.entry(step).or_default();
        let decides = sum.occasions.take(&label, counts, &result.reason);
        if decides || sum.look.is_none() {
            sum.look = result.look.clone();
        }
        sum.looks = sum.looks.saturating_add(result.looks);
        sum.flaky |= result.flaky;
        sum.started.get_or_insert(result.started);
    }
}

impl Dispatcher {
    /// Begins the start, a checkpoint or the end when its time has come.
    pub(super) fn occasion(&mut self, lane: usize, n: u32) {
        let plan = Arc::clone(&self.plan);
        let (Some(soak), Some(soaking)) = (&plan.soak, &mut self.soaking) else { return };
        if soaking.steps.is_empty() {
            soaking.learn_steps(&plan);
        }
        let n = n.max(soaking.begun.filter(|_| n > 0).unwrap_or_default());
        let table = soaking.table;
        let slot = table.slot(n);
        if self.options.past.is_some() && table.due(n) > self.shop.world.clock.now() && self.halt.is_none() {
            self.break_off(format!("{} is not yet past", stamp(table.due(n))));
        }
        let ends = self.halt.is_some() || (slot == Slot::Checkpoint && self.is_fenced(lane));
        let due = table.due(n);
        if slot == Slot::Checkpoint && (ends || soak.checkpoint.is_empty()) {
            // What is left of the soak cannot be had any more: its end says so.
            self.lanes[lane].tasks.push_front(Task::Occasion(table.checkpoints() + 1));
            return;
        }
        if !ends && slot != Slot::Start && self.options.past.is_none() && !self.timepiece.until(due).is_zero() {
            let why = match slot {
                Slot::Start | Slot::Checkpoint => {
                    format!("checkpoint {n} of {} ({}), due {}", table.checkpoints(), table.label(n), stamp(due))
                }
                Slot::End => format!("the end of the soak ({}), due {}", table.label(n), stamp(due)),
            };
            self.lanes[lane].tasks.push_front(Task::Occasion(n));
            self.lanes[lane].doing = Doing::Until(due, why);
            return;
        }
        if slot == Slot::End {
            self.sum_up();
        }
        if !ends {
            self.begin_occasion(n, due);
        }
        let flow = match slot {
            Slot::Start => &plan.flow,
            Slot::Checkpoint => &soak.checkpoint,
            Slot::End => &soak.end,
        };
        let next = (slot != Slot::End).then_some(Task::Occasion(n + 1));
        let tasks: Vec<Task> = flow.iter().cloned().map(Task::of).chain(next).collect();
        for task in tasks.into_iter().rev() {
            self.lanes[lane].tasks.push_front(task);
        }
    }

    fn begin_occasion(&mut self, n: u32, due: DateTime<Utc>) {
        let late = self.timepiece.now() - due;
        let past = self.options.past.is_some();
        let Some(soaking) = &mut self.soaking else { return };
        let slot = soaking.table.slot(n);
        let missed = soaking.table.times.missed;
        let how = match slot {
            Slot::Start => Observed::InTime,
            Slot::Checkpoint | Slot::End if !past && late <= soaking.table.grace() => Observed::InTime,
            Slot::Checkpoint if missed == Missed::Inconclusive && !past => Observed::Missed,
            Slot::Checkpoint | Slot::End => Observed::Late,
        };
        soaking.now = Some(Occasion { n, slot, due, how });
        // What a process before has begun is not begun again; its steps that have ended stay as they are.
        if soaking.begun.is_some_and(|begun| begun >= n) {
            return;
        }
        soaking.begun = Some(n);
        if slot == Slot::Checkpoint {
            for step in &soaking.steps {
                self.states[*step] = State::Idle;
            }
        }
        let checkpoint = Checkpoint { n, slot, due, how };
        self.emitter.emit(EventKind::CheckpointStarted { checkpoint });
    }

    /// Returns the number of the checkpoint at which a step is being looked at; nothing when its end is for good.
    pub(super) fn checkpoint_of(&self, step: usize) -> Option<u32> {
        let soaking = self.soaking.as_ref().filter(|soaking| !soaking.summed && soaking.steps.contains(&step))?;
        soaking.now.filter(|now| now.slot == Slot::Checkpoint).map(|now| now.n)
    }

    /// Gives every step of the checkpoints its end.
    pub(super) fn sum_up(&mut self) {
        let Some(soaking) = &mut self.soaking else { return };
        if std::mem::replace(&mut soaking.summed, true) {
            return;
        }
        let planned = soaking.table.checkpoints();
        let mut steps: Vec<usize> = soaking.steps.difference(&soaking.ended).copied().collect();
        steps.sort_unstable();
        for step in steps {
            self.sum_up_step(step, planned);
        }
    }

    fn sum_up_step(&mut self, step: usize, planned: u32) {
        let Some(soaking) = &mut self.soaking else { return };
        let sum = soaking.sums.remove(&step).unwrap_or_default();
        let halted = self.halt.as_ref().map(|halt| halt.keeps_out(self));
        if sum.occasions.is_empty() {
            let (skip, reason) = halted.unwrap_or((Skip::Blocked, "no checkpoint was reached".to_owned()));
            self.skip(step, skip, reason);
            return;
        }
        let mut verdict = sum.occasions.conclusion(planned);
        let short = sum.occasions.seen() < planned;
        if let Some((_, why)) = halted.filter(|_| short) {
            verdict.summary = format!("{}: {why}", verdict.summary);
        }
        if sum.occasions.is_left_out() {
            self.skip(step, Skip::Condition, verdict.summary);
            return;
        }
        let started = sum.started.unwrap_or_else(|| self.shop.world.clock.now());
        let took = (self.shop.world.clock.now() - started).num_microseconds();
        let result = StepResult {
            took_us: took.and_then(|us| u64::try_from(us).ok()).unwrap_or_default(),
            looks: sum.looks,
            look: sum.look,
            flaky: sum.flaky,
            cut: short && self.interrupted().is_some(),
            ..StepResult::new(verdict.outcome, verdict.summary, started)
        };
        self.finish(step, result);
    }

    fn is_fenced(&self, lane: usize) -> bool {
        self.fences_of(lane).iter().any(|fence| fence.barrier.is_some() || fence.cell.is_some())
    }
}

/// Writes a time as people read it.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
