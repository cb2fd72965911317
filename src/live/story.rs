//! What a display says of a run that is spread over time: checkpoints, hold points, pauses, and what comes next. The
//! words are the same in a log and on a terminal.

use chrono::{DateTime, TimeDelta, Utc};

use super::fold::Progress;
use crate::event::{Checkpoint, EventKind, Observed, Release, Resumption, SignDecision, Signature, Waivers};
use crate::model::outline::{Slot, Soak};
use crate::model::{SectionId, quantity};
use crate::report::ink::{Ink, Tone};
use crate::report::plain;

/// Words an event of a long run; nothing for those that are worth no line.
pub(super) fn line(kind: &EventKind, progress: &Progress, ink: Ink) -> Option<String> {
    let (tone, text) = match kind {
        EventKind::CheckpointStarted { checkpoint } => (Tone::Bold, checkpoint_words(checkpoint, progress)),
        EventKind::Held { section } => (Tone::Yellow, held(section, progress)),
        EventKind::Released { section, release } => released(&title(section, progress), release),
        EventKind::Paused { why, until } => (Tone::Yellow, paused(why, *until, &progress.run)),
        EventKind::Waiting { why, until } => (Tone::Dim, waiting(why, *until)),
        EventKind::Resumed { resumption } => (Tone::Yellow, resumed(resumption, progress)),
        EventKind::ClockMoved { what } => (Tone::Yellow, format!("the clock: {what}")),
        EventKind::Waived { waivers } => (Tone::Dim, waived(waivers)),
        EventKind::Signed { signature } => (Tone::Bold, signed(signature)),
        EventKind::RunStarted { .. }
        | EventKind::Planned { .. }
        | EventKind::SectionStarted { .. }
        | EventKind::StepStarted { .. }
        | EventKind::Looked { .. }
        | EventKind::StepFinished { .. }
        | EventKind::SectionFinished { .. }
        | EventKind::Checked { .. }
        | EventKind::Interrupted { .. }
        | EventKind::Answered { .. }
        | EventKind::Notified { .. }
        | EventKind::Decided { .. }
        | EventKind::RunFinished { .. } => return None,
    };
    Some(ink.paint(tone, &plain::line(&text)))
}

/// Says what a run that stays waits for.
fn waiting(why: &str, until: Option<DateTime<Utc>>) -> String {
    let until = until.map(|at| format!(", until {}", at.format("%Y-%m-%d %H:%M:%S UTC"))).unwrap_or_default();
    format!("waiting: {why}{until}")
}

/// Says when there is something to do again.
pub(super) fn next_due(progress: &Progress, now: DateTime<Utc>) -> Option<String> {
    let (soak, started) = (progress.soak?, progress.started?);
    let next = progress.checkpoint.map_or(0, |n| n + 1);
    let after = soak.after(next)?;
    let due = started + after;
    let left = due - now;
    let what = if soak.slot(next) == Slot::End { "the end" } else { "next checkpoint" };
    let at = due.format("%Y-%m-%d %H:%M:%S UTC");
    Some(match left > TimeDelta::zero() {
        true => format!("{what} {} at {at}, in {}", plus(after), length(left)),
        false => format!("{what} {} is due since {at}", plus(after)),
    })
}

fn checkpoint_words(checkpoint: &Checkpoint, progress: &Progress) -> String {
    let Checkpoint { n, slot, due, how } = checkpoint;
    let after = progress.soak.as_ref().and_then(|soak| soak.after(*n)).map(plus).unwrap_or_default();
    let due = due.format("%Y-%m-%d %H:%M:%S UTC");
    let of = progress.soak.as_ref().map_or(0, Soak::checkpoints);
    let what = match slot {
        Slot::Start => "start".to_owned(),
        Slot::Checkpoint => format!("checkpoint {n} of {of}, {after}"),
        Slot::End => format!("end, {after}"),
    };
    match how {
        Observed::InTime => format!("{what}, due {due}"),
        Observed::Late => {
            format!("{what}, due {due}: observed late, for the time when it was due where that can be asked")
        }
        Observed::Missed => format!("{what}, due {due}: missed, nobody looked"),
    }
}

fn held(section: &SectionId, progress: &Progress) -> String {
    let name = title(section, progress);
    let run = &progress.run;
    match progress.holds.get(section).map(|hold| hold.sign.as_slice()) {
        None | Some([]) => format!("held before {name:?}: release it with `holdpoint release {run} {section}`"),
        Some(roles) => {
            let commands: Vec<_> = roles
                .iter()
                .map(|role| format!("`holdpoint sign {run} --hold {section} --role {role} --decision approve`"))
                .collect();
            format!("held before {name:?}: {} must sign, with {}", roles.join(" and "), commands.join(" and "))
        }
    }
}

fn released(name: &str, release: &Release) -> (Tone, String) {
    let note = if release.note.is_empty() { String::new() } else { format!(": {}", release.note) };
    let how = if release.signed { "signed" } else { "a yes without a signature" };
    match release.accepted {
        true => (Tone::Green, format!("{name:?} released by {} ({how}){note}", release.by)),
        false => (Tone::Red, format!("{name:?} declined by {} ({how}){note}", release.by)),
    }
}

fn paused(why: &str, until: Option<DateTime<Utc>>, run: &str) -> String {
    match until {
        Some(until) => {
            let until = until.format("%Y-%m-%d %H:%M:%S UTC");
            format!("paused: {why}; go on from {until} with `holdpoint tick {run}` or `holdpoint resume {run}`")
        }
        None => format!("paused: {why}; then go on with `holdpoint resume {run}`"),
    }
}

fn resumed(resumption: &Resumption, progress: &Progress) -> String {
    let Resumption { by, host, how, last_seen, accepted, .. } = resumption;
    let gap = progress.now.map_or(TimeDelta::zero(), |now| now - *last_seen);
    let gap = if gap > TimeDelta::seconds(1) { format!("; nobody looked for {}", length(gap)) } else { String::new() };
    let accepted = if accepted.is_empty() { String::new() } else { format!("; accepted: {}", accepted.join(", ")) };
    format!("taken up again by {by} on {host} ({how}){gap}{accepted}")
}

fn waived(waivers: &Waivers) -> String {
    match waivers.waivers.len() {
        1 => format!("1 waiver of {}", waivers.file),
        n => format!("{n} waivers of {}", waivers.file),
    }
}

fn signed(signature: &Signature) -> String {
    let decision = match signature.decision {
        SignDecision::Approve => "approve",
        SignDecision::Conditional => "approve with conditions",
        SignDecision::Reject => "reject",
    };
    let who = if signature.by.is_empty() { &signature.user } else { &signature.by };
    format!("signed by {who} as {}: {decision}", signature.role)
}

fn title(section: &SectionId, progress: &Progress) -> String {
    progress.sections.get(section.as_str()).cloned().unwrap_or_else(|| section.to_string())
}

fn plus(after: TimeDelta) -> String {
    format!("+{}", length(after))
}

fn length(time: TimeDelta) -> String {
    quantity::seconds(time.num_seconds().max(0) as f64)
}
