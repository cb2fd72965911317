//! Files that have measures of their own: what kind a file is of, by its name, and what it is read as.

use std::path::Path;

use serde_json::Value as Json;

use super::dockerfile::{self, Dockerfile};
use super::env::{self, Env};
use super::requirements::{self, Requirements};
use crate::model::{Measures, Value};
use crate::probe::parsed;

/// The measures of such files.
pub(super) const MEASURES: &[&str] = &["unpinned", "keys", "duplicates", "unset"];

/// A text, read as what it is.
pub(super) enum Document {
    Requirements(Requirements),
    Env(Env),
    Dockerfile(Dockerfile),
    Other(Json),
}

/// Returns the format that a file's name tells, of those that have measures of their own.
fn by_name(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if name == ".env" || name.starts_with(".env.") || ending == "env" {
        return Some("env");
    }
    if name.contains("requirements") && ending == "txt" {
        return Some("requirements");
    }
    let docker = ["dockerfile", "containerfile"];
    docker
        .iter()
        .any(|word| name == *word || name.starts_with(&format!("{word}.")) || ending == *word)
        .then_some("dockerfile")
}

/// Reads a text in a format, or in the one that the file's name tells. `open` returns the text of a file that it includes.
///
/// # Errors
/// Says in one line why the text cannot be read so.
pub(super) fn read(
    text: &str,
    format: Option<&str>,
    path: &Path,
    open: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<Document, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format.filter(|format| *format != "auto").or_else(|| by_name(path)) {
        Some("requirements") => requirements::read(text, path, open).map(Document::Requirements),
        Some("env") => env::read(text).map(Document::Env),
        Some("dockerfile") => dockerfile::read(text).map(Document::Dockerfile),
        other => parsed::parse(text, other, path).map(Document::Other),
    }
}

impl Document {
    /// Returns everything as JSON.
    pub(super) fn json(&self) -> Json {
        match self {
            Document::Requirements(all) => without_nulls(all.json()),
            Document::Env(all) => all.json(),
            Document::Dockerfile(all) => without_nulls(all.json()),
            Document::Other(json) => json.clone(),
        }
    }

    /// Measures what files of its kind have.
    pub(super) fn measure(&self, measures: &mut Measures) {
        let unpinned = match self {
            Document::Requirements(all) if all.is_empty() => Value::NoData("nothing is required".into()),
            Document::Requirements(all) => Value::Set(all.unpinned()),
            Document::Dockerfile(all) => Value::Set(all.unpinned()),
            Document::Env(_) | Document::Other(_) => {
                Value::NoData("neither a requirements file nor a Dockerfile; name it so with parse".into())
            }
        };
        measures.plain("unpinned", unpinned);
        let of_env = |names: fn(&Env) -> Vec<String>| match self {
            Document::Env(env) if env.keys().is_empty() => Value::NoData("the file sets no variable".into()),
            Document::Env(env) => Value::Set(names(env)),
            _ => Value::NoData("no env file; name it so with parse".into()),
        };
        measures.plain("keys", of_env(Env::keys));
        measures.plain("duplicates", of_env(Env::duplicates));
        measures.plain("unset", of_env(Env::unset));
    }
}

/// Takes out what is not there, so that `exists` and `absent` tell.
fn without_nulls(value: Json) -> Json {
    match value {
        Json::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        Json::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
