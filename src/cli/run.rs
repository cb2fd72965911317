//! `run`: from the checklist to the decision.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use chrono::{DateTime, Utc};

use crate::model::outline::Header;
use crate::model::{Decision, RunId};
use crate::notify::Channels;
use crate::plan::Plan;
use crate::run::{Identity, Past, Patience, Redactor};
use crate::sys::{Policy, World};

use super::args::RunArgs;
use super::conduct::{Job, carry_out, runtime};
use super::load::{Ask, Loaded, load};
use super::people::is_interactive;
use super::reports::Wanted;
use super::{Result, USAGE, moments, policed, signals, stdio, tell, waivers};

/// How the policy file stands among the options that a run keeps.
pub(super) const POLICY: &str = "--policy";

pub(super) fn main(args: &RunArgs) -> Result<u8> {
    let world = World::under(policed::accept(args.how.policy.policy.as_deref())?);
    let past = args.at.as_deref().map(|text| moments::one(text, world.clock.now())).transpose()?;
    let ask = Ask { inputs: &args.inputs, select: &args.select, env: &world.env, complete: true, recorded: &[] };
    let loaded: Vec<Loaded> = args.files.iter().map(|path| load(path, &ask)).collect::<Result<_>>()?;
    let Some((plans, channels)) = accept_with_channels(allowed(loaded, &world.policy)) else { return Ok(USAGE) };
    if plans.len() > 1 && !args.how.reports.is_empty() {
        anyhow::bail!("--report names one file, but there are {} checklists; run them one by one", plans.len());
    }
    let wanted = Wanted::new(&args.how.reports, args.how.template.as_deref())?;
    let may = !args.how.read_only && past.is_none();
    let allow_changes = args.how.allow_changes || (may && plans.iter().all(consent));
    let filters = filters(args);
    let Some(waivers) = waivers::accept(args.how.waivers.as_deref(), &plans)? else { return Ok(USAGE) };
    let runtime = runtime()?;
    let signals = runtime.block_on(async { signals::listen() })?;
    let mut worst = Decision::Go;
    for (plan, channels) in plans.into_iter().zip(channels) {
        let job = Job {
            channels: tell::who(channels, &args.how, &world.env, past.is_some()),
            how: &args.how,
            allow_changes,
            filters: filters.clone(),
            waivers: waivers.clone(),
            store: &args.store.store,
            world: world.clone(),
            signals: signals.clone(),
            patience: patience(args.tick, args.wait),
            past: past.map(|at| Past { at, leave_out: false }),
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

/// Takes the plan of those checklists that declare a source that the policy refuses. A step that is refused says so
/// itself, when its turn comes.
pub(super) fn allowed(mut loaded: Vec<Loaded>, policy: &Policy) -> Vec<Loaded> {
    for loaded in &mut loaded {
        policed::judge_sources(policy, loaded);
        if loaded.diagnostics.has_errors() {
            loaded.plan = None;
        }
    }
    loaded
}

/// Shows what is wrong with the checklists; nothing runs unless all of them are good.
pub(crate) fn accept(loaded: Vec<Loaded>) -> Option<Vec<Plan>> {
    accept_with_channels(loaded).map(|(plans, _)| plans)
}

/// Shows what is wrong as [`accept`] does, and returns who is told of each run besides.
pub(crate) fn accept_with_channels(loaded: Vec<Loaded>) -> Option<(Vec<Plan>, Vec<Channels>)> {
    let (mut plans, mut channels) = (Vec::new(), Vec::new());
    let count = loaded.len();
    for loaded in loaded {
        stdio::tell(&loaded.complaints());
        plans.extend(loaded.plan);
        channels.push(loaded.channels);
    }
    if plans.len() < count {
        stdio::say("nothing was run; `holdpoint explain CODE` tells more about a mistake");
        return None;
    }
    Some((plans, channels))
}

/// Makes the head of a new run.
pub(super) fn identity(plan: &Plan, job: &Job<'_>) -> Identity {
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
        as_of: job.past.map(|past| past.at),
        appendix: plan.appendix.clone(),
    };
    Identity { run: run_id(now), header }
}

/// Tells what a run waits for before it leaves.
pub(super) fn patience(tick: bool, wait: bool) -> Patience {
    match (tick, wait || is_interactive()) {
        (true, _) => Patience::None,
        (false, true) => Patience::People,
        (false, false) => Patience::Time,
    }
}

/// Makes a name for a run: when it began, and a random tail.
pub(super) fn run_id(now: DateTime<Utc>) -> RunId {
    let random = RandomState::new().build_hasher().finish();
    RunId::new(format!("{}-{:04x}", now.format("%Y%m%d-%H%M%S"), random & 0xffff))
}

fn filters(args: &RunArgs) -> Vec<String> {
    let mut out: Vec<String> = args.select.only.iter().map(|p| format!("--only {p}")).collect();
    out.extend(args.select.skip.iter().map(|p| format!("--skip {p}")));
    out.extend(args.how.policy.policy.iter().map(|path| format!("{POLICY} {}", path.display())));
    out.extend(args.at.iter().map(|at| format!("--at {at}")));
    let flags = [
        (args.how.strict, "--strict"),
        (args.how.read_only, "--read-only"),
        (args.how.allow_changes, "--allow-changes"),
    ];
    out.extend(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| (*flag).to_owned()));
    out
}

/// Asks at the terminal whether the world may be changed. Elsewhere the answer is no, and the steps stay pending.
pub(super) fn consent(plan: &Plan) -> bool {
    let changes: Vec<_> = plan.steps.iter().filter(|s| s.selected && s.outline.changes.is_some()).collect();
    if changes.is_empty() {
        return true;
    }
    if !is_interactive() {
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
pub(super) fn worse(a: Decision, b: Decision) -> Decision {
    let weight = |d: Decision| match d {
        Decision::NoGo => 3,
        Decision::Undecided => 2,
        Decision::Held => 1,
        Decision::Go => 0,
    };
    if weight(b) > weight(a) { b } else { a }
}
