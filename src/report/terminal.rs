//! The report at the end of a run on a terminal: a table a section, the failures in detail, the decision, what to do
//! next. It reads the same without colour.

use std::fmt::Write;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets};

use super::course;
use super::ink::{self, Ink, Tone};
use super::plain;
use super::view::{Counts, Place, RunView, Step};
use crate::model::{Outcome, quantity};
use crate::record::SectionRecord;

/// Above so many steps only those that did not plainly pass are listed.
const LISTED: usize = 200;

/// How many characters of a value a table shows; the details show more.
const SHOWN: usize = 240;

/// How many steps are told in detail; the reports tell all.
const DETAILED: usize = 50;

/// How many characters of a value or an excerpt the details show.
const EXCERPT: usize = 2_000;

/// Writes the report for a terminal of so many columns.
pub fn render(view: &RunView, width: u16, colour: bool) -> String {
    let ink = Ink::of(colour);
    let mut out = String::new();
    let brief = view.counts().total > LISTED;
    course::render(view, width.max(40), ink, &mut out);
    for section in &view.record().sections {
        section_part(view, section, width.max(40), ink, brief, &mut out);
    }
    details(view, ink, &mut out);
    decision(view, ink, &mut out);
    next(view, ink, &mut out);
    out
}

fn section_part(view: &RunView, section: &SectionRecord, width: u16, ink: Ink, brief: bool, out: &mut String) {
    let counts = Counts::of_section(section).words();
    let name = view.title(section);
    let name = plain::line(&name);
    let _ = writeln!(out, "{}  {}", ink.paint(Tone::Bold, &name), ink.paint(Tone::Dim, &counts));
    let told = |step: &Step<'_>| !brief || !matches!(step.outcome(), Outcome::Pass | Outcome::Skipped);
    let mut table = new_table(width, ink);
    for step in Step::all(section).filter(told).take(LISTED) {
        table.add_row(row(&step, ink));
    }
    if !table.is_empty() {
        fit(&mut table);
        for line in table.lines() {
            let _ = writeln!(out, " {}", line.trim_end());
        }
    }
    let told = Step::all(section).filter(told).count();
    if told > LISTED {
        let _ = writeln!(out, "  and {} more", told - LISTED);
    }
    out.push('\n');
}

pub(super) fn new_table(width: u16, ink: Ink) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width - 1);
    match ink {
        Ink::Colour => table.enforce_styling(),
        Ink::Plain => table.force_no_tty(),
    };
    table
}

/// Gives the outcome and the time what they need; the step and what was found share the rest.
fn fit(table: &mut Table) {
    for (index, alignment) in [(0, CellAlignment::Left), (3, CellAlignment::Right)] {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
            column.set_cell_alignment(alignment);
        }
    }
}

fn row(step: &Step<'_>, ink: Ink) -> Vec<Cell> {
    let outcome = step.outcome();
    let word = Cell::new(format!("{} {outcome}", ink::sign(outcome)));
    let word = match ink {
        Ink::Plain => word,
        Ink::Colour => painted(word, ink::tone(outcome)),
    };
    vec![word, Cell::new(plain::line(step.name())), Cell::new(found(step)), Cell::new(step.took())]
}

pub(super) fn painted(cell: Cell, tone: Tone) -> Cell {
    match tone {
        Tone::Green => cell.fg(Color::DarkGreen),
        Tone::Yellow => cell.fg(Color::DarkYellow),
        Tone::Red => cell.fg(Color::DarkRed),
        Tone::Magenta => cell.fg(Color::DarkMagenta),
        Tone::Cyan => cell.fg(Color::DarkCyan),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
        Tone::Bold => cell.add_attribute(Attribute::Bold),
    }
}

/// Says what was there, and against what where it did not hold.
fn found(step: &Step<'_>) -> String {
    let (observed, expected) = (step.observed(), step.expected());
    let observed = plain::line(&observed);
    let observed = plain::cut(&observed, SHOWN);
    let held = step.outcome().satisfies() && step.outcome() != Outcome::Warn;
    let apart = if step.is_trial() { " (on trial)" } else { "" };
    match held || expected.is_empty() || step.skip().is_some() {
        true => format!("{observed}{apart}"),
        false => format!("{observed}, expected {}{apart}", plain::cut(&plain::line(&expected), SHOWN)),
    }
}

fn details(view: &RunView, ink: Ink, out: &mut String) {
    let wrong = |p: &&Place| view.step(**p).is_some_and(|s| s.outcome() != Outcome::Pending);
    let total = view.attention().iter().filter(wrong).count();
    for place in view.attention().iter().filter(wrong).take(DETAILED) {
        let Some(step) = view.step(*place) else { continue };
        let name = ink.paint(Tone::Bold, &plain::line(step.name()));
        let _ = writeln!(out, "{}  {name}", ink.outcome(step.outcome()));
        for (name, value) in facts(&step) {
            fact(name, &value, ink, out);
        }
        out.push('\n');
    }
    if total > DETAILED {
        let _ = writeln!(out, "and {} more; the reports tell them all\n", total - DETAILED);
    }
}

fn facts(step: &Step<'_>) -> Vec<(&'static str, String)> {
    let guidance = step.guidance();
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let reason = match step.reason() {
        reason if step.observed().contains(&*reason) => String::new(),
        reason => reason.into_owned(),
    };
    let mut facts = vec![
        ("expected", step.expected()),
        ("observed", step.observed()),
        ("reason", reason),
        ("over time", over_time(step)),
        ("against", against(step)),
        ("request", step.request().to_owned()),
        ("through", step.through().to_owned()),
        ("line", step.line()),
        ("why", word(&guidance.why)),
        ("runbook", word(&guidance.runbook)),
        ("owner", word(&guidance.owner)),
        ("contact", word(&guidance.contact)),
    ];
    facts.extend(step.notes().iter().map(|n| ("note", n.text.clone())));
    for excerpt in step.evidence() {
        facts.push(("evidence", format!("{}:\n{}", excerpt.title, excerpt.text)));
        if excerpt.left_out > 0 {
            facts.push(("", format!("({} left out)", quantity::bytes(excerpt.left_out as f64))));
        }
    }
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn over_time(step: &Step<'_>) -> String {
    match step.spark() {
        spark if spark.is_empty() => spark,
        spark => format!("{spark}  {}", step.range()),
    }
}

fn against(step: &Step<'_>) -> String {
    let words = step.against_words();
    let words = words.iter().map(|a| format!("{} {} ({})", a.name, a.value, a.origin));
    words.collect::<Vec<_>>().join(", ")
}

fn fact(name: &str, value: &str, ink: Ink, out: &mut String) {
    let value = plain::cut(value, EXCERPT);
    let value = plain::lines(&value);
    let mut lines = value.trim_end().split('\n');
    let label = ink.paint(Tone::Dim, &format!("{name:<9}"));
    let _ = writeln!(out, "  {label} {}", lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(out, "            {line}");
    }
}

fn decision(view: &RunView, ink: Ink, out: &mut String) {
    let _ = writeln!(out, "{}  {}", ink.decision(view.decision()), plain::line(&view.headline()));
    if view.reasons().len() > 1 {
        for reason in view.reasons() {
            let _ = writeln!(out, "  - {}", plain::line(reason));
        }
    }
    for condition in view.conditions() {
        let _ = writeln!(out, "  - condition of {}", plain::line(condition));
    }
    for remark in view.remarks().iter().filter(|remark| !remark.starts_with("condition of")) {
        let _ = writeln!(out, "  - {}", plain::line(remark));
    }
    let took = view.head().took;
    let took = if took.is_empty() { String::new() } else { format!(", took {took}") };
    let _ = writeln!(out, "{}\nrun {}{took}", view.counts().words(), view.record().run);
}

fn next(view: &RunView, ink: Ink, out: &mut String) {
    for item in view.next_steps() {
        let _ = writeln!(out, "\n{}:\n  {}", plain::line(&item.name), ink.paint(Tone::Bold, &plain::line(&item.value)));
    }
}
