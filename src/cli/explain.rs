//! `explain` and `schema`: the manual, from the same declarations that parsing uses.

use crate::checklist::uses::library;
use crate::diag::{codes, did_you_mean};
use crate::notify;
use crate::plan::{manual, schema as plan_schema};
use crate::{policy, probe, shape};

use super::args::{ExplainArgs, SchemaOf};
use super::{Result, stdio};

/// The name of the page of the policy file.
const POLICY: &str = "policy";

pub(super) fn main(args: &ExplainArgs) -> Result<u8> {
    let Some(name) = &args.name else {
        stdio::print(&list());
        return Ok(0);
    };
    let (probe, channel) = (probe::find(name), notify::find(name));
    if probe.is_some() || channel.is_some() {
        // A back end that is asked and told has two pages.
        let pages = [probe.map(manual::page), channel.map(notify::manual::page)];
        stdio::print(&pages.into_iter().flatten().collect::<Vec<_>>().join("\n"));
        return Ok(0);
    }
    if name == "notify" {
        stdio::print(&notify::manual::overview());
        return Ok(0);
    }
    if name == POLICY {
        stdio::print(&policy_page());
        return Ok(0);
    }
    if let Some(code) = codes::find(name) {
        stdio::print(&format!("# {}\n\n{}\n\n{}\n", code.code, sentence(code.title), code.page));
        return Ok(0);
    }
    let templates = library::all();
    if let Some(template) = templates.iter().find(|template| template.name == *name) {
        stdio::print(&manual::template(template));
        return Ok(0);
    }
    let kinds = probe::KINDS.iter().map(|k| k.name).chain(notify::CHANNELS.iter().map(|k| k.name));
    let names = kinds.chain([POLICY]).chain(codes::CODES.iter().map(|c| c.code));
    match did_you_mean(name, names.chain(templates.iter().map(|template| template.name.as_str()))) {
        Some(near) => anyhow::bail!("nothing is known of {name:?}; did you mean {near:?}?"),
        None => anyhow::bail!("nothing is known of {name:?}; `holdpoint explain` lists what there is"),
    }
}

/// Prints the schema.
pub(super) fn schema(of: SchemaOf) -> Result<u8> {
    let schema = match of {
        SchemaOf::Checklist => checklist_schema(),
        SchemaOf::Policy => policy_schema(),
    };
    stdio::print(&format!("{}\n", serde_json::to_string_pretty(&schema)?));
    Ok(0)
}

fn policy_schema() -> serde_json::Value {
    let mut schema = shape::object_schema(&policy::FILE);
    if let serde_json::Value::Object(map) = &mut schema {
        map.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        map.insert("title".into(), "holdpoint policy file, language version 1".into());
    }
    schema
}

/// Prints the page of the policy file.
fn policy_page() -> String {
    let mut out = format!("# policy\n\nWhat checklists may touch\n\n{}\n## Keys\n\n", policy::MANUAL);
    for field in policy::POLICY.fields {
        out.push_str(&format!("- `{}` ({}): {}\n", field.key, field.shape.form(), field.doc));
    }
    out
}

fn checklist_schema() -> serde_json::Value {
    let mut schema = plan_schema::schema();
    schema["properties"]["notify"] = notify::declared::schema();
    schema
}

fn list() -> String {
    let mut out = String::from("Probes\n");
    for kind in probe::KINDS {
        out.push_str(&format!("  {:<10} {}\n", kind.name, kind.summary));
    }
    out.push_str("\nStep templates, for `uses`\n");
    for template in library::all() {
        let help = template.help.as_deref().unwrap_or_default();
        let first = help.split_inclusive(['.', '\n']).next().unwrap_or_default().trim_end_matches(['.', '\n']);
        out.push_str(&format!("  {:<30} {first}\n", template.name));
    }
    out.push_str("\nChannels (`holdpoint explain notify` has what holds for all)\n");
    for kind in notify::CHANNELS {
        out.push_str(&format!("  {:<12} {}\n", kind.name, kind.summary));
    }
    out.push_str(&format!("\nFiles\n  {POLICY:<10} what checklists may touch\n"));
    out.push_str("\nDiagnostic codes\n");
    for code in codes::CODES {
        out.push_str(&format!("  {:<24} {}\n", code.code, code.title));
    }
    out
}

fn sentence(title: &str) -> String {
    let mut chars = title.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
