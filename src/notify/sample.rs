//! A made-up run of a checklist, to see its messages before there is anything to tell.
//!
//! Steps, names and places are those of the checklist; what they came to is made up, and every text says so.

use chrono::{DateTime, TimeDelta, Utc};

use super::message::Occasion;
use super::on::On;
use crate::event::{Look, StepResult};
use crate::model::outline::{Header, Part, SectionOutline, Slot, StepOutline, Weight};
use crate::model::{Decision, Finding, Found, Measures, Observation, Outcome, RunId, Verdict};
use crate::record::{Paused, RunRecord, SectionRecord, StepRecord};
use crate::report::RunView;
use crate::signoff;

/// How many steps fail in a run that is no go.
const WRONG: usize = 3;
/// How long the made-up run took, in seconds.
const TOOK: i64 = 83;

/// Makes up a run of these sections in which `on` happens, and the occasion to tell of.
pub fn run(
    header: Header,
    sections: Vec<(SectionOutline, Vec<StepOutline>)>,
    on: On,
    at: DateTime<Utc>,
) -> (RunView, Occasion) {
    let started = at - TimeDelta::seconds(TOOK);
    let mut record = RunRecord::new(RunId::new(format!("{}-sample", started.format("%Y%m%d-%H%M%S"))), header, started);
    record.sections = sections
        .into_iter()
        .map(|(outline, steps)| {
            let steps = steps.into_iter().map(StepRecord::new).collect();
            SectionRecord { steps, ..SectionRecord::new(outline) }
        })
        .collect();
    let occasion = play(&mut record, on, at);
    let over = matches!(on, On::NoGo | On::Go | On::Undecided | On::End) || matches!(occasion, Occasion::Decided);
    if over {
        record.finished = Some(at);
        record.took_ms = Some(TOOK.unsigned_abs() * 1_000);
    }
    let mut ruling = signoff::decide(&record, &[], at);
    if let Some(decision) = decision(on) {
        // Signatures that a real run would wait for are not made up.
        ruling.decision = decision;
        if decision == Decision::Go {
            ruling.reasons.clear();
        }
    }
    (RunView::new(record, &ruling), occasion)
}

fn decision(on: On) -> Option<Decision> {
    match on {
        On::NoGo => Some(Decision::NoGo),
        On::Go | On::End => Some(Decision::Go),
        On::Undecided => Some(Decision::Undecided),
        On::Held => Some(Decision::Held),
        On::Start | On::Checkpoint | On::Failure => None,
    }
}

/// Gives the steps their results, and returns what happened.
fn play(record: &mut RunRecord, on: On, at: DateTime<Utc>) -> Occasion {
    let held = record.sections.iter().position(|s| s.outline.part == Part::Section && s.outline.hold.is_some());
    let until = if on == On::Held { held.unwrap_or(usize::MAX) } else { usize::MAX };
    let mut wrong = 0;
    let mut failed = Vec::new();
    for (position, section) in record.sections.iter_mut().enumerate() {
        let acts = !matches!(section.outline.part, Part::Section | Part::Guard);
        if acts || position >= until || on == On::Start {
            continue;
        }
        for step in &mut section.steps {
            let counts = step.outline.weight == Weight::Required;
            let outcome = match on {
                On::NoGo | On::Failure | On::Checkpoint if counts && wrong < WRONG => Outcome::Fail,
                On::Undecided if counts && wrong < WRONG => Outcome::Error,
                On::Held if held.is_none() && counts && wrong == 0 => Outcome::Pending,
                _ => Outcome::Pass,
            };
            if outcome != Outcome::Pass {
                wrong += 1;
                failed.push((step.outline.id.clone(), None));
            }
            step.result = Some(result(outcome, at));
        }
    }
    match (on, held) {
        (On::Start, _) => Occasion::Start,
        (On::Failure, _) => Occasion::Failure(failed),
        (On::Checkpoint, _) => at_checkpoint(record),
        (On::End, _) => Occasion::End,
        (On::Held, Some(position)) => {
            let section = &mut record.sections[position];
            section.held = Some(at);
            let why = format!("{:?} waits to be released", section.outline.name);
            let id = section.outline.id.clone();
            record.paused = Some(Paused { at, why, until: None });
            Occasion::Held(id)
        }
        (On::Held | On::NoGo | On::Go | On::Undecided, _) => Occasion::Decided,
    }
}

fn at_checkpoint(record: &mut RunRecord) -> Occasion {
    let at = record.sections.iter_mut().filter(|section| section.outline.at == Some(Slot::Checkpoint));
    for step in at.flat_map(|section| &mut section.steps) {
        if let Some(result) = step.result.take() {
            step.checks.push(crate::record::Check { n: 1, result });
        }
    }
    Occasion::Checkpoint(1)
}

fn result(outcome: Outcome, at: DateTime<Utc>) -> StepResult {
    let summary = match outcome {
        Outcome::Fail => "value is 812ms, expected < 500ms (made up)",
        Outcome::Error => "could not look: connection refused by 127.0.0.1:9090 (made up)",
        Outcome::Pending => "waits for an answer (made up)",
        _ => "",
    };
    let mut result = StepResult::new(outcome, summary, at);
    if outcome == Outcome::Fail {
        let finding = Finding {
            value: Some(0.812),
            limit: Some(0.5),
            subject: "value".into(),
            expected: "< 500ms".into(),
            observed: "812ms".into(),
            outcome: Outcome::Fail,
            origin: None,
        };
        let verdict = Verdict { outcome, summary: summary.to_owned(), findings: vec![finding] };
        let observation = Observation::new("made up", Found::Measures(Measures::new()));
        result.look = Some(Box::new(Look::new(at, observation, verdict)));
    }
    result
}
