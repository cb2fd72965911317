//! A failure that somebody answers for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::StepId;

/// Lets a known failure pass the gate for a while. It never changes the step's outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiver {
    /// The step whose failure is waived.
    pub step: StepId,
    /// Why that is acceptable.
    pub reason: String,
    /// Who answers for it.
    pub approved_by: String,
    /// What could come of it, in the words of whoever answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
    /// Where the mending is tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// When it begins to act.
    pub from: DateTime<Utc>,
    /// When it ceases to act.
    pub until: DateTime<Utc>,
}

impl Waiver {
    /// Tells whether the waiver acts at `at`: from its first second, up to but not including its last.
    pub fn acts_at(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.until
    }
}
