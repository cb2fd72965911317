//! What became of a step.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a step. *Failed*, *could not look* and *not enough to say* are three different words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Looked, and it is as expected.
    Pass,
    /// Looked, and something that should hold does not.
    Warn,
    /// Looked, and it is wrong.
    Fail,
    /// Could not look.
    Error,
    /// Looked, but there is not enough to say.
    Inconclusive,
    /// Waits for a person, for consent or for time.
    Pending,
    /// Not run, with the reason.
    Skipped,
    /// A person said that it does not apply, with the reason.
    NotApplicable,
}

impl Outcome {
    /// All outcomes, in the order in which reports count them.
    pub const ALL: [Outcome; 8] = [
        Outcome::Pass,
        Outcome::Warn,
        Outcome::Fail,
        Outcome::Error,
        Outcome::Inconclusive,
        Outcome::Pending,
        Outcome::Skipped,
        Outcome::NotApplicable,
    ];

    /// Returns the word used in every document.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Fail => "fail",
            Outcome::Error => "error",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Pending => "pending",
            Outcome::Skipped => "skipped",
            Outcome::NotApplicable => "not-applicable",
        }
    }

    /// Tells whether what needs this step may go ahead.
    pub fn satisfies(self) -> bool {
        matches!(self, Outcome::Pass | Outcome::Warn | Outcome::NotApplicable)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
