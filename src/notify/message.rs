//! What there is to tell, once for all channels: made of a run as its readers see it, masked, in plain words.

mod made;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::on::On;
use crate::model::{Decision, Outcome};
use crate::report::RunView;

pub use made::{Occasion, Telling};

/// Masks every secret in a text.
pub type Mask = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What there is to tell of a run at one moment. Every text is masked.
#[derive(Clone)]
pub struct Message {
    /// What it tells of.
    pub on: On,
    /// Which of those: a hold point, a checkpoint, steps, a mark of the decision; empty for what happens once.
    pub about: String,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// What a template may use of it.
    pub told: Told,
    /// All steps that did not come out well, up to a thousand: `told` has the first of them.
    pub lines: Vec<Line>,
    /// The run as its readers see it, for channels that write documents; only where there is a decision.
    pub view: Option<RunView>,
    /// When the run began.
    pub started: DateTime<Utc>,
    /// When it ended, or was left; nothing while it goes on.
    pub ended: Option<DateTime<Utc>>,
    /// The decision, once there is one.
    pub decision: Option<Decision>,
}

/// What a template may use, as `run.NAME`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Told {
    /// The run's name.
    pub id: String,
    /// What is told of: `start`, `no-go` …
    pub event: &'static str,
    /// One line: what happened to what.
    pub title: String,
    /// One sentence that says more.
    pub headline: String,
    /// The checklist's title.
    pub checklist: String,
    /// Its file.
    pub path: String,
    /// The stage; empty when the checklist has none.
    pub stage: String,
    /// The service; empty when the checklist has none.
    pub service: String,
    /// How much is at stake; empty when the checklist does not say.
    pub risk: String,
    /// `go`, `no-go`, `undecided`, `held`; empty while there is none.
    pub decision: String,
    /// Why, one line each.
    pub reasons: Vec<String>,
    /// How many steps came out how.
    pub counts: Tally,
    /// The counts in words.
    pub steps: String,
    /// The steps that did not come out well, the most urgent first.
    pub failed: Vec<Line>,
    /// How many more of them there are.
    pub more: usize,
    /// What waits for people, one line each.
    pub waits: Vec<String>,
    /// What to do next: words and a command each.
    pub next: Vec<Named>,
    /// The links of the checklist.
    pub links: Vec<Named>,
    /// The inputs that say which version it is about.
    pub versions: Vec<Named>,
    /// Where the whole report is: a link of the checklist named `report`, else the file that was written; may be empty.
    pub report: String,
    /// Who started it.
    pub user: String,
    /// Where.
    pub host: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// When it ended, RFC 3339; empty while it goes on.
    pub finished: String,
    /// How long it took, in seconds; so far, while it goes on.
    pub seconds: f64,
    /// The same in words.
    pub took: String,
    /// Whether it is about a made-up run.
    pub sample: bool,
}

/// How many steps came out how. Steps on probation and actions are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All.
    pub total: usize,
    /// Passed.
    pub pass: usize,
    /// Warned.
    pub warn: usize,
    /// Failed.
    pub fail: usize,
    /// Could not look.
    pub error: usize,
    /// Not enough to say.
    pub inconclusive: usize,
    /// Waiting.
    pub pending: usize,
    /// Not run.
    pub skipped: usize,
    /// Said not to apply.
    pub not_applicable: usize,
    /// Not ended yet.
    pub to_come: usize,
}

/// A step that did not come out well.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// The sentence on the checklist.
    pub name: String,
    /// How it came out.
    pub outcome: &'static str,
    /// Why: what was observed against what was expected.
    pub reason: String,
    /// The measured number, where there is exactly one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The limit as a number, where there is exactly one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// Whether it counts against the decision.
    pub counts: bool,
    /// What to do about it; may be empty.
    pub runbook: String,
    /// Who owns it; may be empty.
    pub owner: String,
    /// The checklist line: `staging.yaml:41`.
    pub line: String,
    /// The file of the checklist.
    #[serde(skip)]
    pub file: String,
    /// The line and column in it.
    #[serde(skip)]
    pub place: (u32, u32),
}

/// A name and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// What belongs to it.
    pub value: String,
}

/// The names that templates may use behind `run.`, each with what it is.
pub const NAMES: &[(&str, &str)] = &[
    ("id", "the run's name"),
    ("event", "what is told of: `start`, `no-go` …"),
    ("title", "one line: what happened to what"),
    ("headline", "one sentence that says more"),
    ("checklist", "the checklist's title"),
    ("path", "its file"),
    ("stage", "the stage; may be empty"),
    ("service", "the service; may be empty"),
    ("risk", "how much is at stake; may be empty"),
    ("decision", "`go`, `no-go`, `undecided`, `held`; empty while there is none"),
    ("reasons", "why, a list of lines"),
    ("counts", "how many steps came out how: `run.counts.fail`, `.pass`, `.total` …"),
    ("steps", "the counts in words"),
    (
        "failed",
        "the steps that did not come out well: `name`, `outcome`, `reason`, `value`, `limit`, `runbook`, `line` …",
    ),
    ("more", "how many more of them there are"),
    ("waits", "what waits for people, a list of lines"),
    ("next", "what to do next: `name` and `value`, a command"),
    ("links", "the links of the checklist: `name` and `value`"),
    ("versions", "the inputs that say which version it is about: `name` and `value`"),
    ("report", "where the whole report is; may be empty"),
    ("user", "who started it"),
    ("host", "where"),
    ("started", "when it began, RFC 3339"),
    ("finished", "when it ended; empty while it goes on"),
    ("seconds", "how long it took, in seconds"),
    ("took", "the same in words"),
    ("sample", "whether it is about a made-up run"),
];

impl Message {
    /// Returns what templates see as `run`.
    pub(super) fn root(&self) -> Map<String, Value> {
        match serde_json::to_value(&self.told) {
            Ok(Value::Object(map)) => map,
            Ok(_) | Err(_) => Map::new(),
        }
    }

    /// Lists the facts of the run: a name and a value each.
    pub(super) fn facts(&self) -> Vec<Named> {
        let told = &self.told;
        let mut facts = Vec::new();
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                facts.push(Named { name: name.to_owned(), value: value.to_owned() });
            }
        };
        add("Service", &told.service);
        add("Stage", &told.stage);
        for version in told.versions.iter().take(3) {
            add(&version.name, &version.value);
        }
        add("Decision", &told.decision);
        add("Steps", &told.steps);
        add("Run", &told.id);
        add("Started by", &format!("{} on {}", told.user, told.host));
        add("Took", &told.took);
        facts
    }

    /// Lists the pages to look at: links of the checklist, and the report where it is one.
    pub(super) fn pages(&self) -> Vec<Named> {
        let mut pages: Vec<Named> =
            self.told.links.iter().filter(|l| super::text::is_link(&l.value)).cloned().collect();
        let report = &self.told.report;
        if super::text::is_link(report) && pages.iter().all(|page| page.value != *report) {
            pages.push(Named { name: "report".into(), value: report.clone() });
        }
        pages
    }

    /// Says it in plain text, for channels without markup.
    pub(super) fn plain(&self) -> String {
        let told = &self.told;
        let mut out = format!("{}\n{}\n", told.title, told.headline);
        let mut part = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                out.push_str(&format!("\n{title}\n"));
                lines.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
            }
        };
        part("Run", self.facts().iter().map(|fact| format!("{}: {}", fact.name, fact.value)).collect());
        let mut failed: Vec<String> = told.failed.iter().flat_map(Line::plain).collect();
        failed.extend(self.more());
        part("Not well", failed);
        part("Waits", told.waits.clone());
        part("Next", told.next.iter().map(|next| format!("{}: {}", next.name, next.value)).collect());
        part("Links", told.links.iter().map(|link| format!("{}: {}", link.name, link.value)).collect());
        if !told.report.is_empty() && told.links.iter().all(|link| link.value != told.report) {
            part("Report", vec![told.report.clone()]);
        }
        out
    }

    /// Says how many more steps did not come out well than are listed.
    pub(super) fn more(&self) -> Option<String> {
        match self.told.more {
            0 => None,
            n => Some(format!("and {n} more; `holdpoint show {}` lists them", self.told.id)),
        }
    }
}

impl Line {
    fn plain(&self) -> Vec<String> {
        let mut lines = vec![format!("{}: {}", self.outcome, self.name)];
        let mut add = |what: &str, text: &str| {
            if !text.is_empty() {
                lines.push(format!("  {what}{text}"));
            }
        };
        add("", &self.reason);
        add("runbook: ", &self.runbook);
        add("owner: ", &self.owner);
        add("at ", &self.line);
        lines
    }
}

impl Tally {
    /// Counts a step; nothing is one that has not ended.
    pub(super) fn add(&mut self, outcome: Option<Outcome>) {
        self.total += 1;
        *match outcome {
            None => &mut self.to_come,
            Some(Outcome::Pass) => &mut self.pass,
            Some(Outcome::Warn) => &mut self.warn,
            Some(Outcome::Fail) => &mut self.fail,
            Some(Outcome::Error) => &mut self.error,
            Some(Outcome::Inconclusive) => &mut self.inconclusive,
            Some(Outcome::Pending) => &mut self.pending,
            Some(Outcome::Skipped) => &mut self.skipped,
            Some(Outcome::NotApplicable) => &mut self.not_applicable,
        } += 1;
    }

    /// Lists the counts with their words.
    pub(super) fn each(&self) -> [(&'static str, usize); 9] {
        [
            ("pass", self.pass),
            ("warn", self.warn),
            ("fail", self.fail),
            ("error", self.error),
            ("inconclusive", self.inconclusive),
            ("pending", self.pending),
            ("skipped", self.skipped),
            ("not-applicable", self.not_applicable),
            ("to come", self.to_come),
        ]
    }

    /// Words the counts, without those that are zero: `7 pass, 1 fail of 8`.
    pub(super) fn words(&self) -> String {
        let some: Vec<_> = self.each().iter().filter(|(_, n)| *n > 0).map(|(word, n)| format!("{n} {word}")).collect();
        match some.is_empty() {
            true => "none".to_owned(),
            false => format!("{} of {}", some.join(", "), self.total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_template_is_there_and_documented() {
        let told = serde_json::to_value(Told::default()).expect("JSON");
        let there: Vec<_> = told.as_object().expect("a map").keys().cloned().collect();
        let named: Vec<_> = NAMES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(there, named);
    }

    #[test]
    fn counts_are_worded_without_zeros() {
        let mut tally = Tally::default();
        assert_eq!(tally.words(), "none");
        [Some(Outcome::Pass), Some(Outcome::Pass), Some(Outcome::Fail), None].into_iter().for_each(|o| tally.add(o));
        assert_eq!(tally.words(), "2 pass, 1 fail, 1 to come of 4");
    }
}
