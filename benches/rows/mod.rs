//! The rows of the table.

mod checklists;
mod command_line;
mod engine;
mod http;
mod log;
mod pages;
mod prometheus;
mod promql;
mod record;
mod report;
mod soak;
mod wrk;

use crate::measure::Line;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// What takes seconds.
    Usual,
    /// Also what takes long.
    Full,
}

/// A row: its id, and what measures it. One may print several lines.
pub(crate) type Row = (&'static str, fn(Scale) -> Vec<Line>);

/// Every row.
pub(crate) const ROWS: &[Row] = &[
    ("P1", command_line::start_up),
    ("P2", command_line::check),
    ("P3", http::steps),
    ("P4", log::scan),
    ("P5", log::gzip),
    ("P6", prometheus::queries),
    ("E2", pages::read),
    ("E3", pages::keep),
    ("P7", soak::verdicts),
    ("P8", report::of_many),
    ("P9", engine::no_ops),
    ("P10", engine::commands),
    ("P11", record::a_day),
    ("P12", soak::idle),
    ("P13", soak::week),
    ("E1", promql::histogram),
];
