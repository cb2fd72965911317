//! Tree → what will run: probes compiled, expectations typed, references resolved, order settled, mistakes said.
//!
//! [`build`] is the only way to make a [`Plan`]; what it has checked stays true. [`builder`] goes through the
//! checklist, cell by cell of its [`matrix`], and gives everything its name ([`naming`]); [`step`] compiles one step,
//! [`expect`] what must hold of it, [`window`] when it looks, [`relative`] what it is held against; [`guard`] and
//! [`action`] are steps beside and behind the others. [`order`] settles what waits for what, [`flow`] what runs next,
//! [`soak`] the timetable, [`select`] what was asked for; [`schema`] and [`manual`] describe the language from the same
//! declarations.

mod action;
mod arguments;
mod builder;
pub mod expect;
mod flow;
mod guard;
mod head;
pub mod manual;
mod matrix;
mod naming;
pub mod order;
mod relative;
mod requires;
pub mod schema;
pub mod select;
mod signing;
mod soak;
pub mod step;
#[cfg(test)]
mod tests;
pub mod window;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::checklist::inputs::Inputs;
use crate::diag::SourceMap;
use crate::model::Secret;
use crate::model::outline::{
    Appendix, Cell, ChecklistHead, OnNoData, Role, SectionOutline, SignRules, Soak, StepOutline,
};
use crate::probe::{Probe, ProbeKind};
use crate::source::Sources;
use crate::template::{Expression, Scope};
use crate::yaml::Node;

pub use builder::build;
pub use select::Selection;
pub use window::Window;

/// What will run.
pub struct Plan {
    /// What the checklist says of itself.
    pub head: ChecklistHead,
    /// The inputs in effect.
    pub inputs: Inputs,
    /// The sections in order, actions last.
    pub sections: Vec<PlanSection>,
    /// The steps of all sections, in order.
    pub steps: Vec<PlanStep>,
    /// In which order the sections run: all of them without a soak, those at the start of one.
    pub flow: Vec<Flow>,
    /// The timetable of a run that is spread over hours.
    pub soak: Option<SoakPlan>,
    /// The section whose steps are watched beside everything else.
    pub guards: Option<usize>,
    /// The back ends.
    pub sources: Sources,
    /// Who must sign.
    pub roles: Vec<Role>,
    /// What holds for every signature.
    pub sign_rules: SignRules,
    /// Carried into the report.
    pub appendix: Vec<Appendix>,
    /// The texts that deferred expectations point into.
    pub texts: Arc<SourceMap>,
}

/// What runs next.
#[derive(Clone, Debug)]
pub enum Flow {
    /// A section, as a position in [`Plan::sections`].
    Section(usize),
    /// The cells of a matrix.
    Cells(Box<Cells>),
}

/// The cells of a matrix, and how one follows the other.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Whether they run side by side instead of one after another.
    pub parallel: bool,
    /// Whether the cells after one that did not pass are blocked.
    pub stop: bool,
    /// How long to wait between cells.
    pub pause: Duration,
    /// The cells in order.
    pub cells: Vec<CellPlan>,
}

/// One cell and what runs in it.
#[derive(Clone, Debug)]
pub struct CellPlan {
    /// The cell.
    pub cell: Cell,
    /// What runs.
    pub flow: Vec<Flow>,
    /// The actions of this cell alone, as positions in [`Plan::sections`]: they act on its own decision, when it is done.
    pub actions: Vec<usize>,
}

/// What a soak looks at, and when.
#[derive(Clone, Debug)]
pub struct SoakPlan {
    /// The timetable.
    pub times: Soak,
    /// What runs at every checkpoint.
    pub checkpoint: Vec<Flow>,
    /// What runs at the end.
    pub end: Vec<Flow>,
}

/// A section of the plan.
pub struct PlanSection {
    /// What the record keeps of it.
    pub outline: SectionOutline,
    /// Runs only when this is true.
    pub when: Option<Expression>,
    /// Runs only when these steps came out well.
    pub needs: Vec<Need>,
    /// Whether the steps run one after another.
    pub sequential: bool,
    /// Whether what follows is skipped when it does not pass.
    pub barrier: bool,
    /// Its steps, as positions in [`Plan::steps`].
    pub steps: Range<usize>,
    /// The values of its cells, for its templates: `{{ matrix.NAME }}`.
    pub matrix: Arc<Map<String, Value>>,
}

/// A step of the plan.
pub struct PlanStep {
    /// What the record keeps of it, expectations included.
    pub outline: StepOutline,
    /// What looks.
    pub probe: Box<dyn Probe>,
    /// Its kind.
    pub kind: &'static ProbeKind,
    /// Expectations that use captured values, compiled when these are known.
    pub deferred: Option<Box<Deferred>>,
    /// When it looks.
    pub window: Window,
    /// Further attempts after errors of looking.
    pub retry: Retry,
    /// How long one look may take.
    pub timeout: Duration,
    /// How often to look while there is no data.
    pub every: Duration,
    /// Values for later steps.
    pub capture: Vec<(String, Expression)>,
    /// Runs only when this is true.
    pub when: Option<Expression>,
    /// Runs only when these steps came out well.
    pub needs: Vec<Need>,
    /// Captured values that it uses, each with the step that captures it.
    pub uses: Vec<(String, usize)>,
    /// Begins only when these steps are done, however they came out.
    pub after: Vec<usize>,
    /// Runs only when one of these did not come out well: it is the fallback of an action.
    pub fallback_for: Vec<usize>,
    /// What its relative limits are held against.
    pub baseline: Option<BaselinePlan>,
    /// How much of what was seen is kept.
    pub evidence: EvidencePolicy,
    /// Whether `--only` and `--skip` leave it in, by name or because a selected step needs it.
    pub selected: bool,
    /// Whether `--skip` names it.
    pub skipped: bool,
    /// The values of its cells, for its templates: `{{ matrix.NAME }}`.
    pub matrix: Arc<Map<String, Value>>,
}

/// Where a step's baseline comes from.
#[derive(Clone, Debug)]
pub enum BaselinePlan {
    /// What another step of this run measured, as a position in [`Plan::steps`].
    Step(usize),
    /// What the same step measured in an earlier run.
    Run(EarlierRun),
    /// The probe asks for it along with its own question: another query, or the same one that much earlier.
    Probe,
    /// A value that is written down.
    Value(crate::model::Quantity),
}

/// An earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EarlierRun {
    /// The latest run of the same checklist that was a go.
    LastGo,
    /// This run.
    Id(String),
}

/// What must have come out well before something else runs.
pub struct Need {
    /// The id as written.
    pub id: String,
    /// The steps that it stands for.
    pub steps: Range<usize>,
}

/// Expectations that use captured values.
pub struct Deferred {
    /// What stands under `expect`.
    pub expect: Option<Node>,
    /// What stands under `warn`.
    pub warn: Option<Node>,
}

/// Further attempts after errors of looking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// How often to try in all.
    pub attempts: u32,
    /// The wait before the second attempt.
    pub delay: Duration,
    /// By what factor the wait grows.
    pub backoff: f64,
}

/// How much of what was seen is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvidencePolicy {
    /// As much as the limits allow.
    Full,
    /// Short excerpts.
    #[default]
    Summary,
    /// Measures alone.
    None,
}

/// Settings for all steps.
pub(crate) struct Defaults {
    pub timeout: Duration,
    pub retry: Option<Retry>,
    pub every: Option<Duration>,
    pub on_no_data: OnNoData,
    pub source: Option<String>,
}

impl Plan {
    /// Returns the secrets that must be masked.
    pub fn secrets(&self) -> &[Secret] {
        &self.inputs.secrets
    }

    /// Makes the scope of templates outside of every cell, from the inputs and what was captured so far.
    pub fn scope(&self, captured: &Map<String, Value>) -> Scope {
        self.scope_in(&Map::new(), captured)
    }

    /// Makes the scope of templates in a cell, from the inputs, the values of the cell and what was captured for it.
    pub fn scope_in(&self, matrix: &Map<String, Value>, captured: &Map<String, Value>) -> Scope {
        let mut roots = Map::new();
        if !matrix.is_empty() {
            roots.insert("matrix".into(), Value::Object(matrix.clone()));
        }
        roots.insert("inputs".into(), Value::Object(self.inputs.values.clone()));
        roots.insert("captured".into(), Value::Object(captured.clone()));
        Scope::new(roots)
    }
}
