//! Conducting one run, new or taken up again: kept, shown, asked for, reported.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::event::{Event, Request, Resumption, Sink, Waivers};
use crate::live::console::Console;
use crate::live::lines::JsonLines;
use crate::model::outline::Header;
use crate::model::{Decision, RunId};
use crate::notify::Channels;
use crate::plan::Plan;
use crate::record::{self, Handle, Recorder, RunRecord, RunStore, StoreError, store};
use crate::report::{RunView, terminal};
use crate::run::{Asked, Errand, Identity, Journal, JournalEnd, Options, Past, Patience, Point, TakenUp};
use crate::signoff::amend::release_due;
use crate::signoff::{self, approval};
use crate::sys::World;

use super::archive::Shelf;
use super::args::{HowArgs, Show};
use super::people::Asker;
use super::reports::Wanted;
use super::signals::{self, Signals};
use super::{Result, stdio, tell};

/// How often other processes' requests are looked for.
const POLL: Duration = Duration::from_millis(500);

/// How one plan is to be run.
pub(crate) struct Job<'a> {
    pub how: &'a HowArgs,
    pub allow_changes: bool,
    /// Options that change what is run, as they would be typed.
    pub filters: Vec<String>,
    /// The waivers that were given; those of a run that goes on stand when there are none.
    pub waivers: Option<Waivers>,
    pub store: &'a str,
    pub world: World,
    pub signals: Signals,
    /// What the run waits for before it leaves.
    pub patience: Patience,
    /// The past time as of which everything is asked.
    pub past: Option<Past>,
    /// Who is told of the run.
    pub channels: Arc<Channels>,
}

/// A run to go on with.
pub(crate) struct Again {
    pub store: Box<dyn RunStore>,
    pub owner: record::Owner,
    pub run: RunId,
    pub header: Header,
    pub point: Point,
    pub resumption: Resumption,
    /// Whether the signatures that the checklist asks for are there.
    pub signed: bool,
    /// What a display must know of before.
    pub before: Vec<Event>,
}

/// What a run came to, for whoever called it.
pub(crate) struct Outcome {
    pub decision: Decision,
}

/// Makes the runtime that everything asynchronous runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Runs a plan, keeps the record, shows and writes the reports.
pub(crate) async fn carry_out(plan: Plan, wanted: &Wanted, job: &Job<'_>) -> Result<Outcome> {
    let identity = super::run::identity(&plan, job);
    let run = identity.run.clone();
    let begun = store::open(job.store).and_then(|store| {
        let recorder = Recorder::new(store, run.clone())?;
        let owner = recorder.handle().with_store(|store| store.own(&run))?;
        Ok((recorder, owner))
    });
    let (recorder, owner) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            stdio::say(&format!("error: the store cannot be used, so nothing was run: {error}"));
            return Ok(Outcome { decision: Decision::Undecided });
        }
    };
    let set_up = SetUp { plan: Arc::new(plan), identity, recorder, taken_up: None, signed: false, before: Vec::new() };
    let outcome = conduct(set_up, wanted, job).await;
    drop(owner);
    outcome
}

/// Goes on with a run where it stood.
pub(crate) async fn go_on(plan: Arc<Plan>, again: Again, wanted: &Wanted, job: &Job<'_>) -> Result<Outcome> {
    let Again { store, owner, run, header, point, resumption, signed, before } = again;
    let recorder = Recorder::resume(store, run.clone())?;
    let identity = Identity { run, header };
    let taken_up = Some(TakenUp { point, resumption });
    let outcome = conduct(SetUp { plan, identity, recorder, taken_up, signed, before }, wanted, job).await;
    drop(owner);
    outcome
}

/// A run that is ready to begin or to go on.
struct SetUp {
    plan: Arc<Plan>,
    identity: Identity,
    recorder: Recorder,
    taken_up: Option<TakenUp>,
    signed: bool,
    before: Vec<Event>,
}

async fn conduct(set_up: SetUp, wanted: &Wanted, job: &Job<'_>) -> Result<Outcome> {
    let SetUp { plan, identity, recorder, taken_up, signed, before } = set_up;
    let run = identity.run.clone();
    let kept = recorder.handle();
    let (asks, inbox) = mpsc::unbounded_channel();
    let mut sinks = displays(job.how.format, wanted, &before);
    let listens = plan.sections.iter().any(|section| section.outline.hold.is_some())
        || plan.steps.iter().any(|step| step.outline.probe == "manual")
        || !plan.roles.is_empty();
    if listens && job.patience == Patience::People {
        sinks.push(Box::new(Asker::new(run.clone(), asks.clone(), job.world.env.user())));
    }
    let mut teller = tell::Teller::open(job, &plan, &kept, &asks, wanted, taken_up.is_some());
    if let Some(ear) = teller.as_mut().and_then(|teller| teller.ear(&before)) {
        sinks.push(ear);
    }
    let (journal, thread) = Journal::start(Box::new(recorder), sinks);
    let recorded = taken_up.as_ref().and_then(|taken_up| taken_up.point.waivers().cloned());
    let options = Options {
        waivers: job.waivers.clone().or(recorded),
        jobs: job.how.jobs.into(),
        per_host: job.how.per_host.into(),
        allow_changes: job.allow_changes,
        read_only: job.how.read_only,
        patience: job.patience,
        past: job.past,
        signed,
        archive: Some(Arc::new(Shelf::new(job.store, run.clone()))),
    };
    // As a task of its own it runs beside its workers: between threads, every step would cost two switches.
    let mut running = JoinSet::new();
    let (world, stop) = (job.world.clone(), job.signals.stop.clone());
    running.spawn(crate::run::run(Errand { plan, world, identity, options, journal, stop, inbox, taken_up }));
    let post = async {
        match listens {
            true => hear_others(&kept, &run, &asks).await,
            false => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = running.join_next() => ended.transpose()?,
        () = post => None,
        () = job.signals.leave() => {
            // The run is dropped here, and what it started with it.
            running.shutdown().await;
            signals::exit().await;
            None
        }
    };
    let end = tokio::task::spawn_blocking(move || thread.join()).await?;
    let end = end.map_err(|_| anyhow::anyhow!("the thread that keeps the record broke down"))?;
    let waits = ended.and_then(|ended| ended.waits);
    match conclude(&run, &kept, end, wanted, job) {
        Ok((outcome, view)) => {
            say_what_next(&run, &kept, waits.as_deref(), job);
            if let Some(teller) = teller {
                teller.close(view, &kept, wanted, job).await;
            }
            Ok(outcome)
        }
        Err(error) => {
            // Without its record a run says nothing, however well it went.
            stdio::say(&format!("error: the record of run {run} cannot be read: {error:#}"));
            Ok(Outcome { decision: Decision::Undecided })
        }
    }
}

/// Hands on what other processes ask of the run, for as long as it is polled.
async fn hear_others(kept: &Handle, run: &RunId, asks: &mpsc::UnboundedSender<Asked>) {
    let mut complained = false;
    loop {
        tokio::time::sleep(POLL).await;
        let (kept, run) = (kept.clone(), run.clone());
        let take = move || {
            kept.with_store(|store| {
                let requests = store.take_requests(&run)?;
                Ok::<_, StoreError>(trusted(store, &run, requests))
            })
        };
        let taken = tokio::task::spawn_blocking(take).await;
        match taken {
            Ok(Ok(requests)) => {
                // Nobody hears when the run has just ended: what was asked stays in the store.
                requests.into_iter().for_each(|request| drop(asks.send(Asked::Request(request))));
            }
            Ok(Err(error)) if !complained => {
                complained = true;
                stdio::say(&format!("warning: requests of other processes cannot be read: {error}"));
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

/// Leaves out signatures, and releases by signatures, that do not count by the file of allowed signers that the run
/// itself goes by: whoever asks may have gone by another one.
fn trusted(store: &dyn RunStore, run: &RunId, requests: Vec<Request>) -> Vec<Request> {
    if requests.is_empty() {
        return requests;
    }
    let Ok(mut record) = record::load(store, run) else { return Vec::new() };
    let allowed = super::signers::decisive(&record);
    let now = chrono::Utc::now();
    let mut trusted = Vec::new();
    for request in requests {
        let refused = match &request {
            Request::Answer(..) => None,
            Request::Sign(signature) => approval::check(&record, signature, now, allowed.as_ref()).err(),
            Request::Release(_, release) if !release.signed => None,
            Request::Release(section, _) => {
                let due = release_due(&record, allowed.as_ref(), now).is_some_and(|(due, _)| due == *section);
                (!due).then(|| format!("{section} is not released by signatures that count"))
            }
        };
        if let Request::Sign(signature) = &request
            && refused.is_none()
        {
            record.signatures.push((now, (**signature).clone()));
        }
        match refused {
            None => trusted.push(request),
            Some(why) => stdio::say(&format!("warning: what another process asked for was not done: {why}")),
        }
    }
    trusted
}

/// Says with which command a run that is not over is gone on with.
fn say_what_next(run: &RunId, kept: &Handle, waits: Option<&str>, job: &Job<'_>) {
    let store = tell::store_argument(job.store);
    if let Some(waits) = waits {
        let how = if job.patience == Patience::None { "tick" } else { "resume" };
        stdio::say(&format!("run {run} is not over: {waits}; go on with `holdpoint {how} {run}{store}`"));
        return;
    }
    let cut = kept.with_store(|store| record::load(store, run)).is_ok_and(|record| record.interrupted.is_some());
    if cut && job.past.is_none() {
        stdio::say(&format!("run {run} was cut short; go on with `holdpoint resume {run}{store}`"));
    }
}

fn displays(format: Show, wanted: &Wanted, before: &[Event]) -> Vec<Box<dyn Sink>> {
    match format {
        Show::Json if !wanted.takes_stdout() => vec![Box::new(JsonLines::new(Box::new(std::io::stdout())))],
        Show::Json => Vec::new(),
        Show::Text => {
            let width = u16::try_from(stdio::width()).unwrap_or(100);
            let terminal = std::io::stderr().is_terminal();
            let mut console = Console::new(Box::new(std::io::stderr()), stdio::colour(), width, terminal);
            console.recall(before);
            vec![Box::new(console)]
        }
    }
}

/// Rules on the record, shows it, writes the reports.
fn conclude(run: &RunId, kept: &Handle, end: JournalEnd, wanted: &Wanted, job: &Job<'_>) -> Result<(Outcome, RunView)> {
    for complaint in &end.complaints {
        stdio::say(&format!("warning: {complaint}"));
    }
    let mut record = kept.with_store(|store| record::load_with(store, run, end.unrecorded))?;
    if let Some(fault) = &end.fault {
        stdio::say(&format!("error: the record could not be kept: {fault}"));
        record.interrupted.get_or_insert_with(|| format!("the store failed: {fault}"));
    }
    let allowed = super::signers::at_hand(&record);
    let mut ruling = signoff::decide_against(&record, &[], allowed.as_ref(), job.world.clock.now());
    let mut decision = ruling.decision;
    let record: Arc<RunRecord> = Arc::new(record);
    let mut view = RunView::new(Arc::clone(&record), &ruling);
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
        ruling.decision = decision;
        ruling.reasons = vec!["a report that was asked for could not be written".to_owned()];
        view = RunView::new(record, &ruling);
    }
    Ok((Outcome { decision }, view))
}

/// Says who works on a run, when this process cannot.
pub(crate) fn is_owned(error: &StoreError) -> bool {
    matches!(error, StoreError::Owned { .. })
}
