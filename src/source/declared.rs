//! The `sources:` of a checklist: which back ends there are, and how to reach them.

use indexmap::IndexMap;

use super::api::Api;
use super::kubernetes::{self, Kubernetes};
use super::metrics::Metrics;
use super::pages::{self, Recorded, Scrape};
use super::prometheus::Prometheus;
use super::reach::{BASIC, BEARER, HEADERS, Reach, TLS};
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::shape::{self, Field, Object, Shape, field};
use crate::sys::World;
use crate::template::Scope;
use crate::yaml::{Data, Node, Style};

/// The form of `sources`.
pub const SHAPE: Shape = Shape::Map(&Shape::Either(&[Shape::Template, Shape::Object(&ANY_SOURCE)]));

/// The kinds that the language knows.
const KINDS: &[&str] =
    &["prometheus", "scrape", "recorded", "alertmanager", "grafana", "loki", "github", "kubernetes", "docker"];

/// The kinds that answer JSON over HTTP, each with its address when none is given.
const APIS: &[(&str, Option<&str>)] =
    &[("alertmanager", None), ("grafana", None), ("loki", None), ("github", Some("https://api.github.com"))];

/// What any source may have; the keys of each kind are checked when its kind is known.
const ANY_SOURCE: Object = Object { name: "a source", fields: ANY, open: true };
const OVER_HTTP: Object =
    Object { name: "a source over HTTP", fields: &[KIND, URL, HEADERS, BEARER, BASIC, TLS, TIMEOUT], open: false };

pub(super) const KIND: Field =
    field("kind", Shape::Word(KINDS), "What kind of back end it is; the entry's name says it when left out.");
pub(super) const URL: Field =
    field("url", Shape::Template, "Where it answers, path prefix included: `http://prometheus:9090`.");
pub(super) const TIMEOUT: Field =
    field("timeout", Shape::Duration, "The longest time for one request; never longer than that of the step.");

const ANY: &[Field] = &[
    KIND,
    URL,
    HEADERS,
    BEARER,
    BASIC,
    TLS,
    TIMEOUT,
    pages::declared::URLS,
    pages::declared::EVERY,
    pages::declared::KEEP,
    pages::declared::FILE,
    pages::declared::FOLDER,
    pages::declared::AT,
    pages::declared::JOB,
    pages::declared::LABELS,
    pages::declared::HONOR,
    pages::declared::SERIES,
    pages::declared::BODY,
    kubernetes::declared::CONTEXT,
    kubernetes::declared::NAMESPACE,
    kubernetes::declared::KUBECONFIG,
    kubernetes::declared::IN_CLUSTER,
    kubernetes::declared::SERVICE_ACCOUNT,
];

/// The back ends that a checklist declares, by name.
#[derive(Default)]
pub struct Sources {
    prometheus: IndexMap<String, Prometheus>,
    scrape: IndexMap<String, Scrape>,
    recorded: IndexMap<String, Recorded>,
    apis: IndexMap<String, Api>,
    kubernetes: IndexMap<String, Kubernetes>,
}

impl Sources {
    /// Reads the value of `sources:`, which has passed [`SHAPE`]. Every mistake is said.
    pub fn compile(reading: &mut Reading<'_>, node: &Node) -> Self {
        let mut sources = Self::default();
        for (key, value) in node.map().unwrap_or_default() {
            let Some(name) = key.text() else { continue };
            match kind_of(reading, key, value) {
                Some("prometheus") => {
                    if let Some(reach) = over_http(reading, key, value, "prometheus", None) {
                        sources.prometheus.insert(name.to_owned(), Prometheus::new(name, reach));
                    }
                }
                Some("scrape") => {
                    let read = pages::declared::scrape(reading, key, value);
                    sources.scrape.extend(read.map(|source| (name.to_owned(), source)));
                }
                Some("recorded") => {
                    let read = pages::declared::recorded(reading, key, value);
                    sources.recorded.extend(read.map(|source| (name.to_owned(), source)));
                }
                Some(kind) if let Some((kind, url)) = APIS.iter().find(|(api, _)| *api == kind) => {
                    let reach = over_http(reading, key, value, kind, *url);
                    sources.apis.extend(reach.map(|reach| (name.to_owned(), Api::new(name, kind, reach))));
                }
                Some("kubernetes") => {
                    let read = kubernetes::declared::read(reading, key, value);
                    sources.kubernetes.extend(read.map(|source| (name.to_owned(), source)));
                }
                Some(kind) => {
                    let message = format!("sources of kind {kind} are not available in this version");
                    reading.say(Diagnostic::error("not-yet", key.span, message));
                }
                None => {}
            }
        }
        sources
    }

    /// Looks a Prometheus up: by name, or the one that is meant without a name, which is the entry `prometheus`, or
    /// the only one there is.
    pub fn prometheus(&self, name: Option<&str>) -> Option<&Prometheus> {
        match name {
            Some(name) => self.prometheus.get(name),
            None => self.prometheus.get("prometheus").or_else(|| match self.prometheus.len() {
                1 => self.prometheus.values().next(),
                _ => None,
            }),
        }
    }

    /// Looks up what answers PromQL: by name, or what is meant without a name, which is the entry `prometheus`, or the
    /// only one there is.
    pub fn metrics(&self, name: Option<&str>) -> Option<Metrics<'_>> {
        let Some(name) = name else {
            let mut all = self.all_metrics();
            return match (self.metrics(Some("prometheus")), all.next(), all.next()) {
                (Some(found), _, _) => Some(found),
                (None, only, None) => only,
                (None, _, Some(_)) => None,
            };
        };
        let scrape = || self.scrape.get(name).map(Metrics::Scrape);
        let recorded = || self.recorded.get(name).map(Metrics::Recorded);
        self.prometheus.get(name).map(Metrics::Prometheus).or_else(scrape).or_else(recorded)
    }

    fn all_metrics(&self) -> impl Iterator<Item = Metrics<'_>> {
        let prometheus = self.prometheus.values().map(Metrics::Prometheus);
        let scrape = self.scrape.values().map(Metrics::Scrape);
        prometheus.chain(scrape).chain(self.recorded.values().map(Metrics::Recorded))
    }

    /// Looks up a source of a kind that answers JSON over HTTP: by name, or the one that is meant without a name, which
    /// is the entry called like the kind, or the only one of the kind.
    pub fn api(&self, kind: &str, name: Option<&str>) -> Option<&Api> {
        let mut all = self.apis.values().filter(|api| api.kind() == kind);
        match name {
            Some(name) => all.find(|api| api.name() == name),
            None => self.apis.get(kind).filter(|api| api.kind() == kind).or_else(|| match (all.next(), all.next()) {
                (Some(only), None) => Some(only),
                _ => None,
            }),
        }
    }

    /// Looks a cluster up: by name, or the one that is meant without a name, which is the entry `kubernetes`, or the only
    /// one there is.
    pub fn kubernetes(&self, name: Option<&str>) -> Option<&Kubernetes> {
        match name {
            Some(name) => self.kubernetes.get(name),
            None => self.kubernetes.get("kubernetes").or_else(|| match self.kubernetes.len() {
                1 => self.kubernetes.values().next(),
                _ => None,
            }),
        }
    }

    /// Lists the names of all sources.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let local = self.scrape.keys().chain(self.recorded.keys());
        let far = self.apis.keys().chain(self.kubernetes.keys());
        self.prometheus.keys().chain(local).chain(far).map(String::as_str)
    }

    /// Begins to collect for the source of that name, if it is one that collects while the run goes on. What keeps it
    /// from that is said to whoever asks it.
    pub fn begin(&self, name: &str, world: &World, scope: &Scope) {
        if let Some(source) = self.scrape.get(name) {
            let _ = source.begin(world, scope);
        }
    }

    /// Ends whatever was begun.
    pub fn end(&self) {
        self.scrape.values().for_each(Scrape::end);
    }
}

fn kind_of<'a>(reading: &mut Reading<'_>, key: &'a Node, value: &'a Node) -> Option<&'a str> {
    if let Some(kind) = value.get("kind").and_then(Node::text) {
        return Some(kind);
    }
    let name = key.text()?;
    if KINDS.contains(&name) {
        return Some(name);
    }
    let message = format!("the source {name:?} needs \"kind\": one of {}", KINDS.join(", "));
    reading.say(Diagnostic::error("missing-key", key.span, message).near(name, KINDS.iter().copied()));
    None
}

/// Reads a source that is reached over HTTP: its URL alone, or a map.
fn over_http(
    reading: &mut Reading<'_>,
    key: &Node,
    value: &Node,
    kind: &str,
    default: Option<&'static str>,
) -> Option<Reach> {
    if value.map().is_none() {
        return Reach::read(reading, value, value);
    }
    if !shape::check(value, &Shape::Object(&OVER_HTTP), reading.diagnostics) {
        return None;
    }
    match (value.get("url"), default) {
        (Some(url), _) => Reach::read(reading, url, value),
        (None, Some(url)) => {
            let url = Node { span: key.span, data: Data::Scalar { text: url.into(), style: Style::Plain } };
            Reach::read(reading, &url, value)
        }
        (None, None) => {
            let message = format!("a {kind} source needs \"url\": where it answers");
            reading.say(Diagnostic::error("missing-key", key.span, message));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Diagnostics, SourceMap};
    use crate::template::Scope;

    fn compile(text: &str) -> (Sources, Vec<&'static str>) {
        let mut map = SourceMap::new();
        let file = map.add("c.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let node = crate::yaml::parse(&mut map, file, &mut diagnostics).expect("valid YAML");
        let scope = Scope::default();
        let sources = match shape::check(&node, &SHAPE, &mut diagnostics) {
            true => Sources::compile(&mut Reading::new(&map, &mut diagnostics, &scope), &node),
            false => Sources::default(),
        };
        (sources, diagnostics.iter().map(|d| d.code).collect())
    }

    #[test]
    fn the_default_is_the_entry_of_that_name_or_the_only_one() {
        let (sources, codes) = compile("eu: { kind: prometheus, url: http://eu:9090 }\nprometheus: http://p:9090\n");
        assert_eq!(codes, [""; 0]);
        assert_eq!(sources.prometheus(None).map(Prometheus::name), Some("prometheus"));
        assert_eq!(sources.prometheus(Some("eu")).map(Prometheus::name), Some("eu"));
        assert!(sources.prometheus(Some("us")).is_none());
        let (one, _) = compile("eu: { kind: prometheus, url: http://eu:9090 }\n");
        assert_eq!(one.prometheus(None).map(Prometheus::name), Some("eu"));
        let (two, _) = compile("eu: { kind: prometheus, url: http://e }\nus: { kind: prometheus, url: http://u }\n");
        assert!(two.prometheus(None).is_none());
    }

    #[test]
    fn mistakes_in_declarations_are_said() {
        assert_eq!(compile("prometheus: { url: localhost }\n").1, ["bad-url"]);
        assert_eq!(compile("prometheus: { bearer: x }\n").1, ["missing-key"]);
        assert_eq!(compile("prometheus: { url: http://x, ulr: y }\n").1, ["unknown-key"]);
        assert_eq!(compile("eu: { url: http://x }\n").1, ["missing-key"]);
        assert_eq!(compile("eu: { kind: prometheu, url: http://x }\n").1, ["bad-value"]);
        let both = "prometheus: { url: http://x, bearer: t, basic: { user: u, password: p } }\n";
        assert_eq!(compile(both).1, ["bad-value"]);
    }
}
