//! How `scrape` and `recorded` are written in `sources:`.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::recorded::{Recorded, What};
use super::scrape::Scrape;
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::quantity::{Quantity, Unit};
use crate::promql::storage::Honor;
use crate::shape::{self, Field, Object, Shape, field};
use crate::source::declared::{KIND, TIMEOUT};
use crate::source::reach::{BASIC, BEARER, HEADERS, Reach, TLS};
use crate::template::{Place, Template};
use crate::yaml::Node;

/// The most series that are kept, unless said otherwise.
const MAX_SERIES: usize = 200_000;
/// The largest page, in bytes, unless said otherwise.
const MAX_BODY: usize = 64 << 20;
/// The largest page that may be allowed, in bytes.
const MOST_BODY: f64 = 268_435_456.0;

pub(in crate::source) const URLS: Field =
    field("urls", Shape::Filled(&Shape::Template), "Several pages to scrape, instead of `url`.");
pub(in crate::source) const EVERY: Field = field("every", Shape::Duration, "How often pages are scraped. 5s.");
pub(in crate::source) const KEEP: Field = field("keep", Shape::Duration, "How long samples are kept. 15m.");
pub(in crate::source) const JOB: Field =
    field("job", Shape::Template, "The label `job` of all series; the name of the source when left out.");
pub(in crate::source) const LABELS: Field =
    field("labels", Shape::Map(&Shape::Template), "Further labels of all series.");
pub(in crate::source) const HONOR: Field = field(
    "honor_labels",
    Shape::Bool,
    "Whether a label on the page stays when the source has it too; else it gets the prefix exported_.",
);
pub(in crate::source) const SERIES: Field =
    field("max_series", Shape::Int(1, 10_000_000), "The most series; a page that makes more is not taken. 200000.");
pub(in crate::source) const BODY: Field =
    field("max_body", Shape::Text, "The largest page: `10MiB`. 64MiB, at most 256MiB.");
pub(in crate::source) const FILE: Field =
    field("file", Shape::Template, "A file with samples and their times, in the text format or OpenMetrics.");
pub(in crate::source) const FOLDER: Field =
    field("folder", Shape::Template, "A folder with a page a scrape, each named after its time.");
pub(in crate::source) const AT: Field =
    field("at", Shape::Template, "The moment that is now, RFC 3339 or seconds since 1970; the newest sample's time.");

const URL: Field = field("url", Shape::Template, "The page to scrape: `http://service:8080/metrics`.");

const SCRAPE: Object = Object {
    name: "a scrape source",
    fields: &[KIND, URL, URLS, EVERY, KEEP, JOB, LABELS, HONOR, SERIES, BODY, HEADERS, BEARER, BASIC, TLS, TIMEOUT],
    open: false,
};

const RECORDED: Object = Object {
    name: "a recorded source",
    fields: &[KIND, FILE, FOLDER, AT, JOB, LABELS, HONOR, SERIES, BODY],
    open: false,
};

/// Reads a `scrape` source. Every mistake is said.
pub(in crate::source) fn scrape(reading: &mut Reading<'_>, key: &Node, node: &Node) -> Option<Scrape> {
    let name = key.text()?;
    let urls: Vec<&Node> = match node.map() {
        None => vec![node],
        Some(_) => {
            if !shape::check(node, &Shape::Object(&SCRAPE), reading.diagnostics) {
                return None;
            }
            one_of(reading, key, node, "url", "urls", "a scrape source needs \"url\": the page to scrape")?;
            let several = node.get("urls").and_then(Node::list).unwrap_or_default();
            node.get("url").into_iter().chain(several).collect()
        }
    };
    if urls.is_empty() {
        reading.say(Diagnostic::error("missing-key", key.span, "the list of urls is empty"));
        return None;
    }
    let mut targets = Vec::new();
    for url in urls {
        let target = Reach::read(reading, url, node)?;
        known_before(reading, url, &target.url);
        targets.push(target);
    }
    let every = reading.duration_at(node, "every").unwrap_or(Duration::from_secs(5));
    let keep = reading.duration_at(node, "keep").unwrap_or(Duration::from_secs(900).max(every * 4));
    rhythm(reading, node, every, keep)?;
    let (job, labels) = labels(reading, node)?;
    Some(Scrape {
        name: name.to_owned(),
        targets,
        every,
        keep,
        job,
        labels,
        honor: honor(node).unwrap_or(Honor::Target),
        max_series: max_series(node),
        max_body: max_body(reading, node)?,
        running: Mutex::new(None),
    })
}

/// Reads a `recorded` source. Every mistake is said.
pub(in crate::source) fn recorded(reading: &mut Reading<'_>, key: &Node, node: &Node) -> Option<Recorded> {
    let name = key.text()?;
    if node.map().is_some() && !shape::check(node, &Shape::Object(&RECORDED), reading.diagnostics) {
        return None;
    }
    let what = match node.map() {
        None => What::File(path(reading, node)?),
        Some(_) => {
            let needs = "a recorded source needs \"file\" or \"folder\": what holds the record";
            let (which, value) = one_of(reading, key, node, "file", "folder", needs)?;
            let path = path(reading, value)?;
            if which == "file" { What::File(path) } else { What::Folder(path) }
        }
    };
    let at = match node.get("at") {
        None => None,
        Some(at) => {
            let template = reading.template(at, Place::Plain)?;
            known_before(reading, at, &template);
            Some(template)
        }
    };
    let (job, labels) = labels(reading, node)?;
    Some(Recorded {
        name: name.to_owned(),
        what,
        at,
        job,
        labels,
        honor: honor(node),
        max_series: max_series(node),
        max_body: max_body(reading, node)?,
        read: OnceCell::new(),
    })
}

fn path(reading: &mut Reading<'_>, node: &Node) -> Option<Template> {
    let template = reading.template(node, Place::Plain)?;
    known_before(reading, node, &template);
    if template.source().trim().is_empty() {
        reading.say(Diagnostic::error("bad-value", node.span, "the path is empty"));
        return None;
    }
    Some(template)
}

/// Takes whichever of two keys is given; none and both are mistakes.
fn one_of<'n>(
    reading: &mut Reading<'_>,
    key: &Node,
    node: &'n Node,
    a: &'static str,
    b: &'static str,
    needs: &str,
) -> Option<(&'static str, &'n Node)> {
    match (node.get(a), node.entry(b)) {
        (Some(value), None) => Some((a, value)),
        (None, Some((_, value))) => Some((b, value)),
        (None, None) => {
            reading.say(Diagnostic::error("missing-key", key.span, needs));
            None
        }
        (Some(_), Some((second, _))) => {
            let message = format!("a source takes either {a} or {b}, not both");
            reading.say(Diagnostic::error("bad-value", second.span, message));
            None
        }
    }
}

/// Sources begin with the run, when nothing is captured yet.
fn known_before(reading: &mut Reading<'_>, node: &Node, template: &Template) {
    if template.references().iter().any(|reference| reference.root != "inputs") {
        let message = "this must be known before the run: only inputs may be used here";
        reading.say(Diagnostic::error("bad-template", node.span, message));
    }
}

fn rhythm(reading: &mut Reading<'_>, node: &Node, every: Duration, keep: Duration) -> Option<()> {
    let place = |key: &str| node.get(key).unwrap_or(node).span;
    if every < Duration::from_millis(100) {
        let message = "every is at least 100ms";
        reading.say(Diagnostic::error("bad-value", place("every"), message));
        return None;
    }
    if keep < every * 2 {
        let message = "keep must hold two scrapes at least, or nothing can be said of a change";
        reading.say(Diagnostic::error("bad-value", place("keep"), message));
        return None;
    }
    Some(())
}

type Labelled = (Option<Template>, Vec<(String, Template)>);

fn labels(reading: &mut Reading<'_>, node: &Node) -> Option<Labelled> {
    let job = match node.get("job") {
        None => None,
        Some(job) => {
            let template = reading.template(job, Place::Plain)?;
            known_before(reading, job, &template);
            Some(template)
        }
    };
    let mut labels = Vec::new();
    for (key, value) in node.get("labels").and_then(Node::map).unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        if name.is_empty() || name.starts_with("__") {
            let message = format!("{name:?} is no name of a label; those that begin with __ are reserved");
            reading.say(Diagnostic::error("bad-value", key.span, message));
            return None;
        }
        let template = reading.template(value, Place::Plain)?;
        known_before(reading, value, &template);
        labels.push((name.to_owned(), template));
    }
    Some((job, labels))
}

fn honor(node: &Node) -> Option<Honor> {
    let honor = node.get("honor_labels").and_then(Node::bool)?;
    Some(if honor { Honor::Page } else { Honor::Target })
}

fn max_series(node: &Node) -> usize {
    node.get("max_series").and_then(Node::number).map_or(MAX_SERIES, |n| n as usize)
}

fn max_body(reading: &mut Reading<'_>, node: &Node) -> Option<usize> {
    let Some(written) = node.get("max_body") else { return Some(MAX_BODY) };
    let problem = match Quantity::parse(written.text()?) {
        Ok(size) if !matches!(size.unit, Unit::Bytes | Unit::One) => "this is not a size".to_owned(),
        Ok(size) if (1.0..=MOST_BODY).contains(&size.value) => return Some(size.value as usize),
        Ok(_) => "max_body is between 1B and 256MiB".to_owned(),
        Err(error) => error.to_string(),
    };
    reading.say(Diagnostic::error("bad-quantity", written.span, problem).help("write a size such as 64KiB or 10MiB"));
    None
}
