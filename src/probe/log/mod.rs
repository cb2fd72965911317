//! The `log` probe: how many lines of a log match, and which.
//!
//! Read in this order: [`spec`] is what a checklist says, [`look`] one look at it; [`files`] and [`feed`] bring the
//! bytes, or one of the [`origin`]s does; [`reader`] unpacks them, [`scan`] looks through them, [`patterns`] for what, [`select`] at which lines,
//! [`stamp`] by their times.

mod feed;
mod files;
mod look;
pub mod origin;
pub mod patterns;
pub mod reader;
pub mod scan;
pub mod select;
pub mod spec;
pub mod stamp;
mod tail;

use super::{Keys, ProbeKind, keyed, measure};
use crate::model::Kind;

/// The kind.
pub const KIND: ProbeKind = ProbeKind {
    name: "log",
    summary: "lines of a log: files, a command's output, a URL, or where else logs are kept",
    manual: spec::MANUAL,
    shape: spec::SHAPE,
    measures: &[
        keyed("matches", Kind::Number, Keys::Regex, "How many lines match the pattern."),
        keyed(
            "lines",
            Kind::Set,
            Keys::Regex,
            "The lines that match the pattern; no data beyond 1000 of them, or 1MiB.",
        ),
        keyed(
            "captures",
            Kind::Set,
            Keys::Regex,
            "The different values of the pattern's first group; no data beyond 1000 of them, or 1MiB.",
        ),
        measure("scanned_lines", Kind::Number, "How many lines the log has, before any selection."),
        measure("scanned_bytes", Kind::Size, "How many bytes were looked through, unpacked."),
        measure("valid_json", Kind::Ratio, "The share of the lines that are JSON objects; empty lines do not count."),
        keyed("rate", Kind::Rate, Keys::Regex, "Matching lines a second, over the time that the lines span."),
        measure(
            "value",
            Kind::Quantity,
            "The value of every series of a metric query to a Loki, each of which must hold.",
        ),
        measure("series", Kind::Number, "How many series a metric query to a Loki gives; 0 when there are none."),
    ],
    speaks_for_itself: false,
    compile: spec::compile,
};

pub use scan::scan_path;
