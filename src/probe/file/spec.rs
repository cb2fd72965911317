//! What a checklist says of a file.

use super::look::{FileProbe, Spec};
use super::scan::spec::{self as scanning, keys};
use crate::diag::Diagnostic;
use crate::probe::json::Paths;
use crate::probe::{Compiling, Probe, parsed, paths};
use crate::shape::{Object, Shape, field};
use crate::template::{Place, Template};
use crate::yaml::Node;

/// The form of a file.
pub(super) const SHAPE: Shape = Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]);

static OBJECT: Object = Object {
    name: "a file",
    fields: &[
        field("path", Shape::Template, "The file or a glob; of a scan, a folder too."),
        field(
            "parse",
            Shape::Word(parsed::FORMATS),
            "How the content is read for `json` and the measures of its kind; by the name if it is left out.",
        ),
        field("format", Shape::Word(parsed::FORMATS), "Another word for `parse`."),
        keys::SECRETS,
        keys::PII,
        keys::ALLOW,
        keys::EXCLUDE,
        keys::GITIGNORE,
        keys::MAX_SIZE,
    ],
    open: false,
};

/// The measures that need the content.
const OF_CONTENT: &[&str] = &["text", "json", "unpinned", "keys", "duplicates", "unset"];

/// Turns what was written into a probe.
pub(super) fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let path = path(compiling, node);
    let scan = scanning::compile(compiling, node);
    let format = format(compiling, node);
    let json = Paths::of(compiling.wants);
    if let Some(message) = json.fault() {
        compiling.reading.say(Diagnostic::error("bad-jsonpath", node.span, message));
        return None;
    }
    Some(Box::new(FileProbe(Spec {
        path: path?,
        format: format?,
        json,
        content: OF_CONTENT.iter().any(|name| compiling.wants.any(name)),
        digest: compiling.wants.any("sha256"),
        scan: scan?,
    })))
}

fn path(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Template> {
    let written = match node.map() {
        Some(_) => node.get("path"),
        None => Some(node),
    };
    let Some(written) = written else {
        compiling.reading.say(Diagnostic::error("missing-key", node.span, "a file needs a path"));
        return None;
    };
    let path = compiling.reading.template(written, Place::Plain)?;
    let fault = match path.source().trim() {
        "" => Some("the path is empty".to_owned()),
        text if path.is_literal() && paths::is_glob(text) => {
            paths::check(text).err().map(|error| format!("bad glob: {error}"))
        }
        _ => None,
    };
    if let Some(message) = fault {
        compiling.reading.say(Diagnostic::error("bad-glob", written.span, message));
        return None;
    }
    Some(path)
}

/// Returns the format that is named, if one is; nothing at all after a mistake.
fn format(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Option<String>> {
    if let (Some(_), Some((place, _))) = (node.get("parse"), node.entry("format")) {
        let message = "\"format\" and \"parse\" say the same thing; leave one out";
        compiling.reading.say(Diagnostic::error("unused-key", place.span, message));
        return None;
    }
    let named = node.get("parse").or_else(|| node.get("format"));
    Some(named.and_then(Node::text).map(str::to_owned))
}
