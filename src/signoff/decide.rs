//! The decision of a run, from its record alone: the same answer today and in years.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::event::Skip;
use crate::judge::gate::{Counted, Rules, gate};
use crate::model::outline::{Part, Weight};
use crate::model::waiver::Waiver;
use crate::model::{Decision, Outcome, StepId};
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
    /// What a reader should see although it does not decide: warnings, waived failures, steps on trial, waivers that
    /// do not act.
    pub attention: Vec<String>,
}

/// Decides, with the waivers that act at `at`. Actions, which follow a decision, do not count for it.
pub fn decide(record: &RunRecord, waivers: &[Waiver], at: DateTime<Utc>) -> Ruling {
    let acting: HashMap<&StepId, &Waiver> = waivers.iter().filter(|w| w.acts_at(at)).map(|w| (&w.step, w)).collect();
    let weighed: Vec<Weighed<'_>> = steps(record).map(|step| weigh(step, acting.get(&step.outline.id).copied())).collect();
    let unsigned = !record.header.roles.is_empty();
    // A step without an end means that the run was cut, even where nothing says so.
    let cut = weighed.iter().any(|w| w.counted.weight != Weight::Trial && ended(w.step).is_none());
    let rules = Rules { interrupted: cut || record.interrupted.is_some(), strict: record.header.strict, unsigned };
    let decision = gate(weighed.iter().map(|w| w.counted), rules);
    let mut reasons = Lines::default();
    for w in weighed.iter().filter(|w| w.leads_to(decision, rules.strict)) {
        reasons.add(w.counted.outcome.word(), w.line());
    }
    let mut reasons = reasons.end();
    reasons.extend(beside_the_steps(record, decision, cut, &weighed));
    let mut attention = Lines::default();
    for w in weighed.iter().filter(|w| w.deserves_attention() && !w.leads_to(decision, rules.strict)) {
        attention.add(w.counted.outcome.word(), w.line());
    }
    let mut attention = attention.end();
    attention.extend(idle_waivers(record, waivers, at));
    Ruling { decision, reasons, attention }
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
        let why = why(self.step);
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
            let until = waiver.until.format("%Y-%m-%d %H:%M UTC");
            line.push_str(&format!(" (waived by {} until {until}: {})", waiver.approved_by, waiver.reason));
        }
        line
    }
}

fn weigh<'a>(step: &'a StepRecord, waiver: Option<&'a Waiver>) -> Weighed<'a> {
    let outcome = step.outcome();
    let skip = step.result.as_ref().and_then(|result| result.skip);
    // A skip without a reason is not known to be harmless.
    let blocked = outcome == Outcome::Skipped
        && match skip {
            Some(Skip::Condition | Skip::NotSelected) => false,
            Some(Skip::Blocked | Skip::Refused | Skip::NotReached) | None => true,
        };
    let waived = outcome == Outcome::Fail && waiver.is_some();
    Weighed { step, counted: Counted { weight: step.outline.weight, outcome, blocked, waived }, waiver }
}

/// Returns how the step ended, by itself or by an answer.
fn ended(step: &StepRecord) -> Option<Outcome> {
    (step.result.is_some() || !step.answers.is_empty()).then(|| step.outcome())
}

fn why(step: &StepRecord) -> String {
    match (step.answers.last(), &step.result) {
        (Some(answer), _) if answer.note.is_empty() => format!("answered by {}", answer.by),
        (Some(answer), _) => format!("answered by {}: {}", answer.by, answer.note),
        (None, Some(result)) => result.reason.clone(),
        (None, None) => "the run was cut before it ended".into(),
    }
}

fn steps(record: &RunRecord) -> impl Iterator<Item = &StepRecord> {
    record.sections.iter().filter(|section| section.outline.part == Part::Section).flat_map(|section| &section.steps)
}

/// The reasons that lie with no single step.
fn beside_the_steps(record: &RunRecord, decision: Decision, cut: bool, weighed: &[Weighed<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    match decision {
        Decision::Go | Decision::NoGo => {}
        Decision::Undecided => {
            match &record.interrupted {
                Some(cause) => lines.push(format!("interrupted: {cause}")),
                None if cut => lines.push("interrupted: the run was cut and has no end".into()),
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
            lines.extend(record.header.roles.iter().map(|r| format!("unsigned: {} needs {} to sign", r.role, r.needs)));
        }
    }
    lines
}

fn idle_waivers(record: &RunRecord, waivers: &[Waiver], at: DateTime<Utc>) -> Vec<String> {
    let known: HashSet<&StepId> = steps(record).map(|step| &step.outline.id).collect();
    let failed: HashSet<&StepId> =
        steps(record).filter(|step| step.outcome() == Outcome::Fail).map(|step| &step.outline.id).collect();
    let idle = |w: &Waiver| {
        let by = format!("the waiver of {} by {}", w.step, w.approved_by);
        if !known.contains(&w.step) {
            Some(format!("{by} names a step that the run does not have"))
        } else if at < w.from {
            Some(format!("{by} does not act before {}", w.from.format("%Y-%m-%d %H:%M UTC")))
        } else if !w.acts_at(at) {
            Some(format!("{by} expired {}", w.until.format("%Y-%m-%d %H:%M UTC")))
        } else if !failed.contains(&w.step) {
            Some(format!("{by} is not used: the step did not fail"))
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
