//! What a checklist says about a log, checked.

use std::sync::Arc;
use std::time::Duration;

use serde_json_path::JsonPath;

use super::look::LogProbe;
use super::origin::{ORIGINS, Origin, loki};
use super::patterns::Patterns;
use super::scan::Sought;
use super::select::{At, Field, Is};
use super::stamp::Form;
use crate::checklist::reading::is_deep_path;
use crate::diag::Diagnostic;
use crate::model::quantity::{Quantity, Unit};
use crate::probe::{Compiling, Probe, paths};
use crate::shape::{Field as Key, Object, Shape, field};
use crate::template::{Place, Template};
use crate::yaml::Node;

/// The form of the value under `log`.
pub(super) const SHAPE: Shape = Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]);

static OBJECT: Object = Object { name: "a log", fields: &FIELDS, open: false };

/// Where the lines may come from, apart from the origins.
const PLACES: &[Key] = &[
    field(
        "path",
        Shape::OneOrMany(&Shape::Template),
        "A file, a folder (its files, not those of its folders) or a glob. Packed files (gzip, zstd) and UTF-16 are recognised by their first bytes.",
    ),
    field(
        "exec",
        Shape::Either(&[Shape::Template, Shape::List(&Shape::Template)]),
        "A command whose standard output is the log: a shell line, or a list of arguments.",
    ),
    field("http", Shape::Template, "A URL whose body is the log."),
];

/// Which of the lines are looked at, and how.
const RULES: &[Key] = &[
    field(
        "since",
        Shape::Text,
        "Only lines younger than this by the time that they carry: a duration, or `run_start`.",
    ),
    field("tail", Shape::Int(1, 1_000_000), "Only the last lines of each file or stream, this many of them."),
    field("format", Shape::Word(&["text", "json"]), "Whether each line is JSON; `where` needs it and implies it."),
    field(
        "where",
        Shape::Map(&Shape::Any),
        "Only JSON lines whose fields are so: field or JSONPath to a value, or to `{ matches: REGEX }`.",
    ),
    field(
        "timestamp",
        Shape::Text,
        "The form of the lines' times: a pattern of strftime, or a regular expression whose first group holds the time.",
    ),
    field(
        "max_bytes",
        Shape::Text,
        "The most that is read of each file or stream; the rest is left out, and that is said.",
    ),
];

/// All keys of a log: where its lines come from, the origins among it, and which are looked at.
static FIELDS: [Key; PLACES.len() + ORIGINS.len() + RULES.len()] = {
    let mut all = [const { field("", Shape::Any, "") }; PLACES.len() + ORIGINS.len() + RULES.len()];
    let mut at = 0;
    while at < all.len() {
        let key = match at {
            _ if at < PLACES.len() => &PLACES[at],
            _ if at < PLACES.len() + ORIGINS.len() => &ORIGINS[at - PLACES.len()].field,
            _ => &RULES[at - PLACES.len() - ORIGINS.len()],
        };
        all[at] = field(key.key, key.shape, key.doc);
        at += 1;
    }
    all
};

/// The manual page: the log's own, and behind it those of the origins.
pub(super) const MANUAL: &str = match std::str::from_utf8(&PAGES) {
    Ok(text) => text,
    Err(_) => panic!("texts joined are a text"),
};

/// How long they are together, an empty line before each of the origins'.
const LENGTH: usize = {
    let (mut length, mut at) = (OWN_MANUAL.len(), 0);
    while at < ORIGINS.len() {
        length += ORIGINS[at].manual.len() + 1;
        at += 1;
    }
    length
};

const PAGES: [u8; LENGTH] = {
    let (mut out, mut end, mut page) = ([b'\n'; LENGTH], 0, 0);
    while page <= ORIGINS.len() {
        let text = if page == 0 { OWN_MANUAL } else { ORIGINS[page - 1].manual }.as_bytes();
        end += if page == 0 { 0 } else { 1 };
        let mut at = 0;
        while at < text.len() {
            out[end + at] = text[at];
            at += 1;
        }
        end += text.len();
        page += 1;
    }
    out
};

/// The manual page of logs as such.
const OWN_MANUAL: &str = "\
Counts the lines of a log that match regular expressions. Looks at files, folders and globs, at the output of a \
command, at a URL, or at what is kept elsewhere (see below), and opens them anew at every look.

```yaml
- name: No errors in the log
  log: /var/log/app/*.log
  expect: { matches: { '(?i)error': 0 } }
  ignore: ['context canceled']

- name: No request of the last ten minutes failed
  log: { path: /var/log/app.json, since: 10m, where: { level: error, $.http.status: { matches: '^5' } } }
  expect: { matches: { '.*': 0 } }

- name: Tokens are counted
  log: { exec: [kubectl, logs, deployment/app], tail: 50 }
  expect: { matches: { 'Token usage: input=\\d+': '>= 1' } }
```

A line counts once for each pattern that matches in it, as `LC_ALL=C grep -a -c` counts: by bytes, whatever they are; a \
carriage return belongs to its line. A pattern that names characters outside ASCII, or classes such as `\\p{L}`, is \
matched by Unicode characters instead. A pattern never reaches over the end of a line. Lines that a pattern of \
`ignore` matches do not count. A line longer than 4 MiB is searched in pieces that overlap by 64 KiB: a match longer \
than that may be missed in it, and it is never taken as JSON.

An empty file has no matching line: 0 is measured. A file that is not there, cannot be read, is no regular file, or \
was cut while it was read is an *error*: nothing is known. So is a glob or a folder without files, a command that \
ends with another status than 0, and a URL that does not answer with success. A file that is replaced or removed \
while it is read is read as it was; what is added meanwhile belongs to the next look.

A command runs as that of `exec` does: with `PATH`, `HOME`, `LANG`, `TZ`, `USER` and `TMPDIR` as its whole \
environment, and its process group ends with it. What needs more of the environment sets it in the line: \
`KUBECONFIG=/etc/kube kubectl logs …`.

For `since`, times are recognised as ISO 8601 and RFC 3339, as syslog's, as nginx's and Apache's, as seconds or \
milliseconds since 1970 at the beginning of a line, and in the fields time, ts, timestamp, @timestamp and date of \
JSON lines. A line without a time belongs to the line before it. A file in which no line has a time gives no data, \
never a pass. So does `where` on a log without one line of JSON, `tail` when the last lines have more than 8 MiB, and \
`lines` or `captures` when there are more of them than are kept. A time without a zone is one of this machine's time zone.
";

/// A log as the checklist names it.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) source: Source,
    pub(super) since: Option<Since>,
    pub(super) tail: Option<u64>,
    pub(super) json: bool,
    pub(super) fields: Vec<Field>,
    pub(super) form: Form,
    pub(super) max_bytes: Option<u64>,
    /// The patterns that measures use, in the order of `sought.patterns`.
    pub(super) keys: Vec<String>,
    pub(super) sought: Sought,
    pub(super) wants_rate: bool,
    pub(super) wants_json: bool,
}

/// Where the lines come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Paths(Vec<Template>),
    Shell(Template),
    Command(Vec<Template>),
    Url(Template),
    Origin(Arc<dyn Origin>),
}

/// From when on lines are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Since {
    Ago(Duration),
    RunStart,
}

/// Turns what was written into a probe.
pub(super) fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    if loki::value::OF_VALUE.iter().any(|name| compiling.wants.any(name)) {
        return loki::value::compile(compiling, node);
    }
    // Everything is read before anything is given up, so that every mistake is said.
    let source = source(compiling, node);
    let since = optional(node.get("since"), |n| since(compiling, n));
    let fields = fields(compiling, node);
    let form = optional(node.get("timestamp"), |n| form(compiling, n));
    let max_bytes = optional(node.get("max_bytes"), |n| size(compiling, n));
    let keys = keys(compiling);
    let ignore = compiling.ignore.to_vec();
    let valid = [&keys, &ignore].map(|patterns| check_patterns(compiling, node, patterns));
    let (source, since, fields) = (source?, since?, fields?);
    if valid.contains(&false) {
        return None;
    }
    let sought = Sought {
        patterns: keys.clone(),
        ignore,
        count_lines: compiling.wants.any("scanned_lines"),
        lines: compiling.wants.any("lines"),
        captures: compiling.wants.any("captures"),
    };
    let json = !fields.is_empty() || node.get("format").and_then(Node::text) == Some("json");
    Some(Box::new(LogProbe(Spec {
        source,
        since,
        tail: node.get("tail").and_then(Node::number).map(|n| n as u64),
        json,
        fields,
        form: form?.unwrap_or(Form::Usual),
        max_bytes: max_bytes?,
        keys,
        sought,
        wants_rate: compiling.wants.any("rate"),
        wants_json: compiling.wants.any("valid_json"),
    })))
}

/// Reads a key that may be missing: nothing at all when a mistake was said.
fn optional<T>(node: Option<&Node>, read: impl FnOnce(&Node) -> Option<T>) -> Option<Option<T>> {
    node.map_or(Some(None), |node| read(node).map(Some))
}

/// Lists the patterns that any measure uses, each once.
fn keys(compiling: &Compiling<'_, '_>) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for measure in ["matches", "lines", "captures", "rate"] {
        for key in compiling.wants.keys(measure) {
            if !keys.iter().any(|k| k == key) {
                keys.push(key.to_owned());
            }
        }
    }
    keys
}

fn check_patterns(compiling: &mut Compiling<'_, '_>, node: &Node, patterns: &[String]) -> bool {
    let checked = Patterns::check(patterns);
    if let Err(error) = &checked {
        compiling.reading.say(Diagnostic::error("bad-regex", node.span, error.to_string()));
    }
    checked.is_ok()
}

fn source(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Source> {
    if node.map().is_none() {
        return Some(Source::Paths(vec![path(compiling, node)?]));
    }
    let named: Vec<_> = places().filter_map(|key| node.entry(key)).collect();
    match named.as_slice() {
        [(key, value)] if let Some(kind) = ORIGINS.iter().find(|kind| Some(kind.field.key) == key.text()) => {
            Some(Source::Origin((kind.compile)(compiling, value)?.into()))
        }
        [(key, value)] => match (key.text(), value.list()) {
            (Some("exec"), Some([])) | (Some("path"), Some([])) => {
                compiling.reading.say(Diagnostic::error("bad-value", value.span, "the list is empty"));
                None
            }
            (Some("exec"), Some(argv)) => {
                Some(Source::Command(all(argv, |n| compiling.reading.template(n, Place::Plain))?))
            }
            (Some("exec"), None) => Some(Source::Shell(compiling.reading.template(value, Place::Shell)?)),
            (Some("http"), _) => Some(Source::Url(compiling.reading.template(value, Place::Url)?)),
            (_, Some(list)) => Some(Source::Paths(all(list, |n| path(compiling, n))?)),
            (_, None) => Some(Source::Paths(vec![path(compiling, value)?])),
        },
        [] => {
            let message = format!("a log needs {}: where the lines come from", either());
            compiling.reading.say(Diagnostic::error("missing-key", node.span, message));
            None
        }
        [(first, _), (second, _), ..] => {
            let message = format!("a log has one source: {}", either());
            let diagnostic = Diagnostic::error("bad-value", second.span, message).also(first.span, "the first one");
            compiling.reading.say(diagnostic);
            None
        }
    }
}

/// Lists the keys that say where the lines come from.
fn places() -> impl Iterator<Item = &'static str> {
    PLACES.iter().chain(ORIGINS.iter().map(|kind| &kind.field)).map(|field| field.key)
}

/// Writes them into a sentence: `path, exec or http`.
fn either() -> String {
    let mut all: Vec<_> = places().collect();
    let last = all.pop().unwrap_or_default();
    format!("{} or {last}", all.join(", "))
}

/// Reads each member; nothing when a mistake was said of any.
fn all<T>(nodes: &[Node], read: impl FnMut(&Node) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<_> = nodes.iter().map(read).collect();
    read.into_iter().collect()
}

fn path(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Template> {
    let template = compiling.reading.template(node, Place::Plain)?;
    let text = template.source();
    let fault = match text.trim() {
        "" => Some("the path is empty".to_owned()),
        _ if template.is_literal() && paths::is_glob(text) => {
            paths::check(text).err().map(|error| format!("bad glob: {error}"))
        }
        _ => None,
    };
    if let Some(message) = fault {
        compiling.reading.say(Diagnostic::error("bad-glob", node.span, message));
        return None;
    }
    Some(template)
}

fn since(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Since> {
    match node.text() {
        Some("run_start") => Some(Since::RunStart),
        _ => compiling.reading.duration(node).map(Since::Ago),
    }
}

fn size(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<u64> {
    let text = compiling.reading.known_text(node)?;
    match Quantity::parse(&text) {
        Ok(q) if matches!(q.unit, Unit::One | Unit::Bytes) && q.value >= 1.0 => Some(q.value as u64),
        _ => {
            let message = format!("{text:?} is not a size");
            compiling.reading.say(Diagnostic::error("bad-quantity", node.span, message).help("write 64MiB or 1GB"));
            None
        }
    }
}

fn form(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Form> {
    let text = node.text()?;
    if !text.contains('%') {
        compiling.reading.regex(node)?;
        return regex::bytes::Regex::new(text).ok().map(Form::Within);
    }
    let bad = chrono::format::StrftimeItems::new(text).any(|item| matches!(item, chrono::format::Item::Error));
    if bad {
        let message = format!("{text:?} is not a pattern of strftime");
        compiling.reading.say(Diagnostic::error("bad-value", node.span, message).help("for example %Y-%m-%d %H:%M:%S"));
        return None;
    }
    Some(Form::Strftime(text.to_owned()))
}

fn fields(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Vec<Field>> {
    let Some(asked) = node.get("where") else { return Some(Vec::new()) };
    if let Some(format) = node.get("format").filter(|f| f.text() == Some("text")) {
        let message = "where looks at fields, and text has none";
        compiling.reading.say(Diagnostic::error("bad-value", format.span, message).help("write format: json"));
    }
    let fields: Vec<_> = asked.map()?.iter().map(|(key, value)| one_field(compiling, key, value)).collect();
    fields.into_iter().collect()
}

fn one_field(compiling: &mut Compiling<'_, '_>, key: &Node, value: &Node) -> Option<Field> {
    let name = key.text()?;
    let at = match name.starts_with('$') {
        false => At::Key(name.to_owned()),
        true if is_deep_path(name) => {
            let message = "the path is nested too deeply";
            compiling.reading.say(Diagnostic::error("bad-jsonpath", key.span, message));
            return None;
        }
        true => match JsonPath::parse(name) {
            Ok(path) => At::Path(path),
            Err(error) => {
                compiling.reading.say(Diagnostic::error("bad-jsonpath", key.span, error.to_string()));
                return None;
            }
        },
    };
    let is = match value.map() {
        None if value.list().is_none() => Is::Equal(value.json()),
        Some([(word, regex)]) if word.text() == Some("matches") => Is::Matching(compiling.reading.regex(regex)?),
        _ => {
            let message = "a field is compared with one value, or with { matches: REGEX }";
            compiling.reading.say(Diagnostic::error("bad-value", value.span, message));
            return None;
        }
    };
    Some(Field { at, is })
}
