//! Goes through a checklist and makes its plan: every section and every list of actions, once for each of its cells.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::action::Tie;
use super::flow::Laid;
use super::head::{appendix, head, texts};
use super::matrix::{self, Matrices, Spot};
use super::{
    Defaults, Plan, PlanSection, PlanStep, Selection, flow, guard, order, relative, requires, select, signing, soak,
    step,
};
use crate::checklist::inputs::Inputs;
use crate::checklist::reading::Reading;
use crate::checklist::{Checklist, Section};
use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};
use crate::model::outline::{OnNoData, Part, Role, SectionOutline};
use crate::model::{Secret, SectionId, StepId};
use crate::source::Sources;
use crate::template::{Expression, Place, Reference, Scope, Template};
use crate::yaml::Node;

/// Makes a plan. Every mistake is said; there is no plan when one of them is an error.
pub fn build(
    checklist: Checklist,
    inputs: Inputs,
    selection: &Selection,
    texts: Arc<SourceMap>,
    diagnostics: &mut Diagnostics,
) -> Option<Plan> {
    let outside = Scope::new(Map::from_iter([("inputs".to_owned(), Value::Object(inputs.values.clone()))]));
    let mut reading = Reading::new(&texts, diagnostics, &outside);
    reading.complete = inputs.complete;
    let matrices = Matrices::read(&checklist, &inputs, &mut reading);
    let mut builder = Builder::new(&checklist, &inputs, &matrices, &mut reading);
    let head = head(&checklist, builder.reading);
    let appendix = appendix(&checklist.node, builder.reading);
    let (soak, sign_rules) =
        (soak::read(&checklist, builder.reading), signing::rules(&checklist.node, builder.reading));
    signing::check(&checklist.node, &builder.roles, builder.reading);
    soak::check_sections(&checklist, builder.reading);
    note_inputs_of_messages(checklist.node.get("notify"), builder.reading);
    builder.settle_references(None);
    builder.everything(selection);
    builder.check_arguments();
    let made = builder.settle(soak.as_ref());
    let Made { sections, steps, laid, sources, roles } = made;
    diagnostics.anchor(&texts);
    if diagnostics.has_errors() {
        return None;
    }
    let guards = sections.iter().position(|section| section.outline.part == Part::Guard);
    let (flow, soak) = flow::lay(&checklist, &matrices, &laid, &sections, soak);
    Some(Plan { head, inputs, sections, steps, flow, soak, guards, sources, roles, sign_rules, appendix, texts })
}

/// The places of a step, for messages about its order.
pub(super) struct Places {
    /// The step's name.
    pub name: Span,
    /// The ids under `needs`.
    pub needs: Vec<(String, Span)>,
    /// The names under `capture`.
    pub captures: Vec<(String, Span)>,
    /// The captured values that it uses.
    pub captured: Vec<(String, Span)>,
    /// The id of the step that its baseline names.
    pub baseline: Option<(String, Span)>,
    /// The cells in which it is made.
    pub path: Arc<str>,
}

/// What the sections and steps of a checklist come to.
struct Made {
    sections: Vec<PlanSection>,
    steps: Vec<PlanStep>,
    laid: Vec<Laid>,
    sources: Sources,
    roles: Vec<Role>,
}

pub(super) struct Builder<'c, 'r, 'd> {
    pub checklist: &'c Checklist,
    pub inputs: Map<String, Value>,
    pub reading: &'r mut Reading<'d>,
    pub secrets: Vec<Secret>,
    pub defaults: Defaults,
    pub sources: Sources,
    pub roles: Vec<Role>,
    pub sections: Vec<PlanSection>,
    pub steps: Vec<PlanStep>,
    pub places: Vec<Places>,
    pub step_ids: HashMap<StepId, Span>,
    pub section_ids: HashMap<SectionId, Span>,
    /// The ids under `needs` of each section.
    pub section_needs: Vec<Vec<(String, Span)>>,
    /// What the section that is being read gives to its steps.
    pub section_tags: Vec<String>,
    pub section_priority: Option<String>,
    /// Every captured name of the checklist: what steps may refer to.
    pub captures: HashSet<String>,
    pub used_inputs: HashSet<String>,
    /// The names of all inputs.
    pub declared: HashSet<&'c str>,
    /// Scopes in which every captured value is a number, a duration, a size or a word, made when first needed.
    pub stand_ins: OnceCell<[Scope; 4]>,
    pub matrices: &'d Matrices,
    /// The cells in which things are made right now.
    pub spot: &'d Spot,
    /// The section that is being read, as a position in the checklist.
    pub at: Option<usize>,
    /// The axes that are used, each with the position of its section; that of the whole checklist has none.
    pub used_axes: HashSet<(Option<usize>, String)>,
    /// Whether the baseline of the whole checklist is the one of any step.
    pub default_baseline_used: bool,
    laid: Vec<Laid>,
}

impl<'c, 'r, 'd> Builder<'c, 'r, 'd> {
    fn new(checklist: &'c Checklist, inputs: &Inputs, matrices: &'d Matrices, reading: &'r mut Reading<'d>) -> Self {
        let sources = checklist.node.get("sources").map(|node| Sources::compile(reading, node)).unwrap_or_default();
        let defaults = defaults(checklist.node.get("defaults"), reading);
        if matrices.top.is_some() {
            // What depends on the cell is read again in each.
            reading.references.retain(|(reference, _)| reference.root != "matrix");
        }
        let mut captures = HashSet::new();
        checklist.sections.iter().flat_map(|s| &s.steps).for_each(|step| collect_captures(step, &mut captures));
        let count = checklist.sections.iter().map(|section| section.steps.len()).sum();
        Self {
            checklist,
            inputs: inputs.values.clone(),
            reading,
            secrets: inputs.secrets.clone(),
            defaults,
            sources,
            roles: signing::roles(&checklist.node),
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
            matrices,
            spot: &matrices.outside,
            at: None,
            used_axes: HashSet::new(),
            default_baseline_used: false,
            laid: Vec::new(),
        }
    }

    /// Makes guards, then what is required, the sections and the actions.
    fn everything(&mut self, selection: &Selection) {
        let (checklist, matrices) = (self.checklist, self.matrices);
        let of = |part: Part| checklist.sections.iter().enumerate().filter(move |(_, s)| s.part == part);
        for (_, section) in of(Part::Guard) {
            self.guards(section, selection);
        }
        if let Some(section) = requires::section(checklist, self.reading) {
            self.section(&section, selection);
        }
        for top in 0..matrices.tops.len() {
            for (at, section) in of(Part::Section) {
                for spot in matrices.spots(at, top) {
                    self.enter(Some(at), spot);
                    let position = self.section(section, selection);
                    self.laid.push(Laid { position, section: Some(at), top });
                }
            }
        }
        for part in [Part::OnGo, Part::OnNoGo, Part::Always] {
            for (at, section) in of(part) {
                for (top, spot) in matrices.tops.iter().enumerate() {
                    self.enter(None, spot);
                    let position = self.section(section, selection);
                    self.laid.push(Laid { position, section: Some(at), top });
                }
            }
        }
    }

    /// Goes into a cell: what is read from now on has its values.
    pub(super) fn enter(&mut self, at: Option<usize>, spot: &'d Spot) {
        self.at = at;
        if std::ptr::eq(self.spot, spot) {
            return;
        }
        self.spot = spot;
        self.reading.inputs = &spot.scope;
        self.stand_ins = OnceCell::new();
        let defaults = self.checklist.node.get("defaults");
        if defaults.is_some_and(matrix::mentions_cells) {
            self.defaults = self::defaults(defaults, self.reading);
            if spot.cells.is_empty() {
                self.reading.references.retain(|(reference, _)| reference.root != "matrix");
            }
            self.settle_references(None);
        }
    }

    /// Makes a section or a list of actions, in the cells that were entered, and returns its position.
    fn section(&mut self, section: &Section, selection: &Selection) -> usize {
        let start = self.steps.len();
        let outline = self.section_outline(section);
        let node = &section.node;
        let when = node.get("when").and_then(|n| self.reading.expression(n));
        let needs = self.needs_of(node);
        let captured = self.settle_references(None);
        self.section_tags = texts(node.get("tags"));
        self.section_priority = node.get("priority").and_then(Node::text).map(str::to_owned);
        let complete = self.reading.complete;
        self.reading.complete &= !self.never_holds(when.as_ref());
        for step in &section.steps {
            match section.part {
                Part::Section => drop(self.step(step, &outline, selection, &Tie::None)),
                Part::Guard => self.guard(step, &outline, selection),
                Part::OnGo | Part::OnNoGo | Part::Always => drop(self.action(step, &outline, selection, &Tie::None)),
            }
        }
        self.reading.complete = complete;
        // The section's own conditions are those of each of its steps: they are settled together.
        for places in &mut self.places[start..] {
            places.captured.extend(captured.iter().cloned());
        }
        let flag = |key: &str| node.get(key).and_then(Node::bool).unwrap_or_default();
        let acts = matches!(section.part, Part::OnGo | Part::OnNoGo | Part::Always);
        self.sections.push(PlanSection {
            outline,
            when,
            needs: Vec::new(),
            sequential: flag("sequential") || acts,
            barrier: flag("stop_on_failure"),
            steps: start..self.steps.len(),
            matrix: Arc::clone(&self.spot.values),
        });
        self.section_needs.push(needs);
        self.sections.len() - 1
    }

    /// Makes the section of the guards: a guard that uses the values of cells is one for each cell.
    fn guards(&mut self, section: &Section, selection: &Selection) {
        self.enter(None, &self.matrices.outside);
        self.section(section, selection);
    }

    fn guard(&mut self, step: &Node, outline: &SectionOutline, selection: &Selection) {
        guard::check(step, self.reading);
        let matrices = self.matrices;
        if matrices.top.is_none() || !matrix::mentions_cells(step) {
            self.step(step, outline, selection, &Tie::None);
            return;
        }
        for spot in &matrices.tops {
            self.enter(None, spot);
            self.step(step, outline, selection, &Tie::None);
        }
        self.enter(None, &matrices.outside);
    }

    /// Tells whether the inputs alone say that a condition is false: what it guards never runs, and need not be whole.
    pub(super) fn never_holds(&self, when: Option<&Expression>) -> bool {
        let known = |when: &&Expression| when.references().iter().all(|r| self.reading.inputs.knows(r));
        when.filter(known).is_some_and(|when| when.holds(self.reading.inputs) == Ok(false))
    }

    /// Settles what waits for what, and says what nobody uses.
    fn settle(mut self, soak: Option<&soak::Times>) -> Made {
        let ids = order::Ids::new(&self.sections, &self.steps, &self.places, self.step_ids.keys());
        let lanes = order::Lanes::new(self.matrices, &self.laid, self.sections.len());
        let order = order::Order { ids: &ids, lanes: &lanes, places: &self.places };
        order.settle_sections(&mut self.sections, &self.section_needs, self.reading.diagnostics);
        order.settle(&self.sections, &mut self.steps, self.reading.diagnostics);
        relative::settle(&self.sections, &mut self.steps, &order, self.reading.diagnostics);
        order::refuse_all_cycles(&self.sections, &mut self.steps, &self.places, self.reading.diagnostics);
        select::pull_in(&self.sections, &mut self.steps);
        soak::check_steps(soak, &self.sections, &self.steps, &self.places, self.reading.diagnostics);
        self.say_unused();
        let Self { sections, steps, laid, sources, roles, .. } = self;
        Made { sections, steps, laid, sources, roles }
    }

    fn say_unused(&mut self) {
        for input in self.checklist.inputs.iter().filter(|input| !self.used_inputs.contains(&input.name)) {
            let message = format!("input {:?} is declared and never used", input.name);
            self.reading.say(Diagnostic::error("unused-input", input.span, message).help("use it, or remove it"));
        }
        let of_sections = self.matrices.sections.iter().enumerate().map(|(at, matrix)| (Some(at), matrix));
        for (at, matrix) in [(None, &self.matrices.top)].into_iter().chain(of_sections) {
            let names = matrix.iter().flat_map(|matrix| &matrix.names);
            for (name, span) in names.filter(|(name, _)| !self.used_axes.contains(&(at, name.clone()))) {
                let message = format!("the matrix gives {name:?}, and nothing uses it");
                let help = format!("use {{{{ matrix.{name} }}}}, or remove it: every cell would do the same");
                self.reading.say(Diagnostic::error("unused-axis", *span, message).help(help));
            }
        }
        // A comparator that could not be read may be the one that was to use it.
        let unused = !self.default_baseline_used && !self.reading.diagnostics.has_errors();
        if let Some((key, _)) = self.checklist.node.entry("baseline").filter(|_| unused) {
            let message = "no step is held against this baseline";
            let help = "use the word in a comparator, such as `\"<= 1.2x baseline\"`, or remove it";
            self.reading.say(Diagnostic::error("unused-key", key.span, message).help(help));
        }
    }
}

/// Notes which inputs messages use. What else is wrong with a channel is said by whoever knows the kinds of channels.
fn note_inputs_of_messages(node: Option<&Node>, reading: &mut Reading<'_>) {
    let Some(node) = node else { return };
    let of_inputs = |used: BTreeSet<Reference>| used.into_iter().filter(|reference| reference.root == "inputs");
    for (key, value) in node.map().unwrap_or_default() {
        if key.text() != Some("when") {
            note_inputs_of_messages(Some(value), reading);
        } else if let Some(Ok(when)) = value.text().map(Expression::parse) {
            reading.remember(of_inputs(when.references()), value);
        }
    }
    node.list().unwrap_or_default().iter().for_each(|item| note_inputs_of_messages(Some(item), reading));
    if let Some(Ok(template)) = node.text().map(|text| Template::parse(text, Place::Plain)) {
        reading.remember(of_inputs(template.references()), node);
    }
}

fn collect_captures(step: &Node, into: &mut HashSet<String>) {
    let entries = step.get("capture").and_then(Node::map).unwrap_or_default();
    into.extend(entries.iter().filter_map(|(key, _)| key.text().map(str::to_owned)));
    for key in ["then", "fallback"] {
        step.get(key).and_then(Node::list).unwrap_or_default().iter().for_each(|step| collect_captures(step, into));
    }
}

fn defaults(node: Option<&Node>, reading: &mut Reading<'_>) -> Defaults {
    let duration = |reading: &mut Reading<'_>, key: &str| reading.duration(node?.get(key)?);
    Defaults {
        timeout: duration(reading, "timeout").unwrap_or(Duration::from_secs(10)),
        every: duration(reading, "every"),
        retry: node.and_then(|n| n.get("retry")).and_then(|n| step::retry(n, reading)),
        on_no_data: node.and_then(|n| n.get("on_no_data")).map_or(OnNoData::default(), step::on_no_data),
        source: node.and_then(|n| n.get("source")).and_then(|n| step::source(n, reading)),
    }
}
