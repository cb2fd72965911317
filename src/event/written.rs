//! Reading an event back. What an event holds stands beside its number and time, not below them, so that serde's own
//! way would read each one into a tree first; a run of a hundred thousand steps is read in half the time without.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Answer, Checkpoint, Event, EventKind, Look, Notice, Release, Resumption, Signature, StepResult, Waivers};
use crate::model::outline::{Header, SectionOutline, StepOutline};
use crate::model::{Decision, RunId, SectionId, StepId};

/// An event as it is written: everything that any kind of event has.
#[derive(Deserialize)]
pub(super) struct Written {
    seq: u64,
    at: DateTime<Utc>,
    event: Name,
    run: Option<RunId>,
    header: Option<Box<Header>>,
    section: Option<Section>,
    steps: Option<Vec<StepOutline>>,
    step: Option<StepId>,
    #[serde(default)]
    doing: String,
    until: Option<DateTime<Utc>>,
    look: Option<Box<Look>>,
    result: Option<Box<StepResult>>,
    cause: Option<String>,
    answer: Option<Answer>,
    decision: Option<Decision>,
    reasons: Option<Vec<String>>,
    took_ms: Option<u64>,
    checkpoint: Option<Checkpoint>,
    n: Option<u32>,
    release: Option<Release>,
    why: Option<String>,
    resumption: Option<Resumption>,
    what: Option<String>,
    waivers: Option<Waivers>,
    signature: Option<Box<Signature>>,
    notice: Option<Notice>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    RunStarted,
    Planned,
    SectionStarted,
    StepStarted,
    Looked,
    StepFinished,
    SectionFinished,
    Interrupted,
    Answered,
    Decided,
    RunFinished,
    CheckpointStarted,
    Checked,
    Held,
    Released,
    Paused,
    Waiting,
    Resumed,
    ClockMoved,
    Waived,
    Signed,
    Notified,
}

/// A section in full where it is planned, its name everywhere else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Section {
    Name(SectionId),
    Outline(SectionOutline),
}

impl TryFrom<Written> for Event {
    type Error = String;

    fn try_from(w: Written) -> Result<Self, String> {
        let kind = match w.event {
            Name::RunStarted => EventKind::RunStarted { run: there(w.run, "run")?, header: there(w.header, "header")? },
            Name::Planned => EventKind::Planned { section: outline(w.section)?, steps: there(w.steps, "steps")? },
            Name::SectionStarted => EventKind::SectionStarted { section: name(w.section)? },
            Name::StepStarted => {
                EventKind::StepStarted { step: there(w.step, "step")?, doing: w.doing, until: w.until }
            }
            Name::Looked => EventKind::Looked { step: there(w.step, "step")?, look: there(w.look, "look")? },
            Name::StepFinished => {
                EventKind::StepFinished { step: there(w.step, "step")?, result: there(w.result, "result")? }
            }
            Name::SectionFinished => EventKind::SectionFinished { section: name(w.section)? },
            Name::Interrupted => EventKind::Interrupted { cause: there(w.cause, "cause")? },
            Name::Answered => EventKind::Answered { step: there(w.step, "step")?, answer: there(w.answer, "answer")? },
            Name::Decided => {
                EventKind::Decided { decision: there(w.decision, "decision")?, reasons: there(w.reasons, "reasons")? }
            }
            Name::CheckpointStarted => EventKind::CheckpointStarted { checkpoint: there(w.checkpoint, "checkpoint")? },
            Name::Checked => EventKind::Checked {
                step: there(w.step, "step")?,
                n: there(w.n, "n")?,
                result: there(w.result, "result")?,
            },
            Name::Held => EventKind::Held { section: name(w.section)? },
            Name::Released => EventKind::Released { section: name(w.section)?, release: there(w.release, "release")? },
            Name::Paused => EventKind::Paused { why: there(w.why, "why")?, until: w.until },
            Name::Waiting => EventKind::Waiting { why: there(w.why, "why")?, until: w.until },
            Name::Resumed => EventKind::Resumed { resumption: there(w.resumption, "resumption")? },
            Name::ClockMoved => EventKind::ClockMoved { what: there(w.what, "what")? },
            Name::Waived => EventKind::Waived { waivers: there(w.waivers, "waivers")? },
            Name::Signed => EventKind::Signed { signature: there(w.signature, "signature")? },
            Name::Notified => EventKind::Notified { notice: there(w.notice, "notice")? },
            Name::RunFinished => EventKind::RunFinished { took_ms: there(w.took_ms, "took_ms")? },
        };
        Ok(Event { seq: w.seq, at: w.at, kind })
    }
}

fn there<T>(field: Option<T>, name: &str) -> Result<T, String> {
    field.ok_or_else(|| format!("missing field `{name}`"))
}

fn outline(section: Option<Section>) -> Result<SectionOutline, String> {
    match there(section, "section")? {
        Section::Outline(outline) => Ok(outline),
        Section::Name(_) => Err("field `section` is a name where a section is planned".to_owned()),
    }
}

fn name(section: Option<Section>) -> Result<SectionId, String> {
    match there(section, "section")? {
        Section::Name(name) => Ok(name),
        Section::Outline(_) => Err("field `section` is more than a name".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Origin;
    use crate::model::Outcome;
    use crate::model::outline::Part;

    fn back(kind: EventKind) {
        let event = Event { seq: 7, at: DateTime::UNIX_EPOCH, kind };
        let text = serde_json::to_string(&event).expect("it is written");
        assert_eq!(serde_json::from_str::<Event>(&text).expect("it is read"), event, "{text}");
    }

    #[test]
    fn what_was_written_is_read_back() {
        let (section, step) = (SectionId::new("s"), StepId::new("a"));
        let origin = Origin { file: "c.yaml".into(), line: 3, column: 5 };
        let outline = SectionOutline::new(section.clone(), "S", Part::Section, origin);
        back(EventKind::Planned { section: outline, steps: Vec::new() });
        back(EventKind::SectionStarted { section: section.clone() });
        back(EventKind::StepStarted { step: step.clone(), doing: "GET /".to_owned(), until: None });
        back(EventKind::SectionFinished { section });
        back(EventKind::Interrupted { cause: "SIGINT".to_owned() });
        let answer = Answer::new(Outcome::Pass, "carol");
        back(EventKind::Answered { step, answer });
        back(EventKind::Decided { decision: Decision::Go, reasons: vec!["a".to_owned()] });
        let sent = Notice {
            channel: "grafana".to_owned(),
            on: "start".to_owned(),
            about: String::new(),
            attempts: 1,
            id: Some("7".to_owned()),
            failed: None,
        };
        back(EventKind::Notified { notice: sent.clone() });
        back(EventKind::Notified { notice: Notice { id: None, failed: Some("denied".to_owned()), ..sent } });
        back(EventKind::RunFinished { took_ms: 5 });
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let wrong = |text: &str| serde_json::from_str::<Event>(text).expect_err("it is wrong").to_string();
        let at = r#""seq":1,"at":"2026-01-01T00:00:00Z""#;
        assert!(wrong(&format!(r#"{{{at},"event":"step_finished","step":"a"}}"#)).contains("`result`"));
        assert!(wrong(&format!(r#"{{{at},"event":"step_exploded","step":"a"}}"#)).contains("step_exploded"));
        assert!(wrong(&format!(r#"{{{at},"event":"section_started"}}"#)).contains("`section`"));
    }
}
