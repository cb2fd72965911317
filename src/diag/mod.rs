//! Messages about what the user wrote: what is wrong, where, and what to write instead.
//!
//! A [`Diagnostic`] has a stable code that `explain` knows ([`codes`]), places in the source ([`source`]), and
//! helps. Stages collect them in [`Diagnostics`], so that every mistake of a file is said at once; [`render`]
//! prints them for people, [`formats`] for editors and CI.

pub mod codes;
pub mod formats;
pub mod near;
pub mod render;
pub mod source;

pub use near::did_you_mean;
pub use source::{FileId, SourceMap, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing stops.
    Warning,
    /// The checklist is not run.
    Error,
}

/// One message about what the user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code, one of [`codes::CODES`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The places, the first one being where to look.
    pub labels: Vec<Label>,
    /// What to write instead, or how it comes about.
    pub helps: Vec<String>,
}

/// A place with a word on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What to see there; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// Makes an error at a place.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message)
    }

    /// Makes a warning at a place.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message)
    }

    fn new(code: &'static str, severity: Severity, span: Span, message: impl Into<String>) -> Self {
        debug_assert!(codes::find(code).is_some(), "{code} is not in diag::codes");
        Self {
            code,
            severity,
            message: message.into(),
            labels: vec![Label { span, text: String::new() }],
            helps: Vec::new(),
        }
    }

    /// Puts a word on the first place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.helps.push(text.into());
        self
    }

    /// Offers the near name, if there is one.
    #[must_use]
    pub fn near<'a>(mut self, wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Self {
        if let Some(name) = did_you_mean(wrong, right) {
            self.message.push_str(&format!("; did you mean {name:?}?"));
        }
        self
    }
}

/// The most messages that are kept: a file with more mistakes is not the file that was meant.
const MOST: usize = 500;

/// Cuts a text in its middle: what a user wrote may be long, a message about it is not.
fn shorten(text: &mut String) {
    const MOST: usize = 800;
    let count = text.chars().count();
    if count > MOST {
        let head: String = text.chars().take(MOST / 2).collect();
        let tail: String = text.chars().skip(count - MOST / 4).collect();
        *text = format!("{head} … {tail}");
    }
}

/// Collects messages while the stages go on as far as they can.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    errors: bool,
    left_out: usize,
}

impl Diagnostics {
    /// Starts an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message; a second one of the same code at the same place is dropped, and so is what no one would read.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        std::iter::once(&mut diagnostic.message).chain(&mut diagnostic.helps).for_each(shorten);
        self.errors |= diagnostic.severity == Severity::Error;
        let place = |d: &Diagnostic| d.labels.first().map(|l| l.span);
        if self.is_full() {
            self.left_out += 1;
        } else if !self.list.iter().any(|d| d.code == diagnostic.code && place(d) == place(&diagnostic)) {
            self.list.push(diagnostic);
        }
    }

    /// Tells whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.errors
    }

    /// Counts a mistake whose message would not be kept.
    pub fn leave_out(&mut self) {
        self.errors = true;
        self.left_out += 1;
    }

    /// Tells whether further messages are only counted: they need not be written.
    pub fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }

    /// Returns how many messages there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Walks over the messages in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Lets every message about the text of a template point first at the step that uses it. What is wrong with a
    /// template whatever it is given is said at its first use alone.
    pub fn anchor(&mut self, sources: &SourceMap) {
        let mut said = std::collections::HashSet::new();
        self.list.retain_mut(|diagnostic| {
            let Some(inner) = diagnostic.labels.first_mut() else { return true };
            let site = sources.site(inner.span);
            if site == inner.span {
                return true;
            }
            if inner.text.is_empty() {
                let template = sources.template(inner.span).map(|name| format!("in the template {name}"));
                inner.text = template.unwrap_or_default();
            }
            let place = (std::sync::Arc::clone(sources.name(inner.span.file)), inner.span.start);
            diagnostic.labels.insert(0, Label { span: site, text: String::new() });
            said.insert((diagnostic.code, diagnostic.message.clone(), place))
        });
    }

    /// Sorts the messages by file and place, and says how many were left out.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|d| d.labels.first().map(|l| (l.span.file, l.span.start, l.span.end)));
        let last = self.list.last().and_then(|d| d.labels.first()).map(|l| l.span);
        if let Some(place) = last.filter(|_| self.left_out > 0) {
            let message = format!("{} more mistakes are not shown", std::mem::take(&mut self.left_out));
            self.list.push(Diagnostic::error("too-many-mistakes", place, message).help("mend those above first"));
        }
    }
}
