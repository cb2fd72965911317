//! Asks a Prometheus. [`spec`] reads the step, [`check`] the query before anything runs, [`look`] asks, [`range`]
//! computes the measures of a range, [`empty`] finds out why there is nothing.

mod check;
mod empty;
mod look;
mod manual;
mod range;
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
    measure("slope", Kind::Quantity, "range: growth of each series per second, by least squares"),
    measure("samples", Kind::Number, "range: how many points of each series have a number"),
    measure("gaps", Kind::Number, "range: how many points of each series have none"),
    measure("resets", Kind::Number, "range: how often each series fell: for a counter, how often it began anew"),
];
