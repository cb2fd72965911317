//! The timetable of a run that is spread over hours, and which sections it looks at when.

use std::time::Duration;

use super::builder::Places;
use super::naming::slot;
use super::{PlanSection, PlanStep};
use crate::checklist::reading::Reading;
use crate::checklist::{Checklist, Section, name_place};
use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::model::outline::{Missed, Part, Slot, Soak};
use crate::model::quantity;
use crate::yaml::Node;

/// The most checkpoints of a soak: a week of looking every ten seconds.
const MOST_CHECKPOINTS: u128 = 100_000;

/// The timetable as read, with its place.
pub(super) struct Times {
    pub soak: Soak,
    place: Span,
}

/// Reads the timetable. Nothing when there is none, or when a time is not known.
pub(super) fn read(checklist: &Checklist, reading: &mut Reading<'_>) -> Option<Times> {
    let (key, node) = checklist.node.entry("soak")?;
    let whole = node.get("for").and_then(|n| Some((reading.duration(n)?, n.span)));
    let every = node.get("every").and_then(|n| Some((reading.duration(n)?, n.span)));
    let grace = node.get("grace").and_then(|n| Some((reading.duration(n)?, n.span)));
    let (whole, whole_place) = whole?;
    let (every, every_place) = match (every, node.get("every")) {
        (Some(every), _) => every,
        (None, Some(_)) => return None,
        // Without checkpoints there are the start and the end.
        (None, None) => (whole, whole_place),
    };
    let usual = (every / 4).min(Duration::from_secs(15 * 60));
    let (grace, grace_place) = match (grace, node.get("grace")) {
        (Some(grace), _) => grace,
        (None, Some(_)) => return None,
        (None, None) => (usual, every_place),
    };
    let time = |d: Duration| quantity::seconds(d.as_secs_f64());
    let mut say = |place: Span, message: String| reading.say(Diagnostic::error("bad-soak", place, message));
    if whole.is_zero() {
        say(whole_place, "`for` must be longer than nothing".to_owned());
    } else if every.is_zero() {
        say(every_place, "`every` must be longer than nothing".to_owned());
    } else if every > whole {
        say(every_place, format!("`every` ({}) is longer than `for` ({})", time(every), time(whole)));
    } else if whole.as_nanos() / every.as_nanos() > MOST_CHECKPOINTS {
        let count = whole.as_nanos() / every.as_nanos();
        say(every_place, format!("this gives {count} checkpoints; there may be {MOST_CHECKPOINTS}"));
    } else if grace >= every {
        say(
            grace_place,
            format!(
                "`grace` ({}) is not shorter than `every` ({}): nothing would ever be late",
                time(grace),
                time(every)
            ),
        );
    }
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let missed = match node.get("missed").and_then(Node::text) {
        Some("inconclusive") => Missed::Inconclusive,
        Some(_) | None => Missed::Backfill,
    };
    let soak = Soak { for_ms: ms(whole), every_ms: ms(every).max(1), grace_ms: ms(grace), missed };
    Some(Times { soak, place: key.span })
}

/// Says which sections do not fit the timetable, and what of the timetable no section fills.
pub(super) fn check_sections(checklist: &Checklist, reading: &mut Reading<'_>) {
    let sections = || checklist.sections.iter().filter(|section| section.part == Part::Section);
    let Some((key, soak)) = checklist.node.entry("soak") else {
        for (at, _) in sections().filter_map(|section| section.node.entry("at")) {
            let message = "`at` says when a section of a soak is looked at, and there is no soak";
            let help = "add `soak: { for: 24h, every: 4h }` at the top, or remove `at`";
            reading.say(Diagnostic::error("bad-soak", at.span, message).help(help));
        }
        return;
    };
    let mut before: Option<&Section> = None;
    for section in sections() {
        if let Some(last) = before.filter(|last| order(&last.node) > order(&section.node)) {
            let message = format!("this section, {}, stands behind one {}", words(&section.node), words(&last.node));
            let place = section.node.entry("at").map_or(name_place(&section.node), |(at, _)| at.span);
            let diagnostic =
                Diagnostic::error("bad-soak", place, message).also(name_place(&last.node), "the one before");
            reading.say(
                diagnostic.help("write the sections in the order in which they are looked at, each with its `at`"),
            );
        }
        before = Some(section);
        if let Some((hold, _)) = section.node.entry("hold").filter(|_| slot(&section.node) == Slot::Checkpoint) {
            let message = "a checkpoint waits for nobody: people cannot hold it";
            let help = "hold a section at the start or at the end";
            reading.say(Diagnostic::error("bad-hold", hold.span, message).help(help));
        }
    }
    let has = |wanted: Slot| sections().any(|section| slot(&section.node) == wanted);
    let (checks, every) = (has(Slot::Checkpoint), soak.entry("every"));
    match every {
        Some((every, _)) if !checks => {
            let message = "there are checkpoints, and no section is looked at then";
            let help = "give a section `at: checkpoint`, or leave `every` out";
            reading.say(Diagnostic::error("bad-soak", every.span, message).help(help));
        }
        None if checks => {
            let message = "a section is looked at at every checkpoint, and the soak does not say when that is";
            reading.say(Diagnostic::error("bad-soak", key.span, message).help("add `every`, such as `every: 4h`"));
        }
        None if !has(Slot::End) => {
            let message = "nothing is looked at after the start: the soak would only wait";
            let help = "give a section `at: checkpoint` or `at: end`";
            reading.say(Diagnostic::error("bad-soak", key.span, message).help(help));
        }
        Some(_) | None => {}
    }
}

/// Says which steps of a checkpoint last beyond the next one.
pub(super) fn check_steps(
    times: Option<&Times>,
    sections: &[PlanSection],
    steps: &[PlanStep],
    places: &[Places],
    diagnostics: &mut Diagnostics,
) {
    let Some(Times { soak, place }) = times else { return };
    let every = Duration::from_millis(soak.every_ms);
    for section in sections.iter().filter(|section| section.outline.at == Some(Slot::Checkpoint)) {
        for step in section.steps.clone().filter(|&step| steps[step].window.length() >= every) {
            let time = |d: Duration| quantity::seconds(d.as_secs_f64());
            let (length, every) = (time(steps[step].window.length()), time(every));
            let message = format!("the step looks for {length}, and the next checkpoint is due after {every}");
            let diagnostic = Diagnostic::error("bad-soak", places[step].name, message).also(*place, "the soak");
            diagnostics.push(diagnostic.help("make its window shorter: a soak looks again at every checkpoint"));
        }
    }
}

fn order(section: &Node) -> u8 {
    match slot(section) {
        Slot::Start => 0,
        Slot::Checkpoint => 1,
        Slot::End => 2,
    }
}

fn words(section: &Node) -> &'static str {
    match slot(section) {
        Slot::Start => "looked at at the start",
        Slot::Checkpoint => "looked at at every checkpoint",
        Slot::End => "looked at at the end",
    }
}
