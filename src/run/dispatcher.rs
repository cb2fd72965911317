//! Owns the state of a run: which step may begin, what is known, what was asked of it. Workers send it messages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Map;
use tokio::sync::{mpsc, watch};

use crate::event::{EventKind, Request, Skip};
use crate::model::outline::Part;
use crate::model::{Decision, Outcome};
use crate::plan::Plan;
use crate::template::Scope;

use super::crew::{Crew, Duty};
use super::ending::Halt;
use super::hold::Gate;
use super::lanes::{Lane, Task};
use super::limits::Limits;
use super::redact::Redactor;
use super::references::{Baseline, Memory};
use super::resume::Point;
use super::soak::Soaking;
use super::timepiece::Timepiece;
use super::waiting::{Timer, asked, stopped};
use super::watching::Watching;
use super::worker::{Brief, Captured, Done, Shop, Tell, work};
use super::{Asked, Emitter, Ended, Errand, Inbox, Options, Patience};

/// How many steps are announced in one event.
const PIECE: usize = 500;
/// How long a step runs before it is said to have begun.
const ANNOUNCE: Duration = Duration::from_millis(100);
/// How often displays show the time while the run only waits.
const IDLE: Duration = Duration::from_secs(1);

/// Why a run is asked to stop: nothing while it is not.
pub type Stop = watch::Receiver<Option<String>>;

/// Carries out a plan, from its beginning or from where it stood. Every event goes to the journal in order.
///
/// When `stop` says so, running looks are cancelled, what has not begun is left, `always` still runs, and the decision
/// is `undecided`. Where only people or time can help, and the options say so, it leaves: the decision is `held`, and
/// the run can be taken up again.
pub async fn run(errand: Errand) -> Ended {
    let Errand { plan, world, identity, options, journal, stop, inbox, taken_up } = errand;
    let (point, resumption) = taken_up.map(|taken| (taken.point, taken.resumption)).unzip();
    let started = match (&point, options.past) {
        (_, Some(past)) => past.at,
        (Some(point), None) => point.started(),
        (None, None) => world.clock.now(),
    };
    let shop = Arc::new(Shop {
        plan: Arc::clone(&plan),
        world: world.clone(),
        limits: Limits::new(options.per_host),
        redactor: Arc::new(Redactor::new(plan.secrets())),
        started,
        archive: options.archive.clone(),
        left_on_purpose: point.as_ref().is_some_and(Point::was_paused),
    });
    let (tell, told) = mpsc::unbounded_channel();
    let seq = point.as_ref().map_or(0, Point::seq);
    let count = plan.steps.len();
    let mut dispatcher = Dispatcher {
        states: vec![State::Idle; count],
        options,
        emitter: Emitter::new(journal, Arc::clone(&shop.redactor), world.clock.clone(), seq),
        stop,
        inbox: Some(inbox),
        halt: None,
        acting: false,
        leaving: false,
        lanes: Vec::new(),
        crew: Crew::default(),
        gates: HashMap::new(),
        declined: None,
        soaking: plan.soak.as_ref().map(|soak| Soaking::new(soak, started)),
        curtain: watch::channel(false).0,
        looked: HashSet::new(),
        section_ends: vec![None; plan.sections.len()],
        memories: HashMap::new(),
        watching: HashMap::new(),
        measured: HashMap::new(),
        wanted_measures: Dispatcher::wanted_measures(&plan),
        captured: Captured::new(),
        captured_by: HashMap::new(),
        scope: Arc::new(plan.scope(&Map::new())),
        timepiece: Timepiece::new(world.clock.clone()),
        tell,
        told,
        strict: identity.header.strict,
        shop,
        plan,
    };
    match point {
        None => dispatcher.begin(identity).await,
        Some(point) => dispatcher.take_up(point, resumption).await,
    }
    dispatcher.run().await
}

/// Ends what sources collect when the run ends.
struct Collecting<'p>(&'p Plan);

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        self.0.sources.end();
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Idle,
    Running { since: Duration, announced: bool },
    Done(Outcome, Option<Skip>),
}

pub(super) struct Dispatcher {
    pub plan: Arc<Plan>,
    pub shop: Arc<Shop>,
    pub options: Options,
    pub emitter: Emitter,
    stop: Stop,
    inbox: Option<Inbox>,
    /// Why nothing more begins, once that is so.
    pub halt: Option<Halt>,
    /// Whether the actions at the end run, which nothing stops.
    pub acting: bool,
    /// Whether the run is to leave instead of waiting for people.
    pub leaving: bool,
    pub lanes: Vec<Lane>,
    pub crew: Crew,
    /// The hold points that were reached or released.
    pub gates: HashMap<usize, Gate>,
    /// A hold point that people have just declined to release.
    pub declined: Option<(usize, crate::event::Release)>,
    pub soaking: Option<Soaking>,
    /// Tells guards that it is over.
    pub curtain: watch::Sender<bool>,
    /// The guards that have looked since this process began.
    pub looked: HashSet<usize>,
    /// When each section ended last.
    pub section_ends: Vec<Option<DateTime<Utc>>>,
    pub memories: HashMap<usize, Memory>,
    /// Windows that a process before has begun.
    pub watching: HashMap<usize, Watching>,
    /// What steps measured that others are held against.
    pub measured: HashMap<usize, Baseline>,
    pub wanted_measures: HashSet<usize>,
    pub states: Vec<State>,
    pub captured: Captured,
    /// The same by the step that captured it: cells capture under the same names.
    pub captured_by: HashMap<usize, Captured>,
    pub scope: Arc<Scope>,
    pub timepiece: Timepiece,
    tell: mpsc::UnboundedSender<Tell>,
    told: mpsc::UnboundedReceiver<Tell>,
    pub strict: bool,
}

impl Dispatcher {
    async fn begin(&mut self, identity: super::Identity) {
        self.emitter.emit(EventKind::RunStarted { run: identity.run, header: Box::new(identity.header) });
        if let (Some(soaking), None) = (&mut self.soaking, self.options.past) {
            soaking.begin(self.emitter.last);
        }
        self.announce_plan(&HashSet::new()).await;
        self.say_waivers();
    }

    pub(super) fn say_waivers(&mut self) {
        if let Some(waivers) = self.options.waivers.clone() {
            self.emitter.emit(EventKind::Waived { waivers });
        }
    }

    async fn run(&mut self) -> Ended {
        let begin = self.shop.world.clock.elapsed();
        let plan = Arc::clone(&self.plan);
        let _collecting = self.collect(&plan);
        self.begin_guards();
        self.lanes.push(Lane::of_run(&self.plan));
        if self.carry().await == Way::Left {
            return self.leave().await;
        }
        self.end_guards().await;
        self.settle_record().await;
        let (decision, reasons) = self.decide();
        self.emitter.emit(EventKind::Decided { decision, reasons: reasons.clone() });
        self.settle_record().await;
        // Nothing acts on a decision that is not on disk.
        let (decision, reasons) = if self.interrupted().is_some() { self.decide() } else { (decision, reasons) };
        self.act(decision).await;
        let took = self.shop.world.clock.elapsed() - begin;
        self.emitter.emit(EventKind::RunFinished { took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) });
        self.settle_record().await;
        let (decision, reasons) = if self.interrupted().is_some() { self.decide() } else { (decision, reasons) };
        Ended { decision, reasons, interrupted: self.interrupted(), waits: None }
    }

    /// Lets the sources begin that collect while the run goes on, of those that a chosen step asks.
    fn collect<'p>(&self, plan: &'p Plan) -> Collecting<'p> {
        for step in plan.steps.iter().filter(|step| step.selected && !step.skipped) {
            if let Some(name) = step.probe.source() {
                plan.sources.begin(name, &self.shop.world, &self.scope);
            }
        }
        Collecting(plan)
    }

    /// Waits until everything so far is on disk. A store that fails has not kept what the decision stands on.
    pub(super) async fn settle_record(&mut self) {
        self.emitter.flush().await;
        if let Some(fault) = self.emitter.fault() {
            self.halt(Halt::Interrupted(format!("the store failed: {fault}"))).await;
        }
    }

    /// Tells the plan, apart from the steps that a process before has told.
    pub(super) async fn announce_plan(&mut self, told: &HashSet<usize>) {
        let plan = Arc::clone(&self.plan);
        for section in &plan.sections {
            let left: Vec<usize> = section.steps.clone().filter(|step| !told.contains(step)).collect();
            for piece in left.chunks(PIECE) {
                let steps = piece.iter().map(|&step| plan.steps[step].outline.clone()).collect();
                self.emitter.emit(EventKind::Planned { section: section.outline.clone(), steps });
                if piece.len() == PIECE {
                    self.emitter.flush().await;
                }
            }
        }
    }

    /// Lets the lanes go on until all of them are at their end, or the run leaves.
    pub(super) async fn carry(&mut self) -> Way {
        let mut tick = tokio::time::interval(ANNOUNCE);
        let mut timer = Timer::default();
        let mut shown = Duration::ZERO;
        loop {
            self.heed().await;
            self.advance().await;
            if self.lanes.iter().all(Lane::is_over) {
                self.lanes.clear();
                return Way::Over;
            }
            if self.may_leave() {
                return Way::Left;
            }
            let due = self.lanes.iter().filter_map(Lane::due).min().map(|due| self.timepiece.until(due));
            let stoppable = self.halt.is_none() && !self.acting;
            tokio::select! {
                biased;
                _ = stopped(&mut self.stop), if stoppable => {}
                Some(tell) = self.told.recv() => self.hear(tell),
                Some((duty, ended)) = self.crew.next() => {
                    self.ended(duty, ended).await;
                    self.emitter.keep_pace().await;
                }
                Some(asked) = asked(&mut self.inbox) => self.asked(asked),
                () = timer.wait(&self.shop.world.clock, due) => self.watch_clock(),
                _ = tick.tick() => {
                    let now = self.shop.world.clock.elapsed();
                    if self.crew.count() > 0 || now.saturating_sub(shown) >= IDLE {
                        shown = now;
                        self.show_time();
                    }
                }
            }
        }
    }

    /// Stops when somebody asked for the end, or when what happens cannot be kept any more.
    async fn heed(&mut self) {
        if self.acting || self.halt.is_some() {
            return;
        }
        self.heed_declined().await;
        if let Some(cause) = self.cause_to_stop() {
            self.halt(Halt::Interrupted(cause)).await;
        }
    }

    /// Tells why nothing more may begin.
    pub(super) fn cause_to_stop(&self) -> Option<String> {
        let asked = self.stop.borrow().clone();
        asked.or_else(|| self.emitter.fault().map(|fault| format!("the store failed: {fault}")))
    }

    /// Begins a step.
    pub(super) fn begin_step(&mut self, step: usize, duty: Duty) {
        let plan = Arc::clone(&self.plan);
        let brief = Brief {
            step,
            scope: self.scope_of(step),
            past: self.past_of(step),
            soak: self.soaking.as_ref().map(|soaking| soaking.reach(self.timepiece.now())),
            memory: self.memories.get(&step).cloned().unwrap_or_default(),
            watching: self.watching.remove(&step),
            baseline: self.baseline_of(&plan.steps[step]),
            curtain: (duty == Duty::Guard).then(|| self.curtain.subscribe()),
        };
        self.crew.begin(step, duty, work(Arc::clone(&self.shop), brief, self.tell.clone()));
    }

    /// Makes the values that a step's templates may use: those of its cell, and of equal names those captured by the
    /// steps that it uses.
    pub(super) fn scope_of(&self, step: usize) -> Arc<Scope> {
        self.scope_with(&self.plan.steps[step].matrix, std::iter::once(step))
    }

    /// The same for the conditions of a section: what its steps use.
    pub(super) fn scope_of_section(&self, section: usize) -> Arc<Scope> {
        let section = &self.plan.sections[section];
        self.scope_with(&section.matrix, section.steps.clone())
    }

    fn scope_with(&self, matrix: &Captured, steps: impl Iterator<Item = usize>) -> Arc<Scope> {
        let uses: Vec<&(String, usize)> = steps.flat_map(|step| &self.plan.steps[step].uses).collect();
        let of = |(name, producer): &(String, usize)| self.captured_by.get(producer)?.get(name);
        let differs = uses.iter().any(|used| of(used).is_some_and(|value| self.captured.get(&used.0) != Some(value)));
        if matrix.is_empty() && !differs {
            return Arc::clone(&self.scope);
        }
        let mut captured = self.captured.clone();
        for used in uses {
            if let Some(value) = of(used) {
                captured.insert(used.0.clone(), value.clone());
            }
        }
        Arc::new(self.plan.scope_in(matrix, &captured))
    }

    pub(super) async fn ended(&mut self, duty: Duty, ended: Result<Done, usize>) {
        let done = ended.unwrap_or_else(|step| Done::broken(step, self.begun(step)));
        let (step, outcome) = (done.step, done.result.outcome);
        // What it told before it ended comes before its end.
        while let Ok(tell) = self.told.try_recv() {
            self.hear(tell);
        }
        self.settle(done);
        match duty {
            Duty::Lane(lane) => self.lanes[lane].done(step),
            Duty::Guard => self.guard_ended(step, outcome).await,
        }
    }

    pub(super) fn hear(&mut self, tell: Tell) {
        match tell {
            Tell::Begun(step, doing, until) => self.announce(step, doing, until),
            Tell::Looked(step, look) => {
                self.looked.insert(step);
                let step = self.plan.steps[step].outline.id.clone();
                self.emitter.emit(EventKind::Looked { step, look });
            }
        }
    }

    pub(super) fn hear_all(&mut self) {
        while let Ok(tell) = self.told.try_recv() {
            self.hear(tell);
        }
    }

    pub(super) fn announce(&mut self, step: usize, doing: String, until: Option<DateTime<Utc>>) {
        if let State::Running { since, announced: false } = self.states[step] {
            self.states[step] = State::Running { since, announced: true };
            let step = self.plan.steps[step].outline.id.clone();
            self.emitter.emit(EventKind::StepStarted { step, doing, until });
        }
    }

    fn asked(&mut self, asked: Asked) {
        match asked {
            Asked::Leave => self.leaving = true,
            Asked::Notified(notice) => self.emitter.emit(EventKind::Notified { notice }),
            Asked::Request(Request::Answer(step, answer)) => self.answered(&step, answer),
            Asked::Request(Request::Release(section, release)) => self.released(&section, release),
            Asked::Request(Request::Sign(signature)) => self.emitter.emit(EventKind::Signed { signature }),
        }
    }

    fn answered(&mut self, id: &crate::model::StepId, answer: crate::event::Answer) {
        let Some(step) = self.plan.steps.iter().position(|step| step.outline.id == *id) else { return };
        if self.states[step] == State::Done(Outcome::Pending, None) {
            self.states[step] = State::Done(answer.outcome, None);
            self.emitter.emit(EventKind::Answered { step: id.clone(), answer });
        }
    }

    /// Says what has been running for a while, and lets displays move on.
    fn show_time(&mut self) {
        self.watch_clock();
        let now = self.shop.world.clock.elapsed();
        let slow = |&step: &usize| matches!(self.states[step], State::Running { since, announced: false } if now.saturating_sub(since) >= ANNOUNCE);
        let mut steps: Vec<usize> = self.crew.steps().filter(slow).collect();
        steps.sort_unstable();
        for step in steps {
            self.announce(step, self.plan.steps[step].probe.describe(), None);
        }
        self.emitter.tick();
    }

    fn watch_clock(&mut self) {
        if let Some(what) = self.timepiece.moved() {
            self.emitter.emit(EventKind::ClockMoved { what });
        }
    }

    /// Waits for the next guard to end.
    pub(super) async fn next_guard(&mut self) {
        tokio::select! {
            biased;
            Some(tell) = self.told.recv() => self.hear(tell),
            Some((duty, ended)) = self.crew.next() => self.ended(duty, ended).await,
            cause = stopped(&mut self.stop), if self.halt.is_none() => self.halt(Halt::Interrupted(cause)).await,
        }
    }

    /// Leaves a run that is not over: it waits for people, or for time.
    async fn leave(&mut self) -> Ended {
        self.crew.dismiss(|_| true).await;
        self.hear_all();
        let (why, until) = self.what_it_waits_for();
        let reasons = vec![why.clone()];
        self.emitter.emit(EventKind::Decided { decision: Decision::Held, reasons: reasons.clone() });
        self.emitter.emit(EventKind::Paused { why: why.clone(), until });
        self.settle_record().await;
        match self.interrupted() {
            // A store that fails keeps nothing to be taken up.
            Some(cause) => {
                let reasons = vec![format!("interrupted: {cause}")];
                Ended { decision: Decision::Undecided, reasons, interrupted: Some(cause), waits: None }
            }
            None => Ended { decision: Decision::Held, reasons, interrupted: None, waits: Some(why) },
        }
    }

    /// Tells whether everybody waits for what the run does not wait for.
    fn may_leave(&self) -> bool {
        if self.acting || self.halt.is_some() || self.crew.count() > 0 {
            return false;
        }
        let people = self.lanes.iter().any(Lane::waits_for_people);
        let time = self.lanes.iter().any(|lane| lane.due().is_some());
        match (self.options.patience, self.leaving) {
            (Patience::People, false) => false,
            (Patience::Time, _) | (Patience::People, true) => people && !time,
            (Patience::None, _) => (people || time) && self.guards_have_looked(),
        }
    }

    /// Tells whether a section belongs to the checklist proper.
    pub(super) fn is_of_checklist(&self, section: usize) -> bool {
        self.plan.sections[section].outline.part == Part::Section
    }

    /// Finds the section that a step stands in.
    pub(super) fn section_of(&self, step: usize) -> Option<usize> {
        self.plan.sections.iter().position(|section| section.steps.contains(&step))
    }
}

/// How the lanes came to a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// All of them are at their end.
    Over,
    /// The run leaves, to be taken up again.
    Left,
}

impl Lane {
    /// Makes the lane that walks the whole checklist.
    fn of_run(plan: &Plan) -> Self {
        let tasks = match &plan.soak {
            None => plan.flow.iter().cloned().map(Task::of).collect(),
            Some(_) => vec![Task::Occasion(0)].into(),
        };
        Lane::new(tasks, None)
    }
}
