//! `targets`: what a Prometheus scrapes, and how that goes. [`look`] turns its answer into measures.

mod look;
mod manual;

use async_trait::async_trait;

use super::labels::{self, Conditions};
use super::{Compiling, Look, MeasureSpec, Probe, ProbeKind, asked, measure};
use crate::checklist::reading::Reading;
use crate::model::{Evidence, Found, Kind, Measures, Note, Observation};
use crate::shape::{Object, Shape, field};
use crate::source::{Failure, prometheus};
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// The kind `targets`.
pub const KIND: ProbeKind = ProbeKind {
    name: "targets",
    summary: "what a Prometheus scrapes: up or not, when last, how long it took",
    manual: manual::PAGE,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

const OBJECT: Object = Object {
    name: "targets",
    fields: &[
        field("job", Shape::OneOrMany(&Shape::Template), "The job, or several; all of them when left out."),
        field("labels", labels::SHAPE, "Which of their targets: labels and their values, after relabelling."),
        field("source", Shape::Text, "Which of the `sources` to ask; the Prometheus when there is one alone."),
    ],
    open: false,
};

const MEASURES: &[MeasureSpec] = &[
    measure("up", Kind::Tally, "How many of the targets were scraped well the last time."),
    measure("count", Kind::Number, "How many targets there are."),
    measure("last_scrape_age", Kind::Duration, "How long ago each target was last scraped; every one must hold."),
    measure("scrape_duration", Kind::Duration, "How long the last scrape of each target took; every one must hold."),
    measure("last_error", Kind::Text, "What went wrong, a line for each target; empty when nothing did."),
    measure("jobs", Kind::Set, "The jobs that have targets."),
    measure("dropped", Kind::Number, "How many targets of these jobs relabelling dropped."),
];

/// A `targets` step.
struct Targets {
    jobs: Vec<Template>,
    labels: Conditions,
    source: String,
    url: Template,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let source = asked::prometheus(compiling, node, "targets");
    let jobs = templates(compiling.reading, if node.map().is_some() { node.get("job") } else { Some(node) });
    let labels = Conditions::read(compiling.reading, node.get("labels"));
    let source = source?;
    Some(Box::new(Targets {
        jobs: jobs?,
        labels: labels?,
        source: source.name().to_owned(),
        url: source.url().clone(),
    }))
}

/// Reads a name or a list of names. Nothing when a mistake was said.
pub(super) fn templates(reading: &mut Reading<'_>, node: Option<&Node>) -> Option<Vec<Template>> {
    let Some(node) = node else { return Some(Vec::new()) };
    let items = node.list().unwrap_or(std::slice::from_ref(node));
    let all: Vec<_> = items.iter().map(|item| reading.template(item, Place::Plain)).collect();
    all.into_iter().collect()
}

#[async_trait]
impl Probe for Targets {
    fn describe(&self) -> String {
        let names: Vec<_> = self.jobs.iter().map(Template::source).collect();
        let of = match names.len() {
            0 => String::new(),
            1 => format!(" of the job {}", names[0]),
            _ => format!(" of the jobs {}", names.join(", ")),
        };
        let with = if self.labels.is_empty() { String::new() } else { format!(" with {}", self.labels.words()) };
        format!("asks {} for the targets{of}{with}", self.source)
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        prometheus::host(&self.url, scope)
    }

    fn source(&self) -> Option<&str> {
        Some(&self.source)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let mut observation = Observation::new("GET /api/v1/targets", Found::Measures(Measures::new()));
        let measured = self.look(look, &mut observation).await;
        observation.found = asked::found(measured);
        observation
    }
}

impl Targets {
    async fn look(&self, look: &Look<'_>, observation: &mut Observation) -> Result<Measures, Failure> {
        let jobs = asked::filled(&self.jobs, look.scope)?;
        let labels = self.labels.fill(look.scope).map_err(Failure::lasting)?;
        let Some(source) = look.sources.prometheus(Some(&self.source)) else {
            return Err(Failure::lasting(format!("there is no source {:?}", self.source)));
        };
        let endpoint = source.endpoint(look.world, look.scope, look.timeout)?;
        observation.through = Some(endpoint.shown());
        let all = endpoint.targets().await?;
        observation.through = Some(endpoint.through().await);
        let chosen = look::Chosen::new(&all, &jobs, &labels);
        observation.notes.extend(chosen.notes().into_iter().map(Note::info));
        let text = chosen.evidence();
        if !text.is_empty() {
            observation.evidence.push(Evidence { title: "targets".into(), text, left_out: 0 });
        }
        Ok(chosen.measures(endpoint.now()))
    }
}
