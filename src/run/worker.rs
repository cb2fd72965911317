//! One step: conditions, looks, retries, time-outs, windows, captures. What it returns is redacted and bounded.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc::UnboundedSender;

use crate::checklist::reading::Reading;
use crate::diag::Diagnostics;
use crate::event::{Look, Skip, StepResult};
use crate::judge::window::{Consistently, Eventually, Next};
use crate::judge::{self, Terms};
use crate::model::outline::OnNoData;
use crate::model::{Expectation, Found, Note, Observation, Outcome, Verdict};
use crate::plan::{EvidencePolicy, Plan, PlanStep, Window, expect};
use crate::probe;
use crate::sys::World;
use crate::template::Scope;

use super::limits::Limits;
use super::redact::Redactor;

/// What every worker of a run shares.
pub(crate) struct Shop {
    pub plan: Arc<Plan>,
    pub world: World,
    pub limits: Limits,
    pub redactor: Arc<Redactor>,
    pub started: DateTime<Utc>,
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
}

impl Done {
    /// A probe broke down: a fault of holdpoint, said as such, and never a pass.
    pub(crate) fn broken(step: usize, started: DateTime<Utc>) -> Self {
        let result = StepResult {
            outcome: Outcome::Error,
            reason: "the probe broke down: this is a fault of holdpoint, please report it".to_owned(),
            skip: None,
            started,
            took_us: 0,
            looks: 0,
            look: None,
            flaky: false,
            cut: false,
            captured: Vec::new(),
        };
        Self { step, result, captured: Vec::new() }
    }
}

/// How long a look may exceed its time before it is cut off: probes end by themselves before that.
const GRACE: Duration = Duration::from_millis(400);

/// Runs one step.
pub(crate) async fn work(shop: Arc<Shop>, position: usize, scope: Arc<Scope>, tell: UnboundedSender<Tell>) -> Done {
    let started = (shop.world.clock.now(), shop.world.clock.elapsed());
    let step = &shop.plan.steps[position];
    let mut worker =
        Worker { shop: &shop, step, position, scope: &scope, tell: &tell, started, looks: 0, flaky: false };
    let (result, captured) = worker.run().await;
    Done { step: position, result, captured }
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
}

/// A look that is judged, with what it captured.
struct Judged {
    look: Look,
    captured: Result<Vec<(String, Json)>, String>,
}

impl Worker<'_> {
    async fn run(&mut self) -> (StepResult, Vec<(String, Json)>) {
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
        let (expect, warn) = match self.terms() {
            Ok(terms) => terms,
            Err(problem) => return (self.result(Verdict::of(Outcome::Error, problem), None), Vec::new()),
        };
        let (verdict, judged) = match self.step.window {
            Window::Once => self.once(expect.as_ref(), warn.as_ref()).await,
            Window::Eventually { within, every, hold } => {
                let mut window = Eventually::new(within, Some(hold));
                self.watch(every, expect.as_ref(), warn.as_ref(), &mut window).await
            }
            Window::Consistently { span, every, tolerate, failures, min_samples } => {
                let mut window = Consistently::new(span, tolerate, failures, min_samples);
                self.watch(every, expect.as_ref(), warn.as_ref(), &mut window).await
            }
            Window::Guard { every, tolerate, failures } => {
                let mut window = Consistently::new(Duration::MAX, tolerate, failures, None);
                self.watch(every, expect.as_ref(), warn.as_ref(), &mut window).await
            }
        };
        self.finish(verdict, judged)
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
            let judged = self.look(expect, warn).await;
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

    /// Looks again and again until the window is decided.
    async fn watch(
        &mut self,
        every: Duration,
        expect: Option<&Expectation>,
        warn: Option<&Expectation>,
        window: &mut impl Watch,
    ) -> (Verdict, Judged) {
        let clock = &self.shop.world.clock;
        let begin = clock.elapsed();
        let until = clock.now() + TimeDelta::from_std(window.ends_at()).unwrap_or(TimeDelta::MAX);
        // The receiver lives as long as the run.
        let _ = self.tell.send(Tell::Begun(self.position, self.step.probe.describe(), Some(until)));
        let mut due = begin;
        loop {
            let at = clock.elapsed() - begin;
            let judged = self.look(expect, warn).await;
            self.tell_look(&judged.look);
            if let Next::Done(verdict) = window.look(at, &judged.look.verdict) {
                return (verdict, judged);
            }
            let (now, end) = (clock.elapsed() - begin, window.ends_at());
            if now >= end {
                return (window.at_end(now), judged);
            }
            // Looks keep to the timetable; those that are overdue are not made up for.
            while due <= clock.elapsed() {
                due += every;
            }
            let next = due.min(begin + end);
            clock.sleep(next.saturating_sub(clock.elapsed())).await;
        }
    }

    fn tell_look(&self, look: &Look) {
        // The receiver lives as long as the run.
        let _ = self.tell.send(Tell::Looked(self.position, Box::new(look.clone())));
    }

    /// Looks once, errors of looking tried again, and judges.
    async fn look(&mut self, expect: Option<&Expectation>, warn: Option<&Expectation>) -> Judged {
        let clock = &self.shop.world.clock;
        let (at, begin) = (clock.now(), clock.elapsed());
        let mut attempts = 1;
        let mut delay = self.step.retry.delay;
        let mut observation = self.observe().await;
        while attempts < self.step.retry.attempts
            && matches!(observation.found, Found::CouldNotLook { retry: true, .. })
        {
            clock.sleep(delay).await;
            delay = delay.mul_f64(self.step.retry.backoff.clamp(1.0, 100.0)).min(Duration::from_secs(300));
            attempts += 1;
            observation = self.observe().await;
        }
        self.looks += 1;
        let outline = &self.step.outline;
        let terms = Terms {
            expect,
            warn,
            on_no_data: outline.on_no_data,
            series_any: outline.series_any,
            speaks: outline.speaks_for_itself,
            against: &[],
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
        let took_us = u64::try_from((clock.elapsed() - begin).as_micros()).unwrap_or(u64::MAX);
        let look = Look { n: self.looks, took_us, attempts, ..Look::new(at, observation, verdict) };
        Judged { look, captured }
    }

    async fn observe(&self) -> Observation {
        let (shop, step) = (self.shop, self.step);
        let _leave = shop.limits.enter(step.probe.host(self.scope)).await;
        // A probe that waits by design waits by the clock; every other is busy in the real world.
        let _busy = step.probe.needs().is_none().then(|| shop.world.clock.busy());
        let look = probe::Look {
            world: &shop.world,
            scope: self.scope,
            sources: &shop.plan.sources,
            timeout: step.timeout,
            run_started: shop.started,
            as_of: None,
            soak: None,
            archive: None,
        };
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
            outcome: verdict.outcome,
            reason: verdict.summary,
            skip: None,
            started: self.started.0,
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            looks: self.looks,
            look,
            flaky: self.flaky,
            cut: false,
            captured: Vec::new(),
        }
    }

    fn skipped(&self, skip: Skip, reason: String) -> StepResult {
        StepResult { skip: Some(skip), ..self.result(Verdict::of(Outcome::Skipped, reason), None) }
    }
}

/// A window that is fed looks.
trait Watch {
    /// Takes a look that began so long after the window.
    fn look(&mut self, elapsed: Duration, verdict: &Verdict) -> Next;
    /// Tells when the window ends, as far as is known now.
    fn ends_at(&self) -> Duration;
    /// Says what the window comes to when its time is up.
    fn at_end(&self, elapsed: Duration) -> Verdict;
}

impl Watch for Eventually {
    fn look(&mut self, elapsed: Duration, verdict: &Verdict) -> Next {
        self.look(elapsed, verdict)
    }
    fn ends_at(&self) -> Duration {
        self.ends_at()
    }
    fn at_end(&self, elapsed: Duration) -> Verdict {
        self.at_end(elapsed)
    }
}

impl Watch for Consistently {
    fn look(&mut self, elapsed: Duration, verdict: &Verdict) -> Next {
        self.look(elapsed, verdict)
    }
    fn ends_at(&self) -> Duration {
        self.ends_at()
    }
    fn at_end(&self, elapsed: Duration) -> Verdict {
        self.at_end(elapsed)
    }
}

/// The captured values of a run so far.
pub(crate) type Captured = Map<String, Json>;
