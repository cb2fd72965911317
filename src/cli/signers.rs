//! Whose key is whose, and which key signs: the file of allowed signers, key files, the agent.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::{DateTime, Utc};

use crate::model::outline::Role;
use crate::record::RunRecord;
use crate::signoff::sign::agent::Identity;
use crate::signoff::sign::allowed_signers::{is_pattern, local_standard_time};
use crate::signoff::sign::{Agent, AllowedSigners, NAMESPACE, PublicKey, Signer};
use crate::sys::env::Env;

use super::{Result, stdio};

/// The largest key file or file of allowed signers that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// Finds the file of allowed signers: as named on the command line or by the environment, else by the checklist.
pub(super) fn file_of(named: Option<&Path>, record: &RunRecord) -> Option<PathBuf> {
    let of_checklist = || {
        let name = record.header.sign_rules.allowed_signers.as_deref()?;
        let beside = Path::new(&record.header.checklist.path).parent().unwrap_or_else(|| Path::new(""));
        Some(beside.join(name))
    };
    named.map(Path::to_owned).or_else(of_checklist)
}

/// Reads the file of allowed signers, where there is one to ask. Lines that cannot be read are said.
pub(super) fn read(path: Option<&Path>) -> Result<Option<AllowedSigners>> {
    let Some(path) = path else { return Ok(None) };
    let bytes = read_file(path).with_context(|| format!("the allowed signers {} cannot be read", path.display()))?;
    let signers = AllowedSigners::parse(&bytes, local_standard_time);
    for mistake in signers.mistakes() {
        stdio::say(&format!("warning: {}:{}: {}; the line allows nobody", path.display(), mistake.line, mistake.what));
    }
    Ok(Some(signers))
}

/// Reads the file of allowed signers for a look at a run, where it is at hand: `HOLDPOINT_ALLOWED_SIGNERS`, or the
/// checklist's own beside it. Where one is named and cannot be read, no signature counts, and that is said.
pub(super) fn at_hand(record: &RunRecord) -> Option<AllowedSigners> {
    if record.signatures.is_empty() {
        return None;
    }
    decisive(record)
}

/// Reads the file of allowed signers that decides for a run, whoever asks.
pub(super) fn decisive(record: &RunRecord) -> Option<AllowedSigners> {
    let named = std::env::var_os("HOLDPOINT_ALLOWED_SIGNERS").map(PathBuf::from);
    let path = file_of(named.as_deref(), record)?;
    let bytes = read_file(&path).unwrap_or_else(|error| {
        let what = format!("the allowed signers {} cannot be read ({error:#}), so no signature counts", path.display());
        stdio::say(&format!("warning: {what}; HOLDPOINT_ALLOWED_SIGNERS names the file where it lies elsewhere"));
        Vec::new()
    });
    Some(AllowedSigners::parse(&bytes, local_standard_time))
}

/// Finds the key to sign with: a file, a key of the agent by its fingerprint or comment, or the only key of the agent.
pub(super) fn signer(key: Option<&str>, env: &Env, signers: Option<&AllowedSigners>) -> Result<Signer> {
    match key {
        Some(name) if Path::new(name).exists() => of_file(Path::new(name), env),
        Some(name) => {
            let agent = agent(env).with_context(|| format!("there is no file {name}, and no agent to ask"))?;
            let identities = agent.identities()?;
            let found = identities.iter().find(|i| i.key.fingerprint() == name || i.comment == name);
            let found =
                found.with_context(|| format!("there is no file {name}, and the agent has {}", list(&identities)))?;
            Ok(Signer::of_agent(agent.clone(), found.key.clone()))
        }
        None => of_agent(env, signers),
    }
}

/// Tells who a key speaks for: by `--as`, by the members of the role, or because there is only one.
pub(super) fn principal(
    signers: &AllowedSigners,
    key: &PublicKey,
    named: Option<&str>,
    role: Option<&Role>,
    at: DateTime<Utc>,
) -> Result<String> {
    if let Some(name) = named {
        signers.allows(name, key, NAMESPACE, at)?;
        return Ok(name.to_owned());
    }
    let names = signers.principals(key, NAMESPACE, at)?;
    let allowed = |name: &&str| signers.allows(name, key, NAMESPACE, at).is_ok();
    let members: Vec<&str> = role.iter().flat_map(|role| &role.members).map(String::as_str).filter(allowed).collect();
    let own: Vec<&str> = names.iter().copied().filter(|name| !is_pattern(name)).filter(allowed).collect();
    match (members.as_slice(), own.as_slice()) {
        ([one], _) | ([], [one]) => Ok((*one).to_owned()),
        _ => anyhow::bail!("the key speaks for {}; say who signs with --as NAME", names.join(", ")),
    }
}

fn of_file(path: &Path, env: &Env) -> Result<Signer> {
    let unreadable = || format!("the key {} cannot be read", path.display());
    let text = String::from_utf8(read_file(path).with_context(unreadable)?).with_context(unreadable)?;
    if let Some(key) = PublicKey::from_line(&text) {
        let agent =
            agent(env).context("this is a public key: its private half must be in an agent, and there is none")?;
        let known = agent.identities()?.iter().any(|identity| identity.key == key);
        anyhow::ensure!(known, "the agent does not have the key {}; add it with ssh-add", key.fingerprint());
        return Ok(Signer::of_agent(agent, key));
    }
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        let mode = mode & 0o777;
        anyhow::bail!("others may read the key {} (mode {mode:o}); close it with chmod 600", path.display());
    }
    let question = format!("passphrase of {}: ", path.display());
    // Nothing to ask at, nothing to answer.
    let mut ask = || rpassword::prompt_password(&question).ok();
    Ok(Signer::of_private_key(&text, &mut ask)?)
}

fn of_agent(env: &Env, signers: Option<&AllowedSigners>) -> Result<Signer> {
    let agent = agent(env).context("which key? name one with --key FILE, or start an ssh-agent")?;
    let mut identities = agent.identities()?;
    if let Some(signers) = signers {
        identities.retain(|identity| signers.principals(&identity.key, NAMESPACE, Utc::now()).is_ok());
    }
    match identities.as_slice() {
        [one] => Ok(Signer::of_agent(agent, one.key.clone())),
        [] => anyhow::bail!("the agent has no key that may sign; add one with ssh-add, or name one with --key FILE"),
        many => anyhow::bail!("the agent has {}; name one with --key", list(many)),
    }
}

fn agent(env: &Env) -> Option<Agent> {
    env.get("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(|socket| Agent::at(Path::new(socket)))
}

fn list(identities: &[Identity]) -> String {
    if identities.is_empty() {
        return "no key".to_owned();
    }
    let all: Vec<_> = identities.iter().map(|i| format!("{} ({})", i.key.fingerprint(), i.comment)).collect();
    all.join(", ")
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(std::io::Error::other("it is not a file of reasonable size"));
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST), &mut bytes)?;
    Ok(bytes)
}
