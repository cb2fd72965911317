//! What a value is held against when a limit is relative: `"<= 1.5x baseline"`, `"<= previous"`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{MeasureName, Value};

/// A value that was there before, with where it comes from; kept with the look that was held against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The word that stands for it in comparators.
    pub name: Against,
    /// The measure that it is a value of.
    pub measure: MeasureName,
    /// The value; `NoData` with the reason when there is none.
    pub value: Value,
    /// Where it comes from: `step p95-before, 21:04:10 UTC`.
    pub origin: String,
}

/// What a relative limit is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// What `baseline` of the step names.
    Baseline,
    /// The same step's value at the look before.
    Previous,
    /// The same step's value at its first look.
    Start,
}

impl Against {
    /// Returns the word in comparators.
    pub fn word(self) -> &'static str {
        match self {
            Against::Baseline => "baseline",
            Against::Previous => "previous",
            Against::Start => "start",
        }
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
