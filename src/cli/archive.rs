//! Earlier runs out of the store, or out of an exported record, for probes and baselines that build on them. What it
//! tells was verified: the chain of digests on the way, the decision taken anew.

use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::event::{SignDecision, Signature};
use crate::model::{Found, Measures, RunId, StepId};
use crate::probe::{Archive, EachRun, EarlierRun, WantedRun};
use crate::record::{self, RunRecord, RunStore, RunSummary, format, store};
use crate::signoff::sign::AllowedSigners;
use crate::signoff::sign::allowed_signers::local_standard_time;
use crate::signoff::{self, approval};

/// Earlier runs of one store.
#[derive(Debug)]
pub(crate) struct Shelf {
    store: String,
    /// The run that asks: it is not an earlier one.
    asking: RunId,
}

impl Shelf {
    pub(crate) fn new(store: &str, asking: RunId) -> Self {
        Self { store: store.to_owned(), asking }
    }

    /// Opens the store anew each time: it is asked seldom, and from many threads.
    fn open(&self) -> Result<Box<dyn RunStore>, String> {
        store::open(&self.store).map_err(|error| error.to_string())
    }
}

impl Archive for Shelf {
    fn runs(&self, wanted: &WantedRun, each: &mut EachRun<'_>) -> Result<(), String> {
        if let Some(path) = &wanted.record {
            let record = read(path)?;
            let fits = fits(wanted, &record.header.checklist.path, &record.header.checklist.name);
            if fits && record.run != self.asking {
                // It is the only one, whatever is answered.
                let _ = each(earlier(&record, wanted, Utc::now())?);
            }
            return Ok(());
        }
        let store = self.open()?;
        let mut older = false;
        for summary in store.runs().map_err(|error| error.to_string())?.into_iter().rev() {
            if summary.run == self.asking || !self.is_wanted(&summary, wanted) {
                continue;
            }
            let is_older = summary.finished.or(summary.started) < wanted.since;
            if is_older && older {
                // One is enough to say what came nearest.
                continue;
            }
            older |= is_older;
            let record = record::load(&*store, &summary.run).map_err(|error| error.to_string())?;
            if each(earlier(&record, wanted, Utc::now())?) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn measures(&self, run: &RunId, step: &StepId) -> Result<(Measures, DateTime<Utc>), String> {
        let record = record::load(&*self.open()?, run).map_err(|error| error.to_string())?;
        let mut steps = record.sections.iter().flat_map(|section| &section.steps);
        let Some(found) = steps.find(|found| found.outline.id == *step) else {
            return Err(format!("run {run} has no step {step}"));
        };
        let Some(look) = found.result.as_ref().and_then(|result| result.look.as_deref()) else {
            return Err(format!("step {step} of run {run} did not look"));
        };
        match &look.observation.found {
            Found::Measures(measures) => Ok((measures.clone(), look.as_of.unwrap_or(look.at))),
            Found::NoAnswer { cause } | Found::CouldNotLook { cause, .. } | Found::NotEnough { cause } => {
                Err(format!("step {step} of run {run} measured nothing: {cause}"))
            }
            Found::Waiting { .. } => Err(format!("step {step} of run {run} waited for a person")),
        }
    }
}

impl Shelf {
    fn is_wanted(&self, summary: &RunSummary, wanted: &WantedRun) -> bool {
        let named = wanted.run.as_ref().is_none_or(|run| summary.run.as_str().starts_with(run.as_str()));
        named && fits(wanted, &summary.path, &summary.name)
    }
}

/// Reads an exported record; its chain is verified on the way.
fn read(path: &str) -> Result<RunRecord, String> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no record {path}"),
        _ => format!("the record {path} cannot be read: {error}"),
    })?;
    format::read_record(&mut BufReader::new(file)).map_err(|error| format!("the record {path}: {error}"))
}

/// Tells whether a checklist is meant: by its title, or by the end of its path, folder by folder.
fn fits(wanted: &WantedRun, path: &str, title: &str) -> bool {
    wanted
        .checklist
        .as_ref()
        .is_none_or(|name| name == title || Path::new(path).ends_with(name.trim_start_matches("./")))
}

/// Says what a run comes to, its signatures checked.
fn earlier(record: &RunRecord, wanted: &WantedRun, now: DateTime<Utc>) -> Result<EarlierRun, String> {
    let named = wanted.allowed_signers.as_deref().map(allowed).transpose()?;
    let vouched = named.is_some();
    let signers = named.or_else(|| super::signers::at_hand(record));
    for (at, signature) in &record.signatures {
        approval::check(record, signature, *at, signers.as_ref()).map_err(|why| {
            let (who, role) = (approval::who(signature), &signature.role);
            format!("run {}: the signature of {who} as {role} does not hold: {why}", record.run)
        })?;
    }
    if vouched && !record.signatures.iter().any(|(_, signature)| vouches(record, signature)) {
        return Err(format!("run {}: none of the allowed signers has signed all of it", record.run));
    }
    let inputs = record.header.inputs.iter().filter(|input| !input.secret);
    Ok(EarlierRun {
        run: record.run.clone(),
        checklist: record.header.checklist.name.clone(),
        decision: signoff::decide_against(record, &[], signers.as_ref(), now).decision,
        at: record.finished.unwrap_or(record.started),
        partial: partial(record),
        inputs: inputs.filter_map(|input| Some((input.name.clone(), input.value.clone()?))).collect(),
    })
}

/// Says why a run does not stand for its whole checklist at its own time.
fn partial(record: &RunRecord) -> Option<String> {
    let options = &record.header.options;
    let left_out = options.iter().find(|option| option.starts_with("--only") || option.starts_with("--skip"));
    match (record.header.as_of, left_out) {
        (Some(at), _) => Some(format!("about the past ({})", at.format("%Y-%m-%d %H:%M UTC"))),
        (None, Some(option)) => Some(format!("with {option}")),
        (None, None) => None,
    }
}

/// Tells whether a signature stands under everything that was found: whoever can write a file can make an unsigned
/// record, digests and all.
fn vouches(record: &RunRecord, signature: &Signature) -> bool {
    signature.section.is_none() && signature.over_seq >= record.evidence && signature.decision != SignDecision::Reject
}

fn allowed(path: &str) -> Result<AllowedSigners, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("the allowed signers {path} cannot be read: {error}"))?;
    Ok(AllowedSigners::parse(&bytes, local_standard_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checklist_is_named_by_its_title_or_by_the_end_of_its_path() {
        let wanted = |name: &str| WantedRun { checklist: Some(name.to_owned()), ..WantedRun::default() };
        for name in ["staging.yaml", "./staging.yaml", "checks/staging.yaml", "/srv/checks/staging.yaml", "Staging"] {
            assert!(fits(&wanted(name), "/srv/checks/staging.yaml", "Staging"), "{name}");
        }
        for name in ["aging.yaml", "checks", "pre-staging.yaml", "staging", "other/staging.yaml"] {
            assert!(!fits(&wanted(name), "/srv/checks/staging.yaml", "Staging"), "{name}");
        }
    }
}
