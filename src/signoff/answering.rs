//! Who may answer a manual step, and in which role.
//!
//! A name is a claim: whoever may write the store may give an answer under any name that fits. So an answer says who
//! looked; that somebody stands for the whole is what signatures are for.

use crate::model::StepId;
use crate::model::outline::StepOutline;
use crate::record::{RunRecord, StepRecord};

/// Who answers, as they say.
#[derive(Clone, Debug, Default)]
pub struct Claim<'a> {
    /// The name given, if any.
    pub name: Option<&'a str>,
    /// The role given, if any.
    pub role: Option<&'a str>,
    /// The user, as the system names them.
    pub user: &'a str,
}

/// Returns the name and the role under which an answer is kept.
///
/// # Errors
/// Says who may answer, when this person may not.
pub fn answerer(record: &RunRecord, step: &StepOutline, claim: &Claim<'_>) -> Result<(String, Option<String>), String> {
    let name = claim.name.unwrap_or(claim.user).to_owned();
    let Some(wanted) = &step.by else {
        return match claim.role {
            Some(role) => Err(format!("step {} asks for no role, so nobody answers it as {role}", step.id)),
            None => Ok((name, None)),
        };
    };
    if let Some(role) = claim.role.filter(|role| role != wanted) {
        return Err(format!("step {} is to be answered as {wanted}, not as {role}", step.id));
    }
    let members = record.header.roles.iter().find(|role| role.role == *wanted).map(|role| role.members.as_slice());
    let members = members.unwrap_or_default();
    if members.is_empty() || members.contains(&name) {
        return Ok((name, Some(wanted.clone())));
    }
    // A user is the member whose name begins so, when there is only one.
    let local = |member: &&String| claim.name.is_none() && member.split('@').next() == Some(claim.user);
    match members.iter().filter(local).collect::<Vec<_>>().as_slice() {
        [one] => Ok(((*one).clone(), Some(wanted.clone()))),
        _ => Err(format!(
            "step {} is to be answered by {} ({wanted}), not by {name}; say who you are with --as NAME",
            step.id,
            members.join(" or ")
        )),
    }
}

/// Returns the manual steps that nobody has answered yet, in order.
pub fn open(record: &RunRecord) -> Vec<&StepRecord> {
    let steps = record.sections.iter().flat_map(|section| &section.steps);
    steps.filter(|step| step.outline.probe == "manual" && step.answers.is_empty() && waits(step)).collect()
}

/// Finds a step by its name.
///
/// # Errors
/// Says that there is none, and the nearest.
pub fn find<'a>(record: &'a RunRecord, id: &StepId) -> Result<&'a StepRecord, String> {
    let steps = || record.sections.iter().flat_map(|section| &section.steps);
    steps().find(|step| step.outline.id == *id).ok_or_else(|| {
        let near = crate::diag::near::did_you_mean(id.as_str(), steps().map(|step| step.outline.id.as_str()));
        let near = near.map(|near| format!(", did you mean {near}")).unwrap_or_default();
        format!("the run has no step {id}{near}; `holdpoint show` lists its steps")
    })
}

fn waits(step: &StepRecord) -> bool {
    step.result.as_ref().is_some_and(|result| result.outcome == crate::model::Outcome::Pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outline::{Header, Role};
    use crate::model::{Origin, RunId, SectionId};

    fn ask(by: Option<&str>, members: &[&str], claim: &Claim<'_>) -> Result<(String, Option<String>), String> {
        let members = members.iter().map(|m| (*m).to_owned()).collect();
        let roles = vec![Role { role: "sre".into(), needs: 1, members }];
        let header = Header { roles, ..Header::default() };
        let record = RunRecord::new(RunId::new("r1"), header, chrono::DateTime::UNIX_EPOCH);
        let origin = Origin { file: "c.yaml".into(), line: 1, column: 1 };
        let mut step = StepOutline::new(StepId::new("s"), "S", SectionId::new("all"), "manual", origin);
        step.by = by.map(str::to_owned);
        answerer(&record, &step, claim)
    }

    #[test]
    fn only_a_member_of_the_role_answers() {
        let carol = Claim { user: "carol", ..Claim::default() };
        let team = ["carol@example.com", "dave@example.com"];
        let yes = |name: &str, role: Option<&str>| Ok((name.to_owned(), role.map(str::to_owned)));
        assert_eq!(ask(None, &team, &carol), yes("carol", None));
        assert_eq!(ask(Some("sre"), &[], &carol), yes("carol", Some("sre")));
        assert_eq!(ask(Some("sre"), &team, &carol), yes("carol@example.com", Some("sre")));
        assert_eq!(ask(Some("sre"), &["carol"], &carol), yes("carol", Some("sre")));
        let named = |name| Claim { name: Some(name), ..carol.clone() };
        assert_eq!(ask(Some("sre"), &team, &named("dave@example.com")), yes("dave@example.com", Some("sre")));
        assert!(ask(Some("sre"), &team, &named("mallory@example.com")).is_err());
        assert!(ask(Some("sre"), &["carol@a", "carol@b"], &carol).is_err(), "one of two");
        assert!(ask(Some("sre"), &team, &Claim { role: Some("cto"), ..carol.clone() }).is_err());
        assert!(ask(None, &team, &Claim { role: Some("sre"), ..carol.clone() }).is_err());
        assert_eq!(ask(Some("cto"), &team, &carol), yes("carol", Some("cto")), "a role that nobody declared");
    }
}
