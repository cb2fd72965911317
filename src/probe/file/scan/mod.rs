//! Scans of trees: what a file or a folder of files holds that it should not, secrets and personal data.
//!
//! Read in this order: [`detectors`] is the table of what is found, [`words`] and [`numbers`] their checks, [`search`]
//! looks through one text, [`tree`] through all files, [`spec`] is what a checklist says.

pub mod detectors;
mod numbers;
pub(super) mod search;
pub(super) mod spec;
mod tree;
mod words;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use search::Search;
use tree::{Entry, Tree};

use crate::model::{Evidence, Measures, Note, Value, quantity};
use crate::probe::file::look::Seen;
use crate::sys::Policy;

/// The most findings that are listed.
const MAX_FINDINGS: usize = 20_000;
/// How many names a remark lists.
const NAMED: usize = 5;

/// What is scanned, and for what.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    search: Search,
    exclude: Vec<String>,
    gitignore: bool,
    max_size: u64,
}

/// What a scan found.
#[derive(Debug, Default)]
struct Scanned {
    files: usize,
    bytes: u64,
    findings: Vec<String>,
    by: BTreeMap<&'static str, usize>,
    allowed: usize,
    binary: Vec<String>,
    large: Vec<String>,
    links: Vec<String>,
    remarks: Vec<String>,
}

impl Scan {
    /// Looks through what a path or a glob stands for, and measures what the scan came to.
    ///
    /// # Errors
    /// Says which file or folder cannot be read, or may not be.
    pub(super) fn look(&self, path: &str, policy: &Policy, flag: &AtomicBool) -> Result<Seen, String> {
        let (mut scanned, mut measures) = (Scanned::default(), Measures::new());
        let (exclude, gitignore, max_size) = (&self.exclude, self.gitignore, self.max_size);
        let tree = Tree { path, exclude, gitignore, max_size, policy, flag };
        let exists = tree.walk(&mut |entry| scanned.take(&self.search, entry))?;
        measures.plain("exists", Value::Bool(exists));
        scanned.measure(&self.search, exists, &mut measures);
        Ok((measures, scanned.notes(), scanned.evidence()))
    }
}

impl Scanned {
    fn take(&mut self, search: &Search, entry: Entry<'_>) {
        match entry {
            Entry::Binary(path) => self.binary.push(shown(path)),
            Entry::Large(path) => self.large.push(shown(path)),
            Entry::Link(path) => self.links.push(shown(path)),
            Entry::Remark(text) => self.remarks.push(text),
            Entry::Text(path, text) => {
                self.files += 1;
                self.bytes += text.len() as u64;
                let hits = search.look(text);
                self.allowed += hits.allowed;
                for hit in hits.found {
                    *self.by.entry(hit.detector).or_default() += 1;
                    if self.findings.len() < MAX_FINDINGS {
                        self.findings.push(format!("{}:{}: {} ({})", shown(path), hit.line, hit.detector, hit.masked));
                    }
                }
            }
        }
    }

    fn measure(&self, search: &Search, exists: bool, measures: &mut Measures) {
        let total: usize = self.by.values().sum();
        let skipped = self.large.iter().map(|path| format!("{path}: too large"));
        let skipped = skipped.chain(self.binary.iter().map(|path| format!("{path}: binary")));
        let nothing = (self.files == 0).then(|| match exists {
            false => "no such file: nothing was scanned".to_owned(),
            true => format!("nothing was scanned{}", self.reasons()),
        });
        let of = |value: Value| nothing.clone().map_or(value, Value::NoData);
        measures.plain("count", Value::Number(self.files as f64));
        measures.plain(
            "findings",
            match total > MAX_FINDINGS {
                true => Value::NoData(format!("{total} findings; at most {MAX_FINDINGS} are listed, judge `found`")),
                false => of(Value::Set(self.findings.clone())),
            },
        );
        measures.plain("findings_count", of(Value::Number(total as f64)));
        for detector in search.detectors() {
            let found = self.by.get(detector.name).copied().unwrap_or_default();
            measures.keyed("found", detector.name, of(Value::Number(found as f64)));
        }
        measures.plain("allowed", of(Value::Number(self.allowed as f64)));
        measures.plain("skipped", of(Value::Set(skipped.collect())));
    }

    /// Says why there is nothing: ` (2 binary files)`.
    fn reasons(&self) -> String {
        let parts = [(&self.binary, "binary"), (&self.large, "too large"), (&self.links, "symbolic links")];
        let parts: Vec<_> =
            parts.iter().filter(|(of, _)| !of.is_empty()).map(|(of, w)| format!("{} {w}", of.len())).collect();
        if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
    }

    fn notes(&self) -> Vec<Note> {
        let size = quantity::bytes(self.bytes as f64);
        let mut notes = vec![Note::info(format!("{} files with {size} were scanned", self.files))];
        if !self.large.is_empty() {
            notes.push(Note::warning(format!("larger than max_size and not scanned: {}", names(&self.large))));
        }
        if !self.binary.is_empty() {
            notes.push(Note::info(format!("binary and not scanned: {}", names(&self.binary))));
        }
        if !self.links.is_empty() {
            notes.push(Note::info(format!("symbolic links that were not followed: {}", names(&self.links))));
        }
        if self.allowed > 0 {
            notes.push(Note::info(format!("allowed by a marker or a pattern: {}", self.allowed)));
        }
        notes.extend(self.remarks.iter().map(|text| Note::warning(text.clone())));
        notes
    }

    fn evidence(&self) -> Vec<Evidence> {
        if self.findings.is_empty() {
            return Vec::new();
        }
        vec![Evidence { title: "findings".into(), text: self.findings.join("\n"), left_out: 0 }]
    }
}

fn names(paths: &[String]) -> String {
    let more = paths.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", paths[..paths.len().min(NAMED)].join(", "))
}

/// Shows a path on one line.
fn shown(path: &Path) -> String {
    let text = path.strip_prefix(".").unwrap_or(path).to_string_lossy();
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
