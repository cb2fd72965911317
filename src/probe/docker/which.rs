//! Which containers are meant: by name, by the labels that Compose gives them, or by any labels.

use std::time::Duration;

use crate::diag::Diagnostic;
use crate::probe::{Compiling, Look, asked};
use crate::shape::{Field, Shape, field};
use crate::source::Failure;
use crate::source::docker::{self, Container, Engine};
use crate::template::{Place, Scope, Template, TemplateError};
use crate::yaml::Node;

/// The label in which Compose keeps the project, the service, and whether a container is one of `compose run`.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const ONE_OFF: &str = "com.docker.compose.oneoff";

pub(crate) const CONTAINER: Field =
    field("container", Shape::OneOrMany(&Shape::Template), "The container, or several, by name or id.");
pub(crate) const COMPOSE: Field = field(
    "compose",
    Shape::Template,
    "The containers of a Compose project, or of one of its services: `shop` or `shop/web`.",
);
pub(crate) const LABELS: Field = field(
    "labels",
    Shape::Either(&[Shape::Map(&Shape::Template), Shape::OneOrMany(&Shape::Template)]),
    "The containers that have all of these labels: a map, or `key` and `key=value`.",
);
pub(crate) const SOURCE: Field =
    field("source", Shape::Text, "Which of the `sources` to ask; the engine of this machine when none is declared.");

/// Which containers are meant.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    /// Those of these names.
    Named(Vec<Template>),
    /// Those of a Compose project, or of one of its services.
    Compose(Template),
    /// Those that have all of these labels; the value is missing where any will do.
    Labelled(Vec<(Template, Option<Template>)>),
}

/// The containers that are meant, as they are now.
pub(crate) struct Found {
    /// Those that are there.
    pub(crate) containers: Vec<Container>,
    /// Those that were named and are not there.
    pub(crate) absent: Vec<String>,
}

impl Which {
    /// Reads which containers a node means: their names, or a map with one of the keys above.
    pub(crate) fn read(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Self> {
        if node.map().is_none() {
            return named(compiling, node);
        }
        let given: Vec<_> = ["container", "compose", "labels"].iter().filter_map(|key| node.entry(key)).collect();
        match given.as_slice() {
            [(key, value)] => match key.text() {
                Some("compose") => compose(compiling, value),
                Some("labels") => labels(compiling, value),
                _ => named(compiling, value),
            },
            [] => {
                let message = "docker needs container, compose or labels: which containers are meant";
                compiling.reading.say(Diagnostic::error("missing-key", node.span, message));
                None
            }
            [(first, _), (second, _), ..] => {
                let message = "the containers are chosen in one way: by container, compose or labels";
                let diagnostic = Diagnostic::error("bad-value", second.span, message).also(first.span, "the first one");
                compiling.reading.say(diagnostic);
                None
            }
        }
    }

    /// Tells whether exactly one container is named.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self, Which::Named(names) if names.len() == 1)
    }

    /// Says which they are, templates unfilled.
    pub(crate) fn describe(&self) -> String {
        match self {
            Which::Named(names) => names.iter().map(Template::source).collect::<Vec<_>>().join(", "),
            Which::Compose(which) => which.source().to_owned(),
            Which::Labelled(labels) => {
                let one = |(key, value): &(Template, Option<Template>)| match value {
                    Some(value) => format!("{}={}", key.source(), value.source()),
                    None => key.source().to_owned(),
                };
                labels.iter().map(one).collect::<Vec<_>>().join(" ")
            }
        }
    }

    /// Fills the templates in.
    ///
    /// # Errors
    /// Says which cannot be filled, or is empty then.
    pub(crate) fn fill(&self, scope: &Scope) -> Result<Filled, Failure> {
        match self {
            Which::Named(names) => Ok(Filled::Named(names.iter().map(|n| fill(n, scope)).collect::<Result<_, _>>()?)),
            Which::Compose(which) => {
                let text = fill(which, scope)?;
                let (project, service) = match text.split_once('/') {
                    Some((project, service)) => (project, Some(service)),
                    None => (text.as_str(), None),
                };
                if project.is_empty() || service.is_some_and(|service| service.is_empty() || service.contains('/')) {
                    return Err(Failure::lasting(format!("{text:?} is neither a project nor project/service")));
                }
                let mut labels = vec![format!("{PROJECT}={project}"), format!("{ONE_OFF}=False")];
                labels.extend(service.map(|service| format!("{SERVICE}={service}")));
                Ok(Filled::Labelled(labels, format!("the compose {text}")))
            }
            Which::Labelled(labels) => {
                let mut filled = Vec::new();
                for (key, value) in labels {
                    let key = fill(key, scope)?;
                    filled.push(match value {
                        Some(value) => format!("{key}={}", value.render(scope).map_err(unfilled)?),
                        None => key,
                    });
                }
                let words = format!("the labels {}", filled.join(" "));
                Ok(Filled::Labelled(filled, words))
            }
        }
    }
}

/// Which containers are meant, templates filled.
pub(crate) enum Filled {
    Named(Vec<String>),
    /// The labels, and what they are called.
    Labelled(Vec<String>, String),
}

impl Filled {
    /// Says which they are.
    pub(crate) fn words(&self) -> String {
        match self {
            Filled::Named(names) => names.join(", "),
            Filled::Labelled(_, words) => words.clone(),
        }
    }

    /// Asks the engine for each of them.
    ///
    /// # Errors
    /// Says why the engine cannot say.
    pub(crate) async fn look(&self, engine: &Engine<'_>) -> Result<Found, Failure> {
        let (mut containers, mut absent) = (Vec::new(), Vec::new());
        match self {
            Filled::Named(names) => {
                for name in names {
                    match engine.container(name).await? {
                        Some(container) => containers.push(container),
                        None => absent.push(name.clone()),
                    }
                }
            }
            Filled::Labelled(labels, _) => {
                for (id, name) in engine.labelled(labels).await? {
                    let gone = || Failure::passing(format!("the container {name} went away while it was looked at"));
                    containers.push(engine.container(&id).await?.ok_or_else(gone)?);
                }
            }
        }
        Ok(Found { containers, absent })
    }
}

/// Finds the engine to ask: the one that the node names, or what is meant without a name. Every mistake is said.
pub(crate) fn source(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Asking> {
    let sources = compiling.sources;
    let (name, place) = asked::named_of(compiling, node, "docker");
    if let Some(engine) = sources.docker(name.as_deref()) {
        let name = Some(engine.name().to_owned()).filter(|name| !name.is_empty());
        return Some(Asking { name, at: engine.at().cloned() });
    }
    let diagnostic = match name {
        Some(name) => Diagnostic::error("unknown-source", place.span, format!("there is no docker source {name:?}"))
            .near(&name, sources.names()),
        None => {
            Diagnostic::error("no-source", node.span, "it is not clear which engine is meant; name one with `source`")
        }
    };
    compiling.reading.say(diagnostic);
    None
}

/// The engine that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    /// Its name among the sources; nothing for that of this machine.
    name: Option<String>,
    at: Option<Template>,
}

impl Asking {
    /// Returns its name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Names it for limits per host.
    pub(crate) fn host(&self, scope: &Scope) -> Option<String> {
        docker::host(self.at.as_ref(), scope)
    }

    /// Makes it ready to be asked.
    ///
    /// # Errors
    /// Says what is wrong with its address, or that it does not answer.
    pub(crate) async fn open<'w>(&self, look: &Look<'w>, timeout: Duration) -> Result<Engine<'w>, Failure> {
        let engine = look.sources.docker(self.name());
        let engine = engine.ok_or_else(|| Failure::lasting("the engine is not among the sources"))?;
        engine.open(look.world, look.scope, timeout).await
    }
}

fn named(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Which> {
    let nodes = node.list().unwrap_or(std::slice::from_ref(node));
    if nodes.is_empty() {
        compiling.reading.say(Diagnostic::error("bad-value", node.span, "the list is empty"));
        return None;
    }
    let names: Vec<_> = nodes.iter().map(|name| plain(compiling, name)).collect();
    Some(Which::Named(names.into_iter().collect::<Option<_>>()?))
}

fn compose(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Which> {
    plain(compiling, node).map(Which::Compose)
}

fn labels(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Which> {
    let pairs: Vec<_> = match node.map() {
        Some(map) => map
            .iter()
            .map(|(key, value)| Some((plain(compiling, key)?, Some(compiling.reading.template(value, Place::Plain)?))))
            .collect(),
        None => {
            let nodes = node.list().unwrap_or(std::slice::from_ref(node));
            nodes.iter().map(|label| Some((plain(compiling, label)?, None))).collect()
        }
    };
    if pairs.is_empty() {
        compiling.reading.say(Diagnostic::error("bad-value", node.span, "no label is named"));
        return None;
    }
    Some(Which::Labelled(pairs.into_iter().collect::<Option<_>>()?))
}

/// Reads a text that must not be empty.
fn plain(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Template> {
    let template = compiling.reading.template(node, Place::Plain)?;
    if template.source().trim().is_empty() {
        compiling.reading.say(Diagnostic::error("bad-value", node.span, "the name is empty"));
        return None;
    }
    Some(template)
}

fn fill(template: &Template, scope: &Scope) -> Result<String, Failure> {
    let text = template.render(scope).map_err(unfilled)?;
    match text.trim() {
        "" => Err(Failure::lasting(format!("{} is empty", template.source()))),
        text => Ok(text.to_owned()),
    }
}

fn unfilled(error: TemplateError) -> Failure {
    Failure::lasting(error.to_string())
}
