//! Judged again: whether every verdict of a record follows from what it measured, offline and with no checklist.
//!
//! Every look is held against the expectation of its step once more, every window is fed with its looks, every soak is
//! summed up from its checkpoints. What comes out otherwise than the record says is named. The measures are taken as
//! they stand: a record whose chain is intact says what was measured, and this tells whether the rest follows from it.
//!
//! What cannot be judged again is said: a step whose expectation was known only within the run, a look in which a
//! secret was masked. Neither does any harm: nothing of it is taken for the same.
//!
//! This module does no I/O, and its memory does not grow with the number of looks.

mod window;

use std::collections::HashMap;

use serde::Serialize;

use crate::event::{Event, EventKind, Look, Skip, StepResult};
use crate::judge::window::{Counts, Occasions};
use crate::judge::{self, Terms, is_first};
use crate::model::outline::{Part, Slot, Soak, StepOutline};
use crate::model::{Found, Outcome, StepId, Verdict};

use window::Watch;

/// How many differences are told one by one.
const TOLD: usize = 200;

/// What stands where a secret stood.
const MASK: &str = "***";

/// What judging again came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Again {
    /// How many looks were judged again.
    pub looks: u64,
    /// How many results were judged again: of steps, and of steps at checkpoints.
    pub results: u64,
    /// How many of all these came out otherwise.
    pub differ: u64,
    /// The first of these.
    pub differences: Vec<Difference>,
    /// The steps of which something could not be judged again, each with the reason.
    pub unjudged: Vec<Unjudged>,
}

/// Something that comes out otherwise than the record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The number of the event.
    pub event: u64,
    /// The step.
    pub step: StepId,
    /// What: `look 3`, `result`, `result at checkpoint 4`.
    pub what: String,
    /// What the record says.
    pub recorded: String,
    /// What it comes to.
    pub again: String,
}

/// A step of which something could not be judged again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unjudged {
    /// The step.
    pub step: StepId,
    /// Why not.
    pub why: String,
}

impl Again {
    /// Tells whether everything that was judged came out the same.
    pub fn is_same(&self) -> bool {
        self.differ == 0
    }
}

/// Judges a record again, fed with its events in order.
#[derive(Debug, Default)]
pub struct Rejudging {
    steps: HashMap<StepId, Known>,
    soak: Option<Soak>,
    again: Again,
}

/// What is known of a step.
#[derive(Debug)]
struct Known {
    outline: StepOutline,
    slot: Option<Slot>,
    guard: bool,
    watch: Option<Watch>,
    occasions: Occasions,
    unjudged: bool,
}

impl Rejudging {
    /// Takes the next event.
    pub fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { header, .. } => self.soak = header.soak,
            EventKind::Planned { section, steps } => {
                for outline in steps {
                    let (slot, guard) = (section.at, section.part == Part::Guard);
                    let watch = Watch::of(&outline.window);
                    let outline = outline.clone();
                    let known = Known { outline, slot, guard, watch, occasions: Occasions::default(), unjudged: false };
                    self.steps.insert(known.outline.id.clone(), known);
                }
            }
            EventKind::Looked { step, look } => self.with(step, |this, known| {
                this.look(event.seq, known, look, None);
                if let Some(watch) = &mut known.watch {
                    watch.look(look);
                }
            }),
            EventKind::Checked { step, n, result } => self.with(step, |this, known| {
                this.result(event.seq, known, result, &format!("result at checkpoint {n}"));
                known.watch = Watch::of(&known.outline.window);
                let first = result.look.as_ref().is_some_and(|look| is_first(&look.verdict));
                let counts = match (result.skip, result.outcome) {
                    (Some(Skip::Condition | Skip::NotSelected), _) => Counts::LeftOut,
                    (_, Outcome::Inconclusive) if first => Counts::First,
                    (_, outcome) => Counts::As(outcome),
                };
                known.occasions.take(&format!("checkpoint {n}"), counts, &result.reason);
            }),
            EventKind::StepFinished { step, result } => self.with(step, |this, known| {
                match known.slot == Some(Slot::Checkpoint) && !known.occasions.is_empty() {
                    true => this.sum(event.seq, known, result),
                    false => this.result(event.seq, known, result, "result"),
                }
                if result.cut || result.is_open() {
                    return;
                }
                known.watch = None;
            }),
            EventKind::SectionStarted { .. }
            | EventKind::SectionFinished { .. }
            | EventKind::StepStarted { .. }
            | EventKind::CheckpointStarted { .. }
            | EventKind::Held { .. }
            | EventKind::Released { .. }
            | EventKind::Paused { .. }
            | EventKind::Waiting { .. }
            | EventKind::Resumed { .. }
            | EventKind::ClockMoved { .. }
            | EventKind::Notified { .. }
            | EventKind::Waived { .. }
            | EventKind::Signed { .. }
            | EventKind::Interrupted { .. }
            | EventKind::Answered { .. }
            | EventKind::Decided { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }

    /// Returns what it came to.
    pub fn end(self) -> Again {
        self.again
    }

    fn with(&mut self, step: &StepId, act: impl FnOnce(&mut Self, &mut Known)) {
        // A step that was never planned is said by whoever tells the record.
        if let Some(mut known) = self.steps.remove(step) {
            act(self, &mut known);
            self.steps.insert(step.clone(), known);
        }
    }

    /// Judges a look again. `result` is that of a step that looks once: what was captured may have changed its verdict.
    fn look(&mut self, event: u64, known: &mut Known, look: &Look, result: Option<&StepResult>) {
        let again = match judged_again(&known.outline, look) {
            Ok(verdict) => verdict,
            Err(why) => return self.leave(known, why),
        };
        self.again.looks += 1;
        let captured = |result: &StepResult| {
            result.outcome == Outcome::Error && result.reason.starts_with("capture ") && again.outcome.satisfies()
        };
        if again != look.verdict && !result.is_some_and(captured) {
            self.differ(event, known, format!("look {}", look.n), said(&look.verdict), said(&again));
        }
    }

    fn result(&mut self, event: u64, known: &mut Known, result: &StepResult, what: &str) {
        let says = matches!(result.outcome, Outcome::Pass | Outcome::Warn | Outcome::Fail | Outcome::NotApplicable);
        if result.look.is_none() && says {
            // A verdict that no look stands behind follows from nothing.
            self.again.results += 1;
            let again = "nothing: no look is recorded".to_owned();
            self.differ(event, known, what.into(), result.outcome.word().into(), again);
            return;
        }
        let Some(watch) = &known.watch else {
            if let Some(look) = &result.look {
                let before = self.again.differ;
                self.look(event, known, look, Some(result));
                let outcome = look.verdict.outcome;
                if before == self.again.differ && !known.unjudged {
                    self.again.results += 1;
                    if outcome != result.outcome {
                        self.differ(event, known, what.into(), result.outcome.word().into(), outcome.word().into());
                    }
                }
            }
            return;
        };
        if result.look.is_none() || known.unjudged {
            return;
        }
        let ended = result.started + chrono::TimeDelta::microseconds(i64::try_from(result.took_us).unwrap_or(i64::MAX));
        // What was broken off says only that it is not known.
        let open = result.cut || result.outcome == Outcome::Inconclusive || result.outcome == Outcome::Error;
        match watch.conclusions(ended, known.guard) {
            Some(outcomes) if outcomes.contains(&result.outcome) => self.again.results += 1,
            Some(_) if open && !watch.is_decided() => {}
            None if open => {}
            outcomes => {
                self.again.results += 1;
                let again = outcomes.map_or("nothing: no look is recorded", |outcomes| outcomes[1].word());
                self.differ(event, known, what.into(), result.outcome.word().into(), again.into());
            }
        }
    }

    /// Sums the checkpoints of a step up again.
    fn sum(&mut self, event: u64, known: &mut Known, result: &StepResult) {
        let planned = self.soak.map_or(0, |soak| soak.checkpoints());
        let again = match known.occasions.is_left_out() {
            true => Outcome::Skipped,
            false => known.occasions.conclusion(planned).outcome,
        };
        // A run that was stopped leaves its checkpoints unfinished, and says so.
        let stopped = result.cut || matches!(result.outcome, Outcome::Skipped | Outcome::Inconclusive);
        if again == result.outcome || !(stopped && again != Outcome::Fail) {
            self.again.results += 1;
        }
        if again != result.outcome && !(stopped && again != Outcome::Fail) {
            self.differ(event, known, "result".into(), result.outcome.word().into(), again.word().into());
        }
    }

    fn differ(&mut self, event: u64, known: &Known, what: String, recorded: String, again: String) {
        self.again.differ += 1;
        if self.again.differences.len() < TOLD {
            let step = known.outline.id.clone();
            self.again.differences.push(Difference { event, step, what, recorded, again });
        }
    }

    fn leave(&mut self, known: &mut Known, why: &str) {
        if !std::mem::replace(&mut known.unjudged, true) {
            self.again.unjudged.push(Unjudged { step: known.outline.id.clone(), why: why.to_owned() });
        }
    }
}

/// Judges one recorded look again.
///
/// # Errors
/// Says why it cannot be.
pub fn judged_again(outline: &StepOutline, look: &Look) -> Result<Verdict, &'static str> {
    let terms = Terms {
        expect: outline.expect.as_ref(),
        warn: outline.warn.as_ref(),
        on_no_data: outline.on_no_data,
        series_any: outline.series_any,
        speaks: outline.speaks_for_itself,
        against: &look.against,
    };
    let measured = matches!(look.observation.found, Found::Measures(_));
    if measured && terms.expect.is_none() && terms.warn.is_none() && !terms.speaks {
        return Err("what it expects was known only within the run");
    }
    let again = judge::look(&look.observation, &terms);
    if again != look.verdict && is_masked(outline, look) {
        return Err("a secret is masked in what was measured or expected");
    }
    Ok(again)
}

fn is_masked(outline: &StepOutline, look: &Look) -> bool {
    let has = |text: Result<String, serde_json::Error>| text.is_ok_and(|text| text.contains(MASK));
    has(serde_json::to_string(&look.observation.found))
        || has(serde_json::to_string(&(&outline.expect, &outline.warn)))
        || has(serde_json::to_string(&look.against))
}

/// Says a verdict in one line.
fn said(verdict: &Verdict) -> String {
    let numbers = || verdict.findings.iter().map(|f| format!("{} {}", f.subject, f.observed)).collect::<Vec<_>>();
    match verdict.summary.is_empty() {
        true if verdict.findings.is_empty() => verdict.outcome.word().to_owned(),
        true => format!("{} ({})", verdict.outcome, numbers().join(", ")),
        false => format!("{}: {}", verdict.outcome, verdict.summary),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::model::outline::{Header, SectionOutline};
    use crate::model::{Expectation, Kind, Matcher, MeasureName, Measures, Observation, Op, Origin, Quantity, RunId};
    use crate::model::{SectionId, Value};

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + s, 0).expect("a time")
    }

    fn outline(window: &str) -> StepOutline {
        let origin = Origin { file: "c.yaml".into(), line: 1, column: 1 };
        let expect = Expectation::Measure {
            name: MeasureName::plain("value"),
            kind: Kind::Quantity,
            matcher: Matcher::Compare(Op::Less, Quantity::number(5.0)),
            origin: origin.clone(),
        };
        let step = StepOutline::new(StepId::new("a"), "A", SectionId::new("s"), "promql", origin);
        StepOutline { expect: Some(expect), window: window.to_owned(), ..step }
    }

    fn look(outline: &StepOutline, n: u32, value: f64) -> Look {
        let mut measures = Measures::new();
        measures.set(MeasureName::plain("value"), Value::Number(value));
        let observation = Observation::new("q", Found::Measures(measures));
        let terms = Terms { expect: outline.expect.as_ref(), ..Terms::default() };
        let verdict = judge::look(&observation, &terms);
        Look { n, ..Look::new(at(i64::from(n) * 10), observation, verdict) }
    }

    fn run(outline: &StepOutline, kinds: Vec<EventKind>) -> Again {
        let origin = outline.origin.clone();
        let section = SectionOutline::new(SectionId::new("s"), "S", Part::Section, origin);
        let mut all = vec![
            EventKind::RunStarted { run: RunId::new("r"), header: Box::new(Header::default()) },
            EventKind::Planned { section, steps: vec![outline.clone()] },
        ];
        all.extend(kinds);
        let mut again = Rejudging::default();
        (1..).zip(all).for_each(|(seq, kind)| again.take(&Event { seq, at: at(0), kind }));
        again.end()
    }

    fn finished(outcome: Outcome, look: Look, took_s: u64) -> EventKind {
        let reason = if outcome == Outcome::Pass { "" } else { "so" };
        let result = StepResult {
            took_us: took_s * 1_000_000,
            looks: look.n,
            look: Some(Box::new(look)),
            ..StepResult::new(outcome, reason, at(10))
        };
        EventKind::StepFinished { step: StepId::new("a"), result: Box::new(result) }
    }

    fn looked(look: &Look) -> EventKind {
        EventKind::Looked { step: StepId::new("a"), look: Box::new(look.clone()) }
    }

    #[test]
    fn what_follows_from_its_measures_is_the_same_and_what_does_not_is_named() {
        let outline = outline("");
        let good = look(&outline, 1, 3.0);
        let again = run(&outline, vec![finished(Outcome::Pass, good.clone(), 0)]);
        assert_eq!((again.looks, again.results, again.differ), (1, 1, 0), "{again:?}");
        let mut lie = look(&outline, 1, 7.0);
        lie.verdict = good.verdict;
        let again = run(&outline, vec![finished(Outcome::Pass, lie, 0)]);
        assert_eq!(again.differ, 1);
        let difference = &again.differences[0];
        assert_eq!((difference.event, difference.what.as_str()), (3, "look 1"));
        assert!(difference.again.starts_with("fail: value: expected < 5, observed 7"), "{difference:?}");
        let other = run(&outline, vec![finished(Outcome::Fail, look(&outline, 1, 3.0), 0)]);
        assert_eq!((other.differ, other.differences[0].what.as_str()), (1, "result"), "{other:?}");
    }

    #[test]
    fn windows_are_fed_again() {
        let outline = outline("for 30s, every 10s");
        let looks: Vec<Look> = (1..=4).map(|n| look(&outline, n, 3.0)).collect();
        let events = |outcome| {
            let mut events: Vec<EventKind> = looks.iter().map(looked).collect();
            events.push(finished(outcome, looks[3].clone(), 30));
            events
        };
        assert!(run(&outline, events(Outcome::Pass)).is_same());
        let again = run(&outline, events(Outcome::Fail));
        assert_eq!((again.differ, again.differences[0].again.as_str()), (1, "pass"), "{again:?}");
        let mut short: Vec<EventKind> = looks[..2].iter().map(looked).collect();
        short.push(finished(Outcome::Pass, looks[1].clone(), 12));
        assert_eq!(run(&outline, short).differ, 1, "two looks in 12 s are no 30 s");
    }

    #[test]
    fn what_cannot_be_judged_again_is_said() {
        let outline = StepOutline { expect: None, ..outline("") };
        let again = run(&outline, vec![finished(Outcome::Pass, look(&outline, 1, 3.0), 0)]);
        assert_eq!((again.looks, again.differ, again.unjudged.len()), (0, 0, 1), "{again:?}");
    }
}
