//! `sign`: a person puts their name, and their key, under a run or a hold point of it.

use std::io::IsTerminal;

use anyhow::Context;
use chrono::Utc;

use crate::event::{EventKind, Request, SignDecision, Signature};
use crate::model::{RunId, SectionId};
use crate::record::{self, RunRecord, RunStore};
use crate::report::plain;
use crate::signoff::amend::{add, release_due, settle};
use crate::signoff::sign::{AllowedSigners, Signer, Statement};
use crate::signoff::signing::{self, Person, Wish, may_fill, may_sign, still_covers};
use crate::signoff::{Ruling, approval, decide_against};
use crate::sys::env::Env;

use super::args::{SaysArg, SignArgs};
use super::deliver::deliver;
use super::past::open_existing;
use super::{Result, known, signers, stdio};

/// How many lines of each kind are shown before somebody signs.
const SHOWN: usize = 10;

pub(super) fn main(args: &SignArgs) -> Result<u8> {
    let mut store = open_existing(&args.store.store)?;
    let run = store.resolve(&args.run)?;
    let record = record::load(&*store, &run)?;
    let wish = wish(args);
    may_sign(&record, &wish).map_err(anyhow::Error::msg)?;
    let file = signers::file_of(args.allowed_signers.as_deref(), &record);
    let allowed = signers::read(file.as_deref())?;
    let env = Env::of_process();
    let known = known::of(&record, &env);
    known.refuse("note", &args.note)?;
    args.conditions.iter().try_for_each(|condition| known.refuse("condition", condition))?;
    let signer = signers::signer(args.key.as_deref(), &env, allowed.as_ref())?;
    let person = person(&record, &wish, &signer, allowed.as_ref(), args.named.as_deref(), &env)?;
    may_fill(&record, &wish, &person).map_err(anyhow::Error::msg)?;
    let ruling = decide_against(&record, &[], allowed.as_ref(), Utc::now());
    show(&record, &ruling, &signing::statement(&record, &wish, &person, Utc::now()));
    if !args.yes && !agreed()? {
        anyhow::bail!("nothing was signed");
    }
    let signature = signing::sign(&record, &wish, &person, &signer, Utc::now())?;
    keep(&mut *store, &run, &signature, allowed.as_ref())?;
    let record = record::load(&*store, &run)?;
    let ruling = decide_against(&record, &[], allowed.as_ref(), Utc::now());
    told(&record, &signature, &ruling);
    Ok(ruling.decision.exit_status())
}

fn wish(args: &SignArgs) -> Wish {
    let decision = match args.decision {
        SaysArg::Approve => SignDecision::Approve,
        SaysArg::Conditional => SignDecision::Conditional,
        SaysArg::Reject => SignDecision::Reject,
    };
    Wish {
        role: args.role.clone(),
        decision,
        conditions: args.conditions.clone(),
        note: args.note.clone(),
        section: args.hold.as_deref().map(SectionId::new),
    }
}

fn person(
    record: &RunRecord,
    wish: &Wish,
    signer: &Signer,
    allowed: Option<&AllowedSigners>,
    named: Option<&str>,
    env: &Env,
) -> Result<Person> {
    let (key, user) = (signer.key(), env.user());
    let role = record.header.roles.iter().find(|role| role.role == wish.role);
    let by = match allowed {
        Some(allowed) => signers::principal(allowed, &key, named, role, Utc::now())
            .with_context(|| format!("the allowed signers do not let {} sign", key.fingerprint()))?,
        None if named.is_some() => anyhow::bail!("--as goes with a file of allowed signers: --allowed-signers FILE"),
        None => String::new(),
    };
    Ok(Person { by, user, key })
}

/// Shows what is about to be signed, and on what it stands.
fn show(record: &RunRecord, ruling: &Ruling, statement: &Statement) {
    let name = &record.header.checklist.name;
    stdio::say(&format!("{}, run {}: {}", plain::line(name), record.run, ruling.decision));
    for lines in [&ruling.reasons, &ruling.attention] {
        lines.iter().take(SHOWN).for_each(|line| stdio::say(&format!("  {}", plain::line(line))));
        if lines.len() > SHOWN {
            stdio::say(&format!("  and {} more: `holdpoint show {}`", lines.len() - SHOWN, record.run));
        }
    }
    stdio::say("You sign:");
    statement.text().lines().for_each(|line| stdio::say(&format!("  {line}")));
}

/// Asks at the terminal. Elsewhere the command itself is the consent.
fn agreed() -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    stdio::tell("Sign this? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Keeps a signature and what follows from it, unless something was found meanwhile that it does not cover.
fn keep(store: &mut dyn RunStore, run: &RunId, signature: &Signature, allowed: Option<&AllowedSigners>) -> Result<()> {
    let request = Request::Sign(Box::new(signature.clone()));
    deliver(store, run, &request, &mut |store| {
        add(store, run, &Utc::now, &mut |now| {
            still_covers(now, signature)?;
            if let Some(section) = &signature.section {
                signing::held(now, section)?;
            }
            Ok(vec![EventKind::Signed { signature: Box::new(signature.clone()) }])
        })?;
        settle(store, run, allowed, &Utc::now)?;
        Ok(())
    })?;
    // A process that waits at the hold point keeps the signature, and is then told that it is released.
    let record = record::load(store, run)?;
    let Some((section, release)) = release_due(&record, allowed, Utc::now()) else { return Ok(()) };
    deliver(store, run, &Request::Release(section, release), &mut |store| {
        settle(store, run, allowed, &Utc::now)?;
        Ok(())
    })
}

fn told(record: &RunRecord, signature: &Signature, ruling: &Ruling) {
    let who = approval::who(signature);
    stdio::say(&format!("signed by {who} as {}; the decision is {}", signature.role, ruling.decision));
    ruling.reasons.iter().for_each(|reason| stdio::say(&format!("  {}", plain::line(reason))));
    ruling.conditions.iter().for_each(|condition| stdio::say(&format!("  condition of {}", plain::line(condition))));
    if signature.by.is_empty() {
        stdio::say("  the key was not checked against allowed signers; name the file with --allowed-signers");
    }
    if let Some(section) = &signature.section {
        let released = record.sections.iter().find(|s| s.outline.id == *section).and_then(|s| s.releases.last());
        match released {
            Some((_, release)) if release.accepted => {
                stdio::say(&format!("  {section} is released; go on with `holdpoint resume {}`", record.run));
            }
            Some(_) => stdio::say(&format!("  {section} is declined")),
            None => {}
        }
    }
}
