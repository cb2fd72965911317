//! The course of a long run on a terminal: grid, timetable, hold points and what happened on the way.

use std::fmt::Write;

use comfy_table::Cell;

use super::ink::{self, Ink, Tone};
use super::plain;
use super::terminal::{new_table, painted};
use super::view::{Grid, HoldView, Occasion, RunView};
use crate::model::Outcome;

/// How many occasions of a soak are listed; the reports list all.
const LISTED: usize = 40;

/// Writes what there is of it; nothing for a run without.
pub(super) fn render(view: &RunView, width: u16, ink: Ink, out: &mut String) {
    if let Some(grid) = view.grid() {
        self::grid(&grid, width, ink, out);
    }
    let timetable = view.timetable();
    if !timetable.is_empty() {
        self::timetable(&timetable, width, ink, out);
    }
    for hold in view.holds() {
        let _ = writeln!(out, "{}", plain::line(&held(&hold)));
    }
    for happened in view.happened() {
        let _ = writeln!(out, "{}  {}", ink.paint(Tone::Dim, &happened.at), plain::line(&happened.what));
    }
    if !view.holds().is_empty() || !view.happened().is_empty() {
        out.push('\n');
    }
}

fn grid(grid: &Grid, width: u16, ink: Ink, out: &mut String) {
    let mut table = new_table(width, ink);
    let head = std::iter::once(String::new()).chain(grid.columns.iter().map(|c| plain::line(c).into_owned()));
    table.set_header(head);
    for row in &grid.rows {
        let name = Cell::new(plain::line(&row.name));
        table.add_row(std::iter::once(name).chain(row.outcomes.iter().map(|outcome| cell(outcome, ink))));
    }
    lines(&table, out);
}

fn timetable(all: &[Occasion], width: u16, ink: Ink, out: &mut String) {
    let mut table = new_table(width, ink);
    // Of a long soak what went wrong is shown before what went well.
    let brief = all.len() > LISTED;
    let dull = |o: &&Occasion| !brief || !matches!(o.outcome, "pass" | "") || matches!(o.observed.as_str(), "missed");
    for occasion in all.iter().filter(dull).take(LISTED) {
        table.add_row(vec![
            Cell::new(&occasion.what),
            Cell::new(&occasion.due),
            Cell::new(&occasion.observed),
            cell(occasion.outcome, ink),
            Cell::new(&occasion.counts),
        ]);
    }
    lines(&table, out);
    let passed = all.iter().filter(|o| o.outcome == "pass").count();
    let to_come = all.iter().filter(|o| o.observed == "not yet").count();
    let to_come = if to_come > 0 { format!(", {to_come} to come") } else { String::new() };
    let _ = writeln!(out, "{passed} of {} passed{to_come}\n", all.len());
}

fn cell(outcome: &str, ink: Ink) -> Cell {
    let Some(outcome) = Outcome::ALL.into_iter().find(|o| o.word() == outcome) else { return Cell::new("") };
    let cell = Cell::new(format!("{} {outcome}", ink::sign(outcome)));
    match ink {
        Ink::Plain => cell,
        Ink::Colour => painted(cell, ink::tone(outcome)),
    }
}

fn held(hold: &HoldView) -> String {
    let needs = match hold.roles.is_empty() {
        true => "a yes".to_owned(),
        false => format!("{} to sign", hold.roles.join(" and ")),
    };
    match hold.state {
        "released" | "declined" => {
            let note = if hold.note.is_empty() { String::new() } else { format!(": {}", hold.note) };
            format!("hold before {:?}: {} by {} ({}), {}{note}", hold.section, hold.state, hold.by, hold.how, hold.at)
        }
        state => format!("hold before {:?}: {state}, needs {needs}", hold.section),
    }
}

fn lines(table: &comfy_table::Table, out: &mut String) {
    for line in table.lines() {
        let _ = writeln!(out, " {}", line.trim_end());
    }
    out.push('\n');
}
