//! `attest`: people answer manual steps, one named on the command line or all that are open one after the other; the
//! decision is taken anew.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::Utc;

use crate::event::{Answer, Attachment, EventKind, Request};
use crate::model::{Found, Outcome, RunId, StepId};
use crate::record::fold::answerable;
use crate::record::{self, RunRecord, RunStore, StepRecord};
use crate::report::plain;
use crate::signoff::amend::{add, settle};
use crate::signoff::answering::{Claim, answerer, find, open};
use crate::signoff::decide_against;
use crate::sys::env::Env;

use super::args::AttestArgs;
use super::deliver::deliver;
use super::past::open_existing;
use super::known::{self, Known};
use super::{Result, signers, stdio};

/// The largest file that is kept as evidence, in bytes.
const LARGEST: u64 = 64 << 20;

pub(super) fn main(args: &AttestArgs) -> Result<u8> {
    let mut store = open_existing(&args.store.store)?;
    let run = store.resolve(&args.run)?;
    let outcome = match (args.pass, args.fail, args.na) {
        (true, _, _) => Some(Outcome::Pass),
        (_, true, _) => Some(Outcome::Fail),
        (_, _, true) => Some(Outcome::NotApplicable),
        _ => None,
    };
    let asker = Asker { args, user: Env::of_process().user() };
    match (&args.step, outcome) {
        (Some(step), Some(outcome)) => {
            let given = Given { outcome, note: args.note.clone(), evidence: args.evidence.clone() };
            asker.keep(&mut *store, &run, &StepId::new(step.as_str()), given)?;
        }
        (Some(step), None) => {
            anyhow::ensure!(at_a_terminal(), "which answer? give --pass, --fail or --na");
            asker.walk(&mut *store, &run, Some(&StepId::new(step.as_str())))?;
        }
        (None, _) => asker.walk(&mut *store, &run, None)?,
    }
    conclude(&mut *store, &run)
}

/// Takes the decision anew and says it. A run that somebody works on takes its decision itself.
fn conclude(store: &mut dyn RunStore, run: &RunId) -> Result<u8> {
    let record = record::load(store, run)?;
    let allowed = signers::at_hand(&record);
    let (record, ruling) = match store.own(run) {
        Ok(_owner) if record.finished.is_some() || record.paused.is_some() => {
            settle(store, run, allowed.as_ref(), &Utc::now)?
        }
        _ => {
            let ruling = decide_against(&record, &[], allowed.as_ref(), Utc::now());
            (record, ruling)
        }
    };
    let open = open(&record).len();
    let left = if open == 0 { String::new() } else { format!(", {open} to answer") };
    stdio::say(&format!("run {run}: the decision is {}{left}", ruling.decision));
    ruling.reasons.iter().for_each(|reason| stdio::say(&format!("  {}", plain::line(reason))));
    Ok(ruling.decision.exit_status())
}

/// An answer as it was given.
struct Given {
    outcome: Outcome,
    note: String,
    evidence: Vec<PathBuf>,
}

struct Asker<'a> {
    args: &'a AttestArgs,
    user: String,
}

impl Asker<'_> {
    fn claim(&self) -> Claim<'_> {
        Claim { name: self.args.named.as_deref(), role: self.args.role.as_deref(), user: &self.user }
    }

    /// Keeps an answer.
    fn keep(&self, store: &mut dyn RunStore, run: &RunId, step: &StepId, given: Given) -> Result<()> {
        // The answer is refused before its evidence is stored.
        let record = record::load(store, run)?;
        let known = known::of(&record, &Env::of_process());
        known.refuse("note", &given.note)?;
        self.answer(&record, step, &given, Vec::new()).map_err(anyhow::Error::msg)?;
        let evidence: Vec<Attachment> = given.evidence.iter().map(|path| attach(store, path, &known)).collect::<Result<_>>()?;
        let answer = self.answer(&record, step, &given, evidence).map_err(anyhow::Error::msg)?;
        let request = Request::Answer(step.clone(), answer.clone());
        deliver(store, run, &request, &mut |store| {
            add(store, run, &Utc::now, &mut |record| {
                if record.finished.is_none() && record.paused.is_none() {
                    return Err(
                        "the run was cut: take it up again with `holdpoint resume`, or run the checklist again"
                            .to_owned(),
                    );
                }
                answerable(find(record, step)?, &answer)?;
                Ok(vec![EventKind::Answered { step: step.clone(), answer: answer.clone() }])
            })?;
            Ok(())
        })?;
        stdio::say(&format!("{step} of run {run}: {}", given.outcome));
        Ok(())
    }

    fn answer(
        &self,
        record: &RunRecord,
        id: &StepId,
        given: &Given,
        evidence: Vec<Attachment>,
    ) -> std::result::Result<Answer, String> {
        let step = find(record, id)?;
        let (by, role) = answerer(record, &step.outline, &self.claim())?;
        let answer = Answer { note: given.note.clone(), role, evidence, ..Answer::new(given.outcome, by) };
        answerable(step, &answer)?;
        Ok(answer)
    }

    /// Goes through what is open: with questions at a terminal, else as a list.
    fn walk(&self, store: &mut dyn RunStore, run: &RunId, only: Option<&StepId>) -> Result<()> {
        let record = record::load(store, run)?;
        let all = record.sections.iter().flat_map(|section| &section.steps);
        let manual = all.filter(|step| step.outline.probe == "manual").count();
        let steps: Vec<&StepRecord> = match only {
            Some(id) => vec![find(&record, id).map_err(anyhow::Error::msg)?],
            None => open(&record),
        };
        stdio::say(&format!("{} of {manual} manual steps are open", steps.len()));
        for (n, step) in steps.iter().enumerate() {
            self.show(&record, step, n + 1, steps.len());
            if at_a_terminal() && !self.question(store, run, step)? {
                break;
            }
        }
        Ok(())
    }

    fn show(&self, record: &RunRecord, step: &StepRecord, n: usize, of: usize) {
        let section = record.sections.iter().find(|section| section.outline.id == step.outline.section);
        let section = section.map(|section| section.outline.name.as_str()).unwrap_or_default();
        stdio::say(&format!("[{n}/{of}] {}: {} ({})", section, plain::line(&step.outline.name), step.outline.id));
        if let Some(text) = instruction(step) {
            text.lines().for_each(|line| stdio::say(&format!("      {}", plain::line(line))));
        }
        if let Some(role) = &step.outline.by {
            stdio::say(&format!("      to be answered by {role}"));
        }
    }

    /// Asks for one answer until it is taken. Returns false to stop.
    fn question(&self, store: &mut dyn RunStore, run: &RunId, step: &StepRecord) -> Result<bool> {
        loop {
            let Some(word) = line("      pass, fail, na, skip or quit? [p/f/n/s/q] ")? else { return Ok(false) };
            let outcome = match word.as_str() {
                "p" | "pass" => Outcome::Pass,
                "f" | "fail" => Outcome::Fail,
                "n" | "na" => Outcome::NotApplicable,
                "s" | "skip" | "" => return Ok(true),
                "q" | "quit" => return Ok(false),
                _ => continue,
            };
            let Some(note) = line("      note: ")? else { return Ok(false) };
            let Some(files) = line("      evidence, files with commas between: ")? else { return Ok(false) };
            let evidence = files.split(',').map(str::trim).filter(|file| !file.is_empty()).map(PathBuf::from).collect();
            match self.keep(store, run, &step.outline.id, Given { outcome, note, evidence }) {
                Ok(()) => return Ok(true),
                Err(error) => stdio::say(&format!("      {error:#}")),
            }
        }
    }
}

/// Keeps a file in the store by its digest, unless it holds a secret.
fn attach(store: &mut dyn RunStore, path: &Path, known: &Known) -> Result<Attachment> {
    let unreadable = || format!("the evidence {} cannot be read", path.display());
    let meta = std::fs::metadata(path).with_context(unreadable)?;
    anyhow::ensure!(meta.is_file(), "the evidence {} is not a file", path.display());
    let most = LARGEST >> 20;
    anyhow::ensure!(meta.len() <= LARGEST, "the evidence {} is larger than {most} MiB", path.display());
    let bytes = std::fs::read(path).with_context(unreadable)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    known.refuse("name of a file", &name)?;
    known.refuse_file(path, &bytes)?;
    let digest = store.put_blob(&bytes)?;
    Ok(Attachment { name, digest, size: u64::try_from(bytes.len()).unwrap_or(u64::MAX) })
}

fn instruction(step: &StepRecord) -> Option<&str> {
    match &step.result.as_ref()?.look.as_ref()?.observation.found {
        Found::Waiting { instruction } => Some(instruction),
        _ => None,
    }
}

fn at_a_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a line; nothing at the end of the input.
fn line(question: &str) -> Result<Option<String>> {
    stdio::tell(question);
    let mut text = String::new();
    let read = std::io::stdin().read_line(&mut text)?;
    Ok((read > 0).then(|| text.trim().to_owned()))
}
