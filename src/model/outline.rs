//! What a run sets out to do, in the form in which the record keeps it: enough to report and judge a run
//! without its checklist.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Expectation, Origin, SectionId, StepId};

/// The head of a run: who, what, where, with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of holdpoint.
    pub tool: String,
    /// The checklist.
    pub checklist: ChecklistHead,
    /// The inputs in effect, in the order of declaration.
    pub inputs: Vec<InputShown>,
    /// The host that looked.
    pub host: String,
    /// The user who started the run.
    pub user: String,
    /// The options that change what is run or how it is judged, as they would be typed.
    pub options: Vec<String>,
    /// Whether a warning is a no-go.
    pub strict: bool,
    /// Roles that must sign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Text and tables carried into the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub appendix: Vec<Appendix>,
}

/// What the checklist says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChecklistHead {
    /// The file as the user named it.
    pub path: String,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// The title.
    pub name: String,
    /// `staging`, `promotion` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The service that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `low`, `medium`, `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
    /// Estimated durations by name, as written.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub estimates: IndexMap<String, String>,
    /// Links by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub links: IndexMap<String, String>,
}

/// An input in effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputShown {
    /// Its name.
    pub name: String,
    /// Its value; `***` for a secret, nothing when an optional one was not given.
    pub value: Option<serde_json::Value>,
    /// Whether it is a secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// Where it came from: `--set`, a file, an environment variable, the default.
    pub from: String,
}

/// A role that must sign at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// The role.
    pub role: String,
    /// How many of its members must sign.
    pub needs: u32,
    /// Who may sign; empty when anybody may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// A text or a table carried into the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Appendix {
    /// The heading.
    pub title: String,
    /// Markdown text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
}

/// A table of text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The headings.
    pub columns: Vec<String>,
    /// The rows, each as long as the headings.
    pub rows: Vec<Vec<String>>,
}

/// A section of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SectionOutline {
    /// Its name within the checklist.
    pub id: SectionId,
    /// Its title.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it belongs to the checklist proper or acts on the decision.
    pub part: Part,
    /// Where it is written.
    pub origin: Origin,
}

/// Which part of the checklist a section stands in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `sections`: counts for the decision.
    #[default]
    Section,
    /// `on_go`: acts after a go.
    OnGo,
    /// `on_no_go`: acts after a no-go.
    OnNoGo,
    /// `always`: acts whatever happened.
    Always,
}

/// How much a step counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// A failure is a no-go.
    #[default]
    Required,
    /// A failure counts as a warning.
    Optional,
    /// Never counts; reported apart.
    Trial,
}

/// A step of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOutline {
    /// Its name within the checklist.
    pub id: StepId,
    /// The sentence on the checklist.
    pub name: String,
    /// The section that it stands in.
    pub section: SectionId,
    /// The probe's kind.
    pub probe: String,
    /// Where the step is written.
    pub origin: Origin,
    /// How much it counts.
    #[serde(default)]
    pub weight: Weight,
    /// What must hold, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expectation>,
    /// What should hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<Expectation>,
    /// What no data means.
    #[serde(default)]
    pub on_no_data: OnNoData,
    /// Whether one series that holds is enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub series_any: bool,
    /// Whether the probe's answer speaks for itself, so that nothing needs to be expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub speaks_for_itself: bool,
    /// When it looks: `within 10m, every 5s`, empty for once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub window: String,
    /// What it changes in the world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<String>,
    /// Help for whoever reads of a failure.
    #[serde(default, skip_serializing_if = "Guidance::is_empty")]
    pub guidance: Guidance,
}

/// What no data means for a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNoData {
    /// Not enough to say.
    #[default]
    Inconclusive,
    /// A failure.
    Fail,
    /// A warning.
    Warn,
    /// A pass, asked for in so many words.
    Pass,
    /// Look again until the time is up; then inconclusive.
    Wait,
}

/// Help for whoever reads of a failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guidance {
    /// Why the step is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whom to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// `low`, `medium`, `high`, `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// Words to select by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Guidance {
    /// Tells whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
