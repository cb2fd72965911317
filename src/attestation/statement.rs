//! An in-toto Statement (v1) with the predicate of test results (v0.1), for policy engines.
//!
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>,
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>
//!
//! The predicate knows three results. A go is `PASSED`, or `WARNED` when something deserves attention; everything else
//! is `FAILED`, a run that is held or undecided too: who asks only for `PASSED` must never be told so by accident. The
//! decision in our own words, and its reasons, stand beside that under `holdpoint`.

use serde_json::{Map, Value, json};

use super::Source;
use crate::model::outline::{Part, Weight};
use crate::model::{Decision, Outcome};
use crate::record::StepRecord;

/// The type of a statement.
pub const TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate.
pub const PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// Makes the statement. The record itself is always among the subjects, behind what was checked.
pub fn statement(source: &Source<'_>) -> Value {
    let record = source.record;
    let mut subject: Vec<Value> = source.subjects.iter().map(super::Subject::descriptor).collect();
    subject.push(json!({ "name": format!("{}.jsonl", record.run), "digest": { "sha256": source.export } }));
    json!({
        "_type": TYPE,
        "subject": subject,
        "predicateType": PREDICATE,
        "predicate": predicate(source),
    })
}

fn predicate(source: &Source<'_>) -> Map<String, Value> {
    let (record, ruling) = (source.record, source.ruling);
    let checklist = &record.header.checklist;
    let tests = Tests::of(source);
    let mut out = Map::new();
    out.insert("result".into(), json!(result(source, &tests)));
    let file = |name: &str, digest: &str| json!({ "name": name, "digest": { "sha256": digest } });
    let mut configuration: Vec<Value> = match &checklist.parts[..] {
        [] => vec![file(&checklist.path, &checklist.digest)],
        parts => parts.iter().map(|part| file(&part.path, &part.digest)).collect(),
    };
    // The checklist itself stands first, the files of its templates behind it.
    if let Some(Value::Object(first)) = configuration.first_mut() {
        first.insert("annotations".into(), json!({ "title": checklist.name, "inputs": inputs(source) }));
    }
    out.insert("configuration".into(), json!(configuration));
    out.extend(source.url.map(|url| ("url".to_owned(), json!(url))));
    out.insert("passedTests".into(), json!(tests.passed));
    out.insert("warnedTests".into(), json!(tests.warned));
    out.insert("failedTests".into(), json!(tests.failed));
    let own = json!({
        "run": record.run,
        "decision": ruling.decision,
        "reasons": ruling.reasons,
        "attention": ruling.attention,
        "started": record.started,
        "finished": record.finished,
        "tool": record.header.tool,
        "user": record.header.user,
        "host": record.header.host,
        "strict": record.header.strict,
        "options": record.header.options,
        "record": source.evidence(),
        "signers": source.signers(),
    });
    out.insert("holdpoint".into(), own);
    out
}

/// Shows the inputs in effect as the record shows them.
fn inputs(source: &Source<'_>) -> Map<String, Value> {
    let inputs = source.record.header.inputs.iter();
    inputs.map(|input| (input.name.clone(), input.value.clone().unwrap_or_default())).collect()
}

fn result(source: &Source<'_>, tests: &Tests<'_>) -> &'static str {
    match source.ruling.decision {
        Decision::Go if tests.failed.is_empty() && tests.warned.is_empty() && source.ruling.attention.is_empty() => {
            "PASSED"
        }
        Decision::Go => "WARNED",
        Decision::NoGo | Decision::Undecided | Decision::Held => "FAILED",
    }
}

/// The steps by what the predicate calls them.
#[derive(Debug, Default)]
struct Tests<'a> {
    passed: Vec<&'a str>,
    warned: Vec<&'a str>,
    failed: Vec<&'a str>,
}

impl<'a> Tests<'a> {
    /// Sorts the steps that count. Steps on trial and actions never do; what was left out on purpose or does not apply
    /// was no test.
    fn of(source: &Source<'a>) -> Self {
        let sections = source.record.sections.iter();
        let counted = sections.filter(|section| matches!(section.outline.part, Part::Section | Part::Guard));
        let steps = counted.flat_map(|section| &section.steps).filter(|step| step.outline.weight != Weight::Trial);
        let mut tests = Self::default();
        for step in steps {
            if let Some(list) = tests.list_for(step, source.ruling.decision) {
                list.push(step.outline.id.as_str());
            }
        }
        tests
    }

    fn list_for(&mut self, step: &StepRecord, decision: Decision) -> Option<&mut Vec<&'a str>> {
        let blocked = step.result.as_ref().and_then(|result| result.skip).is_none_or(crate::event::Skip::blocks);
        let excused = step.outline.weight == Weight::Optional || decision == Decision::Go;
        match step.outcome() {
            Outcome::Pass => Some(&mut self.passed),
            Outcome::Warn => Some(&mut self.warned),
            // What a go forgives is a warning: it is optional, or waived.
            Outcome::Fail | Outcome::Error | Outcome::Inconclusive if excused => Some(&mut self.warned),
            Outcome::Fail | Outcome::Error | Outcome::Inconclusive | Outcome::Pending => Some(&mut self.failed),
            Outcome::Skipped if blocked => Some(&mut self.failed),
            Outcome::Skipped | Outcome::NotApplicable => None,
        }
    }
}
