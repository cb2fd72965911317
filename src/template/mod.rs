//! Templates and expressions: `{{ }}` with strict undefined, escaping by the place where a value lands.
//! The only room that knows minijinja, with `report/` for whole documents.
//!
//! A value is put between two marks while rendering; afterwards each marked stretch is escaped with knowledge of what
//! stands before it ([`escape`]): the same value is percent-encoded in a URL's path, kept as it is at the URL's
//! beginning, quoted bare in a shell and escaped within shell quotes ([`shell`]). `| raw` opts out.

pub mod bind;
mod escape;
mod shell;

pub(crate) use escape::{markdown, mrkdwn, promql_quotes};

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Jinja};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value};

use crate::model::quantity;

/// Where the rendered text lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing is escaped: an argument of a command, a header, a name.
    Plain,
    /// A URL: percent-encoded, except at its very beginning.
    Url,
    /// A shell command.
    Shell,
    /// A PromQL query.
    Promql,
    /// A JSON text.
    Json,
    /// A regular expression.
    Regex,
    /// A text in Slack's mrkdwn.
    Mrkdwn,
    /// A text in Markdown.
    Markdown,
}

/// A text with `{{ }}`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: Arc<str>,
    place: Place,
    literal: bool,
}

/// An expression, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    source: Arc<str>,
}

/// Why a template or an expression is not valid or gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where in the source text, in bytes.
    pub range: Option<Range<usize>>,
}

/// A variable that a template or expression uses: `inputs.version` is root `inputs`, name `version`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `inputs`, `captured`, `matrix`, or a measure's name.
    pub root: String,
    /// What stands behind the first dot, if anything.
    pub name: Option<String>,
}

/// The values that templates may use.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    root: Jinja,
}

impl Scope {
    /// Makes a scope from its roots, each a map: `inputs`, `captured` …
    pub fn new(roots: Map<String, Value>) -> Self {
        Self { root: Jinja::from(Serde(roots)) }
    }

    /// Tells whether a variable is there; one without a value is.
    pub fn knows(&self, reference: &Reference) -> bool {
        !self.find(reference).is_undefined()
    }

    /// Tells whether a variable is there and has a value.
    pub fn gives(&self, reference: &Reference) -> bool {
        let value = self.find(reference);
        !value.is_undefined() && !value.is_none()
    }

    /// Adds a value under a name of its own.
    #[must_use]
    pub fn with(&self, name: &str, value: Value) -> Self {
        let more = Jinja::from(Serde(Map::from_iter([(name.to_owned(), value)])));
        Self { root: minijinja::value::merge_maps([more, self.root.clone()]) }
    }

    fn find(&self, reference: &Reference) -> Jinja {
        let root = self.root.get_attr(&reference.root).unwrap_or_default();
        match &reference.name {
            Some(name) => root.get_attr(name).unwrap_or_default(),
            None => root,
        }
    }
}

const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

/// Steps of the virtual machine that one template may take: enough for any sensible one, too few to hang.
const FUEL: u64 = 100_000;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = texts();
    environment.set_formatter(|out, _, value| {
        if value.is_undefined() {
            return Err(minijinja::Error::from(ErrorKind::UndefinedError));
        }
        if value.is_safe() {
            return write!(out, "{value}").map_err(minijinja::Error::from);
        }
        if value.is_none() {
            let detail = "a value that was not given is printed; give it, or guard the step with `when`";
            return Err(minijinja::Error::new(ErrorKind::UndefinedError, detail));
        }
        let text = value.to_string().replace([OPEN, CLOSE], "");
        write!(out, "{OPEN}{text}{CLOSE}").map_err(minijinja::Error::from)
    });
    environment
});

/// Fills in a word for every value, whatever it is: shows the places in which values land.
static PLACES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = texts();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_formatter(|out, _, value| match value.is_safe() {
        true => write!(out, "{value}").map_err(minijinja::Error::from),
        false => write!(out, "{OPEN}x{CLOSE}").map_err(minijinja::Error::from),
    });
    environment
});

/// Makes an environment for texts that are no documents.
fn texts() -> Environment<'static> {
    let mut environment = base();
    // A text without variables keeps its last newline, so one with variables does too.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment
}

/// Makes an environment with the settings common to every use of the template language.
pub fn base() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("raw", |value: Jinja| Jinja::from_safe_string(value.to_string()));
    // An input that was not given is there and has no value: for `is defined` that is not there.
    environment.add_test("defined", |value: &Jinja| !value.is_undefined() && !value.is_none());
    environment.add_test("undefined", |value: &Jinja| value.is_undefined() || value.is_none());
    environment.add_filter("regex_escape", |text: String| regex::escape(&text));
    environment.add_filter("given", given);
    environment.add_filter("seconds", seconds);
    environment
}

/// Passes a value on that is there.
fn given(value: Jinja) -> Result<Jinja, minijinja::Error> {
    match value.is_undefined() || value.is_none() {
        true => Err(minijinja::Error::new(ErrorKind::UndefinedError, "a value that was not given is used")),
        false => Ok(value),
    }
}

/// Turns a duration into seconds.
fn seconds(value: Jinja) -> Result<Jinja, minijinja::Error> {
    let duration = quantity::duration(&value.to_string())
        .map_err(|problem| minijinja::Error::new(ErrorKind::InvalidOperation, problem.to_string()))?;
    Ok(match duration.subsec_nanos() {
        0 => Jinja::from(duration.as_secs()),
        _ => Jinja::from(duration.as_secs_f64()),
    })
}

impl Template {
    /// Checks a template.
    ///
    /// # Errors
    /// Says what is wrong and where in the text.
    pub fn parse(source: &str, place: Place) -> Result<Self, TemplateError> {
        let literal = !source.contains("{{") && !source.contains("{%") && !source.contains("{#");
        if !literal {
            bounded(source)?;
            ENVIRONMENT.template_from_str(source).map_err(|e| error(&e))?;
        }
        if source.contains([OPEN, CLOSE]) {
            return Err(TemplateError { message: "the characters U+E000 and U+E001 are reserved".into(), range: None });
        }
        if !literal && place == Place::Shell {
            // Where a value lands does not depend on the value; what cannot be filled in here is looked at when it runs.
            if let Ok(marked) = PLACES.template_from_str(source).and_then(|t| t.render(())) {
                escape::escape(&marked, place)?;
            }
        }
        let template = Self { source: source.into(), place, literal };
        // What needs no values is known already: parameters of a step template leave such texts behind.
        match !literal && template.references().is_empty() {
            true => Ok(Self { source: template.render(&Scope::default())?.into(), place, literal: true }),
            false => Ok(template),
        }
    }

    /// Returns the text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the text for people: values that were put in for parameters stand there as they are.
    pub fn shown(&self) -> String {
        bind::shown(&self.source)
    }

    /// Tells whether the text has no variables.
    pub fn is_literal(&self) -> bool {
        self.literal
    }

    /// Lists the variables that it uses.
    pub fn references(&self) -> BTreeSet<Reference> {
        if self.literal {
            return BTreeSet::new();
        }
        let template = ENVIRONMENT.template_from_str(&self.source);
        template.map(|t| references(t.undeclared_variables(true))).unwrap_or_default()
    }

    /// Fills in the values.
    ///
    /// # Errors
    /// Says which variable is missing, or which value may not stand where it lands.
    pub fn render(&self, scope: &Scope) -> Result<String, TemplateError> {
        if self.literal {
            return Ok(self.source.to_string());
        }
        let template = ENVIRONMENT.template_from_str(&self.source).map_err(|e| error(&e))?;
        let marked = template.render(scope.root.clone()).map_err(|e| error(&e))?;
        escape::escape(&marked, self.place)
    }
}

impl Expression {
    /// Checks an expression.
    ///
    /// # Errors
    /// Says what is wrong and where in the text.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        if source.trim_start().starts_with("{{") {
            let message = "an expression stands without braces".to_owned();
            return Err(TemplateError { message, range: Some(0..source.len()) });
        }
        bounded(source)?;
        ENVIRONMENT.compile_expression(source).map_err(|e| error(&e))?;
        Ok(Self { source: source.into() })
    }

    /// Returns the text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Lists the variables that it uses.
    pub fn references(&self) -> BTreeSet<Reference> {
        let expression = ENVIRONMENT.compile_expression(&self.source);
        expression.map(|e| references(e.undeclared_variables(true))).unwrap_or_default()
    }

    /// Computes the value.
    ///
    /// # Errors
    /// Says which variable is missing or which operation makes no sense.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, TemplateError> {
        let expression = ENVIRONMENT.compile_expression(&self.source).map_err(|e| error(&e))?;
        let value = self.defined(expression.eval(scope.root.clone()).map_err(|e| error(&e))?)?;
        serde_json::to_value(&value).map_err(|e| TemplateError { message: e.to_string(), range: None })
    }

    /// Computes the value and tells whether it is true, in the sense of the expression language.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn holds(&self, scope: &Scope) -> Result<bool, TemplateError> {
        let expression = ENVIRONMENT.compile_expression(&self.source).map_err(|e| error(&e))?;
        let value = expression.eval(scope.root.clone()).map_err(|e| error(&e))?;
        // What is not there is neither true nor false: a misspelt field must not skip a step.
        self.defined(value).map(|value| value.is_true())
    }

    fn defined(&self, value: Jinja) -> Result<Jinja, TemplateError> {
        match value.is_undefined() {
            true => Err(TemplateError { message: format!("{} is not defined", self.source.trim()), range: None }),
            false => Ok(value),
        }
    }
}

/// Refuses what is too long or too deep for the parser, which walks into expressions by recursion.
fn bounded(source: &str) -> Result<(), TemplateError> {
    const SIGNS: usize = 2_000;
    let signs =
        |c: &char| matches!(c, '(' | '[' | '{' | '+' | '-' | '*' | '/' | '~' | '%' | '|' | '.' | '<' | '>' | '=');
    let of_expressions: usize = match source.contains("{{") || source.contains("{%") {
        false => source.chars().filter(signs).count(),
        // Only what stands in braces is parsed; the text around them may be long.
        true => source
            .split('{')
            .skip(1)
            .map(|part| part.split('}').next().unwrap_or(part).chars().filter(signs).count())
            .sum(),
    };
    if of_expressions > SIGNS {
        let message = format!(
            "an expression with {of_expressions} operators and brackets is more than can be read; {SIGNS} are allowed"
        );
        return Err(TemplateError { message, range: None });
    }
    Ok(())
}

fn references(names: impl IntoIterator<Item = String>) -> BTreeSet<Reference> {
    names
        .into_iter()
        .filter(|name| ENVIRONMENT.globals().all(|(global, _)| global != name))
        .map(|name| match name.split_once('.') {
            Some((root, rest)) => {
                let first = rest.split('.').next().unwrap_or(rest);
                Reference { root: root.to_owned(), name: Some(first.to_owned()) }
            }
            None => Reference { root: name, name: None },
        })
        .collect()
}

fn error(error: &minijinja::Error) -> TemplateError {
    let detail = error.detail().map(str::to_owned);
    let message = match (error.kind(), detail) {
        (ErrorKind::UndefinedError, Some(detail)) => format!("undefined value: {detail}"),
        (ErrorKind::UndefinedError, None) => match error.range().zip(error.template_source()) {
            Some((range, source)) => format!("{} is not defined", source.get(range).unwrap_or("a variable").trim()),
            None => "a variable is not defined".to_owned(),
        },
        (ErrorKind::OutOfFuel, _) => "the template takes too long".to_owned(),
        (_, Some(detail)) => detail,
        (kind, None) => kind.to_string(),
    };
    TemplateError { message, range: error.range() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Scope {
        let inputs = json!({
            "base": "http://h:1/", "odd": "a b/c?d=\"e\" 'f' $(g) `h`", "n": 5, "name": "up_total"
        });
        Scope::new(Map::from_iter([("inputs".to_owned(), inputs)]))
    }

    fn render(source: &str, place: Place) -> String {
        Template::parse(source, place).and_then(|t| t.render(&scope())).unwrap_or_else(|e| format!("error: {e}"))
    }

    #[test]
    fn values_are_escaped_for_where_they_stand() {
        assert_eq!(
            render("GET {{ inputs.base }}/x?q={{ inputs.odd }}", Place::Url),
            "GET http://h:1/x?q=a%20b%2Fc%3Fd%3D%22e%22%20%27f%27%20%24%28g%29%20%60h%60"
        );
        assert_eq!(render("echo {{ inputs.odd }}", Place::Shell), r#"echo 'a b/c?d="e" '\''f'\'' $(g) `h`'"#);
        assert_eq!(render("echo \"{{ inputs.odd }}\"", Place::Shell), r#"echo "a b/c?d=\"e\" 'f' \$(g) \`h\`""#);
        assert_eq!(
            render("{{ inputs.name }}{a=\"{{ inputs.odd }}\"}", Place::Promql),
            r#"up_total{a="a b/c?d=\"e\" 'f' $(g) `h`"}"#
        );
        assert!(render("up + {{ inputs.odd }}", Place::Promql).starts_with("error"));
        assert_eq!(
            render(r#"{"a": "{{ inputs.odd }}", "n": {{ inputs.n }}}"#, Place::Json),
            r#"{"a": "a b/c?d=\"e\" 'f' $(g) `h`", "n": 5}"#
        );
        assert_eq!(render("{{ inputs.odd | raw }}", Place::Shell), "a b/c?d=\"e\" 'f' $(g) `h`");
        assert_eq!(render("{{ inputs.base }}", Place::Regex), r"http://h:1/");
    }

    #[test]
    fn undefined_is_an_error_with_the_name() {
        assert!(
            render("{{ inputs.nope }}", Place::Plain).contains("nope"),
            "{}",
            render("{{ inputs.nope }}", Place::Plain)
        );
        assert!(Template::parse("{{ inputs.", Place::Plain).is_err());
    }

    #[test]
    fn references_are_listed() {
        let template = Template::parse("{{ inputs.a }}{{ captured.b.c }}", Place::Plain).expect("valid");
        let names: Vec<_> = template.references().into_iter().map(|r| (r.root, r.name)).collect();
        assert_eq!(names, [("captured".into(), Some("b".into())), ("inputs".into(), Some("a".into()))]);
    }

    #[test]
    fn expressions_give_values() {
        let scope = Scope::new(Map::from_iter([("json".to_owned(), json!({"items": [1, 2]}))]));
        let value = Expression::parse("json['items']|length + 1").and_then(|e| e.evaluate(&scope));
        assert_eq!(value, Ok(json!(3)));
        assert!(Expression::parse("json.nope > 3").and_then(|e| e.holds(&scope)).is_err());
        assert!(Expression::parse("{{ json }}").is_err());
    }

    #[test]
    fn what_is_not_there_is_neither_true_nor_false() {
        let scope = Scope::new(Map::from_iter([("captured".to_owned(), json!({"h": {"on": false, "no": null}}))]));
        let holds = |source: &str| Expression::parse(source).and_then(|e| e.holds(&scope));
        assert_eq!(holds("captured.h.on"), Ok(false));
        assert_eq!(holds("captured.h.no"), Ok(false));
        assert_eq!(holds("captured.h.of is defined"), Ok(false));
        for source in ["captured.h.of", "not captured.h.of", "captured.h.of and true", "true and captured.h.of"] {
            assert!(holds(source).is_err(), "{source}");
        }
    }

    #[test]
    fn a_host_is_never_another_one() {
        let to = |source: &str, value: &str| {
            let scope = Scope::new(Map::from_iter([("inputs".to_owned(), json!({ "x": value }))]));
            Template::parse(source, Place::Url).and_then(|t| t.render(&scope)).map_err(|e| e.message)
        };
        assert_eq!(to("http://{{ inputs.x }}:80/", "my_service"), Ok("http://my_service:80/".to_owned()));
        assert_eq!(to("http://a:{{ inputs.x }}@h/", "p@/w"), Ok("http://a:p%40%2Fw@h/".to_owned()));
        for value in ["h/", "a b", "u@h", "h?", "h%41"] {
            assert!(to("http://{{ inputs.x }}/", value).is_err(), "{value}");
        }
    }

    #[test]
    fn brackets_name_the_whole() {
        for source in ["{{ captured['a'] }}", "{{ captured.b }}{{ captured['a'] }}"] {
            let template = Template::parse(source, Place::Plain).expect("valid");
            assert!(template.references().iter().any(|r| r.root == "captured" && r.name.is_none()), "{source}");
        }
    }
}
