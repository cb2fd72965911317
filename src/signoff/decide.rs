//! The decision of a run, from its record alone: the same answer today and in years.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::agreement::People;
use super::approval::Approval;
use super::sign::AllowedSigners;
use super::waivers::SOON;
use crate::event::Skip;
use crate::judge::gate::{Counted, Rules, gate};
use crate::model::outline::{Part, Weight};
use crate::model::waiver::Waiver;
use crate::model::{Decision, Outcome, SectionId, StepId};
use crate::record::{RunRecord, StepRecord};

/// How many steps are named for each kind of reason; the others are counted.
const NAMED: usize = 20;

/// What a record comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The decision.
    pub decision: Decision,
    /// What led to it, one line each; empty for a go.
    pub reasons: Vec<String>,
    /// What a reader should see although it does not decide: warnings, waived failures, steps on trial, waivers and
    /// signatures that do not act.
    pub attention: Vec<String>,
    /// Of that, what lies with no step that the report shows: waived failures, waivers and signatures.
    pub remarks: Vec<String>,
    /// The conditions under which signers agreed, each with whose it is.
    pub conditions: Vec<String>,
    /// Who signed at the end, and what is missing.
    pub approval: Approval,
    /// Who signed for each hold point that asks for signatures.
    pub holds: Vec<(SectionId, Approval)>,
}

/// Decides, with the recorded and the given waivers that act at `at`. Actions, which follow a decision, do not count
/// for it. Signatures are checked; whose key is whose was checked when they were made.
pub fn decide(record: &RunRecord, waivers: &[Waiver], at: DateTime<Utc>) -> Ruling {
    decide_against(record, waivers, None, at)
}

/// Decides as [`decide`] does, and checks again whose key is whose where a file of allowed signers is at hand.
pub fn decide_against(
    record: &RunRecord,
    waivers: &[Waiver],
    signers: Option<&AllowedSigners>,
    at: DateTime<Utc>,
) -> Ruling {
    let recorded = record.waivers.iter().flat_map(|waivers| &waivers.waivers);
    let waivers: Vec<&Waiver> = recorded.chain(waivers).collect();
    let acting: HashMap<&StepId, &Waiver> = waivers.iter().filter(|w| w.acts_at(at)).map(|w| (&w.step, *w)).collect();
    let paused = record.paused.is_some();
    let weighed: Vec<Weighed<'_>> =
        steps(record).map(|step| weigh(step, acting.get(&step.outline.id).copied())).collect();
    let people = People::of(record, signers, at);
    // A run or a step without an end was cut, or is not over yet, even where nothing says so.
    let endless = |w: &Weighed<'_>| w.counted.weight != Weight::Trial && ended(w.step).is_none();
    let cut = !paused && (record.finished.is_none() || weighed.iter().any(endless));
    let rules = Rules {
        interrupted: cut || record.interrupted.is_some(),
        strict: record.header.strict,
        unsigned: people.wait(),
    };
    let decision = match people.rejected.is_empty() {
        true => gate(weighed.iter().map(|w| w.counted), rules),
        false => Decision::NoGo,
    };
    let mut reasons = Lines::default();
    for w in weighed.iter().filter(|w| w.leads_to(decision, rules.strict)) {
        reasons.add(w.counted.outcome.word(), w.line());
    }
    let mut reasons = reasons.end();
    reasons.extend(beside_the_steps(record, decision, cut, &weighed, &people));
    let mut attention = Lines::default();
    for w in weighed.iter().filter(|w| w.deserves_attention() && !w.leads_to(decision, rules.strict)) {
        attention.add(w.counted.outcome.word(), w.line());
    }
    let mut remarks = Lines::default();
    weighed.iter().filter(|w| w.counted.waived).for_each(|w| remarks.add(w.counted.outcome.word(), w.line()));
    let mut remarks = remarks.end();
    let mut others = idle_waivers(record, &waivers, at);
    others.extend(untold(record));
    others.extend(people.attention);
    remarks.extend(others.iter().cloned());
    let mut attention = attention.end();
    attention.extend(others);
    attention.extend(on_the_way(record));
    Ruling {
        decision,
        reasons,
        attention,
        remarks,
        conditions: people.conditions,
        approval: people.end,
        holds: people.holds,
    }
}

/// A step and how it counts.
struct Weighed<'a> {
    step: &'a StepRecord,
    counted: Counted,
    waiver: Option<&'a Waiver>,
}

impl Weighed<'_> {
    /// Tells whether the step is a reason for this decision.
    fn leads_to(&self, decision: Decision, strict: bool) -> bool {
        let Counted { weight, outcome, blocked, waived } = self.counted;
        if weight == Weight::Trial {
            return false;
        }
        let required = weight == Weight::Required;
        match decision {
            Decision::NoGo => match outcome {
                Outcome::Fail => !waived && (required || strict),
                Outcome::Warn => strict,
                Outcome::Pass
                | Outcome::Error
                | Outcome::Inconclusive
                | Outcome::Pending
                | Outcome::Skipped
                | Outcome::NotApplicable => false,
            },
            Decision::Undecided => match outcome {
                Outcome::Error | Outcome::Inconclusive => required || ended(self.step).is_none(),
                Outcome::Skipped => required && blocked,
                Outcome::Pass | Outcome::Warn | Outcome::Fail | Outcome::Pending | Outcome::NotApplicable => false,
            },
            Decision::Held => required && outcome == Outcome::Pending,
            Decision::Go => false,
        }
    }

    /// Tells whether a reader should see the step although it may not decide.
    fn deserves_attention(&self) -> bool {
        match self.counted.outcome {
            Outcome::Pass | Outcome::NotApplicable => false,
            Outcome::Skipped => self.counted.blocked,
            Outcome::Warn | Outcome::Fail | Outcome::Error | Outcome::Inconclusive | Outcome::Pending => true,
        }
    }

    /// `fail: Error rate below 5%: 7.1% is not < 5%`
    fn line(&self) -> String {
        let mut line = format!("{}: {}", self.counted.outcome, self.step.outline.name);
        let why = why(self.step, self.counted.outcome);
        if !why.is_empty() {
            line.push_str(": ");
            line.push_str(&why);
        }
        match self.counted.weight {
            Weight::Required => {}
            Weight::Optional => line.push_str(" (optional)"),
            Weight::Trial => line.push_str(" (on trial)"),
        }
        if let Some(waiver) = self.waiver.filter(|_| self.counted.waived) {
            let until = waiver.until.format("%Y-%m-%d %H:%M:%S UTC");
            line.push_str(&format!(" (waived by {} until {until}: {})", waiver.approved_by, waiver.reason));
        }
        line
    }
}

fn weigh<'a>(step: &'a StepRecord, waiver: Option<&'a Waiver>) -> Weighed<'a> {
    let outcome = step.outcome();
    let skip = step.result.as_ref().and_then(|result| result.skip);
    // A skip without a reason is not known to be harmless.
    let blocked = outcome == Outcome::Skipped && skip.is_none_or(Skip::blocks);
    // What was not run because a person has not answered yet is as open as the question.
    let waiting = outcome == Outcome::Skipped && skip == Some(Skip::Waiting);
    let outcome = if waiting { Outcome::Pending } else { outcome };
    let waived = outcome == Outcome::Fail && waiver.is_some();
    Weighed { step, counted: Counted { weight: step.outline.weight, outcome, blocked, waived }, waiver }
}

/// Returns how the step ended, by itself or by an answer.
fn ended(step: &StepRecord) -> Option<Outcome> {
    (step.result.is_some() || !step.answers.is_empty()).then(|| step.outcome())
}

fn why(step: &StepRecord, outcome: Outcome) -> String {
    match (step.answers.last(), &step.result) {
        (Some(answer), _) if answer.note.is_empty() => format!("answered by {}", answer.by),
        (Some(answer), _) => format!("answered by {}: {}", answer.by, answer.note),
        (None, Some(result)) => result.reason.clone(),
        (None, None) if outcome == Outcome::Pending => "waits with the run".into(),
        (None, None) => "the run was cut before it ended".into(),
    }
}

fn steps(record: &RunRecord) -> impl Iterator<Item = &StepRecord> {
    let counts = |part: Part| matches!(part, Part::Section | Part::Guard);
    record.sections.iter().filter(move |section| counts(section.outline.part)).flat_map(|section| &section.steps)
}

/// The reasons that lie with no single step.
fn beside_the_steps(
    record: &RunRecord,
    decision: Decision,
    cut: bool,
    weighed: &[Weighed<'_>],
    people: &People,
) -> Vec<String> {
    let mut lines = Vec::new();
    match decision {
        Decision::Go => {}
        Decision::NoGo => lines.extend(people.rejected.iter().cloned()),
        Decision::Undecided => {
            match &record.interrupted {
                Some(cause) => lines.push(format!("interrupted: {cause}")),
                None if cut => lines.push("interrupted: the run was cut, or has not ended yet".into()),
                None => {}
            }
            let came = |w: &Weighed<'_>| w.counted.weight != Weight::Trial && w.counted.outcome != Outcome::Skipped;
            if !weighed.iter().any(came) {
                lines.push("nothing was checked: no step that counts was run".into());
            } else if lines.is_empty() && !weighed.iter().any(|w| w.leads_to(decision, false)) {
                lines.push("nothing was found: no step that counts came to a result".into());
            }
        }
        Decision::Held => {
            lines.extend(record.paused.iter().map(|paused| format!("pending: {}", paused.why)));
            lines.extend(people.missing.iter().cloned());
        }
    }
    lines
}

/// Says what happened on the way that whoever decides should know: another checklist, guards that nobody watched,
/// answers that were turned round.
fn on_the_way(record: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    let guarded = record.sections.iter().any(|section| section.outline.part == Part::Guard);
    for (at, resumption) in &record.resumptions {
        lines.extend(resumption.accepted.iter().map(|what| format!("taken up although {what}")));
        let gap = *at - resumption.last_seen;
        if guarded && gap > chrono::TimeDelta::seconds(1) {
            let gap = crate::model::quantity::seconds(gap.num_seconds() as f64);
            lines.push(format!("nobody watched the guards for {gap}, until {}", at.format("%Y-%m-%d %H:%M:%S UTC")));
        }
    }
    for step in record.sections.iter().flat_map(|section| &section.steps) {
        let Some(last) = step.answers.last() else { continue };
        if let Some(other) = step.answers.iter().rev().find(|answer| answer.outcome != last.outcome) {
            let note = if other.note.is_empty() { String::new() } else { format!(": {}", other.note) };
            lines.push(format!("{} was answered {} by {} before{note}", step.outline.name, other.outcome, other.by));
        }
    }
    lines
}

/// Says which messages nobody got.
fn untold(record: &RunRecord) -> impl Iterator<Item = String> {
    let notices = &record.notices;
    let later = |n: usize| notices[n + 1..].iter().map(|(_, notice)| notice);
    let lost = move |n: usize| !later(n).any(|later| later.same(&notices[n].1));
    notices.iter().enumerate().filter(move |(n, _)| lost(*n)).filter_map(|(_, (_, notice))| notice.words())
}

fn idle_waivers(record: &RunRecord, waivers: &[&Waiver], at: DateTime<Utc>) -> Vec<String> {
    let known: HashSet<&StepId> = steps(record).map(|step| &step.outline.id).collect();
    let failed: HashSet<&StepId> =
        steps(record).filter(|step| step.outcome() == Outcome::Fail).map(|step| &step.outline.id).collect();
    let idle = |w: &&Waiver| {
        let by = format!("the waiver of {} by {}", w.step, w.approved_by);
        if !known.contains(&w.step) {
            Some(format!("{by} names a step that the run does not have"))
        } else if at < w.from {
            Some(format!("{by} does not act before {}", w.from.format("%Y-%m-%d %H:%M:%S UTC")))
        } else if !w.acts_at(at) {
            Some(format!("{by} expired {}", w.until.format("%Y-%m-%d %H:%M:%S UTC")))
        } else if !failed.contains(&w.step) {
            Some(format!("{by} is not used: the step did not fail"))
        } else if w.until - at <= SOON {
            Some(format!("{by} ends soon, {}", w.until.format("%Y-%m-%d %H:%M:%S UTC")))
        } else {
            None
        }
    };
    waivers.iter().filter_map(idle).collect()
}

/// Lines grouped by outcome, of which only the first few of each are kept.
#[derive(Default)]
struct Lines {
    groups: Vec<(&'static str, Vec<String>, usize)>,
}

impl Lines {
    fn add(&mut self, word: &'static str, line: String) {
        let index = self.groups.iter().position(|group| group.0 == word).unwrap_or_else(|| {
            self.groups.push((word, Vec::new(), 0));
            self.groups.len() - 1
        });
        let (_, lines, more) = &mut self.groups[index];
        match lines.len() < NAMED {
            true => lines.push(line),
            false => *more += 1,
        }
    }

    fn end(self) -> Vec<String> {
        let mut all = Vec::new();
        for (word, lines, more) in self.groups {
            all.extend(lines);
            if more > 0 {
                all.push(format!("{word}: and {more} more"));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Answer, StepResult};
    use crate::model::outline::{Header, Role, SectionOutline, StepOutline};
    use crate::model::{Origin, RunId, SectionId};
    use crate::record::SectionRecord;

    const WEIGHTS: [Weight; 3] = [Weight::Required, Weight::Optional, Weight::Trial];
    const SKIPS: [Skip; 6] =
        [Skip::Condition, Skip::Blocked, Skip::Waiting, Skip::NotSelected, Skip::Refused, Skip::NotReached];

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    fn origin() -> Origin {
        Origin { file: "c.yaml".into(), line: 1, column: 1 }
    }

    fn step(n: usize, weight: Weight, outcome: Outcome, skip: Option<Skip>) -> StepRecord {
        let id = StepId::new(format!("s{n}"));
        let outline = StepOutline {
            weight,
            ..StepOutline::new(id, format!("Step {n}"), SectionId::new("all"), "http", origin())
        };
        let result = StepResult {
            outcome,
            reason: "7.1% is not < 5%".into(),
            skip,
            started: now(),
            took_us: 1,
            looks: 1,
            look: None,
            flaky: false,
            captured: Vec::new(),
            cut: false,
        };
        StepRecord { result: Some(result), ..StepRecord::new(outline) }
    }

    fn record(steps: Vec<StepRecord>) -> RunRecord {
        let header = Header::default();
        let outline = SectionOutline::new(SectionId::new("all"), "All", Part::Section, origin());
        RunRecord {
            finished: Some(now()),
            took_ms: Some(1),
            sections: vec![SectionRecord { steps, ..SectionRecord::new(outline) }],
            ..RunRecord::new(RunId::new("r1"), header, now())
        }
    }

    fn decision(record: &RunRecord) -> Decision {
        decide(record, &[], now()).decision
    }

    fn waiver(step: &str, days: i64) -> Waiver {
        Waiver {
            step: StepId::new(step),
            reason: "known".into(),
            approved_by: "carol".into(),
            risk: None,
            ticket: None,
            from: now() - TimeDelta::days(10),
            until: now() + TimeDelta::days(days),
        }
    }

    /// What one step beside a passing one comes to, written down apart from the code.
    fn by_the_book(weight: Weight, outcome: Outcome, skip: Option<Skip>, strict: bool) -> Decision {
        use Outcome::{Error, Fail, Inconclusive, Pending, Skipped, Warn};
        match (weight, outcome) {
            (Weight::Required, Fail) => Decision::NoGo,
            (Weight::Required | Weight::Optional, Fail | Warn) if strict => Decision::NoGo,
            (Weight::Required, Error | Inconclusive) => Decision::Undecided,
            (Weight::Required, Skipped) => match skip {
                Some(Skip::Condition | Skip::NotSelected) => Decision::Go,
                Some(Skip::Waiting) => Decision::Held,
                _ => Decision::Undecided,
            },
            (Weight::Required, Pending) => Decision::Held,
            _ => Decision::Go,
        }
    }

    #[test]
    fn every_outcome_weight_and_flag_decides_by_the_book() {
        for (weight, outcome) in WEIGHTS.iter().flat_map(|w| Outcome::ALL.map(|o| (*w, o))) {
            let skips = if outcome == Outcome::Skipped { SKIPS.map(Some).to_vec() } else { vec![None] };
            for (skip, flags) in skips.iter().flat_map(|skip| (0..8).map(move |flags| (*skip, flags))) {
                let (strict, signed, interrupted) = (flags & 1 == 1, flags & 2 == 0, flags & 4 == 4);
                let mut record =
                    record(vec![step(0, Weight::Required, Outcome::Pass, None), step(1, weight, outcome, skip)]);
                record.header.strict = strict;
                record.interrupted = interrupted.then(|| "SIGINT".into());
                let role = Role { role: "sre".into(), needs: 1, members: Vec::new() };
                record.header.roles = if signed { Vec::new() } else { vec![role] };
                let expected = match by_the_book(weight, outcome, skip, strict) {
                    Decision::Go | Decision::Held if interrupted => Decision::Undecided,
                    Decision::Go if !signed => Decision::Held,
                    decision => decision,
                };
                let ruling = decide(&record, &[], now());
                let what = format!("{weight:?} {outcome} {skip:?} strict {strict} signed {signed} cut {interrupted}");
                assert_eq!(ruling.decision, expected, "{what}");
                assert_eq!(ruling.reasons.is_empty(), expected == Decision::Go, "{what}: {ruling:?}");
            }
        }
    }

    #[test]
    fn nothing_checked_is_never_a_go() {
        for steps in [
            vec![],
            vec![step(0, Weight::Required, Outcome::Skipped, Some(Skip::NotSelected))],
            vec![step(0, Weight::Trial, Outcome::Pass, None)],
            vec![step(0, Weight::Optional, Outcome::Error, None)],
        ] {
            let ruling = decide(&record(steps), &[], now());
            assert_eq!((ruling.decision, ruling.reasons.len()), (Decision::Undecided, 1), "{ruling:?}");
        }
    }

    #[test]
    fn a_step_without_an_end_is_a_run_that_was_cut() {
        let mut steps =
            vec![step(0, Weight::Required, Outcome::Pass, None), step(1, Weight::Optional, Outcome::Pass, None)];
        steps[1].result = None;
        let ruling = decide(&record(steps), &[], now());
        assert_eq!(ruling.decision, Decision::Undecided);
        assert_eq!(
            ruling.reasons,
            [
                "inconclusive: Step 1: the run was cut before it ended (optional)",
                "interrupted: the run was cut, or has not ended yet"
            ]
        );
    }

    #[test]
    fn reasons_name_the_steps_and_count_the_rest() {
        let mut record = record((0..50).map(|n| step(n, Weight::Required, Outcome::Fail, None)).collect());
        let ruling = decide(&record, &[], now());
        assert_eq!(ruling.reasons[0], "fail: Step 0: 7.1% is not < 5%");
        assert_eq!((ruling.reasons.len(), ruling.reasons[20].as_str()), (21, "fail: and 30 more"));
        record.sections[0].outline.part = Part::OnNoGo;
        assert_eq!(decision(&record), Decision::Undecided, "actions do not count");
    }

    #[test]
    fn a_waived_failure_is_shown_and_does_not_block() {
        let record = record(vec![
            step(0, Weight::Required, Outcome::Pass, None),
            step(1, Weight::Required, Outcome::Fail, None),
        ]);
        let ruling = decide(&record, &[waiver("s1", 1)], now());
        assert_eq!(ruling.decision, Decision::Go);
        assert_eq!(
            ruling.attention,
            [
                "fail: Step 1: 7.1% is not < 5% (waived by carol until 2026-09-22 14:13:20 UTC: known)",
                "the waiver of s1 by carol ends soon, 2026-09-22 14:13:20 UTC"
            ]
        );
        assert_eq!(decide(&record, &[waiver("s1", 8)], now()).attention.len(), 1, "a week before the end is not soon");
        let idle = decide(&record, &[waiver("s1", -1), waiver("s0", 1), waiver("s9", 1)], now());
        assert_eq!(idle.decision, Decision::NoGo, "an expired waiver does not act");
        assert_eq!(idle.attention.len(), 3, "{idle:?}");
        assert!(idle.attention[0].contains("expired") && idle.attention[1].contains("not used"), "{idle:?}");
    }

    #[test]
    fn an_answer_settles_a_step_that_waits() {
        let mut steps = vec![step(0, Weight::Required, Outcome::Pending, None)];
        assert_eq!(decision(&record(steps.clone())), Decision::Held);
        let mut answer = |outcome| {
            steps[0].answers.push(Answer { note: "seen".into(), ..Answer::new(outcome, "bob") });
            decide(&record(steps.clone()), &[], now())
        };
        assert_eq!(answer(Outcome::Pass).decision, Decision::Go);
        assert_eq!(answer(Outcome::Fail).reasons, ["fail: Step 0: answered by bob: seen"]);
    }

    fn any_step() -> impl Strategy<Value = (Weight, Outcome, Option<Skip>)> {
        let skip = prop::option::of(prop::sample::select(SKIPS.to_vec()));
        (prop::sample::select(WEIGHTS.to_vec()), prop::sample::select(Outcome::ALL.to_vec()), skip)
    }

    proptest! {
        #[test]
        fn a_failing_required_step_is_never_a_go(steps in prop::collection::vec(any_step(), 0..8), place in 0_usize..9, strict: bool) {
            let mut steps: Vec<_> = (0..).zip(steps).map(|(n, (w, o, s))| step(n, w, o, s)).collect();
            steps.insert(place.min(steps.len()), step(99, Weight::Required, Outcome::Fail, None));
            let mut record = record(steps);
            record.header.strict = strict;
            prop_assert_eq!(decision(&record), Decision::NoGo);
        }
    }
}
