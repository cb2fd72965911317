//! One process works on a run at a time: the one that owns it. What it holds is a lock of the system, so that it is
//! gone with the process, however that ended.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::StoreError;
use crate::model::RunId;
use crate::record::chain::hex;
use crate::sys;

/// The right to add to a run. Dropping it gives the run free.
#[derive(Debug)]
#[must_use = "the run is free again as soon as its owner is dropped"]
pub struct Owner(Held);

#[derive(Debug)]
enum Held {
    /// The lock goes with the open file; the name goes first, so that nobody waits for a name that nobody holds.
    File {
        _locked: File,
        path: PathBuf,
    },
    Here {
        owned: Arc<Owned>,
        run: RunId,
    },
}

/// The runs of a store in memory that somebody in this process owns, each with the words for the owner.
#[derive(Debug, Default)]
pub(super) struct Owned(Mutex<Vec<(RunId, String)>>);

/// Owns a run by a lock file that stands beside the store.
///
/// # Errors
/// [`StoreError::Owned`] when another process does, or the file cannot be made.
pub(super) fn by_file(
    store: &Path,
    run: &RunId,
    failed: &dyn Fn(std::io::Error) -> StoreError,
) -> Result<Owner, StoreError> {
    let path = place(store, run);
    loop {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = options.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut by = String::new();
                // An owner that has only just begun has not said yet who it is.
                let known = file.read_to_string(&mut by).is_ok() && !by.is_empty();
                let by = if known { by } else { "another process".to_owned() };
                return Err(StoreError::Owned { run: run.clone(), by });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // The owner before may have taken the name away between opening and locking: then this is a file without name.
        if !is_at(&file, &path) {
            continue;
        }
        file.set_len(0).and_then(|()| file.write_all(sys::env::this_process().as_bytes())).map_err(failed)?;
        return Ok(Owner(Held::File { _locked: file, path }));
    }
}

/// Owns a run of a store in memory.
///
/// # Errors
/// [`StoreError::Owned`] when somebody does.
pub(super) fn in_memory(owned: &Arc<Owned>, run: &RunId) -> Result<Owner, StoreError> {
    let mut list = owned.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, by)) = list.iter().find(|(owned, _)| owned == run) {
        return Err(StoreError::Owned { run: run.clone(), by: by.clone() });
    }
    list.push((run.clone(), sys::env::this_process()));
    Ok(Owner(Held::Here { owned: Arc::clone(owned), run: run.clone() }))
}

impl Drop for Owner {
    fn drop(&mut self) {
        match &self.0 {
            // A name that cannot be taken away does no harm: the next owner locks the same file.
            Held::File { path, .. } => drop(std::fs::remove_file(path)),
            Held::Here { owned, run } => {
                owned.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(owned, _)| owned != run);
            }
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(named)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

/// Names the lock file. A run's name is in the hands of whoever wrote the record: one that is no plain word is hashed.
fn place(store: &Path, run: &RunId) -> PathBuf {
    use sha2::Digest as _;
    let name = run.as_str();
    let plain = name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let name = if plain { name.to_owned() } else { hex(&sha2::Sha256::digest(name).into()) };
    let mut path = store.as_os_str().to_owned();
    path.push(format!("-owner-{name}"));
    PathBuf::from(path)
}
