//! `release`: a plain yes or no at a hold point, by anybody who may use the store.

use anyhow::Context;
use chrono::Utc;

use crate::event::{EventKind, Release, Request};
use crate::model::SectionId;
use crate::record::{self, RunRecord};
use crate::report::plain;
use crate::signoff::amend::{add, settle};
use crate::signoff::decide_against;
use crate::signoff::signing::{held, waiting};
use crate::sys::env::Env;

use super::args::ReleaseArgs;
use super::deliver::deliver;
use super::past::open_existing;
use super::{Result, known, signers, stdio};

pub(super) fn main(args: &ReleaseArgs) -> Result<u8> {
    let mut store = open_existing(&args.store.store)?;
    let run = store.resolve(&args.run)?;
    let record = record::load(&*store, &run)?;
    let section = match &args.section {
        Some(name) => SectionId::new(name.as_str()),
        None => {
            let held: Vec<_> = waiting(&record).map(|section| section.outline.id.clone()).collect();
            let one = held.first().context("the run waits at no hold point")?;
            let names: Vec<_> = held.iter().map(SectionId::as_str).collect();
            anyhow::ensure!(held.len() == 1, "the run waits at {}; name one", names.join(", "));
            one.clone()
        }
    };
    known::of(&record, &Env::of_process()).refuse("note", &args.note)?;
    let release =
        Release { accepted: !args.decline, by: Env::of_process().user(), signed: false, note: args.note.clone() };
    if args.decline && args.note.trim().is_empty() {
        anyhow::bail!("say why with --note TEXT");
    }
    may_release(&record, &section, &release).map_err(anyhow::Error::msg)?;
    let allowed = signers::read(signers::file_of(args.allowed_signers.as_deref(), &record).as_deref())?;
    let request = Request::Release(section.clone(), release.clone());
    deliver(&mut *store, &run, &request, &mut |store| {
        // A process may have ended between the last signature and the release that follows.
        settle(store, &run, allowed.as_ref(), &Utc::now)?;
        add(store, &run, &Utc::now, &mut |record| {
            may_release(record, &section, &release)?;
            Ok(vec![EventKind::Released { section: section.clone(), release: release.clone() }])
        })?;
        settle(store, &run, allowed.as_ref(), &Utc::now)?;
        Ok(())
    })?;
    let ruling = decide_against(&record::load(&*store, &run)?, &[], allowed.as_ref(), Utc::now());
    let word = if release.accepted { "released" } else { "declined" };
    stdio::say(&format!("{section} of run {run}: {word} by {}; the decision is {}", release.by, ruling.decision));
    ruling.reasons.iter().for_each(|reason| stdio::say(&format!("  {}", plain::line(reason))));
    if release.accepted {
        stdio::say(&format!("go on with `holdpoint resume {run}`"));
    }
    Ok(ruling.decision.exit_status())
}

/// A no needs no key: whoever may use the store may stop the run.
fn may_release(record: &RunRecord, section: &SectionId, release: &Release) -> std::result::Result<(), String> {
    let roles = held(record, section)?.outline.hold.iter().flat_map(|hold| &hold.sign);
    let roles: Vec<&str> = roles.map(String::as_str).collect();
    if !release.accepted || roles.is_empty() {
        return Ok(());
    }
    let (run, roles) = (&record.run, roles.join("|"));
    Err(format!(
        "{section} is released by signatures: `holdpoint sign {run} --hold {section} --role {roles} --decision approve`"
    ))
}
