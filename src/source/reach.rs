//! How to reach a back end over HTTP: what a checklist writes, and the same with its templates filled in.

use std::time::Duration;

use super::Failure;
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::shape::{Field, Object, Shape, field, required};
use crate::sys::http::Connection;
use crate::template::{Place, Scope, Template, TemplateError};
use crate::yaml::Node;

pub(super) const HEADERS: Field = field("headers", Shape::Map(&Shape::Template), "Headers sent with every request.");
pub(super) const BEARER: Field = field("bearer", Shape::Template, "A bearer token; use a secret input.");
pub(super) const BASIC: Field =
    field("basic", Shape::Object(&BASIC_OBJECT), "User and password for basic authentication.");
pub(super) const TLS: Field = field("tls", Shape::Object(&TLS_OBJECT), "Whom to trust, and who we are.");

const BASIC_OBJECT: Object = Object {
    name: "basic authentication",
    fields: &[
        required("user", Shape::Template, "The user."),
        required("password", Shape::Template, "The password; use a secret input."),
    ],
    open: false,
};

const TLS_OBJECT: Object = Object {
    name: "tls",
    fields: &[
        field("ca", Shape::Template, "A file with certificate authorities (PEM) to trust instead of the system's."),
        field("cert", Shape::Template, "A file with the client's certificate and key (PEM)."),
        field(
            "key",
            Shape::Template,
            "A file with the client's key (PEM), where it is not in that of the certificate.",
        ),
        field("insecure", Shape::Bool, "Whether the server's certificate goes unchecked; marked in the report."),
    ],
    open: false,
};

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

/// A back end with its templates filled in.
#[derive(Clone, Debug)]
pub struct Filled {
    /// Where it answers.
    pub url: url::Url,
    /// The same as written.
    pub written: String,
    /// The URL as it may be shown.
    pub shown: String,
    /// Headers sent with every request, authorization among them.
    pub headers: Vec<(String, String)>,
}

impl Reach {
    /// Reads how to reach the URL at `url`; the other keys are those of `node`. Every mistake is said.
    pub(super) fn read(reading: &mut Reading<'_>, url: &Node, node: &Node) -> Option<Self> {
        let text = url.text().unwrap_or_default();
        if !text.starts_with("{{") && !text.starts_with("http://") && !text.starts_with("https://") {
            let message = format!("{text:?} is not a URL; it begins with http:// or https://");
            reading.say(Diagnostic::error("bad-url", url.span, message));
            return None;
        }
        Some(Self {
            url: reading.template(url, Place::Url)?,
            headers: headers(reading, node),
            auth: auth(reading, node),
            connection: connection(reading, node),
            timeout: reading.duration_at(node, "timeout"),
        })
    }

    /// Fills the templates in. `name` is the source's, for messages.
    ///
    /// # Errors
    /// Says which template cannot be filled, or that the URL is none.
    pub(super) fn fill(&self, name: &str, scope: &Scope) -> Result<Filled, Failure> {
        let fill = |error: TemplateError| Failure::lasting(format!("the source {name:?}: {error}"));
        let written = self.url.render(scope).map_err(fill)?;
        let parsed = url::Url::parse(&written).ok().filter(|u| matches!(u.scheme(), "http" | "https"));
        let Some(url) = parsed else {
            return Err(Failure::lasting(format!("the source {name:?}: {written:?} is not a URL")));
        };
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            headers.push((name.clone(), value.render(scope).map_err(fill)?));
        }
        match &self.auth {
            None => {}
            Some(Auth::Bearer(token)) => {
                headers.push(("authorization".into(), format!("Bearer {}", token.render(scope).map_err(fill)?)));
            }
            Some(Auth::Basic(user, password)) => {
                let pair = format!("{}:{}", user.render(scope).map_err(fill)?, password.render(scope).map_err(fill)?);
                let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
                headers.push(("authorization".into(), format!("Basic {encoded}")));
            }
        }
        let shown = without_password(url.clone());
        Ok(Filled { url, written, shown, headers })
    }
}

/// Returns the URL as it may be shown.
pub(super) fn without_password(mut url: url::Url) -> String {
    if url.password().is_some() || !url.username().is_empty() {
        // Both fail only for URLs that cannot have them.
        let _ = url.set_password(None);
        let _ = url.set_username("");
    }
    url.as_str().trim_end_matches('/').to_owned()
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

pub(super) fn connection(reading: &mut Reading<'_>, node: &Node) -> Connection {
    let Some(tls) = node.get("tls") else { return Connection::default() };
    Connection {
        ca_file: tls.get("ca").and_then(|n| reading.known_text(n)),
        client_cert: tls.get("cert").and_then(|n| reading.known_text(n)),
        client_key: tls.get("key").and_then(|n| reading.known_text(n)),
        insecure: tls.get("insecure").and_then(Node::bool).unwrap_or(false),
        ..Connection::default()
    }
}
