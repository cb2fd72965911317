//! Declared variables and their values: from `--set`, files, the environment and defaults, the strongest first.
//! Whatever is missing or ill-typed is said all at once, before anything runs.

use indexmap::IndexMap;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::model::outline::InputShown;
use crate::model::{Quantity, Secret, quantity};
use crate::yaml::Node;

use super::form::INPUT_TYPES;

/// What is declared, in messages.
#[derive(Debug)]
pub struct Words {
    /// One of it.
    pub one: &'static str,
    /// The root under which templates find it.
    pub root: &'static str,
    /// The code of a value that does not fit.
    pub code: &'static str,
}

/// A variable of a checklist.
pub const INPUT: Words = Words { one: "input", root: "inputs", code: "bad-input" };
/// A variable of a step template.
pub const PARAMETER: Words = Words { one: "parameter", root: "params", code: "bad-parameter" };

/// A declared variable.
#[derive(Clone, Debug)]
pub struct InputDeclaration {
    /// What it is called.
    pub words: &'static Words,
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// One of [`INPUT_TYPES`].
    pub kind: String,
    /// The value when none is given.
    pub default: Option<Node>,
    /// The environment variable that gives it.
    pub env: Option<String>,
    /// What the value must match.
    pub pattern: Option<Regex>,
    /// The values allowed.
    pub one_of: Option<Vec<String>>,
    /// Whether it is masked.
    pub secret: bool,
    /// Whether it may have no value.
    pub optional: bool,
    /// What it is.
    pub help: Option<String>,
}

/// Values given from outside, by name.
#[derive(Debug, Default)]
pub struct Given {
    /// From `--set`, as text.
    pub set: IndexMap<String, String>,
    /// From files, later ones stronger; with the file's name.
    pub files: IndexMap<String, (Value, String)>,
}

/// The values in effect.
#[derive(Debug, Default)]
pub struct Inputs {
    /// As shown in the record, in the order of declaration.
    pub shown: Vec<InputShown>,
    /// As templates see them. An input without a value is absent.
    pub values: Map<String, Value>,
    /// What must be masked.
    pub secrets: Vec<Secret>,
    /// Whether no more values will come, as before a run.
    pub complete: bool,
}

/// Reads the declarations of inputs.
pub fn declarations(node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<InputDeclaration> {
    declared(node, &INPUT, diagnostics)
}

/// Reads declarations.
pub fn declared(node: Option<&Node>, words: &'static Words, diagnostics: &mut Diagnostics) -> Vec<InputDeclaration> {
    let entries = node.and_then(Node::map).unwrap_or_default();
    entries.iter().map(|(key, value)| declaration(words, key, value, diagnostics)).collect()
}

fn declaration(words: &'static Words, key: &Node, value: &Node, diagnostics: &mut Diagnostics) -> InputDeclaration {
    let text = |name: &str| value.get(name).and_then(Node::text).map(str::to_owned);
    let flag = |name: &str| value.get(name).and_then(Node::bool).unwrap_or_default();
    let short = value.map().is_none().then(|| value.clone());
    let pattern = value.get("pattern").and_then(|node| {
        let regex = Regex::new(node.text()?);
        if let Err(error) = &regex {
            let cause = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            diagnostics.push(Diagnostic::error("bad-regex", node.span, format!("bad regular expression: {cause}")));
        }
        regex.ok()
    });
    let name = key.text().unwrap_or_default().to_owned();
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_') || name.starts_with(|c: char| c.is_ascii_digit()) {
        let root = words.root;
        let message =
            format!("{name:?} cannot be used as {{{{ {root}.{name} }}}}; use letters, digits and underscores");
        diagnostics.push(Diagnostic::error("bad-id", key.span, message));
    }
    let declaration = InputDeclaration {
        words,
        name,
        span: key.span,
        kind: text("type").unwrap_or_else(|| short_kind(short.as_ref())),
        default: value.get("default").cloned().or(short).filter(|n| !n.is_null()),
        env: text("env"),
        pattern,
        one_of: value
            .get("one_of")
            .and_then(Node::list)
            .map(|l| l.iter().filter_map(Node::text).map(str::to_owned).collect()),
        secret: flag("secret"),
        optional: flag("optional"),
        help: text("help"),
    };
    if let Some(default) = &declaration.default
        && let Err(problem) = declaration.accept(&default.json())
    {
        diagnostics.push(Diagnostic::error(words.code, default.span, problem));
    }
    declaration
}

/// `limit: 5` declares a number with a default, `regions: [a, b]` a list, everything else a string.
fn short_kind(short: Option<&Node>) -> String {
    let kind = match short {
        Some(node) if node.list().is_some() => "list",
        Some(node) if node.number().is_some() => "number",
        Some(node) if node.bool().is_some() => "bool",
        _ => "string",
    };
    kind.to_owned()
}

impl InputDeclaration {
    /// Checks a value and gives it the declared type.
    ///
    /// # Errors
    /// Says in one line what is wrong; never shows a secret.
    pub fn accept(&self, value: &Value) -> Result<Value, String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => return Err(format!("{} {:?} has no value", self.words.one, self.name)),
            other => other.to_string(),
        };
        let shown = if self.secret { "the value".to_owned() } else { format!("{text:?}") };
        let wrong = |wanted: &str| Err(format!("{} {:?}: {shown} is not {wanted}", self.words.one, self.name));
        let typed = match self.kind.as_str() {
            "int" => match text.trim().parse::<i64>() {
                Ok(number) => json!(number),
                Err(_) => return wrong("a whole number"),
            },
            "number" => match Quantity::parse(&text) {
                Ok(_) if value.is_number() => value.clone(),
                Ok(quantity) if text.trim().parse::<f64>().is_ok() => json!(quantity.value),
                Ok(_) => json!(text.trim()),
                Err(_) => return wrong("a number"),
            },
            "bool" => match text.trim() {
                "true" => json!(true),
                "false" => json!(false),
                _ => return wrong("true or false"),
            },
            "url" => match url::Url::parse(text.trim()) {
                Ok(url) if url.has_host() => json!(text.trim()),
                _ => return wrong("a URL such as http://localhost:8080"),
            },
            "duration" => match quantity::duration(&text) {
                Ok(_) => json!(text.trim()),
                Err(_) => return wrong("a duration such as 30s, 5m or 4h"),
            },
            "size" => match Quantity::parse(&text) {
                Ok(quantity) if quantity.fits(crate::model::Kind::Size) => json!(text.trim()),
                _ => return wrong("a size such as 64KiB or 100MB"),
            },
            "list" => match value {
                Value::Array(_) => value.clone(),
                _ => text.split(',').map(|item| json!(item.trim())).collect(),
            },
            _ => json!(text),
        };
        if let Some(pattern) = self.pattern.as_ref().filter(|p| !p.is_match(&text)) {
            return wrong(&format!("matched by {pattern}"));
        }
        if let Some(allowed) = self.one_of.as_ref().filter(|allowed| !allowed.contains(&text)) {
            return wrong(&format!("one of {}", allowed.join(", ")));
        }
        Ok(typed)
    }
}

/// Fills the declared variables. Every missing, ill-typed and unknown one is said; `missing_is_an_error` is false for
/// `check`, which runs nothing.
pub fn fill(
    declared: &[InputDeclaration],
    given: &Given,
    env: impl Fn(&str) -> Option<String>,
    missing_is_an_error: bool,
    root: Span,
    diagnostics: &mut Diagnostics,
) -> Inputs {
    for name in given.set.keys().chain(given.files.keys()).filter(|n| declared.iter().all(|d| d.name != **n)) {
        let names = declared.iter().map(|d| d.name.as_str());
        let message = format!("the checklist declares no input {name:?}");
        diagnostics.push(Diagnostic::error("unknown-input", root, message).near(name, names));
    }
    let mut inputs = Inputs { complete: missing_is_an_error, ..Inputs::default() };
    for declaration in declared {
        let found = find(declaration, given, &env);
        let (value, from) = match found {
            Some((raw, from)) => match declaration.accept(&raw) {
                Ok(value) => (Some(value), from),
                Err(problem) => {
                    if from != "default" {
                        let message = format!("{problem} (from {from})");
                        diagnostics
                            .push(Diagnostic::error("bad-input", declaration.span, message).label("declared here"));
                    }
                    (None, from)
                }
            },
            None => {
                if missing_is_an_error && !declaration.optional {
                    diagnostics.push(missing(declaration));
                }
                (None, "not given".to_owned())
            }
        };
        inputs.add(declaration, value, from);
    }
    inputs
}

fn find(
    declaration: &InputDeclaration,
    given: &Given,
    env: &impl Fn(&str) -> Option<String>,
) -> Option<(Value, String)> {
    let name = &declaration.name;
    if let Some(text) = given.set.get(name) {
        return Some((json!(text), "--set".to_owned()));
    }
    if let Some((value, file)) = given.files.get(name) {
        return Some((value.clone(), file.clone()));
    }
    if let Some(variable) = &declaration.env
        && let Some(text) = env(variable)
    {
        return Some((json!(text), format!("environment variable {variable}")));
    }
    declaration.default.as_ref().map(|node| (node.json(), "default".to_owned()))
}

fn missing(declaration: &InputDeclaration) -> Diagnostic {
    let name = &declaration.name;
    let help = match &declaration.env {
        Some(variable) => format!("give it with --set {name}=…, in a file with --inputs, or in {variable}"),
        None => format!("give it with --set {name}=…, or in a file with --inputs"),
    };
    let label = declaration.help.clone().unwrap_or_else(|| "declared here".to_owned());
    Diagnostic::error("missing-input", declaration.span, format!("input {name:?} has no value")).label(label).help(help)
}

impl Inputs {
    fn add(&mut self, declaration: &InputDeclaration, value: Option<Value>, from: String) {
        let shown = match (&value, declaration.secret) {
            (Some(_), true) => Some(json!("***")),
            (value, _) => value.clone(),
        };
        self.shown.push(InputShown { name: declaration.name.clone(), value: shown, secret: declaration.secret, from });
        if let Some(value) = value {
            if declaration.secret {
                self.hide(&value);
            }
            self.values.insert(declaration.name.clone(), value);
        } else if declaration.optional {
            // Expressions may ask whether it is there; templates that print it fail with its name.
            self.values.insert(declaration.name.clone(), Value::Null);
        }
    }
}

impl Inputs {
    /// Has a value masked, and each member of a list on its own: that is how they are used.
    fn hide(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => self.secrets.push(Secret::new(text.as_str())),
            Value::Bool(_) | Value::Number(_) => self.secrets.push(Secret::new(value.to_string())),
            Value::Array(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Object(map) => map.values().for_each(|item| self.hide(item)),
        }
    }
}

const _: () = assert!(INPUT_TYPES.len() == 8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::SourceMap;
    use crate::yaml;

    fn fill_from(yaml: &str, set: &[(&str, &str)], variable: Option<(&str, &str)>) -> (Inputs, Vec<String>) {
        let mut sources = SourceMap::new();
        let file = sources.add("t.yaml", yaml);
        let mut diagnostics = Diagnostics::new();
        let node = yaml::parse(&mut sources, file, &mut diagnostics);
        let declared = declarations(node.as_ref(), &mut diagnostics);
        let set = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let given = Given { set, files: IndexMap::new() };
        let env = |name: &str| variable.filter(|(n, _)| *n == name).map(|(_, v)| v.to_owned());
        let inputs = fill(&declared, &given, env, true, Span::default(), &mut diagnostics);
        (inputs, diagnostics.iter().map(|d| format!("{}: {}", d.code, d.message)).collect())
    }

    #[test]
    fn the_strongest_value_wins() {
        let yaml = "a: { env: A, default: x }\nb: { env: A, default: x }\nc: 5\n";
        let (inputs, problems) = fill_from(yaml, &[("a", "set")], Some(("A", "env")));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(json!(inputs.values), json!({"a": "set", "b": "env", "c": 5}));
    }

    #[test]
    fn each_member_of_a_secret_list_is_a_secret() {
        let (inputs, _) = fill_from("keys: { type: list, secret: true }\n", &[("keys", "one1, two2")], None);
        assert_eq!(inputs.secrets, ["one1", "two2"].map(Secret::new));
    }

    #[test]
    fn every_mistake_is_said_at_once() {
        let yaml =
            "a: { type: int }\nb: { type: url }\nc: { pattern: '^\\d+$', secret: true }\nd: { optional: true }\n";
        let (_, problems) = fill_from(yaml, &[("a", "5.5"), ("c", "hunter2"), ("e", "1")], None);
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems.iter().all(|p| !p.contains("hunter2")), "{problems:?}");
    }
}
