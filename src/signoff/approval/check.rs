//! One signature: is it what it says it is?

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::Signature;
use crate::record::RunRecord;
use crate::signoff::sign::{AllowedSigners, NAMESPACE, Statement, verify};

/// How much the clocks of two machines may differ.
const CLOCKS: TimeDelta = TimeDelta::minutes(5);

/// Checks a signature that was kept at `at` against its record, and its signer against a file of allowed signers where
/// one is at hand. That the digest it covers is that of the event with its number is checked when the record is read.
///
/// # Errors
/// Says what is wrong with it.
pub fn check(
    record: &RunRecord,
    signature: &Signature,
    at: DateTime<Utc>,
    signers: Option<&AllowedSigners>,
) -> Result<(), String> {
    let statement = Statement::parse(&signature.text)?;
    if let Some(what) = differs(&statement, signature) {
        return Err(format!("the {what} of the signed text is not that of the signature"));
    }
    let head = &record.header.checklist;
    if statement.run != record.run || statement.checklist != head.name || statement.checklist_digest != head.digest {
        return Err(format!("the signed text is about run {} of {:?}", statement.run, statement.checklist));
    }
    if signature.over_seq > record.head.seq {
        return Err(format!("it covers event {}, and the record has {}", signature.over_seq, record.head.seq));
    }
    let key = verify(&signature.text, &signature.armour)?;
    if key.fingerprint() != signature.key {
        return Err(format!("it was made with the key {}, not with {}", key.fingerprint(), signature.key));
    }
    if statement.at > at + CLOCKS || statement.at < record.started - CLOCKS {
        return Err(format!(
            "it says that it was made at {}, which cannot be",
            statement.at.format("%Y-%m-%d %H:%M:%S UTC")
        ));
    }
    match signers {
        None => Ok(()),
        Some(_) if signature.by.is_empty() => Err("the key was not checked against allowed signers".to_owned()),
        Some(signers) => signers
            .allows(&signature.by, &key, NAMESPACE, statement.at)
            .map_err(|refusal| format!("not allowed by the allowed signers: {refusal}")),
    }
}

/// Names a fact that the signed text and the signature tell in different words.
fn differs(statement: &Statement, signature: &Signature) -> Option<&'static str> {
    let facts = [
        ("signer", statement.by == signature.by),
        ("user", statement.user == signature.user),
        ("role", statement.role == signature.role),
        ("decision", statement.decision == signature.decision),
        ("list of conditions", statement.conditions == signature.conditions),
        ("note", statement.note == signature.note),
        ("hold point", statement.section == signature.section),
        ("number of events", statement.over.seq == signature.over_seq),
        ("digest of the record", statement.over.digest == signature.over_digest),
        ("key", statement.key == signature.key),
    ];
    facts.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}
