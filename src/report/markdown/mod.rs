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

use super::view::{Counts, RunView, part_word};
use super::{Format, Options, ReportError, plain};
use crate::model::Decision;
use crate::model::outline::{Part, Weight};
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
    environment.add_filter("markdown", |text: &str| Value::from_safe_string(plain::lines(text).into_owned()));
    environment
}

/// Makes what templates see. Steps are made as they are asked for.
fn data(view: &RunView) -> Value {
    let sections: Vec<Value> = view.sections().map(|index| section(view, index)).collect();
    let actions: Vec<Value> = view.actions().map(|index| section(view, index)).collect();
    context! {
        decision => view.decision().word(),
        mark => mark(view.decision()),
        headline => view.headline(),
        reasons => Value::from(Serde(view.reasons())),
        counts => Value::from(Serde(view.counts())),
        counts_words => view.counts().words(),
        head => Value::from(Serde(view.head())),
        attention => fields::list(view, Arc::clone(view.attention())),
        sections,
        actions,
        trial => fields::list(view, Arc::clone(view.trial())),
        not_run => fields::list(view, Arc::clone(view.not_run())),
        next => Value::from(Serde(view.next_steps())),
    }
}

fn section(view: &RunView, index: usize) -> Value {
    let section = &view.record().sections[index];
    let outline = &section.outline;
    let ran = view.ran(index);
    // Actions have no parts of their own for what did not run or is on probation, so that they keep all of their steps.
    let places = match outline.part {
        Part::Section => ran,
        Part::Guard | Part::OnGo | Part::OnNoGo | Part::Always => {
            (0..section.steps.len()).map(|i| (index, i)).collect()
        }
    };
    context! {
        id => outline.id.as_str(),
        name => outline.name.as_str(),
        description => outline.description.as_deref().unwrap_or(""),
        part => part_word(section),
        line => outline.origin.to_string(),
        counts => Value::from(Serde(Counts::of_section(section))),
        counts_words => Counts::of_section(section).words(),
        trial => section.steps.iter().filter(|s| s.outline.weight == Weight::Trial).count(),
        steps => fields::list(view, places.into()),
    }
}

fn mark(decision: Decision) -> &'static str {
    match decision {
        Decision::Go => "✅",
        Decision::NoGo => "❌",
        Decision::Undecided => "❔",
        Decision::Held => "⏸",
    }
}
