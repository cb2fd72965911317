//! Looks at a dashboard of a Grafana: what is on it, and whether its panels show anything.
//!
//! Read in this order: [`spec`] is what a checklist says, [`look`] one look, for which [`fetch`]
//! brings the dashboard. [`classic`] and [`v2`] read the two forms of
//! a dashboard into one [`dashboard`]; [`panel`] is one panel of it, [`mapping`] how it words its values. [`variables`]
//! and [`options`] find out what its variables stand for, [`period`] which time is shown, [`fill`] puts both into
//! the queries, [`query`] runs them through Grafana, [`sources`] knows where to, [`frames`] reads what comes back, and
//! [`measure`] makes measures of it.

mod classic;
mod dashboard;
mod fetch;
mod fill;
mod frames;
mod look;
mod manual;
mod mapping;
mod measure;
mod options;
mod panel;
mod period;
mod query;
mod sources;
mod spec;
mod v2;
mod variables;

use crate::model::Kind;
use crate::probe::{Keys, MeasureSpec, ProbeKind, keyed, measure};

/// The kind `grafana`.
pub const KIND: ProbeKind = ProbeKind {
    name: "grafana",
    summary: "a dashboard of a Grafana: its rows and panels, and what their queries give",
    manual: manual::PAGE,
    shape: spec::SHAPE,
    measures: MEASURES,
    speaks_for_itself: false,
    compile: spec::compile,
};

const MEASURES: &[MeasureSpec] = &[
    measure("rows", Kind::Set, "The titles of the rows, collapsed ones too; tabs count as rows."),
    keyed("panels.present", Kind::Bool, Keys::Name, "Whether there is a panel with this title, in whatever row."),
    keyed("panels.type", Kind::Text, Keys::Name, "The type of the panel: stat, timeseries, table."),
    keyed("panels.row", Kind::Text, Keys::Name, "The title of the row in which the panel stands."),
    keyed("panels.place", Kind::Number, Keys::Name, "Which of its row the panel is, counted from 1."),
    keyed(
        "panels.queries",
        Kind::Set,
        Keys::Name,
        "The queries of the panel that are not hidden, as they are written.",
    ),
    keyed("panels.mappings", Kind::Set, Keys::Name, "The value mappings of the panel: `0=Down (red)`."),
    keyed(
        "panels.thresholds",
        Kind::Set,
        Keys::Name,
        "The thresholds of the panel: `base=green`, `80=red`, `90%=red`.",
    ),
    keyed("panels.has_data", Kind::Bool, Keys::Name, "Whether the queries of the panel give at least one value."),
    keyed("panels.value", Kind::Quantity, Keys::Name, "The number that the panel shows, of every series."),
    keyed(
        "panels.shows",
        Kind::Text,
        Keys::Name,
        "The same as the value mappings word it; different ones joined by commas.",
    ),
    keyed("panels.series", Kind::Set, Keys::Name, "The names of the series that the panel shows."),
    keyed(
        "panels.error",
        Kind::Text,
        Keys::Name,
        "The error that a query of the panel ended with; missing when there is none.",
    ),
    measure("total", Kind::Number, "How many panels there are, those in collapsed rows too; rows are none."),
    measure("without_query", Kind::Set, "The titles of panels that have no query, of those that need one."),
    measure("without_data", Kind::Set, "The titles of panels that show no data, because of an error or without one."),
    measure("errors", Kind::Set, "The titles of panels of which a query ends with an error."),
    measure("annotations", Kind::Set, "The names of the annotation queries that are switched on."),
    measure(
        "markers",
        Kind::Number,
        "How many annotations lie in the time that is shown; no data beyond 1000. See `tags`.",
    ),
    measure("title", Kind::Text, "The title of the dashboard."),
];
