//! A short document for a release page: what was decided, why, by whom, and the digests that lead to the evidence.

use serde_json::{Map, Value, json};

use super::Source;
use crate::model::Outcome;
use crate::model::outline::{Part, Weight};

/// The version of the form.
pub const VERSION: u64 = 1;

/// Makes the summary.
pub fn summary(source: &Source<'_>) -> Value {
    let (record, ruling) = (source.record, source.ruling);
    let checklist = &record.header.checklist;
    let mut out = json!({
        "holdpoint_summary": VERSION,
        "run": record.run,
        "decision": ruling.decision,
        "reasons": ruling.reasons,
        "attention": ruling.attention,
        "checklist": { "name": checklist.name, "path": checklist.path, "sha256": checklist.digest },
        "started": record.started,
        "finished": record.finished,
        "counts": counts(source),
        "signers": source.signers(),
        "record": source.evidence(),
    });
    let optional = [
        ("stage", checklist.stage.as_ref().map(|stage| json!(stage))),
        ("service", checklist.service.as_ref().map(|service| json!(service))),
        ("url", source.url.map(|url| json!(url))),
        ("subjects", (!source.subjects.is_empty()).then(|| subjects(source))),
    ];
    if let Some(out) = out.as_object_mut() {
        out.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }
    out
}

fn subjects(source: &Source<'_>) -> Value {
    source.subjects.iter().map(super::Subject::descriptor).collect()
}

/// Counts the steps that count, by outcome.
fn counts(source: &Source<'_>) -> Map<String, Value> {
    let sections = source.record.sections.iter();
    let counted = sections.filter(|section| matches!(section.outline.part, Part::Section | Part::Guard));
    let steps = counted.flat_map(|section| &section.steps).filter(|step| step.outline.weight != Weight::Trial);
    let outcomes: Vec<Outcome> = steps.map(crate::record::StepRecord::outcome).collect();
    let count = |outcome: Outcome| outcomes.iter().filter(|other| **other == outcome).count();
    Outcome::ALL.into_iter().map(|outcome| (outcome.word().to_owned(), json!(count(outcome)))).collect()
}
