//! The `file` probe: whether a file is there, what it says, how old and how large it is; what a tree of files holds that
//! it should not.
//!
//! Read in this order: [`spec`] is what a checklist says, [`page`] the manual, [`look`] one look at a file,
//! [`requirements`], [`env`] and [`dockerfile`] read files that have measures of their own, [`scan`] looks through trees.

mod dockerfile;
mod documents;
mod env;
mod look;
mod page;
mod requirements;
pub mod scan;
mod spec;

use super::{Keys, ProbeKind, keyed, measure};
use crate::model::Kind;

/// The kind.
pub const KIND: ProbeKind = ProbeKind {
    name: "file",
    summary: "a file, a glob or a tree: there or not, content, size, age, mode, digest, secrets and personal data in it",
    manual: page::MANUAL,
    shape: spec::SHAPE,
    measures: &[
        measure("exists", Kind::Bool, "Whether there is a file; of a glob, whether it matches any."),
        measure("text", Kind::Text, "The content, of at most 1 MiB."),
        keyed("json", Kind::Json, Keys::JsonPath, "The value at a JSONPath in the parsed content."),
        measure("size", Kind::Size, "The size in bytes."),
        measure("age", Kind::Duration, "The time since the last change of the content."),
        measure("mode", Kind::Text, "The permissions in octal: 0644."),
        measure("sha256", Kind::Text, "The SHA-256 digest of the content in hexadecimal."),
        measure(
            "count",
            Kind::Number,
            "How many files the path or the glob stands for; of a scan, how many were scanned.",
        ),
        measure(
            "unpinned",
            Kind::Set,
            "Of requirements: those that are not pinned to one version. Of a Dockerfile: the images without digest and \
             without tag other than `latest`.",
        ),
        measure("keys", Kind::Set, "Of an env file: the names of its variables."),
        measure("duplicates", Kind::Set, "Of an env file: the names that stand more than once."),
        measure("unset", Kind::Set, "Of an env file: the names whose value is empty."),
        measure("findings", Kind::Set, "Of a scan: every finding as `path:line: detector (masked)`."),
        measure("findings_count", Kind::Number, "Of a scan: how many findings there are."),
        keyed("found", Kind::Number, Keys::Name, "Of a scan: how many findings a detector has, by its name."),
        measure("allowed", Kind::Number, "Of a scan: how many findings a marker or a pattern let pass."),
        measure("skipped", Kind::Set, "Of a scan: the files that were not read, binary or too large."),
    ],
    speaks_for_itself: false,
    compile: spec::compile,
};
