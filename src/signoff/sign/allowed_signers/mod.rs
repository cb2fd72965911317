//! The file that says whose key is whose: OpenSSH's allowed signers (ssh-keygen(1), ALLOWED SIGNERS), judged as
//! `ssh-keygen -Y verify` judges it.
//!
//! ```text
//! # people                options                                     key
//! carol@example.com       namespaces="holdpoint",valid-before="20270101Z" ssh-ed25519 AAAA… carol's laptop
//! *@example.com,!bob@example.com                                      ssh-rsa AAAA…
//! ```
//!
//! Keys of certificate authorities (`cert-authority`) are read and allow nobody: signatures made with a certificate
//! are not supported. A line that cannot be read allows nobody either, and is said.

mod entry;
mod pattern;
mod time;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::ssh::PublicKey;
use pattern::in_list;
pub use time::local_standard_time;

/// Turns a time without zone into one with: [`local_standard_time`], but for tests.
pub type Zone = fn(NaiveDateTime) -> Option<DateTime<Utc>>;

/// Whose key is whose.
#[derive(Clone, Debug, Default)]
pub struct AllowedSigners {
    entries: Vec<Entry>,
    mistakes: Vec<Mistake>,
}

/// One line.
#[derive(Clone, Debug)]
struct Entry {
    line: usize,
    principals: String,
    key: PublicKey,
    authority: bool,
    namespaces: Option<String>,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

/// A line that cannot be read, or that allows nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Why a key does not speak for somebody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No line has this key for this person.
    #[error("no line gives {principal} the key {key}")]
    Unknown {
        /// Who.
        principal: String,
        /// The fingerprint.
        key: String,
    },
    /// There is a line, and it is not for this.
    #[error("line {line} does not allow the key for {namespace:?}")]
    Namespace {
        /// The line.
        line: usize,
        /// What for.
        namespace: String,
    },
    /// There is a line, and it did not act yet.
    #[error("line {line} allows the key from {} on only", .after.format("%Y-%m-%d %H:%M:%S UTC"))]
    Early {
        /// The line.
        line: usize,
        /// From when on.
        after: DateTime<Utc>,
    },
    /// There is a line, and it acted no more.
    #[error("line {line} allowed the key until {} only", .before.format("%Y-%m-%d %H:%M:%S UTC"))]
    Late {
        /// The line.
        line: usize,
        /// Until when.
        before: DateTime<Utc>,
    },
}

impl AllowedSigners {
    /// Reads a file. Lines that cannot be read are among [`AllowedSigners::mistakes`] and allow nobody.
    pub fn parse(bytes: &[u8], zone: Zone) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut signers = Self::default();
        for (n, line) in (1..).zip(text.split('\n')) {
            match entry::parse(n, line, zone) {
                Ok(Some(entry)) => {
                    if entry.authority {
                        let what = "certificate authorities are not supported; list each person's own key".to_owned();
                        signers.mistakes.push(Mistake { line: n, what });
                    }
                    signers.entries.push(entry);
                }
                Ok(None) => {}
                Err(what) => signers.mistakes.push(Mistake { line: n, what }),
            }
        }
        signers
    }

    /// Returns the lines that allow nobody, and why.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Tells whether a key speaks for somebody at a time, as `ssh-keygen -Y verify -I principal` does.
    ///
    /// # Errors
    /// Says which line stands against it, or that there is none.
    pub fn allows(&self, principal: &str, key: &PublicKey, namespace: &str, at: DateTime<Utc>) -> Result<(), Refusal> {
        let mut refusal = Refusal::Unknown { principal: principal.to_owned(), key: key.fingerprint() };
        for entry in self.with(key).filter(|e| in_list(principal, &e.principals)) {
            match entry.permits(namespace, at) {
                Ok(()) => return Ok(()),
                Err(why) => refusal = why,
            }
        }
        Err(refusal)
    }

    /// Returns whom a key may speak for at a time: the names and patterns of the lines that have it.
    ///
    /// # Errors
    /// Says why there is nobody.
    pub fn principals(&self, key: &PublicKey, namespace: &str, at: DateTime<Utc>) -> Result<Vec<&str>, Refusal> {
        let mut names = Vec::new();
        let mut refusal = Refusal::Unknown { principal: "anybody".to_owned(), key: key.fingerprint() };
        for entry in self.with(key) {
            match entry.permits(namespace, at) {
                Ok(()) => names.extend(entry.principals.split(',').filter(|name| !name.is_empty())),
                Err(why) => refusal = why,
            }
        }
        names.dedup();
        if names.is_empty() { Err(refusal) } else { Ok(names) }
    }

    fn with<'a>(&'a self, key: &PublicKey) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| !entry.authority && entry.key == *key)
    }
}

/// Tells whether a name in the list of a line is a pattern and not somebody's name.
pub fn is_pattern(name: &str) -> bool {
    name.starts_with('!') || name.contains(['*', '?'])
}

impl Entry {
    /// Both ends of its time are allowed, to the second.
    fn permits(&self, namespace: &str, at: DateTime<Utc>) -> Result<(), Refusal> {
        let line = self.line;
        if self.namespaces.as_ref().is_some_and(|list| !in_list(namespace, list)) {
            return Err(Refusal::Namespace { line, namespace: namespace.to_owned() });
        }
        match (self.after, self.before) {
            (Some(after), _) if at.timestamp() < after.timestamp() => Err(Refusal::Early { line, after }),
            (_, Some(before)) if at.timestamp() > before.timestamp() => Err(Refusal::Late { line, before }),
            _ => Ok(()),
        }
    }
}
