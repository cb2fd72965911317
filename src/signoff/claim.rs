//! What a sign-off document claims: a short block that a person can copy and a program can hold against the record.
//!
//! ````text
//! ```holdpoint
//! holdpoint sign-off v1
//! run: 20261120-221905-c500
//! checklist: 475d4f98…
//! decision: go
//! events: 30
//! record: 3af20f18…
//! pass: 4
//! fail: 1
//! signed: sre, approve, alice, SHA256:…
//! ```
//! ````
//!
//! `record` is the digest of the last event that the document knows. Outcomes that did not occur have no line. This
//! is the only place that writes and reads the block.

use std::fmt::Write as _;

use crate::event::Signature;
use crate::model::outline::Part;
use crate::model::{Decision, Outcome, RunId};
use crate::record::{Head, RunRecord};

use super::sign::statement;

/// The first line: what the block is, and the version of its form.
const FIRST: &str = "holdpoint sign-off v1";

/// What a document claims of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The run.
    pub run: RunId,
    /// The SHA-256 of the checklist's bytes, in hexadecimal.
    pub checklist: String,
    /// The decision.
    pub decision: Decision,
    /// The end of the record when the document was written.
    pub head: Head,
    /// How many steps came out how; actions are not among them.
    pub counts: Vec<(Outcome, u64)>,
    /// Who signed: role, decision, name and key.
    pub signed: Vec<String>,
}

impl Claim {
    /// Makes the claim that a record bears out.
    pub fn of(record: &RunRecord, decision: Decision) -> Self {
        let sections = record.sections.iter().filter(|s| matches!(s.outline.part, Part::Section | Part::Guard));
        let outcomes: Vec<Outcome> = sections.flat_map(|s| &s.steps).map(crate::record::StepRecord::outcome).collect();
        let count = |outcome: Outcome| (outcome, outcomes.iter().filter(|o| **o == outcome).count() as u64);
        Self {
            run: record.run.clone(),
            checklist: record.header.checklist.digest.clone(),
            decision,
            head: record.head.clone(),
            counts: Outcome::ALL.into_iter().map(count).filter(|(_, n)| *n > 0).collect(),
            signed: record.signatures.iter().map(|(_, signature)| signed(signature)).collect(),
        }
    }

    /// Writes the lines of the block.
    pub fn text(&self) -> String {
        let mut text = format!("{FIRST}\n");
        let mut line = |name: &str, value: &str| {
            // Writing into a text cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        line("run", self.run.as_str());
        line("checklist", &self.checklist);
        line("decision", self.decision.word());
        line("events", &self.head.seq.to_string());
        line("record", &self.head.digest);
        for (outcome, count) in &self.counts {
            line(outcome.word(), &count.to_string());
        }
        for signed in &self.signed {
            line("signed", signed);
        }
        text
    }

    /// Finds the block in a document and reads it; nothing when there is none.
    ///
    /// # Errors
    /// Says what is wrong with the block, or that there are two.
    pub fn find(document: &str) -> Option<Result<Self, String>> {
        let mut lines = document.lines().map(str::trim);
        lines.find(|line| *line == FIRST)?;
        let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```") && !line.is_empty()).collect();
        if lines.any(|line| line == FIRST) {
            return Some(Err("the document has two blocks that claim something; remove the wrong one".into()));
        }
        Some(Self::read(&block))
    }

    fn read(lines: &[&str]) -> Result<Self, String> {
        let mut rest = lines.iter().map(|line| {
            line.split_once(": ").ok_or_else(|| format!("{line:?} in the block is no claim; write the report again"))
        });
        let mut next = |name: &str| match rest.next() {
            Some(Ok((found, value))) if found == name => Ok(value.to_owned()),
            Some(Err(wrong)) => Err(wrong),
            Some(Ok(_)) | None => Err(format!("the block does not say {name} in its place; write the report again")),
        };
        let (run, checklist, decision) = (next("run")?, next("checklist")?, next("decision")?);
        let (events, digest) = (next("events")?, next("record")?);
        let decisions = [Decision::Go, Decision::NoGo, Decision::Undecided, Decision::Held];
        let decision = decisions.into_iter().find(|d| d.word() == decision);
        let decision = decision.ok_or("the block says no decision that there is; write the report again")?;
        let seq = events.parse().map_err(|_| format!("{events:?} events is no number; write the report again"))?;
        let (mut counts, mut signed) = (Vec::new(), Vec::new());
        for line in rest {
            let (name, value) = line?;
            let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.word() == name);
            match (outcome, value.parse()) {
                (Some(outcome), Ok(count)) => counts.push((outcome, count)),
                (None, _) if name == "signed" => signed.push(value.to_owned()),
                _ => return Err(format!("\"{name}: {value}\" is nothing that a block claims; write the report again")),
            }
        }
        Ok(Self { run: RunId::new(run), checklist, decision, head: Head { seq, digest }, counts, signed })
    }

    /// Says what differs from what the record bears out; each line names the claim and the fact.
    pub fn differs_from(&self, fact: &Claim) -> Vec<String> {
        let mut lines = Vec::new();
        let mut hold = |what: &str, claimed: &str, is: &str| {
            if claimed != is {
                lines.push(format!("{what}: the document says {claimed}, the record {is}"));
            }
        };
        hold("run", self.run.as_str(), fact.run.as_str());
        hold("checklist", &self.checklist, &fact.checklist);
        hold("decision", self.decision.word(), fact.decision.word());
        hold("events", &self.head.seq.to_string(), &fact.head.seq.to_string());
        hold("digest of the record", &self.head.digest, &fact.head.digest);
        hold("counts", &words(&self.counts), &words(&fact.counts));
        hold("signatures", &list(&self.signed), &list(&fact.signed));
        lines
    }
}

fn words(counts: &[(Outcome, u64)]) -> String {
    list(&counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect::<Vec<_>>())
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join("; ") }
}

/// `sre, approve, alice, SHA256:…`, a hold point's name behind the role.
fn signed(signature: &Signature) -> String {
    let plain = |text: &str| text.replace([',', '\n', '\r', '`'], " ");
    let hold = signature.section.as_ref().map(|section| format!(" at {section}")).unwrap_or_default();
    let by = if signature.by.is_empty() { &signature.user } else { &signature.by };
    let decision = statement::word(signature.decision);
    format!("{}{hold}, {decision}, {}, {}", plain(&signature.role), plain(by), signature.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim {
        Claim {
            run: RunId::new("r1"),
            checklist: "ab".into(),
            decision: Decision::NoGo,
            head: Head { seq: 30, digest: "cd".into() },
            counts: vec![(Outcome::Pass, 4), (Outcome::NotApplicable, 1)],
            signed: vec!["sre, approve, alice, SHA256:x".into(), "qa at canary, reject, bob, SHA256:y".into()],
        }
    }

    #[test]
    fn what_is_written_is_read_anywhere_in_a_document() {
        let document = format!("# Sign-off\n\n```holdpoint\r\n{}```\n\nmore\n", claim().text().replace('\n', "\r\n"));
        assert_eq!(Claim::find(&document), Some(Ok(claim())));
        assert_eq!(Claim::find("# Sign-off\n"), None);
        assert!(Claim::find(&document.repeat(2)).is_some_and(|claim| claim.is_err()));
    }

    #[test]
    fn every_changed_line_is_noticed() {
        let text = claim().text();
        for (n, line) in text.lines().enumerate().skip(1) {
            let changed: Vec<String> =
                text.lines().enumerate().filter(|(m, _)| *m != n).map(|(_, l)| l.into()).collect();
            match Claim::find(&changed.join("\n")) {
                Some(Ok(other)) => assert_eq!(other.differs_from(&claim()).len(), 1, "without {line}"),
                Some(Err(_)) => {}
                None => panic!("the block is there"),
            }
        }
    }
}
