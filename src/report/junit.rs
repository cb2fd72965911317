//! JUnit XML for CI: a suite a section, a case a step. The only file that knows quick-junit.
//!
//! CI is red exactly when the decision is no-go or undecided. So only a step that counts against the decision becomes a
//! `failure` (fail) or an `error` (error, inconclusive; `type` says which). A warning, an optional step that failed, a
//! trial step and an action are passed cases whose property `outcome` and `system-out` say what happened. What waits,
//! was not run or does not apply is `skipped`, with why. When the decision is red and no step says why (the run was cut
//! short, nothing was selected), a case of its own does.

use std::collections::{HashMap, HashSet};
use std::io::{BufWriter, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::view::{RunView, SampleView, Step};
use super::{Format, Options, ReportError, plain};
use crate::model::outline::Weight;
use crate::model::quantity;
use crate::model::{Decision, Outcome};
use crate::record::SectionRecord;

/// JUnit XML as a report format.
pub const FORMAT: Format = Format {
    name: "junit",
    doc: "JUnit XML for CI: red exactly when the decision is no-go or undecided",
    media: "application/xml",
    extension: "xml",
    render,
};

/// How many cases are held in memory at once.
const CHUNK: usize = 1_000;

/// Writes the report.
///
/// quick-junit writes whole reports alone. So that memory does not grow with the run, the suites are written without
/// their cases first, and the cases put in where each suite ends, a chunk at a time: `<` never stands in the text of
/// such a document, so an end tag is found for certain.
///
/// # Errors
/// When it cannot be written, or when a template was given.
pub fn render(view: &RunView, options: &Options, out: &mut dyn Write) -> Result<(), ReportError> {
    options.without_template(FORMAT.name)?;
    let mut out = BufWriter::new(out);
    let shell = text_of(&shell(view))?;
    let mut pieces = shell.split(SUITE_END);
    out.write_all(pieces.next().unwrap_or_default().as_bytes())?;
    let mut sections = view.record().sections.iter();
    for piece in pieces {
        if let Some(section) = sections.next() {
            cases(view, section, &mut out)?;
        }
        out.write_all(SUITE_END.as_bytes())?;
        out.write_all(piece.as_bytes())?;
    }
    out.flush()?;
    Ok(())
}

const SUITE_END: &str = "    </testsuite>";

fn text_of(report: &Report) -> Result<String, ReportError> {
    Ok(report.to_string().map_err(std::io::Error::other)?)
}

/// Writes the cases of a section, a chunk at a time.
fn cases(view: &RunView, section: &SectionRecord, out: &mut impl Write) -> Result<(), ReportError> {
    let mut names = HashSet::new();
    let mut words = Words::of(view, section);
    let mut steps = Step::all(section).peekable();
    while steps.peek().is_some() {
        let mut suite = TestSuite::new("");
        suite.add_test_cases(steps.by_ref().take(CHUNK).map(|step| case(view, &step, &mut names, &mut words)));
        let mut report = Report::unnamed();
        report.add_test_suite(suite);
        let text = text_of(&report)?;
        let (start, end) = (text.find("        <testcase"), text.rfind(SUITE_END));
        if let (Some(start), Some(end)) = (start, end) {
            out.write_all(&text.as_bytes()[start..end])?;
        }
    }
    Ok(())
}

/// Makes the report with its suites and their counts, without the cases of the sections.
fn shell(view: &RunView) -> Report {
    let record = view.record();
    let mut report = Report::new(plain::line(&record.header.checklist.name));
    report.set_timestamp(record.started);
    if let Some(ms) = record.took_ms {
        report.set_time(Duration::from_millis(ms));
    }
    let head = head_properties(view);
    for section in &record.sections {
        let mut suite = suite(view, section);
        suite.add_properties(head.iter().cloned());
        report.add_test_suite(suite);
    }
    if view.is_red() && report.failures + report.errors == 0 {
        report.add_test_suite(decision_suite(view, head));
    }
    report
}

/// What every suite says of the run, since the root has no properties.
fn head_properties(view: &RunView) -> Vec<Property> {
    let head = view.head();
    let mut list = vec![
        property("decision", view.decision().word()),
        property("run", &head.run),
        property("checklist", &head.path),
        property("checklist.digest", &head.digest),
        property("record.digest", &head.record_digest),
        property("holdpoint", &head.tool),
    ];
    list.extend(view.reasons().iter().map(|r| property("reason", r)));
    let shown = head.inputs.iter().filter(|i| i.given && !i.secret);
    list.extend(shown.map(|i| property(&format!("input.{}", i.name), &i.value)));
    list
}

fn suite(view: &RunView, section: &SectionRecord) -> TestSuite {
    let mut suite = TestSuite::new(plain::line(&view.title(section)));
    let mut micros = 0;
    for step in Step::all(section) {
        micros += step.result().map_or(0, |r| r.took_us);
        suite.tests += 1;
        match shown(view, &step) {
            Shown::Passed => {}
            Shown::Failure => suite.failures += 1,
            Shown::Error => suite.errors += 1,
            Shown::Skipped => suite.skipped += 1,
        }
    }
    let first = section.steps.iter().filter_map(|s| s.result.as_ref()).map(|r| r.started).min();
    suite.set_timestamp(first.unwrap_or(view.record().started));
    suite.set_time(Duration::from_micros(micros));
    suite
}

/// As what a step is shown.
enum Shown {
    Passed,
    Failure,
    Error,
    Skipped,
}

fn shown(view: &RunView, step: &Step<'_>) -> Shown {
    let against = view.counts_against(step);
    match step.outcome() {
        Outcome::Pending | Outcome::Skipped | Outcome::NotApplicable => Shown::Skipped,
        Outcome::Error | Outcome::Inconclusive if against => Shown::Error,
        Outcome::Fail | Outcome::Warn if against => Shown::Failure,
        Outcome::Pass | Outcome::Warn | Outcome::Fail | Outcome::Error | Outcome::Inconclusive => Shown::Passed,
    }
}

/// Words that many cases share, cleaned once: quick-junit cleans every text that it is given.
struct Words {
    class: XmlString,
    plain: HashMap<String, XmlString>,
}

impl Words {
    fn of(view: &RunView, section: &SectionRecord) -> Self {
        let class = XmlString::new(format!("{}.{}", class(view), section.outline.id));
        Self { class, plain: HashMap::new() }
    }

    fn get(&mut self, word: &str) -> XmlString {
        if let Some(known) = self.plain.get(word) {
            return known.clone();
        }
        let clean = XmlString::new(plain::line(word));
        if self.plain.len() < CHUNK {
            self.plain.insert(word.to_owned(), clean.clone());
        }
        clean
    }
}

fn case<'a>(view: &RunView, step: &Step<'a>, names: &mut HashSet<&'a str>, words: &mut Words) -> TestCase {
    let name = plain::line(step.name());
    let unique = match names.insert(step.name()) {
        true => name,
        false => format!("{name} ({})", step.id()).into(),
    };
    let mut case = TestCase::new(unique, status(view, step));
    case.set_classname(words.class.clone());
    if let Some(result) = step.result() {
        case.set_time(Duration::from_micros(result.took_us));
    }
    case.add_properties(case_properties(step, words));
    let told = matches!(step.outcome(), Outcome::Pass | Outcome::Skipped | Outcome::NotApplicable);
    if !told && !view.counts_against(step) {
        case.set_system_out(plain::lines(&story(step)));
    }
    case
}

/// Names the class of all cases: the checklist's file without its extension, dots replaced, since they part packages.
fn class(view: &RunView) -> String {
    let path = &view.record().header.checklist.path;
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml")).unwrap_or(file);
    plain::line(stem).replace('.', "-")
}

fn status(view: &RunView, step: &Step<'_>) -> TestCaseStatus {
    let mut status = match shown(view, step) {
        Shown::Passed => return TestCaseStatus::success(),
        Shown::Skipped => TestCaseStatus::skipped(),
        Shown::Failure => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Shown::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    status.set_message(plain::line(&message(step))).set_type(step.outcome().word());
    if view.counts_against(step) {
        status.set_description(plain::lines(&story(step)));
    }
    status
}

fn message(step: &Step<'_>) -> String {
    match (step.reason(), step.outcome()) {
        (reason, outcome) if reason.is_empty() => format!("{outcome}: {}", step.observed()),
        (reason, outcome) => format!("{outcome}: {reason}"),
    }
}

/// Tells in several lines what happened.
fn story(step: &Step<'_>) -> String {
    let guidance = step.guidance();
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut facts = vec![
        ("outcome", step.outcome().word().to_owned()),
        ("reason", step.reason().into_owned()),
        ("expected", step.expected()),
        ("observed", step.observed()),
        ("request", step.request().to_owned()),
        ("through", step.through().to_owned()),
        ("checklist", step.line()),
        ("why", word(&guidance.why)),
        ("runbook", word(&guidance.runbook)),
        ("owner", word(&guidance.owner)),
        ("contact", word(&guidance.contact)),
    ];
    facts.extend(step.notes().iter().map(|n| ("note", n.text.clone())));
    for evidence in step.evidence() {
        facts.push(("evidence", format!("{}\n{}", evidence.title, evidence.text)));
        if evidence.left_out > 0 {
            facts.push(("left out", quantity::bytes(evidence.left_out as f64)));
        }
    }
    let told = facts.iter().filter(|(_, value)| !value.is_empty());
    told.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
}

fn case_properties(step: &Step<'_>, words: &mut Words) -> Vec<Property> {
    let mut list = vec![
        Property::new(words.get("id"), plain::line(step.id())),
        Property::new(words.get("outcome"), words.get(step.outcome().word())),
        Property::new(words.get("line"), plain::line(&step.line())),
    ];
    if step.weight() != Weight::Required {
        list.push(property("weight", super::view::weight_word(step.weight())));
    }
    if !step.request().is_empty() {
        list.push(Property::new(words.get("request"), words.get(step.request())));
    }
    for finding in step.findings() {
        list.push(Property::new(words.get(&format!("measured.{}", finding.subject)), words.get(&finding.observed)));
        list.push(Property::new(words.get(&format!("limit.{}", finding.subject)), words.get(&finding.expected)));
        if let Some(value) = finding.value {
            list.push(property(&format!("value.{}", finding.subject), &value.to_string()));
        }
    }
    if step.flaky() {
        list.push(property("flaky", "true"));
    }
    list.extend(step.samples().filter_map(checkpoint).take(CHUNK));
    list.extend(step.answer().map(|a| property("answered-by", &a.by)));
    list
}

/// Says how a step came out at one checkpoint of a soak.
fn checkpoint(sample: SampleView<'_>) -> Option<Property> {
    let value = sample.value.map(|value| format!(" {value}")).unwrap_or_default();
    Some(property(&format!("checkpoint.{}", sample.n?), &format!("{}{value}", sample.outcome)))
}

/// A suite whose one case says why the decision is red, when no step does.
fn decision_suite(view: &RunView, head: Vec<Property>) -> TestSuite {
    let kind = match view.decision() {
        Decision::NoGo => NonSuccessKind::Failure,
        Decision::Undecided | Decision::Go | Decision::Held => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(plain::line(&view.headline())).set_type(view.decision().word());
    status.set_description(plain::lines(&view.reasons().join("\n")));
    let mut case = TestCase::new(format!("decision: {}", view.decision()), status);
    case.set_classname(format!("{}.decision", class(view)));
    let mut suite = TestSuite::new("decision");
    suite.set_timestamp(view.record().started);
    suite.add_properties(head);
    suite.add_test_case(case);
    suite
}

fn property(name: &str, value: &str) -> Property {
    Property::new(plain::line(name), plain::line(value))
}
