//! Carrying a document to its file: whole or not at all.

use std::io::Write;
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
    let file = std::fs::File::create(temporary)?;
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
    std::fs::File::create(&probe)?;
    std::fs::remove_file(&probe)
}

/// Tells whether something is there that is neither a file nor a folder.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// Names a temporary file beside another.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}
