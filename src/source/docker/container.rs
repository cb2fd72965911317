//! What an engine says of a container: the answer to `GET /containers/{id}/json`.

use chrono::{DateTime, Datelike, Utc};
use serde_json::Value;

/// A container as the engine describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without the slash before it.
    pub name: String,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub status: String,
    /// What its health check says.
    pub health: Health,
    /// How often the engine has started it again.
    pub restarts: u64,
    /// The image as whoever made the container named it.
    pub image: String,
    /// The exit code of its last end; 0 while it never ended.
    pub exit_code: i64,
    /// Whether the last end came for want of memory.
    pub oom_killed: bool,
    /// When it was started last; nothing for one that never was.
    pub started: Option<DateTime<Utc>>,
    /// Whether it has a terminal: its log is then one stream, without frames.
    pub tty: bool,
}

/// What a health check says, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It failed too often in a row.
    Unhealthy,
    /// It has not passed yet.
    Starting,
    /// There is no health check.
    None,
    /// It passes.
    Healthy,
}

impl Health {
    /// Returns the engine's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Health::Unhealthy => "unhealthy",
            Health::Starting => "starting",
            Health::None => "none",
            Health::Healthy => "healthy",
        }
    }

    fn read(value: Option<&Value>) -> Option<Self> {
        match value.and_then(|health| health.get("Status")).map_or(Some(""), Value::as_str)? {
            "" | "none" => Some(Health::None),
            "starting" => Some(Health::Starting),
            "healthy" => Some(Health::Healthy),
            "unhealthy" => Some(Health::Unhealthy),
            // A word of a later version: nobody knows what it means.
            _ => None,
        }
    }
}

impl Container {
    /// Tells whether it does its work: neither stopped, nor paused, nor about to be started once more.
    pub fn is_running(&self) -> bool {
        self.status == "running"
    }
}

/// Reads the answer; nothing when it is no description of a container.
pub(super) fn read(value: &Value) -> Option<Container> {
    let state = value.get("State")?;
    let text = |value: &Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
    let config = value.get("Config")?;
    Some(Container {
        id: text(value, "Id").filter(|id| super::is_name(id))?,
        name: text(value, "Name")?.trim_start_matches('/').to_owned(),
        status: text(state, "Status")?,
        health: Health::read(state.get("Health").filter(|health| !health.is_null()))?,
        restarts: value.get("RestartCount")?.as_u64()?,
        image: text(config, "Image")?,
        exit_code: state.get("ExitCode")?.as_i64()?,
        oom_killed: state.get("OOMKilled")?.as_bool()?,
        started: started(state.get("StartedAt")?.as_str()?)?,
        tty: config.get("Tty").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// Reads a time; the year 1 stands for never.
fn started(text: &str) -> Option<Option<DateTime<Utc>>> {
    if text.is_empty() {
        return Some(None);
    }
    let at = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    Some((at.year() > 1).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        json!({
            "Id": "8dfafdbc3a40", "Name": "/app", "RestartCount": 2, "Image": "sha256:72297848456d",
            "State": {
                "Status": "running", "Running": true, "ExitCode": 0, "OOMKilled": false,
                "StartedAt": "2026-11-20T18:37:15.123456789Z", "Health": { "Status": "healthy", "FailingStreak": 0 },
            },
            "Config": { "Image": "shop/app:1.2.3", "Tty": false },
        })
    }

    #[test]
    fn the_answer_of_the_documentation_is_read() {
        let container = read(&answer()).expect("a container");
        assert_eq!((container.name.as_str(), container.restarts, container.health), ("app", 2, Health::Healthy));
        assert!(container.is_running() && container.started.is_some() && !container.tty);
        let mut never = answer();
        never["State"] =
            json!({ "Status": "created", "ExitCode": 0, "OOMKilled": false, "StartedAt": "0001-01-01T00:00:00Z" });
        let never = read(&never).expect("a container");
        assert_eq!((never.started, never.health, never.is_running()), (None, Health::None, false));
    }

    #[test]
    fn what_is_missing_or_unknown_is_no_container() {
        for key in ["Id", "Name", "RestartCount", "State", "Config"] {
            let mut cut = answer();
            cut.as_object_mut().expect("an object").remove(key);
            assert_eq!(read(&cut), None, "{key}");
        }
        let mut odd = answer();
        odd["State"]["Health"]["Status"] = json!("fine");
        assert_eq!(read(&odd), None);
    }
}
