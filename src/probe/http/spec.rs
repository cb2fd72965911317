//! Reads what was written under `http:`, each mistake with its place.

use http::HeaderName;
use url::Url;

use super::METHODS;
use super::api::{self, Api};
use super::burst::Burst;
use super::payload::{self, Payload};
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::{Quantity, Unit};
use crate::sys::http::HttpVersion;
use crate::template::{Place, Template};
use crate::yaml::Node;

/// How much of a body is read unless something else is given.
const MAX_BODY: usize = 10 << 20;
const MOST_BODY: f64 = 268_435_456.0;

/// How many redirects are followed unless something else is given.
const REDIRECTS: u32 = 10;

/// What was written, checked.
pub(super) struct Spec {
    pub(super) method: String,
    pub(super) url: Template,
    pub(super) query: Vec<(String, Template)>,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) payload: Payload,
    pub(super) auth: Option<Auth>,
    pub(super) redirects: u32,
    pub(super) way: Way,
    pub(super) max_body: usize,
    pub(super) burst: Option<Burst>,
    pub(super) api: Option<Api>,
}

/// How the connection is made.
pub(super) struct Way {
    pub(super) ca: Option<Template>,
    pub(super) cert: Option<Template>,
    pub(super) insecure: bool,
    pub(super) resolve: Vec<(String, Template)>,
    pub(super) proxy: Option<Template>,
    pub(super) version: HttpVersion,
}

/// Credentials.
pub(super) enum Auth {
    /// User and password.
    Basic(Template, Template),
    /// A token.
    Bearer(Template),
}

/// Reads the short form or the map. Nothing when a mistake was said.
pub(super) fn read(reading: &mut Reading<'_>, node: &Node) -> Option<Spec> {
    let short = node.text().is_some();
    let place = if short { node } else { node.get("url")? };
    let (method, url) = request_line(reading, place)?;
    if let (Some(written), Some((key, _))) = (&method, node.entry("method")) {
        let message = format!("the method stands twice: here and before the URL ({written})");
        reading.say(Diagnostic::error("bad-value", key.span, message));
        return None;
    }
    let auth = read_auth(reading, node);
    let payload = payload::read(reading, node);
    let headers = read_headers(reading, node);
    let query = templates(reading, node.get("query"), false);
    let way = read_way(reading, node);
    let burst = read_burst(reading, node);
    let api = api::read(reading, node);
    let max_body = node.get("max_body").map_or(Some(MAX_BODY), |node| read_size(reading, node));
    let payload = payload?;
    let given = node.get("method").and_then(Node::text).map(str::to_owned);
    let usual = if payload.is_none() { "GET" } else { "POST" };
    Some(Spec {
        method: method.or(given).unwrap_or_else(|| usual.to_owned()),
        url,
        query: query?,
        headers: headers?,
        payload,
        auth: auth?,
        redirects: node.get("redirects").and_then(Node::number).map_or(REDIRECTS, |n| n as u32),
        way: way?,
        max_body: max_body?,
        burst: burst?,
        api: api?,
    })
}

fn read_headers(reading: &mut Reading<'_>, node: &Node) -> Option<Vec<(String, Template)>> {
    let headers = templates(reading, node.get("headers"), true);
    let secret = templates(reading, node.get("auth").and_then(|auth| auth.get("header")), true);
    let mut headers = headers?;
    headers.extend(secret?);
    Some(headers)
}

fn read_way(reading: &mut Reading<'_>, node: &Node) -> Option<Way> {
    let tls = |key| node.get("tls").and_then(|tls| tls.get(key));
    let ca = template(reading, tls("ca"));
    let cert = template(reading, tls("cert"));
    let resolve = templates(reading, node.get("resolve"), false);
    let proxy = template(reading, node.get("proxy"));
    Some(Way {
        ca: ca?,
        cert: cert?,
        insecure: tls("insecure").and_then(Node::bool).unwrap_or(false),
        resolve: resolve?,
        proxy: proxy?,
        version: match node.get("version").and_then(Node::text) {
            Some("1.1") => HttpVersion::Http1,
            Some(_) => HttpVersion::Http2,
            None => HttpVersion::Any,
        },
    })
}

/// Reads `GET http://…`, the method being optional.
fn request_line(reading: &mut Reading<'_>, node: &Node) -> Option<(Option<String>, Template)> {
    let text = node.text()?.trim();
    let (method, rest) = match text.split_once(char::is_whitespace) {
        Some((word, rest)) if word.chars().all(|c| c.is_ascii_alphabetic()) => (Some(word), rest.trim_start()),
        _ => (None, text),
    };
    if let Some(word) = method.filter(|word| !METHODS.contains(word)) {
        let message = format!("{word:?} is not a method");
        reading.say(Diagnostic::error("bad-value", node.span, message).near(word, METHODS.iter().copied()));
        return None;
    }
    reading.template(node, Place::Url)?;
    let url = Template::parse(rest, Place::Url).ok()?;
    match check_url(reading, &url) {
        Ok(()) => Some((method.map(str::to_owned), url)),
        Err((message, help)) => {
            let diagnostic = Diagnostic::error("bad-url", node.span, message);
            reading.say(match help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
            None
        }
    }
}

/// Checks a URL as far as it is known before anything runs.
fn check_url(reading: &Reading<'_>, url: &Template) -> Result<(), (String, Option<String>)> {
    if let Ok(text) = url.render(reading.inputs) {
        let literal = url.is_literal();
        if url.source().trim_start().starts_with("{{") && (text.is_empty() || text.starts_with('/')) {
            // An input that is empty by default: `when` asks about it.
            return Ok(());
        }
        let begin = |scheme: &str| literal.then(|| format!("write {scheme}{text}"));
        return match Url::parse(&text) {
            Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => Ok(()),
            Ok(parsed) if text.contains("://") => {
                Err((format!("only http:// and https:// can be asked, not {}://", parsed.scheme()), None))
            }
            Ok(_) | Err(url::ParseError::RelativeUrlWithoutBase) => {
                Err(("a URL begins with http:// or https://".to_owned(), begin("http://")))
            }
            // The text is repeated only as written: with its inputs filled in it may hold a secret.
            Err(error) => Err((format!("this is not a URL: {error}"), None)),
        };
    }
    let prefix = url.source().split("{{").next().unwrap_or_default();
    let fits = |scheme: &str| prefix.starts_with(scheme) || scheme.starts_with(prefix);
    match fits("http://") || fits("https://") {
        true => Ok(()),
        false => Err((format!("a URL begins with http:// or https://, not with {prefix:?}"), None)),
    }
}

fn read_auth(reading: &mut Reading<'_>, node: &Node) -> Option<Option<Auth>> {
    let Some((key, auth)) = node.entry("auth") else { return Some(None) };
    let ways = auth.map().unwrap_or_default().len();
    if ways != 1 {
        let message = format!("auth takes one of basic, bearer and header, not {ways} of them");
        reading.say(Diagnostic::error("bad-value", key.span, message));
        return None;
    }
    if let Some(basic) = auth.get("basic") {
        let user = reading.template_at(basic, "user", Place::Plain);
        let password = reading.template_at(basic, "password", Place::Plain);
        return Some(Some(Auth::Basic(user?, password?)));
    }
    match auth.get("bearer") {
        Some(bearer) => Some(Some(Auth::Bearer(reading.template(bearer, Place::Plain)?))),
        None => Some(None),
    }
}

fn read_burst(reading: &mut Reading<'_>, node: &Node) -> Option<Option<Burst>> {
    let number = |key| node.get(key).and_then(Node::number).map(|n| n as usize);
    match (number("times"), node.entry("parallel")) {
        (Some(times), _) => Some(Some(Burst { times, parallel: number("parallel").unwrap_or(1) })),
        (None, None) => Some(None),
        (None, Some((key, _))) => {
            let message = "parallel makes sense only with times: how many requests to send";
            reading.say(Diagnostic::error("missing-key", key.span, message));
            None
        }
    }
}

fn read_size(reading: &mut Reading<'_>, node: &Node) -> Option<usize> {
    let problem = match Quantity::parse(node.text()?) {
        Ok(size) if !matches!(size.unit, Unit::Bytes | Unit::One) => "this is not a size".to_owned(),
        Ok(size) if (1.0..=MOST_BODY).contains(&size.value) => return Some(size.value as usize),
        Ok(_) => "max_body is between 1B and 256MiB".to_owned(),
        Err(error) => error.to_string(),
    };
    reading.say(Diagnostic::error("bad-quantity", node.span, problem).help("write a size such as 64KiB or 10MiB"));
    None
}

/// Reads an optional template. Nothing at all when a mistake was said.
fn template(reading: &mut Reading<'_>, node: Option<&Node>) -> Option<Option<Template>> {
    match node {
        None => Some(None),
        Some(node) => reading.template(node, Place::Plain).map(Some),
    }
}

/// Reads a map of names to one or many templates. Nothing when a mistake was said.
pub(super) fn templates(
    reading: &mut Reading<'_>,
    node: Option<&Node>,
    headers: bool,
) -> Option<Vec<(String, Template)>> {
    let mut all = Vec::new();
    let mut good = true;
    for (key, value) in node.and_then(Node::map).unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        if headers && HeaderName::from_bytes(name.as_bytes()).is_err() {
            reading.say(Diagnostic::error("bad-value", key.span, format!("{name:?} is not a header's name")));
            good = false;
        }
        for node in value.list().unwrap_or(std::slice::from_ref(value)) {
            match reading.template(node, Place::Plain) {
                Some(template) => all.push((name.to_owned(), template)),
                None => good = false,
            }
        }
    }
    good.then_some(all)
}
