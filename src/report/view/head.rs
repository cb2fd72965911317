//! The head of a report: who, what, when, where, with what.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::model::outline::{Appendix, InputShown, Role};
use crate::model::quantity;
use crate::record::RunRecord;

/// The head of a report. What the checklist does not say is empty text.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// The run's name.
    pub run: String,
    /// The checklist's title.
    pub name: String,
    /// Its file.
    pub path: String,
    /// The SHA-256 of the file.
    pub digest: String,
    /// The stage.
    pub stage: String,
    /// The service.
    pub service: String,
    /// What it is for.
    pub description: String,
    /// Who keeps it.
    pub owner: String,
    /// How risky it is.
    pub risk: String,
    /// Estimated durations.
    pub estimates: Vec<Pair>,
    /// Links.
    pub links: Vec<Pair>,
    /// The version of holdpoint.
    pub tool: String,
    /// The user who started the run.
    pub user: String,
    /// The host that looked.
    pub host: String,
    /// When it began, UTC.
    pub started: String,
    /// When it ended, UTC; empty when it never did.
    pub finished: String,
    /// How long it took, in words; empty when it never ended.
    pub took: String,
    /// What cut it short; empty when nothing did.
    pub interrupted: String,
    /// The options that change what is run or how it is judged.
    pub options: Vec<String>,
    /// Whether a warning is a no-go.
    pub strict: bool,
    /// The inputs in effect.
    pub inputs: Vec<InputView>,
    /// The inputs that say which version it is about.
    pub versions: Vec<InputView>,
    /// Roles that must sign.
    pub roles: Vec<RoleView>,
    /// Text and tables carried into the report.
    pub appendix: Vec<AppendixView>,
    /// How many events the record holds.
    pub events: u64,
    /// The digest of the last event, which stands for the whole record.
    pub record_digest: String,
}

/// A name and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// What belongs to it.
    pub value: String,
}

impl Pair {
    /// Makes a pair.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// An input as it is shown: never the value of a secret.
#[derive(Clone, Debug, Serialize)]
pub struct InputView {
    /// Its name.
    pub name: String,
    /// Its value as text; `***` for a secret.
    pub value: String,
    /// Whether a value was given at all.
    pub given: bool,
    /// Whether it is a secret.
    pub secret: bool,
    /// Where it came from.
    pub from: String,
}

/// A role that must sign.
#[derive(Clone, Debug, Serialize)]
pub struct RoleView {
    /// The role.
    pub role: String,
    /// How many must sign.
    pub needs: u32,
    /// Who may sign; empty when anybody may.
    pub members: Vec<String>,
}

/// A part of the appendix.
#[derive(Clone, Debug, Serialize)]
pub struct AppendixView {
    /// The heading.
    pub title: String,
    /// Markdown text; empty when there is none.
    pub text: String,
    /// The headings of a table; empty when there is none.
    pub columns: Vec<String>,
    /// The rows of the table.
    pub rows: Vec<Vec<String>>,
}

impl Head {
    pub(super) fn of(record: &RunRecord) -> Self {
        let header = &record.header;
        let checklist = &header.checklist;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let pairs = |map: &indexmap::IndexMap<String, String>| map.iter().map(|(k, v)| Pair::new(k, v)).collect();
        let inputs: Vec<_> = header.inputs.iter().map(input).collect();
        Self {
            run: record.run.to_string(),
            name: checklist.name.clone(),
            path: checklist.path.clone(),
            digest: checklist.digest.clone(),
            stage: text(&checklist.stage),
            service: text(&checklist.service),
            description: text(&checklist.description),
            owner: text(&checklist.owner),
            risk: text(&checklist.risk),
            estimates: pairs(&checklist.estimates),
            links: pairs(&checklist.links),
            tool: header.tool.clone(),
            user: header.user.clone(),
            host: header.host.clone(),
            started: moment(record.started),
            finished: record.finished.map(moment).unwrap_or_default(),
            took: record.took_ms.map(|ms| quantity::seconds(ms as f64 / 1e3)).unwrap_or_default(),
            interrupted: text(&record.interrupted),
            options: header.options.clone(),
            strict: header.strict,
            versions: inputs.iter().filter(|i| i.given && !i.secret && names_a_version(&i.name)).cloned().collect(),
            inputs,
            roles: header.roles.iter().map(role).collect(),
            appendix: header.appendix.iter().map(appendix).collect(),
            events: record.head.seq,
            record_digest: record.head.digest.clone(),
        }
    }
}

/// Prints a moment to the second, UTC.
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Prints a moment for machines.
pub fn machine_moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn input(shown: &InputShown) -> InputView {
    let value = match (&shown.value, shown.secret) {
        (None, _) => String::new(),
        (Some(_), true) => "***".to_owned(),
        (Some(serde_json::Value::String(text)), false) => text.clone(),
        (Some(other), false) => other.to_string(),
    };
    let (name, from) = (shown.name.clone(), shown.from.clone());
    InputView { name, value, given: shown.value.is_some(), secret: shown.secret, from }
}

fn names_a_version(name: &str) -> bool {
    let name = name.to_lowercase();
    ["version", "release", "tag", "image", "commit", "revision"].iter().any(|word| name.contains(word))
}

fn role(role: &Role) -> RoleView {
    RoleView { role: role.role.clone(), needs: role.needs, members: role.members.clone() }
}

fn appendix(part: &Appendix) -> AppendixView {
    let table = part.table.clone().unwrap_or_default();
    AppendixView {
        title: part.title.clone(),
        text: part.text.clone().unwrap_or_default(),
        columns: table.columns,
        rows: table.rows,
    }
}
