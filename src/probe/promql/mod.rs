//! Asks a Prometheus. [`spec`] reads the step, [`check`] the query before anything runs, [`look`] asks, [`range`]
//! computes the measures of a range ([`span`] says which), [`beside`] asks for what the answer is held against, [`empty`]
//! finds out why there is nothing.

mod beside;
mod check;
mod empty;
mod look;
mod manual;
mod range;
mod span;
mod spec;

use crate::model::Kind;
use crate::probe::{Keys, MeasureSpec, ProbeKind, keyed, measure};

/// The kind `promql`.
pub const KIND: ProbeKind = ProbeKind {
    name: "promql",
    summary: "a query to a Prometheus, at one moment or over a range",
    manual: manual::PAGE,
    shape: spec::SHAPE,
    measures: MEASURES,
    speaks_for_itself: false,
    compile: spec::compile,
};

const MEASURES: &[MeasureSpec] = &[
    measure("value", Kind::Quantity, "the value of every series, each of which must hold; over a range, every sample"),
    measure("series", Kind::Number, "how many series there are; 0 when there are none"),
    keyed("labels", Kind::Set, Keys::Name, "the values that a label has, over all series"),
    measure("age", Kind::Duration, "how old the newest sample of each series is; for a plain selector, or a range"),
    measure("min", Kind::Quantity, "range: the least value of each series"),
    measure("max", Kind::Quantity, "range: the greatest value of each series"),
    measure("avg", Kind::Quantity, "range: the mean of each series"),
    measure("p50", Kind::Quantity, "range: the median of each series"),
    measure("p95", Kind::Quantity, "range: what 95 % of the samples of each series do not exceed"),
    measure("p99", Kind::Quantity, "range: what 99 % of the samples of each series do not exceed"),
    measure("first", Kind::Quantity, "range: the oldest value of each series"),
    measure("last", Kind::Quantity, "range: the newest value of each series"),
    measure("delta", Kind::Quantity, "range: last less first of each series; resets are not evened out"),
    measure("increase", Kind::Quantity, "range: growth of each counter; where it fell, it began anew at 0"),
    measure(
        "slope",
        Kind::Growth,
        "range: growth of each series (robust: Theil-Sen); a limit without a unit is per hour",
    ),
    measure("slope_low", Kind::Growth, "range: the lower end of the slope's 95 % confidence interval"),
    measure("slope_high", Kind::Growth, "range: the upper end of the slope's 95 % confidence interval"),
    measure("samples", Kind::Number, "range: how many points of each series have a number"),
    measure(
        "gaps",
        Kind::Number,
        "range: how many points of each series have none; with `scrape`, how many are missing",
    ),
    measure("longest_gap", Kind::Duration, "range: the longest time without a number, the ends of the range included"),
    measure("resets", Kind::Number, "range: how often each series fell: for a counter, how often it began anew"),
    measure(COMPARED, Kind::Json, "comparison: every sample of both queries, from which it is judged"),
];

/// The measure of a comparison.
const COMPARED: &str = "compared";
