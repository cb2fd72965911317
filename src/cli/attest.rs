//! `attest`: a person answers a manual step; the decision is taken anew.

use chrono::Utc;

use crate::event::Answer;
use crate::model::{Outcome, StepId};
use crate::record::{self, answer::append_decision, append_answer};
use crate::signoff;
use crate::sys::env::Env;

use super::args::AttestArgs;
use super::past::open_existing;
use super::{Result, stdio};

pub(super) fn main(args: &AttestArgs) -> Result<u8> {
    let mut store = open_existing(&args.store.store)?;
    let run = store.resolve(&args.run)?;
    let outcome = match (args.pass, args.fail) {
        (true, _) => Outcome::Pass,
        (_, true) => Outcome::Fail,
        _ => Outcome::NotApplicable,
    };
    let answer = Answer { note: args.note.clone(), ..Answer::new(outcome, Env::of_process().user()) };
    append_answer(&mut *store, &run, &StepId::new(args.step.as_str()), answer, Utc::now())?;
    let record = record::load(&*store, &run)?;
    let ruling = signoff::decide(&record, &[], Utc::now());
    append_decision(&mut *store, &record, (ruling.decision, ruling.reasons.clone()), Utc::now())?;
    stdio::say(&format!("{} of run {run}: {outcome}; the decision is {}", args.step, ruling.decision));
    ruling.reasons.iter().for_each(|reason| stdio::say(&format!("  {reason}")));
    Ok(ruling.decision.exit_status())
}
