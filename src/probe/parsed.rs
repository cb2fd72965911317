//! Files of other programs read as JSON values: YAML, JSON, TOML, INI. What has measures of its own is read in
//! `file::documents`.

use std::path::Path;

use serde_json::{Map, Value};

use crate::diag::{Diagnostics, SourceMap};
use crate::yaml;

/// The formats by name; `auto` goes by the ending of the file's name.
pub const FORMATS: &[&str] = &["auto", "yaml", "json", "toml", "env", "ini", "compose", "requirements", "dockerfile"];

/// Reads a text in a format, or in the one that the file's name tells.
///
/// # Errors
/// Says in one line why the text cannot be read so.
pub fn parse(text: &str, format: Option<&str>, path: &Path) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format.filter(|format| *format != "auto").or_else(|| by_name(path)) {
        Some("yaml") => yaml(text),
        Some("compose") => super::compose::normal(yaml(text)?),
        Some("json") => serde_json::from_str(text).map_err(|e| format!("not valid JSON: {e}")),
        Some("toml") => toml::from_str(text).map_err(|e| format!("not valid TOML: {}", e.message())),
        Some("ini") => pairs(text),
        Some(other) => Err(format!("there is no format {other:?}")),
        None => Err("the file's name does not tell its format; name it with parse".into()),
    }
}

fn by_name(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    match name.rsplit_once('.')?.1 {
        "yaml" | "yml" => Some("yaml"),
        "json" => Some("json"),
        "toml" => Some("toml"),
        "ini" | "cfg" | "conf" | "properties" => Some("ini"),
        _ => None,
    }
}

fn yaml(text: &str) -> Result<Value, String> {
    let mut sources = SourceMap::new();
    let mut diagnostics = Diagnostics::new();
    let file = sources.add("file", text);
    let node = yaml::parse(&mut sources, file, &mut diagnostics);
    if let Some(first) = diagnostics.iter().next() {
        let line = first.labels.first().map_or(1, |label| sources.line_column(label.span).0);
        return Err(format!("not valid YAML: line {line}: {}", first.message));
    }
    Ok(node.map_or(Value::Null, |node| node.json()))
}

/// Reads lines of `KEY=VALUE`; those behind `[section]` into a map of their own.
fn pairs(text: &str) -> Result<Value, String> {
    let mut root = Map::new();
    let mut section: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let name = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(name) = name {
            root.entry(name.trim()).or_insert_with(|| Value::Object(Map::new()));
            section = Some(name.trim().to_owned());
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(format!("line {} has no =", number + 1));
        };
        let map = match section.as_ref().and_then(|name| root.get_mut(name)) {
            Some(Value::Object(map)) => map,
            _ => &mut root,
        };
        map.insert(key.trim().to_owned(), Value::String(unquoted(value.trim()).to_owned()));
    }
    Ok(Value::Object(root))
}

fn unquoted(value: &str) -> &str {
    let between = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    between('"').or_else(|| between('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(name: &str, text: &str) -> Result<Value, String> {
        parse(text, None, Path::new(name))
    }

    #[test]
    fn every_format_is_read_by_the_name() {
        let wanted = json!({ "a": { "b": "c" } });
        assert_eq!(read("x.yml", "d: &d { b: c }\na: *d\n").map(|v| v["a"].clone()), Ok(wanted["a"].clone()));
        assert_eq!(read("x.json", r#"{"a":{"b":"c"}}"#), Ok(wanted.clone()));
        assert_eq!(read("x.TOML", "[a]\nb = 'c'"), Ok(wanted.clone()));
        assert_eq!(read("x.ini", "; note\n[a]\nb = c\n"), Ok(wanted));
    }

    #[test]
    fn what_cannot_be_read_is_said_in_one_line() {
        for (name, text) in [("x.yaml", "a: [1"), ("x.json", "{"), ("x.toml", "a ="), ("x.ini", "A"), ("x.txt", "a")] {
            let error = read(name, text).expect_err(name);
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
