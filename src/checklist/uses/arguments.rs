//! What a step passes to a template: every value of the type that its parameter has, every mistake at once.

use std::collections::HashMap;

use serde_json::Value;

use super::declared::{self, Template};
use super::fill::Given;
use super::{Argument, Used};
use crate::checklist::inputs::InputDeclaration;
use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};
use crate::template::bind::{self, Bound};
use crate::template::{Expression, Scope};
use crate::yaml::{Data, Node};

/// Reads `with`. Nothing when a mistake was said. What is known only later is kept in `used`.
pub(super) fn read(
    template: &Template,
    place: Span,
    with: Option<&Node>,
    sources: &SourceMap,
    used: &mut Used,
    diagnostics: &mut Diagnostics,
) -> Option<HashMap<String, Given>> {
    let mut good = true;
    let mut all = HashMap::new();
    for (key, value) in with.and_then(Node::map).unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        let Some(param) = template.params.iter().find(|param| param.name == name) else {
            diagnostics.push(unknown(template, key));
            good = false;
            continue;
        };
        match passed(param, value, sources, used) {
            Ok(given) => drop(all.insert(name.to_owned(), given)),
            Err(diagnostic) => {
                diagnostics.push(diagnostic);
                good = false;
            }
        }
    }
    let named = |name: &str| with.is_some_and(|with| with.get(name).is_some());
    for param in template.params.iter().filter(|param| !named(&param.name)) {
        let value = param.default.as_ref().map(|node| param.accept(&as_written(param, node)));
        match value {
            Some(Ok(value)) => drop(all.insert(param.name.clone(), known(param, value))),
            // That a default is ill-typed is said where it is declared.
            Some(Err(_)) => good = false,
            None if param.optional => drop(all.insert(param.name.clone(), known(param, Value::Null))),
            None => {
                diagnostics.push(missing(template, param, place));
                good = false;
            }
        }
    }
    good.then_some(all)
}

fn unknown(template: &Template, key: &Node) -> Diagnostic {
    let name = key.text().unwrap_or_default();
    let names = template.params.iter().map(|param| param.name.as_str());
    let message = format!("the template {:?} has no parameter {name:?}", template.name);
    let diagnostic = Diagnostic::error("unknown-parameter", key.span, message).near(name, names.clone());
    match names.collect::<Vec<_>>() {
        none if none.is_empty() => diagnostic.help("it takes no parameters"),
        names => diagnostic.help(format!("it takes {}", names.join(", "))),
    }
}

fn missing(template: &Template, param: &InputDeclaration, place: Span) -> Diagnostic {
    let message = format!("the template {:?} needs the parameter {:?}", template.name, param.name);
    let diagnostic = Diagnostic::error("missing-parameter", place, message);
    let label = param.help.clone().unwrap_or_else(|| "declared here".to_owned());
    diagnostic.also(param.span, label).help(format!("give it: `with: {{ {}: … }}`", param.name))
}

/// Takes one value, as a constant or as an expression.
fn passed(param: &InputDeclaration, node: &Node, sources: &SourceMap, used: &mut Used) -> Result<Given, Diagnostic> {
    let refuse = |message: String| Diagnostic::error("bad-parameter", node.span, message);
    match &node.data {
        Data::Map(_) => Err(refuse(format!("parameter {:?} takes a value, this is a map", param.name))),
        Data::List(_) if param.kind != "list" => {
            Err(refuse(format!("parameter {:?} takes one value, this is a list", param.name)))
        }
        Data::List(items) => list(param, items, node, sources, used),
        Data::Scalar { .. } if node.is_null() => Err(refuse(format!("parameter {:?} has no value", param.name))),
        Data::Scalar { text, .. } if is_template(text) => match one(node, sources)? {
            Bound::Value(Value::Array(items)) if param.kind == "list" => accepted(param, Value::Array(items), node),
            Bound::Value(value) => accepted(param, value, node),
            Bound::Expression(expression) => later(param, expression, node, used),
        },
        Data::Scalar { .. } => accepted(param, as_written(param, node), node),
    }
}

fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|sign| text.contains(sign))
}

/// Reads one text with `{{ }}`: its value when it needs nothing that is known only later.
fn one(node: &Node, sources: &SourceMap) -> Result<Bound, Diagnostic> {
    let said = |error: &crate::template::TemplateError| {
        let mut one = Diagnostics::new();
        declared::say(node, "bad-template", error, sources, &mut one);
        let place = one.iter().next().and_then(|d| d.labels.first()).map_or(node.span, |label| label.span);
        Diagnostic::error("bad-template", place, error.message.clone())
    };
    let text = bind::expression_of(node.text().unwrap_or_default()).map_err(|e| said(&e))?;
    let expression = Expression::parse(&text).map_err(|e| said(&e))?;
    for reference in expression.references() {
        if !matches!(reference.root.as_str(), "inputs" | "captured" | "matrix") {
            let root = reference.root;
            let diagnostic = Diagnostic::error("undefined-variable", node.span, format!("{root:?} is not defined"));
            let help = "a value that is passed on may use inputs.NAME, captured.NAME and matrix.NAME";
            return Err(diagnostic.near(&root, ["inputs", "captured", "matrix"]).help(help));
        }
    }
    match expression.references().is_empty() {
        true => expression.evaluate(&Scope::default()).map(Bound::Value).map_err(|e| said(&e)),
        false => Ok(Bound::Expression(text)),
    }
}

fn list(
    param: &InputDeclaration,
    items: &[Node],
    node: &Node,
    sources: &SourceMap,
    used: &mut Used,
) -> Result<Given, Diagnostic> {
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        match &item.data {
            Data::Scalar { text, .. } if !item.is_null() => all.push(match is_template(text) {
                true => one(item, sources)?,
                false => Bound::Value(item.json()),
            }),
            Data::Scalar { .. } | Data::List(_) | Data::Map(_) => {
                let message = format!("a member of parameter {:?} is {}, not a value", param.name, item.form());
                return Err(Diagnostic::error("bad-parameter", item.span, message));
            }
        }
    }
    let values: Option<Vec<Value>> = all.iter().map(constant).collect();
    match values {
        Some(values) => accepted(param, Value::Array(values), node),
        None => {
            let text = all.iter().map(|item| match item {
                Bound::Value(value) => bind::literal(value),
                Bound::Expression(text) => format!("({text})"),
            });
            let given = later(param, format!("[{}]", text.collect::<Vec<_>>().join(", ")), node, used)?;
            Ok(Given { items: Some(all), ..given })
        }
    }
}

fn constant(item: &Bound) -> Option<Value> {
    match item {
        Bound::Value(value) => Some(value.clone()),
        Bound::Expression(_) => None,
    }
}

fn accepted(param: &InputDeclaration, value: Value, node: &Node) -> Result<Given, Diagnostic> {
    match param.accept(&value) {
        Ok(value) => Ok(known(param, value)),
        Err(problem) => {
            let diagnostic = Diagnostic::error("bad-parameter", node.span, problem);
            Err(diagnostic.also(param.span, param.help.clone().unwrap_or_else(|| "declared here".to_owned())))
        }
    }
}

/// Keeps a value that is known only with the inputs, or during the run.
fn later(param: &InputDeclaration, expression: String, node: &Node, used: &mut Used) -> Result<Given, Diagnostic> {
    let references = Expression::parse(&expression).map(|e| e.references()).unwrap_or_default();
    let captured = references.iter().any(|reference| reference.root == "captured");
    if captured && (param.pattern.is_some() || param.one_of.is_some()) {
        let message = format!(
            "parameter {:?} takes only some values, and what a captured value is shows only during the run",
            param.name
        );
        let diagnostic = Diagnostic::error("bad-parameter", node.span, message).also(param.span, "declared here");
        return Err(diagnostic.help("pass an input instead"));
    }
    if !captured {
        used.arguments.push(Argument { parameter: param.clone(), expression: expression.clone(), span: node.span });
    }
    Ok(Given { bound: Bound::Expression(expression), items: None, plain: false })
}

/// Makes what stands for a parameter whose value is known.
fn known(param: &InputDeclaration, value: Value) -> Given {
    let items = match &value {
        Value::Array(items) => Some(items.iter().cloned().map(Bound::Value).collect()),
        _ => None,
    };
    // These were taken apart when they were accepted: there is nothing in them that could mean anything else.
    let plain =
        matches!(param.kind.as_str(), "int" | "number" | "bool" | "duration" | "size") || param.one_of.is_some();
    Given { bound: Bound::Value(value), items, plain }
}

/// Returns a value as it is written: what looks like a number is the text that it is where text is wanted.
fn as_written(param: &InputDeclaration, node: &Node) -> Value {
    match (param.kind.as_str(), node.text()) {
        ("int" | "number" | "bool" | "list", _) | (_, None) => node.json(),
        (_, Some(text)) => Value::String(text.to_owned()),
    }
}
