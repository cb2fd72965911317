//! What a checklist says of a scan.

use super::Scan;
use super::detectors::{self, DETECTORS, Of};
use super::search::Search;
use super::tree;
use crate::diag::Diagnostic;
use crate::model::quantity::{Quantity, Unit};
use crate::probe::Compiling;
use crate::shape::{Field, Object, Shape, field};
use crate::yaml::Node;

/// The threshold of random texts, in bits of entropy for each sign. Base64 by chance has 4.6 and more at 32 signs,
/// names and sentences 4.2 and less.
pub(in crate::probe::file) const ENTROPY: f64 = 4.5;
/// The largest file that is read unless another bound is given, in bytes.
const MAX_SIZE: u64 = 4 << 20;

/// The keys that only a scan reads.
const OF_SCANS: &[&str] = &["allow", "exclude", "gitignore", "max_size"];
/// The measures that only a scan takes.
const MEASURES: &[&str] = &["findings", "findings_count", "found", "allowed", "skipped"];

const ONLY: Field = field("only", Shape::Filled(&Shape::Text), "The detectors that look, and no others.");
const WITHOUT: Field = field("without", Shape::Filled(&Shape::Text), "Detectors that do not look.");

const OF_SECRETS: Object = Object {
    name: "a scan for secrets",
    fields: &[
        ONLY,
        WITHOUT,
        field(
            "entropy",
            Shape::Number,
            "Over how many bits of entropy a sign a text is random; 4.5 if it is left out.",
        ),
    ],
    open: false,
};

const OF_PERSONAL: Object = Object {
    name: "a scan for personal data",
    fields: &[
        ONLY,
        WITHOUT,
        field("with", Shape::Filled(&Shape::Text), "Detectors that look only when they are named: `ip-address`."),
    ],
    open: false,
};

/// The keys of a file that make a scan of it, or belong to one.
pub(in crate::probe::file) mod keys {
    use super::{OF_PERSONAL, OF_SECRETS};
    use crate::shape::{Field, Shape, field};

    const FOR_SECRETS: Shape = Shape::Either(&[Shape::Bool, Shape::Object(&OF_SECRETS)]);
    const FOR_PERSONAL: Shape = Shape::Either(&[Shape::Bool, Shape::Object(&OF_PERSONAL)]);

    pub(in crate::probe::file) const SECRETS: Field = field(
        "secrets",
        FOR_SECRETS,
        "Scans the file, or all files of the folder or the glob, for secrets: `true`, or `only`, `without`, `entropy`.",
    );
    pub(in crate::probe::file) const PII: Field =
        field("pii", FOR_PERSONAL, "Scans for personal data in the same pass: `true`, or `only`, `without`, `with`.");
    pub(in crate::probe::file) const ALLOW: Field = field(
        "allow",
        Shape::OneOrMany(&Shape::Regex),
        "Findings of a scan that are known to be none, by a pattern of their text.",
    );
    pub(in crate::probe::file) const EXCLUDE: Field = field(
        "exclude",
        Shape::OneOrMany(&Shape::Text),
        "Files that a scan leaves out, by patterns as in a `.gitignore`: `tests/`, `*.snap`.",
    );
    pub(in crate::probe::file) const GITIGNORE: Field = field(
        "gitignore",
        Shape::Bool,
        "Whether a scan leaves out what `.gitignore` names; it does unless told otherwise.",
    );
    pub(in crate::probe::file) const MAX_SIZE: Field =
        field("max_size", Shape::Text, "The largest file that a scan reads; `4MiB` if it is left out.");
}

/// Reads what a file says of a scan: nothing in the inner option when it is none, in the outer after a mistake.
pub(in crate::probe::file) fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Option<Scan>> {
    let wanted = |key: &str| node.get(key).filter(|value| value.bool() != Some(false));
    let (secrets, personal) = (wanted("secrets"), wanted("pii"));
    if secrets.is_none() && personal.is_none() {
        return refuse_without_scan(compiling, node).then_some(None);
    }
    let names: Vec<_> = [(secrets, Of::Secrets), (personal, Of::Personal)]
        .into_iter()
        .filter_map(|(value, of)| Some((value?, of)))
        .map(|(value, of)| chosen(compiling, value, of))
        .collect();
    let excluded = exclude(compiling, node);
    let allow = patterns(compiling, node);
    let max_size = max_size(compiling, node);
    let threshold = secrets.and_then(|value| value.get("entropy")).map_or(Some(ENTROPY), |at| entropy(compiling, at));
    let names = names.into_iter().collect::<Option<Vec<_>>>()?.concat();
    let fits = refuse_other_measures(compiling, node, &names);
    let (exclude, allow, max_size, threshold) = (excluded?, allow?, max_size?, threshold?);
    if !fits {
        return None;
    }
    match Search::new(&names, threshold, &allow, compiling.ignore) {
        Ok(search) => {
            let gitignore = node.get("gitignore").and_then(Node::bool).unwrap_or(true);
            Some(Some(Scan { search, exclude, gitignore, max_size }))
        }
        Err(error) => {
            compiling.reading.say(Diagnostic::error(
                "bad-regex",
                node.span,
                format!("a pattern is too large: {error}"),
            ));
            None
        }
    }
}

/// Returns the names of the detectors of a kind that look.
fn chosen(compiling: &mut Compiling<'_, '_>, value: &Node, of: Of) -> Option<Vec<&'static str>> {
    let mut list = |key: &str| {
        let items = value.get(key).and_then(Node::list).unwrap_or_default();
        items.iter().map(|item| named(compiling, item, of)).collect::<Vec<_>>()
    };
    let (only, without, with) = (list("only"), list("without"), list("with"));
    let settled = |names: Vec<Option<&'static str>>| names.into_iter().collect::<Option<Vec<_>>>();
    let (only, without, with) = (settled(only)?, settled(without)?, settled(with)?);
    let looks = |d: &&detectors::Detector| match value.get("only") {
        Some(_) => only.contains(&d.name),
        None => d.usual || with.contains(&d.name),
    };
    let all = DETECTORS.iter().filter(|d| d.of == of).filter(looks).map(|d| d.name);
    let names: Vec<_> = all.filter(|name| !without.contains(name)).collect();
    if names.is_empty() {
        compiling.reading.say(Diagnostic::error("bad-value", value.span, "no detector is left that could look"));
        return None;
    }
    Some(names)
}

fn named(compiling: &mut Compiling<'_, '_>, item: &Node, of: Of) -> Option<&'static str> {
    let text = item.text().unwrap_or_default();
    let known = || DETECTORS.iter().filter(|d| d.of == of).map(|d| d.name);
    let found = known().find(|name| *name == text);
    if found.is_none() {
        let message = format!("there is no detector {text:?} here");
        let help = "`holdpoint explain file` lists them";
        compiling.reading.say(Diagnostic::error("bad-value", item.span, message).near(text, known()).help(help));
    }
    found
}

fn exclude(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Vec<String>> {
    let one = |item: &Node| {
        let text = item.text().unwrap_or_default();
        let fault = match text.starts_with('!') || text.trim().is_empty() {
            true => Some("a pattern here says what is left out".to_owned()),
            false => tree::check(text).err(),
        };
        if let Some(fault) = fault {
            compiling.reading.say(Diagnostic::error("bad-glob", item.span, format!("bad pattern: {fault}")));
            return None;
        }
        Some(text.to_owned())
    };
    each(node.get("exclude")).iter().map(one).collect()
}

fn patterns(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Vec<String>> {
    let one = |item: &Node| compiling.reading.regex(item).map(|regex| regex.as_str().to_owned());
    each(node.get("allow")).iter().map(one).collect()
}

fn each(value: Option<&Node>) -> &[Node] {
    value.map_or(&[], |value| value.list().unwrap_or(std::slice::from_ref(value)))
}

fn max_size(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<u64> {
    let Some(at) = node.get("max_size") else { return Some(MAX_SIZE) };
    match Quantity::parse(at.text().unwrap_or_default()) {
        Ok(size) if matches!(size.unit, Unit::Bytes | Unit::One) && (1.0..=1e9).contains(&size.value) => {
            Some(size.value as u64)
        }
        _ => {
            let message = "expected a size from 1B to 1GB, such as 4MiB";
            compiling.reading.say(Diagnostic::error("bad-quantity", at.span, message));
            None
        }
    }
}

fn entropy(compiling: &mut Compiling<'_, '_>, at: &Node) -> Option<f64> {
    let number = at.number().filter(|number| (3.0..6.0).contains(number));
    if number.is_none() {
        let message = "expected bits of entropy a sign, from 3 to 6: less finds every word, and base64 has no more";
        compiling.reading.say(Diagnostic::error("bad-value", at.span, message));
    }
    number
}

/// Refuses what would look as if it did something without a scan. Returns whether there is none of it.
fn refuse_without_scan(compiling: &mut Compiling<'_, '_>, node: &Node) -> bool {
    let help = "add `secrets: true` or `pii: true`";
    let mut fits = true;
    for key in OF_SCANS {
        let Some((place, _)) = node.entry(key) else { continue };
        let message = format!("{key:?} has no effect without a scan");
        compiling.reading.say(Diagnostic::error("unused-key", place.span, message).help(help));
        fits = false;
    }
    if !compiling.ignore.is_empty() {
        let message = "\"ignore\" has no effect on a file that is not scanned";
        compiling.reading.say(Diagnostic::error("unused-key", node.span, message).help(help));
        fits = false;
    }
    for name in MEASURES.iter().filter(|name| compiling.wants.any(name)) {
        let message = format!("{name:?} is measured by a scan");
        compiling.reading.say(Diagnostic::error("expect-unknown-measure", node.span, message).help(help));
        fits = false;
    }
    fits
}

/// Refuses measures that a scan does not take, and detectors that do not look. Returns whether there is none of it.
fn refuse_other_measures(compiling: &mut Compiling<'_, '_>, node: &Node, names: &[&str]) -> bool {
    let taken = |name: &str| MEASURES.contains(&name) || name == "exists" || name == "count";
    let others: Vec<_> = compiling.wants.iter().filter(|name| !taken(name.name())).map(ToString::to_string).collect();
    for name in &others {
        let message = format!("a scan does not measure {name:?}");
        let help = "look at the content in a step of its own: what is found here must not be in the record";
        compiling.reading.say(Diagnostic::error("expect-unknown-measure", node.span, message).help(help));
    }
    let odd: Vec<_> = compiling.wants.keys("found").into_iter().filter(|key| !names.contains(key)).collect();
    for key in &odd {
        let message = format!("no detector {key:?} looks here");
        let near = Diagnostic::error("expect-unknown-measure", node.span, message).near(key, names.iter().copied());
        compiling.reading.say(near.help("`holdpoint explain file` lists the detectors"));
    }
    others.is_empty() && odd.is_empty()
}
