//! Sample records of long runs, told by their events: a soak, a matrix, guards, hold points. The record is folded from
//! events and ruled on as a real one is.

use chrono::{DateTime, TimeDelta, Utc};
use holdpoint::event::{Checkpoint, Event, EventKind, Look, Observed, Release, Resumption, Skip, StepResult, Waivers};
use holdpoint::model::outline::{
    Cell, ChecklistHead, Header, Hold, Missed, Part, SectionOutline, Slot, Soak, StepOutline,
};
use holdpoint::model::waiver::Waiver;
use holdpoint::model::{
    Against, Decision, Found, MeasureName, Measures, Observation, Outcome, Reference, RunId, SectionId, StepId, Value,
    Verdict,
};
use holdpoint::record::{Head, fold};
use holdpoint::signoff;

use super::records::{Sample, at, finding, section, step};

/// Every kind of long run.
pub(crate) fn all() -> Vec<Sample> {
    vec![soaked(), soaking(), canaries(), guarded(), held_before(), released(), declined(), rolled_back()]
}

/// A day of checkpoints: one failed, one was observed late, one was missed.
pub(crate) fn soaked() -> Sample {
    let mut story = Story::begin("24-hour stability test", Some(day()));
    let rate = story.checkpoint_step("Error rate stays below 5%");
    let quiet = story.checkpoint_step("No container restarted");
    let cells = [
        (2.1, Outcome::Pass, Observed::InTime),
        (2.4, Outcome::Pass, Observed::InTime),
        (7.1, Outcome::Fail, Observed::InTime),
        (3.0, Outcome::Pass, Observed::Late),
        (0.0, Outcome::Inconclusive, Observed::Missed),
        (1.9, Outcome::Pass, Observed::InTime),
    ];
    for (n, (value, outcome, how)) in (1..).zip(cells) {
        let late = if how == Observed::Late { 43 * 60 } else { 2 };
        story.checkpoint(n, how, late);
        story.check(&rate, n, value, outcome);
        story.check(&quiet, n, 0.0, if how == Observed::Missed { Outcome::Inconclusive } else { Outcome::Pass });
        if n == 3 {
            story.resumed("resume", 3 * 3600);
        }
    }
    story.finish(
        &rate,
        7.1,
        Outcome::Fail,
        "1 of 6 checkpoints failed, first at +12h: value: expected < 5%, observed 7.1%",
    );
    story.finish(&quiet, 0.0, Outcome::Inconclusive, "1 of 6 checkpoints was not observed: +20h");
    story.end("soaked")
}

/// A soak that waits for its next checkpoint.
pub(crate) fn soaking() -> Sample {
    let mut story = Story::begin("24-hour stability test", Some(day()));
    let rate = story.checkpoint_step("Error rate stays below 5%");
    story.checkpoint(1, Observed::InTime, 0);
    story.check(&rate, 1, 2.1, Outcome::Pass);
    let until = Some(at(8 * 3600));
    story.add(EventKind::Paused { why: "the next checkpoint, +8h, is not due yet".into(), until });
    story.stop("soaking")
}

/// Two regions, each with two stages; the second one failed and was rolled back alone.
pub(crate) fn canaries() -> Sample {
    let mut story = Story::begin("Canary over the regions", None);
    for (region, outcome) in [("us-east", Outcome::Pass), ("eu-west", Outcome::Fail)] {
        let cell = Cell { id: region.into(), values: [("region".to_owned(), region.into())].into_iter().collect() };
        let health = story.section_of("Health", &cell, Part::Section, "Health endpoint responds");
        let traffic = story.section_of("Traffic", &cell, Part::Section, "Error rate stays below 5%");
        let undo = story.section_of("After a no-go", &cell, Part::OnNoGo, "Roll back");
        story.finish(&health, 1.0, Outcome::Pass, "");
        story.finish(&traffic, if outcome == Outcome::Fail { 9.0 } else { 1.0 }, outcome, "");
        match outcome {
            Outcome::Fail => story.finish(&undo, 0.0, Outcome::Pass, ""),
            _ => story.skip(&undo, Skip::Condition, "the decision is go"),
        }
    }
    story.end("canaries")
}

/// A guard that tripped and stopped everything else.
pub(crate) fn guarded() -> Sample {
    let mut story = Story::begin("Promotion under guard", None);
    let guard = story.plan_step(section("Guards", vec![]).outline, Part::Guard, "Error rate stays under 10%");
    let rollout = story.plan_step(section("Promotion", vec![]).outline, Part::Section, "Rollout completes");
    let later = story.plan_step(section("After the rollout", vec![]).outline, Part::Section, "No errors in the logs");
    for (n, value) in (1..).zip([1.2, 4.0, 11.0, 12.5, 13.0]) {
        let outcome = if value > 10.0 { Outcome::Fail } else { Outcome::Pass };
        let look = Look { n, ..story.look(value, outcome) };
        story.add(EventKind::Looked { step: guard.clone(), look: Box::new(look) });
    }
    story.finish(&guard, 13.0, Outcome::Fail, "not < 10% for 2m, which is longer than 30s: value is 13%");
    story.cut(&rollout, "stopped after 40s: the guard \"Error rate stays under 10%\" tripped");
    story.skip(&later, Skip::Blocked, "blocked by the guard \"Error rate stays under 10%\", which tripped");
    story.end("guarded")
}

/// A run that waits before a hold point, which two roles must sign.
pub(crate) fn held_before() -> Sample {
    let (mut story, before, _) = Story::with_hold(&["sre", "promoter"]);
    story.finish(&before, 1.0, Outcome::Pass, "");
    story.add(EventKind::Held { section: SectionId::new("promotion") });
    story.add(EventKind::Paused { why: "\"Promotion\" waits for sre and promoter to sign".into(), until: None });
    story.stop("held_before")
}

/// A hold point that somebody released by a plain yes.
pub(crate) fn released() -> Sample {
    let (mut story, before, after) = Story::with_hold(&[]);
    story.finish(&before, 1.0, Outcome::Pass, "");
    story.hold(true, "bob", "looks good");
    let waiver = Waiver {
        step: StepId::new("old-step"),
        reason: "known since March | see the ticket".into(),
        approved_by: "carol".into(),
        from: at(-86_400),
        until: at(10 * 86_400),
        risk: None,
        ticket: None,
    };
    let waivers = Waivers { file: "waivers.yaml".into(), digest: "ef".repeat(32), waivers: vec![waiver] };
    story.add(EventKind::Waived { waivers });
    story.finish(&after, 0.9, Outcome::Pass, "");
    story.end("released")
}

/// A hold point that was declined.
pub(crate) fn declined() -> Sample {
    let (mut story, before, after) = Story::with_hold(&[]);
    story.finish(&before, 1.0, Outcome::Pass, "");
    story.hold(false, "bob", "not before the holidays");
    story.skip(&after, Skip::Blocked, "declined by bob: not before the holidays");
    story.end("declined")
}

/// A no-go whose action failed, so that its fallback acted.
pub(crate) fn rolled_back() -> Sample {
    let mut story = Story::begin("Promotion with a way back", None);
    let failed = story.plan_step(section("After", vec![]).outline, Part::Section, "P95 has not regressed");
    let mut actions = section("After a no-go", vec![]).outline;
    actions.part = Part::OnNoGo;
    let mut undo = step("Roll back", "exec").outline;
    undo.changes = Some("rolls production back".into());
    let mut verify = step("Rollback completed", "http").outline;
    verify.then_of = Some(undo.id.clone());
    let mut scale = step("Scale to zero and back", "exec").outline;
    scale.changes = Some("restarts production".into());
    scale.fallback_for = Some(undo.id.clone());
    let steps = [undo, verify, scale].map(|step| StepOutline { section: actions.id.clone(), ..step });
    let ids = steps.clone().map(|step| step.id);
    story.add(EventKind::Planned { section: actions, steps: steps.to_vec() });
    story.finish(&failed, 1.31, Outcome::Fail, "value: expected <= 1.5x baseline, observed 1.31");
    story.finish(&ids[0], 0.0, Outcome::Pass, "");
    story.finish(&ids[1], 503.0, Outcome::Fail, "status: expected 200, observed 503");
    story.finish(&ids[2], 0.0, Outcome::Pass, "");
    story.end("rolled_back")
}

fn day() -> Soak {
    let hour = 3_600_000;
    Soak { for_ms: 24 * hour, every_ms: 4 * hour, grace_ms: hour / 4, missed: Missed::Backfill }
}

/// Events in the making.
struct Story {
    events: Vec<Event>,
    now: DateTime<Utc>,
}

impl Story {
    fn begin(name: &str, soak: Option<Soak>) -> Self {
        let checklist = ChecklistHead { path: "checklists/long.yaml".into(), name: name.into(), ..Default::default() };
        let header = Header {
            tool: "0.1.0".into(),
            checklist,
            host: "ci-7".into(),
            user: "alice".into(),
            soak,
            ..Header::default()
        };
        let mut story = Self { events: Vec::new(), now: at(0) };
        story.add(EventKind::RunStarted { run: RunId::new("20260301-120000-abcd"), header: Box::new(header) });
        story
    }

    fn with_hold(roles: &[&str]) -> (Self, StepId, StepId) {
        let mut story = Self::begin("Promotion with a hold point", None);
        let before = story.plan_step(section("Canary", vec![]).outline, Part::Section, "Canary is healthy");
        let mut promotion = section("Promotion", vec![]).outline;
        promotion.hold = Some(Hold { sign: roles.iter().map(|r| (*r).to_owned()).collect() });
        let after = story.plan_step(promotion, Part::Section, "Rollout completes");
        (story, before, after)
    }

    fn add(&mut self, kind: EventKind) {
        let seq = self.events.len() as u64 + 1;
        self.now = self.now.max(at(seq as i64));
        self.events.push(Event { seq, at: self.now, kind });
    }

    fn plan_step(&mut self, mut section: SectionOutline, part: Part, name: &str) -> StepId {
        section.part = part;
        let outline = StepOutline { section: section.id.clone(), ..step(name, "promql").outline };
        let id = outline.id.clone();
        self.add(EventKind::Planned { section, steps: vec![outline] });
        id
    }

    fn checkpoint_step(&mut self, name: &str) -> StepId {
        let mut every = section("Every 4 hours", vec![]).outline;
        every.at = Some(Slot::Checkpoint);
        self.plan_step(every, Part::Section, name)
    }

    fn section_of(&mut self, name: &str, cell: &Cell, part: Part, step_name: &str) -> StepId {
        let mut section = section(name, vec![]).outline;
        section.of = Some(section.id.clone());
        section.id = SectionId::new(format!("{}@{}", section.id, cell.id));
        section.cells = vec![cell.clone()];
        section.part = part;
        let mut outline = StepOutline { section: section.id.clone(), ..step(step_name, "promql").outline };
        outline.id = StepId::new(format!("{}@{}", outline.id, cell.id));
        let id = outline.id.clone();
        self.add(EventKind::Planned { section, steps: vec![outline] });
        id
    }

    fn checkpoint(&mut self, n: u32, how: Observed, late: i64) {
        let due = at(0) + TimeDelta::hours(4 * i64::from(n));
        self.now = due + TimeDelta::seconds(late);
        let checkpoint = Checkpoint { n, slot: Slot::Checkpoint, due, how };
        self.add(EventKind::CheckpointStarted { checkpoint });
    }

    fn look(&self, value: f64, outcome: Outcome) -> Look {
        let mut measures = Measures::new();
        measures.plain("value", Value::Number(value / 100.0));
        let mut found = finding("value", "< 5%", &format!("{value}%"), outcome);
        (found.value, found.limit) = (Some(value / 100.0), Some(0.05));
        let summary = if outcome == Outcome::Pass { "" } else { "value: not < 5%" };
        let verdict = Verdict { outcome, summary: summary.into(), findings: vec![found] };
        let observation = Observation::new("sum(rate(errors[5m]))", Found::Measures(measures));
        let against = vec![Reference {
            name: Against::Baseline,
            measure: MeasureName::plain("value"),
            value: Value::Number(0.021),
            origin: "step p95-before, 2026-03-01 12:00:04 UTC".into(),
        }];
        Look { against, took_us: 12_000, ..Look::new(self.now, observation, verdict) }
    }

    fn result(&self, value: f64, outcome: Outcome, reason: &str) -> StepResult {
        let look = Some(Box::new(self.look(value, outcome)));
        StepResult { took_us: 12_345, looks: 1, look, ..StepResult::new(outcome, reason, self.now) }
    }

    fn check(&mut self, step: &StepId, n: u32, value: f64, outcome: Outcome) {
        let result = match outcome {
            Outcome::Inconclusive => StepResult::new(outcome, "nobody looked at 08:00", self.now),
            outcome => self.result(value, outcome, ""),
        };
        self.add(EventKind::Checked { step: step.clone(), n, result: Box::new(result) });
    }

    fn finish(&mut self, step: &StepId, value: f64, outcome: Outcome, reason: &str) {
        let result = self.result(value, outcome, reason);
        self.add(EventKind::StepFinished { step: step.clone(), result: Box::new(result) });
    }

    fn skip(&mut self, step: &StepId, skip: Skip, reason: &str) {
        let result = StepResult { skip: Some(skip), ..StepResult::new(Outcome::Skipped, reason, self.now) };
        self.add(EventKind::StepFinished { step: step.clone(), result: Box::new(result) });
    }

    fn cut(&mut self, step: &StepId, reason: &str) {
        let result = StepResult { cut: true, ..StepResult::new(Outcome::Inconclusive, reason, self.now) };
        self.add(EventKind::StepFinished { step: step.clone(), result: Box::new(result) });
    }

    fn hold(&mut self, accepted: bool, by: &str, note: &str) {
        let section = SectionId::new("promotion");
        self.add(EventKind::Held { section: section.clone() });
        let release = Release { accepted, by: by.into(), signed: false, note: note.into() };
        self.add(EventKind::Released { section, release });
    }

    /// The process was cut, and another one took the run up after so many seconds.
    fn resumed(&mut self, how: &str, after: i64) {
        let last_seen = self.now;
        self.now += TimeDelta::seconds(after);
        let resumption = Resumption {
            by: "alice".into(),
            host: "ci-8".into(),
            tool: "0.1.0".into(),
            digest: "ab".repeat(32),
            how: how.into(),
            last_seen,
            accepted: Vec::new(),
        };
        self.add(EventKind::Resumed { resumption });
        self.add(EventKind::ClockMoved { what: "the wall clock was set back by 2h".into() });
    }

    fn end(mut self, name: &'static str) -> Sample {
        let took_ms = u64::try_from((self.now - at(0)).num_milliseconds()).unwrap_or_default();
        self.add(EventKind::Decided { decision: Decision::Undecided, reasons: Vec::new() });
        self.add(EventKind::RunFinished { took_ms });
        self.stop(name)
    }

    fn stop(self, name: &'static str) -> Sample {
        let now = self.now;
        let head = Head { seq: self.events.len() as u64, digest: "cd".repeat(32) };
        let record = fold(self.events, head).expect("it can have happened");
        let ruling = signoff::decide(&record, &[], now);
        Sample { name, record: record.into(), ruling }
    }
}
