//! Files kept as evidence, as lines of the portable file: `{"digest":"…","file":"…"}`.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::FormatError;
use crate::event::{Event, EventKind};
use crate::record::chain::hex;

const BEFORE: &str = r#"{"digest":""#;
const BETWEEN: &str = r#"","file":""#;
const AFTER: &str = r#""}"#;

/// The digests that the answers of a run name, in the order of their first naming.
#[derive(Debug, Default)]
pub struct Named {
    digests: Vec<String>,
    read: usize,
}

impl Named {
    /// Notes what an event names.
    pub fn note(&mut self, event: &Event) {
        if let EventKind::Answered { answer, .. } = &event.kind {
            for file in &answer.evidence {
                if !self.digests.contains(&file.digest) {
                    self.digests.push(file.digest.clone());
                }
            }
        }
    }

    /// Notes what an event names, given its text.
    pub(super) fn note_text(&mut self, json: &str) {
        // Only answers name files; the others need not be read.
        if let Some(event) = json.contains(r#""event":"answered""#).then(|| serde_json::from_str(json).ok()).flatten() {
            self.note(&event);
        }
    }

    /// Walks over the digests.
    pub fn digests(&self) -> impl Iterator<Item = &str> {
        self.digests.iter().map(String::as_str)
    }

    /// Returns the first that was not read.
    pub(super) fn missing(&self) -> Option<&str> {
        self.digests.get(self.read).map(String::as_str)
    }
}

/// Writes the line of a file.
pub(super) fn write(digest: &str, bytes: &[u8], out: &mut dyn Write) -> Result<(), FormatError> {
    writeln!(out, "{BEFORE}{digest}{BETWEEN}{}{AFTER}", STANDARD.encode(bytes)).map_err(FormatError::Write)
}

/// Reads the line of the next file that is named, and verifies it.
pub(super) fn read(line: &str, named: &mut Named) -> Result<Vec<u8>, String> {
    let Some(next) = named.missing() else {
        return Err("no answer names what stands here; the file was edited, export the run again".into());
    };
    let text = line
        .strip_prefix(BEFORE)
        .and_then(|rest| rest.strip_prefix(next)?.strip_prefix(BETWEEN)?.strip_suffix(AFTER))
        .ok_or_else(|| format!("the kept file {next} is not here; the record was edited, export the run again"))?;
    let bytes =
        STANDARD.decode(text).map_err(|e| format!("the kept file {next} is damaged: {e}; export the run again"))?;
    if hex(&Sha256::digest(&bytes).into()) != next {
        return Err(format!("the kept file {next} is not what was put there; export the run again"));
    }
    named.read += 1;
    Ok(bytes)
}
