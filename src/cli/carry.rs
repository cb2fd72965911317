//! Carrying a document to its file: whole or not at all.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Result;

/// Writes a file through a temporary one beside it: filled, synced, renamed. A link stays one; a pipe or a device is
/// written into.
pub(crate) fn write_whole(path: &Path, fill: &dyn Fn(&mut dyn Write) -> Result<()>) -> Result<()> {
    if is_special(path) {
        let mut out = std::io::BufWriter::new(std::fs::OpenOptions::new().write(true).open(path)?);
        fill(&mut out)?;
        return Ok(out.flush()?);
    }
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = beside(&target);
    let result = write_and_rename(&temporary, &target, fill);
    if result.is_err() {
        // What could not be finished is not left lying about.
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

fn write_and_rename(temporary: &Path, path: &Path, fill: &dyn Fn(&mut dyn Write) -> Result<()>) -> Result<()> {
    let file = create(temporary, path)?;
    let mut out = std::io::BufWriter::with_capacity(1 << 16, file);
    fill(&mut out)?;
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(std::fs::rename(temporary, path)?)
}

/// Finds out whether a file can be written, without leaving anything behind.
pub(crate) fn try_out(path: &Path) -> std::io::Result<()> {
    if is_special(path) {
        // A pipe is not opened: that would wait for its reader.
        return Ok(());
    }
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let probe = beside(&target);
    create(&probe, &target)?;
    std::fs::remove_file(&probe)
}

/// Makes a new file that its owner alone may read, or whoever may read the one that it replaces.
fn create(temporary: &Path, target: &Path) -> std::io::Result<std::fs::File> {
    let mode = std::fs::metadata(target).map_or(0o600, |meta| meta.permissions().mode() & 0o777);
    std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)
}

/// Tells whether something is there that is neither a file nor a folder.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// Names a temporary file beside another.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let random = RandomState::new().build_hasher().finish();
    path.with_file_name(format!(".{name}.{random:016x}.tmp"))
}
