//! `notify:` of a checklist: which channels there are, and what each is told of.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::Letter;
use super::message::{Mask, Message, NAMES};
use super::on::On;
use super::post::Effort;
use super::{CHANNELS, find};
use crate::checklist::Checklist;
use crate::checklist::inputs::Inputs;
use crate::checklist::reading::Reading;
use crate::diag::{Diagnostic, Diagnostics, SourceMap, did_you_mean};
use crate::shape::{self, Field, Object, Shape, field};
use crate::sys::env::Env;
use crate::template::{Expression, Scope, TemplateError};
use crate::yaml::Node;

/// The keys that every channel has.
pub const COMMON: &[Field] = &[
    field("on", Shape::OneOrMany(&Shape::Word(&On::WORDS)), "What it is told of; each kind has a sensible default."),
    field("name", Shape::Text, "What it is called in messages and in the record; its kind when not given."),
    field("when", Shape::Expression, "An expression over inputs; when it is false the channel is told nothing."),
    field("timeout", Shape::Duration, "How long one attempt may take; 10s when not given."),
    field(
        "retry",
        Shape::Either(&[Shape::Int(1, 20), Shape::Object(&RETRY)]),
        "How often it is tried in all; 4 when not given.",
    ),
];

const RETRY: Object = Object {
    name: "a retry",
    open: false,
    fields: &[
        field("attempts", Shape::Int(1, 20), "How often to try in all; 4 when not given."),
        field("delay", Shape::Duration, "How long to wait before the second attempt; 1s when not given."),
        field("backoff", Shape::Number, "By what factor the wait grows; 2 when not given."),
    ],
};

/// The channels of a checklist.
#[derive(Default)]
pub struct Channels {
    list: Vec<Open>,
    inputs: Map<String, Value>,
}

/// One of them.
pub struct Open {
    /// What it is called.
    pub name: String,
    /// Its kind.
    pub kind: &'static ChannelKind,
    /// What it is told of.
    pub on: Vec<On>,
    /// How hard it is tried to reach it.
    pub effort: Effort,
    channel: Box<dyn Channel>,
}

impl Open {
    /// Makes what is sent of a message; nothing when the channel has nothing to say of it. `id` is what the other side
    /// calls what it was sent at the start.
    ///
    /// # Errors
    /// Says which template cannot be filled in.
    pub fn letter(
        &self,
        message: &Message,
        channels: &Channels,
        (mask, env): (&Mask, &Env),
        id: Option<&str>,
    ) -> Result<Option<Letter>, TemplateError> {
        let mut roots = Map::new();
        roots.insert("inputs".into(), Value::Object(channels.inputs.clone()));
        roots.insert("run".into(), Value::Object(message.root()));
        let scope = Scope::new(roots);
        self.channel.letter(message, &Pen { scope: &scope, mask, id, env })
    }

    /// Tells whether it is told of this.
    pub fn wants(&self, on: On) -> bool {
        self.on.contains(&on)
    }
}

impl Channels {
    /// Reads `notify:` of a checklist. Every mistake is said.
    pub fn read(checklist: &Checklist, inputs: &Inputs, sources: &SourceMap, diagnostics: &mut Diagnostics) -> Self {
        let known = Scope::new(Map::from_iter([("inputs".to_owned(), Value::Object(inputs.values.clone()))]));
        let mut reading = Reading::new(sources, diagnostics, &known);
        reading.complete = inputs.complete;
        let mut channels = Self { list: Vec::new(), inputs: inputs.values.clone() };
        if !inputs.complete {
            channels.stand_in(checklist);
        }
        let items = checklist.node.get("notify").and_then(Node::list).unwrap_or_default();
        for item in items {
            if let Some(open) = one(item, checklist, &mut reading, &channels.list) {
                channels.list.push(open);
            }
        }
        channels
    }

    /// Puts names in place of inputs without a value, so that a message can be shown before all of them are given.
    fn stand_in(&mut self, checklist: &Checklist) {
        for input in &checklist.inputs {
            let value = self.inputs.entry(input.name.as_str()).or_insert(Value::Null);
            if value.is_null() {
                *value = match input.kind.as_str() {
                    "url" => json!(format!("https://{}.example", input.name)),
                    _ => json!(format!("({})", input.name)),
                };
            }
        }
    }

    /// Adds GitHub's channel where the process runs under GitHub Actions and the checklist does not name it.
    pub fn with_runner(&mut self, env: &Env) {
        let named = self.list.iter().any(|open| open.kind.name == "github");
        if env.get("GITHUB_ACTIONS") == Some("true") && !named {
            let kind = &super::github::KIND;
            let (on, effort) = (kind.on.to_vec(), Effort::default());
            let channel = Box::new(super::github::Github);
            self.list.push(Open { name: kind.name.to_owned(), kind, on, effort, channel });
        }
    }

    /// Leaves only channels that speak of what a process did.
    pub fn only_of_process(&mut self) {
        self.list.retain(|open| open.kind.of_process);
    }

    /// Tells whether nobody is told anything.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Walks over the channels.
    pub fn iter(&self) -> impl Iterator<Item = &Open> {
        self.list.iter()
    }

    /// Returns one by its position.
    pub fn at(&self, position: usize) -> Option<&Open> {
        self.list.get(position)
    }
}

fn one(item: &Node, checklist: &Checklist, reading: &mut Reading<'_>, before: &[Open]) -> Option<Open> {
    let kind = kind_of(item, reading)?;
    let object = keys(kind);
    if !check(item, kind, &object, reading) {
        return None;
    }
    let value = item.get(kind.name)?;
    let start = reading.references.len();
    let when = item.get("when").and_then(|node| reading.expression(node));
    let on = match item.get("on") {
        Some(node) => {
            let words = node.list().unwrap_or(std::slice::from_ref(node));
            words.iter().filter_map(Node::text).filter_map(On::find).collect()
        }
        None => kind.on.to_vec(),
    };
    if on.is_empty() {
        let message = format!("{} is told of nothing", kind.name);
        reading.say(Diagnostic::error("bad-value", item.get("on").map_or(value.span, |node| node.span), message));
    }
    let off = when.as_ref().is_some_and(|when| never(when, reading));
    let effort = effort(item, reading);
    let channel = {
        let mut compiling = Compiling { reading: &mut *reading, node: item, value, inputs: &checklist.inputs };
        (kind.compile)(&mut compiling)
    };
    settle(reading, start, off);
    let name = name(item, kind, before, reading);
    Some(Open { name, kind, on, effort, channel: channel? }).filter(|_| !off)
}

/// Tells whether the inputs say that a condition is false. One that cannot be told yet is not.
fn never(when: &Expression, reading: &Reading<'_>) -> bool {
    when.holds(reading.inputs) == Ok(false)
}

fn kind_of(item: &Node, reading: &mut Reading<'_>) -> Option<&'static ChannelKind> {
    let names = || CHANNELS.iter().map(|kind| kind.name);
    let Some(entries) = item.map() else {
        let message = format!("expected a channel, a map, found {}", item.form());
        let help = "write `- { slack: \"{{ inputs.slack_webhook }}\" }`";
        reading.say(Diagnostic::error("wrong-type", item.span, message).help(help));
        return None;
    };
    let found: Vec<_> = entries.iter().filter_map(|(key, _)| Some((key, find(key.text()?)?))).collect();
    match found.as_slice() {
        [(_, kind)] => Some(kind),
        [] => {
            let common = |name: &str| COMMON.iter().any(|field| field.key == name);
            let unknown = entries.iter().find(|(key, _)| key.text().is_some_and(|name| !common(name)));
            let place = unknown.or(entries.first()).map_or(item.span, |(key, _)| key.span);
            let name = unknown.and_then(|(key, _)| key.text()).unwrap_or_default();
            let message = match name {
                "" => "a channel names its kind".to_owned(),
                name => format!("there is no channel {name:?}"),
            };
            let diagnostic = Diagnostic::error("unknown-channel", place, message).near(name, names());
            let kinds = names().collect::<Vec<_>>().join(", ");
            reading.say(diagnostic.help(format!("the channels are {kinds}; `holdpoint explain notify` tells more")));
            None
        }
        [(_, first), (key, second), ..] => {
            let message = format!("this names two channels, {} and {}", first.name, second.name);
            reading.say(Diagnostic::error("unknown-channel", key.span, message).help("make each an item of its own"));
            None
        }
    }
}

/// Returns every key of a kind: its own, then those of all.
pub(super) fn keys(kind: &ChannelKind) -> Vec<&Field> {
    kind.fields.iter().chain(COMMON).collect()
}

fn check(item: &Node, kind: &'static ChannelKind, keys: &[&Field], reading: &mut Reading<'_>) -> bool {
    let mut good = true;
    for (key, value) in item.map().unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        if name == kind.name {
            good &= shape::check(value, &kind.shape, reading.diagnostics);
            continue;
        }
        match keys.iter().find(|field| field.key == name) {
            Some(field) => good &= shape::check(value, &field.shape, reading.diagnostics),
            None => {
                good = false;
                let names = || keys.iter().map(|field| field.key);
                let message = format!("{} has no key {name:?}", kind.name);
                let diagnostic = Diagnostic::error("unknown-key", key.span, message);
                reading.say(match did_you_mean(name, names()) {
                    Some(_) => diagnostic.near(name, names()),
                    None => diagnostic.help(format!("the keys are {}", names().collect::<Vec<_>>().join(", "))),
                });
            }
        }
    }
    for field in keys.iter().filter(|field| field.required && item.get(field.key).is_none()) {
        good = false;
        let place = item.entry(kind.name).map_or(item.span, |(key, _)| key.span);
        let message = format!("{} needs {:?}: {}", kind.name, field.key, field.doc.trim_end_matches('.'));
        reading.say(Diagnostic::error("missing-key", place, message));
    }
    good
}

fn effort(item: &Node, reading: &mut Reading<'_>) -> Effort {
    let usual = Effort::default();
    let attempts = |node: &Node| node.number().map(|n| n as u32);
    let timeout = reading.duration_at(item, "timeout").filter(|time| !time.is_zero()).unwrap_or(usual.timeout);
    let Some(node) = item.get("retry") else { return Effort { timeout, ..usual } };
    let backoff = node.get("backoff").and_then(|n| Some((n.number()?, n.span)));
    if let Some((_, span)) = backoff.filter(|(backoff, _)| !(1.0..=100.0).contains(backoff)) {
        reading.say(Diagnostic::error("bad-value", span, "the backoff is not a number from 1 to 100"));
    }
    Effort {
        attempts: attempts(node.get("attempts").unwrap_or(node)).unwrap_or(usual.attempts),
        delay: reading.duration_at(node, "delay").unwrap_or(usual.delay),
        backoff: backoff.map_or(usual.backoff, |(backoff, _)| backoff),
        timeout: timeout.min(Duration::from_secs(300)),
    }
}

/// Says which variables there are none of. Whether inputs are declared is said with those of the whole checklist.
fn settle(reading: &mut Reading<'_>, start: usize, off: bool) {
    let used = reading.references.split_off(start);
    for (reference, span) in used {
        match (reference.root.as_str(), &reference.name) {
            ("inputs", Some(name)) => {
                let missing = reading.inputs.knows(&reference) && !reading.inputs.gives(&reference);
                if missing && reading.complete && !off {
                    let message = format!("input {name:?} has no value, and a channel needs it");
                    let help = format!("give it one, or guard the channel: `when: inputs.{name}`");
                    reading.say(Diagnostic::error("missing-input", span, message).help(help));
                }
            }
            ("run", Some(name)) if NAMES.iter().any(|(known, _)| known == name) => {}
            ("run", Some(name)) => {
                let message = format!("a run has no {name:?} that a message may use");
                let names = NAMES.iter().map(|(known, _)| *known);
                let help = "`holdpoint explain notify` lists what there is";
                reading.say(Diagnostic::error("undefined-variable", span, message).near(name, names).help(help));
            }
            // That it is used as a whole is said with the inputs of the whole checklist.
            ("inputs" | "run", None) => {}
            (root, _) => {
                let message = format!("{root:?} is not defined");
                let help = "messages may use inputs.NAME and run.NAME";
                let diagnostic = Diagnostic::error("undefined-variable", span, message).near(root, ["inputs", "run"]);
                reading.say(diagnostic.help(help));
            }
        }
    }
}

/// Names a channel; of several without a name, the second is `slack-2`.
fn name(item: &Node, kind: &ChannelKind, before: &[Open], reading: &mut Reading<'_>) -> String {
    if let Some(node) = item.get("name")
        && let Some(name) = node.text()
    {
        if before.iter().any(|open| open.name == name) {
            let message = format!("two channels are called {name:?}");
            reading.say(Diagnostic::error("duplicate-id", node.span, message));
        }
        return name.to_owned();
    }
    let taken = |name: &str| before.iter().any(|open| open.name == name);
    let numbered = (2..).map(|n| format!("{}-{n}", kind.name));
    std::iter::once(kind.name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

/// Returns the JSON Schema of `notify`.
pub fn schema() -> Value {
    let one = |kind: &&ChannelKind| {
        let mut properties = Map::new();
        let mut add = |name: &str, shape: &Shape, doc: &str| {
            let mut value = shape::schema(shape);
            if let Value::Object(map) = &mut value {
                map.insert("description".into(), json!(doc));
            }
            properties.insert(name.to_owned(), value);
        };
        add(kind.name, &kind.shape, kind.doc);
        keys(kind).into_iter().for_each(|field| add(field.key, &field.shape, field.doc));
        let needed: Vec<_> =
            std::iter::once(kind.name).chain(keys(kind).iter().filter(|f| f.required).map(|f| f.key)).collect();
        json!({ "type": "object", "properties": properties, "required": needed, "additionalProperties": false })
    };
    json!({
        "description": "Who is told of the run.",
        "type": "array",
        "items": { "oneOf": CHANNELS.iter().map(one).collect::<Vec<_>>() },
    })
}
