//! What may stand where: one declaration of each key, from which checking, the JSON schema and the manual pages come.
//!
//! A [`Shape`] says which form a value has. [`check`] compares a node with a shape and says every mistake at once;
//! what it has passed can be read without looking again. [`schema`] turns the same shapes into JSON Schema.

use serde_json::{Map, Value, json};

use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::model::quantity;
use crate::yaml::{Node, Style};

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text; a plain number or bool is taken as written.
    Text,
    /// Text with `{{ }}`.
    Template,
    /// A minijinja expression.
    Expression,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number in a range.
    Int(i64, i64),
    /// A number.
    Number,
    /// A duration, or a template that gives one.
    Duration,
    /// A regular expression.
    Regex,
    /// A comparator, a matcher or a list of them: what `expect` takes for one value.
    Expectation,
    /// Any value at all.
    Any,
    /// A list.
    List(&'static Shape),
    /// A list with members; that one without any is refused is said by its reader, who knows why.
    Filled(&'static Shape),
    /// One value, or a list of them.
    OneOrMany(&'static Shape),
    /// A map with free keys.
    Map(&'static Shape),
    /// A map with known keys.
    Object(&'static Object),
    /// A map with known keys that may hold maps of its own kind: the schema describes it once, under this name.
    Named(&'static str, fn() -> &'static Object),
    /// One of these forms, told apart by text, number, bool, list or map.
    Either(&'static [Shape]),
}

/// A map with known keys.
#[derive(Debug)]
pub struct Object {
    /// What it is called in messages: `a section`.
    pub name: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
    /// Whether other keys are left to a later stage (the probes of a step).
    pub open: bool,
}

/// A key and what stands under it.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// The form of the value.
    pub shape: Shape,
    /// What it means: a sentence or two, without line breaks.
    pub doc: &'static str,
    /// Whether it must be given.
    pub required: bool,
}

/// Declares a key that may be left out.
pub const fn field(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, shape, doc, required: false }
}

/// Declares a key that must be given.
pub const fn required(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, shape, doc, required: true }
}

/// Compares a value with its shape. Returns whether it fits; every mistake is said.
pub fn check(node: &Node, shape: &Shape, diagnostics: &mut Diagnostics) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Expectation => not_null(node, "what must hold", diagnostics),
        Shape::Text | Shape::Template | Shape::Expression | Shape::Regex => scalar(node, "text", diagnostics),
        Shape::Word(words) => word(node, words, diagnostics),
        Shape::Bool => fits(node.bool().is_some(), node, "true or false", diagnostics),
        Shape::Int(low, high) => integer(node, *low, *high, diagnostics),
        Shape::Number => fits(node.number().is_some(), node, "a number", diagnostics),
        Shape::Duration => duration(node, diagnostics),
        Shape::List(of) | Shape::Filled(of) => match node.list() {
            Some(items) => all(items.iter().map(|item| check(item, of, diagnostics))),
            None => fits(false, node, "a list", diagnostics),
        },
        Shape::OneOrMany(of) => match node.list() {
            Some(items) => all(items.iter().map(|item| check(item, of, diagnostics))),
            None => check(node, of, diagnostics),
        },
        Shape::Map(of) => match node.map() {
            Some(entries) => all(entries.iter().map(|(_, value)| check(value, of, diagnostics))),
            None => fits(false, node, "a map", diagnostics),
        },
        Shape::Object(object) => check_object(node, object, diagnostics),
        Shape::Named(_, object) => check_object(node, object(), diagnostics),
        Shape::Either(shapes) => match shapes.iter().find(|shape| looks_like(node, shape)) {
            Some(shape) => check(node, shape, diagnostics),
            None => {
                let wanted: Vec<_> = shapes.iter().map(|s| s.form()).collect();
                fits(false, node, &wanted.join(" or "), diagnostics)
            }
        },
    }
}

/// Tells whether all hold; every one is looked at, so that every mistake is said.
fn all(results: impl Iterator<Item = bool>) -> bool {
    results.filter(|good| !good).count() == 0
}

fn check_object(node: &Node, object: &Object, diagnostics: &mut Diagnostics) -> bool {
    let Some(entries) = node.map() else {
        return fits(false, node, &format!("{}, a map", object.name), diagnostics);
    };
    let mut good = true;
    for (key, value) in entries {
        let name = key.text().unwrap_or_default();
        match object.fields.iter().find(|f| f.key == name) {
            Some(field) => good &= check(value, &field.shape, diagnostics),
            None if object.open => {}
            None if diagnostics.is_full() => {
                diagnostics.leave_out();
                good = false;
            }
            None => {
                diagnostics.push(unknown_key(key, object));
                good = false;
            }
        }
    }
    for field in object.fields.iter().filter(|f| f.required && node.get(f.key).is_none()) {
        let place = entries.first().map_or(node.span, |(key, _)| key.span);
        let message = format!("{} needs {:?}: {}", object.name, field.key, within_a_sentence(field.doc));
        diagnostics.push(Diagnostic::error("missing-key", place, message.trim_end_matches('.')));
        good = false;
    }
    good
}

/// Begins a text in lower case, unless its first word is written in capitals.
fn within_a_sentence(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

fn unknown_key(key: &Node, object: &Object) -> Diagnostic {
    let name = key.text().unwrap_or_default();
    let names = object.fields.iter().map(|f| f.key);
    let diagnostic = Diagnostic::error("unknown-key", key.span, format!("{} has no key {name:?}", object.name));
    match did_you_mean(name, names.clone()) {
        Some(_) => diagnostic.near(name, names),
        None => diagnostic.help(format!("the keys are {}", names.collect::<Vec<_>>().join(", "))),
    }
}

fn fits(good: bool, node: &Node, wanted: &str, diagnostics: &mut Diagnostics) -> bool {
    if !good {
        diagnostics.push(Diagnostic::error(
            "wrong-type",
            node.span,
            format!("expected {wanted}, found {}", node.form()),
        ));
    }
    good
}

fn not_null(node: &Node, wanted: &str, diagnostics: &mut Diagnostics) -> bool {
    fits(!node.is_null(), node, wanted, diagnostics)
}

fn scalar(node: &Node, wanted: &str, diagnostics: &mut Diagnostics) -> bool {
    fits(node.text().is_some(), node, wanted, diagnostics)
}

fn word(node: &Node, words: &[&'static str], diagnostics: &mut Diagnostics) -> bool {
    let Some(text) = node.text() else { return scalar(node, "text", diagnostics) };
    if words.contains(&text) {
        return true;
    }
    let message = format!("{text:?} is not one of {}", words.join(", "));
    diagnostics.push(Diagnostic::error("bad-value", node.span, message).near(text, words.iter().copied()));
    false
}

fn integer(node: &Node, low: i64, high: i64, diagnostics: &mut Diagnostics) -> bool {
    let Some(number) = node.number() else { return fits(false, node, "a whole number", diagnostics) };
    if number.fract() == 0.0 && (low as f64..=high as f64).contains(&number) {
        return true;
    }
    let range = if high == i64::MAX { format!("of at least {low}") } else { format!("from {low} to {high}") };
    diagnostics.push(Diagnostic::error("bad-value", node.span, format!("expected a whole number {range}")));
    false
}

fn duration(node: &Node, diagnostics: &mut Diagnostics) -> bool {
    let Some(text) = node.text() else { return scalar(node, "a duration", diagnostics) };
    if text.contains("{{") {
        return true;
    }
    match quantity::duration(text) {
        Ok(_) => true,
        Err(error) => {
            diagnostics.push(Diagnostic::error("bad-duration", node.span, error.to_string()));
            false
        }
    }
}

fn looks_like(node: &Node, shape: &Shape) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Expectation => !node.is_null(),
        Shape::Text | Shape::Template | Shape::Expression | Shape::Regex | Shape::Word(_) | Shape::Duration => {
            node.text().is_some()
        }
        Shape::Bool => node.bool().is_some(),
        Shape::Int(..) | Shape::Number => node.number().is_some(),
        Shape::List(_) | Shape::Filled(_) => node.list().is_some(),
        Shape::OneOrMany(of) => node.list().is_some() || looks_like(node, of),
        Shape::Map(_) | Shape::Object(_) | Shape::Named(..) => node.map().is_some(),
        Shape::Either(shapes) => shapes.iter().any(|s| looks_like(node, s)),
    }
}

impl Shape {
    /// Names the form for messages and manual pages.
    pub fn form(&self) -> String {
        match self {
            Shape::Text => "text".into(),
            Shape::Template => "text with {{ }}".into(),
            Shape::Expression => "an expression".into(),
            Shape::Word(words) => words.join(" | "),
            Shape::Bool => "true or false".into(),
            Shape::Int(..) => "a whole number".into(),
            Shape::Number => "a number".into(),
            Shape::Duration => "a duration".into(),
            Shape::Regex => "a regular expression".into(),
            Shape::Expectation => "what must hold".into(),
            Shape::Any => "any value".into(),
            Shape::List(of) | Shape::Filled(of) => format!("a list of {}", of.form()),
            Shape::OneOrMany(of) => format!("{}, or a list of such", of.form()),
            Shape::Map(of) => format!("a map to {}", of.form()),
            Shape::Object(object) => object.name.to_owned(),
            Shape::Named(_, object) => object().name.to_owned(),
            Shape::Either(shapes) => shapes.iter().map(|s| s.form()).collect::<Vec<_>>().join(" or "),
        }
    }
}

/// Turns a shape into JSON Schema (2020-12).
pub fn schema(shape: &Shape) -> Value {
    match shape {
        Shape::Text | Shape::Template | Shape::Expression | Shape::Regex => {
            json!({ "type": ["string", "number", "boolean"] })
        }
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Int(low, high) if *high == i64::MAX => json!({ "type": "integer", "minimum": low }),
        Shape::Int(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Duration => json!({
            "anyOf": [
                { "type": "string", "pattern": r"\{\{|^\s*\+?([0-9.]+\s*[a-zµ]+\s*)+$|^\s*0\s*$" },
                { "const": 0 },
            ],
        }),
        Shape::Expectation => json!({ "$ref": "#/$defs/expectation", "not": { "type": "null" } }),
        Shape::Any => json!({}),
        Shape::List(of) => json!({ "type": "array", "items": schema(of) }),
        Shape::Filled(of) => json!({ "type": "array", "items": schema(of), "minItems": 1 }),
        Shape::OneOrMany(of) => {
            let one = schema(of);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Shape::Map(of) => json!({ "type": "object", "additionalProperties": schema(of) }),
        Shape::Object(object) => object_schema(object),
        Shape::Named(name, _) => json!({ "$ref": format!("#/$defs/{name}") }),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(schema).collect::<Vec<_>>() }),
    }
}

/// Turns a map with known keys into JSON Schema.
pub fn object_schema(object: &Object) -> Value {
    let mut properties = Map::new();
    for field in object.fields {
        let mut value = schema(&field.shape);
        if let Value::Object(map) = &mut value {
            map.insert("description".into(), json!(field.doc));
        }
        properties.insert(field.key.into(), value);
    }
    let needed: Vec<_> = object.fields.iter().filter(|f| f.required).map(|f| f.key).collect();
    let mut out = Map::new();
    out.insert("type".into(), json!("object"));
    out.insert("properties".into(), Value::Object(properties));
    if !needed.is_empty() {
        out.insert("required".into(), json!(needed));
    }
    if !object.open {
        out.insert("additionalProperties".into(), json!(false));
    }
    Value::Object(out)
}

/// Tells whether a scalar was quoted or a block: text, whatever it looks like.
pub fn is_quoted(node: &Node) -> bool {
    matches!(&node.data, crate::yaml::Data::Scalar { style: Style::Quoted | Style::Block, .. })
}
