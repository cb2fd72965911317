//! Reading one value of the checklist after another: text to template, duration, pattern, each mistake said with its
//! place, and each variable that is used remembered.

use std::time::Duration;

use regex::Regex;
use regex_automata::nfa::thompson::NFA;

use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};
use crate::model::{Origin, quantity};
use crate::template::{Expression, Place, Reference, Scope, Template, TemplateError};
use crate::yaml::Node;

/// What a reader of values needs at hand.
pub struct Reading<'a> {
    /// The texts that places point into.
    pub sources: &'a SourceMap,
    /// Where mistakes are said.
    pub diagnostics: &'a mut Diagnostics,
    /// Every variable that was used so far, with its place.
    pub references: Vec<(Reference, Span)>,
    /// The inputs that are known already, for values that must be known before anything runs.
    pub inputs: &'a Scope,
    /// Whether no more inputs will get a value, so that one without is a mistake where a value must be known.
    pub complete: bool,
}

impl<'a> Reading<'a> {
    /// Starts to read.
    pub fn new(sources: &'a SourceMap, diagnostics: &'a mut Diagnostics, inputs: &'a Scope) -> Self {
        Self { sources, diagnostics, references: Vec::new(), inputs, complete: false }
    }

    /// Says a mistake.
    pub fn say(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Returns the place as an origin.
    pub fn origin(&self, node: &Node) -> Origin {
        self.sources.origin(node.span)
    }

    /// Reads a template. The variables are remembered; whether they exist is checked when all are known.
    pub fn template(&mut self, node: &Node, place: Place) -> Option<Template> {
        let text = self.text(node)?;
        match Template::parse(text, place) {
            Ok(template) => {
                self.remember(template.references(), node);
                Some(template)
            }
            Err(error) => {
                self.template_error("bad-template", node, &error);
                None
            }
        }
    }

    /// Reads the template under a key of a map, if it is there.
    pub fn template_at(&mut self, node: &Node, key: &str, place: Place) -> Option<Template> {
        self.template(node.get(key)?, place)
    }

    /// Reads an expression.
    pub fn expression(&mut self, node: &Node) -> Option<Expression> {
        match Expression::parse(self.text(node)?) {
            Ok(expression) => {
                self.remember(expression.references(), node);
                Some(expression)
            }
            Err(error) => {
                self.template_error("bad-expression", node, &error);
                None
            }
        }
    }

    /// Reads a text that must be known before anything runs: `{{ inputs.x }}` is filled in.
    ///
    /// Nothing without a message when an input that it uses may still get a value, and when it uses one that is not
    /// declared or missing: that is said elsewhere.
    pub fn known_text(&mut self, node: &Node) -> Option<String> {
        let template = self.template(node, Place::Plain)?;
        let error = match template.render(self.inputs) {
            Ok(text) => return Some(text),
            Err(error) => error,
        };
        let references = template.references();
        let blank = references.iter().find(|r| !self.inputs.gives(r));
        match blank {
            // A name that no matrix gives is said when it is settled; one without a value has an input without one.
            Some(blank) if blank.root == "matrix" => {}
            Some(blank) if blank.root != "inputs" => self.say_only_inputs(node),
            Some(Reference { name: Some(name), .. }) => {
                if self.complete && references.iter().all(|r| self.inputs.knows(r)) {
                    let message = format!("input {name:?} has no value, and this must be known before the run");
                    let help = format!("give it one, or a default, or guard the step: `when: inputs.{name}`");
                    self.say(Diagnostic::error("missing-input", node.span, message).help(help));
                }
            }
            Some(_) | None => self.template_error("bad-template", node, &error),
        }
        None
    }

    /// Reads a text that is shown only: what is not known yet stays as it is written.
    pub fn shown_text(&mut self, node: &Node) -> Option<String> {
        let template = self.template(node, Place::Plain)?;
        if template.references().iter().any(|r| r.root != "inputs" && r.root != "matrix") {
            self.say_only_inputs(node);
        }
        Some(template.render(self.inputs).unwrap_or_else(|_| template.source().to_owned()))
    }

    fn say_only_inputs(&mut self, node: &Node) {
        let message =
            "this must be known before the run: only inputs and the values of a matrix may be used here".to_owned();
        self.template_error("bad-template", node, &TemplateError { message, range: None });
    }

    /// Returns the text of a scalar; anything else is a mistake.
    fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        if node.text().is_none() {
            let message = format!("expected text, found {}", node.form());
            self.say(Diagnostic::error("wrong-type", node.span, message));
        }
        node.text()
    }

    /// Reads a duration that must be known before anything runs.
    pub fn duration(&mut self, node: &Node) -> Option<Duration> {
        let text = self.known_text(node)?;
        match quantity::duration(&text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.say(Diagnostic::error("bad-duration", node.span, error.to_string()));
                None
            }
        }
    }

    /// Reads the duration under a key of a map, if it is there.
    pub fn duration_at(&mut self, node: &Node, key: &str) -> Option<Duration> {
        self.duration(node.get(key)?)
    }

    /// Reads a regular expression without templates.
    pub fn regex(&mut self, node: &Node) -> Option<Regex> {
        let text = self.text(node)?;
        match Regex::new(text) {
            Ok(regex) => Some(regex),
            Err(error) => {
                self.bad_regex(node, text, &error);
                None
            }
        }
    }

    /// Checks a regular expression that is compiled where it is used.
    pub fn check_regex(&mut self, node: &Node, text: &str) -> bool {
        match check_regex(text) {
            Ok(()) => true,
            Err(error) => {
                self.bad_regex(node, text, &error);
                false
            }
        }
    }

    /// Says that a regular expression is not valid, with the place inside it where that is known.
    pub fn bad_regex(&mut self, node: &Node, text: &str, error: &regex::Error) {
        let (message, range) = regex_message(text, error);
        let place = range.map_or(node.span, |range| node.place_of(self.sources, range));
        self.say(
            Diagnostic::error("bad-regex", place, format!("bad regular expression: {message}"))
                .help("look-around and back-references are not available; in YAML put patterns in single quotes"),
        );
    }

    /// Says what is wrong with a template or an expression, at the place inside it.
    pub fn template_error(&mut self, code: &'static str, node: &Node, error: &TemplateError) {
        let place = error.range.clone().map_or(node.span, |range| node.place_of(self.sources, range));
        self.say(Diagnostic::error(code, place, error.message.clone()));
    }

    /// Remembers variables that a text uses, each with its place.
    pub fn remember(&mut self, references: impl IntoIterator<Item = Reference>, node: &Node) {
        for reference in references {
            let span = self.place_of_name(node, &reference);
            self.references.push((reference, span));
        }
    }

    fn place_of_name(&self, node: &Node, reference: &Reference) -> Span {
        let Some(text) = node.text() else { return node.span };
        let needle = match &reference.name {
            Some(name) => format!("{}.{name}", reference.root),
            None => reference.root.clone(),
        };
        match text.find(&needle) {
            Some(at) => node.place_of(self.sources, at..at + needle.len()),
            None => node.span,
        }
    }
}

/// Tells whether a regular expression is valid, without the automata that searching wants: these take most of the time.
fn check_regex(text: &str) -> Result<(), regex::Error> {
    // The limit is that of `Regex::new`, which also has the better words.
    let config = NFA::config().nfa_size_limit(Some(10 << 20));
    match NFA::compiler().configure(config).build(text) {
        Ok(_) => Ok(()),
        Err(_) => Regex::new(text).map(|_| ()),
    }
}

/// Tells whether a JSONPath is nested too deeply to be parsed: the parser walks into brackets by recursion.
pub fn is_deep_path(path: &str) -> bool {
    const MOST: i32 = 32;
    let mut depth = 0;
    path.chars().any(|c| {
        depth += match c {
            '(' | '[' => 1,
            ')' | ']' => -1,
            _ => 0,
        };
        depth > MOST
    })
}

/// Takes the one-line cause and the place out of the regex crate's picture of an error.
fn regex_message(text: &str, error: &regex::Error) -> (String, Option<std::ops::Range<usize>>) {
    match error {
        regex::Error::CompiledTooBig(limit) => (format!("it compiles to more than {limit} bytes"), None),
        other => {
            let picture = other.to_string();
            let cause = picture.lines().rev().find_map(|l| l.trim().strip_prefix("error: ")).unwrap_or(&picture);
            let caret = picture.lines().find(|l| l.contains('^') && l.trim_matches([' ', '^']).is_empty());
            let range = caret.filter(|_| !text.contains('\n')).and_then(|line| {
                let start = line.find('^')?.checked_sub(4)?;
                let length = line.matches('^').count();
                let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
                Some(at(start)..at(start + length))
            });
            (cause.to_owned(), range)
        }
    }
}
