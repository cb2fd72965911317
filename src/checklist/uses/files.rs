//! The templates of a checklist, from itself and from files beside it: `templates` is a map of them, or a list of paths
//! and maps. A file of templates has the same key and may name further files.
//!
//! This module opens no file: whoever reads the checklist knows where it lies. A path never leaves its folder.

use std::collections::HashMap;
use std::sync::Arc;

use super::Used;
use super::declared::{self, Home, Template};
use crate::checklist::digest;
use crate::checklist::form::template::{FILE, TEMPLATES};
use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span};
use crate::model::outline::FilePart;
use crate::shape::{self, Shape};
use crate::yaml::{self, Data, Node};

/// How many files of templates a checklist may have.
const MOST_FILES: usize = 64;
/// How many files may name each other in a row.
const DEEPEST: usize = 16;
/// The most bytes of all files of templates together.
const MOST_BYTES: usize = 8 << 20;

/// Opens files of templates.
pub trait Files {
    /// Reads a file by its path, which is relative to the checklist and has no `..` in it.
    ///
    /// # Errors
    /// Says why it cannot be read.
    fn read(&self, path: &str) -> Result<String, String>;
}

/// For a checklist that lies nowhere.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &str) -> Result<String, String> {
        Err("this checklist lies in no folder, so there are no files beside it".to_owned())
    }
}

/// The templates of a checklist.
#[derive(Default)]
pub(super) struct Known {
    /// By name.
    pub templates: HashMap<String, Arc<Template>>,
    /// What the checklist itself names: each template that it declares and each file, and with which templates.
    pub named: Vec<(Span, Vec<String>)>,
    /// What came of it so far.
    pub used: Used,
}

/// Reads `templates`. Every mistake is said.
pub(super) fn templates(
    own: FileId,
    entry: Option<&(Node, Node)>,
    sources: &mut SourceMap,
    files: &dyn Files,
    diagnostics: &mut Diagnostics,
) -> Known {
    let mut reader = Reader { own, sources, files, diagnostics, known: Known::default(), read: Vec::new(), bytes: 0 };
    if let Some((_, node)) = entry
        && shape::check(node, &TEMPLATES, reader.diagnostics)
    {
        reader.all(node, &[], Home::Checklist);
    }
    reader.known
}

struct Reader<'a> {
    own: FileId,
    sources: &'a mut SourceMap,
    files: &'a dyn Files,
    diagnostics: &'a mut Diagnostics,
    known: Known,
    /// The paths of files that were read, with the templates that came of each.
    read: Vec<(String, Vec<String>)>,
    bytes: usize,
}

impl Reader<'_> {
    /// Reads what stands under `templates`, in the checklist or in the last file of `trail`. Returns the names.
    fn all(&mut self, node: &Node, trail: &[String], home: Home) -> Vec<String> {
        let parts = node.list().unwrap_or(std::slice::from_ref(node));
        let mut names = Vec::new();
        for part in parts {
            match &part.data {
                Data::Map(entries) => {
                    for (key, value) in entries {
                        let declared = self.declare(key, value, home);
                        if home == Home::Checklist {
                            self.known.named.extend(declared.clone().map(|name| (key.span, vec![name])));
                        }
                        names.extend(declared);
                    }
                }
                Data::Scalar { .. } | Data::List(_) => {
                    let read = self.file(part, trail);
                    if let (Some(read), Home::Checklist) = (&read, home) {
                        self.known.named.push((part.span, read.clone()));
                    }
                    names.extend(read.unwrap_or_default());
                }
            }
        }
        names
    }

    fn declare(&mut self, key: &Node, value: &Node, home: Home) -> Option<String> {
        let template = declared::declare("", key, value, home, self.sources, self.diagnostics)?;
        let name = template.name.clone();
        if let Some(first) = self.known.templates.get(&name) {
            let message = format!("two templates have the name {name:?}");
            let diagnostic = Diagnostic::error("duplicate-id", key.span, message).also(first.span, "the first one");
            self.diagnostics.push(diagnostic.help("give one of them another name"));
            return None;
        }
        self.known.templates.insert(name.clone(), Arc::new(template));
        Some(name)
    }

    /// Reads the file that a path names, once. Returns the names of its templates.
    fn file(&mut self, node: &Node, trail: &[String]) -> Option<Vec<String>> {
        let written = node.text().unwrap_or_default();
        let path = match resolve(trail.last().map(String::as_str), written) {
            Ok(path) => path,
            Err((message, help)) => {
                self.diagnostics.push(Diagnostic::error("template-file", node.span, message).help(help));
                return None;
            }
        };
        if trail.contains(&path) {
            let circle: Vec<_> = trail.iter().chain([&path]).map(String::as_str).collect();
            let message = format!("files of templates name each other in a circle: {}", circle.join(" → "));
            self.diagnostics.push(Diagnostic::error("template-file", node.span, message).help("leave one of them out"));
            return None;
        }
        if let Some((_, names)) = self.read.iter().find(|(known, _)| *known == path) {
            return Some(names.clone());
        }
        let text = match self.open(&path, trail.len()) {
            Ok(text) => text,
            Err(problem) => {
                let message = format!("the file of templates {path}: {problem}");
                self.diagnostics.push(Diagnostic::error("template-file", node.span, message));
                return None;
            }
        };
        let position = self.read.len();
        self.read.push((path.clone(), Vec::new()));
        self.known.used.parts.push(FilePart { path: path.clone(), digest: digest(text.as_bytes()) });
        let file = self.sources.add(beside(self.sources.name(self.own), &path), text);
        let names = self.within(file, &[trail, &[path]].concat(), node.span);
        self.read[position].1.clone_from(&names);
        Some(names)
    }

    fn open(&mut self, path: &str, depth: usize) -> Result<String, String> {
        if depth >= DEEPEST {
            return Err(format!("files of templates name each other more than {DEEPEST} deep"));
        }
        if self.read.len() >= MOST_FILES {
            return Err(format!("there are more than {MOST_FILES} files of templates"));
        }
        let text = self.files.read(path)?;
        self.bytes += text.len();
        match self.bytes > MOST_BYTES {
            true => Err(format!("the files of templates have more than {} MiB together", MOST_BYTES >> 20)),
            false => Ok(text),
        }
    }

    fn within(&mut self, file: FileId, trail: &[String], named: Span) -> Vec<String> {
        let Some(node) = yaml::parse(self.sources, file, self.diagnostics) else {
            if !self.diagnostics.has_errors() {
                let message = "the file of templates is empty; it is a map with `holdpoint: 1` and `templates`";
                self.diagnostics.push(Diagnostic::error("template-file", named, message));
            }
            return Vec::new();
        };
        match shape::check(&node, &Shape::Object(&FILE), self.diagnostics) {
            true => node.get("templates").map(|node| self.all(node, trail, Home::Elsewhere)).unwrap_or_default(),
            false => Vec::new(),
        }
    }
}

/// Returns the path from the folder of the checklist: `written` is relative to the file that names it.
fn resolve(from: Option<&str>, written: &str) -> Result<String, (String, &'static str)> {
    let refuse = |why: &str| format!("{written:?} {why}");
    if written.contains("://") {
        return Err((refuse("is a URL; templates come from files"), "keep a copy of the file beside the checklist"));
    }
    if written.starts_with('/') || written.contains(['\\', '\0']) || written.get(1..2) == Some(":") {
        return Err((refuse("is no path within the folder of the checklist"), "write `./steps.yaml`"));
    }
    let mut parts: Vec<&str> = from.map(|from| from.split('/').collect()).unwrap_or_default();
    parts.pop();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                let help = "keep the file in the folder of the checklist, or in one below it";
                return Err((refuse("leaves the folder of the checklist"), help));
            }
            part => parts.push(part),
        }
    }
    let file = parts.last().is_some_and(|name| name.ends_with(".yaml") || name.ends_with(".yml"));
    match file {
        true => Ok(parts.join("/")),
        false => Err((refuse("is no YAML file"), "name a file such as `./steps.yaml`")),
    }
}

/// Names a file that lies beside another one.
fn beside(of: &str, path: &str) -> String {
    match of.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{path}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_the_folder_of_the_checklist() {
        assert_eq!(resolve(None, "./steps.yaml"), Ok("steps.yaml".to_owned()));
        assert_eq!(resolve(Some("a/b.yaml"), "c/./d.yml"), Ok("a/c/d.yml".to_owned()));
        for bad in [
            "../x.yaml",
            "a/../../x.yaml",
            "/etc/x.yaml",
            "C:x.yaml",
            "a\\..\\x.yaml",
            "https://h/x.yaml",
            "",
            "x",
            "x.json",
        ] {
            assert!(resolve(Some("a/b.yaml"), bad).is_err(), "{bad}");
        }
    }
}
