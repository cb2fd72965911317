//! Carrying a document to its file: whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::Result;

/// Writes a file through a temporary one beside it: filled, synced, renamed.
pub(crate) fn write_whole(path: &Path, fill: &dyn Fn(&mut dyn Write) -> Result<()>) -> Result<()> {
    let temporary = beside(path);
    let result = write_and_rename(&temporary, path, fill);
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

/// Names a temporary file beside another.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}
