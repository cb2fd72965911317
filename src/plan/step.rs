//! One step: its probe found and compiled, its expectations typed, everything about it settled.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::checklist::REFUSED;
use crate::checklist::form::STEP;
use crate::checklist::name_place;
use crate::checklist::reading::Reading;
use crate::diag::{Diagnostic, Diagnostics, Span, did_you_mean};
use crate::model::outline::{Guidance, OnNoData, Part, SectionOutline, StepOutline, Used, Weight};
use crate::model::{Expectation, Found, Literal, Matcher, Observation, StepId};
use crate::probe::{self, Along, Compiling, Keys, Look, MeasureSpec, Probe, ProbeKind, Wants};
use crate::shape;
use crate::template::{Expression, Reference, Scope};
use crate::yaml::{Data, Node};

use super::action::{self, Tie};
use super::builder::{Builder, Places};
use super::head::{shown, texts};
use super::naming::Named;
use super::{Deferred, EvidencePolicy, Need, PlanStep, Retry, Selection, Window, expect, window};

/// Keys of a step that only some probes read.
const READ_BY: &[(&str, &[&str])] = &[
    ("ignore", &["exec", "file", "log"]),
    ("source", &["promql", "targets", "rules", "alerts", "kubernetes", "grafana"]),
];

/// Stands for the probe of a step that could not be built, so that others may refer to the step. Such a step has a
/// mistake, or an input that it uses has no value, and it never runs.
struct Unbuilt;

#[async_trait]
impl Probe for Unbuilt {
    fn describe(&self) -> String {
        "is not known until its inputs have values".to_owned()
    }

    async fn observe(&self, _look: &Look<'_>) -> Observation {
        let cause = "the step could not be built".to_owned();
        Observation::new(self.describe(), Found::CouldNotLook { cause, retry: false })
    }
}

/// What stands under `expect` and `warn`, compiled as far as it can be.
#[derive(Default)]
struct Terms {
    expect: Option<Expectation>,
    warn: Option<Expectation>,
    deferred: Option<Box<Deferred>>,
}

impl Builder<'_, '_, '_> {
    /// Compiles a step. When a mistake keeps it from being one, the others go on.
    /// Returns its position.
    pub(super) fn step(
        &mut self,
        node: &Node,
        section: &SectionOutline,
        selection: &Selection,
        tie: &Tie,
    ) -> Option<usize> {
        let Named { name, base, id } = self.named(node);
        let id = StepId::new(id);
        let place = name_place(node);
        let given = node.get("id").map_or(place, |id| id.span);
        if let Some(first) = self.step_ids.insert(id.clone(), given).filter(|_| !id.as_str().is_empty()) {
            self.say_duplicate("step", &base, given, first);
        }
        let when = node.get("when").and_then(|n| self.reading.expression(n));
        let complete = self.reading.complete;
        self.reading.complete &= !self.never_holds(when.as_ref());
        let Some((kind, value)) = self.probe_of(node) else {
            // The rest of the step is still checked for what can be checked without its probe.
            self.window(node, section);
            self.settle_references(None);
            self.reading.complete = complete;
            return None;
        };
        self.refuse_unused_keys(node, kind);
        if matches!(section.part, Part::Section | Part::Guard) {
            action::refuse_outside(node, self.reading.diagnostics);
        }
        let terms = self.terms(node, kind);
        let capture = self.captures_of(node, kind);
        let mut wants = Wants::default();
        let used = [&terms.expect, &terms.warn];
        used.into_iter().flatten().flat_map(|e| expect::wants(kind, e)).for_each(|name| wants.add(name));
        capture.iter().flat_map(|(_, e)| expect::used(kind, e)).for_each(|name| wants.add(name));
        let timeout = node.get("timeout").and_then(|n| self.reading.duration(n)).unwrap_or(self.defaults.timeout);
        let ignore = texts(node.get("ignore"));
        self.check_ignore(node);
        let held = self.held(node, kind, [terms.expect.as_ref(), terms.warn.as_ref()]);
        let probe = self.compile_probe(kind, value, node, &wants, timeout, &ignore, held.along);
        let window = self.window(node, section);
        if let Some(window) = &window {
            self.refuse_own_past(node, [terms.expect.as_ref(), terms.warn.as_ref()], window, section);
        }
        let retry =
            node.get("retry").and_then(|n| retry(n, self.reading)).or(self.defaults.retry).unwrap_or(Retry::NONE);
        let guidance = self.guidance(node);
        let known_later = |r: &Reference| matches!(r.root.as_str(), "inputs" | "matrix");
        let blank = |(r, _): &(Reference, Span)| known_later(r) && !self.reading.inputs.gives(r);
        let waits = !self.reading.complete && self.reading.references.iter().any(blank);
        let captured = self.settle_references(Some(kind));
        // That a guard needs nothing is said elsewhere.
        let needs = if section.part == Part::Guard { Vec::new() } else { self.needs_of(node) };
        if let Some(by) = value.get("by").filter(|_| kind.name == "manual" && !self.roles.is_empty()) {
            self.known_role(by);
        }
        if probe.is_none() || window.is_none() {
            self.say_unbuilt(node);
        }
        self.reading.complete = complete;
        let built = probe.is_some();
        let probe = probe.unwrap_or_else(|| Box::new(Unbuilt));
        let window = window.unwrap_or(Window::Once);
        // What stands in for a captured value is for checking alone: the record must not state it.
        let known = terms.deferred.is_none();
        let expect = join(terms.expect, probe.implied()).filter(|_| known);
        let silent = expect.is_none() && terms.warn.is_none() && terms.deferred.is_none();
        // A misspelt `expect` is one mistake, not two.
        if silent && built && !waits && !kind.speaks_for_itself && !has_unknown_key(node) {
            self.say_asserts_nothing(node, kind);
        } else if section.part == Part::Guard && expect.is_none() && node.get("expect").is_none() && built && !waits {
            let message = "a guard needs `expect`: without it nothing could trip it";
            self.reading.say(Diagnostic::error("bad-guard", place, message).help("say what must hold throughout"));
        }
        let mut outline = StepOutline {
            id,
            name,
            section: section.id.clone(),
            probe: kind.name.to_owned(),
            origin: self.reading.sources.origin(self.reading.sources.site(place)),
            template: self.used(value),
            weight: weight(node),
            expect,
            warn: terms.warn.filter(|_| known),
            on_no_data: node.get("on_no_data").map_or(self.defaults.on_no_data, on_no_data),
            series_any: probe.series_any(),
            speaks_for_itself: kind.speaks_for_itself,
            window: window.words(),
            changes: node.get("changes").and_then(Node::text).map(str::to_owned),
            baseline: held.words,
            then_of: None,
            fallback_for: None,
            by: value.get("by").filter(|_| kind.name == "manual").and_then(Node::text).map(str::to_owned),
            blind_to: texts(node.get("blind_to")),
            guidance,
        };
        let id_of = |step: usize| self.steps[step].outline.id.clone();
        let (verified, mended) = match tie {
            Tie::None => (None, &[][..]),
            Tie::Then(action) => (Some(*action), &[][..]),
            Tie::Fallback(of) => (None, of.as_slice()),
        };
        outline.then_of = verified.map(id_of);
        outline.fallback_for = mended.first().copied().map(id_of);
        let ties = verified.map(|action| Need::of(id_of(action).as_str(), action..action + 1)).into_iter().collect();
        if section.part != Part::Section {
            // Actions are judged for the report; they never count for the decision, which stands before them.
            outline.weight = Weight::Required;
        }
        let selected = section.part != Part::Section || selection.takes(&outline, section);
        let skipped = selection.skips(&outline, section);
        let needs_time = probe.needs().filter(|least| !least.is_zero());
        let timeout = needs_time.map_or(timeout, |least| timeout.max(least + Duration::from_secs(1)));
        let path = Arc::clone(&self.spot.path);
        let captures = capture_places(node);
        self.places.push(Places { name: place, needs, captures, captured, baseline: held.step, path });
        self.steps.push(PlanStep {
            outline,
            probe,
            kind,
            deferred: terms.deferred,
            window,
            retry,
            timeout,
            every: self.defaults.every.unwrap_or(Duration::from_secs(1)),
            capture,
            when,
            needs: ties,
            uses: Vec::new(),
            after: Vec::new(),
            fallback_for: mended.to_vec(),
            baseline: held.plan,
            evidence: evidence(node),
            selected,
            skipped,
            matrix: Arc::clone(&self.spot.values),
        });
        Some(self.steps.len() - 1)
    }

    /// Tells which template a step was made from: that in which its probe stands.
    fn used(&self, probe: &Node) -> Option<Used> {
        let sources = self.reading.sources;
        let name = sources.template(probe.span)?.to_string();
        Some(Used { name, origin: sources.origin(probe.span) })
    }

    /// Reads when a step looks: a guard throughout, any other as its window says.
    fn window(&mut self, node: &Node, section: &SectionOutline) -> Option<Window> {
        match section.part {
            Part::Guard => window::read_guard(node, self.defaults.every, self.reading),
            Part::Section | Part::OnGo | Part::OnNoGo | Part::Always => {
                window::read(node, self.defaults.every, self.reading)
            }
        }
    }

    /// Finds the one probe of a step.
    fn probe_of<'n>(&mut self, node: &'n Node) -> Option<(&'static ProbeKind, &'n Node)> {
        let entries = node.map().unwrap_or_default();
        let mut found: Option<(&'static ProbeKind, &Node, &Node)> = None;
        let mut blamed = false;
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            if STEP.fields.iter().any(|f| f.key == name) {
                continue;
            }
            match (probe::find(name), found) {
                (Some(kind), None) => found = Some((kind, key, value)),
                (Some(_), Some((first, place, _))) => {
                    let message = format!("the step has two probes, {:?} and {name:?}", first.name);
                    let diagnostic =
                        Diagnostic::error("two-probes", key.span, message).also(place.span, "the first one");
                    self.reading.say(diagnostic.help("make two steps of it; steps of one section run side by side"));
                }
                (None, _) if name == REFUSED => blamed = true,
                (None, _) => {
                    blamed = true;
                    self.reading.say(unknown_key(key));
                }
            }
        }
        if found.is_none() && !blamed {
            let kinds = probe::KINDS.iter().map(|k| k.name).collect::<Vec<_>>().join(", ");
            let message = "the step has no probe: nothing looks";
            let help = format!("give it one of {kinds}");
            self.reading.say(Diagnostic::error("no-probe", name_place(node), message).help(help));
        }
        found.map(|(kind, _, value)| (kind, value))
    }

    #[expect(clippy::too_many_arguments, reason = "all that a probe may need, read from a step by one caller")]
    fn compile_probe(
        &mut self,
        kind: &'static ProbeKind,
        value: &Node,
        step: &Node,
        wants: &Wants,
        timeout: Duration,
        ignore: &[String],
        along: Option<Along>,
    ) -> Option<Box<dyn Probe>> {
        if !shape::check(value, &kind.shape, self.reading.diagnostics) {
            return None;
        }
        let named = step.get("source").and_then(|node| source(node, self.reading));
        let mut compiling = Compiling {
            reading: self.reading,
            wants,
            sources: &self.sources,
            source: named,
            default_source: self.defaults.source.clone(),
            timeout,
            ignore,
            along,
            soak: self.checklist.node.get("soak").is_some(),
        };
        (kind.compile)(&mut compiling, value)
    }

    fn terms(&mut self, node: &Node, kind: &'static ProbeKind) -> Terms {
        let (expect, warn) = (node.get("expect"), node.get("warn"));
        if [expect, warn].into_iter().flatten().any(expect::deferred) {
            return self.deferred_terms(expect, warn, kind);
        }
        let compile = |node: Option<&Node>, reading: &mut Reading<'_>| {
            let node = node.filter(|n| !n.is_null())?;
            expect::compile(reading, kind, node)
        };
        let known = compile(expect, self.reading);
        let should = compile(warn, self.reading);
        // An expectation whose input has no value yet is there all the same.
        let waits = (expect.is_some() && known.is_none()) || (warn.is_some() && should.is_none());
        let deferred = waits.then(|| Box::new(Deferred { expect: expect.cloned(), warn: warn.cloned() }));
        Terms { expect: known, warn: should, deferred }
    }

    /// Compiles expectations that use captured values with stand-ins, to know which measures they need and whether
    /// they make sense; the real ones are compiled when the values are known.
    fn deferred_terms(
        &mut self,
        expect_node: Option<&Node>,
        warn_node: Option<&Node>,
        kind: &'static ProbeKind,
    ) -> Terms {
        for node in [expect_node, warn_node].into_iter().flatten() {
            remember_templates(node, self.reading);
        }
        let mut first = None;
        let (inputs, captures, matrix) = (&self.inputs, &self.captures, &self.spot.values);
        let scopes = || ["1", "1s", "1B", "x"].map(|stand_in| scope_with(inputs, matrix, captures, stand_in));
        for scope in self.stand_ins.get_or_init(scopes) {
            let mut diagnostics = Diagnostics::new();
            let mut reading = Reading::new(self.reading.sources, &mut diagnostics, scope);
            let expect = expect_node.and_then(|n| expect::compile(&mut reading, kind, n));
            let warn = warn_node.and_then(|n| expect::compile(&mut reading, kind, n));
            if !diagnostics.has_errors() {
                let deferred = Some(Box::new(Deferred { expect: expect_node.cloned(), warn: warn_node.cloned() }));
                return Terms { expect, warn, deferred };
            }
            first.get_or_insert(diagnostics);
        }
        for diagnostic in first.iter().flat_map(Diagnostics::iter) {
            self.reading.say(diagnostic.clone());
        }
        // What is said already is not said again as asserting nothing.
        let deferred = Some(Box::new(Deferred { expect: expect_node.cloned(), warn: warn_node.cloned() }));
        Terms { deferred, ..Terms::default() }
    }

    fn captures_of(&mut self, node: &Node, kind: &'static ProbeKind) -> Vec<(String, Expression)> {
        let entries = node.get("capture").and_then(Node::map).unwrap_or_default();
        let before = self.reading.references.len();
        let mut captures = Vec::new();
        for (key, value) in entries {
            let Some(expression) = self.reading.expression(value) else { continue };
            let name = key.text().unwrap_or_default().to_owned();
            captures.push((name, expression));
        }
        let known: BTreeSet<_> = kind.measures.iter().filter_map(|m| m.name.split('.').next()).collect();
        for (reference, span) in &self.reading.references[before..] {
            let root = reference.root.as_str();
            if !known.contains(root) {
                let message = format!("{} has no measure {root:?} to capture", kind.name);
                let diagnostic = Diagnostic::error("expect-unknown-measure", *span, message);
                self.reading.diagnostics.push(diagnostic.near(root, known.iter().copied()));
            }
        }
        self.reading.references.truncate(before);
        captures
    }

    fn check_ignore(&mut self, node: &Node) {
        let Some(ignore) = node.get("ignore") else { return };
        for item in ignore.list().unwrap_or(std::slice::from_ref(ignore)) {
            self.reading.regex(item);
        }
    }

    /// Refuses what the step's probe would not read.
    fn refuse_unused_keys(&mut self, node: &Node, kind: &ProbeKind) {
        for (key, readers) in READ_BY.iter().filter(|(_, readers)| !readers.contains(&kind.name)) {
            let Some((place, _)) = node.entry(key) else { continue };
            let message = format!("{key:?} has no effect on a step of {}", kind.name);
            let help = format!("it is read by {}; remove it here", readers.join(" and "));
            self.reading.say(Diagnostic::error("unused-key", place.span, message).help(help));
        }
    }

    /// Says that nothing came of a step, unless it is said why or an input may still get a value.
    fn say_unbuilt(&mut self, node: &Node) {
        if self.reading.complete && !self.reading.diagnostics.has_errors() {
            let message = "nothing that could run comes of this step";
            self.reading.say(Diagnostic::error("bad-value", name_place(node), message));
        }
    }

    /// Reads what is shown of the step; tags and priority of its section are its own.
    fn guidance(&mut self, node: &Node) -> Guidance {
        let mut tags = texts(node.get("tags"));
        tags.extend(self.section_tags.iter().filter(|tag| !tags.contains(tag)).cloned().collect::<Vec<_>>());
        Guidance {
            why: shown(node, "why", self.reading),
            runbook: shown(node, "runbook", self.reading),
            owner: shown(node, "owner", self.reading),
            contact: shown(node, "contact", self.reading),
            priority: node.get("priority").and_then(Node::text).map(str::to_owned).or(self.section_priority.clone()),
            tags,
        }
    }

    fn say_asserts_nothing(&mut self, node: &Node, kind: &ProbeKind) {
        let message = "the step asserts nothing: it would pass whatever it finds";
        let help = match kind.measures.first() {
            Some(MeasureSpec { name, keys: Some(Keys::Regex), .. }) => {
                format!("say what must hold, such as `expect: {{ {name}: {{ 'PATTERN': 0 }} }}`")
            }
            primary => {
                let name = primary.map_or("value", |m| m.name);
                format!("say what must hold, such as `expect: {{ {name}: … }}`, or `expect: {{ {name}: exists }}`")
            }
        };
        self.reading.say(Diagnostic::error("asserts-nothing", name_place(node), message).help(help));
    }
}

/// Lists the names under `capture` with their places.
fn capture_places(node: &Node) -> Vec<(String, Span)> {
    let entries = node.get("capture").and_then(Node::map).unwrap_or_default();
    entries.iter().map(|(key, _)| (key.text().unwrap_or_default().to_owned(), key.span)).collect()
}

/// Makes a scope in which all captured values are the same.
fn scope_with(
    inputs: &Map<String, Value>,
    matrix: &Map<String, Value>,
    captures: &HashSet<String>,
    stand_in: &str,
) -> Scope {
    let captured: Map<String, Value> = captures.iter().map(|name| (name.clone(), json!(stand_in))).collect();
    let roots = [("inputs", inputs.clone()), ("matrix", matrix.clone()), ("captured", captured)];
    Scope::new(roots.map(|(name, values)| (name.to_owned(), Value::Object(values))).into_iter().collect())
}

impl Retry {
    /// One attempt, no more.
    pub const NONE: Retry = Retry { attempts: 1, delay: Duration::from_secs(1), backoff: 2.0 };
}

/// Reads `retry`.
pub(super) fn retry(node: &Node, reading: &mut Reading<'_>) -> Option<Retry> {
    let attempts = |n: &Node| n.number().map(|n| n as u32);
    let backoff = node.get("backoff").and_then(|n| Some((n.number()?, n.span)));
    if let Some((_, span)) = backoff.filter(|(backoff, _)| !(1.0..=100.0).contains(backoff)) {
        let message = "the backoff is not a number from 1 to 100";
        reading.say(Diagnostic::error("bad-value", span, message));
    }
    if node.map().is_none() {
        return Some(Retry { attempts: attempts(node)?, ..Retry::NONE });
    }
    Some(Retry {
        attempts: node.get("attempts").and_then(attempts).unwrap_or(3),
        delay: reading.duration_at(node, "delay").unwrap_or(Duration::from_secs(1)),
        backoff: backoff.map_or(2.0, |(backoff, _)| backoff),
    })
}

/// Reads the name of a source.
pub(super) fn source(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    match node.text()? {
        text if text.contains("{{") => reading.known_text(node),
        text => Some(text.to_owned()),
    }
}

/// Reads `on_no_data`.
pub(super) fn on_no_data(node: &Node) -> OnNoData {
    match node.text() {
        Some("fail") => OnNoData::Fail,
        Some("warn") => OnNoData::Warn,
        Some("pass") => OnNoData::Pass,
        Some("wait") => OnNoData::Wait,
        _ => OnNoData::Inconclusive,
    }
}

fn weight(node: &Node) -> Weight {
    let flag = |key: &str| node.get(key).and_then(Node::bool);
    if flag("trial") == Some(true) {
        Weight::Trial
    } else if flag("required") == Some(false) {
        Weight::Optional
    } else {
        Weight::Required
    }
}

fn evidence(node: &Node) -> EvidencePolicy {
    match node.get("evidence").and_then(Node::text) {
        Some("full") => EvidencePolicy::Full,
        Some("none") => EvidencePolicy::None,
        _ => EvidencePolicy::Summary,
    }
}

/// Tells whether a key of a step is neither one of the language nor a probe; that is said elsewhere.
fn has_unknown_key(node: &Node) -> bool {
    let known = |name: &str| STEP.fields.iter().any(|f| f.key == name) || probe::find(name).is_some();
    node.map().unwrap_or_default().iter().any(|(key, _)| key.text().is_some_and(|name| !known(name)))
}

/// Joins what the user expects and what the probe itself asserts: both must hold. What is said twice is asked once,
/// and a yes that is only the usual gives way to the user's own word.
pub(crate) fn join(expect: Option<Expectation>, implied: Option<Expectation>) -> Option<Expectation> {
    match (expect, implied) {
        (Some(expect), Some(implied)) if says(&expect, &implied) => Some(expect),
        (Some(expect), Some(implied)) => Some(Expectation::All(vec![implied, expect])),
        (expect, implied) => expect.or(implied),
    }
}

fn says(expect: &Expectation, implied: &Expectation) -> bool {
    match (expect, implied) {
        (Expectation::All(list), _) => list.iter().any(|one| says(one, implied)),
        (Expectation::Measure { name, matcher, .. }, Expectation::Measure { name: n, matcher: m, .. }) => {
            name == n && (matcher == m || *m == Matcher::Equals(Literal::Bool(true)))
        }
        _ => false,
    }
}

fn unknown_key(key: &Node) -> Diagnostic {
    let name = key.text().unwrap_or_default();
    let keys = STEP.fields.iter().map(|f| f.key);
    let kinds = probe::KINDS.iter().map(|k| k.name);
    if did_you_mean(name, keys.clone()).is_some() {
        return Diagnostic::error("unknown-key", key.span, format!("a step has no key {name:?}")).near(name, keys);
    }
    let message = format!("there is no probe or step key {name:?}");
    let diagnostic = Diagnostic::error("unknown-probe", key.span, message);
    match did_you_mean(name, kinds.clone()) {
        Some(_) => diagnostic.near(name, kinds),
        None => diagnostic.help(format!("the probes are {}", kinds.collect::<Vec<_>>().join(", "))),
    }
}

fn remember_templates(node: &Node, reading: &mut Reading<'_>) {
    match &node.data {
        Data::Scalar { .. } if node.is_null() => {}
        Data::Scalar { .. } => {
            reading.template(node, crate::template::Place::Plain);
        }
        Data::List(items) => items.iter().for_each(|item| remember_templates(item, reading)),
        Data::Map(entries) => {
            entries.iter().flat_map(|(key, value)| [key, value]).for_each(|node| remember_templates(node, reading));
        }
    }
}
