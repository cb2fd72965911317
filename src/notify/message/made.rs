//! How a message is made of a run: which steps, which words, which commands.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{Line, Mask, Message, Named, Tally, Told};
use crate::event::StepResult;
use crate::model::outline::{Part, StepOutline, Weight};
use crate::model::{Decision, Outcome, SectionId, StepId, quantity};
use crate::notify::on::On;
use crate::record::{RunRecord, SectionRecord, StepRecord};
use crate::report::RunView;
use crate::report::plain;
use crate::report::view::machine_moment;

/// The most steps that a message lists, and the most that it knows.
const MOST: usize = 10;
const KNOWN: usize = 1_000;
/// The most that is said of one step, in characters.
const REASON: usize = 600;
/// The most lines of other lists.
const LINES: usize = 10;

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The run begins.
    Start,
    /// A hold point was reached.
    Held(SectionId),
    /// A checkpoint is done.
    Checkpoint(u32),
    /// These did not come out well.
    Failure(Vec<(StepId, Option<u32>)>),
    /// The decision.
    Decided,
    /// The run is over.
    End,
}

/// What a message needs beside the run.
#[derive(Clone)]
pub struct Telling {
    /// Masks secrets.
    pub mask: Mask,
    /// The store, as an argument behind commands: ` --store runs.db`; empty for the usual one.
    pub store: String,
    /// The file of the report that is asked for.
    pub report: Option<String>,
    /// Whether the run is made up.
    pub sample: bool,
}

impl Occasion {
    /// Returns what a checklist calls it. `decision` is that of the run.
    pub fn on(&self, decision: Decision) -> On {
        match self {
            Occasion::Start => On::Start,
            Occasion::Held(_) => On::Held,
            Occasion::Checkpoint(_) => On::Checkpoint,
            Occasion::Failure(_) => On::Failure,
            Occasion::Decided => On::of(decision),
            Occasion::End => On::End,
        }
    }

    /// Tells which of its kind it is, so that the same is not told twice.
    fn about(&self, view: &RunView) -> String {
        match self {
            Occasion::Start => String::new(),
            Occasion::Held(section) => section.to_string(),
            Occasion::Checkpoint(n) => n.to_string(),
            Occasion::Failure(steps) => {
                let name = |(step, n): &(StepId, Option<u32>)| match n {
                    Some(n) => format!("{step}@{n}"),
                    None => step.to_string(),
                };
                match steps.as_slice() {
                    [one] => name(one),
                    several => mark(&several.iter().map(name).collect::<Vec<_>>()),
                }
            }
            Occasion::Decided => mark(view.reasons()),
            Occasion::End => view.record().finished.map(machine_moment).unwrap_or_default(),
        }
    }
}

/// Makes a short mark of lines.
fn mark(lines: &[String]) -> String {
    let digest = Sha256::digest(lines.join("\n").as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

impl Telling {
    /// Makes the message of an occasion.
    pub fn message(&self, view: &RunView, occasion: &Occasion, at: DateTime<Utc>) -> Message {
        let record = view.record();
        let over = matches!(occasion, Occasion::Decided | Occasion::End);
        let decision = over.then(|| view.decision());
        let ended = over.then(|| record.finished.or(record.paused.as_ref().map(|p| p.at)).unwrap_or(at));
        let on = occasion.on(view.decision());
        let mut told = self.head(view, ended.unwrap_or(at));
        let mut lines = lines(record, occasion, at);
        told.event = on.word();
        told.decision = decision.map(|d| d.word().to_owned()).unwrap_or_default();
        told.reasons = if over { view.reasons().iter().take(LINES).cloned().collect() } else { Vec::new() };
        told.finished = ended.map(machine_moment).unwrap_or_default();
        told.waits = if matches!(on, On::Held | On::End) { waits(view, occasion) } else { Vec::new() };
        told.more = lines.len().saturating_sub(MOST);
        lines.truncate(KNOWN);
        lines.iter_mut().for_each(|line| self.mask_line(line));
        told.failed = lines.iter().take(MOST).cloned().collect();
        told.next = self.next(view, occasion);
        let what = title(on, view, occasion, told.failed.len() + told.more);
        told.title = format!("{what}: {}{}", told.checklist, if self.sample { " (sample)" } else { "" });
        told.headline = headline(view, occasion, &told);
        self.mask(&mut told);
        let about = (self.mask)(&occasion.about(view));
        Message {
            on,
            about,
            at,
            told,
            lines,
            view: over.then(|| view.clone()),
            started: record.started,
            ended,
            decision,
        }
    }

    fn head(&self, view: &RunView, until: DateTime<Utc>) -> Told {
        let (record, head) = (view.record(), view.head());
        let mut counts = Tally::default();
        for (_, step) in steps(record).filter(|(section, _)| !acts(section)) {
            if step.outline.weight != Weight::Trial {
                counts.add(outcome(step));
            }
        }
        let seconds = (until - record.started).num_milliseconds().max(0) as f64 / 1e3;
        let seconds = record.took_ms.map_or(seconds, |ms| ms as f64 / 1e3);
        let named = |name: &str, value: &str| Named { name: name.to_owned(), value: value.to_owned() };
        let links: Vec<Named> = head.links.iter().map(|link| named(&link.name, &link.value)).collect();
        let linked = links.iter().find(|link| link.name.to_lowercase().contains("report")).map(|l| l.value.clone());
        Told {
            id: head.run,
            checklist: head.name,
            path: head.path,
            stage: head.stage,
            service: head.service,
            risk: head.risk,
            steps: counts.words(),
            counts,
            report: linked.or_else(|| self.report.clone()).unwrap_or_default(),
            links,
            versions: head.versions.iter().map(|input| named(&input.name, &input.value)).collect(),
            user: head.user,
            host: head.host,
            started: machine_moment(record.started),
            seconds,
            took: quantity::seconds(seconds),
            sample: self.sample,
            ..Told::default()
        }
    }

    /// Lists the commands that lead on, with the store that they need.
    fn next(&self, view: &RunView, occasion: &Occasion) -> Vec<Named> {
        let over = matches!(occasion, Occasion::Decided | Occasion::End);
        let fits = |command: &str| match occasion {
            Occasion::Decided | Occasion::End => true,
            // The run goes on: only what releases this hold point leads on.
            Occasion::Held(section) => command.contains(section.as_str()),
            Occasion::Start | Occasion::Checkpoint(_) | Occasion::Failure(_) => false,
        };
        let mut next: Vec<Named> = view
            .next_steps()
            .into_iter()
            .filter(|step| fits(&step.value))
            .take(LINES)
            .map(|step| Named { name: step.name, value: self.with_store(step.value) })
            .collect();
        if !over && next.is_empty() && !matches!(occasion, Occasion::Start) {
            let command = format!("holdpoint show {}", view.record().run);
            next.push(Named { name: "Look at the run".into(), value: self.with_store(command) });
        }
        next
    }

    fn with_store(&self, command: String) -> String {
        match command.starts_with("holdpoint run ") {
            true => command,
            false => format!("{command}{}", self.store),
        }
    }

    fn mask(&self, told: &mut Told) {
        let mask = |text: &mut String| *text = (self.mask)(&plain::lines(text));
        for text in [
            &mut told.title,
            &mut told.headline,
            &mut told.checklist,
            &mut told.path,
            &mut told.stage,
            &mut told.service,
            &mut told.risk,
            &mut told.report,
            &mut told.user,
            &mut told.host,
        ] {
            mask(text);
        }
        told.reasons.iter_mut().chain(&mut told.waits).for_each(mask);
        let named = told.next.iter_mut().chain(&mut told.links).chain(&mut told.versions);
        named.flat_map(|named| [&mut named.name, &mut named.value]).for_each(mask);
    }

    fn mask_line(&self, line: &mut Line) {
        let Line { id, name, reason, runbook, owner, line, file, .. } = line;
        for text in [id, name, reason, runbook, owner, line, file] {
            *text = (self.mask)(&plain::lines(text));
        }
    }
}

fn steps(record: &RunRecord) -> impl Iterator<Item = (&SectionRecord, &StepRecord)> {
    record.sections.iter().flat_map(|section| section.steps.iter().map(move |step| (section, step)))
}

fn acts(section: &SectionRecord) -> bool {
    !matches!(section.outline.part, Part::Section | Part::Guard)
}

/// Returns how a step came out so far; nothing when it has not ended.
fn outcome(step: &StepRecord) -> Option<Outcome> {
    let answered = step.answers.last().map(|answer| answer.outcome);
    answered.or_else(|| result(step, None).map(|result| result.outcome))
}

/// Returns the result of a step: that of a checkpoint, else the whole, else the latest.
fn result(step: &StepRecord, n: Option<u32>) -> Option<&StepResult> {
    let check = step.checks.last();
    let of_checkpoint = check.filter(|check| n.is_some_and(|n| n == check.n)).map(|check| &check.result);
    of_checkpoint.or(step.result.as_ref()).or_else(|| check.map(|check| &check.result))
}

/// Lists the steps that an occasion tells of, the most urgent first.
fn lines(record: &RunRecord, occasion: &Occasion, at: DateTime<Utc>) -> Vec<Line> {
    let all = steps(record).filter(|(_, step)| step.outline.weight != Weight::Trial);
    let mut found: Vec<(u8, Line)> = Vec::new();
    for (section, step) in all {
        let checkpoint = match occasion {
            Occasion::Checkpoint(n) => Some(*n),
            Occasion::Failure(steps) => match steps.iter().find(|(id, _)| *id == step.outline.id) {
                Some((_, n)) => *n,
                None => continue,
            },
            Occasion::Start | Occasion::Held(_) | Occasion::Decided | Occasion::End => None,
        };
        let of_checkpoint = step.checks.last().is_some_and(|check| Some(check.n) == checkpoint);
        if matches!(occasion, Occasion::Checkpoint(_)) && !of_checkpoint {
            continue;
        }
        let came = if of_checkpoint { result(step, checkpoint).map(|r| r.outcome) } else { outcome(step) };
        if let Some((urgency, came)) = came.and_then(|came| Some((urgency(came)?, came))) {
            let counts = counts(record, section, &step.outline, came, at);
            found.push((urgency, Line { counts, ..line(section, &step.outline, came, result(step, checkpoint)) }));
        }
    }
    found.sort_by_key(|(urgency, line)| (!line.counts, *urgency));
    found.into_iter().map(|(_, line)| line).collect()
}

/// Tells whether a step counts against the decision: actions, steps that a waiver covers, and warnings do not.
fn counts(record: &RunRecord, section: &SectionRecord, step: &StepOutline, came: Outcome, at: DateTime<Utc>) -> bool {
    let waivers = record.waivers.iter().flat_map(|waivers| &waivers.waivers);
    let waived = came == Outcome::Fail && waivers.into_iter().any(|w| w.step == step.id && w.acts_at(at));
    let strict = record.header.strict;
    let by_weight = match (came, step.weight) {
        (_, Weight::Trial) => false,
        (Outcome::Warn, _) | (_, Weight::Optional) => strict,
        (_, Weight::Required) => true,
    };
    by_weight && !waived && !acts(section)
}

fn urgency(outcome: Outcome) -> Option<u8> {
    match outcome {
        Outcome::Fail => Some(0),
        Outcome::Error => Some(1),
        Outcome::Inconclusive => Some(2),
        Outcome::Warn => Some(3),
        Outcome::Pass | Outcome::Pending | Outcome::Skipped | Outcome::NotApplicable => None,
    }
}

fn line(section: &SectionRecord, outline: &StepOutline, outcome: Outcome, result: Option<&StepResult>) -> Line {
    let verdict = result.and_then(|result| Some(&result.look.as_deref()?.verdict));
    let summary = verdict.map_or("", |verdict| verdict.summary.as_str());
    let reason = result.map_or("", |result| result.reason.as_str());
    let wrong = verdict.into_iter().flat_map(|verdict| &verdict.findings).find(|f| f.outcome != Outcome::Pass);
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let part = if acts(section) { format!("{}: ", section.outline.name) } else { String::new() };
    Line {
        id: outline.id.to_string(),
        name: format!("{part}{}", plain::line(&outline.name)),
        outcome: outcome.word(),
        reason: plain::cut(&plain::line(if reason.is_empty() { summary } else { reason }), REASON).into_owned(),
        value: wrong.and_then(|finding| finding.value).filter(|number| number.is_finite()),
        limit: wrong.and_then(|finding| finding.limit).filter(|number| number.is_finite()),
        counts: false,
        runbook: text(&outline.guidance.runbook),
        owner: text(&outline.guidance.owner),
        line: outline.origin.to_string(),
        file: outline.origin.file.to_string(),
        place: (outline.origin.line, outline.origin.column),
    }
}

/// Says what waits for people.
fn waits(view: &RunView, occasion: &Occasion) -> Vec<String> {
    let mut waits = Vec::new();
    let of = |id: &str| match occasion {
        Occasion::Held(section) => section.as_str() == id,
        _ => true,
    };
    for hold in view.holds().into_iter().filter(|hold| hold.state == "waiting" && of(&hold.id)) {
        waits.push(match hold.roles.as_slice() {
            [] => format!("{:?} waits to be released", hold.section),
            roles => format!("{:?} waits for signatures: {}", hold.section, roles.join(", ")),
        });
    }
    if !matches!(occasion, Occasion::Held(_)) {
        for (_, step) in steps(view.record()).filter(|(section, _)| !acts(section)) {
            if outcome(step) == Some(Outcome::Pending) {
                waits.push(format!(
                    "{:?} waits for {}",
                    step.outline.name,
                    match step.outline.changes {
                        Some(_) => "consent",
                        None => "an answer",
                    }
                ));
            }
        }
        let missing = view.roles().into_iter().filter(|role| view.decision() == Decision::Held && role.missing() > 0);
        waits.extend(missing.map(|role| format!("the run waits for {} to sign", role.role)));
    }
    waits.truncate(LINES);
    waits
}

fn title(on: On, view: &RunView, occasion: &Occasion, wrong: usize) -> String {
    match (on, occasion) {
        (On::Start, _) => "Started".to_owned(),
        (On::Held, _) => "HELD".to_owned(),
        (On::Checkpoint, Occasion::Checkpoint(n)) => {
            let of = view.record().header.soak.map(|soak| format!(" of {}", soak.checkpoints())).unwrap_or_default();
            format!("Checkpoint {n}{of}")
        }
        (On::Checkpoint, _) => "Checkpoint".to_owned(),
        (On::Failure, _) if wrong == 1 => "A step failed".to_owned(),
        (On::Failure, _) => format!("{wrong} steps failed"),
        (On::NoGo, _) => "NO-GO".to_owned(),
        (On::Go, _) => "GO".to_owned(),
        (On::Undecided, _) => "UNDECIDED".to_owned(),
        (On::End, _) => format!("Ended ({})", view.decision()),
    }
}

fn headline(view: &RunView, occasion: &Occasion, told: &Told) -> String {
    let conditions = match view.conditions().len() {
        0 => String::new(),
        1 => "; under 1 condition".to_owned(),
        n => format!("; under {n} conditions"),
    };
    match occasion {
        Occasion::Start => {
            let sections = view.sections().count();
            let word = if sections == 1 { "section" } else { "sections" };
            format!("{} steps in {sections} {word}", told.counts.total)
        }
        Occasion::Held(_) => told.waits.first().cloned().unwrap_or_default(),
        Occasion::Checkpoint(_) | Occasion::Failure(_) => match told.failed.first() {
            Some(first) => format!("{}: {}", first.name, first.reason),
            None => told.steps.clone(),
        },
        Occasion::Decided | Occasion::End => format!("{}{conditions}", view.headline()),
    }
}
