//! PromQL evaluated in-process, with the semantics of Prometheus 3.
//!
//! ```text
//! query ─words─▶ mended text ─parser─▶ its tree ─lower─▶ Node ─eval─▶ Grid ─▶ Answer
//!        places kept                              times in ms,    rows × steps
//!                                                 names resolved
//! ```
//!
//! An [`Engine`] evaluates a query at one time ([`Engine::instant`]) or at many ([`Engine::range`]) over a [`Storage`],
//! which is all that it knows of the world: no files, no network, no clock but the deadline in [`Stop`]. It blocks, so
//! that asynchronous code calls it on a thread of its own. What it needs of the rest of the crate is only the query's
//! words and the parser's guard (`promql::tokens`, `promql::parse`), so that the two can be lifted out together.
//!
//! Deliberately absent: native histograms, which a storage refuses with [`StorageError::NativeHistogram`], and the
//! start times of counters.
//!
//! Read in this order: `storage` says what is asked of a storage, `tree` what a query is, `lower` how it becomes that,
//! `grid` what a part of a query gives, `eval` how it is computed; the other files are one kind of node each.

mod aggregate;
pub mod answer;
mod binary;
mod call;
mod dates;
mod durations;
mod eval;
mod format;
mod functions;
mod grid;
mod histogram;
mod info;
pub mod labels;
mod lower;
pub mod matcher;
mod notes;
mod over;
mod reach;
mod relabel;
pub mod storage;
mod sums;
mod tree;
mod words;
mod xxhash;

pub use answer::{Answer, Point, QueryError, Series, Value};
pub use labels::Labels;
pub use matcher::{MatchOp, Matcher};
pub use reach::Reach;
pub use storage::{STALE, Sample, Selection, Stop, Storage, StorageError, Wanted, is_stale};

use eval::Evaluator;
use grid::{Grid, Steps, present};
use lower::Span;
use notes::Notes;
use tree::{Kind, Node};

/// The most steps of a range query, as in Prometheus.
const MAX_STEPS: i64 = 11_000;

/// The farthest time from 1970, in milliseconds: 10,000 years. Sums of a few of them are far from an overflow.
const MAX_TIME: u64 = 315_360_000_000_000;

/// Evaluates queries. The fields are what Prometheus has settings for.
#[derive(Clone, Debug)]
pub struct Engine {
    /// How old a sample may be and still count as the value of its series, in milliseconds.
    pub lookback: i64,
    /// The most numbers that a query may hold in memory.
    pub max_samples: usize,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step: i64,
    /// Takes metric names off at the end and not where a function changes the meaning of a metric
    /// (`--enable-feature=promql-delayed-name-removal`).
    pub names_later: bool,
}

impl Default for Engine {
    /// Returns an engine with the settings that Prometheus has by default.
    fn default() -> Self {
        Self { lookback: 300_000, max_samples: 50_000_000, subquery_step: 60_000, names_later: false }
    }
}

impl Engine {
    /// Evaluates a query at one time, in milliseconds since 1970.
    ///
    /// # Errors
    /// When the query is not valid, cannot be evaluated over these series, or has to stop.
    pub fn instant(&self, storage: &dyn Storage, query: &str, t: i64, stop: &Stop) -> Result<Answer, QueryError> {
        in_range(&[t])?;
        let span = Span { start: t, end: t, step: 0 };
        let node = lower::read(query, span)?;
        let mut evaluator = self.evaluator(storage, query, span, stop);
        let value = match &node.bare().kind {
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Matrix(..) | Kind::Subquery(_) => {
                let ranges = evaluator.ranges(&node, Steps::once(t))?;
                let found = ranges.samples_at(t).into_iter();
                sorted(found.map(|(labels, drop, samples)| {
                    let labels = if drop { grid::without_name(&labels) } else { labels };
                    Series { labels, samples }
                }))
            }
            _ => {
                let scalar = node.is_scalar();
                let grid = evaluator.eval(&node, Steps::once(t))?.finished()?;
                match grid.cells.first() {
                    Some(v) if scalar => Value::Scalar(*v),
                    Some(_) | None => Value::Vector(points(&grid)),
                }
            }
        };
        Ok(answer(value, evaluator))
    }

    /// Evaluates a query at every `step` from `start` to `end`, all in milliseconds.
    ///
    /// # Errors
    /// As [`Engine::instant`], and when the steps are none or too many.
    pub fn range(
        &self,
        storage: &dyn Storage,
        query: &str,
        (start, end): (i64, i64),
        step: i64,
        stop: &Stop,
    ) -> Result<Answer, QueryError> {
        let wrong = |text: &str| Err(QueryError::Invalid(text.to_owned()));
        in_range(&[start, end, step])?;
        if step <= 0 {
            return wrong("zero or negative query resolution step widths are not accepted");
        }
        if end < start {
            return wrong("end timestamp must not be before start time");
        }
        if end.saturating_sub(start) / step > MAX_STEPS {
            return wrong("exceeded maximum resolution of 11,000 points per timeseries");
        }
        let span = Span { start, end, step };
        let node = lower::read(query, span)?;
        if let Kind::Text(_) | Kind::Matrix(..) | Kind::Subquery(_) = &node.bare().kind {
            return wrong("invalid expression type for range query, must be Scalar or instant Vector");
        }
        let mut evaluator = self.evaluator(storage, query, span, stop);
        let steps = Steps::between(start, end, step);
        let grid = evaluator.eval(&node, steps)?.finished()?;
        let rows = grid.iter().map(|(row, cells)| {
            let all = steps.times().zip(cells).map(|(t, v)| Sample { t, v: *v });
            Series { labels: row.labels.clone(), samples: all.filter(|s| present(s.v)).collect() }
        });
        let value = sorted(rows.filter(|series| !series.samples.is_empty()));
        Ok(answer(value, evaluator))
    }

    /// Says which samples a query looks at when it is evaluated at one time.
    ///
    /// # Errors
    /// When the query is not valid.
    pub fn reach(&self, query: &str, t: i64) -> Result<Reach, QueryError> {
        in_range(&[t])?;
        let node: Node = lower::read(query, Span { start: t, end: t, step: 0 })?;
        Ok(reach::of(&node, t, self))
    }

    fn evaluator<'a>(&'a self, storage: &'a dyn Storage, query: &'a str, span: Span, stop: &'a Stop) -> Evaluator<'a> {
        Evaluator { engine: self, storage, stop, span, notes: Notes::new(query), held: 0 }
    }
}

fn in_range(times: &[i64]) -> Result<(), QueryError> {
    match times.iter().find(|t| t.unsigned_abs() > MAX_TIME) {
        Some(t) => Err(QueryError::Invalid(format!("the time {t} is out of range"))),
        None => Ok(()),
    }
}

fn answer(value: Value, evaluator: Evaluator<'_>) -> Answer {
    let (warnings, infos) = evaluator.notes.finish();
    Answer { value, warnings, infos }
}

fn points(grid: &Grid) -> Vec<Point> {
    let rows = grid.iter().filter(|(_, cells)| present(cells[0]));
    rows.map(|(row, cells)| Point { labels: row.labels.clone(), value: cells[0] }).collect()
}

/// Orders series by their labels, as Prometheus does.
fn sorted(series: impl Iterator<Item = Series>) -> Value {
    let mut series: Vec<_> = series.collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Value::Matrix(series)
}
