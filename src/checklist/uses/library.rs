//! The built-in library: files of templates that are part of the program, used as `group/name`.

use super::declared::{self, Home, Template};
use crate::checklist::form::template::FILE;
use crate::diag::{Diagnostics, FileId, SourceMap};
use crate::shape::{self, Shape};
use crate::yaml::{self, Node};

/// A file of the library.
#[derive(Debug)]
pub struct Group {
    /// What stands before the slash.
    pub name: &'static str,
    /// The name of the file in messages and in the record.
    pub file: &'static str,
    /// The file.
    pub text: &'static str,
}

const fn group(name: &'static str, file: &'static str, text: &'static str) -> Group {
    Group { name, file, text }
}

/// Every file of the library, in the order of the manual.
pub const GROUPS: &[Group] = &[
    group("service", "library/service.yaml", include_str!("../../../checklists/library/service.yaml")),
    group("prometheus", "library/prometheus.yaml", include_str!("../../../checklists/library/prometheus.yaml")),
    group("log", "library/log.yaml", include_str!("../../../checklists/library/log.yaml")),
    group("github", "library/github.yaml", include_str!("../../../checklists/library/github.yaml")),
    group("sentry", "library/sentry.yaml", include_str!("../../../checklists/library/sentry.yaml")),
    group("datadog", "library/datadog.yaml", include_str!("../../../checklists/library/datadog.yaml")),
];

/// Finds the file of a template by the part of its name before the slash.
pub fn find(name: &str) -> Option<&'static Group> {
    let (group, _) = name.split_once('/')?;
    GROUPS.iter().find(|known| known.name == group)
}

/// Reads the templates of a file of the library. Mistakes are said, though the library is tested to have none.
pub fn read(group: &Group, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> (FileId, Vec<Template>) {
    let file = sources.add(group.file, group.text);
    let node = yaml::parse(sources, file, diagnostics);
    let node = node.filter(|node| shape::check(node, &Shape::Object(&FILE), diagnostics));
    let templates = node.as_ref().and_then(|node| node.get("templates")).and_then(Node::map).unwrap_or_default();
    let prefix = format!("{}/", group.name);
    let declare =
        |(key, value): &(Node, Node)| declared::declare(&prefix, key, value, Home::Elsewhere, sources, diagnostics);
    (file, templates.iter().filter_map(declare).collect())
}

/// Reads the whole library: for the manual, and to find near names.
pub fn all() -> Vec<Template> {
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    GROUPS.iter().flat_map(|group| read(group, &mut sources, &mut diagnostics).1).collect()
}
