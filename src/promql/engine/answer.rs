//! What a query gives, and why it may give nothing.

use super::super::SyntaxError;
use super::labels::Labels;
use super::storage::{Sample, StorageError};

/// What a query gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What is probably wrong with the query or the data, worded as Prometheus words it.
    pub warnings: Vec<String>,
    /// What may be wrong, worded as Prometheus words it.
    pub infos: Vec<String>,
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// A text.
    Text(String),
    /// One number a series, at the time of the query.
    Vector(Vec<Point>),
    /// Several samples a series, in time order: what a range query gives, and an instant query of `x[5m]`.
    Matrix(Vec<Series>),
}

/// The number of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What names the series.
    pub labels: Labels,
    /// Its number.
    pub value: f64,
}

/// The samples of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What names the series.
    pub labels: Labels,
    /// In time order; at least one.
    pub samples: Vec<Sample>,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The query is not PromQL.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The query cannot be evaluated over these series; worded as Prometheus words it.
    #[error("{0}")]
    Invalid(String),
    /// The storage did not give what was asked for, or the query had to stop.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl QueryError {
    /// Says that two series of an answer have the same labels.
    pub(super) fn same_labels() -> Self {
        Self::Invalid("vector cannot contain metrics with the same labelset".into())
    }
}
