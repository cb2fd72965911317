//! What one look found. A probe makes it; it never decides.

use serde::{Deserialize, Serialize};

use super::Measures;

/// What one look of a probe found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The resolved URL, query or command: what was asked, word for word.
    pub request: String,
    /// What was looked through, when that is not the service itself: `prometheus at http://localhost:9090 (3.5.0)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// What came of it.
    pub found: Found,
    /// Remarks of the back end or the probe: warnings of an API, a retry, an insecure connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Excerpts kept as evidence, bounded in size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

impl Observation {
    /// Makes an observation without notes and evidence.
    pub fn new(request: impl Into<String>, found: Found) -> Self {
        Self { request: request.into(), through: None, found, notes: Vec::new(), evidence: Vec::new() }
    }
}

/// What came of a look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It was measured.
    Measures(Measures),
    /// What is looked *at* does not answer: connection refused, no answer in time. A failure of the service.
    NoAnswer {
        /// Why, in one line.
        cause: String,
    },
    /// What is looked *through* does not answer, or the question was refused. Nothing is known of the service.
    CouldNotLook {
        /// Why, in one line.
        cause: String,
        /// Whether another attempt may help.
        retry: bool,
    },
    /// It was looked at, and what is there is not enough to say anything: samples that do not reach back far enough.
    NotEnough {
        /// Why, in one line.
        cause: String,
    },
    /// A person must answer first.
    Waiting {
        /// What the person is asked to do.
        instruction: String,
    },
}

impl Found {
    /// Makes a failure of looking that another attempt may mend.
    pub fn could_not_look(cause: impl Into<String>) -> Self {
        Found::CouldNotLook { cause: cause.into(), retry: true }
    }

    /// Makes a failure of looking that no attempt will mend.
    pub fn refused(cause: impl Into<String>) -> Self {
        Found::CouldNotLook { cause: cause.into(), retry: false }
    }
}

/// A remark that came with a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How much it matters.
    pub level: NoteLevel,
    /// The remark, in one line.
    pub text: String,
}

impl Note {
    /// Makes a remark for information.
    pub fn info(text: impl Into<String>) -> Self {
        Self { level: NoteLevel::Info, text: text.into() }
    }

    /// Makes a remark that a reader should see.
    pub fn warning(text: impl Into<String>) -> Self {
        Self { level: NoteLevel::Warning, text: text.into() }
    }
}

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteLevel {
    /// For information.
    Info,
    /// A reader should see it.
    Warning,
}

/// An excerpt kept with a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is: `body`, `stderr`, `matching lines`.
    pub title: String,
    /// The text, bounded in size.
    pub text: String,
    /// How many bytes were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// Begins the mark that stands in a text where bytes were left out; see [`left_out_mark`].
pub const LEFT_OUT: &str = "\n[… left out: ";

/// Makes the mark that stands in a text where bytes were left out, on a line of its own.
pub fn left_out_mark(bytes: u64) -> String {
    format!("{LEFT_OUT}{bytes} bytes …]\n")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}
