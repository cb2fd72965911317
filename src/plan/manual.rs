//! Manual pages: what `explain` prints of a probe, made from its declarations.

use std::fmt::Write;

use crate::probe::{Keys, ProbeKind};
use crate::shape::{Object, Shape};

/// Returns the manual page of a kind of probe, in Markdown.
pub fn page(kind: &ProbeKind) -> String {
    let mut out = format!("# {}\n\n{}\n\n{}\n", kind.name, kind.summary, kind.manual.trim());
    if let Some(object) = find_object(&kind.shape) {
        out.push_str("\n## Keys\n\n");
        for field in object.fields {
            let needed = if field.required { ", required" } else { "" };
            let _ = writeln!(out, "- `{}` ({}{needed}): {}", field.key, field.shape.form(), field.doc);
        }
    }
    out.push_str("\n## Measures\n\n");
    for (n, measure) in kind.measures.iter().enumerate() {
        let primary = if n == 0 { ", the primary measure" } else { "" };
        let keys = match measure.keys {
            Some(Keys::JsonPath) => ", by JSONPath",
            Some(Keys::Regex) => ", by regular expression",
            Some(Keys::Name) => ", by name",
            None => "",
        };
        let _ = writeln!(out, "- `{}` ({}{keys}{primary}): {}", measure.name, measure.kind.word(), measure.doc);
    }
    out
}

fn find_object(shape: &Shape) -> Option<&'static Object> {
    match shape {
        Shape::Object(object) => Some(object),
        Shape::Either(shapes) => shapes.iter().find_map(find_object),
        _ => None,
    }
}
