//! Tree → what will run: probes compiled, expectations typed, references resolved, order settled, mistakes said.
//!
//! [`build`] is the only way to make a [`Plan`]; what it has checked stays true. [`step`] compiles one step,
//! [`expect`] what must hold of it, [`window`] when it looks, [`order`] what waits for what, [`select`] what was asked
//! for; [`schema`] and [`manual`] describe the language from the same declarations.

pub mod expect;
pub mod manual;
pub mod order;
pub mod schema;
pub mod select;
pub mod step;
pub mod window;

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::checklist::inputs::Inputs;
use crate::checklist::reading::Reading;
use crate::checklist::{Checklist, Section};
use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};
use crate::model::outline::{
    Appendix, Cell, ChecklistHead, OnNoData, Part, Role, SectionOutline, SignRules, Soak, StepOutline, Table,
};
use crate::model::{Secret, SectionId, StepId, id};
use crate::probe::{Probe, ProbeKind};
use crate::source::Sources;
use crate::template::{Expression, Reference, Scope};
use crate::yaml::Node;

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

    /// Makes the scope of templates from the inputs and what was captured so far.
    pub fn scope(&self, captured: &Map<String, Value>) -> Scope {
        let mut roots = Map::new();
        roots.insert("inputs".into(), Value::Object(self.inputs.values.clone()));
        roots.insert("captured".into(), Value::Object(captured.clone()));
        Scope::new(roots)
    }
}

/// Makes a plan. Every mistake is said; there is no plan when one of them is an error.
pub fn build(
    checklist: Checklist,
    inputs: Inputs,
    selection: &Selection,
    texts: Arc<SourceMap>,
    diagnostics: &mut Diagnostics,
) -> Option<Plan> {
    let known = Scope::new(Map::from_iter([("inputs".to_owned(), Value::Object(inputs.values.clone()))]));
    let mut reading = Reading::new(&texts, diagnostics, &known);
    reading.complete = inputs.complete;
    let mut builder = Builder::new(&checklist, &inputs, &mut reading);
    let head = head(&checklist, builder.reading);
    let roles = roles(&checklist.node);
    let appendix = appendix(&checklist.node, builder.reading);
    builder.settle_references(None);
    for section in &checklist.sections {
        builder.section(section, selection);
    }
    let Builder { mut sections, mut steps, places, section_needs, step_ids, used_inputs, sources, .. } = builder;
    let ids = order::Ids::new(&sections, &steps, step_ids.keys());
    order::settle_sections(&mut sections, &section_needs, &ids, reading.diagnostics);
    order::settle(&sections, &mut steps, &places, &ids, reading.diagnostics);
    select::pull_in(&sections, &mut steps);
    for input in checklist.inputs.iter().filter(|input| !used_inputs.contains(&input.name)) {
        let message = format!("input {:?} is declared and never used", input.name);
        reading.say(Diagnostic::error("unused-input", input.span, message).help("use it, or remove it"));
    }
    if diagnostics.has_errors() {
        return None;
    }
    let run = |section: &PlanSection| section.outline.part == Part::Section;
    let flow = (0..sections.len()).filter(|&at| run(&sections[at])).map(Flow::Section).collect();
    let (soak, guards, sign_rules) = (None, None, SignRules::default());
    Some(Plan { head, inputs, sections, steps, flow, soak, guards, sources, roles, sign_rules, appendix, texts })
}

/// The places of a step, for messages about its order.
pub(crate) struct Places {
    /// The step's name.
    pub name: Span,
    /// The ids under `needs`.
    pub needs: Vec<(String, Span)>,
    /// The names under `capture`.
    pub captures: Vec<(String, Span)>,
    /// The captured values that it uses.
    pub captured: Vec<(String, Span)>,
}

pub(crate) struct Builder<'c, 'r, 'd> {
    pub checklist: &'c Checklist,
    pub inputs: Map<String, Value>,
    pub reading: &'r mut Reading<'d>,
    secrets: Vec<Secret>,
    pub defaults: Defaults,
    pub sources: Sources,
    pub sections: Vec<PlanSection>,
    pub steps: Vec<PlanStep>,
    pub places: Vec<Places>,
    pub step_ids: HashMap<StepId, Span>,
    section_ids: HashMap<SectionId, Span>,
    /// The ids under `needs` of each section.
    section_needs: Vec<Vec<(String, Span)>>,
    /// What the section that is being read gives to its steps.
    pub section_tags: Vec<String>,
    pub section_priority: Option<String>,
    /// Every captured name of the checklist: what steps may refer to.
    pub captures: HashSet<String>,
    pub used_inputs: HashSet<String>,
    /// The names of all inputs.
    declared: HashSet<&'c str>,
    /// Scopes in which every captured value is a number, a duration, a size or a word, made when first needed.
    pub stand_ins: OnceCell<[Scope; 4]>,
}

impl<'c, 'r, 'd> Builder<'c, 'r, 'd> {
    fn new(checklist: &'c Checklist, inputs: &Inputs, reading: &'r mut Reading<'d>) -> Self {
        let sources = checklist.node.get("sources").map(|node| Sources::compile(reading, node)).unwrap_or_default();
        let defaults = defaults(checklist.node.get("defaults"), reading);
        let names = checklist.sections.iter().flat_map(|s| &s.steps).filter_map(|s| s.get("capture")?.map()).flatten();
        let captures = names.filter_map(|(key, _)| key.text().map(str::to_owned)).collect();
        let count = checklist.sections.iter().map(|section| section.steps.len()).sum();
        Self {
            checklist,
            inputs: inputs.values.clone(),
            reading,
            secrets: inputs.secrets.clone(),
            defaults,
            sources,
            sections: Vec::with_capacity(checklist.sections.len()),
            steps: Vec::with_capacity(count),
            places: Vec::with_capacity(count),
            step_ids: HashMap::with_capacity(count),
            section_ids: HashMap::new(),
            section_needs: Vec::new(),
            section_tags: Vec::new(),
            section_priority: None,
            captures,
            used_inputs: HashSet::new(),
            declared: checklist.inputs.iter().map(|input| input.name.as_str()).collect(),
            stand_ins: OnceCell::new(),
        }
    }

    fn section(&mut self, section: &Section, selection: &Selection) {
        let start = self.steps.len();
        let outline = self.section_outline(section);
        let node = &section.node;
        let when = node.get("when").and_then(|n| self.reading.expression(n));
        let needs = needs_of(node);
        let captured = self.settle_references(None);
        self.section_tags = texts(node.get("tags"));
        self.section_priority = node.get("priority").and_then(Node::text).map(str::to_owned);
        let complete = self.reading.complete;
        self.reading.complete &= !self.never_holds(when.as_ref());
        for step in &section.steps {
            self.step(step, &outline, selection);
        }
        self.reading.complete = complete;
        // The section's own conditions are those of each of its steps: they are settled together.
        for places in &mut self.places[start..] {
            places.captured.extend(captured.iter().cloned());
        }
        let flag = |key: &str| node.get(key).and_then(Node::bool).unwrap_or_default();
        self.sections.push(PlanSection {
            outline,
            when,
            needs: needs.iter().map(|(id, _)| Need { id: id.clone(), steps: 0..0 }).collect(),
            sequential: flag("sequential") || section.part != Part::Section,
            barrier: flag("stop_on_failure"),
            steps: start..self.steps.len(),
        });
        self.section_needs.push(needs);
    }

    /// Tells whether the inputs alone say that a condition is false: what it guards never runs, and need not be whole.
    pub(crate) fn never_holds(&self, when: Option<&Expression>) -> bool {
        let known = |when: &&Expression| when.references().iter().all(|r| self.reading.inputs.knows(r));
        when.filter(known).is_some_and(|when| when.holds(self.reading.inputs) == Ok(false))
    }

    fn section_outline(&mut self, section: &Section) -> SectionOutline {
        let node = &section.node;
        let (name, id) = match section.part {
            Part::Section => (self.name_of(node), None),
            Part::Guard => ("Guards".to_owned(), Some("guards")),
            Part::OnGo => ("After a go".to_owned(), Some("on-go")),
            Part::OnNoGo => ("After a no-go".to_owned(), Some("on-no-go")),
            Part::Always => ("In any case".to_owned(), Some("always")),
        };
        let place = crate::checklist::name_place(node);
        let id = match id {
            Some(id) => SectionId::new(id),
            None => SectionId::new(self.id_of(node, &name)),
        };
        let given = node.get("id").map_or(place, |id| id.span);
        if let Some(first) = self.section_ids.insert(id.clone(), given).filter(|_| !id.as_str().is_empty()) {
            self.say_duplicate("section", id.as_str(), given, first);
        }
        SectionOutline {
            id,
            name,
            description: node.get("description").and_then(|n| self.reading.shown_text(n)),
            part: section.part,
            at: None,
            hold: None,
            cells: Vec::new(),
            of: None,
            origin: self.reading.sources.origin(place),
        }
    }

    /// Returns the name, inputs filled in; as written when an input has no value yet.
    pub(crate) fn name_of(&mut self, node: &Node) -> String {
        let Some(name) = node.get("name") else { return String::new() };
        self.reading.shown_text(name).unwrap_or_default()
    }

    /// Returns the id that is given, or the one that the name gives.
    pub(crate) fn id_of(&mut self, node: &Node, name: &str) -> String {
        let Some((text, given)) = node.get("id").and_then(|n| Some((n.text()?, n))) else {
            let shown = self.without_secrets(name);
            let id = id::kebab(&shown);
            if id.is_empty() && !name.is_empty() {
                let message = format!("the name {shown:?} holds nothing to make an id of");
                let diagnostic = Diagnostic::error("bad-id", crate::checklist::name_place(node), message);
                self.reading.say(diagnostic.help("use letters or digits, or give an `id`"));
            }
            return id;
        };
        if id::kebab(text) != text {
            let message = format!("{text:?} is not an id; write {:?}", id::kebab(text));
            self.reading.say(Diagnostic::error("bad-id", given.span, message));
        }
        text.to_owned()
    }

    /// Leaves out every secret: an id is shown in other letters than the name, where nobody would find it to mask it.
    fn without_secrets(&self, name: &str) -> String {
        let secrets = self.secrets.iter().map(|secret| secret.reveal().trim()).filter(|secret| !secret.is_empty());
        secrets.fold(name.to_owned(), |name, secret| name.replace(secret, " "))
    }

    pub(crate) fn say_duplicate(&mut self, what: &str, id: &str, place: Span, first: Span) {
        self.reading.say(
            Diagnostic::error("duplicate-id", place, format!("two {what}s have the id {id:?}"))
                .also(first, "the first one")
                .help("give one of them another name, or an `id` of its own"),
        );
    }

    /// Checks the variables used since the last call, and returns the captured ones. `measures` names roots that are
    /// measures here.
    pub(crate) fn settle_references(&mut self, measures: Option<&ProbeKind>) -> Vec<(String, Span)> {
        let mut captured = Vec::new();
        for (reference, span) in std::mem::take(&mut self.reading.references) {
            let Reference { root, name } = reference;
            let measured = |kind: &ProbeKind| kind.measures.iter().any(|m| m.name.split('.').next() == Some(&root));
            match (root.as_str(), name) {
                ("inputs", Some(name)) => self.use_input(name, span),
                ("captured", Some(name)) if self.captures.contains(&name) => captured.push((name, span)),
                ("captured", Some(name)) => {
                    let message = format!("no step captures {name:?}");
                    let names: Vec<_> = self.captures.iter().map(String::as_str).collect();
                    self.reading.say(Diagnostic::error("undefined-variable", span, message).near(&name, names));
                }
                ("inputs" | "captured", None) => {
                    let message = format!("{root} is used as a whole or with brackets; write {root}.NAME");
                    let help = "what is used must be known by name before the run: it decides what waits for what";
                    self.reading.say(Diagnostic::error("undefined-variable", span, message).help(help));
                }
                _ if measures.is_some_and(measured) => {}
                _ => {
                    let diagnostic = Diagnostic::error("undefined-variable", span, format!("{root:?} is not defined"));
                    let help = "templates may use inputs.NAME and captured.NAME";
                    self.reading.say(diagnostic.near(&root, ["inputs", "captured"]).help(help));
                }
            }
        }
        captured
    }

    fn use_input(&mut self, name: String, span: Span) {
        if !self.declared.contains(name.as_str()) {
            let names = self.checklist.inputs.iter().map(|input| input.name.as_str());
            let message = format!("no input {name:?} is declared");
            let diagnostic = Diagnostic::error("undefined-variable", span, message).near(&name, names);
            self.reading.say(diagnostic.help(format!("declare it: `inputs: {{ {name}: {{}} }}`")));
        }
        self.used_inputs.insert(name);
    }
}

/// Reads the ids under `needs`.
pub(crate) fn needs_of(node: &Node) -> Vec<(String, Span)> {
    let Some(needs) = node.get("needs") else { return Vec::new() };
    let items = needs.list().unwrap_or(std::slice::from_ref(needs));
    items.iter().filter_map(|item| Some((item.text()?.to_owned(), item.span))).collect()
}

fn head(checklist: &Checklist, reading: &mut Reading<'_>) -> ChecklistHead {
    let node = &checklist.node;
    let mut text = |key: &str| node.get(key).and_then(|n| reading.shown_text(n));
    let (name, stage, service) = (text("name").unwrap_or_default(), text("stage"), text("service"));
    let (description, owner, risk) = (text("description"), text("owner"), text("risk"));
    let mut map = |key: &str| {
        let entries = node.get(key).and_then(Node::map).unwrap_or_default();
        let filled = |(k, v): &(Node, Node)| Some((k.text()?.to_owned(), reading.shown_text(v)?));
        entries.iter().filter_map(filled).collect()
    };
    let (estimates, links) = (map("estimates"), map("links"));
    ChecklistHead {
        path: reading.sources.name(checklist.file).to_string(),
        digest: checklist.digest.clone(),
        name,
        stage,
        service,
        description,
        owner,
        risk,
        estimates,
        links,
    }
}

fn roles(node: &Node) -> Vec<Role> {
    let roles = node.get("signoff").and_then(|s| s.get("roles")).and_then(Node::list).unwrap_or_default();
    roles
        .iter()
        .filter_map(|role| {
            Some(Role {
                role: role.get("role")?.text()?.to_owned(),
                needs: role.get("needs").and_then(Node::number).map_or(1, |n| n as u32),
                members: texts(role.get("members")),
            })
        })
        .collect()
}

/// Reads one text or a list of them.
pub(crate) fn texts(node: Option<&Node>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let items = node.list().unwrap_or(std::slice::from_ref(node));
    items.iter().filter_map(Node::text).map(str::to_owned).collect()
}

fn appendix(node: &Node, reading: &mut Reading<'_>) -> Vec<Appendix> {
    let items = node.get("appendix").and_then(Node::list).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| {
            let title = reading.shown_text(item.get("title")?)?;
            let text = item.get("text").and_then(|n| reading.shown_text(n));
            let table = item.get("table").map(|table| {
                let columns = texts(table.get("columns"));
                let width = columns.len();
                let rows = table.get("rows").and_then(Node::list).unwrap_or_default();
                let rows = rows.iter().map(|row| table_row(row, width, reading)).collect();
                Table { columns, rows }
            });
            Some(Appendix { title, text, table })
        })
        .collect()
}

fn table_row(row: &Node, width: usize, reading: &mut Reading<'_>) -> Vec<String> {
    let cells = row.list().unwrap_or_default();
    if cells.len() != width {
        let message = format!("this row has {} cells, the table {width} columns", cells.len());
        reading.say(Diagnostic::error("bad-value", row.span, message));
    }
    cells.iter().map(|cell| reading.shown_text(cell).unwrap_or_default()).collect()
}

fn defaults(node: Option<&Node>, reading: &mut Reading<'_>) -> Defaults {
    let duration = |reading: &mut Reading<'_>, key: &str| reading.duration(node?.get(key)?);
    Defaults {
        timeout: duration(reading, "timeout").unwrap_or(Duration::from_secs(10)),
        every: duration(reading, "every"),
        retry: node.and_then(|n| n.get("retry")).and_then(|n| step::retry(n, reading)),
        on_no_data: node.and_then(|n| n.get("on_no_data")).map_or(OnNoData::default(), step::on_no_data),
        source: node.and_then(|n| n.get("source")).and_then(Node::text).map(str::to_owned),
    }
}

/// Reads a text that is shown only: a template whose inputs are filled in.
pub(crate) fn shown(node: &Node, key: &str, reading: &mut Reading<'_>) -> Option<String> {
    reading.shown_text(node.get(key)?)
}
