//! May we go? The ruling on a run.

use crate::model::Decision;

/// The decision on a run and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether it may go ahead.
    pub decision: Decision,
    /// Why, one line each; the weightiest first.
    pub reasons: Vec<String>,
}
