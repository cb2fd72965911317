//! `tick`: does what is due of runs that are spread over hours, and leaves. For cron, systemd timers and CI jobs.

use chrono::Utc;

use crate::model::{Decision, RunId};
use crate::record::{self, RunStore};
use crate::run::Patience;

use super::args::TickArgs;
use super::conduct::runtime;
use super::past::open_existing;
use super::reports::Wanted;
use super::resume::{Wish, header, say_owned, take_up};
use super::run::worse;
use super::{Result, USAGE, signals, stdio};

pub(super) fn main(args: &TickArgs) -> Result<u8> {
    let store = open_existing(&args.store.store)?;
    let named: Vec<RunId> = args.runs.iter().map(|name| store.resolve(name)).collect::<std::result::Result<_, _>>()?;
    let runs = if named.is_empty() { soaks(&*store)? } else { named };
    if runs.is_empty() {
        stdio::say("no soak goes on; `holdpoint run --tick FILE` begins one");
        // Nothing was looked at, which is never a go: a gate may hang on this status.
        return Ok(Decision::Undecided.exit_status());
    }
    if runs.len() > 1 && !args.how.reports.is_empty() {
        anyhow::bail!("--report names one file, but there are {} runs; name one", runs.len());
    }
    drop(store);
    let wanted = Wanted::new(&args.how.reports, args.how.template.as_deref())?;
    let runtime = runtime()?;
    let signals = runtime.block_on(async { signals::listen() })?;
    let wish = Wish {
        inputs: &args.inputs,
        how: &args.how,
        accept_changed: args.accept_changed,
        store: &args.store.store,
        patience: Patience::None,
        word: "tick",
    };
    let (mut worst, mut wrong) = (Decision::Go, false);
    for run in &runs {
        let store = open_existing(&args.store.store)?;
        if let Some(waits) = waits(&*store, run)? {
            stdio::say(&format!("run {run}: {waits}"));
            worst = worse(worst, Decision::Held);
            continue;
        }
        match runtime.block_on(take_up(store, run, &wish, &wanted, &signals)) {
            Ok(Some(outcome)) => worst = worse(worst, outcome.decision),
            Ok(None) => wrong = true,
            Err(error) if say_owned(run, &error) => worst = worse(worst, Decision::Held),
            Err(error) => {
                // The other runs still get what is due.
                stdio::say(&format!("error: run {run}: {error:#}"));
                wrong = true;
            }
        }
    }
    runtime.shutdown_background();
    Ok(if wrong { USAGE } else { worst.exit_status() })
}

/// Lists the soaks of a store that are not over.
fn soaks(store: &dyn RunStore) -> Result<Vec<RunId>> {
    let mut found = Vec::new();
    for run in store.runs()?.into_iter().filter(|run| run.finished.is_none()) {
        if header(store, &run.run)?.soak.is_some() {
            found.push(run.run);
        }
    }
    Ok(found)
}

/// Says what a run waits for when nothing of it is due: nothing is added to its record then.
fn waits(store: &dyn RunStore, run: &RunId) -> Result<Option<String>> {
    let record = record::load(store, run)?;
    let guarded = record.sections.iter().any(|s| s.outline.part == crate::model::outline::Part::Guard);
    let Some(paused) = record.paused.filter(|_| !guarded) else { return Ok(None) };
    let early = paused.until.is_some_and(|until| until > Utc::now());
    Ok(early.then(|| format!("nothing is due yet: {}", paused.why)))
}
