//! What a run sets out to do, in the form in which the record keeps it: enough to report and judge a run
//! without its checklist.

use chrono::{DateTime, TimeDelta, Utc};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Expectation, Origin, SectionId, StepId};

/// The head of a run: who, what, where, with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// What holds for every signature.
    #[serde(default, skip_serializing_if = "SignRules::is_default")]
    pub sign_rules: SignRules,
    /// The timetable of a run that is spread over hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Soak>,
    /// The past time as of which everything is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime<Utc>>,
    /// Text and tables carried into the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub appendix: Vec<Appendix>,
}

/// What the checklist says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChecklistHead {
    /// The file as the user named it.
    pub path: String,
    /// The SHA-256 of its bytes, in hexadecimal; with templates from elsewhere, that of the list of `parts`.
    pub digest: String,
    /// What it is made of when that is more than one file: itself first, then the files of templates, those of the
    /// built-in library among them, each `DIGEST  NAME` a line of the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<FilePart>,
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

/// A file that a checklist is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// Its name.
    pub path: String,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
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

/// What holds for every signature of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SignRules {
    /// Whether one person cannot fill two roles.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub distinct: bool,
    /// Whether whoever started the run cannot sign it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_runner: bool,
    /// After how many milliseconds a signature lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_for_ms: Option<u64>,
    /// The file of those who may sign, as the checklist names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_signers: Option<String>,
}

impl SignRules {
    /// Tells whether nothing is asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The timetable of a run that is spread over hours; all times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Soak {
    /// From the start to the end.
    pub for_ms: u64,
    /// From one checkpoint to the next.
    pub every_ms: u64,
    /// How late a checkpoint may be looked at and still count as observed in time.
    pub grace_ms: u64,
    /// What is done about a checkpoint that nobody looked at in time.
    pub missed: Missed,
}

impl Soak {
    /// Counts the checkpoints, start and end not among them; none when nothing says how often.
    pub fn checkpoints(&self) -> u32 {
        let count = self.for_ms.checked_div(self.every_ms).unwrap_or_default();
        u32::try_from(count).unwrap_or(u32::MAX - 1)
    }

    /// Returns how long after the start an occasion is due: 0 is the start, then the checkpoints, then the end. Nothing
    /// for numbers beyond the end.
    pub fn after(&self, n: u32) -> Option<TimeDelta> {
        let ms = match self.slot(n) {
            _ if n > self.checkpoints() + 1 => return None,
            Slot::Start | Slot::Checkpoint => u64::from(n).saturating_mul(self.every_ms),
            Slot::End => self.for_ms,
        };
        Some(TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// Tells what the occasion of a number is.
    pub fn slot(&self, n: u32) -> Slot {
        match n {
            0 => Slot::Start,
            n if n <= self.checkpoints() => Slot::Checkpoint,
            _ => Slot::End,
        }
    }
}

/// What is done about a checkpoint that nobody looked at in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// What can be asked about the past is asked, for the time when it was due.
    #[default]
    Backfill,
    /// It is inconclusive.
    Inconclusive,
}

/// When a section of a soak is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// When the soak begins.
    Start,
    /// At every checkpoint.
    Checkpoint,
    /// When its time is over.
    End,
}

/// A hold point: nothing of the section runs before people release it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The roles that must sign; empty when a plain yes is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sign: Vec<String>,
}

/// One cell of a matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its name, made of its values: `us-east`, `10`.
    pub id: String,
    /// Its values by name.
    pub values: IndexMap<String, serde_json::Value>,
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
    /// When it is looked at, in a soak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Slot>,
    /// Who must release it before anything of it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The cells that it belongs to, the outermost first; empty without a matrix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
    /// The section as written, which one section for each cell was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<SectionId>,
    /// Where it is written.
    pub origin: Origin,
}

impl SectionOutline {
    /// Makes a section with nothing special about it.
    pub fn new(id: SectionId, name: impl Into<String>, part: Part, origin: Origin) -> Self {
        let (name, cells) = (name.into(), Vec::new());
        Self { id, name, description: None, part, at: None, hold: None, cells, of: None, origin }
    }
}

/// Which part of the checklist a section stands in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `sections`: counts for the decision.
    #[default]
    Section,
    /// `guards`: watched beside everything else; one that trips stops the run.
    Guard,
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

/// A template that a step was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Its name.
    pub name: String,
    /// The line of the template that looks.
    pub origin: Origin,
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
    /// The template that it was made from, when its place is that of a `uses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Used>,
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
    /// What it is held against, in words: `step p95-before`, `the last go`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// The action that it verifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then_of: Option<StepId>,
    /// The action whose failure it mends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_for: Option<StepId>,
    /// The role that must answer, for a manual step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What it is known not to notice, with the author's consent: names of mutations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind_to: Vec<String>,
    /// Help for whoever reads of a failure.
    #[serde(default, skip_serializing_if = "Guidance::is_empty")]
    pub guidance: Guidance,
}

impl StepOutline {
    /// Makes a required step with nothing special about it.
    pub fn new(id: StepId, name: impl Into<String>, section: SectionId, probe: &str, origin: Origin) -> Self {
        Self {
            id,
            name: name.into(),
            section,
            probe: probe.to_owned(),
            origin,
            template: None,
            weight: Weight::Required,
            expect: None,
            warn: None,
            on_no_data: OnNoData::default(),
            series_any: false,
            speaks_for_itself: false,
            window: String::new(),
            changes: None,
            baseline: None,
            then_of: None,
            fallback_for: None,
            by: None,
            blind_to: Vec::new(),
            guidance: Guidance::default(),
        }
    }
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
