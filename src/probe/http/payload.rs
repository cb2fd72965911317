//! What a request carries: text, JSON, a form or a file.

use std::sync::Arc;

use bytes::Bytes;

use super::spec::templates;
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::sys::Policy;
use crate::template::{Expression, Place, Scope, Template};
use crate::yaml::{Data, Node};

/// The largest file that is sent, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// The body of a request, before its variables are filled in.
pub(super) enum Payload {
    /// None.
    None,
    /// Text as it is.
    Text(Template),
    /// A JSON text.
    JsonText(Template),
    /// A JSON value.
    Json(Tree),
    /// A form.
    Form(Vec<(String, Template)>),
    /// A file's content.
    File(Template),
}

/// A JSON value whose texts may have variables.
pub(super) enum Tree {
    Value(serde_json::Value),
    /// Nothing but `{{ … }}`: the value keeps its type.
    Whole(Expression),
    Text(Template),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Payload {
    /// Tells whether there is no body.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Payload::None)
    }

    /// Returns the `Content-Type` to send unless one is given.
    pub(super) fn content_type(&self) -> Option<&'static str> {
        match self {
            Payload::None => None,
            Payload::Text(_) => Some("text/plain; charset=utf-8"),
            Payload::JsonText(_) | Payload::Json(_) => Some("application/json"),
            Payload::Form(_) => Some("application/x-www-form-urlencoded"),
            Payload::File(_) => Some("application/octet-stream"),
        }
    }

    /// Fills the variables in.
    ///
    /// # Errors
    /// Says in one line what is missing.
    pub(super) async fn fill(&self, scope: &Scope, policy: &Arc<Policy>) -> Result<Bytes, String> {
        let render = |template: &Template| template.render(scope).map_err(|e| e.message);
        match self {
            Payload::None => Ok(Bytes::new()),
            Payload::Text(template) => Ok(render(template)?.into()),
            Payload::JsonText(template) => {
                let text = render(template)?;
                serde_json::from_str::<serde::de::IgnoredAny>(&text)
                    .map_err(|e| format!("with its variables filled in, json is not JSON: {e}"))?;
                Ok(text.into())
            }
            Payload::Json(tree) => Ok(tree.fill(scope)?.to_string().into()),
            Payload::Form(fields) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                for (name, template) in fields {
                    form.append_pair(name, &render(template)?);
                }
                Ok(form.finish().into())
            }
            Payload::File(path) => read_file(render(path)?, Arc::clone(policy)).await,
        }
    }
}

impl Tree {
    fn fill(&self, scope: &Scope) -> Result<serde_json::Value, String> {
        Ok(match self {
            Tree::Value(value) => value.clone(),
            Tree::Whole(expression) => expression.evaluate(scope).map_err(|e| e.message)?,
            Tree::Text(template) => template.render(scope).map_err(|e| e.message)?.into(),
            Tree::List(items) => items.iter().map(|item| item.fill(scope)).collect::<Result<_, _>>()?,
            Tree::Map(entries) => {
                let fill = |(key, value): &(String, Tree)| Ok::<_, String>((key.clone(), value.fill(scope)?));
                serde_json::Value::Object(entries.iter().map(fill).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// Reads the body that is given, at most one. Nothing when a mistake was said.
pub(super) fn read(reading: &mut Reading<'_>, node: &Node) -> Option<Payload> {
    let given: Vec<_> = ["body", "json", "form", "file"].into_iter().filter_map(|key| node.entry(key)).collect();
    if let [first, second, ..] = given[..] {
        let name = |entry: &(Node, Node)| entry.0.text().unwrap_or_default().to_owned();
        let message = format!("a request has one body, not both {} and {}", name(first), name(second));
        reading.say(Diagnostic::error("bad-value", second.0.span, message).also(first.0.span, "the other one"));
        return None;
    }
    let Some((key, value)) = given.first() else { return Some(Payload::None) };
    match key.text()? {
        "body" => reading.template(value, Place::Plain).map(Payload::Text),
        "file" => reading.template(value, Place::Plain).map(Payload::File),
        "form" => templates(reading, Some(value), false).map(Payload::Form),
        _ => read_json(reading, value),
    }
}

fn read_json(reading: &mut Reading<'_>, node: &Node) -> Option<Payload> {
    let text = node.text().map(str::trim_start).unwrap_or_default();
    if !text.starts_with(['{', '[']) || text.starts_with("{{") {
        return tree(reading, node).map(Payload::Json);
    }
    let template = reading.template(node, Place::Json)?;
    if template.is_literal()
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
    {
        reading.say(Diagnostic::error("bad-value", node.span, format!("this is not JSON: {error}")));
        return None;
    }
    Some(Payload::JsonText(template))
}

fn tree(reading: &mut Reading<'_>, node: &Node) -> Option<Tree> {
    match &node.data {
        Data::List(items) => {
            let items: Vec<_> = items.iter().map(|item| tree(reading, item)).collect();
            items.into_iter().collect::<Option<_>>().map(Tree::List)
        }
        Data::Map(entries) => {
            let read = |(key, value): &(Node, Node)| (key.text().unwrap_or("null").to_owned(), tree(reading, value));
            let entries: Vec<_> = entries.iter().map(read).collect();
            entries.into_iter().map(|(key, value)| Some((key, value?))).collect::<Option<_>>().map(Tree::Map)
        }
        Data::Scalar { text, .. } if !text.contains('{') => Some(Tree::Value(node.json())),
        Data::Scalar { text, .. } => {
            let template = reading.template(node, Place::Plain)?;
            let whole = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
            let expression = whole.filter(|inner| !inner.contains("}}")).and_then(|e| Expression::parse(e).ok());
            Some(match expression {
                Some(expression) => Tree::Whole(expression),
                None if template.is_literal() => Tree::Value(node.json()),
                None => Tree::Text(template),
            })
        }
    }
}

async fn read_file(path: String, policy: Arc<Policy>) -> Result<Bytes, String> {
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let wrong = |e: std::io::Error| format!("cannot read {path}: {e}");
        policy.allow_path(std::path::Path::new(&path)).map_err(|refusal| refusal.message)?;
        let file = std::fs::File::open(&path).map_err(wrong)?;
        // A FIFO or a device might never end.
        if !file.metadata().map_err(wrong)?.is_file() {
            return Err(format!("cannot send {path}: it is not a file"));
        }
        let mut content = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut content).map_err(wrong)?;
        match content.len() as u64 > MAX_FILE {
            true => Err(format!("cannot send {path}: it is larger than 64MiB")),
            false => Ok(content.into()),
        }
    });
    read.await.map_err(|e| e.to_string())?
}
