//! From what a person wants to say to the signature that is kept: what they may sign, and the text they sign.

use chrono::{DateTime, SubsecRound, Utc};

use super::approval::is_runner;
use super::sign::{PublicKey, SignError, Signer, Statement};
use crate::event::{SignDecision, Signature};
use crate::model::SectionId;
use crate::record::{RunRecord, SectionRecord};

/// The longest note or condition, in bytes.
const LONGEST: usize = 4096;

/// The most conditions.
const CONDITIONS: usize = 20;

/// What a person wants to say.
#[derive(Clone, Debug)]
pub struct Wish {
    /// In which role.
    pub role: String,
    /// Yes, yes if, or no.
    pub decision: SignDecision,
    /// Under which conditions.
    pub conditions: Vec<String>,
    /// With which words.
    pub note: String,
    /// For which hold point; nothing for the end of the run.
    pub section: Option<SectionId>,
}

/// Who signs.
#[derive(Clone, Debug)]
pub struct Person {
    /// As the file of allowed signers names them; empty when there is none.
    pub by: String,
    /// As the system names them.
    pub user: String,
    /// Their key.
    pub key: PublicKey,
}

/// Tells whether a signature could count at all, so that nobody signs in vain.
///
/// # Errors
/// Says what stands against it, and what to do instead.
pub fn may_sign(record: &RunRecord, wish: &Wish) -> Result<(), String> {
    well_formed(wish)?;
    let asked: Vec<&str> = match &wish.section {
        Some(id) => {
            let section = held(record, id)?;
            section.outline.hold.iter().flat_map(|hold| &hold.sign).map(String::as_str).collect()
        }
        None if record.finished.is_none() => {
            return Err(match waiting(record).next() {
                Some(section) => format!(
                    "the run is not over; it waits at the hold point {}: name it with --hold {}",
                    section.outline.name, section.outline.id
                ),
                None => "the run is not over: sign when it has ended".to_owned(),
            });
        }
        None => record.header.roles.iter().map(|role| role.role.as_str()).collect(),
    };
    match asked.as_slice() {
        [] if wish.section.is_some() => {
            Err("this hold point asks for no signature; release it with `holdpoint release`".to_owned())
        }
        [] => Err("the checklist asks for no signature; name roles under `signoff`".to_owned()),
        roles if !roles.contains(&wish.role.as_str()) => {
            Err(format!("the role {:?} is not asked for; the roles are {}", wish.role, roles.join(", ")))
        }
        _ => Ok(()),
    }
}

/// Tells whether this person may fill the role.
///
/// # Errors
/// Says what stands against it.
pub fn may_fill(record: &RunRecord, wish: &Wish, person: &Person) -> Result<(), String> {
    let members = record.header.roles.iter().find(|role| role.role == wish.role).map(|role| &role.members);
    if let Some(members) = members.filter(|members| !members.is_empty()) {
        if person.by.is_empty() {
            let names = members.join(", ");
            let help = "name the file of allowed signers with --allowed-signers";
            return Err(format!("only {names} may sign as {}, and nobody says whose key this is: {help}", wish.role));
        }
        if !members.contains(&person.by) {
            return Err(format!("{} may not sign as {}; its members are {}", person.by, wish.role, members.join(", ")));
        }
    }
    let signature = sign_nothing(wish, person);
    if record.header.sign_rules.not_runner && is_runner(record, &signature) {
        let who = if person.by.is_empty() { &person.user } else { &person.by };
        return Err(format!("{who} started the run, and the checklist wants somebody else to sign (not_runner)"));
    }
    Ok(())
}

/// Signs a record as it is.
///
/// # Errors
/// The key cannot sign, or its owner declines.
pub fn sign(
    record: &RunRecord,
    wish: &Wish,
    person: &Person,
    signer: &Signer,
    at: DateTime<Utc>,
) -> Result<Signature, SignError> {
    let statement = statement(record, wish, person, at);
    let text = statement.text();
    let armour = signer.sign(&text)?;
    let over = statement.over;
    Ok(Signature { over_seq: over.seq, over_digest: over.digest, text, armour, ..sign_nothing(wish, person) })
}

/// Returns what would be signed.
pub fn statement(record: &RunRecord, wish: &Wish, person: &Person, at: DateTime<Utc>) -> Statement {
    Statement {
        run: record.run.clone(),
        checklist: record.header.checklist.name.clone(),
        checklist_digest: record.header.checklist.digest.clone(),
        over: record.head.clone(),
        section: wish.section.clone(),
        role: wish.role.clone(),
        decision: wish.decision,
        conditions: wish.conditions.clone(),
        note: wish.note.clone(),
        by: person.by.clone(),
        user: person.user.clone(),
        key: person.key.fingerprint(),
        at: at.trunc_subsecs(0),
    }
}

/// Tells whether a signature still covers all that was found, when it is about to be kept.
///
/// # Errors
/// Says that something was added while it was made.
pub fn still_covers(record: &RunRecord, signature: &Signature) -> Result<(), String> {
    let evidence = match &signature.section {
        None => record.evidence,
        Some(id) => record.sections.iter().find(|s| s.outline.id == *id).map_or(0, |section| section.hold_evidence),
    };
    match signature.over_seq < evidence {
        true => Err("something was added to the run while you signed; look at it and sign again".to_owned()),
        false => Ok(()),
    }
}

/// Returns the hold points at which the run waits.
pub fn waiting(record: &RunRecord) -> impl Iterator<Item = &SectionRecord> {
    record.sections.iter().filter(|section| section.held.is_some() && section.releases.is_empty())
}

/// Finds a hold point at which the run waits.
///
/// # Errors
/// Says that there is none of that name, or that it does not wait.
pub fn held<'a>(record: &'a RunRecord, id: &SectionId) -> Result<&'a SectionRecord, String> {
    let Some(section) = record.sections.iter().find(|section| section.outline.id == *id) else {
        let held: Vec<_> = waiting(record).map(|section| section.outline.id.as_str()).collect();
        let held = if held.is_empty() { "none".to_owned() } else { held.join(", ") };
        return Err(format!("the run has no section {id}; it waits at: {held}"));
    };
    if section.outline.hold.is_none() {
        return Err(format!("the section {id} has no hold point"));
    }
    match (section.held, section.releases.last()) {
        (_, Some((_, release))) if release.accepted => Err(format!("{id} was released by {} already", release.by)),
        (_, Some((_, release))) => Err(format!("{id} was declined by {} already", release.by)),
        (None, None) => Err(format!("the run has not come to {id} yet")),
        (Some(_), None) => Ok(section),
    }
}

fn well_formed(wish: &Wish) -> Result<(), String> {
    let empty = wish.conditions.iter().any(|condition| condition.trim().is_empty());
    match wish.decision {
        SignDecision::Conditional if wish.conditions.is_empty() => {
            return Err("a conditional yes needs its conditions: --conditions TEXT".to_owned());
        }
        SignDecision::Approve | SignDecision::Reject if !wish.conditions.is_empty() => {
            return Err("conditions go with --decision conditional".to_owned());
        }
        SignDecision::Reject if wish.note.trim().is_empty() => {
            return Err("a rejection needs its reason: --note TEXT".to_owned());
        }
        SignDecision::Conditional if empty => return Err("a condition is empty".to_owned()),
        SignDecision::Approve | SignDecision::Conditional | SignDecision::Reject => {}
    }
    let texts = || wish.conditions.iter().chain([&wish.note]);
    if texts().any(|text| text.len() > LONGEST) || wish.conditions.len() > CONDITIONS {
        return Err(format!(
            "a note or condition has up to {LONGEST} bytes, and there are up to {CONDITIONS} conditions"
        ));
    }
    Ok(())
}

/// A signature without what is signed and without the signature itself.
fn sign_nothing(wish: &Wish, person: &Person) -> Signature {
    Signature {
        by: person.by.clone(),
        user: person.user.clone(),
        role: wish.role.clone(),
        decision: wish.decision,
        conditions: wish.conditions.clone(),
        note: wish.note.clone(),
        section: wish.section.clone(),
        over_seq: 0,
        over_digest: String::new(),
        key: person.key.fingerprint(),
        text: String::new(),
        armour: String::new(),
    }
}
