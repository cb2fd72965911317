//! The command with which `ssh-keygen` verifies a signature, without this program.

use super::{NAMESPACE, Statement};
use crate::event::Signature;

/// Words the command for a signature whose text is in the file `text` and whose armoured form is in `text.sig`, against
/// the file of allowed signers `allowed`. The keys of the file are judged as of the time of signing.
///
/// A signature that was never checked against allowed signers is only held against its own key.
pub fn verify_command(signature: &Signature, allowed: &str, text: &str) -> String {
    let (sig, text) = (quoted(&format!("{text}.sig")), quoted(text));
    if signature.by.is_empty() {
        return format!("ssh-keygen -Y check-novalidate -n {NAMESPACE} -s {sig} < {text}");
    }
    let time = Statement::parse(&signature.text).map(|s| s.at.format("-Overify-time=%Y%m%d%H%M%SZ ").to_string());
    let (time, who, allowed) = (time.unwrap_or_default(), quoted(&signature.by), quoted(allowed));
    format!("ssh-keygen -Y verify -f {allowed} -I {who} -n {NAMESPACE} {time}-s {sig} < {text}")
}

/// Quotes a word for the shell where that is needed.
fn quoted(word: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    match !word.is_empty() && !word.starts_with('-') && word.chars().all(bare) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
