//! The `sources:` of a checklist: which back ends there are, and how to reach them.

use std::time::Duration;

use indexmap::IndexMap;

use super::Prometheus;
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::shape::{self, Field, Object, Shape, field, required};
use crate::sys::http::Connection;
use crate::template::{Place, Template};
use crate::yaml::Node;

/// The form of `sources`.
pub const SHAPE: Shape = Shape::Map(&Shape::Either(&[Shape::Template, Shape::Object(&ANY_SOURCE)]));

/// The kinds that the language knows; the first one is what this version asks.
const KINDS: &[&str] = &["prometheus", "alertmanager", "kubernetes", "grafana", "loki", "docker"];

/// What any source may have; the keys of each kind are checked when its kind is known.
const ANY_SOURCE: Object = Object { name: "a source", fields: FIELDS, open: true };
const PROMETHEUS: Object = Object { name: "a prometheus source", fields: FIELDS, open: false };

const FIELDS: &[Field] = &[
    field("kind", Shape::Word(KINDS), "What kind of back end it is; the entry's name says it when left out."),
    field("url", Shape::Template, "Where it answers, path prefix included: `http://prometheus:9090`."),
    field("headers", Shape::Map(&Shape::Template), "Headers sent with every request."),
    field("bearer", Shape::Template, "A bearer token; use a secret input."),
    field("basic", Shape::Object(&BASIC), "User and password for basic authentication."),
    field("tls", Shape::Object(&TLS), "Whom to trust, and who we are."),
    field("timeout", Shape::Duration, "The longest time for one request; never longer than that of the step."),
];

const BASIC: Object = Object {
    name: "basic authentication",
    fields: &[
        required("user", Shape::Template, "The user."),
        required("password", Shape::Template, "The password; use a secret input."),
    ],
    open: false,
};

const TLS: Object = Object {
    name: "tls",
    fields: &[
        field("ca", Shape::Template, "A file with certificate authorities (PEM) to trust instead of the system's."),
        field("cert", Shape::Template, "A file with the client's certificate and key (PEM)."),
        field("insecure", Shape::Bool, "Whether the server's certificate goes unchecked; marked in the report."),
    ],
    open: false,
};

/// The back ends that a checklist declares, by name.
#[derive(Default)]
pub struct Sources {
    prometheus: IndexMap<String, Prometheus>,
}

/// How to reach a back end over HTTP, templates unfilled.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Where it answers.
    pub url: Template,
    /// Headers sent with every request.
    pub headers: Vec<(String, Template)>,
    /// Who we are.
    pub auth: Option<Auth>,
    /// How connections are made.
    pub connection: Connection,
    /// The longest time for one request.
    pub timeout: Option<Duration>,
}

/// Who we are.
#[derive(Clone, Debug)]
pub enum Auth {
    /// A bearer token.
    Bearer(Template),
    /// User and password.
    Basic(Template, Template),
}

impl Sources {
    /// Reads the value of `sources:`, which has passed [`SHAPE`]. Every mistake is said.
    pub fn compile(reading: &mut Reading<'_>, node: &Node) -> Self {
        let mut sources = Self::default();
        for (key, value) in node.map().unwrap_or_default() {
            let Some(name) = key.text() else { continue };
            match kind_of(reading, key, value) {
                Some("prometheus") => {
                    if let Some(reach) = reach(reading, key, value) {
                        sources.prometheus.insert(name.to_owned(), Prometheus::new(name, reach));
                    }
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

    /// Lists the names of all sources, in the order of writing.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.prometheus.keys().map(String::as_str)
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

fn reach(reading: &mut Reading<'_>, key: &Node, value: &Node) -> Option<Reach> {
    let url = match value.map() {
        None => value,
        Some(_) => {
            if !shape::check(value, &Shape::Object(&PROMETHEUS), reading.diagnostics) {
                return None;
            }
            let Some(url) = value.get("url") else {
                let message = "a prometheus source needs \"url\": where it answers";
                reading.say(Diagnostic::error("missing-key", key.span, message));
                return None;
            };
            url
        }
    };
    let text = url.text().unwrap_or_default();
    if !text.starts_with("{{") && !text.starts_with("http://") && !text.starts_with("https://") {
        let message = format!("{text:?} is not a URL; it begins with http:// or https://");
        reading.say(Diagnostic::error("bad-url", url.span, message));
        return None;
    }
    Some(Reach {
        url: reading.template(url, Place::Url)?,
        headers: headers(reading, value),
        auth: auth(reading, value),
        connection: connection(reading, value),
        timeout: reading.duration_at(value, "timeout"),
    })
}

fn headers(reading: &mut Reading<'_>, node: &Node) -> Vec<(String, Template)> {
    let entries = node.get("headers").and_then(Node::map).unwrap_or_default();
    let mut out = Vec::new();
    for (key, value) in entries {
        if let (Some(name), Some(template)) = (key.text(), reading.template(value, Place::Plain)) {
            out.push((name.to_owned(), template));
        }
    }
    out
}

fn auth(reading: &mut Reading<'_>, node: &Node) -> Option<Auth> {
    let bearer = reading.template_at(node, "bearer", Place::Plain);
    let Some((key, basic)) = node.entry("basic") else { return bearer.map(Auth::Bearer) };
    if bearer.is_some() {
        let message = "a source takes either bearer or basic, not both";
        reading.say(Diagnostic::error("bad-value", key.span, message));
    }
    let user = reading.template_at(basic, "user", Place::Plain)?;
    let password = reading.template_at(basic, "password", Place::Plain)?;
    Some(Auth::Basic(user, password))
}

fn connection(reading: &mut Reading<'_>, node: &Node) -> Connection {
    let Some(tls) = node.get("tls") else { return Connection::default() };
    Connection {
        ca_file: tls.get("ca").and_then(|n| reading.known_text(n)),
        client_cert: tls.get("cert").and_then(|n| reading.known_text(n)),
        insecure: tls.get("insecure").and_then(Node::bool).unwrap_or(false),
        ..Connection::default()
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
        assert_eq!(compile("kubernetes: { context: c, namespace: n }\n").1, ["not-yet"]);
        assert_eq!(compile("eu: { kind: prometheu, url: http://x }\n").1, ["bad-value"]);
        let both = "prometheus: { url: http://x, bearer: t, basic: { user: u, password: p } }\n";
        assert_eq!(compile(both).1, ["bad-value"]);
    }
}
