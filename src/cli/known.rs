//! Secrets that are known again after a run: what people write or attach then must not bring one into the record.
//!
//! A record keeps no secret, so not all of them can be known: those are that an environment variable gives now as it did
//! then, and those that the checklist gives by default. One that was given with `--set` is known to nobody any more.

use std::borrow::Cow;
use std::path::Path;

use crate::model::Secret;
use crate::record::RunRecord;
use crate::run::Redactor;
use crate::sys::env::Env;

use super::Result;
use super::args::{InputArgs, SelectArgs};
use super::load::{Ask, load};

/// What the record says of an input that came out of the environment.
const FROM: &str = "environment variable ";

/// The secrets of a run, as far as they are known.
pub(super) struct Known(Vec<Redactor>);

/// Finds the secrets of a run.
pub(super) fn of(record: &RunRecord, env: &Env) -> Known {
    let secret = record.header.inputs.iter().filter(|input| input.secret);
    let given = secret.filter_map(|input| env.get(input.from.strip_prefix(FROM)?));
    let mut redactors = vec![Redactor::new(&given.map(Secret::new).collect::<Vec<_>>())];
    let (inputs, select) = (InputArgs::default(), SelectArgs::default());
    let ask = Ask { inputs: &inputs, select: &select, env, complete: false, recorded: &[] };
    // The checklist may be elsewhere by now; then it helps nobody.
    redactors.extend(load(Path::new(&record.header.checklist.path), &ask).map(|loaded| loaded.redactor));
    Known(redactors)
}

impl Known {
    /// Refuses a text that holds a secret.
    pub(super) fn refuse(&self, what: &str, text: &str) -> Result<()> {
        anyhow::ensure!(!self.holds(text), "the {what} holds a secret of the checklist; leave it out");
        Ok(())
    }

    /// Refuses a file that holds a secret.
    pub(super) fn refuse_file(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.refuse(&format!("file {}", path.display()), &String::from_utf8_lossy(bytes))
    }

    fn holds(&self, text: &str) -> bool {
        self.0.iter().any(|redactor| matches!(redactor.text(text), Cow::Owned(_)))
    }
}
