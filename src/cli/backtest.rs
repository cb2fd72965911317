//! `backtest`: a checklist judged as of many past times, as a table: how would these limits have decided?

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::event::{Event, EventKind, Sink, SinkError, StepResult};
use crate::model::outline::Header;
use crate::model::{Decision, Found, Outcome, StepId, Value, quantity};
use crate::plan::Plan;
use crate::report::plain;
use crate::run::{Errand, Identity, Journal, Options, Past};
use crate::sys::World;

use super::args::{BacktestArgs, Show};
use super::conduct::runtime;
use super::load::{Ask, load};
use super::run::{accept, allowed, run_id};
use super::{Result, USAGE, moments, policed, signals, stdio};

pub(super) fn main(args: &BacktestArgs) -> Result<u8> {
    let world = World::under(policed::accept(args.policy.policy.as_deref())?);
    let now = world.clock.now();
    let mut times: Vec<DateTime<Utc>> =
        args.at.iter().map(|text| moments::one(text, now)).collect::<Result<Vec<_>>>()?;
    if let (Some(every), Some(last)) = (&args.every, &args.last) {
        times.extend(moments::row(every, last, now)?);
    }
    times.sort_unstable();
    times.dedup();
    anyhow::ensure!(!times.is_empty(), "as of when? write --at 2026-11-20T14:00:00Z, or --every 1d --last 30d");
    let ask = Ask { inputs: &args.inputs, select: &args.select, env: &world.env, complete: true, recorded: &[] };
    let Some(mut plans) = accept(allowed(vec![load(&args.file, &ask)?], &world.policy)) else { return Ok(USAGE) };
    let Some(plan) = plans.pop().map(Arc::new) else { return Ok(USAGE) };
    let asked = |at: &usize| plan.steps[*at].selected && plan.steps[*at].probe.can_look_back();
    let steps: Vec<usize> = (0..plan.steps.len()).filter(asked).collect();
    anyhow::ensure!(!steps.is_empty(), "no step of the checklist can be asked about the past");
    let runtime = runtime()?;
    let signals = runtime.block_on(async { signals::listen() })?;
    let judged = runtime.block_on(judge_all(&plan, &world, &times, args, signals.stop.clone()))?;
    runtime.shutdown_background();
    match args.format {
        Show::Json => stdio::print(&format!("{}\n", serde_json::to_string_pretty(&as_json(&plan, &steps, &judged))?)),
        Show::Text => stdio::print(&as_text(&plan, &steps, &judged)),
    }
    let whole = judged.len() == times.len();
    Ok(if whole { 0 } else { Decision::Undecided.exit_status() })
}

/// What a past time came to.
struct Judged {
    at: DateTime<Utc>,
    decision: Decision,
    results: Vec<(StepId, StepResult)>,
}

/// Judges as many times side by side as may be, over one pool of connections.
async fn judge_all(
    plan: &Arc<Plan>,
    world: &World,
    times: &[DateTime<Utc>],
    args: &BacktestArgs,
    stop: watch::Receiver<Option<String>>,
) -> Result<Vec<Judged>> {
    let places = Arc::new(Semaphore::new(args.jobs.into()));
    let mut tasks = JoinSet::new();
    for (n, at) in times.iter().copied().enumerate() {
        let (plan, world, stop) = (Arc::clone(plan), world.clone(), stop.clone());
        let (places, strict) = (Arc::clone(&places), args.strict);
        tasks.spawn(async move {
            let _place = places.acquire_owned().await;
            if stop.borrow().is_some() {
                return None;
            }
            Some((n, judge_one(plan, world, at, strict, stop).await))
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done?);
    }
    all.sort_by_key(|(n, _)| *n);
    Ok(all.into_iter().map(|(_, judged)| judged).collect())
}

async fn judge_one(
    plan: Arc<Plan>,
    world: World,
    at: DateTime<Utc>,
    strict: bool,
    stop: watch::Receiver<Option<String>>,
) -> Judged {
    let kept = Kept::default();
    let (journal, thread) = Journal::start(Box::new(kept.clone()), Vec::new());
    let soak = plan.soak.as_ref().map(|soak| soak.times);
    let header = Header { checklist: plan.head.clone(), strict, as_of: Some(at), soak, ..Header::default() };
    let identity = Identity { run: run_id(at), header };
    let past = Some(Past { at, leave_out: true });
    // Who signs decides on what is, not on what was.
    let options = Options { past, signed: true, ..Options::default() };
    let (_, inbox) = mpsc::unbounded_channel();
    let ended = crate::run::run(Errand { plan, world, identity, options, journal, stop, inbox, taken_up: None }).await;
    // The thread ends with its last sender, which is gone.
    let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    let results = std::mem::take(&mut *kept.0.lock().unwrap_or_else(PoisonError::into_inner));
    Judged { at, decision: ended.decision, results }
}

/// Keeps how steps came out.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(StepId, StepResult)>>>);

impl Sink for Kept {
    fn take(&mut self, events: &[Event]) -> std::result::Result<(), SinkError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            if let EventKind::StepFinished { step, result } = &event.kind {
                kept.push((step.clone(), (**result).clone()));
            }
        }
        Ok(())
    }
}

impl Judged {
    fn result(&self, step: &StepId) -> Option<&StepResult> {
        self.results.iter().find(|(id, _)| id == step).map(|(_, result)| result)
    }
}

fn as_text(plan: &Plan, steps: &[usize], judged: &[Judged]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let names = steps.iter().map(|&step| plain::line(plan.steps[step].outline.id.as_str()).into_owned());
    table.set_header(["as of", "decision"].map(str::to_owned).into_iter().chain(names));
    for row in judged {
        let at = row.at.format("%Y-%m-%d %H:%M:%SZ").to_string();
        let cells = steps.iter().map(|&step| row.result(&plan.steps[step].outline.id).map_or_else(String::new, cell));
        table.add_row([at, row.decision.to_string()].into_iter().chain(cells));
    }
    let mut text = format!("{table}\n");
    let left: Vec<&str> = left_out(plan, steps);
    if !left.is_empty() {
        text.push_str(&format!("\nleft out, as they cannot be asked about the past: {}\n", left.join(", ")));
    }
    let count = |decision| judged.iter().filter(|row| row.decision == decision).count();
    let (go, no_go, undecided) = (count(Decision::Go), count(Decision::NoGo), count(Decision::Undecided));
    text.push_str(&format!("\n{} times: {go} go, {no_go} no-go, {undecided} undecided\n", judged.len()));
    text
}

/// Lists the steps of the checklist proper that were not asked.
fn left_out<'a>(plan: &'a Plan, steps: &[usize]) -> Vec<&'a str> {
    let proper = plan.sections.iter().filter(|s| s.outline.part == crate::model::outline::Part::Section);
    let all = proper.flat_map(|section| section.steps.clone()).filter(|step| !steps.contains(step));
    all.map(|step| plan.steps[step].outline.id.as_str()).collect()
}

/// `fail 7.1%`
fn cell(result: &StepResult) -> String {
    let shown = result.look.as_ref().and_then(|look| {
        let finding = look.verdict.findings.first().map(|finding| finding.observed.clone());
        finding.or_else(|| number(result).map(quantity::plain))
    });
    let shown = shown.map(|text| plain::line(&text).chars().take(40).collect::<String>());
    match (result.outcome, shown) {
        (Outcome::Skipped, _) => "–".to_owned(),
        (outcome, Some(shown)) => format!("{outcome} {shown}"),
        (outcome, None) => outcome.to_string(),
    }
}

/// Returns the first number that a step measured.
fn number(result: &StepResult) -> Option<f64> {
    let Found::Measures(measures) = &result.look.as_ref()?.observation.found else { return None };
    measures.iter().find_map(|(_, value)| match value {
        Value::Number(number) => Some(*number),
        Value::Tally(tally) => Some(tally.count as f64),
        Value::Series(samples) if samples.len() == 1 => samples.first().map(|sample| sample.value),
        _ => None,
    })
}

fn as_json(plan: &Plan, steps: &[usize], judged: &[Judged]) -> serde_json::Value {
    let step = |row: &Judged, step: usize| {
        let id = &plan.steps[step].outline.id;
        row.result(id).map(|result| {
            json!({
                "step": id,
                "outcome": result.outcome,
                "reason": result.reason,
                "value": number(result).map(quantity::plain),
                "verdict": result.look.as_ref().map(|look| &look.verdict),
            })
        })
    };
    let rows: Vec<_> = judged
        .iter()
        .map(|row| {
            let steps: Vec<_> = steps.iter().filter_map(|&at| step(row, at)).collect();
            json!({ "as_of": row.at, "decision": row.decision, "steps": steps })
        })
        .collect();
    json!({ "checklist": plan.head.path, "digest": plan.head.digest, "left_out": left_out(plan, steps), "times": rows })
}
