//! `rules`: the rules that a Prometheus has loaded. [`file`] reads a rule file, [`same`] compares its rules with those
//! that are loaded, [`look`] turns all of it into measures.

mod file;
mod look;
mod manual;
mod same;

use std::path::Path;

use async_trait::async_trait;

use super::targets::templates;
use super::{Compiling, Keys, Look, MeasureSpec, Probe, ProbeKind, Wants, asked, keyed, measure};
use crate::diag::Diagnostic;
use crate::model::{Found, Kind, Measures, Observation};
use crate::shape::{Object, Shape, field};
use crate::source::prometheus::told::RuleKind;
use crate::source::{Failure, prometheus};
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// The kind `rules`.
pub const KIND: ProbeKind = ProbeKind {
    name: "rules",
    summary: "the rules that a Prometheus has loaded: there, healthy, inactive, equal to a rule file",
    manual: manual::PAGE,
    shape: Shape::Either(&[Shape::Template, Shape::Filled(&Shape::Template), Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

const OBJECT: Object = Object {
    name: "rules",
    fields: &[
        field("names", Shape::OneOrMany(&Shape::Template), "The rules, by the name of the alert or of the series."),
        field("file", Shape::Template, "A rule file whose rules are meant, and with which they are compared."),
        field("group", Shape::OneOrMany(&Shape::Template), "The groups whose rules are meant."),
        field("type", Shape::Word(&["alerting", "recording"]), "Only alerts, or only recording rules."),
        field("source", Shape::Text, "Which of the `sources` to ask; the Prometheus when there is one alone."),
    ],
    open: false,
};

const MEASURES: &[MeasureSpec] = &[
    measure("defined", Kind::Tally, "How many of the rules are loaded."),
    measure("same", Kind::Tally, "With a file: how many of its rules are loaded as they stand there."),
    measure("state", Kind::Set, "The states that the alerts are in: inactive, pending, firing."),
    measure("health", Kind::Set, "How evaluating the rules goes: ok, err, or unknown before the first time."),
    measure("expr", Kind::Json, "The expression as the server writes it; a list when the rules differ."),
    measure("for", Kind::Duration, "How long the expression must hold before the alert fires; every one must hold."),
    keyed("labels", Kind::Json, Keys::Name, "The text of a label; a list when the rules differ."),
    keyed("annotations", Kind::Json, Keys::Name, "The text of an annotation; a list when the rules differ."),
    measure("count", Kind::Number, "How many rules are loaded of those that are meant."),
    measure(
        "last_error",
        Kind::Text,
        "What went wrong at the last evaluation, a line for each rule; empty when nothing did.",
    ),
    measure(
        "differences",
        Kind::Text,
        "With a file: what differs, a line for each difference; empty when nothing does.",
    ),
    measure("extra", Kind::Set, "With a file: rules that its groups have loaded beside those of the file."),
];

/// The measures that compare with a file.
const OF_A_FILE: &[&str] = &["same", "differences", "extra"];

/// A `rules` step.
struct Rules {
    names: Vec<Template>,
    groups: Vec<Template>,
    file: Option<Template>,
    kind: Option<RuleKind>,
    wants: Wants,
    source: String,
    url: Template,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let source = asked::prometheus(compiling, node, "rules");
    let named = if node.map().is_some() { node.get("names") } else { Some(node) };
    let names = templates(compiling.reading, named);
    let groups = templates(compiling.reading, node.get("group"));
    let file = node.get("file").map(|node| compiling.reading.template(node, Place::Plain));
    let good = says_what_is_meant(compiling, node, named);
    let file = match file {
        Some(read) => Some(read?),
        None => None,
    };
    let (source, names, groups) = (source?, names?, groups?);
    good.then(|| -> Box<dyn Probe> {
        Box::new(Rules {
            names,
            groups,
            file,
            kind: match node.get("type").and_then(Node::text) {
                Some("alerting") => Some(RuleKind::Alerting),
                Some(_) => Some(RuleKind::Recording),
                None => None,
            },
            wants: compiling.wants.clone(),
            source: source.name().to_owned(),
            url: source.url().clone(),
        })
    })
}

/// Refuses an empty list of names, names beside a file, and comparing without a file.
fn says_what_is_meant(compiling: &mut Compiling<'_, '_>, node: &Node, named: Option<&Node>) -> bool {
    let mut good = true;
    if let Some(named) = named.filter(|named| named.list().is_some_and(<[Node]>::is_empty)) {
        let message = "an empty list names no rule; leave it out to mean all of them";
        compiling.reading.say(Diagnostic::error("asserts-nothing", named.span, message));
        good = false;
    }
    if let (Some((_, _)), Some((key, _))) = (node.entry("names"), node.entry("file")) {
        let message = "either the names or the file say which rules are meant, not both";
        compiling.reading.say(Diagnostic::error("bad-value", key.span, message));
        good = false;
    }
    if let (None, Some(wanted)) = (node.get("file"), OF_A_FILE.iter().find(|name| compiling.wants.any(name))) {
        let message = format!("the measure {wanted:?} needs a rule file to compare with");
        let help = "write `rules: { file: alert.rules.yml }`";
        compiling.reading.say(Diagnostic::error("expect-unknown-measure", node.span, message).help(help));
        good = false;
    }
    good
}

#[async_trait]
impl Probe for Rules {
    fn describe(&self) -> String {
        let list = |templates: &[Template]| templates.iter().map(Template::source).collect::<Vec<_>>().join(", ");
        let which = match (&self.file, self.names.is_empty(), self.groups.is_empty()) {
            (Some(file), _, _) => format!(" of the file {}", file.source()),
            (None, false, _) => format!(" {}", list(&self.names)),
            (None, true, false) => format!(" of the group {}", list(&self.groups)),
            (None, true, true) => String::new(),
        };
        format!("asks {} for the rules{which}", self.source)
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        prometheus::host(&self.url, scope)
    }

    fn source(&self) -> Option<&str> {
        Some(&self.source)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let mut observation = Observation::new("GET /api/v1/rules", Found::Measures(Measures::new()));
        let measured = self.look(look, &mut observation).await;
        observation.found = asked::found(measured);
        observation
    }
}

impl Rules {
    async fn look(&self, look: &Look<'_>, observation: &mut Observation) -> Result<Measures, Failure> {
        let names = asked::filled(&self.names, look.scope)?;
        let groups = asked::filled(&self.groups, look.scope)?;
        let file = match &self.file {
            None => None,
            Some(path) => {
                let path = path.render(look.scope).map_err(|error| Failure::lasting(error.to_string()))?;
                let read = file::read(Path::new(&path)).await;
                Some(read.map_err(|why| Failure::lasting(format!("the rule file {path}: {why}")))?)
            }
        };
        let Some(source) = look.sources.prometheus(Some(&self.source)) else {
            return Err(Failure::lasting(format!("there is no source {:?}", self.source)));
        };
        let endpoint = source.endpoint(look.world, look.scope, look.timeout)?;
        observation.through = Some(endpoint.shown());
        let loaded = endpoint.rules().await?;
        observation.through = Some(endpoint.through().await);
        let meant = look::Meant { names: &names, groups: &groups, kind: self.kind, file: file.as_deref() };
        let chosen = look::Chosen::new(&loaded, &meant);
        observation.evidence.extend(chosen.evidence());
        Ok(chosen.measures(&self.wants))
    }
}
