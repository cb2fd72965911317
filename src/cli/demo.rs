//! `demo`: a sample service inside this process, and a realistic checklist run against it.

use std::sync::Arc;

use crate::demo::{Flaws, Service};
use crate::model::Decision;
use crate::run::Patience;
use crate::sys::World;

use super::args::{DemoArgs, HowArgs, InputArgs, NotifyArg, PolicyArg, SelectArgs, Show};
use super::conduct::{Job, carry_out, runtime};
use super::load::{Ask, load_text};
use super::reports::Wanted;
use super::run::accept;
use super::{Result, USAGE, signals, stdio};

const CHECKLIST: &str = include_str!("../../checklists/demo.yaml");

pub(super) fn main(args: &DemoArgs) -> Result<u8> {
    let world = World::real();
    std::fs::create_dir_all(&args.output)?;
    let mut wanted = Wanted::new(&[], None)?;
    wanted.add("markdown", args.output.join("signoff.md"))?;
    wanted.add("junit", args.output.join("junit.xml"))?;
    let runtime = runtime()?;
    let flaws = if args.fix { Flaws::demo().fixed() } else { Flaws::demo() };
    let signals = runtime.block_on(async { signals::listen() })?;
    let service = runtime.block_on(Service::start(flaws, None))?;
    stdio::say(&format!(
        "a sample service answers at {}, its log is {}",
        service.base_url(),
        service.log_path().display()
    ));
    let inputs = InputArgs {
        set: vec![format!("base_url={}", service.base_url()), format!("log_path={}", service.log_path().display())],
        files: Vec::new(),
    };
    let ask = Ask { inputs: &inputs, select: &SelectArgs::default(), env: &world.env, complete: true, recorded: &[] };
    let Some(plans) = accept(vec![load_text("checklists/demo.yaml", CHECKLIST, &ask)?]) else { return Ok(USAGE) };
    let how = HowArgs {
        jobs: 16,
        per_host: 10,
        strict: false,
        read_only: false,
        allow_changes: false,
        reports: Vec::new(),
        waivers: None,
        policy: PolicyArg::default(),
        template: None,
        format: Show::Text,
        notify: NotifyArg::Send,
        no_notify: true,
    };
    let mut decision = Decision::Undecided;
    for plan in plans {
        let job = Job {
            channels: Arc::default(),
            how: &how,
            allow_changes: false,
            filters: Vec::new(),
            waivers: None,
            store: &args.store.store,
            world: world.clone(),
            signals: signals.clone(),
            patience: Patience::Time,
            past: None,
        };
        decision = runtime.block_on(carry_out(plan, &wanted, &job))?.decision;
    }
    let status = decision.exit_status();
    stdio::say(&format!("as a gate, `holdpoint run` would leave with exit status {status} ({decision})"));
    if !args.fix && decision == Decision::NoGo {
        stdio::say(
            "two checks fail on purpose, for one reason; `holdpoint demo --fix` runs the same against the mended service",
        );
    }
    // The demonstration itself went well, unless it was cut short.
    Ok(if decision == Decision::Undecided { status } else { 0 })
}
