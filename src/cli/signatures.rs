//! The signatures of a run as files, for `ssh-keygen` alone.

use std::path::Path;

use anyhow::Context;

use crate::record::RunRecord;
use crate::report::view::people::file_name;
use crate::signoff::sign::command::verify_command;

use super::{Result, carry, signers, stdio};

/// Writes each signature and the text that it covers into a folder, and prints the commands that verify them there.
pub(super) fn write(record: &RunRecord, folder: &Path) -> Result<u8> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let allowed = signers::file_of(None, record).map_or_else(|| "allowed_signers".to_owned(), |p| absolute(&p));
    for (_, signature) in &record.signatures {
        let name = file_name(signature);
        let put =
            |name: &str, text: &str| carry::write_whole(&folder.join(name), &|out| Ok(out.write_all(text.as_bytes())?));
        put(&name, &signature.text)?;
        put(&format!("{name}.sig"), &signature.armour)?;
        stdio::print(&format!("{}\n", verify_command(signature, &allowed, &name)));
    }
    let count = record.signatures.len();
    stdio::say(&format!(
        "wrote {count} signatures to {0}; verify them in {0}, with the commands above",
        folder.display()
    ));
    Ok(0)
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
