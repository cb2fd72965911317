//! Owns the state of a run: which step may begin, what is known, what was asked of it. Workers send it messages.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Map;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::event::{EventKind, Skip, StepResult};
use crate::judge::gate::{Counted, Rules, gate};
use crate::model::outline::{Part, Weight};
use crate::model::{Decision, Outcome};
use crate::plan::{Need, Plan, PlanSection};
use crate::sys::World;
use crate::template::Scope;

use super::limits::Limits;
use super::redact::Redactor;
use super::worker::{Captured, Done, Shop, Tell, work};
use super::{Emitter, Ended, Identity, Journal, Options};

/// How many steps are announced in one event.
const PIECE: usize = 500;
/// How long a step runs before it is said to have begun.
const ANNOUNCE: Duration = Duration::from_millis(100);

/// Why a run is asked to stop: nothing while it is not.
pub type Stop = watch::Receiver<Option<String>>;

/// Carries out a plan. Every event goes to the journal in order.
///
/// When `stop` says so, running looks are cancelled, what has not begun is left, `always` still runs, and the decision
/// is `undecided`.
pub async fn run(
    plan: Arc<Plan>,
    world: World,
    identity: Identity,
    options: Options,
    journal: Journal,
    stop: Stop,
) -> Ended {
    let shop = Arc::new(Shop {
        plan: Arc::clone(&plan),
        world: world.clone(),
        limits: Limits::new(options.per_host),
        redactor: Arc::new(Redactor::new(plan.secrets())),
        started: world.clock.now(),
    });
    let (tell, told) = mpsc::unbounded_channel();
    let scope = Arc::new(plan.scope(&Map::new()));
    let strict = identity.header.strict;
    let mut dispatcher = Dispatcher {
        states: vec![State::Idle; plan.steps.len()],
        plan,
        options,
        emitter: Emitter::new(journal, Arc::clone(&shop.redactor), world.clock.clone()),
        shop,
        stop,
        interrupted: None,
        barrier: None,
        captured: Captured::new(),
        scope,
        tell,
        told,
        strict,
    };
    dispatcher.run(identity).await
}

/// Ends what sources collect when the run ends.
struct Collecting<'p>(&'p Plan);

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        self.0.sources.end();
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    Running { since: Duration, announced: bool },
    Done(Outcome, Option<Skip>),
}

struct Dispatcher {
    plan: Arc<Plan>,
    shop: Arc<Shop>,
    options: Options,
    emitter: Emitter,
    stop: Stop,
    interrupted: Option<String>,
    /// The section that lets nothing pass, once there is one.
    barrier: Option<usize>,
    states: Vec<State>,
    captured: Captured,
    scope: Arc<Scope>,
    tell: mpsc::UnboundedSender<Tell>,
    told: mpsc::UnboundedReceiver<Tell>,
    strict: bool,
}

impl Dispatcher {
    async fn run(&mut self, identity: Identity) -> Ended {
        let begin = self.shop.world.clock.elapsed();
        self.emitter.emit(EventKind::RunStarted { run: identity.run, header: Box::new(identity.header) });
        self.announce_plan().await;
        let plan = Arc::clone(&self.plan);
        let _collecting = self.collect(&plan);
        for (position, section) in plan.sections.iter().enumerate().filter(|(_, s)| s.outline.part == Part::Section) {
            self.section(position, section).await;
        }
        self.settle_record().await;
        let (decision, reasons) = self.decide();
        self.emitter.emit(EventKind::Decided { decision, reasons: reasons.clone() });
        self.settle_record().await;
        // Nothing acts on a decision that is not on disk.
        let (decision, reasons) = if self.interrupted.is_some() { self.decide() } else { (decision, reasons) };
        for section in plan.sections.iter().filter(|s| s.outline.part != Part::Section) {
            self.actions(section, decision).await;
        }
        let took = self.shop.world.clock.elapsed() - begin;
        self.emitter.emit(EventKind::RunFinished { took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) });
        self.settle_record().await;
        let (decision, reasons) = if self.interrupted.is_some() { self.decide() } else { (decision, reasons) };
        Ended { decision, reasons, interrupted: self.interrupted.clone() }
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
    async fn settle_record(&mut self) {
        self.emitter.flush().await;
        if let Some(fault) = self.emitter.fault() {
            self.interrupt(format!("the store failed: {fault}"));
        }
    }

    async fn announce_plan(&mut self) {
        let plan = Arc::clone(&self.plan);
        for section in &plan.sections {
            for piece in plan.steps[section.steps.clone()].chunks(PIECE) {
                let steps = piece.iter().map(|step| step.outline.clone()).collect();
                self.emitter.emit(EventKind::Planned { section: section.outline.clone(), steps });
                if piece.len() == PIECE {
                    self.emitter.flush().await;
                }
            }
        }
    }

    /// Runs a section of the checklist, or says why it is left out.
    async fn section(&mut self, position: usize, section: &PlanSection) {
        if let Some((skip, reason)) = self.keeps_out(section) {
            for step in section.steps.clone() {
                self.skip(step, skip, reason.clone());
            }
        } else {
            let id = section.outline.id.clone();
            self.emitter.emit(EventKind::SectionStarted { section: id.clone() });
            self.steps(section).await;
            self.emitter.emit(EventKind::SectionFinished { section: id });
        }
        // A barrier that is itself blocked has not passed either.
        if section.barrier && self.barrier.is_none() && !self.passed(section) {
            self.barrier = Some(position);
        }
    }

    /// Runs a list of actions, if the decision asks for it. Actions run although the run was asked to stop.
    async fn actions(&mut self, section: &PlanSection, decision: Decision) {
        let asked = match section.outline.part {
            Part::Section | Part::Guard => false,
            Part::OnGo => decision == Decision::Go,
            Part::OnNoGo => decision == Decision::NoGo,
            Part::Always => true,
        };
        if !asked {
            for step in section.steps.clone() {
                self.skip(step, Skip::Condition, format!("the decision is {decision}"));
            }
            return;
        }
        self.emitter.emit(EventKind::SectionStarted { section: section.outline.id.clone() });
        self.steps(section).await;
        self.emitter.emit(EventKind::SectionFinished { section: section.outline.id.clone() });
    }

    fn keeps_out(&self, section: &PlanSection) -> Option<(Skip, String)> {
        if let Some(cause) = &self.interrupted {
            return Some((Skip::NotReached, format!("not reached: {cause}")));
        }
        if let Some(barrier) = self.barrier {
            let section = &self.plan.sections[barrier];
            let name = &section.outline.name;
            return Some(match section.steps.clone().all(|step| self.lets_pass(step) || self.waits(step)) {
                true => (Skip::Waiting, format!("waits for {name:?}, where a person has not answered")),
                false => (Skip::Blocked, format!("blocked by {name:?}, which did not pass")),
            });
        }
        if let Some(when) = &section.when {
            match when.holds(&self.scope) {
                Ok(true) => {}
                Ok(false) => {
                    return Some((Skip::Condition, format!("its section's condition is false: {}", when.source())));
                }
                Err(e) => return Some((Skip::Blocked, format!("the section's condition `{}`: {e}", when.source()))),
            }
        }
        self.unmet(&section.needs)
    }

    /// Tells what keeps needs from being met: what went wrong before what only waits.
    fn unmet(&self, needs: &[Need]) -> Option<(Skip, String)> {
        let (waits, id) = needs.iter().filter_map(|need| self.obstacle(need)).min_by_key(|(waits, _)| *waits)?;
        Some(match waits {
            true => (Skip::Waiting, format!("waits for {id}")),
            false => (Skip::Blocked, format!("blocked by {id}")),
        })
    }

    /// Names what keeps a need from being met, and tells whether that only waits.
    fn obstacle(&self, need: &Need) -> Option<(bool, String)> {
        let named = |step: usize| (self.waits(step), self.plan.steps[step].outline.id.to_string());
        let good = |step: usize| matches!(self.states[step], State::Done(outcome, _) if outcome.satisfies());
        if need.steps.len() == 1 {
            return (!good(need.steps.start)).then(|| named(need.steps.start));
        }
        let bad = need.steps.clone().filter(|&step| match self.states[step] {
            State::Done(outcome, skip) => {
                let counts = self.plan.steps[step].outline.weight == Weight::Required;
                counts && !outcome.satisfies() && skip != Some(Skip::Condition)
            }
            State::Idle | State::Running { .. } => true,
        });
        let none = !need.steps.clone().any(good);
        bad.map(named).min_by_key(|(waits, _)| *waits).or_else(|| none.then(|| (false, need.id.clone())))
    }

    /// Tells whether a step waits for a person, itself or through what it needs.
    fn waits(&self, step: usize) -> bool {
        matches!(self.states[step], State::Done(Outcome::Pending, _) | State::Done(_, Some(Skip::Waiting)))
    }

    fn passed(&self, section: &PlanSection) -> bool {
        section.steps.clone().all(|step| self.lets_pass(step))
    }

    /// Tells whether a step does not close the barrier of its section.
    fn lets_pass(&self, step: usize) -> bool {
        match self.states[step] {
            State::Done(outcome, skip) => {
                let free = matches!(skip, Some(Skip::Condition | Skip::NotSelected));
                outcome.satisfies() || free || self.plan.steps[step].outline.weight != Weight::Required
            }
            State::Idle | State::Running { .. } => false,
        }
    }

    /// Runs the steps of a section in their order, as many side by side as may be.
    async fn steps(&mut self, section: &PlanSection) {
        let stoppable = section.outline.part == Part::Section;
        let mut order = Order::new(section, &self.plan);
        let mut crew = Crew::default();
        if let Some(cause) = self.cause_to_stop().filter(|_| stoppable) {
            self.interrupt(cause);
        }
        let mut tick = tokio::time::interval(ANNOUNCE);
        loop {
            self.begin_ready(section, &mut order, &mut crew).await;
            if crew.tasks.is_empty() || (stoppable && self.interrupted.is_some()) {
                break;
            }
            tokio::select! {
                biased;
                cause = stopped(&mut self.stop), if stoppable => {
                    self.interrupt(cause);
                    break;
                }
                Some(tell) = self.told.recv() => self.hear(tell),
                Some(ended) = crew.next() => {
                    let done = ended.unwrap_or_else(|step| Done::broken(step, self.begun(step)));
                    let step = done.step;
                    self.settle(done);
                    order.done(step);
                    self.emitter.keep_pace().await;
                }
                _ = tick.tick() => self.show_time(&crew),
            }
            if let Some(fault) = self.emitter.fault().filter(|_| stoppable) {
                self.interrupt(format!("the store failed: {fault}"));
                break;
            }
        }
        crew.dismiss().await;
        while let Ok(tell) = self.told.try_recv() {
            self.hear(tell);
        }
        self.leave_rest(section);
    }

    /// Begins what may begin, up to the number of jobs.
    async fn begin_ready(&mut self, section: &PlanSection, order: &mut Order, crew: &mut Crew) {
        let stoppable = section.outline.part == Part::Section;
        while crew.tasks.len() < self.options.jobs.max(1) && !(stoppable && self.interrupted.is_some()) {
            let Some(step) = order.ready.pop_front() else { return };
            if let Some((outcome, skip, reason)) = self.refusal(step, section) {
                self.finish(step, self.unrun(outcome, skip, reason));
                order.done(step);
                continue;
            }
            self.states[step] = State::Running { since: self.shop.world.clock.elapsed(), announced: false };
            if self.plan.steps[step].outline.changes.is_some() {
                // That a change was begun is on disk before it begins.
                self.announce(step, self.plan.steps[step].probe.describe(), None);
                self.emitter.flush().await;
                if let Some(cause) = self.cause_to_stop().filter(|_| stoppable) {
                    self.states[step] = State::Idle;
                    self.interrupt(cause);
                    return;
                }
            }
            crew.begin(step, work(Arc::clone(&self.shop), step, Arc::clone(&self.scope), self.tell.clone()));
        }
    }

    /// Tells why nothing more may begin: somebody asked for the end, or what happens cannot be kept any more.
    fn cause_to_stop(&self) -> Option<String> {
        let asked = self.stop.borrow().clone();
        asked.or_else(|| self.emitter.fault().map(|fault| format!("the store failed: {fault}")))
    }

    /// Returns when a step began.
    fn begun(&self, step: usize) -> DateTime<Utc> {
        let clock = &self.shop.world.clock;
        let ago = match self.states[step] {
            State::Running { since, .. } => clock.elapsed().saturating_sub(since),
            State::Idle | State::Done(..) => Duration::ZERO,
        };
        clock.now() - TimeDelta::from_std(ago).unwrap_or_default()
    }

    /// Tells why a step may not run, with the outcome that this gives.
    fn refusal(&self, step: usize, section: &PlanSection) -> Option<(Outcome, Option<Skip>, String)> {
        let plan = &self.plan.steps[step];
        let skip = |skip, reason: String| Some((Outcome::Skipped, Some(skip), reason));
        if !plan.selected {
            return skip(Skip::NotSelected, "not selected".to_owned());
        }
        if let Some((kind, reason)) = self.unmet(&plan.needs) {
            return skip(kind, reason);
        }
        if let Some((name, producer)) = plan.uses.iter().find(|(name, _)| !self.captured.contains_key(name)) {
            let id = &self.plan.steps[*producer].outline.id;
            if self.waits(*producer) {
                return skip(Skip::Waiting, format!("waits for {id}, which captures {name:?}"));
            }
            return skip(Skip::Blocked, format!("blocked by {id}, which did not capture {name:?}"));
        }
        let changes = plan.outline.changes.as_deref();
        if self.options.read_only && (changes.is_some() || plan.probe.runs_commands()) {
            return skip(Skip::Refused, "refused by --read-only".to_owned());
        }
        let changes = changes?;
        if section.outline.part == Part::Section
            && let Some(id) = self.failed_above(step)
        {
            return skip(Skip::Blocked, format!("blocked by {id}: nothing is changed after a required failure"));
        }
        let reason = format!("{changes}: needs consent (--allow-changes)");
        (!self.options.allow_changes).then_some((Outcome::Pending, None, reason))
    }

    /// Names the first required step above that did not come out well.
    fn failed_above(&self, step: usize) -> Option<String> {
        let bad = (0..step).find(|&above| {
            let required = self.plan.steps[above].outline.weight == Weight::Required;
            let failed = matches!(
                self.states[above],
                State::Done(Outcome::Fail | Outcome::Error | Outcome::Inconclusive, _)
                    | State::Done(_, Some(Skip::Blocked | Skip::Waiting | Skip::Refused))
            );
            required && failed
        });
        bad.map(|above| self.plan.steps[above].outline.id.to_string())
    }

    fn hear(&mut self, tell: Tell) {
        match tell {
            Tell::Begun(step, doing, until) => self.announce(step, doing, until),
            Tell::Looked(step, look) => {
                let step = self.plan.steps[step].outline.id.clone();
                self.emitter.emit(EventKind::Looked { step, look });
            }
        }
    }

    fn announce(&mut self, step: usize, doing: String, until: Option<DateTime<Utc>>) {
        if let State::Running { since, announced: false } = self.states[step] {
            self.states[step] = State::Running { since, announced: true };
            let step = self.plan.steps[step].outline.id.clone();
            self.emitter.emit(EventKind::StepStarted { step, doing, until });
        }
    }

    /// Says what has been running for a while, and lets displays move on.
    fn show_time(&mut self, crew: &Crew) {
        let now = self.shop.world.clock.elapsed();
        let slow = |&step: &usize| matches!(self.states[step], State::Running { since, announced: false } if now - since >= ANNOUNCE);
        let mut steps: Vec<usize> = crew.steps.values().copied().filter(slow).collect();
        steps.sort_unstable();
        for step in steps {
            self.announce(step, self.plan.steps[step].probe.describe(), None);
        }
        self.emitter.tick();
    }

    fn settle(&mut self, done: Done) {
        if !done.captured.is_empty() {
            self.captured.extend(done.captured);
            self.scope = Arc::new(self.plan.scope(&self.captured));
        }
        self.finish(done.step, done.result);
    }

    fn finish(&mut self, step: usize, result: StepResult) {
        self.states[step] = State::Done(result.outcome, result.skip);
        let step = self.plan.steps[step].outline.id.clone();
        self.emitter.emit(EventKind::StepFinished { step, result: Box::new(result) });
    }

    fn skip(&mut self, step: usize, skip: Skip, reason: String) {
        let selected = self.plan.steps[step].selected;
        let (skip, reason) = if selected { (skip, reason) } else { (Skip::NotSelected, "not selected".to_owned()) };
        let result = self.unrun(Outcome::Skipped, Some(skip), reason);
        self.finish(step, result);
    }

    fn unrun(&self, outcome: Outcome, skip: Option<Skip>, reason: String) -> StepResult {
        StepResult {
            outcome,
            reason: self.shop.redactor.text(&reason).into_owned(),
            skip,
            started: self.shop.world.clock.now(),
            took_us: 0,
            looks: 0,
            look: None,
            flaky: false,
            cut: false,
            captured: Vec::new(),
        }
    }

    fn interrupt(&mut self, cause: String) {
        if self.interrupted.is_none() {
            self.emitter.emit(EventKind::Interrupted { cause: cause.clone() });
            self.interrupted = Some(cause);
        }
    }

    /// Gives every step that has not ended an end: cut off, or not reached.
    fn leave_rest(&mut self, section: &PlanSection) {
        let cause = self.interrupted.clone().unwrap_or_else(|| "the run ended".to_owned());
        for step in section.steps.clone() {
            match self.states[step] {
                State::Done(..) => {}
                State::Idle => self.skip(step, Skip::NotReached, format!("not reached: {cause}")),
                State::Running { since, .. } => {
                    let took = self.shop.world.clock.elapsed().saturating_sub(since);
                    let reason =
                        format!("cut off after {}: {cause}", crate::model::quantity::seconds(took.as_secs_f64()));
                    let mut result = self.unrun(Outcome::Inconclusive, None, reason);
                    result.took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                    self.finish(step, result);
                }
            }
        }
    }

    fn decide(&self) -> (Decision, Vec<String>) {
        // Actions do not count.
        let sections = self.plan.sections.iter().filter(|s| s.outline.part == Part::Section);
        let counted = sections.flat_map(|s| s.steps.clone()).map(|step| {
            let (outcome, skip) = match self.states[step] {
                State::Done(outcome, skip) => (outcome, skip),
                State::Idle | State::Running { .. } => (Outcome::Inconclusive, None),
            };
            let blocked = skip.is_some_and(Skip::blocks);
            let outcome = if skip == Some(Skip::Waiting) { Outcome::Pending } else { outcome };
            Counted { weight: self.plan.steps[step].outline.weight, outcome, blocked, waived: false }
        });
        let rules = Rules {
            interrupted: self.interrupted.is_some(),
            strict: self.strict,
            unsigned: !self.plan.roles.is_empty(),
        };
        (gate(counted, rules), self.interrupted.iter().map(|cause| format!("interrupted: {cause}")).collect())
    }
}

/// Waits until the run is asked to stop.
async fn stopped(stop: &mut Stop) -> String {
    let cause = stop.wait_for(Option::is_some).await.map(|cause| cause.clone().unwrap_or_default());
    match cause {
        Ok(cause) => cause,
        // Nobody can ask any more.
        Err(_) => std::future::pending().await,
    }
}

/// The steps that work right now.
#[derive(Default)]
struct Crew {
    tasks: JoinSet<Done>,
    steps: HashMap<tokio::task::Id, usize>,
}

impl Crew {
    fn begin(&mut self, step: usize, work: impl Future<Output = Done> + Send + 'static) {
        let handle = self.tasks.spawn(work);
        self.steps.insert(handle.id(), step);
    }

    /// Waits for the next one to end. A probe that breaks down ends its step, which is named then, and not the run.
    async fn next(&mut self) -> Option<Result<Done, usize>> {
        match self.tasks.join_next_with_id().await? {
            Ok((id, done)) => {
                self.steps.remove(&id);
                Some(Ok(done))
            }
            Err(error) => self.steps.remove(&error.id()).map(Err),
        }
    }

    /// Cancels everybody and waits until they are gone.
    async fn dismiss(&mut self) {
        self.tasks.shutdown().await;
    }
}

/// Which steps of a section may begin.
struct Order {
    base: usize,
    waits: Vec<usize>,
    followers: Vec<Vec<usize>>,
    ready: VecDeque<usize>,
}

impl Order {
    fn new(section: &PlanSection, plan: &Plan) -> Self {
        let base = section.steps.start;
        let count = section.steps.len();
        let mut order =
            Self { base, waits: vec![0; count], followers: vec![Vec::new(); count], ready: VecDeque::new() };
        for step in section.steps.clone() {
            let line = (section.sequential && step > base).then(|| step - 1);
            for earlier in plan.steps[step].after.iter().copied().filter(|&e| e >= base).chain(line) {
                order.waits[step - base] += 1;
                order.followers[earlier - base].push(step);
            }
        }
        order.ready = section.steps.clone().filter(|step| order.waits[step - base] == 0).collect();
        order
    }

    fn done(&mut self, step: usize) {
        for follower in std::mem::take(&mut self.followers[step - self.base]) {
            self.waits[follower - self.base] -= 1;
            if self.waits[follower - self.base] == 0 {
                self.ready.push_back(follower);
            }
        }
    }
}
