//! Events told again as what a run was. The time it takes grows with the number of events, nothing more.
//!
//! A run that was cut short is a record like any other: what it did not come to is simply not there. Events that
//! cannot have happened, a result of a step that was never planned, say, are errors that name the event.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::chain::{Digest, hex};
use super::{Check, Head, Paused, RunRecord, SectionRecord, StepRecord};
use crate::event::{Answer, Checkpoint, Event, EventKind, Look, Release, Resumption, Signature, StepResult};
use crate::model::outline::{Header, Part, SectionOutline, Slot, StepOutline};
use crate::model::{Decision, Outcome, RunId, SectionId, StepId};

/// Tells a run from all its events, of which `head` is the end. What signatures cover is not held against digests here,
/// as there are none; [`super::load()`] does that.
///
/// # Errors
/// Names the first event that cannot have happened, or the place where events are missing.
pub fn fold(events: impl IntoIterator<Item = Event>, head: Head) -> Result<RunRecord, FoldError> {
    let mut folding = Folding::default();
    for event in events {
        folding.take_without_digest(event)?;
    }
    folding.end(head)
}

/// Says which event cannot have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq}: {what}")]
pub struct FoldError {
    /// The number of the event.
    pub seq: u64,
    /// What is wrong with it.
    pub what: String,
}

/// A record in the making, fed with one event after the other.
#[derive(Debug, Default)]
pub struct Folding {
    seq: u64,
    /// The digest of each event so far: a signature names one of them. None at all when they are not known.
    digests: Vec<Digest>,
    /// The checkpoint under way, and whether the run was taken up since it began.
    checkpoint: Option<(u32, Slot, bool)>,
    record: Option<RunRecord>,
    sections: HashMap<SectionId, usize>,
    steps: HashMap<StepId, (usize, usize)>,
    /// The newest event that says what was found: a result, an answer, a waiver.
    found: u64,
}

impl Folding {
    /// Takes the next event and its digest.
    ///
    /// # Errors
    /// Names the event when it cannot have happened.
    pub fn take(&mut self, event: Event, digest: &Digest) -> Result<(), FoldError> {
        if self.digests.len() as u64 == self.seq {
            self.digests.push(*digest);
        }
        self.take_without_digest(event)
    }

    /// Takes the next event when nobody knows its digest.
    ///
    /// # Errors
    /// Names the event when it cannot have happened.
    pub fn take_without_digest(&mut self, event: Event) -> Result<(), FoldError> {
        let next = self.seq + 1;
        if event.seq != next {
            return Err(FoldError { seq: next, what: format!("event {} stands in its place", event.seq) });
        }
        self.seq = next;
        self.happen(event.at, event.kind).map_err(|what| FoldError { seq: next, what })
    }

    /// Ends the record; `head` must be the end of the events that were taken.
    ///
    /// # Errors
    /// Names the place where events are missing or too many.
    pub fn end(self, head: Head) -> Result<RunRecord, FoldError> {
        if head.seq != self.seq {
            let what = format!("there are {} events, but the head says {}", self.seq, head.seq);
            return Err(FoldError { seq: self.seq.min(head.seq) + 1, what });
        }
        let mut record =
            self.record.ok_or_else(|| FoldError { seq: 1, what: "the run has no events, so it never began".into() })?;
        record.sections.sort_by_key(|section| match section.outline.part {
            Part::Guard => 0,
            Part::Section => 1,
            Part::OnGo | Part::OnNoGo | Part::Always => 2,
        });
        for section in record.sections.iter_mut().filter(|section| section.releases.is_empty()) {
            section.hold_evidence = self.found;
        }
        if record.paused.is_some() {
            record.sections.iter_mut().flat_map(|s| &mut s.steps).for_each(|step| step.open = Outcome::Pending);
        }
        record.head = head;
        Ok(record)
    }

    fn happen(&mut self, at: DateTime<Utc>, kind: EventKind) -> Result<(), String> {
        self.may_follow(&kind)?;
        self.note_evidence(&kind);
        match kind {
            EventKind::RunStarted { run, header } => self.begin(run, *header, at),
            EventKind::Planned { section, steps } => self.plan(section, steps),
            EventKind::Waiting { .. } => self.change(|_| ()),
            EventKind::SectionStarted { section } | EventKind::SectionFinished { section } => self.knows(&section),
            EventKind::StepStarted { step, .. } => self.step(&step).map(|_| ()),
            EventKind::Looked { step, look } => self.looked(&step, *look),
            EventKind::StepFinished { step, result } => self.finish(&step, *result),
            EventKind::Answered { step, answer } => self.answer(&step, answer),
            EventKind::CheckpointStarted { checkpoint } => self.begin_checkpoint(at, checkpoint),
            EventKind::Checked { step, n, result } => self.check(&step, n, *result),
            EventKind::Held { section } => self.hold(&section, at),
            EventKind::Released { section, release } => self.release(&section, at, release),
            EventKind::Paused { why, until } => self.change(|record| record.paused = Some(Paused { at, why, until })),
            EventKind::Resumed { resumption } => self.resume(at, resumption),
            EventKind::Notified { notice } => self.change(|record| record.notices.push((at, notice))),
            EventKind::ClockMoved { what } => self.change(|record| record.clock.push((at, what))),
            EventKind::Waived { waivers } => self.change(|record| record.waivers = Some(waivers)),
            EventKind::Signed { signature } => self.sign(at, *signature),
            EventKind::Interrupted { cause } => self.change(|record| record.interrupted = Some(cause)),
            EventKind::Decided { decision, reasons } => {
                self.change(|record| record.decided = Some((decision, reasons)))
            }
            EventKind::RunFinished { took_ms } => self.change(|record| {
                (record.finished, record.took_ms, record.paused) = (Some(at), Some(took_ms), None);
            }),
        }
    }

    /// Tells whether this may happen to a run that is over, or whose process has left.
    fn may_follow(&self, kind: &EventKind) -> Result<(), String> {
        let Some(record) = &self.record else { return Ok(()) };
        let by_people = matches!(
            kind,
            EventKind::Answered { .. }
                | EventKind::Released { .. }
                | EventKind::Signed { .. }
                | EventKind::Waived { .. }
                | EventKind::Decided { .. }
                | EventKind::Resumed { .. }
                // What happened is told when it has happened.
                | EventKind::Notified { .. }
        );
        let ends = matches!(kind, EventKind::Paused { .. } | EventKind::RunFinished { .. });
        match (by_people, record.finished.is_some(), record.paused.is_some()) {
            (false, true, _) => Err("it happens after the end of the run, which nobody took up again".into()),
            (false, false, true) if !ends => Err("it happens while the run waits, and nobody took it up again".into()),
            _ => Ok(()),
        }
    }

    fn begin_checkpoint(&mut self, at: DateTime<Utc>, checkpoint: Checkpoint) -> Result<(), String> {
        let record = self.record.as_mut().ok_or(NOT_BEGUN)?;
        let Some(soak) = record.header.soak else { return Err("a checkpoint begins in a run without a soak".into()) };
        let n = checkpoint.n;
        if n > soak.checkpoints() + 1 || soak.slot(n) != checkpoint.slot {
            return Err(format!("checkpoint {n} is not on the timetable, which has {}", soak.checkpoints()));
        }
        match self.checkpoint {
            Some((last, ..)) if last > n => return Err(format!("checkpoint {n} begins after checkpoint {last}")),
            // What was cut off in the middle begins again.
            Some((last, slot, false)) if last == n && slot == checkpoint.slot => {
                return Err(format!("checkpoint {n} begins a second time"));
            }
            Some(_) | None => {}
        }
        self.checkpoint = Some((n, checkpoint.slot, false));
        record.checkpoints.retain(|(_, known)| (known.n, known.slot) != (n, checkpoint.slot));
        record.checkpoints.push((at, checkpoint));
        Ok(())
    }

    fn hold(&mut self, id: &SectionId, at: DateTime<Utc>) -> Result<(), String> {
        let section = self.section(id)?;
        if section.outline.hold.is_none() {
            return Err(format!("section {id} is held, and has no hold point"));
        }
        section.held = Some(at);
        Ok(())
    }

    fn release(&mut self, id: &SectionId, at: DateTime<Utc>, release: Release) -> Result<(), String> {
        let evidence = self.found;
        let section = self.section(id)?;
        if section.held.is_none() {
            return Err(format!("section {id} is released, and was never held"));
        }
        section.releases.push((at, release));
        section.hold_evidence = evidence;
        Ok(())
    }

    fn sign(&mut self, at: DateTime<Utc>, signature: Signature) -> Result<(), String> {
        let over = signature.over_seq;
        if over == 0 || over >= self.seq {
            return Err(format!("a signature covers event {over}, which was not there when it was made"));
        }
        let digest = usize::try_from(over - 1).ok().and_then(|at| self.digests.get(at));
        if digest.is_some_and(|digest| hex(digest) != signature.over_digest) {
            return Err(format!("a signature covers another event {over} than the one that is here"));
        }
        if let Some(section) = &signature.section {
            self.knows(section)?;
        }
        self.change(|record| record.signatures.push((at, signature)))
    }

    fn is_action(&self, step: &StepId) -> bool {
        let section = self.steps.get(step).and_then(|(section, _)| self.record.as_ref()?.sections.get(*section));
        section.is_some_and(|section| !matches!(section.outline.part, Part::Section | Part::Guard))
    }

    /// Notes the newest event under which a signature lapses that does not cover it.
    fn note_evidence(&mut self, kind: &EventKind) {
        let found = match kind {
            // What is done after the decision says nothing about it.
            EventKind::StepFinished { step, .. }
            | EventKind::Checked { step, .. }
            | EventKind::Answered { step, .. }
            | EventKind::Looked { step, .. }
                if self.is_action(step) =>
            {
                return;
            }
            EventKind::StepFinished { .. }
            | EventKind::Checked { .. }
            | EventKind::Answered { .. }
            | EventKind::Waived { .. } => true,
            // While a hold point waits, guards go on looking: they speak when they trip.
            EventKind::Looked { .. } | EventKind::Interrupted { .. } => false,
            EventKind::RunStarted { .. }
            | EventKind::Planned { .. }
            | EventKind::SectionStarted { .. }
            | EventKind::SectionFinished { .. }
            | EventKind::StepStarted { .. }
            | EventKind::CheckpointStarted { .. }
            | EventKind::Held { .. }
            | EventKind::Released { .. }
            | EventKind::Paused { .. }
            | EventKind::Waiting { .. }
            | EventKind::ClockMoved { .. }
            | EventKind::Notified { .. }
            | EventKind::Signed { .. }
            | EventKind::Resumed { .. }
            | EventKind::RunFinished { .. }
            | EventKind::Decided { .. } => return,
        };
        if found {
            self.found = self.seq;
        }
        if let Some(record) = &mut self.record {
            record.evidence = self.seq;
        }
    }

    fn begin(&mut self, run: RunId, header: Header, at: DateTime<Utc>) -> Result<(), String> {
        if self.record.is_some() {
            return Err("the run begins a second time".into());
        }
        self.record = Some(RunRecord::new(run, header, at));
        Ok(())
    }

    fn plan(&mut self, outline: SectionOutline, steps: Vec<StepOutline>) -> Result<(), String> {
        let record = self.record.as_mut().ok_or(NOT_BEGUN)?;
        let index = *self.sections.entry(outline.id.clone()).or_insert(record.sections.len());
        if index == record.sections.len() {
            record.sections.push(SectionRecord::new(outline));
        } else if record.sections[index].outline != outline {
            return Err(format!("section {} is planned twice, not in the same words", outline.id));
        }
        let section = &mut record.sections[index];
        for mut outline in steps {
            if outline.section != section.outline.id {
                return Err(format!("step {} belongs to section {}, not to this one", outline.id, outline.section));
            }
            if self.steps.insert(outline.id.clone(), (index, section.steps.len())).is_some() {
                return Err(format!("step {} is planned twice", outline.id));
            }
            // What all steps share is kept once.
            outline.section = section.outline.id.clone();
            if outline.origin.file == section.outline.origin.file {
                outline.origin.file = section.outline.origin.file.clone();
            }
            section.steps.push(StepRecord::new(outline));
        }
        Ok(())
    }

    fn looked(&mut self, step: &StepId, look: Look) -> Result<(), String> {
        let record = self.step(step)?;
        if record.result.is_some() {
            return Err(format!("step {step} looks after it was done"));
        }
        record.looks.push(look);
        Ok(())
    }

    fn finish(&mut self, id: &StepId, result: StepResult) -> Result<(), String> {
        let step = self.step(id)?;
        if step.result.is_some() {
            return Err(format!("step {id} is done a second time"));
        }
        step.result = Some(result);
        Ok(())
    }

    fn check(&mut self, id: &StepId, n: u32, result: StepResult) -> Result<(), String> {
        match self.checkpoint {
            Some((begun, Slot::Checkpoint, _)) if begun == n => {}
            _ => return Err(format!("step {id} is checked at checkpoint {n}, which is not under way")),
        }
        let (section, _) = *self.steps.get(id).ok_or_else(|| format!("step {id} was never planned"))?;
        if self.record.as_ref().is_some_and(|r| r.sections[section].outline.at != Some(Slot::Checkpoint)) {
            return Err(format!("step {id} is checked at checkpoint {n}, and is not looked at at checkpoints"));
        }
        let step = self.step(id)?;
        if step.result.is_some() {
            return Err(format!("step {id} is checked after it was done"));
        }
        // What was cut off at this checkpoint is looked at again when the run is taken up.
        if step.checks.last().is_some_and(|last| last.n == n && last.result.is_open()) {
            step.checks.pop();
        }
        if step.checks.last().is_some_and(|last| last.n >= n) {
            return Err(format!("step {id} is checked at checkpoint {n} after a later one, or a second time"));
        }
        step.checks.push(Check { n, result });
        Ok(())
    }

    /// Opens again what the end of the process left open.
    fn resume(&mut self, at: DateTime<Utc>, resumption: Resumption) -> Result<(), String> {
        let record = self.record.as_mut().ok_or(NOT_BEGUN)?;
        let steps = || record.sections.iter().flat_map(|section| &section.steps);
        let open = |step: &StepRecord| step.result.as_ref().is_none_or(StepResult::is_open);
        let decided = record.decided.as_ref().map(|(decision, _)| *decision);
        let settled = matches!(decided, Some(Decision::Go | Decision::NoGo));
        if record.finished.is_some() && settled && record.interrupted.is_none() && !steps().any(open) {
            return Err("the run is taken up again, and it is over".into());
        }
        if let Some((_, _, resumed)) = &mut self.checkpoint {
            *resumed = true;
        }
        for step in record.sections.iter_mut().flat_map(|section| &mut section.steps) {
            if step.result.as_ref().is_some_and(StepResult::is_open) {
                step.result = None;
            }
        }
        (record.interrupted, record.paused, record.decided) = (None, None, None);
        (record.finished, record.took_ms) = (None, None);
        record.resumptions.push((at, resumption));
        Ok(())
    }

    fn section(&mut self, id: &SectionId) -> Result<&mut SectionRecord, String> {
        let record = self.record.as_mut().ok_or(NOT_BEGUN)?;
        let index = *self.sections.get(id).ok_or_else(|| format!("section {id} was never planned"))?;
        Ok(&mut record.sections[index])
    }

    fn answer(&mut self, id: &StepId, answer: Answer) -> Result<(), String> {
        let step = self.step(id)?;
        answerable(step, &answer)?;
        step.answers.push(answer);
        Ok(())
    }

    fn change(&mut self, change: impl FnOnce(&mut RunRecord)) -> Result<(), String> {
        change(self.record.as_mut().ok_or(NOT_BEGUN)?);
        Ok(())
    }

    fn knows(&self, section: &SectionId) -> Result<(), String> {
        match self.sections.contains_key(section) {
            true => Ok(()),
            false => Err(format!("section {section} was never planned")),
        }
    }

    fn step(&mut self, id: &StepId) -> Result<&mut StepRecord, String> {
        let record = self.record.as_mut().ok_or(NOT_BEGUN)?;
        let (section, step) = *self.steps.get(id).ok_or_else(|| format!("step {id} was never planned"))?;
        Ok(&mut record.sections[section].steps[step])
    }
}

/// Tells whether a person may answer a step this way: only steps that wait for a person, so that no answer ever
/// covers what a probe found.
///
/// # Errors
/// Says why not.
pub fn answerable(step: &StepRecord, answer: &Answer) -> Result<(), String> {
    let id = &step.outline.id;
    match answer.outcome {
        Outcome::Pass | Outcome::Fail => {}
        Outcome::NotApplicable if !answer.note.trim().is_empty() => {}
        Outcome::NotApplicable => {
            return Err(format!("step {id} cannot be not-applicable without a note; add a note that says why"));
        }
        Outcome::Warn | Outcome::Error | Outcome::Inconclusive | Outcome::Pending | Outcome::Skipped => {
            return Err(format!("{} is not an answer; answer pass, fail or not-applicable", answer.outcome));
        }
    }
    let manual = step.outline.probe == "manual";
    match step.result.as_ref().map(|result| result.outcome) {
        None if manual => Ok(()),
        Some(Outcome::Pending) if manual => Ok(()),
        Some(Outcome::Pending) => {
            Err(format!("step {id} waits for consent, not for an answer: run the checklist with --allow-changes"))
        }
        Some(Outcome::Pass | Outcome::Fail | Outcome::NotApplicable) if manual => Ok(()),
        Some(Outcome::Skipped) => Err(format!("step {id} was skipped and waits for nobody; run the checklist again")),
        Some(outcome) => Err(format!(
            "step {id} was looked at and is {outcome}; only a step that waits for a person takes an answer"
        )),
        None => Err(format!("step {id} does not wait for a person; only a manual step takes an answer")),
    }
}

const NOT_BEGUN: &str = "the run has not begun; the first event of a run says that it begins";
