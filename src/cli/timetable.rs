//! What of a plan happens when, for `plan`: the timetable of a soak, the cells of matrices, hold points, how long it
//! takes at least.

use std::fmt::Write;
use std::time::Duration;

use crate::model::outline::{Missed, Part, Slot};
use crate::model::quantity;
use crate::plan::{Cells, Flow, Plan, PlanSection, SoakPlan, Window};

/// How many checkpoints are written out; of more, the first and the last.
const MOST_WRITTEN: u64 = 12;

/// Describes what happens when; empty when everything simply runs from top to bottom.
pub(super) fn timetable(plan: &Plan) -> String {
    let mut out = String::new();
    for (name, estimate) in &plan.head.estimates {
        let _ = writeln!(out, "  estimate of {name}: {estimate}");
    }
    if let Some(soak) = &plan.soak {
        out.push_str(&soak_times(plan, soak));
    }
    cells(plan, &plan.flow, &mut out);
    let held: Vec<_> = plan.sections.iter().filter(|section| section.outline.hold.is_some()).collect();
    if !held.is_empty() {
        out.push_str("\nWaits for people before\n");
    }
    for section in held {
        let _ = writeln!(out, "  {}  [{}]: {}", section.outline.name, section.outline.id, who(section));
    }
    let least = match &plan.soak {
        Some(soak) => Duration::from_millis(soak.times.for_ms),
        None => least(plan, &plan.flow),
    };
    if !least.is_zero() {
        let _ = writeln!(out, "\nTakes {} at least", time(least));
    }
    out
}

/// Says who releases a hold point.
pub(super) fn who(section: &PlanSection) -> String {
    match section.outline.hold.as_ref().map(|hold| hold.sign.as_slice()) {
        None => String::new(),
        Some([]) => "held until somebody says yes".to_owned(),
        Some(roles) => format!("held until signed by {}", roles.join(" and ")),
    }
}

fn soak_times(plan: &Plan, soak: &SoakPlan) -> String {
    let times = &soak.times;
    let at = |ms: u64| format!("+{}", time(Duration::from_millis(ms)));
    let mut out = "\nTimetable\n".to_owned();
    let mut line = |when: &str, slot: Slot| {
        let here = |section: &&PlanSection| section.outline.part == Part::Section && section.outline.at == Some(slot);
        let names: Vec<_> = plan.sections.iter().filter(here).map(|section| section.outline.name.as_str()).collect();
        if !names.is_empty() {
            let _ = writeln!(out, "  {when}: {}", names.join(", "));
        }
    };
    line("start", Slot::Start);
    let count = times.for_ms / times.every_ms;
    let due: Vec<_> = (1..=count.min(MOST_WRITTEN)).map(|n| at(n * times.every_ms)).collect();
    let due = match count > MOST_WRITTEN {
        true => format!("{}, {} … {} ({count} times)", due[0], due[1], at(count * times.every_ms)),
        false => due.join(", "),
    };
    line(&due, Slot::Checkpoint);
    line(&at(times.for_ms), Slot::End);
    if !soak.checkpoint.is_empty() {
        let missed = match times.missed {
            Missed::Backfill => "then what can be asked about the past is asked",
            Missed::Inconclusive => "then it is inconclusive",
        };
        let _ = writeln!(
            out,
            "  a checkpoint is missed {} after it was due; {missed}",
            time(Duration::from_millis(times.grace_ms))
        );
    }
    out
}

/// Lists the cells of every matrix.
fn cells(plan: &Plan, flow: &[Flow], out: &mut String) {
    for flow in flow {
        let Flow::Cells(cells) = flow else { continue };
        let of = cells.cells.iter().flat_map(|cell| &cell.flow).find_map(|flow| match flow {
            Flow::Section(at) => plan.sections[*at].outline.of.as_ref(),
            Flow::Cells(_) => None,
        });
        let whole = cells.cells.iter().any(|cell| cell.flow.len() != 1 || !cell.actions.is_empty());
        match of.filter(|_| !whole) {
            Some(section) => {
                let _ = writeln!(out, "\nCells of {section}, {}", how(cells));
            }
            None => {
                let _ = writeln!(out, "\nCells, {}", how(cells));
            }
        }
        for cell in &cells.cells {
            let value = |(name, value): (&String, &serde_json::Value)| {
                format!("{name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            };
            let _ = writeln!(
                out,
                "  {}: {}",
                cell.cell.id,
                cell.cell.values.iter().map(value).collect::<Vec<_>>().join(", ")
            );
        }
        if let Some(first) = cells.cells.first() {
            self::cells(plan, &first.flow, out);
        }
    }
}

fn how(cells: &Cells) -> String {
    let mut words = if cells.parallel { "side by side".to_owned() } else { "one after another".to_owned() };
    if !cells.pause.is_zero() {
        let _ = write!(words, " with {} between them", time(cells.pause));
    }
    if cells.stop {
        words.push_str(", the rest blocked when one does not pass");
    }
    words
}

/// Adds up how long the plan watches and waits by design.
fn least(plan: &Plan, flow: &[Flow]) -> Duration {
    flow.iter()
        .map(|flow| match flow {
            Flow::Section(at) => of_section(plan, &plan.sections[*at]),
            Flow::Cells(cells) => {
                let each = cells.cells.iter().map(|cell| least(plan, &cell.flow));
                let pauses = u32::try_from(cells.cells.len().saturating_sub(1)).unwrap_or(u32::MAX);
                match cells.parallel {
                    true => each.max().unwrap_or_default(),
                    false => each.sum::<Duration>() + cells.pause.saturating_mul(pauses),
                }
            }
        })
        .sum()
}

fn of_section(plan: &Plan, section: &PlanSection) -> Duration {
    let of_step = |step: usize| {
        let step = &plan.steps[step];
        let watched = match step.window {
            Window::Consistently { span, .. } => span,
            Window::Eventually { hold, .. } => hold,
            Window::Once | Window::Guard { .. } => step.probe.needs().unwrap_or_default(),
        };
        if step.selected { watched } else { Duration::ZERO }
    };
    let all = section.steps.clone().map(of_step);
    if section.sequential { all.sum() } else { all.max().unwrap_or_default() }
}

/// Prints a time; whole hours up to four days as such: `24h` is what people write.
fn time(duration: Duration) -> String {
    let (hours, rest) = (duration.as_secs() / 3600, duration.as_secs() % 3600);
    match (1..=96).contains(&hours) && rest == 0 {
        true => format!("{hours}h"),
        false => quantity::seconds(duration.as_secs_f64()),
    }
}
