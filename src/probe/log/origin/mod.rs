//! Logs that are kept by something that must be asked for them: a journal, a container engine, a log store. One file
//! an origin, and [`ORIGINS`], the table, from which the keys of a log come.
//!
//! An origin sends bytes as they come; the scanner looks through them as through any other log. It is told what is
//! wanted (`since`, `tail`) so that it can ask for less; the scanner chooses by the same once more.

mod docker;
mod github;
mod journald;
mod kubernetes;
pub(super) mod loki;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use crate::model::Note;
use crate::probe::{Compiling, Look};
use crate::shape::Field;
use crate::source::Failure;
use crate::template::Scope;
use crate::yaml::Node;

/// Every origin, in the order of the manual.
pub const ORIGINS: &[&OriginKind] = &[&kubernetes::KIND, &docker::KIND, &github::KIND, &journald::KIND, &loki::KIND];

/// A kind of origin.
pub struct OriginKind {
    /// The key under `log`, with the form of its value and what it means.
    pub field: Field,
    /// Its part of the manual page of `log`, in Markdown, ending with a newline: an example, what is an error, the
    /// source of the protocol.
    pub manual: &'static str,
    /// Turns what was written into an origin. `node` is the value under the key, and has passed the field's shape.
    /// Nothing when a mistake was said.
    pub compile: fn(&mut Compiling<'_, '_>, &Node) -> Option<Box<dyn Origin>>,
}

/// What is wanted of a log.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Lines written before are not looked at.
    pub since: Option<DateTime<Utc>>,
    /// Lines written after must not be sent: the past time that is asked about. Only origins that
    /// [`Origin::can_look_back`] get one.
    pub until: Option<DateTime<Utc>>,
    /// Only so many of the last lines are looked at, of each log.
    pub tail: Option<u64>,
    /// How long everything may take.
    pub timeout: Duration,
}

/// What is known once everything was sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Who was asked: `loki at http://localhost:3100`.
    pub through: Option<String>,
    /// Remarks.
    pub notes: Vec<Note>,
    /// Why what was sent may not be all that was wanted; what is counted in it says nothing then.
    pub partial: Option<String>,
}

/// Something that keeps logs and can be asked for one.
#[async_trait]
pub trait Origin: fmt::Debug + Send + Sync {
    /// Says in a few words which log it is, templates unfilled: `the journal of app.service`.
    fn describe(&self) -> String;

    /// Names whom it will ask (`host:port`), for limits per host. Nothing when it asks nobody.
    fn host(&self, _scope: &Scope) -> Option<String> {
        None
    }

    /// Names the source that it asks.
    fn source(&self) -> Option<&str> {
        None
    }

    /// Tells whether it runs a command that `--read-only` must refuse.
    fn runs_commands(&self) -> bool {
        false
    }

    /// Returns how much longer than its time it may take to end what it started.
    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    /// Tells whether it can send the log as it was at a past time.
    fn can_look_back(&self) -> bool {
        false
    }

    /// Tells whether each line that it sends begins with the time at which it was kept, as RFC 3339 writes it, and a
    /// space. Both are taken off before the line is looked at.
    fn is_stamped(&self) -> bool {
        false
    }

    /// Tells whether it keeps several logs and sends the last lines of each, so that they are not chosen once more among
    /// the lines of all.
    fn takes_tails(&self) -> bool {
        false
    }

    /// Says what it will ask, word for word.
    ///
    /// # Errors
    /// Says what keeps it from asking: a template that cannot be filled.
    fn request(&self, look: &Look<'_>, wanted: &Wanted) -> Result<String, Failure>;

    /// Sends the log, whole lines or not, until its end or until nobody takes it: that is no failure.
    ///
    /// # Errors
    /// Says why there is no log, or not all of it. A log that is not there is a failure, never an empty log.
    async fn pump(&self, look: &Look<'_>, wanted: &Wanted, to: mpsc::Sender<Bytes>) -> Result<Sent, Failure>;
}

/// Writes a line as an origin that [`Origin::is_stamped`] sends it; of a text of several lines each gets the time.
pub fn stamped(out: &mut Vec<u8>, at: DateTime<Utc>, text: &[u8]) {
    let stamp = at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    for line in text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n') {
        out.extend_from_slice(stamp.as_bytes());
        out.push(b' ');
        out.extend_from_slice(line);
        out.push(b'\n');
    }
}
