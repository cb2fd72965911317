//! An `ssh-agent` as a signer: the keys stay where they are, with their passphrases and their hardware.
//!
//! The protocol is that of draft-ietf-sshm-ssh-agent: two questions, the list of keys and one signature.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ssh::{PublicKey, SignError};
use crate::sys::agent::ask;

const LIST: u8 = 11;
const LIST_ANSWER: u8 = 12;
const SIGN: u8 = 13;
const SIGN_ANSWER: u8 = 14;

/// Asks for SHA-512 where the key is RSA; other keys take no notice.
const RSA_SHA2_512: u32 = 4;

/// How long the agent may take to list its keys.
const TO_LIST: Duration = Duration::from_secs(15);

/// How long it may take to sign: it may ask for a touch or a confirmation.
const TO_SIGN: Duration = Duration::from_secs(180);

/// An agent that listens on a socket.
#[derive(Clone, Debug)]
pub struct Agent {
    socket: PathBuf,
}

/// A key of an agent.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The key.
    pub key: PublicKey,
    /// What its owner called it.
    pub comment: String,
}

impl Agent {
    /// Names the agent on a socket; nothing is asked yet.
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Lists the keys that the agent can sign with. Kinds of keys that are not known here are left out.
    ///
    /// # Errors
    /// Nobody listens, or the answer makes no sense.
    pub fn identities(&self) -> Result<Vec<Identity>, SignError> {
        let answer = self.ask(&[LIST], TO_LIST)?;
        let mut rest = answer.strip_prefix(&[LIST_ANSWER]).ok_or_else(|| self.odd("it does not list its keys"))?;
        let count = u32::from_be_bytes(take(&mut rest).ok_or_else(|| self.odd("the list of keys is cut"))?);
        let mut all = Vec::new();
        for _ in 0..count {
            let blob = text(&mut rest).ok_or_else(|| self.odd("the list of keys is cut"))?;
            let comment = text(&mut rest).ok_or_else(|| self.odd("the list of keys is cut"))?;
            if let Ok(key) = PublicKey::from_blob(blob) {
                all.push(Identity { key, comment: String::from_utf8_lossy(comment).into_owned() });
            }
        }
        Ok(all)
    }

    /// Has the agent sign `data` and returns the raw signature.
    ///
    /// # Errors
    /// Nobody listens, or the agent declines.
    pub(super) fn sign(&self, key: &PublicKey, data: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut message = vec![SIGN];
        put(&mut message, &key.blob()?);
        put(&mut message, data);
        message.extend(RSA_SHA2_512.to_be_bytes());
        let answer = self.ask(&message, TO_SIGN)?;
        let declined = || SignError::Declined { key: key.fingerprint() };
        let mut rest = answer.strip_prefix(&[SIGN_ANSWER]).ok_or_else(declined)?;
        text(&mut rest).map(<[u8]>::to_vec).ok_or_else(|| self.odd("the signature is cut"))
    }

    fn ask(&self, message: &[u8], patience: Duration) -> Result<Vec<u8>, SignError> {
        ask(&self.socket, message, patience).map_err(|e| self.odd(&e.to_string()))
    }

    fn odd(&self, what: &str) -> SignError {
        SignError::Agent { socket: self.socket.display().to_string(), what: what.to_owned() }
    }
}

/// Appends a string with its length before it.
pub(super) fn put(out: &mut Vec<u8>, text: &[u8]) {
    // Nothing that is signed or that an agent takes comes near this length.
    out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(text);
}

fn take(rest: &mut &[u8]) -> Option<[u8; 4]> {
    let (first, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(*first)
}

/// Takes a string with its length before it.
pub(super) fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_be_bytes(take(rest)?)).ok()?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(text)
}
