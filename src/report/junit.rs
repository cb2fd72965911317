//! JUnit XML for CI: a suite a section, a case a step. The only file that knows quick-junit.
//!
//! CI is red exactly when the decision is no-go or undecided. So only a step that counts against the decision becomes a
//! `failure` (fail) or an `error` (error, inconclusive; `type` says which). A warning, an optional step that failed, a
//! trial step and an action are passed cases whose property `outcome` and `system-out` say what happened. What waits,
//! was not run or does not apply is `skipped`, with why. When the decision is red and no step says why (the run was cut
//! short, nothing was selected), a case of its own does.

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::view::{RunView, Step};
use super::{Format, Options, ReportError, plain};
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

/// Writes the report.
///
/// # Errors
/// When it cannot be written, or when a template was given.
pub fn render(view: &RunView, options: &Options, out: &mut dyn Write) -> Result<(), ReportError> {
    options.without_template(FORMAT.name)?;
    let mut out = BufWriter::new(out);
    report(view).serialize(&mut out).map_err(std::io::Error::other)?;
    out.flush()?;
    Ok(())
}

fn report(view: &RunView) -> Report {
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
    let mut suite = TestSuite::new(plain::line(&section.outline.name));
    let mut names = HashSet::new();
    let mut micros = 0;
    for step in Step::all(section) {
        micros += step.result().map_or(0, |r| r.took_us);
        suite.add_test_case(case(view, &step, &mut names));
    }
    suite.set_timestamp(
        section
            .steps
            .iter()
            .filter_map(|s| s.result.as_ref())
            .map(|r| r.started)
            .min()
            .unwrap_or(view.record().started),
    );
    suite.set_time(Duration::from_micros(micros));
    suite
}

fn case<'a>(view: &RunView, step: &Step<'a>, names: &mut HashSet<&'a str>) -> TestCase {
    let name = plain::line(step.name());
    let unique = match names.insert(step.name()) {
        true => name,
        false => format!("{name} ({})", step.id()).into(),
    };
    let mut case = TestCase::new(unique, status(view, step));
    case.set_classname(format!("{}.{}", class(view), step.section().outline.id));
    if let Some(result) = step.result() {
        case.set_time(Duration::from_micros(result.took_us));
    }
    case.add_properties(case_properties(step));
    let quiet = matches!(step.outcome(), Outcome::Pass | Outcome::Skipped | Outcome::NotApplicable);
    if !quiet && !view.counts_against(step) {
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
    let outcome = step.outcome();
    let mut status = match outcome {
        _ if view.counts_against(step) => TestCaseStatus::non_success(match outcome {
            Outcome::Error | Outcome::Inconclusive => NonSuccessKind::Error,
            Outcome::Pass | Outcome::Warn | Outcome::Fail => NonSuccessKind::Failure,
            Outcome::Pending | Outcome::Skipped | Outcome::NotApplicable => NonSuccessKind::Failure,
        }),
        Outcome::Pending | Outcome::Skipped | Outcome::NotApplicable => TestCaseStatus::skipped(),
        Outcome::Pass | Outcome::Warn | Outcome::Fail | Outcome::Error | Outcome::Inconclusive => {
            return TestCaseStatus::success();
        }
    };
    status.set_message(plain::line(&message(step))).set_type(outcome.word());
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

fn case_properties(step: &Step<'_>) -> Vec<Property> {
    let mut list = vec![
        property("id", step.id()),
        property("outcome", step.outcome().word()),
        property("weight", super::view::weight_word(step.weight())),
        property("line", &step.line()),
    ];
    if !step.request().is_empty() {
        list.push(property("request", step.request()));
    }
    for finding in step.findings() {
        list.push(property(&format!("measured.{}", finding.subject), &finding.observed));
        list.push(property(&format!("limit.{}", finding.subject), &finding.expected));
        if let Some(value) = finding.value {
            list.push(property(&format!("value.{}", finding.subject), &value.to_string()));
        }
    }
    if step.flaky() {
        list.push(property("flaky", "true"));
    }
    list.extend(step.answer().map(|a| property("answered-by", &a.by)));
    list
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
