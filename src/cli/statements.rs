//! `export --as in-toto|summary`: what a run says to machines elsewhere, signed where a key is named.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::attestation::{Source, Subject, dsse, statement, summary};
use crate::record::{RunRecord, format};
use crate::signoff;
use crate::signoff::sign::Signer;
use crate::sys::env::Env;

use super::args::{ExportArgs, ExportKind};
use super::past::{Origin, find_record};
use super::{Result, carry, signers, stdio};

pub(super) fn main(args: &ExportArgs) -> Result<u8> {
    let subjects = args.subjects.iter().map(|text| Subject::parse(text)).collect::<std::result::Result<Vec<_>, _>>();
    let subjects = subjects.map_err(anyhow::Error::msg)?;
    let (record, origin) = find_record(&args.run, &args.store.store)?;
    let export = digest(&record, &origin, &args.run)?;
    let ruling = signoff::decide_against(&record, &[], signers::at_hand(&record).as_ref(), Utc::now());
    let source =
        Source { record: &record, ruling: &ruling, export: &export, subjects: &subjects, url: args.url.as_deref() };
    let env = Env::of_process();
    let signer = args.sign.as_deref().map(|key| signers::signer(Some(key), &env, None)).transpose()?;
    if let (Some(path), Some(signer)) = (&args.public_key, &signer) {
        let pem = signer.key().pem().ok_or_else(|| anyhow::anyhow!("this kind of key has no form but that of SSH"))?;
        write(Some(path), &pem)?;
    }
    match args.kind {
        ExportKind::InToto => in_toto(&statement::statement(&source), signer.as_ref(), args.output.as_deref())?,
        ExportKind::Summary => short(&summary::summary(&source), signer.as_ref(), args.output.as_deref())?,
        ExportKind::Record => {}
    }
    Ok(0)
}

/// Computes the SHA-256 of the exported record, as `sha256sum` does of its file.
fn digest(record: &RunRecord, origin: &Origin, name: &str) -> Result<String> {
    let mut hasher = Hasher(Sha256::new());
    match origin {
        Origin::Store(store) => {
            format::export(&**store, &record.run, &mut hasher)?;
        }
        Origin::File => {
            std::io::copy(&mut File::open(name)?, &mut hasher)?;
        }
    }
    Ok(hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Takes what is written into a digest.
struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes the statement as it is, or in its envelope when it is signed.
fn in_toto(statement: &Value, signer: Option<&Signer>, output: Option<&Path>) -> Result<()> {
    let Some(signer) = signer else { return write(output, &pretty(statement)?) };
    let payload = serde_json::to_vec(statement)?;
    let signature = signer.sign_raw(&dsse::covered(&payload))?;
    write(output, &pretty(&dsse::envelope(&payload, &signer.key().fingerprint(), &signature))?)
}

/// Writes the summary, and its signature beside it.
fn short(summary: &Value, signer: Option<&Signer>, output: Option<&Path>) -> Result<()> {
    let text = pretty(summary)?;
    let Some(signer) = signer else { return write(output, &text) };
    let Some(path) = output else {
        anyhow::bail!("the signature of a summary stands in a file beside it: say where with --output FILE")
    };
    let armour = signer.sign(&text)?;
    let beside = PathBuf::from(format!("{}.sig", path.display()));
    write(Some(path), &text)?;
    write(Some(&beside), &armour)?;
    let (file, signature) = (path.display(), beside.display());
    stdio::say(&format!(
        "check it with: ssh-keygen -Y verify -f ALLOWED_SIGNERS -I WHO -n holdpoint -s {signature} < {file}"
    ));
    Ok(())
}

fn pretty(value: &Value) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

fn write(path: Option<&Path>, text: &str) -> Result<()> {
    let Some(path) = path else {
        stdio::print(text);
        return Ok(());
    };
    carry::write_whole(path, &|out| Ok(out.write_all(text.as_bytes())?))?;
    stdio::say(&format!("wrote {}", path.display()));
    Ok(())
}
