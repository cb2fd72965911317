//! One step as its readers see it: every word that a report says of it is made here.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::event::{Answer, Look, Skip, StepResult};
use crate::model::outline::{Guidance, Weight};
use crate::model::{Evidence, Finding, Found, Note, Observation, Outcome, Reference, Value, quantity};
use crate::record::track::Point;
use crate::record::{SectionRecord, StepRecord};

use super::expected;

/// How many characters a drawing of numbers over time takes at most.
const SPARK: usize = 48;

/// How many findings a single line names.
const NAMED: usize = 4;

/// One step as its readers see it.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    section: &'a SectionRecord,
    record: &'a StepRecord,
}

/// One assertion and how it came out.
#[derive(Clone, Debug, Serialize)]
pub struct FindingView {
    /// What was asserted about.
    pub subject: String,
    /// What must hold.
    pub expected: String,
    /// What was there.
    pub observed: String,
    /// How it came out.
    pub outcome: &'static str,
    /// The checklist line; empty when it is not known.
    pub line: String,
    /// The measured number, where there is exactly one.
    #[serde(serialize_with = "number")]
    pub value: Option<f64>,
    /// The limit as a number, where there is exactly one.
    #[serde(serialize_with = "number")]
    pub limit: Option<f64>,
}

/// What a step found at one of its looks or checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct SampleView<'a> {
    /// The number of the checkpoint, in a soak.
    pub n: Option<u32>,
    /// When it was observed: for a look into the past, the time that was asked about.
    pub at: DateTime<Utc>,
    /// How it came out.
    pub outcome: Outcome,
    /// The first number that was held against a limit.
    pub value: Option<f64>,
    /// That limit.
    pub limit: Option<f64>,
    /// Why, for everything but a plain pass.
    pub reason: &'a str,
}

/// What a relative limit was held against.
#[derive(Clone, Debug, Serialize)]
pub struct AgainstView {
    /// `baseline`, `previous` or `start`.
    pub name: &'static str,
    /// The value, in words.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
}

impl<'a> Step<'a> {
    pub(super) fn new(section: &'a SectionRecord, index: usize) -> Self {
        Self { section, record: &section.steps[index] }
    }

    /// Walks over the steps of a section in the order of the checklist.
    pub fn all(section: &'a SectionRecord) -> impl Iterator<Item = Step<'a>> + Clone {
        section.steps.iter().map(move |record| Self { section, record })
    }

    /// Returns what the record holds of it.
    pub fn record(&self) -> &'a StepRecord {
        self.record
    }

    /// Returns the section that it stands in.
    pub fn section(&self) -> &'a SectionRecord {
        self.section
    }

    /// Returns its id.
    pub fn id(&self) -> &'a str {
        self.record.outline.id.as_str()
    }

    /// Returns the sentence on the checklist.
    pub fn name(&self) -> &'a str {
        &self.record.outline.name
    }

    /// Returns the probe's kind.
    pub fn probe(&self) -> &'a str {
        &self.record.outline.probe
    }

    /// Returns how much it counts.
    pub fn weight(&self) -> Weight {
        self.record.outline.weight
    }

    /// Tells whether it is on probation.
    pub fn is_trial(&self) -> bool {
        self.weight() == Weight::Trial
    }

    /// Returns the outcome that counts.
    pub fn outcome(&self) -> Outcome {
        self.record.outcome()
    }

    /// Returns the checklist line, `staging.yaml:41`, and that of the template if it was made from one:
    /// `staging.yaml:41 (github/workflow-run, library/github.yaml:12)`.
    pub fn line(&self) -> String {
        let outline = &self.record.outline;
        match &outline.template {
            Some(used) => format!("{} ({}, {})", outline.origin, used.name, used.origin),
            None => outline.origin.to_string(),
        }
    }

    /// Returns when it looks: `within 10m, every 5s`; empty for once.
    pub fn window(&self) -> &'a str {
        &self.record.outline.window
    }

    /// Returns what it changes in the world.
    pub fn changes(&self) -> Option<&'a str> {
        self.record.outline.changes.as_deref()
    }

    /// Returns the help for whoever reads of a failure.
    pub fn guidance(&self) -> &'a Guidance {
        &self.record.outline.guidance
    }

    /// Returns the result, if it ever ended.
    pub fn result(&self) -> Option<&'a StepResult> {
        self.record.result.as_ref()
    }

    /// Returns the look that decided.
    pub fn look(&self) -> Option<&'a Look> {
        self.result().and_then(|r| r.look.as_deref()).or_else(|| self.record.looks.last())
    }

    /// Returns what the look that decided found.
    pub fn observation(&self) -> Option<&'a Observation> {
        self.look().map(|l| &l.observation)
    }

    /// Returns the resolved URL, query or command; empty when it never looked.
    pub fn request(&self) -> &'a str {
        self.observation().map_or("", |o| &o.request)
    }

    /// Returns what was looked through; empty for the service itself.
    pub fn through(&self) -> &'a str {
        self.observation().and_then(|o| o.through.as_deref()).unwrap_or("")
    }

    /// Returns the remarks.
    pub fn notes(&self) -> &'a [Note] {
        self.observation().map_or(&[], |o| &o.notes)
    }

    /// Returns the excerpts.
    pub fn evidence(&self) -> &'a [Evidence] {
        self.observation().map_or(&[], |o| &o.evidence)
    }

    /// Walks over what the step found each time: at every checkpoint of a soak, or at every look of a step that looks
    /// more than once.
    pub fn samples(&self) -> impl Iterator<Item = SampleView<'a>> + use<'a> {
        let record = self.record;
        let checks = record.checks.told().map(|(point, reason)| SampleView::of(point, reason, true));
        let looks = record.looks.told().filter(|_| record.checks.is_empty());
        checks.chain(looks.map(|(point, reason)| SampleView::of(point, reason, false)))
    }

    /// Draws the numbers that the step found over time; empty when they never changed.
    pub fn spark(&self) -> String {
        let values: Vec<f64> = self.samples().map(|s| s.value.unwrap_or(f64::NAN)).collect();
        let mut finite = values.iter().filter(|v| v.is_finite());
        let first = finite.next();
        match finite.any(|v| Some(v) != first) {
            true => crate::stats::sparkline(&values, SPARK),
            false => String::new(),
        }
    }

    /// Words the least and the greatest number that the step found over time; empty when they never changed.
    pub fn range(&self) -> String {
        let (mut low, mut high, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0);
        for value in self.samples().filter_map(|s| s.value).filter(|v| v.is_finite()) {
            (low, high, count) = (low.min(value), high.max(value), count + 1);
        }
        match count {
            n if n > 1 && low < high => format!("{} … {} ({n} values)", quantity::plain(low), quantity::plain(high)),
            _ => String::new(),
        }
    }

    /// Returns what its relative limits were held against, in words: name, value, origin.
    pub fn against_words(&self) -> Vec<AgainstView> {
        let word = |reference: &Reference| AgainstView {
            name: reference.name.word(),
            value: match &reference.value {
                Value::Number(value) => quantity::plain(*value),
                Value::Series(series) if series.len() == 1 => quantity::plain(series[0].value),
                Value::Series(series) => format!("{} series", series.len()),
                Value::Text(text) => text.clone(),
                Value::Bool(truth) => truth.to_string(),
                Value::Json(json) => json.to_string(),
                Value::Set(words) => words.join(", "),
                Value::Tally(tally) => format!("{} of {}", tally.count, tally.of),
                Value::Missing(reason) | Value::NoData(reason) => format!("none: {reason}"),
            },
            origin: reference.origin.clone(),
        };
        self.against().iter().map(word).collect()
    }

    /// Returns what its relative limits were held against, and where that comes from.
    pub fn against(&self) -> &'a [Reference] {
        self.look().map_or(&[], |look| &look.against)
    }

    /// Returns the answer that counts.
    pub fn answer(&self) -> Option<&'a Answer> {
        self.record.answers.last()
    }

    /// Returns why it was not run.
    pub fn skip(&self) -> Option<Skip> {
        self.result().and_then(|r| r.skip)
    }

    /// Tells whether it passed only after an error of looking was tried again.
    pub fn flaky(&self) -> bool {
        self.result().is_some_and(|r| r.flaky)
    }

    /// Returns how many looks it took.
    pub fn looks(&self) -> u32 {
        self.result().map_or(self.record.looks.len() as u32, |r| r.looks)
    }

    /// Returns how long it took in seconds, if it ended.
    pub fn seconds(&self) -> Option<f64> {
        self.result().map(|r| r.took_us as f64 / 1e6)
    }

    /// Returns how long it took, in words; empty when it never ended, never ran, or waited for a person.
    pub fn took(&self) -> String {
        let ran = self.result().filter(|r| !matches!(r.outcome, Outcome::Pending | Outcome::Skipped));
        ran.map(|r| quantity::seconds(r.took_us as f64 / 1e6)).unwrap_or_default()
    }

    /// Returns one line that says why; empty for a plain pass.
    pub fn reason(&self) -> Cow<'a, str> {
        let Some(result) = self.result() else {
            let waits = self.record.open == Outcome::Pending;
            return Cow::Borrowed(if waits { "waits with the run" } else { "cut off before it ended" });
        };
        match (result.reason.as_str(), result.look.as_deref()) {
            ("", Some(look)) => Cow::Borrowed(&look.verdict.summary),
            (reason, _) => Cow::Borrowed(reason),
        }
    }

    /// Returns the reason when it says more than the findings and what was observed; empty otherwise.
    pub fn because(&self) -> Cow<'a, str> {
        let reason = self.reason();
        let said = |f: &Finding| {
            let rest = reason.strip_prefix(&format!("{}: expected {}, observed {}", f.subject, f.expected, f.observed));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("; and "))
        };
        let findings = self.result().and_then(|r| r.look.as_deref()).map_or(&[][..], |look| &look.verdict.findings);
        match *reason == self.observed() || findings.iter().any(said) {
            true => Cow::Borrowed(""),
            false => reason,
        }
    }

    /// Returns the task of a manual step; empty for others.
    pub fn instruction(&self) -> &'a str {
        match self.observation().map(|o| &o.found) {
            Some(Found::Waiting { instruction }) => instruction,
            Some(
                Found::Measures(_) | Found::NoAnswer { .. } | Found::CouldNotLook { .. } | Found::NotEnough { .. },
            )
            | None => "",
        }
    }

    /// Returns the assertions of the look that decided.
    pub fn findings(&self) -> &'a [Finding] {
        self.look().map_or(&[], |l| &l.verdict.findings)
    }

    /// Returns the assertions for readers.
    pub fn finding_views(&self) -> Vec<FindingView> {
        self.findings().iter().map(FindingView::of).collect()
    }

    /// Returns what must hold, in one line: of a step that did not pass, only what does not hold.
    pub fn expected(&self) -> String {
        let told = self.telling(|f| &f.expected);
        match told.is_empty() {
            false => told,
            true => expected::words(&self.record.outline),
        }
    }

    /// Returns what was there, in one line: of a step that did not pass, only what does not hold.
    pub fn observed(&self) -> String {
        if let Some(answer) = self.answer() {
            return answered(answer);
        }
        match (self.skip(), self.observation().map(|o| &o.found)) {
            (Some(_), _) => self.reason().into_owned(),
            (None, None) => self.reason().into_owned(),
            (None, Some(Found::NoAnswer { cause })) => format!("no answer: {cause}"),
            (None, Some(Found::CouldNotLook { cause, .. })) => format!("could not look: {cause}"),
            (None, Some(Found::NotEnough { cause })) => format!("not enough to say: {cause}"),
            (None, Some(Found::Waiting { instruction })) => format!("waits: {instruction}"),
            (None, Some(Found::Measures(_))) => {
                let told = self.telling(|f| &f.observed);
                if told.is_empty() { self.reason().into_owned() } else { told }
            }
        }
    }

    /// Joins one side of the findings that tell most. A single one needs no subject when the probe has one measure.
    fn telling(&self, side: fn(&Finding) -> &str) -> String {
        let findings = self.findings();
        let wrong = findings.iter().filter(|f| f.outcome != Outcome::Pass).count();
        let told = || findings.iter().filter(move |f| wrong == 0 || f.outcome != Outcome::Pass);
        let mut out = String::new();
        for (n, finding) in told().enumerate() {
            if n == NAMED {
                let _ = write!(out, ", and {} more", told().count() - NAMED);
                break;
            }
            if n > 0 {
                out.push_str(", ");
            }
            if finding.subject != "value" {
                let _ = write!(out, "{} ", finding.subject);
            }
            out.push_str(side(finding));
        }
        out
    }
}

impl<'a> SampleView<'a> {
    fn of(point: Point, reason: &'a str, check: bool) -> Self {
        let Point { n, at, outcome, value, limit } = point;
        Self { n: check.then_some(n), at, outcome, value, limit, reason }
    }
}

impl FindingView {
    fn of(finding: &Finding) -> Self {
        Self {
            subject: finding.subject.clone(),
            expected: finding.expected.clone(),
            observed: finding.observed.clone(),
            outcome: finding.outcome.word(),
            line: finding.origin.as_ref().map(ToString::to_string).unwrap_or_default(),
            value: finding.value,
            limit: finding.limit,
        }
    }
}

fn answered(answer: &Answer) -> String {
    match answer.note.is_empty() {
        true => format!("{}, said {}", answer.outcome, answer.by),
        false => format!("{}, said {}: {}", answer.outcome, answer.by, answer.note),
    }
}

#[expect(clippy::ref_option, reason = "serde asks for a reference")]
fn number<S: serde::Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => crate::model::value::number::serialize(value, serializer),
        None => serializer.serialize_none(),
    }
}
