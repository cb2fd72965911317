//! The version that a file of the tree names.

use std::path::Path;

use serde_json::Value as Json;

use crate::model::Value;
use crate::probe::parsed;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Where the version stands in files whose names are known, as JSON pointers.
const FILES: &[(&str, &[&str])] = &[
    ("Cargo.toml", &["/package/version", "/workspace/package/version"]),
    ("package.json", &["/version"]),
    ("composer.json", &["/version"]),
    ("pyproject.toml", &["/project/version", "/tool/poetry/version"]),
    ("Chart.yaml", &["/version"]),
];

/// Reads the version out of a file. Blocks.
pub(super) fn read(path: &Path) -> Value {
    let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = match content(path) {
        Ok(text) => text,
        Err(value) => return value,
    };
    match FILES.iter().find(|(name, _)| *name == shown) {
        Some((_, pointers)) => match parsed::parse(&text, None, path) {
            Ok(document) => inside(&document, pointers, &shown),
            Err(error) => Value::NoData(format!("{shown}: {error}")),
        },
        None => match text.trim() {
            "" => Value::NoData(format!("{shown} is empty")),
            one if one.lines().count() == 1 => Value::Text(one.to_owned()),
            _ => Value::NoData(format!("{shown} has more than one line, and it is not known where its version stands")),
        },
    }
}

fn content(path: &Path) -> Result<String, Value> {
    use std::io::Read;
    let shown = path.display();
    let fault = |e: &std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Value::Missing(format!("there is no file {shown}")),
        _ => Value::NoData(format!("{shown} cannot be read: {e}")),
    };
    let facts = std::fs::metadata(path).map_err(|e| fault(&e))?;
    if !facts.is_file() || facts.len() > LONGEST {
        return Err(Value::NoData(format!("{shown} is no file of at most 1MiB")));
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
    read.map_err(|e| fault(&e))?;
    String::from_utf8(bytes).map_err(|_| Value::NoData(format!("{shown} is not UTF-8")))
}

fn inside(document: &Json, pointers: &[&str], shown: &str) -> Value {
    match pointers.iter().find_map(|pointer| document.pointer(pointer)) {
        Some(Json::String(version)) => Value::Text(version.clone()),
        Some(_) => Value::NoData(format!("the version in {shown} is no text")),
        None => Value::Missing(format!("{shown} names no version")),
    }
}

/// Tells whether a tag is that of a version: the same, with a `v` before it or not.
pub(super) fn is_tag_of(tag: &str, version: &str) -> bool {
    let bare = |text: &str| text.strip_prefix(['v', 'V']).map_or(text.to_owned(), str::to_owned);
    bare(tag) == bare(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_where_they_stand() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text, wanted) in [
            ("VERSION", "1.2.3\n", Value::Text("1.2.3".into())),
            ("Cargo.toml", "[package]\nname = 'x'\nversion = '1.2.3'\n", Value::Text("1.2.3".into())),
            ("package.json", r#"{"name":"x","version":"2.0.0-rc.1"}"#, Value::Text("2.0.0-rc.1".into())),
            ("pyproject.toml", "[tool.poetry]\nversion = '3'\n", Value::Text("3".into())),
            ("composer.json", "{}", Value::Missing("composer.json names no version".into())),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            assert_eq!(read(&path), wanted, "{name}");
        }
        for (name, text) in
            [("two", "1\n2\n"), ("empty", " \n"), ("package.json", "{"), ("Cargo.toml", "[package]\nversion = 1")]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            assert!(matches!(read(&path), Value::NoData(_)), "{name}");
        }
        assert!(matches!(read(&folder.path().join("none")), Value::Missing(_)));
        assert!(is_tag_of("v1.2.3", "1.2.3") && is_tag_of("1.2.3", "1.2.3") && !is_tag_of("v1.2.30", "1.2.3"));
    }
}
