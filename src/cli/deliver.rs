//! How what a person says gets into a run: directly where nobody works on it, else by asking the process that does.

use std::time::{Duration, Instant};

use crate::event::Request;
use crate::model::RunId;
use crate::record::{RunStore, StoreError};

use super::Result;

/// How long another command may have the run before it is asked: most are done at once.
const SHORT: Duration = Duration::from_secs(2);

/// How long the process that works on the run may take to answer.
const LONG: Duration = Duration::from_secs(30);

/// How often it is looked whether the run is free.
const EVERY: Duration = Duration::from_millis(20);

/// Keeps something with `keep` as soon as the run is free; a process that goes on working on it is asked to keep it.
///
/// # Errors
/// What `keep` says, or that the process which works on the run does not answer.
pub(super) fn deliver(
    store: &mut dyn RunStore,
    run: &RunId,
    request: &Request,
    keep: &mut dyn FnMut(&mut dyn RunStore) -> Result<()>,
) -> Result<()> {
    let begun = Instant::now();
    let mut posted = None;
    loop {
        match store.own(run) {
            Ok(_owner) => {
                return match posted {
                    // The process before kept it, and then left.
                    Some(number) if !store.withdraw(number)? => Ok(()),
                    _ => keep(store),
                };
            }
            Err(StoreError::Owned { by, .. }) => match posted {
                Some(number) if !store.waits(number)? => return Ok(()),
                Some(_) if begun.elapsed() > LONG => anyhow::bail!(
                    "{by} works on run {run} and was asked to keep this; it does so when it comes to the hold point"
                ),
                Some(_) => {}
                None if begun.elapsed() > SHORT => posted = Some(store.post(run, request)?),
                None => {}
            },
            Err(error) => return Err(error.into()),
        }
        std::thread::sleep(EVERY);
    }
}
