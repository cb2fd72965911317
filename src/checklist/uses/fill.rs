//! Values put into the tree of a template.
//!
//! A text that is nothing but `{{ params.x }}` gives way to the value itself: a number, a flag, a duration or a word
//! of a known list stands there as if it had been written, a list becomes a list, and the entry of an optional
//! parameter that was not given is left out. A free text stays a value of the template language wherever it stands.

use crate::diag::FileId;
use crate::template::TemplateError;
use crate::template::bind::{self, Bound, Language};
use crate::yaml::{Data, Node, Style};

/// The root under which a template finds what it is given.
pub(super) const PARAMS: &str = "params";

/// What stands for a parameter.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// The value within a text.
    pub bound: Bound,
    /// The members of a list, each for itself.
    pub items: Option<Vec<Bound>>,
    /// Whether nothing but harmless words can be the value, so that it may stand as if it had been written.
    pub plain: bool,
}

/// Where in a step something stands: where expressions are written without braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// The keys of a step, or a list of steps.
    Step,
    /// Under `expect` or `warn`.
    Expect,
    /// Under `capture`.
    Capture,
    /// An expression.
    Code,
    /// Anything else.
    Text,
}

impl Context {
    fn under(self, key: &str) -> Self {
        match (self, key) {
            (Context::Step, "when") | (Context::Expect, "that") | (Context::Capture | Context::Code, _) => {
                Context::Code
            }
            (Context::Step, "capture") => Context::Capture,
            (Context::Step, "expect" | "warn") | (Context::Expect, _) => Context::Expect,
            (Context::Step, "steps" | "then" | "fallback") => Context::Step,
            (Context::Step | Context::Text, _) => Context::Text,
        }
    }

    fn language(self) -> Language {
        match self {
            Context::Code => Language::Expression,
            Context::Step | Context::Expect | Context::Capture | Context::Text => Language::Template,
        }
    }
}

/// Walks over every text of a tree, keys included.
pub(super) fn visit(node: &Node, context: Context, each: &mut dyn FnMut(&Node, Language)) {
    match &node.data {
        Data::Scalar { .. } => each(node, context.language()),
        Data::List(items) => items.iter().for_each(|item| visit(item, context, each)),
        Data::Map(entries) => {
            for (key, value) in entries {
                each(key, Language::Template);
                visit(value, context.under(key.text().unwrap_or_default()), each);
            }
        }
    }
}

/// What is put in, and where the places of the result lie.
pub(super) struct Filling<'a> {
    /// The root whose names give way.
    pub root: &'a str,
    /// What stands for a name.
    pub find: &'a dyn Fn(&str) -> Option<&'a Given>,
    /// The text in which the places of the result lie.
    pub file: FileId,
    /// How many nodes may still be made.
    pub left: usize,
}

impl Filling<'_> {
    /// Copies a tree with the values put in. Nothing when it is an entry that is left out.
    ///
    /// # Errors
    /// Says which text cannot be read, or that the result is too large.
    pub(super) fn copy(&mut self, node: &Node, context: Context) -> Result<Option<Node>, TemplateError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| TemplateError {
            message: "templates make more of this checklist than one may hold".to_owned(),
            range: None,
        })?;
        let mut span = node.span;
        span.file = self.file;
        let data = match &node.data {
            Data::Scalar { text, style } => match self.scalar(text, *style, context.language(), span)? {
                Some(data) => data,
                None => return Ok(None),
            },
            Data::List(items) => {
                let items = items.iter().map(|item| self.copy(item, context));
                Data::List(items.filter_map(Result::transpose).collect::<Result<_, _>>()?)
            }
            Data::Map(entries) => {
                let mut all = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let inner = context.under(key.text().unwrap_or_default());
                    if let (Some(key), Some(value)) = (self.key(key)?, self.copy(value, inner)?) {
                        all.push((key, value));
                    }
                }
                Data::Map(all)
            }
        };
        Ok(Some(Node { span, data }))
    }

    fn key(&mut self, key: &Node) -> Result<Option<Node>, TemplateError> {
        let mut copy = key.clone();
        copy.span.file = self.file;
        if let Data::Scalar { text, style } = &mut copy.data
            && text.contains(self.root)
        {
            // A key is a text: no value takes its place as a whole.
            let bound = self.bind(text, Language::Template)?;
            (*text, *style) = (bound.into(), Style::Quoted);
        }
        Ok(Some(copy))
    }

    fn scalar(
        &self,
        text: &str,
        style: Style,
        language: Language,
        span: crate::diag::Span,
    ) -> Result<Option<Data>, TemplateError> {
        if !text.contains(self.root) {
            return Ok(Some(Data::Scalar { text: text.into(), style }));
        }
        if let Some(given) = whole(text, self.root).filter(|_| language == Language::Template).and_then(self.find) {
            return Ok(instead(given, span));
        }
        let bound = self.bind(text, language)?;
        let style = if bound == text { style } else { Style::Quoted };
        Ok(Some(Data::Scalar { text: bound.into(), style }))
    }

    fn bind(&self, text: &str, language: Language) -> Result<String, TemplateError> {
        bind::bind(text, language, self.root, &|name| (self.find)(name).map(|given| &given.bound))
    }
}

/// Returns the name when a text is nothing but `{{ root.name }}`.
fn whole<'t>(text: &'t str, root: &str) -> Option<&'t str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let name = inner.strip_prefix(root)?.trim_start().strip_prefix('.')?.trim_start();
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
}

/// What stands in the place of a whole text; nothing when it is left out.
fn instead(given: &Given, span: crate::diag::Span) -> Option<Data> {
    if let Some(items) = &given.items {
        let node = |item: &Bound| Node { span, data: single(item, false) };
        return Some(Data::List(items.iter().map(node).collect()));
    }
    match &given.bound {
        Bound::Value(serde_json::Value::Null) => None,
        bound => Some(single(bound, given.plain)),
    }
}

fn single(bound: &Bound, plain: bool) -> Data {
    use serde_json::Value;
    let (text, style) = match bound {
        Bound::Value(value @ (Value::Bool(_) | Value::Number(_))) => (value.to_string(), Style::Plain),
        Bound::Value(Value::String(text)) if plain => (text.clone(), Style::Quoted),
        Bound::Value(value) => (format!("{{{{ {} }}}}", bind::literal(value)), Style::Quoted),
        Bound::Expression(text) => (format!("{{{{ {text} }}}}"), Style::Quoted),
    };
    Data::Scalar { text: text.into(), style }
}
