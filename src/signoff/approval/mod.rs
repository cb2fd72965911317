//! Do the people who must agree agree? From the record alone: which signatures count, which do not and why, and what
//! each role still misses.
//!
//! A signature counts when its text is that of the record, its key made it, its signer may fill the role, nothing was
//! found since that it does not cover, and its time is not over. A rejection stands until the same person signs anew.

mod check;
mod people;

use chrono::{DateTime, TimeDelta, Utc};

use super::sign::AllowedSigners;
use crate::event::{SignDecision, Signature};
use crate::model::SectionId;
use crate::model::outline::Role;
use crate::model::quantity;
use crate::record::{RunRecord, SectionRecord};
pub use check::check;
use people::{People, fill};
pub use people::{is_runner, who};

/// What the signatures for one question come to: for the end of the run, or for one hold point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approval {
    /// The roles that are asked for, in order.
    pub roles: Vec<RoleState>,
    /// Every signature for this question, in the order of signing.
    pub signatures: Vec<Judged>,
}

/// A role and who fills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleState {
    /// The role.
    pub role: String,
    /// How many people must sign.
    pub needs: u32,
    /// Who may; empty when anybody may.
    pub members: Vec<String>,
    /// Who did, and counts.
    pub by: Vec<String>,
}

impl RoleState {
    /// Returns how many people are missing.
    pub fn missing(&self) -> u32 {
        self.needs.saturating_sub(u32::try_from(self.by.len()).unwrap_or(u32::MAX))
    }
}

/// A signature and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// When it was kept.
    pub at: DateTime<Utc>,
    /// The signature.
    pub signature: Signature,
    /// What it is worth.
    pub standing: Standing,
}

/// What a signature is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It stands.
    Counts,
    /// It stood, until something was found or its time was over.
    Lapsed(String),
    /// The same person signed in the same role again.
    Replaced,
    /// It never counted.
    Refused(String),
}

impl Approval {
    /// Tells whether every role has the people it needs, and nobody says no.
    pub fn is_met(&self) -> bool {
        self.rejections().next().is_none() && self.roles.iter().all(|role| role.missing() == 0)
    }

    /// Returns who says no.
    pub fn rejections(&self) -> impl Iterator<Item = &Judged> {
        self.standing().filter(|judged| judged.signature.decision == SignDecision::Reject)
    }

    /// Returns the conditions under which people agree, each with whose it is.
    pub fn conditions(&self) -> Vec<String> {
        let said = |judged: &Judged| {
            let signature = &judged.signature;
            let whose = format!("{} ({})", who(signature), signature.role);
            signature.conditions.iter().map(move |c| format!("{whose}: {c}")).collect::<Vec<_>>()
        };
        self.standing().flat_map(said).collect()
    }

    /// Returns the signatures that stand.
    pub fn standing(&self) -> impl Iterator<Item = &Judged> {
        self.signatures.iter().filter(|judged| judged.standing == Standing::Counts)
    }
}

/// Judges the signatures at the end of a run, at `at`, against a file of allowed signers where one is at hand.
pub fn of_end(record: &RunRecord, signers: Option<&AllowedSigners>, at: DateTime<Utc>) -> Approval {
    let roles: Vec<&Role> = record.header.roles.iter().collect();
    Question { record, section: None, roles, evidence: record.evidence, at }.answer(signers)
}

/// Judges the signatures for a hold point: at `at`, or when it was released. Nothing for one that asks for none.
pub fn of_hold(
    record: &RunRecord,
    section: &SectionRecord,
    signers: Option<&AllowedSigners>,
    at: DateTime<Utc>,
) -> Option<Approval> {
    let hold = section.outline.hold.as_ref().filter(|hold| !hold.sign.is_empty())?;
    let at = section.releases.last().map_or(at, |(released, _)| *released);
    // A role that nobody declared has no members, so that its signature can be asked for all the same.
    let unknown: Vec<Role> = hold
        .sign
        .iter()
        .filter(|name| !record.header.roles.iter().any(|role| role.role == **name))
        .map(|name| Role { role: name.clone(), needs: 1, members: Vec::new() })
        .collect();
    let roles = record.header.roles.iter().filter(|role| hold.sign.contains(&role.role)).chain(&unknown).collect();
    let section_id = Some(&section.outline.id);
    Some(Question { record, section: section_id, roles, evidence: section.hold_evidence, at }.answer(signers))
}

/// What is asked of whom.
struct Question<'a> {
    record: &'a RunRecord,
    section: Option<&'a SectionId>,
    roles: Vec<&'a Role>,
    evidence: u64,
    at: DateTime<Utc>,
}

impl Question<'_> {
    fn answer(&self, signers: Option<&AllowedSigners>) -> Approval {
        let record = self.record;
        let mine = record.signatures.iter().filter(|(at, s)| s.section.as_ref() == self.section && *at <= self.at);
        let mut signatures: Vec<Judged> = mine
            .map(|(at, signature)| {
                let standing = match check(record, signature, *at, signers).and_then(|()| self.may(signature)) {
                    Err(why) => Standing::Refused(why),
                    Ok(()) => self.lapse(signature, *at).map_or(Standing::Counts, Standing::Lapsed),
                };
                Judged { at: *at, signature: signature.clone(), standing }
            })
            .collect();
        let people = People::among(signatures.iter().map(|judged| &judged.signature));
        replace_earlier(&mut signatures, &people);
        let roles = self.fill(&signatures, &people);
        Approval { roles, signatures }
    }

    /// Tells whether the signer may fill the role.
    fn may(&self, signature: &Signature) -> Result<(), String> {
        let Some(role) = self.roles.iter().find(|role| role.role == signature.role) else {
            return Err(format!("the role {} is not asked for here", signature.role));
        };
        if !role.members.is_empty() && signature.by.is_empty() {
            let why = "the key was not checked against allowed signers, and the role";
            return Err(format!("{why} {} has members", role.role));
        }
        if !role.members.is_empty() && !role.members.contains(&signature.by) {
            return Err(format!("{} is not a member of {}", signature.by, role.role));
        }
        if self.record.header.sign_rules.not_runner && is_runner(self.record, signature) {
            return Err(format!("{} started the run, and whoever did may not sign it", who(signature)));
        }
        Ok(())
    }

    /// Says why a signature stands no more. A rejection stands.
    fn lapse(&self, signature: &Signature, at: DateTime<Utc>) -> Option<String> {
        if signature.decision == SignDecision::Reject {
            return None;
        }
        if signature.over_seq < self.evidence {
            return Some("something was found since that it does not cover".to_owned());
        }
        let valid = self.record.header.sign_rules.valid_for_ms?;
        let until = at.checked_add_signed(TimeDelta::try_milliseconds(i64::try_from(valid).ok()?)?)?;
        (self.at > until).then(|| {
            let length = quantity::seconds(std::time::Duration::from_millis(valid).as_secs_f64());
            format!("it was valid for {length}, until {}", until.format("%Y-%m-%d %H:%M:%S UTC"))
        })
    }

    /// Gives each role its people; with `distinct`, nobody has two.
    fn fill(&self, signatures: &[Judged], people: &People) -> Vec<RoleState> {
        let agreed = |role: &Role| -> Vec<usize> {
            let in_role = |(_, judged): &(usize, &Judged)| {
                judged.standing == Standing::Counts
                    && judged.signature.role == role.role
                    && judged.signature.decision != SignDecision::Reject
            };
            signatures.iter().enumerate().filter(in_role).map(|(n, _)| people.of(n)).collect()
        };
        let candidates: Vec<Vec<usize>> = self.roles.iter().map(|role| agreed(role)).collect();
        let needs: Vec<usize> =
            self.roles.iter().map(|role| usize::try_from(role.needs).unwrap_or(usize::MAX)).collect();
        let filled = fill(&candidates, &needs, self.record.header.sign_rules.distinct);
        let name = |person: &usize| people.name(*person).to_owned();
        let state = |(role, by): (&&Role, Vec<usize>)| RoleState {
            role: role.role.clone(),
            needs: role.needs,
            members: role.members.clone(),
            by: by.iter().map(name).collect(),
        };
        self.roles.iter().zip(filled).map(state).collect()
    }
}

/// Marks what a person signed before they signed again in the same role.
fn replace_earlier(signatures: &mut [Judged], people: &People) {
    for later in (1..signatures.len()).rev() {
        if matches!(signatures[later].standing, Standing::Refused(_)) {
            continue;
        }
        for earlier in 0..later {
            let same = people.of(earlier) == people.of(later)
                && signatures[earlier].signature.role == signatures[later].signature.role;
            if same && !matches!(signatures[earlier].standing, Standing::Refused(_)) {
                signatures[earlier].standing = Standing::Replaced;
            }
        }
    }
}
