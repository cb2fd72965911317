//! What follows from a look.

use serde::{Deserialize, Serialize};

use super::{Origin, Outcome};

/// What follows from one look, or from a window of looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// One line that says why, for everything but a plain pass.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Each assertion and how it came out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Makes a verdict with a reason and no findings.
    pub fn of(outcome: Outcome, summary: impl Into<String>) -> Self {
        Self { outcome, summary: summary.into(), findings: Vec::new() }
    }
}

/// One assertion and how it came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was asserted about: `latency`, `json[$.status]`, or the expression of a `that`.
    pub subject: String,
    /// What must hold, in words: `< 500ms`.
    pub expected: String,
    /// What was there, in words: `812ms`, `missing: no field "status"`.
    pub observed: String,
    /// How it came out: pass, warn, fail or inconclusive.
    pub outcome: Outcome,
    /// Where the assertion is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The measured number, where there is exactly one: for charts and properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The limit as a number, where there is exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}
