//! Evaluates a tree: each node gives a grid of numbers, one row a series and one column a step.

use super::Engine;
use super::answer::QueryError;
use super::functions::maths;
use super::grid::{ABSENT, Grid, Steps, present};
use super::lower::Span;
use super::matcher::Matcher;
use super::notes::Notes;
use super::storage::{Selection, Stop, Storage, StorageError, Wanted, is_stale};
use super::tree::{Extent, Kind, Node, Op, Selector};

/// The evaluation of one query.
pub(super) struct Evaluator<'a> {
    pub(super) engine: &'a Engine,
    pub(super) storage: &'a dyn Storage,
    pub(super) stop: &'a Stop,
    pub(super) span: Span,
    pub(super) notes: Notes<'a>,
    /// How many numbers are held in memory.
    pub(super) held: usize,
}

impl<'a> Evaluator<'a> {
    /// Evaluates a node.
    pub(super) fn eval(&mut self, node: &Node, steps: Steps) -> Result<Grid, QueryError> {
        self.stop.check()?;
        let before = self.held;
        let grid = if node.fixed && steps.count > 1 {
            let once = self.kind(node, steps.first())?;
            self.room(once.rows.len(), steps.count)?;
            once.repeated(steps.count)
        } else {
            self.kind(node, steps)?
        };
        self.held = before + grid.cells.len();
        Ok(grid)
    }

    fn kind(&mut self, node: &Node, steps: Steps) -> Result<Grid, QueryError> {
        match &node.kind {
            Kind::Number(number) => {
                self.room(1, steps.count)?;
                Ok(Grid::scalar(vec![*number; steps.count]))
            }
            Kind::Paren(inner) => self.eval(inner, steps),
            Kind::Negated(inner) => {
                let grid = self.eval(inner, steps)?.map(|v| -v);
                if inner.is_scalar() { Ok(grid) } else { grid.nameless(self.engine.names_later) }
            }
            Kind::Vector(selector) => self.vector(selector, steps, |sample, _| sample.v),
            Kind::Call(function, args) => self.call(node, *function, args, steps),
            Kind::Aggregate(aggregate) => self.aggregate(node.at, aggregate, steps),
            Kind::Binary(binary) => self.binary(binary, steps),
            Kind::Text(_) | Kind::Matrix(..) | Kind::Subquery(_) => {
                Err(QueryError::Invalid("a text or a range cannot stand here".into()))
            }
        }
    }

    /// Makes sure that a grid may be made.
    pub(super) fn room(&self, rows: usize, steps: usize) -> Result<(), QueryError> {
        let cells = rows.saturating_mul(steps);
        if self.held.saturating_add(cells) > self.engine.max_samples {
            return Err(StorageError::TooManySamples.into());
        }
        Ok(())
    }

    /// Evaluates a scalar and returns its number at each step.
    pub(super) fn scalar(&mut self, node: &Node, steps: Steps) -> Result<Vec<f64>, QueryError> {
        let mut cells = self.eval(node, steps)?.cells;
        cells.resize(steps.count, f64::NAN);
        Ok(cells)
    }

    /// Looks series up.
    pub(super) fn select(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        newest: bool,
    ) -> Result<Selection<'a>, QueryError> {
        let mut found = Selection::new(self.engine.max_samples.saturating_sub(self.held), self.stop);
        self.storage.select(&Wanted { matchers, from, to, newest }, &mut found)?;
        Ok(found)
    }

    /// Evaluates a selector: the newest sample of each series that is not too old.
    pub(super) fn vector(
        &mut self,
        selector: &Selector,
        steps: Steps,
        value: impl Fn(super::Sample, i64) -> f64,
    ) -> Result<Grid, QueryError> {
        let lookback = self.engine.lookback;
        let (first, last) = (selector.shift.time(steps.start), selector.shift.time(steps.last()));
        match selector.extent {
            Extent::Plain => {}
            Extent::Smoothed => return self.smoothed(selector, steps),
            Extent::Anchored => {
                return Err(QueryError::Invalid(
                    "anchored can only be used with a range, such as x[5m] anchored".into(),
                ));
            }
        }
        let found = self.select(&selector.matchers, (first.saturating_sub(lookback - 1), last), first == last)?;
        self.room(found.iter().len(), steps.count)?;
        let mut grid = Grid::with_capacity(steps.count, found.iter().len());
        for (labels, samples) in found.iter() {
            let from = grid.cells.len();
            let mut next = 0;
            for now in steps.times() {
                let wanted = selector.shift.time(now);
                if steps.count == 1 {
                    next = samples.partition_point(|s| s.t <= wanted);
                } else {
                    next += samples[next..].iter().take_while(|s| s.t <= wanted).count();
                }
                let newest = next.checked_sub(1).map(|i| samples[i]);
                let fresh = newest.filter(|s| s.t > wanted.saturating_sub(lookback) && !is_stale(s.v));
                grid.cells.push(fresh.map_or(ABSENT, |s| value(s, now)));
            }
            if grid.cells[from..].iter().any(|v| present(*v)) {
                grid.rows.push(super::grid::Row { labels: labels.clone(), drop_name: false });
            } else {
                grid.cells.truncate(from);
            }
        }
        Ok(grid)
    }

    /// Evaluates a selector whose values are interpolated between the samples around each step.
    fn smoothed(&mut self, selector: &Selector, steps: Steps) -> Result<Grid, QueryError> {
        let lookback = self.engine.lookback;
        let (first, last) = (selector.shift.time(steps.start), selector.shift.time(steps.last()));
        let around = (first.saturating_sub(lookback - 1), last.saturating_add(lookback));
        let found = self.select(&selector.matchers, around, false)?;
        self.room(found.iter().len(), steps.count)?;
        let mut grid = Grid::with_capacity(steps.count, found.iter().len());
        for (labels, samples) in found.iter() {
            let kept: Vec<_> = samples.iter().filter(|s| !is_stale(s.v)).copied().collect();
            let cells = steps.times().map(|now| {
                let wanted = selector.shift.time(now);
                let next = kept.partition_point(|s| s.t < wanted);
                let after = kept.get(next).filter(|s| s.t <= wanted + lookback);
                let before = next.checked_sub(1).map(|i| kept[i]).filter(|s| s.t > wanted - lookback);
                match (before, after) {
                    (_, Some(exact)) if exact.t == wanted => exact.v,
                    (Some(a), Some(b)) => super::functions::over_time::between(a, *b, wanted, false),
                    (Some(a), None) => a.v,
                    (None, _) => ABSENT,
                }
            });
            grid.push(labels.clone(), false, cells);
        }
        Ok(grid)
    }
}

/// Computes one pair of numbers; nothing when a comparison does not hold.
pub(super) fn compute(op: Op, a: f64, b: f64) -> Option<f64> {
    let kept = |holds: bool| holds.then_some(a);
    match op {
        Op::Add => Some(a + b),
        Op::Sub => Some(a - b),
        Op::Mul => Some(a * b),
        Op::Div => Some(a / b),
        Op::Mod => Some(a % b),
        Op::Pow => Some(power(a, b)),
        Op::Atan2 => Some(a.atan2(b)),
        Op::Equal => kept(a == b),
        Op::NotEqual => kept(a != b),
        Op::Greater => kept(a > b),
        Op::Less => kept(a < b),
        Op::AtLeast => kept(a >= b),
        Op::AtMost => kept(a <= b),
        // Sets are not made number by number.
        Op::And | Op::Or | Op::Unless => None,
    }
}

fn power(a: f64, b: f64) -> f64 {
    a.powf(b)
}

/// Bounds a number; NaN when a bound is NaN.
pub(super) fn clamp(v: f64, lowest: f64, highest: f64) -> f64 {
    maths::larger(lowest, maths::smaller(highest, v))
}
