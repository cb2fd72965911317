//! TAP 14, the Test Anything Protocol (testanything.org), for the tools that read it.
//!
//! A section is a subtest. Only what counts against the decision is `not ok`: an optional step or one on probation that
//! failed is `ok` with a `TODO` directive, what was not run `ok` with `SKIP`.

use std::io::{self, BufWriter, Write};

use super::view::{RunView, Step};
use super::{Format, Options, ReportError, plain};
use crate::model::{Decision, Outcome};
use crate::record::SectionRecord;

/// TAP as a report format.
pub const FORMAT: Format =
    Format { name: "tap", doc: "TAP 14, one line a step", media: "text/x-tap", extension: "tap", render };

/// Writes the report.
///
/// # Errors
/// When it cannot be written, or when a template was given.
pub fn render(view: &RunView, options: &Options, out: &mut dyn Write) -> Result<(), ReportError> {
    options.without_template(FORMAT.name)?;
    let mut out = BufWriter::new(out);
    let sections = &view.record().sections;
    writeln!(out, "TAP version 14\n1..{}", sections.len() + 1)?;
    writeln!(out, "# {}, run {}", text(&view.record().header.checklist.name), view.record().run)?;
    for (n, part) in sections.iter().enumerate() {
        let ok = section(view, part, &mut out)?;
        writeln!(out, "{} {} - {}", ok_word(ok), n + 1, text(&view.title(part)))?;
    }
    decision(view, sections.len() + 1, &mut out)?;
    out.flush()?;
    Ok(())
}

/// Writes a section as a subtest. Tells whether nothing in it is `not ok`.
fn section(view: &RunView, section: &SectionRecord, out: &mut impl Write) -> io::Result<bool> {
    let mut all = true;
    writeln!(out, "# Subtest: {}", text(&view.title(section)))?;
    writeln!(out, "    1..{}", section.steps.len())?;
    for (n, step) in Step::all(section).enumerate() {
        let ok = !view.counts_against(&step);
        all &= ok;
        writeln!(out, "    {} {} - {}{}", ok_word(ok), n + 1, text(step.name()), directive(&step, ok))?;
        if !matches!(step.outcome(), Outcome::Pass | Outcome::Skipped | Outcome::NotApplicable) {
            details(&step, out)?;
        }
    }
    Ok(all)
}

fn decision(view: &RunView, number: usize, out: &mut impl Write) -> io::Result<()> {
    let word = view.decision().word();
    match view.decision() {
        Decision::Go => writeln!(out, "ok {number} - decision: {word}"),
        Decision::Held => writeln!(out, "ok {number} - decision: {word} # TODO {}", text(&view.headline())),
        Decision::NoGo | Decision::Undecided => {
            writeln!(out, "not ok {number} - decision: {word}\n  ---")?;
            for reason in view.reasons() {
                writeln!(out, "  - {}", quoted(reason))?;
            }
            if view.reasons().is_empty() {
                writeln!(out, "  - {}", quoted(&view.headline()))?;
            }
            writeln!(out, "  ...")
        }
    }
}

fn directive(step: &Step<'_>, ok: bool) -> String {
    let because = text(&step.reason());
    match step.outcome() {
        Outcome::Pass => String::new(),
        Outcome::Skipped | Outcome::NotApplicable => format!(" # SKIP {because}"),
        Outcome::Warn | Outcome::Fail | Outcome::Error | Outcome::Inconclusive | Outcome::Pending if ok => {
            format!(" # TODO {}: {because}", step.outcome())
        }
        Outcome::Warn | Outcome::Fail | Outcome::Error | Outcome::Inconclusive | Outcome::Pending => String::new(),
    }
}

fn details(step: &Step<'_>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "      ---")?;
    let facts = [
        ("outcome", step.outcome().word().to_owned()),
        ("expected", step.expected()),
        ("observed", step.observed()),
        ("request", step.request().to_owned()),
        ("at", step.line()),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "      {name}: {}", quoted(value))?;
    }
    writeln!(out, "      ...")
}

fn ok_word(ok: bool) -> &'static str {
    if ok { "ok" } else { "not ok" }
}

/// Makes text fit for a description: one line, `#` and `\` escaped.
fn text(text: &str) -> String {
    plain::line(text).replace('\\', r"\\").replace('#', r"\#")
}

/// Quotes a value for the YAML block: JSON strings are YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(plain::lines(text).as_ref()).to_string()
}
