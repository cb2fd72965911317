//! The Markdown sign-off: a minijinja template over the view, written piece by piece.
//!
//! The built-in template has no privileges: a template of the user sees the same data through the same filters. What a
//! template puts out is escaped as Markdown unless it is marked with `| raw`.

mod escape;
mod fields;

use std::io::{BufWriter, Write};
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, context};

use super::view::{Counts, MarginView, Occasion, Place, RunView, part_word};
use super::{Format, Options, ReportError, plain};
use crate::model::outline::{Part, Weight};
use crate::model::{Decision, Outcome};
use crate::signoff::Claim;
use crate::signoff::approval::RoleState;
use crate::template;

pub use fields::manual;

/// Markdown as a report format.
pub const FORMAT: Format = Format {
    name: "markdown",
    doc: "the sign-off document, GitHub-flavoured Markdown",
    media: "text/markdown",
    extension: "md",
    render,
};

/// The built-in template: a start for one's own.
pub const TEMPLATE: &str = include_str!("signoff.md.j2");

/// The most blank lines for one role.
const BLANKS: usize = 50;

/// Steps of the virtual machine that a template may take, and how many more for each step of the run.
const FUEL: (u64, u64) = (1_000_000, 20_000);

/// Writes the document, with the built-in template or that of the options.
///
/// # Errors
/// When it cannot be written or the template is wrong.
pub fn render(view: &RunView, options: &Options, out: &mut dyn Write) -> Result<(), ReportError> {
    match &options.template {
        Some(template) => render_with_template(view, &template.name, &template.text, out),
        None => render_with_template(view, "signoff.md.j2", TEMPLATE, out),
    }
}

/// Writes the document with this template.
///
/// # Errors
/// When it cannot be written or the template is wrong, with its line.
pub fn render_with_template(
    view: &RunView,
    name: &str,
    template: &str,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let environment = environment(view);
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    let wrong = |error: Error| match error.kind() {
        ErrorKind::WriteFailure => ReportError::Write(std::io::Error::other(error)),
        _ => ReportError::Template {
            name: name.to_owned(),
            line: error.line().unwrap_or(1),
            message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        },
    };
    let template = environment.template_from_named_str(name, template).map_err(wrong)?;
    template.render_captured_to(data(view), &mut out).map_err(wrong)?;
    out.flush()?;
    Ok(())
}

fn environment(view: &RunView) -> Environment<'static> {
    let mut environment = template::base();
    let steps: usize = view.record().sections.iter().map(|s| s.steps.len()).sum();
    environment.set_fuel(Some(FUEL.0.saturating_add(FUEL.1.saturating_mul(steps as u64))));
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    // What a macro of the template made is escaped already; only with a mode of its own is it taken for safe.
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("markdown".into()));
    environment.set_formatter(|out, _, value| {
        if value.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        match (value.is_safe(), value.as_str()) {
            (true, Some(safe)) => out.write_str(safe),
            (_, _) => out.write_str(&escape::value(value)),
        }
        .map_err(Error::from)
    });
    environment.add_filter("code", |text: &str| Value::from_safe_string(escape::code(text)));
    environment.add_filter("link", |text: &str| Value::from_safe_string(escape::link(text)));
    environment.add_filter("block", |text: &str, indent: Option<usize>| {
        Value::from_safe_string(escape::block(text, indent.unwrap_or(0)))
    });
    environment.add_filter("sign", |outcome: &str| Value::from_safe_string(fields::sign(outcome).to_owned()));
    environment.add_filter("markdown", |text: &str| Value::from_safe_string(plain::lines(text).into_owned()));
    environment
}

/// Makes what templates see. Steps are made as they are asked for.
fn data(view: &RunView) -> Value {
    let sections: Vec<Value> = view.sections().map(|index| section(view, index)).collect();
    let actions: Vec<Value> = view.actions().map(|index| section(view, index)).collect();
    let guards: Vec<Value> = view.guards().map(|index| section(view, index)).collect();
    let (timetable, timetable_left_out) = brief(view.timetable());
    context! {
        decision => view.decision().word(),
        mark => mark(view.decision()),
        headline => view.headline(),
        reasons => Value::from(Serde(view.reasons())),
        counts => Value::from(Serde(view.counts())),
        counts_words => view.counts().words(),
        head => Value::from(Serde(view.head())),
        attention => fields::list(view, Arc::clone(view.attention())),
        grid => Value::from(Serde(view.grid())),
        timetable => Value::from(Serde(timetable)),
        timetable_left_out,
        margins => Value::from(Serde(thin(view))),
        holds => Value::from(Serde(view.holds())),
        happened => Value::from(Serde(view.happened())),
        waivers => Value::from(Serde(view.waivers())),
        remarks => Value::from(Serde(view.remarks())),
        signatures => Value::from(Serde(view.signatures())),
        conditions => Value::from(Serde(view.conditions())),
        signature_commands => view.signature_commands(),
        unsigned => Value::from(Serde(unsigned(view))),
        guards,
        sections,
        actions,
        trial => fields::list(view, Arc::clone(view.trial())),
        not_run => fields::list(view, Arc::clone(view.not_run())),
        next => Value::from(Serde(view.next_steps())),
        claim => Claim::of(view.record(), view.decision()).text(),
    }
}

/// The roles that still miss people, each as often as one is missing, with those who may sign.
fn unsigned(view: &RunView) -> Vec<(String, String)> {
    let blanks = |role: &RoleState| {
        let missing = usize::try_from(role.missing()).unwrap_or(usize::MAX).min(BLANKS);
        std::iter::repeat_n((role.role.clone(), role.members.join(", ")), missing).collect::<Vec<_>>()
    };
    view.roles().iter().flat_map(blanks).collect()
}

fn section(view: &RunView, index: usize) -> Value {
    let section = &view.record().sections[index];
    let outline = &section.outline;
    let ran = view.ran(index);
    // What is on probation has a part of its own, but not among guards and actions.
    let places = match outline.part {
        Part::Section => ran,
        Part::Guard | Part::OnGo | Part::OnNoGo | Part::Always => acted(view, index),
    };
    context! {
        id => outline.id.as_str(),
        name => outline.name.as_str(),
        description => outline.description.as_deref().unwrap_or(""),
        part => part_word(section),
        line => outline.origin.to_string(),
        // A name that tells its cell already needs no telling twice.
        cell => Some(view.cell(section)).filter(|cell| !outline.name.contains(cell.as_str())).unwrap_or_default(),
        counts => Value::from(Serde(Counts::of_section(section))),
        counts_words => Counts::of_section(section).words(),
        trial => section.steps.iter().filter(|s| s.outline.weight == Weight::Trial).count(),
        steps => fields::list(view, places.into()),
    }
}

/// How many thin margins the document lists.
const THIN: usize = 100;

/// Returns the margins that are thin: all of them are in the JSON report.
fn thin(view: &RunView) -> Vec<MarginView> {
    view.margins().into_iter().filter(|margin| !margin.thin.is_empty()).take(THIN).collect()
}

/// Returns the places of a section's steps that were not skipped.
fn acted(view: &RunView, index: usize) -> Vec<Place> {
    let places = (0..view.record().sections[index].steps.len()).map(|i| (index, i));
    places.filter(|place| view.step(*place).is_some_and(|step| step.outcome() != Outcome::Skipped)).collect()
}

/// How many occasions of a soak the document lists one by one.
const LISTED: usize = 60;

/// Leaves out what passed in time where there is too much of it; what did not, the start, the end and what comes next
/// stay. Tells how many were left out.
fn brief(all: Vec<Occasion>) -> (Vec<Occasion>, usize) {
    let count = all.len();
    if count <= LISTED {
        return (all, 0);
    }
    let next = all.iter().position(|o| o.observed == "not yet");
    let dull = |n: usize, o: &Occasion| {
        let passed = o.observed == "in time" && matches!(o.outcome, "pass" | "");
        let to_come = o.observed == "not yet" && next.is_some_and(|next| n > next);
        n > 0 && n + 1 < count && (passed || to_come)
    };
    let kept: Vec<_> = all.into_iter().enumerate().filter(|(n, o)| !dull(*n, o)).map(|(_, o)| o).collect();
    let left_out = count - kept.len();
    (kept, left_out)
}

fn mark(decision: Decision) -> &'static str {
    match decision {
        Decision::Go => "✅",
        Decision::NoGo => "❌",
        Decision::Undecided => "❔",
        Decision::Held => "⏸",
    }
}
