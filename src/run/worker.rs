//! One step: conditions, looks, retries, time-outs, windows, captures. What it returns is redacted and bounded.

mod windows;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::checklist::reading::Reading;
use crate::diag::Diagnostics;
use crate::event::{Look, Skip, StepResult};
use crate::judge::{self, Terms};
use crate::model::outline::OnNoData;
use crate::model::{Against, Expectation, Found, MeasureName, Note, Observation, Outcome, Reference, Verdict};
use crate::plan::{BaselinePlan, EvidencePolicy, Plan, PlanStep, expect};
use crate::probe;
use crate::sys::World;
use crate::template::Scope;

use super::limits::Limits;
use super::redact::Redactor;
use super::references::{self, Baseline, Memory};
use super::watching::Watching;

/// What every worker of a run shares.
pub(crate) struct Shop {
    pub plan: Arc<Plan>,
    pub world: World,
    pub limits: Limits,
    pub redactor: Arc<Redactor>,
    pub started: DateTime<Utc>,
    pub archive: Option<Arc<dyn probe::Archive>>,
    /// Whether the process before left on purpose, because the run waited.
    pub left_on_purpose: bool,
}

/// What one worker is asked for.
pub(crate) struct Brief {
    /// The step, as a position in the plan.
    pub step: usize,
    /// The values that templates may use.
    pub scope: Arc<Scope>,
    /// The past time that is asked about, when it is not now.
    pub past: Option<DateTime<Utc>>,
    /// From when to when the soak goes.
    pub soak: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Values of the step's earlier looks.
    pub memory: Memory,
    /// The window, where a process before has begun it.
    pub watching: Option<Watching>,
    /// Values that are the same for every look, each under every measure that is wanted.
    pub baseline: Baseline,
    /// Told when a guard is to end; nothing for every other step.
    pub curtain: Option<watch::Receiver<bool>>,
}

/// What a worker tells while it works.
pub(crate) enum Tell {
    /// One look of a step that looks more than once.
    Looked(usize, Box<Look>),
    /// Expectations that are known now: of use to whoever shows the step.
    Begun(usize, String, Option<DateTime<Utc>>),
}

/// What a step came to.
pub(crate) struct Done {
    pub step: usize,
    pub result: StepResult,
    /// Captured values, not redacted: they are for later steps.
    pub captured: Vec<(String, Json)>,
    /// Values of its looks, for the next ones.
    pub memory: Memory,
}

impl Done {
    /// A probe broke down: a fault of holdpoint, said as such, and never a pass.
    pub(crate) fn broken(step: usize, started: DateTime<Utc>) -> Self {
        let reason = "the probe broke down: this is a fault of holdpoint, please report it";
        let result = StepResult::new(Outcome::Error, reason, started);
        Self { step, result, captured: Vec::new(), memory: Memory::default() }
    }
}

/// How long a look may exceed its time before it is cut off: probes end by themselves before that.
const GRACE: Duration = Duration::from_millis(400);

/// Runs one step.
pub(crate) async fn work(shop: Arc<Shop>, brief: Brief, tell: UnboundedSender<Tell>) -> Done {
    let started = (shop.world.clock.now(), shop.world.clock.elapsed());
    let step = &shop.plan.steps[brief.step];
    let Brief { step: position, scope, past, soak, memory, watching, baseline, curtain } = brief;
    let looks = watching.as_ref().map_or(0, |w| w.looks);
    let mut worker = Worker {
        shop: &shop,
        step,
        position,
        scope: &scope,
        tell: &tell,
        started,
        looks,
        flaky: false,
        past,
        soak,
        memory,
        baseline,
        curtain,
        wanted: Vec::new(),
    };
    let (result, captured) = worker.run(watching).await;
    let memory = worker.memory;
    Done { step: position, result, captured, memory }
}

struct Worker<'a> {
    shop: &'a Shop,
    step: &'a PlanStep,
    position: usize,
    scope: &'a Scope,
    tell: &'a UnboundedSender<Tell>,
    started: (DateTime<Utc>, Duration),
    looks: u32,
    flaky: bool,
    past: Option<DateTime<Utc>>,
    soak: Option<(DateTime<Utc>, DateTime<Utc>)>,
    memory: Memory,
    baseline: Baseline,
    curtain: Option<watch::Receiver<bool>>,
    /// What its limits are relative to.
    wanted: Vec<(Against, MeasureName)>,
}

/// A look that is judged, with what it captured.
struct Judged {
    look: Look,
    captured: Result<Vec<(String, Json)>, String>,
}

impl Judged {
    fn recalled(look: Look) -> Self {
        Self { look, captured: Ok(Vec::new()) }
    }
}

impl Worker<'_> {
    async fn run(&mut self, watching: Option<Watching>) -> (StepResult, Vec<(String, Json)>) {
        if let Some(when) = &self.step.when {
            match when.holds(self.scope) {
                Ok(true) => {}
                Ok(false) => {
                    let reason = format!("its condition is false: {}", when.source());
                    return (self.skipped(Skip::Condition, reason), Vec::new());
                }
                Err(error) => {
                    let verdict = Verdict::of(Outcome::Error, format!("the condition `{}`: {error}", when.source()));
                    return (self.result(verdict, None), Vec::new());
                }
            }
        }
        if let Some(reason) = self.refused().await {
            return (self.result(Verdict::of(Outcome::Error, reason), None), Vec::new());
        }
        let (expect, warn) = match self.terms() {
            Ok(terms) => terms,
            Err(problem) => return (self.result(Verdict::of(Outcome::Error, problem), None), Vec::new()),
        };
        let (expect, warn) = (expect.as_ref(), warn.as_ref());
        self.wanted = references::wanted(&[expect, warn]);
        self.ask_archive().await;
        let watching = watching.or_else(|| Watching::open(&self.step.window));
        let (verdict, judged) = match (watching, self.past) {
            (None, None) => self.once(expect, warn).await,
            (None, Some(at)) => {
                let judged = self.look(expect, warn, Some(at)).await;
                (judged.look.verdict.clone(), judged)
            }
            (Some(window), None) => self.watch(expect, warn, window).await,
            (Some(window), Some(at)) => self.look_back(expect, warn, window, at).await,
        };
        self.finish(verdict, judged)
    }

    /// Tells by which rule of the policy the step is refused, as far as that is known before it looks.
    async fn refused(&self) -> Option<String> {
        let policy = Arc::clone(&self.shop.world.policy);
        if policy.is_default() {
            return None;
        }
        let (plan, position, scope) = (Arc::clone(&self.shop.plan), self.position, self.scope.clone());
        // Where files are ruled, paths are followed to where they lead.
        let judged = tokio::task::spawn_blocking(move || super::refused(&policy, &plan.steps[position], &scope)).await;
        match judged {
            Ok(refusal) => refusal.map(|refusal| refusal.message),
            Err(_) => Some("the policy could not be asked".to_owned()),
        }
    }

    /// Finds out what the same step measured in an earlier run, where that is its baseline.
    async fn ask_archive(&mut self) {
        let Some(BaselinePlan::Run(which)) = &self.step.baseline else { return };
        let Some(archive) = self.shop.archive.clone() else {
            self.baseline = Baseline::Missing("no earlier run can be asked here".to_owned());
            return;
        };
        let (which, step) = (which.clone(), self.step.outline.id.clone());
        let name = self.shop.plan.head.name.clone();
        let asked = tokio::task::spawn_blocking(move || references::from_archive(&*archive, &which, &name, &step));
        self.baseline = asked.await.unwrap_or_else(|_| Baseline::Missing("the earlier run cannot be read".to_owned()));
    }

    /// Settles captures: a value that a later step needs and that could not be computed is an error of this one.
    fn finish(&self, mut verdict: Verdict, judged: Judged) -> (StepResult, Vec<(String, Json)>) {
        let captured = match judged.captured {
            Ok(captured) => captured,
            Err(problem) => {
                if verdict.outcome.satisfies() {
                    verdict = Verdict { outcome: Outcome::Error, summary: problem, findings: verdict.findings };
                }
                Vec::new()
            }
        };
        let mut result = self.result(verdict, Some(judged.look));
        result.captured = captured
            .iter()
            .map(|(name, value)| {
                let mut shown = value.clone();
                self.shop.redactor.json(&mut shown);
                (name.clone(), shown)
            })
            .collect();
        (result, captured)
    }

    /// Returns what must hold; expectations that use captured values are compiled now that these are known.
    fn terms(&self) -> Result<(Option<Expectation>, Option<Expectation>), String> {
        let outline = &self.step.outline;
        let Some(deferred) = &self.step.deferred else { return Ok((outline.expect.clone(), outline.warn.clone())) };
        let mut diagnostics = Diagnostics::new();
        let mut reading = Reading::new(&self.shop.plan.texts, &mut diagnostics, self.scope);
        let expect = deferred.expect.as_ref().map(|node| expect::compile(&mut reading, self.step.kind, node));
        let warn = deferred.warn.as_ref().map(|node| expect::compile(&mut reading, self.step.kind, node));
        let first = diagnostics.iter().next().map(|d| d.message.clone());
        match (expect, warn) {
            (Some(None), _) | (_, Some(None)) => {
                let cause = first.unwrap_or_else(|| "a captured value is missing".to_owned());
                Err(format!("what must hold cannot be told: {cause}"))
            }
            (expect, warn) => {
                Ok((crate::plan::step::join(expect.flatten(), self.step.probe.implied()), warn.flatten()))
            }
        }
    }

    async fn once(&mut self, expect: Option<&Expectation>, warn: Option<&Expectation>) -> (Verdict, Judged) {
        let until = self.shop.world.clock.elapsed() + self.step.timeout;
        loop {
            let judged = self.look(expect, warn, None).await;
            let waits = self.step.outline.on_no_data == OnNoData::Wait
                && judged.look.verdict.outcome == Outcome::Inconclusive
                && self.shop.world.clock.elapsed() + self.step.every < until;
            if !waits {
                return (judged.look.verdict.clone(), judged);
            }
            self.tell_look(&judged.look);
            self.shop.world.clock.sleep(self.step.every).await;
        }
    }

    fn tell_look(&self, look: &Look) {
        // The receiver lives as long as the run.
        let _ = self.tell.send(Tell::Looked(self.position, Box::new(look.clone())));
    }

    /// Looks once, errors of looking tried again, and judges.
    async fn look(
        &mut self,
        expect: Option<&Expectation>,
        warn: Option<&Expectation>,
        as_of: Option<DateTime<Utc>>,
    ) -> Judged {
        let clock = &self.shop.world.clock;
        let (at, begin) = (clock.now(), clock.elapsed());
        let mut attempts = 1;
        let mut delay = self.step.retry.delay;
        let mut observation = self.observe(as_of).await;
        while attempts < self.step.retry.attempts
            && matches!(observation.found, Found::CouldNotLook { retry: true, .. })
        {
            clock.sleep(delay).await;
            delay = delay.mul_f64(self.step.retry.backoff.clamp(1.0, 100.0)).min(Duration::from_secs(300));
            attempts += 1;
            observation = self.observe(as_of).await;
        }
        self.looks += 1;
        let mut against = self.references(as_of).await;
        let outline = &self.step.outline;
        let terms = Terms {
            expect,
            warn,
            on_no_data: outline.on_no_data,
            series_any: outline.series_any,
            speaks: outline.speaks_for_itself,
            against: &against,
        };
        let mut verdict = judge::look(&observation, &terms);
        if attempts > 1 && !matches!(observation.found, Found::CouldNotLook { .. }) {
            observation.notes.push(Note::warning(format!("could look only at attempt {attempts}")));
            self.flaky |= verdict.outcome.satisfies();
        }
        let captured = self.capture(&observation, verdict.outcome);
        self.bound(&mut observation);
        self.shop.redactor.observation(&mut observation);
        self.shop.redactor.verdict(&mut verdict);
        self.shop.redactor.references(&mut against);
        let took_us = u64::try_from((clock.elapsed() - begin).as_micros()).unwrap_or(u64::MAX);
        let look = Look { n: self.looks, took_us, attempts, as_of, against, ..Look::new(at, observation, verdict) };
        if !self.wanted.is_empty() {
            self.memory.take(&look);
        }
        Judged { look, captured }
    }

    /// Gathers what the next look is held against.
    async fn references(&self, as_of: Option<DateTime<Utc>>) -> Vec<Reference> {
        let mut all = Vec::new();
        if !self.wanted.is_empty() {
            all.extend(self.memory.references(&self.wanted));
            all.extend(self.baseline.references(&self.wanted));
        }
        if self.step.probe.takes_along() {
            let look = self.probe_look(as_of);
            let along = self.step.probe.along(&look);
            let needed = |reference: &Reference| {
                self.wanted.iter().any(|(against, name)| *against == reference.name && *name == reference.measure)
            };
            match self.shop.world.clock.timeout(self.step.timeout, along).await {
                Some(found) => all.extend(found.into_iter().filter(needed)),
                None => all.extend(Baseline::Missing("no answer in time".to_owned()).references(&self.wanted)),
            }
        }
        for reference in &mut all {
            self.shop.redactor.value(&mut reference.value);
            reference.origin = self.shop.redactor.text(&reference.origin).into_owned();
        }
        all
    }

    fn probe_look(&self, as_of: Option<DateTime<Utc>>) -> probe::Look<'_> {
        probe::Look {
            world: &self.shop.world,
            scope: self.scope,
            sources: &self.shop.plan.sources,
            timeout: self.step.timeout,
            run_started: self.shop.started,
            as_of,
            soak: self.soak,
            archive: self.shop.archive.as_ref(),
        }
    }

    async fn observe(&self, as_of: Option<DateTime<Utc>>) -> Observation {
        let (shop, step) = (self.shop, self.step);
        let _leave = shop.limits.enter(step.probe.host(self.scope)).await;
        // A probe that waits by design waits by the clock; every other is busy in the real world.
        let _busy = step.probe.needs().is_none().then(|| shop.world.clock.busy());
        let look = self.probe_look(as_of);
        match shop.world.clock.timeout(step.timeout + step.probe.grace() + GRACE, step.probe.observe(&look)).await {
            Some(observation) => observation,
            None => {
                let cause = format!("no answer within {}", crate::model::quantity::seconds(step.timeout.as_secs_f64()));
                let found = match step.probe.silence_is_failure() {
                    true => Found::NoAnswer { cause },
                    false => Found::could_not_look(cause),
                };
                Observation::new(step.probe.describe(), found)
            }
        }
    }

    fn capture(&self, observation: &Observation, outcome: Outcome) -> Result<Vec<(String, Json)>, String> {
        let Found::Measures(measures) = &observation.found else { return Ok(Vec::new()) };
        if self.step.capture.is_empty() || !outcome.satisfies() {
            return Ok(Vec::new());
        }
        let scope = judge::scope(measures);
        let compute = |(name, expression): &(String, crate::template::Expression)| {
            let value = expression.evaluate(&scope);
            value.map(|v| (name.clone(), v)).map_err(|e| format!("capture {name:?}: {e}"))
        };
        self.step.capture.iter().map(compute).collect()
    }

    fn bound(&self, observation: &mut Observation) {
        match self.step.evidence {
            EvidencePolicy::Full => {}
            EvidencePolicy::None => observation.evidence.clear(),
            EvidencePolicy::Summary => {
                for evidence in &mut observation.evidence {
                    let end = (0..=2048.min(evidence.text.len())).rev().find(|&at| evidence.text.is_char_boundary(at));
                    let end = end.unwrap_or_default();
                    evidence.left_out += (evidence.text.len() - end) as u64;
                    evidence.text.truncate(end);
                }
            }
        }
    }

    fn result(&self, mut verdict: Verdict, look: Option<Look>) -> StepResult {
        self.shop.redactor.verdict(&mut verdict);
        let took = self.shop.world.clock.elapsed() - self.started.1;
        let look = look.map(|mut look| {
            if self.looks <= 1 {
                look.verdict = verdict.clone();
            }
            Box::new(look)
        });
        StepResult {
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            looks: self.looks,
            look,
            flaky: self.flaky,
            ..StepResult::new(verdict.outcome, verdict.summary, self.started.0)
        }
    }

    fn skipped(&self, skip: Skip, reason: String) -> StepResult {
        StepResult { skip: Some(skip), ..self.result(Verdict::of(Outcome::Skipped, reason), None) }
    }
}

/// The captured values of a run so far.
pub(crate) type Captured = Map<String, Json>;
