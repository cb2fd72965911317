//! What people say of a run as a whole: the signatures at its end, the hold points on its way.

use chrono::{DateTime, Utc};

use super::approval::{self, Approval, Judged, Standing, who};
use super::sign::AllowedSigners;
use crate::model::SectionId;
use crate::record::{RunRecord, SectionRecord};

/// Who agreed, who did not, and who is still to be asked.
#[derive(Debug, Default)]
pub(super) struct People {
    /// The signatures at the end.
    pub(super) end: Approval,
    /// The signatures of each hold point that asks for them.
    pub(super) holds: Vec<(SectionId, Approval)>,
    /// Who said no, one line each.
    pub(super) rejected: Vec<String>,
    /// Who is missing, one line each.
    pub(super) missing: Vec<String>,
    /// The conditions of those who agreed.
    pub(super) conditions: Vec<String>,
    /// What a reader should see although it does not decide.
    pub(super) attention: Vec<String>,
}

impl People {
    /// Asks the record what people said, up to `at`.
    pub(super) fn of(record: &RunRecord, signers: Option<&AllowedSigners>, at: DateTime<Utc>) -> Self {
        let mut people = Self::default();
        for section in record.sections.iter().filter(|section| section.outline.hold.is_some()) {
            people.hold(record, section, signers, at);
        }
        let end = approval::of_end(record, signers, at);
        people.hear(&end, "");
        people.missing.extend(missing(&end, ""));
        people.conditions.extend(end.conditions());
        people.end = end;
        people.attention.extend(people.conditions.iter().map(|condition| format!("condition of {condition}")));
        people
    }

    /// Tells whether anybody is still to be asked.
    pub(super) fn wait(&self) -> bool {
        !self.missing.is_empty()
    }

    fn hold(
        &mut self,
        record: &RunRecord,
        section: &SectionRecord,
        signers: Option<&AllowedSigners>,
        at: DateTime<Utc>,
    ) {
        let name = &section.outline.name;
        let approval = approval::of_hold(record, section, signers, at);
        let released = section.releases.last().map(|(_, release)| release);
        match (&approval, released) {
            (_, Some(release)) if !release.accepted => {
                let note = if release.note.is_empty() { String::new() } else { format!(": {}", release.note) };
                self.rejected.push(format!("declined: {name} by {}{note}", release.by));
            }
            (None, Some(release)) => {
                self.attention.push(format!("{name} was released by {}, with a yes without a signature", release.by));
            }
            (None, None) if section.held.is_some() => {
                let command = format!("`holdpoint release {} {}`", record.run, section.outline.id);
                self.missing.push(format!("held: {name}: somebody must release it with {command}"));
            }
            (None, None) => {}
            (Some(approval), Some(_)) => {
                let why = " before its release";
                self.missing.extend(missing(approval, &format!("{name}: ")).map(|line| format!("{line}{why}")));
            }
            (Some(approval), None) if section.held.is_some() => {
                self.missing.extend(missing(approval, &format!("{name}: ")));
            }
            (Some(_), None) => {}
        }
        if let Some(approval) = approval {
            // Whoever declined with a signature is heard already.
            if released.is_none_or(|release| release.accepted) {
                self.hear(&approval, &format!("{name}: "));
            }
            self.conditions.extend(approval.conditions());
            self.holds.push((section.outline.id.clone(), approval));
        }
    }

    /// Notes who says no, and which signatures do not count.
    fn hear(&mut self, approval: &Approval, place: &str) {
        let no = |judged: &Judged| {
            let note =
                if judged.signature.note.is_empty() { String::new() } else { format!(": {}", judged.signature.note) };
            format!("rejected: {place}{} by {}{note}", judged.signature.role, who(&judged.signature))
        };
        self.rejected.extend(approval.rejections().map(no));
        for judged in &approval.signatures {
            let said = format!("the signature of {} as {place}{}", who(&judged.signature), judged.signature.role);
            match &judged.standing {
                Standing::Counts if judged.signature.by.is_empty() => {
                    self.attention.push(format!("{said} was not checked against allowed signers"));
                }
                Standing::Counts | Standing::Replaced => {}
                Standing::Lapsed(why) => self.attention.push(format!("{said} has lapsed: {why}")),
                Standing::Refused(why) => self.attention.push(format!("{said} does not count: {why}")),
            }
        }
    }
}

/// Says which roles miss how many people.
fn missing(approval: &Approval, place: &str) -> impl Iterator<Item = String> {
    let lines: Vec<String> = approval
        .roles
        .iter()
        .filter(|role| role.missing() > 0)
        .map(|role| {
            let more = if role.by.is_empty() { "" } else { " more" };
            let lapsed = approval
                .signatures
                .iter()
                .filter(|judged| judged.signature.role == role.role && matches!(judged.standing, Standing::Lapsed(_)));
            let lapsed: Vec<&str> = lapsed.map(|judged| who(&judged.signature)).collect();
            let lapsed = match lapsed.as_slice() {
                [] => String::new(),
                some => format!(" (lapsed: {})", some.join(", ")),
            };
            format!("unsigned: {place}{} needs {}{more} to sign{lapsed}", role.role, role.missing())
        })
        .collect();
    lines.into_iter()
}
