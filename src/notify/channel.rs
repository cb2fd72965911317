//! What a channel is: a declaration, and a way from messages to letters.

use super::letter::Letter;
use super::message::{Mask, Message};
use super::on::On;
use crate::checklist::inputs::InputDeclaration;
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::shape::{Field, Shape};
use crate::template::{Place, Scope, Template, TemplateError};
use crate::yaml::Node;

/// A kind of channel. One line in [`super::CHANNELS`] makes it known.
pub struct ChannelKind {
    /// The name, as checklists write it; under it stands where to send to.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// The manual page, in Markdown.
    pub manual: &'static str,
    /// The form of what stands under its name.
    pub shape: Shape,
    /// What that is.
    pub doc: &'static str,
    /// Its other keys.
    pub fields: &'static [Field],
    /// What it is told of when `on` is not given.
    pub on: &'static [On],
    /// Whether it speaks of what a process did, not of the run: then it is told at the end of each process, whatever
    /// was told before.
    pub of_process: bool,
    /// Reads one. Every mistake is said.
    pub compile: fn(&mut Compiling<'_, '_>) -> Option<Box<dyn Channel>>,
}

/// A channel of a checklist.
pub trait Channel: Send + Sync {
    /// Makes what is sent; nothing when the channel has nothing to say of it.
    ///
    /// # Errors
    /// Says which template cannot be filled in.
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError>;
}

/// What is at hand when a channel is read.
pub struct Compiling<'a, 'r> {
    /// Reads values.
    pub reading: &'a mut Reading<'r>,
    /// The whole entry.
    pub node: &'a Node,
    /// What stands under the name of the kind.
    pub value: &'a Node,
    /// The inputs that are declared.
    pub inputs: &'a [InputDeclaration],
}

/// What is at hand when a letter is written.
pub struct Pen<'a> {
    /// The inputs, and `run`.
    pub scope: &'a Scope,
    /// Masks secrets.
    pub mask: &'a Mask,
    /// What the other side calls what it was sent at the start.
    pub id: Option<&'a str>,
    /// The environment of the process.
    pub env: &'a crate::sys::env::Env,
}

impl Compiling<'_, '_> {
    /// Reads the template under a key.
    pub(super) fn text(&mut self, key: &str, place: Place) -> Option<Template> {
        self.reading.template_at(self.node, key, place)
    }

    /// Reads a template of a secret: one that stands in the checklist itself is warned of.
    pub(super) fn secret(&mut self, key: &str) -> Option<Template> {
        let node = self.node.get(key)?;
        let template = self.reading.template(node, Place::Plain)?;
        self.warn_of_open_secret(node, &template, key);
        Some(template)
    }

    /// Reads the URL that stands under the name of the kind. `is_secret` tells whether whoever knows it may send.
    pub(super) fn url(&mut self, kind: &str, is_secret: bool) -> Option<Template> {
        let text = self.value.text().unwrap_or_default();
        if !text.starts_with("{{") && !text.starts_with("http://") && !text.starts_with("https://") {
            let message = format!("{text:?} is not a URL; it begins with http:// or https://");
            self.reading.say(Diagnostic::error("bad-url", self.value.span, message));
            return None;
        }
        let template = self.reading.template(self.value, Place::Url)?;
        if is_secret {
            self.warn_of_open_secret(self.value, &template, &format!("the URL of {kind}"));
        }
        Some(template)
    }

    fn warn_of_open_secret(&mut self, node: &Node, template: &Template, what: &str) {
        let secret = |name: &Option<String>| {
            let name = name.as_deref().unwrap_or_default();
            self.inputs.iter().any(|input| input.name == name && input.secret)
        };
        let references = template.references();
        // Without encryption it is no secret, and most likely a test.
        if template.source().starts_with("http://") || references.iter().any(|r| r.root == "inputs" && secret(&r.name))
        {
            return;
        }
        let message = match references.is_empty() {
            true => format!("{what} is a secret, and stands in the checklist"),
            false => format!("{what} is a secret, and comes from an input that is not"),
        };
        let help = "declare an input with `secret: true` and `env`, and write {{ inputs.NAME }} here";
        self.reading.say(Diagnostic::warning("odd-secret", node.span, message).help(help));
    }

    /// Reads a list of templates, or a single one.
    pub(super) fn texts(&mut self, key: &str) -> Vec<Template> {
        let Some(node) = self.node.get(key) else { return Vec::new() };
        self.templates(node)
    }

    /// Reads the templates of a node: a list of them, or a single one.
    pub(super) fn templates(&mut self, node: &Node) -> Vec<Template> {
        let items = node.list().unwrap_or(std::slice::from_ref(node));
        items.iter().filter_map(|item| self.reading.template(item, Place::Plain)).collect()
    }

    /// Reads a map of templates, in order.
    pub(super) fn map(&mut self, key: &str) -> Vec<(String, Template)> {
        let entries = self.node.get(key).and_then(Node::map).unwrap_or_default();
        let mut out = Vec::new();
        for (name, value) in entries {
            if let (Some(name), Some(template)) = (name.text(), self.reading.template(value, Place::Plain)) {
                out.push((name.to_owned(), template));
            }
        }
        out
    }

    /// Returns the word under a key, which its shape has checked.
    pub(super) fn word(&self, key: &str) -> Option<String> {
        self.node.get(key).and_then(Node::text).map(str::to_owned)
    }
}

impl Pen<'_> {
    /// Fills in a template of what is said; secrets in it are masked.
    pub(super) fn say(&self, template: &Template) -> Result<String, TemplateError> {
        Ok((self.mask)(&template.render(self.scope)?))
    }

    /// Fills in a template of what is said, where there is one.
    pub(super) fn say_some(&self, template: Option<&Template>) -> Result<String, TemplateError> {
        template.map_or(Ok(String::new()), |template| self.say(template))
    }

    /// Fills in a template of an address or of who we are: a secret belongs there.
    pub(super) fn know(&self, template: &Template) -> Result<String, TemplateError> {
        template.render(self.scope)
    }
}
