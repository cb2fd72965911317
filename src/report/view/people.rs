//! Who signed, what that is worth, and how it is verified without this program.

use serde::Serialize;

use super::moment;
use crate::event::SignDecision;
use crate::model::{RunId, SectionId};
use crate::signoff::approval::{Approval, Judged, Standing, who};
use crate::signoff::sign::command::verify_command;
use crate::signoff::sign::statement::word;

/// A signature, in words.
#[derive(Clone, Debug, Serialize)]
pub struct SignatureView {
    /// In which role.
    pub role: String,
    /// The hold point that it is for; empty for the end of the run.
    pub hold: String,
    /// Who.
    pub who: String,
    /// `approve`, `approve with conditions`, `reject`.
    pub says: &'static str,
    /// The conditions.
    pub conditions: Vec<String>,
    /// The note.
    pub note: String,
    /// When.
    pub at: String,
    /// `counts`, or why not.
    pub standing: String,
    /// The fingerprint of the key.
    pub key: String,
    /// How many events of the record it covers.
    pub covers: u64,
    /// The command of `ssh-keygen` that verifies it, in the folder that `export --signatures` writes.
    pub command: String,
}

/// Words the signatures of a run: those of its hold points, then those at its end.
pub(super) fn signatures(holds: &[(SectionId, Approval)], end: &Approval) -> Vec<SignatureView> {
    let at_holds =
        holds.iter().flat_map(|(id, approval)| approval.signatures.iter().map(|judged| (id.as_str(), judged)));
    at_holds.chain(end.signatures.iter().map(|judged| ("", judged))).map(|(hold, judged)| view(hold, judged)).collect()
}

/// Words the commands that verify signatures, after those that bring them to their folder.
pub(super) fn commands(run: &RunId, signatures: &[SignatureView]) -> String {
    if signatures.is_empty() {
        return String::new();
    }
    let mut lines = format!("holdpoint export {run} --signatures signatures && cd signatures");
    for signature in signatures {
        lines.push('\n');
        lines.push_str(&signature.command);
    }
    lines
}

fn view(hold: &str, judged: &Judged) -> SignatureView {
    let signature = &judged.signature;
    SignatureView {
        role: signature.role.clone(),
        hold: hold.to_owned(),
        who: who(signature).to_owned(),
        says: match signature.decision {
            SignDecision::Conditional => "approve with conditions",
            SignDecision::Approve | SignDecision::Reject => word(signature.decision),
        },
        conditions: signature.conditions.clone(),
        note: signature.note.clone(),
        at: moment(judged.at),
        standing: match &judged.standing {
            Standing::Counts => "counts".to_owned(),
            Standing::Replaced => "replaced by a later one".to_owned(),
            Standing::Lapsed(why) => format!("lapsed: {why}"),
            Standing::Refused(why) => format!("does not count: {why}"),
        },
        key: signature.key.clone(),
        covers: signature.over_seq,
        command: verify_command(signature, "allowed_signers", &file_name(signature)),
    }
}

/// Names the file that holds the text of a signature.
pub fn file_name(signature: &crate::event::Signature) -> String {
    use crate::model::id::kebab;
    let section = signature.section.as_ref().map(|section| format!("{}-", kebab(section.as_str())));
    // Two people may sign in one role, and one person twice: what is covered and said tells them apart.
    let mark: String = signature.over_digest.chars().take(6).collect();
    let section = section.unwrap_or_default();
    format!("{section}{}-{}-{}-{mark}.txt", kebab(&signature.role), kebab(who(signature)), word(signature.decision))
}
