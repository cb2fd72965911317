//! The run as it goes, for people. On a terminal what is done scrolls up and what runs is redrawn below it; elsewhere
//! only sections, what did not pass and the decision are told, one line each, so that a CI log stays short.

use std::fmt::Write as _;
use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::fold::{Progress, Running};
use super::story;
use crate::event::{Event, EventKind, Sink, SinkError, Skip, StepResult};
use crate::model::outline::Weight;
use crate::model::{Outcome, StepId, quantity};
use crate::report::ink::{Ink, Tone};
use crate::report::plain;

/// Above so many steps those that passed do not scroll by.
const SCROLLED: usize = 200;

/// How many running steps are shown at once.
const SHOWN: usize = 8;

/// How long a reason may be on one line.
const REASON: usize = 300;

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Shows a run as it goes.
pub struct Console {
    out: Box<dyn Write + Send>,
    ink: Ink,
    screen: Screen,
    progress: Progress,
    pending: String,
    turn: usize,
    over: bool,
}

/// Where the lines go.
enum Screen {
    /// A terminal of so many columns; so many lines of it are redrawn.
    Terminal { width: usize, drawn: usize },
    /// A file or a pipe.
    Log,
}

impl Console {
    /// Writes to `out`, which is a terminal of `width` columns or none. The caller respects `NO_COLOR`.
    pub fn new(out: Box<dyn Write + Send>, colour: bool, width: u16, is_terminal: bool) -> Self {
        let width = usize::from(if width == 0 { 80 } else { width.max(20) });
        let screen = if is_terminal { Screen::Terminal { width, drawn: 0 } } else { Screen::Log };
        let (progress, pending) = (Progress::default(), String::new());
        Self { out, ink: Ink::of(colour), screen, progress, pending, turn: 0, over: false }
    }

    /// Learns what happened before, without telling it: for a run that is taken up again.
    pub fn recall(&mut self, events: &[Event]) {
        events.iter().for_each(|event| self.progress.take(event));
    }

    /// Adds the line that an event is worth, if any.
    fn tell(&mut self, event: &Event) {
        let ink = self.ink;
        let line = match &event.kind {
            EventKind::RunStarted { run, header } => {
                let name = ink.paint(Tone::Bold, &plain::line(&header.checklist.name));
                Some(format!("{name}  {}", ink.paint(Tone::Dim, &format!("run {run}"))))
            }
            EventKind::SectionStarted { section } => {
                let name = self.progress.sections.get(section.as_str()).map_or(section.as_str(), String::as_str);
                Some(ink.paint(Tone::Bold, &plain::line(name)))
            }
            EventKind::StepFinished { step, result } => self.worth_telling(result).then(|| self.finished(step, result)),
            EventKind::Interrupted { cause } => {
                Some(ink.paint(Tone::Yellow, &format!("interrupted by {}: stopping", plain::line(cause))))
            }
            EventKind::Answered { step, answer } => {
                Some(format!("  {}  {step}, said {}", ink.outcome(answer.outcome), plain::line(&answer.by)))
            }
            EventKind::Decided { decision, reasons } => {
                let because = reasons.first().map(|r| plain::line(r)).unwrap_or_default();
                Some(format!("{}  {because}", ink.decision(*decision)).trim_end().to_owned())
            }
            EventKind::Checked { step, result, .. } => self.worth_telling(result).then(|| self.finished(step, result)),
            EventKind::CheckpointStarted { .. }
            | EventKind::Held { .. }
            | EventKind::Released { .. }
            | EventKind::Paused { .. }
            | EventKind::Waiting { .. }
            | EventKind::Resumed { .. }
            | EventKind::ClockMoved { .. }
            | EventKind::Waived { .. }
            | EventKind::Signed { .. } => story::line(&event.kind, &self.progress, ink),
            EventKind::Planned { .. }
            // One that could not be sent is said when that is known, whoever watches.
            | EventKind::Notified { .. }
            | EventKind::StepStarted { .. }
            | EventKind::Looked { .. }
            | EventKind::SectionFinished { .. }
            | EventKind::RunFinished { .. } => None,
        };
        if let Some(line) = line {
            let _ = writeln!(self.pending, "{line}");
        }
    }

    fn worth_telling(&self, result: &StepResult) -> bool {
        match (result.outcome, result.skip) {
            (Outcome::Skipped, Some(Skip::NotSelected | Skip::NotReached)) => false,
            (Outcome::Pass, _) => matches!(self.screen, Screen::Terminal { .. }) && self.progress.total <= SCROLLED,
            (_, _) => true,
        }
    }

    fn finished(&self, step: &StepId, result: &StepResult) -> String {
        let planned = self.progress.planned.get(step);
        let name = planned.map_or(step.as_str(), |p| &p.name);
        let mut line = format!("  {}  {}", self.ink.outcome(result.outcome), plain::line(name));
        let weight = planned.map_or(Weight::Required, |p| p.weight);
        line.push_str(match weight {
            Weight::Required => "",
            Weight::Optional => " (optional)",
            Weight::Trial => " (on trial)",
        });
        let summary = result.look.as_deref().map_or("", |l| &l.verdict.summary);
        let reason = if result.reason.is_empty() { summary } else { &result.reason };
        if result.outcome != Outcome::Pass && !reason.is_empty() {
            let _ = write!(line, ": {}", plain::cut(&plain::line(reason), REASON));
        }
        if let (Outcome::Fail | Outcome::Error | Outcome::Inconclusive, Some(planned)) = (result.outcome, planned) {
            let _ = write!(line, "  {}", self.ink.paint(Tone::Dim, &plain::line(&planned.line)));
        }
        if result.outcome == Outcome::Pass && result.took_us >= 100_000 {
            let took = quantity::seconds(result.took_us as f64 / 1e6);
            let _ = write!(line, "  {}", self.ink.paint(Tone::Dim, &took));
        }
        line
    }

    /// Writes what is pending; on a terminal it redraws what runs below it.
    fn flush(&mut self, keep_area: bool) -> std::io::Result<()> {
        let mut text = std::mem::take(&mut self.pending);
        if let Screen::Terminal { width, drawn } = self.screen {
            let area = if keep_area { self.area(width) } else { Vec::new() };
            let up = if drawn > 0 { format!("\u{1b}[{drawn}A") } else { String::new() };
            let lines: String = area.iter().map(|line| format!("{line}\n")).collect();
            self.screen = Screen::Terminal { width, drawn: area.len() };
            if text.is_empty() && up.is_empty() && lines.is_empty() {
                return Ok(());
            }
            text = format!("{up}\r\u{1b}[J{text}{lines}");
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Makes the lines that are redrawn, none wider than the terminal.
    fn area(&self, width: usize) -> Vec<String> {
        let progress = &self.progress;
        let now = progress.now.or(progress.started);
        let (Some(started), Some(now)) = (progress.started, now) else { return Vec::new() };
        let spinner = SPINNER[self.turn % SPINNER.len()];
        let one = |r: &Running| fit(&format!("  {spinner} {}", running(r, now)), width);
        let mut lines: Vec<String> = progress.running.values().take(SHOWN).map(one).collect();
        if progress.running.len() > SHOWN {
            lines.push(format!("    and {} more", progress.running.len() - SHOWN));
        }
        if let Some(line) = story::next_due(progress, now) {
            lines.push(self.ink.paint(Tone::Dim, &fit(&format!("  {line}"), width)));
        }
        let wrong = if progress.wrong > 0 { format!(", {} not well", progress.wrong) } else { String::new() };
        let overall = format!("{}/{}{wrong}  {}", progress.done, progress.total, length(now - started));
        lines.push(self.ink.paint(Tone::Dim, &fit(&overall, width)));
        lines
    }
}

impl Sink for Console {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        for event in events {
            self.tell(event);
            self.progress.take(event);
            self.over |= matches!(event.kind, EventKind::RunFinished { .. });
        }
        match (&self.screen, self.over) {
            (Screen::Terminal { .. }, false) => Ok(()),
            (Screen::Terminal { .. } | Screen::Log, _) => self.flush(false).map_err(|e| SinkError(e.to_string())),
        }
    }

    fn tick(&mut self, now: DateTime<Utc>) {
        if let Screen::Terminal { .. } = self.screen {
            self.progress.now = self.progress.now.max(Some(now));
            self.turn += 1;
            // A display that cannot be written is no reason to stop a run.
            let _ = self.flush(!self.over);
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Leaves no half-drawn line behind; there is nobody left to tell of a failure.
        let _ = self.flush(false);
    }
}

/// Words a running step: `Error rate stays below 5%  2.1% < 5%  look 7, 3m10s of 1h`.
fn running(step: &Running, now: DateTime<Utc>) -> String {
    let mut text = plain::line(&step.name).into_owned();
    if !step.value.is_empty() {
        let _ = write!(text, "  {}", plain::line(&step.value));
    }
    text.push_str("  ");
    if step.looks > 0 {
        let _ = write!(text, "look {}, ", step.looks);
    }
    text.push_str(&length(now - step.since));
    if let Some(until) = step.until {
        // Events are stamped a little after the window began.
        let _ = write!(text, " of {}", length(until - step.since + TimeDelta::milliseconds(500)));
    }
    text
}

/// Words a length of time in whole seconds.
fn length(time: TimeDelta) -> String {
    quantity::seconds(time.num_seconds().max(0) as f64)
}

/// Cuts a line to so many columns: wide characters take two. What is cut is in the middle, so that the time stays.
fn fit(line: &str, width: usize) -> String {
    if line.width() < width {
        return line.to_owned();
    }
    let tail: String = line.chars().rev().take(width / 3).collect::<Vec<_>>().into_iter().rev().collect();
    let room = width.saturating_sub(tail.width() + 2);
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let head: String = line.chars().take_while(fits).collect();
    let mut out = format!("{head}…{tail}");
    while out.width() >= width.max(2) && out.pop().is_some() {}
    out
}
