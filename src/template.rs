//! Templates and expressions: `{{ }}` with strict undefined, escaping by the place where a value lands.
//! The only file that knows minijinja, with `report/` for whole documents.
//!
//! A value is put between two marks while rendering; afterwards each marked stretch is escaped with knowledge of what
//! stands before it: the same value is percent-encoded in a URL's path, kept as it is at the URL's beginning, quoted
//! bare in a shell and escaped within shell quotes. `| raw` opts out.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Jinja};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

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
}

const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

/// Steps of the virtual machine that one template may take: enough for any sensible one, too few to hang.
const FUEL: u64 = 100_000;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = base();
    // A text without variables keeps its last newline, so one with variables does too.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_auto_escape_callback(|_| AutoEscape::None);
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
    environment
}

impl Template {
    /// Checks a template.
    ///
    /// # Errors
    /// Says what is wrong and where in the text.
    pub fn parse(source: &str, place: Place) -> Result<Self, TemplateError> {
        let literal = !source.contains("{{") && !source.contains("{%") && !source.contains("{#");
        if !literal {
            ENVIRONMENT.template_from_str(source).map_err(|e| error(&e))?;
        }
        if source.contains([OPEN, CLOSE]) {
            return Err(TemplateError { message: "the characters U+E000 and U+E001 are reserved".into(), range: None });
        }
        Ok(Self { source: source.into(), place, literal })
    }

    /// Returns the text as written.
    pub fn source(&self) -> &str {
        &self.source
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
        escape(&marked, self.place)
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
        let value = expression.eval(scope.root.clone()).map_err(|e| error(&e))?;
        if value.is_undefined() {
            return Err(TemplateError { message: format!("{} is not defined", self.source.trim()), range: None });
        }
        serde_json::to_value(&value).map_err(|e| TemplateError { message: e.to_string(), range: None })
    }

    /// Computes the value and tells whether it is true, in the sense of the expression language.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn holds(&self, scope: &Scope) -> Result<bool, TemplateError> {
        let expression = ENVIRONMENT.compile_expression(&self.source).map_err(|e| error(&e))?;
        let value = expression.eval(scope.root.clone()).map_err(|e| error(&e))?;
        Ok(value.is_true())
    }
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

/// Replaces each marked stretch by its escaped form.
fn escape(marked: &str, place: Place) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(marked.len());
    let mut rest = marked;
    while let Some(open) = rest.find(OPEN) {
        out.push_str(&rest[..open]);
        let inner = &rest[open + OPEN.len_utf8()..];
        let close = inner.find(CLOSE).unwrap_or(inner.len());
        let value = &inner[..close];
        rest = inner.get(close + CLOSE.len_utf8()..).unwrap_or_default();
        match place {
            Place::Plain => out.push_str(value),
            Place::Url => escape_url(&mut out, value),
            Place::Shell => escape_shell(&mut out, value),
            Place::Promql => escape_promql(&mut out, value)?,
            Place::Json => escape_json(&mut out, value),
            Place::Regex => out.push_str(&regex::escape(value)),
        }
    }
    out.push_str(rest);
    Ok(out)
}

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn escape_url(out: &mut String, value: &str) {
    // `GET {{ inputs.base_url }}/health`: a value that begins the URL is a URL itself.
    let before = out.rsplit(' ').next().unwrap_or_default();
    if before.is_empty() {
        out.push_str(value.trim_end_matches('/'));
        return;
    }
    let authority = before.split_once("://").map(|(_, rest)| rest);
    if authority.is_some_and(|rest| !rest.contains(['/', '?', '#'])) {
        // Host and port: nothing that could end them or name a user may come in.
        out.extend(value.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']')));
        return;
    }
    out.extend(utf8_percent_encode(value, UNRESERVED));
}

/// Which quotes a shell command is in at its end.
fn shell_quotes(command: &str) -> Option<char> {
    let mut open = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (None | Some('"'), '\\') => {
                chars.next();
            }
            (None, '\'' | '"') => open = Some(c),
            (Some(quote), c) if quote == c => open = None,
            _ => {}
        }
    }
    open
}

fn escape_shell(out: &mut String, value: &str) {
    match shell_quotes(out) {
        Some('\'') => out.push_str(&value.replace('\'', r"'\''")),
        Some(_) => {
            for c in value.chars() {
                if matches!(c, '"' | '$' | '`' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        None => {
            let safe = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
            match !value.is_empty() && value.chars().all(safe) {
                true => out.push_str(value),
                false => {
                    out.push('\'');
                    out.push_str(&value.replace('\'', r"'\''"));
                    out.push('\'');
                }
            }
        }
    }
}

/// Which quotes a PromQL query is in at its end.
pub(crate) fn promql_quotes(query: &str) -> Option<char> {
    let mut open = None;
    let mut chars = query.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (Some('"' | '\''), '\\') => {
                chars.next();
            }
            (None, '\'' | '"' | '`') => open = Some(c),
            (None, '#') => {
                chars.find(|c| *c == '\n');
            }
            (Some(quote), c) if quote == c => open = None,
            _ => {}
        }
    }
    open
}

fn escape_promql(out: &mut String, value: &str) -> Result<(), TemplateError> {
    match promql_quotes(out) {
        Some('`') => {
            if value.contains('`') {
                return Err(TemplateError { message: "a value with ` cannot stand between `…`".into(), range: None });
            }
            out.push_str(value);
        }
        Some(quote) => {
            for c in value.chars() {
                match c {
                    '\\' => out.push_str(r"\\"),
                    '\n' => out.push_str(r"\n"),
                    c if c == quote => {
                        out.push('\\');
                        out.push(c);
                    }
                    c => out.push(c),
                }
            }
        }
        None => {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
            if value.is_empty() || !value.chars().all(word) {
                let message = format!(
                    "{value:?} may not stand outside quotes in a query; only a name, a number or a duration may"
                );
                return Err(TemplateError { message, range: None });
            }
            out.push_str(value);
        }
    }
    Ok(())
}

fn escape_json(out: &mut String, value: &str) {
    let quoted = serde_json::to_string(value).unwrap_or_default();
    let mut in_string = false;
    let mut chars = out.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => {
                chars.next();
            }
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    if in_string {
        out.push_str(&quoted[1..quoted.len() - 1]);
    } else if serde_json::from_str::<Value>(value).is_ok() {
        out.push_str(value);
    } else {
        out.push_str(&quoted);
    }
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
}
