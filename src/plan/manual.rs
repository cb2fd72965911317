//! Manual pages: what `explain` prints of a probe, made from its declarations.

use std::fmt::Write;

use crate::checklist::inputs::InputDeclaration;
use crate::checklist::uses::Template;
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

/// Returns the manual page of a step template of the library, in Markdown.
pub fn template(template: &Template) -> String {
    let mut out = format!("# {}\n", template.name);
    if let Some(help) = &template.help {
        let _ = writeln!(out, "\n{}", help.trim());
    }
    if let Some(example) = &template.example {
        let _ = writeln!(out, "\n```yaml\n{}\n```", example.trim_end());
    }
    out.push_str("\n## Parameters\n\n");
    for param in &template.params {
        let _ = writeln!(out, "- `{}` ({}): {}", param.name, form(param), param.help.as_deref().unwrap_or_default());
    }
    if template.params.is_empty() {
        out.push_str("It takes none.\n");
    }
    if let Some(steps) = template.steps() {
        out.push_str("\n## Steps\n\n");
        for step in steps {
            let text = |key: &str| step.get(key).and_then(crate::yaml::Node::text).unwrap_or_default();
            let _ = writeln!(out, "- `{}`: {}", text("id"), text("name"));
        }
    }
    out.push_str("\nAny key of a step may stand beside `uses` and takes the place of the template's own.\n");
    out
}

/// Says what a parameter takes.
fn form(param: &InputDeclaration) -> String {
    let mut words = vec![param.kind.clone()];
    match &param.default {
        Some(default) => words.push(format!("default {}", default.json())),
        None if param.optional => words.push("optional".to_owned()),
        None => words.push("required".to_owned()),
    }
    words.extend(param.one_of.iter().map(|words| format!("one of {}", words.join(", "))));
    words.extend(param.pattern.iter().map(|pattern| format!("matches `{pattern}`")));
    words.join(", ")
}

fn find_object(shape: &Shape) -> Option<&'static Object> {
    match shape {
        Shape::Object(object) => Some(object),
        Shape::Either(shapes) => shapes.iter().find_map(find_object),
        _ => None,
    }
}
