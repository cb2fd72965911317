//! `resume`: a run that was left or cut short goes on where it stood.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use chrono::Utc;

use crate::event::{EventKind, Resumption};
use crate::model::RunId;
use crate::model::outline::Header;
use crate::record::{self, RunStore, format};
use crate::run::{Patience, Point};
use crate::signoff;
use crate::sys::World;

use super::args::{HowArgs, InputArgs, ResumeArgs, SelectArgs};
use super::conduct::{Again, Job, Outcome, go_on, runtime};
use super::load::{Ask, load};
use super::past::open_existing;
use super::reports::Wanted;
use super::run::{POLICY, accept_with_channels, allowed, consent, patience};
use super::signals::{self, Signals};
use super::{Result, USAGE, policed, stdio, tell};

pub(super) fn main(args: &ResumeArgs) -> Result<u8> {
    let store = open_existing(&args.store.store)?;
    let run = store.resolve(&args.run)?;
    let wanted = Wanted::new(&args.how.reports, args.how.template.as_deref())?;
    let runtime = runtime()?;
    let signals = runtime.block_on(async { signals::listen() })?;
    let wish = Wish {
        inputs: &args.inputs,
        how: &args.how,
        accept_changed: args.accept_changed,
        store: &args.store.store,
        patience: patience(false, args.wait),
        word: "resume",
    };
    let outcome = runtime.block_on(take_up(store, &run, &wish, &wanted, &signals))?;
    runtime.shutdown_background();
    Ok(outcome.map_or(USAGE, |outcome| outcome.decision.exit_status()))
}

/// How runs are to be taken up.
pub(super) struct Wish<'a> {
    pub inputs: &'a InputArgs,
    pub how: &'a HowArgs,
    pub accept_changed: bool,
    pub store: &'a str,
    pub patience: Patience,
    /// The command, for the record.
    pub word: &'a str,
}

/// Goes on with a run. Nothing when its checklist has mistakes now, which are said.
pub(super) async fn take_up(
    mut store: Box<dyn RunStore>,
    run: &RunId,
    wish: &Wish<'_>,
    wanted: &Wanted,
    signals: &Signals,
) -> Result<Option<Outcome>> {
    // Whoever goes on with a run owns it, and what it reads of it is all that there is.
    let owner = store.own(run)?;
    let header = header(&*store, run)?;
    anyhow::ensure!(header.as_of.is_none(), "run {run} is about the past: run it again with --at");
    // A run that began under a policy goes on under one.
    let kept = header.options.iter().find_map(|option| option.strip_prefix(POLICY)).map(str::trim);
    let policy = wish.how.policy.policy.as_deref().or(kept.map(Path::new));
    let world = World::under(policed::accept(policy)?);
    let selection = selection(&header);
    let ask =
        Ask { inputs: wish.inputs, select: &selection, env: &world.env, complete: true, recorded: &header.inputs };
    let path = Path::new(&header.checklist.path);
    let loaded = allowed(vec![load(path, &ask)?], &world.policy);
    let Some((mut plans, mut channels)) = accept_with_channels(loaded) else { return Ok(None) };
    let plan = Arc::new(plans.pop().context("a checklist has one plan")?);
    let mut point = Point::new(Arc::clone(&plan));
    let mut before = Vec::new();
    record::load::events(&*store, run, &mut |event, _| {
        point.take(&event);
        let told = matches!(
            event.kind,
            EventKind::RunStarted { .. }
                | EventKind::Planned { .. }
                | EventKind::CheckpointStarted { .. }
                | EventKind::StepFinished { .. }
        );
        if told {
            before.push(event);
        }
        Ok(())
    })?;
    holds_are_released(&*store, run)?;
    // Waivers that are added now make every signature lapse that does not know of them.
    let signed = header.roles.is_empty() || (wish.how.waivers.is_none() && is_signed(&*store, run)?);
    if let Some(why) = point.is_over(signed) {
        anyhow::bail!("run {run} cannot go on: {why}");
    }
    let Some(waivers) = super::waivers::accept(wish.how.waivers.as_deref(), std::slice::from_ref(&*plan))? else {
        return Ok(None);
    };
    let mut accepted = accepted(&header, &plan.head.digest, &point, wish)?;
    if let (Some(given), kept) = (&wish.how.policy.policy, kept)
        && kept != given.to_str()
    {
        accepted.push(format!("the policy {}, where {} began", given.display(), kept.unwrap_or("none")));
    }
    let mut how = wish.how.clone();
    how.strict = header.strict;
    how.read_only |= header.options.iter().any(|option| option == "--read-only");
    let channels = tell::who(channels.pop().unwrap_or_default(), &how, &world.env, false);
    let job = Job {
        channels,
        allow_changes: how.allow_changes || (!how.read_only && consent(&plan)),
        how: &how,
        filters: header.options.clone(),
        waivers,
        store: wish.store,
        world: world.clone(),
        signals: signals.clone(),
        patience: wish.patience,
        past: None,
    };
    let resumption = Resumption {
        by: world.env.user(),
        host: world.env.host(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        digest: plan.head.digest.clone(),
        how: wish.word.to_owned(),
        last_seen: point.last_seen(),
        accepted,
    };
    let again = Again { store, owner, run: run.clone(), header, point, resumption, signed, before };
    go_on(plan, again, wanted, &job).await.map(Some)
}

/// Returns the head of a run.
pub(super) fn header(store: &dyn RunStore, run: &RunId) -> Result<Header> {
    let mut first = None;
    store.events(run, &mut |_, json, _| {
        first = Some(format::Reader::default().decode(json));
        ControlFlow::Break(())
    })?;
    match first.with_context(|| format!("run {run} has not begun"))?.map(|event| event.kind)? {
        EventKind::RunStarted { header, .. } => Ok(*header),
        _ => anyhow::bail!("run {run} does not begin with its beginning"),
    }
}

/// Refuses a run whose hold points were released by signatures that do not count.
fn holds_are_released(store: &dyn RunStore, run: &RunId) -> Result<()> {
    let record = record::load(store, run)?;
    let allowed = super::signers::at_hand(&record);
    for section in &record.sections {
        let released = section.releases.last().is_some_and(|(_, release)| release.accepted);
        let approval = signoff::approval::of_hold(&record, section, allowed.as_ref(), Utc::now());
        if released && approval.is_some_and(|approval| !approval.is_met()) {
            let name = &section.outline.name;
            anyhow::bail!("{name:?} was released by signatures that do not count; `holdpoint verify {run}` says why");
        }
    }
    Ok(())
}

/// Tells whether everybody who must sign has signed.
fn is_signed(store: &dyn RunStore, run: &RunId) -> Result<bool> {
    let record = record::load(store, run)?;
    let ruling = signoff::decide_against(&record, &[], super::signers::at_hand(&record).as_ref(), Utc::now());
    Ok(ruling.decision == crate::model::Decision::Go)
}

/// Says what differs from the beginning of the run and is accepted. What must not differ is an error.
fn accepted(header: &Header, digest: &str, point: &Point, wish: &Wish<'_>) -> Result<Vec<String>> {
    let mut accepted = Vec::new();
    let tool = env!("CARGO_PKG_VERSION");
    if header.tool != tool {
        accepted.push(format!("holdpoint {tool}, where {} began", header.tool));
    }
    if header.checklist.digest != digest {
        let path = &header.checklist.path;
        let (then, now) = (short(&header.checklist.digest), short(digest));
        if !wish.accept_changed {
            anyhow::bail!("{path} has changed since the run began ({then} then, {now} now); --accept-changed goes on");
        }
        accepted.push(format!("{path} changed: {then} then, {now} now"));
    }
    let differs = point.differs();
    if !differs.is_empty() {
        let shown = differs.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        anyhow::bail!("the checklist asks for something else now ({shown}); begin a new run");
    }
    Ok(accepted)
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// Returns which steps were chosen when the run began.
fn selection(header: &Header) -> SelectArgs {
    let of = |flag: &str| {
        let after = header.options.iter().filter_map(|option| option.strip_prefix(flag)?.strip_prefix(' '));
        after.map(str::to_owned).collect()
    };
    SelectArgs { only: of("--only"), skip: of("--skip") }
}

/// Says that somebody else works on a run.
pub(super) fn say_owned(run: &RunId, error: &anyhow::Error) -> bool {
    let owned = error.downcast_ref::<record::StoreError>().is_some_and(super::conduct::is_owned);
    if owned {
        stdio::say(&format!("run {run} goes on elsewhere: {error}"));
    }
    owned
}
