//! What is wrong with the sample service: each flaw has one symptom, so that mending it mends one thing.

use serde::{Deserialize, Serialize};

/// What is wrong with the sample service. By default nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flaws {
    /// The address of the cache is missing from its configuration: `/ready` answers 503 and names the cache.
    pub cache_unset: bool,
    /// Some requests are slow: `/api/orders` takes 400 ms more, the log has WARN lines about slow queries, and the
    /// histogram of durations shows it.
    pub slow: bool,
    /// `/health` answers 503 and says `degraded`.
    pub unhealthy: bool,
    /// `/version`, `/health` and `build_info` show 1.4.1 where 1.4.2 was deployed.
    pub stale_version: bool,
    /// One request in five ends with status 500.
    pub errors: bool,
    /// The log has ERROR lines.
    pub error_lines: bool,
    /// The last successful sync is longer and longer ago.
    pub stale_sync: bool,
    /// The memory in use grows by 1 MiB a second.
    pub leak: bool,
}

impl Flaws {
    /// Returns the flaws that the demo begins with: one that makes steps fail until the fix, and one warning that stays.
    pub fn demo() -> Self {
        Self { cache_unset: true, slow: true, ..Self::default() }
    }

    /// Returns these flaws without the one that the demo's fix removes.
    #[must_use]
    pub fn fixed(self) -> Self {
        Self { cache_unset: false, ..self }
    }

    /// Changes the flaws that a JSON object names: `{"slow": true}`.
    ///
    /// # Errors
    /// Says what is wrong with the JSON, and which flaws there are when a name is not one of them.
    pub(super) fn changed(self, json: &[u8]) -> Result<Self, serde_json::Error> {
        use serde::de::Error;
        let changes: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json)?;
        let serde_json::Value::Object(mut all) = serde_json::to_value(self)? else {
            return Err(serde_json::Error::custom("flaws are an object"));
        };
        all.extend(changes);
        serde_json::from_value(serde_json::Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_changes_what_it_names_and_nothing_else() {
        let flaws = Flaws::demo().changed(br#"{"cache_unset": false, "leak": true}"#).expect("valid");
        assert_eq!(flaws, Flaws { slow: true, leak: true, ..Flaws::default() });
        let error = flaws.changed(br#"{"slwo": true}"#).expect_err("not a flaw").to_string();
        assert!(error.contains("slwo") && error.contains("slow"), "{error}");
        assert!(flaws.changed(b"[]").is_err() && flaws.changed(b"{").is_err());
    }
}
