//! The digest chain: each event's digest covers the one before it, so the last digest stands for the whole run.
//!
//! The digest of event n is the SHA-256 over the digest of event n − 1 in hexadecimal, a newline, and the text of
//! event n exactly as it is stored. Before the first event stands the digest of `holdpoint-record-1` followed by the
//! run's name, so that the events of one run cannot pass for another's. Whoever has the head can tell any change;
//! whoever has only the events can tell every change but a cut tail.

use sha2::{Digest as _, Sha256};

use super::Head;
use crate::model::RunId;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The end of a chain, to which events are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    seq: u64,
    digest: Digest,
}

impl Chain {
    /// Begins the chain of a run.
    pub fn begin(run: &RunId) -> Self {
        let start = Sha256::new().chain_update("holdpoint-record-1").chain_update(run.as_str());
        Self { seq: 0, digest: start.finalize().into() }
    }

    /// Goes on where a chain ended.
    pub fn at(seq: u64, digest: Digest) -> Self {
        Self { seq, digest }
    }

    /// Adds the stored text of the next event and returns its digest.
    pub fn add(&mut self, json: &str) -> Digest {
        let mut previous = [b'\n'; 65];
        write_hex(&self.digest, &mut previous);
        self.digest = Sha256::new().chain_update(previous).chain_update(json).finalize().into();
        self.seq += 1;
        self.digest
    }

    /// Adds the stored text of an event that claims this number and digest.
    ///
    /// # Errors
    /// Names the event when it is not the next one, or not the one that was recorded.
    pub fn check(&mut self, seq: u64, json: &str, digest: &Digest) -> Result<(), ChainError> {
        let next = self.seq + 1;
        if seq != next {
            return Err(ChainError { seq: next, what: format!("event {seq} stands in its place") });
        }
        if self.add(json) != *digest {
            return Err(ChainError { seq, what: "its digest does not match its text and the events before it".into() });
        }
        Ok(())
    }

    /// Returns the number of the last event, 0 before the first.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns the digest of the last event.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the end of the chain in the form in which it is shown.
    pub fn head(&self) -> Head {
        Head { seq: self.seq, digest: hex(&self.digest) }
    }
}

/// Says which event broke the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq}: {what}")]
pub struct ChainError {
    /// The number of the first event that is not what was recorded.
    pub seq: u64,
    /// What is wrong with it.
    pub what: String,
}

/// Verifies the chain of a whole run and returns its head. Each line is the digest in hexadecimal and the stored text.
///
/// # Errors
/// Names the first event that was changed, dropped, swapped or inserted.
pub fn verify<'a>(run: &RunId, lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Head, ChainError> {
    let mut chain = Chain::begin(run);
    for (digest, json) in lines {
        let seq = chain.seq() + 1;
        let digest = from_hex(digest).ok_or_else(|| ChainError { seq, what: "its digest is malformed".into() })?;
        chain.check(seq, json, &digest)?;
    }
    Ok(chain.head())
}

/// Writes a digest in hexadecimal.
pub fn hex(digest: &Digest) -> String {
    let mut out = [0; 64];
    write_hex(digest, &mut out);
    out.iter().map(|b| char::from(*b)).collect()
}

/// Reads a digest of 64 lower-case hexadecimal digits. There is one spelling only, so that a changed one is noticed.
pub fn from_hex(text: &str) -> Option<Digest> {
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(digest)
}

fn write_hex(digest: &Digest, out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in digest.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> RunId {
        RunId::new("r1")
    }

    fn lines(texts: &[&str]) -> Vec<(String, String)> {
        let mut chain = Chain::begin(&run());
        texts.iter().map(|text| (hex(&chain.add(text)), (*text).to_owned())).collect()
    }

    fn broken_at(lines: &[(String, String)]) -> u64 {
        verify(&run(), lines.iter().map(|(d, t)| (d.as_str(), t.as_str()))).unwrap_err().seq
    }

    #[test]
    fn the_digest_is_the_documented_one() {
        let first = Sha256::digest("holdpoint-record-1r1");
        let expected: Digest = Sha256::digest(format!("{}\n{{}}", hex(&first.into()))).into();
        assert_eq!(lines(&["{}"])[0].0, hex(&expected));
        assert_eq!(from_hex(&hex(&expected)), Some(expected));
        assert_eq!(from_hex(&hex(&expected).to_uppercase()), None);
    }

    #[test]
    fn every_kind_of_damage_is_named_by_its_event() {
        let good = lines(&["a", "b", "c", "d"]);
        let head = verify(&run(), good.iter().map(|(d, t)| (d.as_str(), t.as_str()))).unwrap();
        assert_eq!((head.seq, &head.digest), (4, &good[3].0));

        let mut changed = good.clone();
        changed[2].1 = "C".into();
        assert_eq!(broken_at(&changed), 3);
        let mut dropped = good.clone();
        dropped.remove(1);
        assert_eq!(broken_at(&dropped), 2);
        let mut swapped = good.clone();
        swapped.swap(1, 2);
        assert_eq!(broken_at(&swapped), 2);
        let mut inserted = good.clone();
        inserted.insert(3, good[0].clone());
        assert_eq!(broken_at(&inserted), 4);
        let mut digest = good;
        digest[0].0.replace_range(5..6, "x");
        assert_eq!(broken_at(&digest), 1);
    }

    #[test]
    fn the_events_of_one_run_are_not_anothers() {
        let lines = lines(&["a"]);
        let other = verify(&RunId::new("r2"), lines.iter().map(|(d, t)| (d.as_str(), t.as_str())));
        assert_eq!(other.unwrap_err().seq, 1);
    }
}
