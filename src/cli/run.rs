//! `run`: from the checklist to the decision.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;

use crate::event::Sink;
use crate::live::console::Console;
use crate::live::lines::JsonLines;
use crate::model::outline::Header;
use crate::model::{Decision, RunId};
use crate::plan::Plan;
use crate::record::{self, Handle, Recorder, RunRecord, store};
use crate::report::{RunView, terminal};
use crate::run::{Errand, Identity, Journal, JournalEnd, Options, Redactor};
use crate::signoff;
use crate::sys::World;

use super::archive::Shelf;
use super::args::{HowArgs, RunArgs, Show};
use super::load::{Ask, Loaded, load};
use super::reports::Wanted;
use super::signals::{self, Signals};
use super::{Result, USAGE, stdio};

pub(super) fn main(args: &RunArgs) -> Result<u8> {
    let world = World::real();
    let ask = Ask { inputs: &args.inputs, select: &args.select, env: &world.env, complete: true };
    let loaded: Vec<Loaded> = args.files.iter().map(|path| load(path, &ask)).collect::<Result<_>>()?;
    let Some(plans) = accept(loaded) else { return Ok(USAGE) };
    if plans.len() > 1 && !args.how.reports.is_empty() {
        anyhow::bail!("--report names one file, but there are {} checklists; run them one by one", plans.len());
    }
    let wanted = Wanted::new(&args.how.reports, args.how.template.as_deref())?;
    let allow_changes = args.how.allow_changes || (!args.how.read_only && plans.iter().all(consent));
    let filters = filters(args);
    let runtime = runtime()?;
    let signals = runtime.block_on(async { signals::listen() })?;
    let mut worst = Decision::Go;
    for plan in plans {
        let job = Job {
            how: &args.how,
            allow_changes,
            filters: filters.clone(),
            store: &args.store.store,
            world: world.clone(),
            signals: signals.clone(),
        };
        let decision = match runtime.block_on(carry_out(plan, &wanted, &job)) {
            Ok(outcome) => outcome.decision,
            Err(error) => {
                // The other checklists are still run; what cannot be told is never a go.
                stdio::say(&format!("error: {error:#}"));
                Decision::Undecided
            }
        };
        worst = worse(worst, decision);
    }
    // A read that hangs in the kernel does not keep the program from leaving.
    runtime.shutdown_background();
    Ok(worst.exit_status())
}

/// How one plan is to be run.
pub(crate) struct Job<'a> {
    pub how: &'a HowArgs,
    pub allow_changes: bool,
    /// Options that change what is run, as they would be typed.
    pub filters: Vec<String>,
    pub store: &'a str,
    pub world: World,
    pub signals: Signals,
}

/// What a run came to, for whoever called it.
pub(crate) struct Outcome {
    pub decision: Decision,
}

/// Makes the runtime that everything asynchronous runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Shows what is wrong with the checklists; nothing runs unless all of them are good.
pub(crate) fn accept(loaded: Vec<Loaded>) -> Option<Vec<Plan>> {
    let mut plans = Vec::new();
    let count = loaded.len();
    for loaded in loaded {
        stdio::tell(&loaded.complaints());
        plans.extend(loaded.plan);
    }
    if plans.len() < count {
        stdio::say("nothing was run; `holdpoint explain CODE` tells more about a mistake");
        return None;
    }
    Some(plans)
}

/// Runs a plan, keeps the record, shows and writes the reports.
pub(crate) async fn carry_out(plan: Plan, wanted: &Wanted, job: &Job<'_>) -> Result<Outcome> {
    let identity = identity(&plan, job);
    let run = identity.run.clone();
    let recorder = match store::open(job.store).and_then(|store| Recorder::new(store, run.clone())) {
        Ok(recorder) => recorder,
        Err(error) => {
            stdio::say(&format!("error: the store cannot be used, so nothing was run: {error}"));
            return Ok(Outcome { decision: Decision::Undecided });
        }
    };
    let kept = recorder.handle();
    let (journal, thread) = Journal::start(Box::new(recorder), displays(job.how.format, wanted));
    let options = Options {
        jobs: job.how.jobs.into(),
        per_host: job.how.per_host.into(),
        allow_changes: job.allow_changes,
        read_only: job.how.read_only,
        archive: Some(Arc::new(Shelf::new(job.store, run.clone()))),
        ..Options::default()
    };
    // As a task of its own it runs beside its workers: between threads, every step would cost two switches.
    let mut running = JoinSet::new();
    let stop = job.signals.stop.clone();
    let (_, inbox) = tokio::sync::mpsc::unbounded_channel();
    let (plan, world) = (Arc::new(plan), job.world.clone());
    running.spawn(crate::run::run(Errand { plan, world, identity, options, journal, stop, inbox, taken_up: None }));
    tokio::select! {
        ended = running.join_next() => ended.transpose().map(|_| ())?,
        () = job.signals.leave() => {
            // The run is dropped here, and what it started with it.
            running.shutdown().await;
            signals::exit().await
        }
    }
    let end = tokio::task::spawn_blocking(move || thread.join()).await?;
    let end = end.map_err(|_| anyhow::anyhow!("the thread that keeps the record broke down"))?;
    match conclude(&run, &kept, end, wanted, job) {
        Ok(outcome) => Ok(outcome),
        Err(error) => {
            // Without its record a run says nothing, however well it went.
            stdio::say(&format!("error: the record of run {run} cannot be read: {error:#}"));
            Ok(Outcome { decision: Decision::Undecided })
        }
    }
}

fn displays(format: Show, wanted: &Wanted) -> Vec<Box<dyn Sink>> {
    match format {
        Show::Json if !wanted.takes_stdout() => vec![Box::new(JsonLines::new(Box::new(std::io::stdout())))],
        Show::Json => Vec::new(),
        Show::Text => {
            let width = u16::try_from(stdio::width()).unwrap_or(100);
            let terminal = std::io::stderr().is_terminal();
            vec![Box::new(Console::new(Box::new(std::io::stderr()), stdio::colour(), width, terminal))]
        }
    }
}

/// Rules on the record, shows it, writes the reports.
fn conclude(run: &RunId, kept: &Handle, end: JournalEnd, wanted: &Wanted, job: &Job<'_>) -> Result<Outcome> {
    for complaint in &end.complaints {
        stdio::say(&format!("warning: {complaint}"));
    }
    let mut record = kept.with_store(|store| record::load_with(store, run, end.unrecorded))?;
    if let Some(fault) = &end.fault {
        stdio::say(&format!("error: the record could not be kept: {fault}"));
        record.interrupted.get_or_insert_with(|| format!("the store failed: {fault}"));
    }
    let ruling = signoff::decide(&record, &[], job.world.clock.now());
    let mut decision = ruling.decision;
    let record: Arc<RunRecord> = Arc::new(record);
    let view = RunView::new(Arc::clone(&record), &ruling);
    if job.how.format == Show::Text && !wanted.takes_stdout() {
        let width = u16::try_from(stdio::width()).unwrap_or(100);
        stdio::print(&terminal::render(&view, width, stdio::colour_of_stdout()));
    }
    let export = |out: &mut dyn Write| {
        kept.with_store(|store| record::format::export(store, run, out))?;
        Ok(())
    };
    if !wanted.write(&view, &export) && decision == Decision::Go {
        // A report that was asked for and is not there must not go unnoticed behind a green light.
        decision = Decision::Undecided;
    }
    Ok(Outcome { decision })
}

fn identity(plan: &Plan, job: &Job<'_>) -> Identity {
    let now = job.world.clock.now();
    let header = Header {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        checklist: plan.head.clone(),
        inputs: plan.inputs.shown.clone(),
        host: job.world.env.host(),
        user: job.world.env.user(),
        options: job.filters.clone(),
        strict: job.how.strict,
        roles: plan.roles.clone(),
        sign_rules: plan.sign_rules.clone(),
        soak: plan.soak.as_ref().map(|soak| soak.times),
        as_of: None,
        appendix: plan.appendix.clone(),
    };
    Identity { run: run_id(now), header }
}

/// Makes a name for a run: when it began, and a random tail.
fn run_id(now: DateTime<Utc>) -> RunId {
    let random = RandomState::new().build_hasher().finish();
    RunId::new(format!("{}-{:04x}", now.format("%Y%m%d-%H%M%S"), random & 0xffff))
}

fn filters(args: &RunArgs) -> Vec<String> {
    let mut out: Vec<String> = args.select.only.iter().map(|p| format!("--only {p}")).collect();
    out.extend(args.select.skip.iter().map(|p| format!("--skip {p}")));
    let flags = [
        (args.how.strict, "--strict"),
        (args.how.read_only, "--read-only"),
        (args.how.allow_changes, "--allow-changes"),
    ];
    out.extend(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| (*flag).to_owned()));
    out
}

/// Asks at the terminal whether the world may be changed. Elsewhere the answer is no, and the steps stay pending.
fn consent(plan: &Plan) -> bool {
    let changes: Vec<_> = plan.steps.iter().filter(|s| s.selected && s.outline.changes.is_some()).collect();
    if changes.is_empty() {
        return true;
    }
    let asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
    if !asked {
        return false;
    }
    stdio::say("These steps change the world:");
    let redactor = Redactor::new(plan.secrets());
    for step in changes {
        let line = format!("  - {}: {}", step.outline.name, step.outline.changes.as_deref().unwrap_or_default());
        stdio::say(&redactor.text(&line));
    }
    stdio::tell("May they run when their turn comes? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Returns the decision that weighs more: no-go, then undecided, then held, then go.
fn worse(a: Decision, b: Decision) -> Decision {
    let weight = |d: Decision| match d {
        Decision::NoGo => 3,
        Decision::Undecided => 2,
        Decision::Held => 1,
        Decision::Go => 0,
    };
    if weight(b) > weight(a) { b } else { a }
}
