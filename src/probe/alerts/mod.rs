//! `alerts`: which alerts fire. [`evaluated`] asks a Prometheus, [`told`] an Alertmanager; [`which`] says which alerts are
//! meant.

mod evaluated;
mod manual;
mod told;
mod which;

use async_trait::async_trait;

use self::which::{Meant, Which};
use super::asked::{self, Server};
use super::{Compiling, Look, MeasureSpec, Probe, ProbeKind, Wants, labels, measure};
use crate::diag::Diagnostic;
use crate::model::{Found, Kind, Measures, Observation};
use crate::shape::{Object, Shape, field};
use crate::source::{Failure, prometheus};
use crate::template::{Scope, Template};
use crate::yaml::Node;

/// The kind `alerts`.
pub const KIND: ProbeKind = ProbeKind {
    name: "alerts",
    summary: "the alerts of a Prometheus or an Alertmanager: firing, pending, silenced",
    manual: manual::PAGE,
    shape: Shape::Either(&[Shape::Template, Shape::Filled(&Shape::Template), Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

const OBJECT: Object = Object {
    name: "alerts",
    fields: &[
        field("names", Shape::OneOrMany(&Shape::Template), "The alerts, by name; all of them when left out."),
        field("labels", labels::SHAPE, "Which of them: labels and their values."),
        field("new", Shape::Bool, "Whether only those count that began after the run did."),
        field("source", Shape::Text, "Which of the `sources` to ask: a Prometheus or an Alertmanager."),
    ],
    open: false,
};

const MEASURES: &[MeasureSpec] = &[
    measure("firing", Kind::Tally, "How many of the alerts fire."),
    measure("pending", Kind::Tally, "Prometheus: how many of them will fire if it stays like this."),
    measure("defined", Kind::Tally, "Prometheus: how many of the alerts have a rule."),
    measure("active", Kind::Tally, "Alertmanager: how many of those that fire are neither silenced nor inhibited."),
    measure("silenced", Kind::Tally, "Alertmanager: how many of those that fire are silenced."),
    measure("inhibited", Kind::Tally, "Alertmanager: how many of those that fire another alert keeps quiet."),
    measure("count", Kind::Number, "How many alerts fire, each with its own labels."),
    measure("silences", Kind::Number, "Alertmanager: how many silences are in force for the alerts."),
    measure("notified", Kind::Set, "Alertmanager: the receivers to which those that fire are routed."),
    measure("receivers", Kind::Set, "Alertmanager: the receivers that are configured."),
    measure("cluster", Kind::Text, "Alertmanager: the state of its cluster: ready, settling, disabled."),
    measure("peers", Kind::Number, "Alertmanager: how many members its cluster has, itself among them."),
    measure("version", Kind::Text, "Alertmanager: its version."),
];

/// What only one of the two can tell.
const OF_PROMETHEUS: &[&str] = &["pending", "defined"];
const OF_ALERTMANAGER: &[&str] =
    &["active", "silenced", "inhibited", "silences", "notified", "receivers", "cluster", "peers", "version"];

/// An `alerts` step.
struct Alerts {
    which: Which,
    wants: Wants,
    source: String,
    url: Template,
    /// Whether the source is an Alertmanager.
    is_told: bool,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let wanted = |names: &'static [&'static str]| names.iter().copied().find(|name| compiling.wants.any(name));
    let (evaluated, told) = (wanted(OF_PROMETHEUS), wanted(OF_ALERTMANAGER));
    let server = asked::server(compiling, node, "alerts", told.is_some() && evaluated.is_none());
    let which = Which::read(compiling.reading, node);
    let server = server?;
    let (name, kind, beyond) = match server {
        Server::Prometheus(source) => (source.name(), "Prometheus", told),
        Server::Alertmanager(source) => (source.name(), "Alertmanager", evaluated),
    };
    if let Some(measure) = beyond {
        let (own, other) = match kind {
            "Prometheus" => ("a Prometheus", "an Alertmanager"),
            _ => ("an Alertmanager", "a Prometheus"),
        };
        let message = format!("the measure {measure:?} needs {other}, and {name:?} is {own}");
        let help = format!("name one with `source`, and put what {own} tells into a step of its own");
        compiling.reading.say(Diagnostic::error("expect-unknown-measure", node.span, message).help(help));
        return None;
    }
    let url = match server {
        Server::Prometheus(source) => source.url(),
        Server::Alertmanager(source) => source.url(),
    };
    Some(Box::new(Alerts {
        which: which?,
        wants: compiling.wants.clone(),
        source: name.to_owned(),
        url: url.clone(),
        is_told: kind == "Alertmanager",
    }))
}

#[async_trait]
impl Probe for Alerts {
    fn describe(&self) -> String {
        format!("asks {} for {}", self.source, self.which.words())
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        prometheus::host(&self.url, scope)
    }

    fn source(&self) -> Option<&str> {
        Some(&self.source)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let path = if self.is_told { "GET /api/v2/alerts" } else { "GET /api/v1/alerts" };
        let mut observation = Observation::new(path, Found::Measures(Measures::new()));
        let measured = match self.which.fill(look.scope, look.run_started) {
            Ok(meant) => self.ask(&meant, look, &mut observation).await,
            Err(failure) => Err(failure),
        };
        observation.found = asked::found(measured);
        observation
    }
}

impl Alerts {
    async fn ask(&self, meant: &Meant, look: &Look<'_>, observation: &mut Observation) -> Result<Measures, Failure> {
        let name = Some(self.source.as_str());
        let source = (look.sources.prometheus(name), look.sources.api("alertmanager", name));
        match source {
            (_, Some(source)) if self.is_told => {
                let asked = source.open(look.world, look.scope, look.timeout)?;
                observation.through = Some(asked.through());
                told::measures(&asked, meant, &self.wants, observation).await
            }
            (Some(source), _) => {
                let endpoint = source.endpoint(look.world, look.scope, look.timeout)?;
                observation.through = Some(endpoint.shown());
                evaluated::measures(&endpoint, meant, observation).await
            }
            _ => Err(Failure::lasting(format!("there is no source {:?}", self.source))),
        }
    }
}
