//! What people add to a run that is over or waits: answers, signatures, releases, and the decision that follows. Several
//! may do so at once, and none of what they add is lost or kept twice: what cannot be appended, because somebody else
//! was faster, is looked at again on the record as it is then.

use chrono::{DateTime, Utc};

use super::approval::{self, who};
use super::sign::AllowedSigners;
use super::{Ruling, decide_against};
use crate::event::{Event, EventKind, Release};
use crate::model::{RunId, SectionId};
use crate::record::{LoadError, RunRecord, RunStore, StoreError, load};

/// How often somebody else may be faster.
const TRIES: usize = 1000;

/// Tells the time.
pub type Now<'a> = &'a dyn Fn() -> DateTime<Utc>;

/// Adds to a run what `make` makes of its record, all of it or nothing, and returns the record as it was before. `make`
/// is asked again when the record has grown meanwhile.
///
/// # Errors
/// The store says no, or `make` does.
pub fn add(
    store: &mut dyn RunStore,
    run: &RunId,
    now: Now<'_>,
    make: &mut dyn FnMut(&RunRecord) -> Result<Vec<EventKind>, String>,
) -> Result<RunRecord, AmendError> {
    for _ in 0..TRIES {
        let record = load(store, run)?;
        let kinds = make(&record).map_err(AmendError::Refused)?;
        let at = now();
        let event = |(seq, kind)| Event { seq, at, kind };
        let events: Vec<Event> = (record.head.seq + 1..).zip(kinds).map(event).collect();
        match store.append(run, &events) {
            Ok(_) => return Ok(record),
            Err(StoreError::Gap { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(AmendError::Crowded)
}

/// Adds what follows from what was added: the release of a hold point whose roles have signed, and the decision where it
/// is another one. Returns the record and what it comes to.
///
/// # Errors
/// The store says no.
pub fn settle(
    store: &mut dyn RunStore,
    run: &RunId,
    signers: Option<&AllowedSigners>,
    now: Now<'_>,
) -> Result<(RunRecord, Ruling), AmendError> {
    for _ in 0..TRIES {
        let record = load(store, run)?;
        let at = now();
        let ruling = decide_against(&record, &[], signers, at);
        let Some(kind) = follows(&record, &ruling, signers, at) else { return Ok((record, ruling)) };
        match store.append(run, &[Event { seq: record.head.seq + 1, at, kind }]) {
            Ok(_) | Err(StoreError::Gap { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(AmendError::Crowded)
}

/// Returns the next thing that follows from a record and is not in it yet.
fn follows(
    record: &RunRecord,
    ruling: &Ruling,
    signers: Option<&AllowedSigners>,
    at: DateTime<Utc>,
) -> Option<EventKind> {
    if let Some((section, release)) = release_due(record, signers, at) {
        return Some(EventKind::Released { section, release });
    }
    let (decision, reasons) = (ruling.decision, &ruling.reasons);
    let known = record.decided.as_ref().is_some_and(|(before, why)| *before == decision && why == reasons);
    (!known).then(|| EventKind::Decided { decision, reasons: reasons.clone() })
}

/// Returns the release that follows from the signatures at a hold point, where the run still waits for it.
pub fn release_due(
    record: &RunRecord,
    signers: Option<&AllowedSigners>,
    at: DateTime<Utc>,
) -> Option<(SectionId, Release)> {
    super::signing::waiting(record).find_map(|section| {
        let approval = approval::of_hold(record, section, signers, at)?;
        let id = section.outline.id.clone();
        if let Some(no) = approval.rejections().next() {
            let by = format!("{} ({})", who(&no.signature), no.signature.role);
            return Some((id, Release { accepted: false, by, signed: true, note: no.signature.note.clone() }));
        }
        let in_role = |role: &approval::RoleState| -> Vec<String> {
            role.by.iter().map(|by| format!("{by} ({})", role.role)).collect()
        };
        let by = approval.roles.iter().flat_map(in_role).collect::<Vec<_>>().join(", ");
        approval.is_met().then(|| (id, Release { accepted: true, by, signed: true, note: String::new() }))
    })
}

/// Why something was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmendError {
    /// The run cannot be read.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// The store said no.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// It may not be added.
    #[error("{0}")]
    Refused(String),
    /// Others were faster every time.
    #[error("others add to the run all the time; try again")]
    Crowded,
}
