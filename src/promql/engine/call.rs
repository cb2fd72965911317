//! Evaluates functions that look at numbers; what looks at ranges, buckets and labels has files of its own.

use super::answer::QueryError;
use super::dates::Date;
use super::eval::{Evaluator, clamp};
use super::functions::{Function, maths};
use super::grid::{ABSENT, Grid, Steps, present};
use super::labels::{Labels, NAME};
use super::matcher::MatchOp;
use super::tree::{Kind, Node};

impl Evaluator<'_> {
    /// Evaluates a call.
    pub(super) fn call(
        &mut self,
        node: &Node,
        function: Function,
        args: &[Node],
        steps: Steps,
    ) -> Result<Grid, QueryError> {
        let later = self.engine.names_later;
        match function {
            Function::Map(map) => self.eval(first(args)?, steps)?.map(map).nameless(later),
            Function::Over(over) => self.over(over, args, steps),
            Function::AbsentOverTime => {
                let any = self.any_sample(first(args)?, steps)?;
                Ok(absent(&args[0], any))
            }
            Function::Absent => {
                let grid = self.eval(first(args)?, steps)?;
                let any = |step: usize| (0..grid.rows.len()).any(|row| present(grid.row(row)[step]));
                Ok(absent(&args[0], (0..steps.count).map(any).collect()))
            }
            Function::Clamp | Function::ClampMin | Function::ClampMax => self.clamped(function, args, steps),
            Function::Round => {
                let to = args.get(1).map(|arg| self.scalar(arg, steps)).transpose()?;
                let grid = self.eval(first(args)?, steps)?;
                by_step(grid, |v, i| maths::round(v, to.as_ref().map_or(1.0, |to| to[i]))).nameless(later)
            }
            Function::MinOf | Function::MaxOf => {
                let (a, b) = (self.scalar(first(args)?, steps)?, self.scalar(second(args)?, steps)?);
                let pick = if matches!(function, Function::MinOf) { maths::smaller } else { maths::larger };
                Ok(Grid::scalar(a.into_iter().zip(b).map(|(a, b)| pick(a, b)).collect()))
            }
            Function::Pi => Ok(Grid::scalar(vec![std::f64::consts::PI; steps.count])),
            Function::Time => Ok(Grid::scalar(steps.times().map(in_seconds).collect())),
            Function::Timestamp => self.timestamp(first(args)?, steps),
            Function::Vector => Ok(Grid::scalar(self.scalar(first(args)?, steps)?)),
            Function::Scalar => {
                let grid = self.eval(first(args)?, steps)?;
                Ok(Grid::scalar((0..steps.count).map(|step| only(&grid, step)).collect()))
            }
            Function::Date(part) => self.date(part, args, steps),
            Function::Sort { .. } | Function::SortByLabel { .. } => self.sorted(node.at, function, args, steps),
            Function::LabelReplace => self.label_replace(args, steps),
            Function::LabelJoin => self.label_join(args, steps),
            Function::Info => self.info(args, steps),
            Function::HistogramQuantile => self.histogram_quantile(args, steps),
            Function::HistogramQuantiles => self.histogram_quantiles(args, steps),
            Function::HistogramFraction => self.histogram_fraction(args, steps),
            Function::NativeOnly => {
                self.eval(first(args)?, steps)?;
                Ok(Grid::new(steps.count))
            }
            // These became numbers when the tree was built.
            Function::Start | Function::End | Function::Step | Function::Range => Ok(Grid::new(steps.count)),
        }
    }

    fn clamped(&mut self, function: Function, args: &[Node], steps: Steps) -> Result<Grid, QueryError> {
        let bound = self.scalar(second(args)?, steps)?;
        let (lowest, highest) = match function {
            Function::ClampMin => (bound, vec![f64::INFINITY; steps.count]),
            Function::ClampMax => (vec![f64::NEG_INFINITY; steps.count], bound),
            _ => (bound, self.scalar(third(args)?, steps)?),
        };
        let grid = self.eval(first(args)?, steps)?;
        let bounded = |v: f64, i: usize| match highest[i] < lowest[i] {
            true => ABSENT,
            false => clamp(v, lowest[i], highest[i]),
        };
        by_step(grid, bounded).nameless(self.engine.names_later)
    }

    /// Evaluates `timestamp()`: of a selector the times of its samples, of all else the time of the step.
    fn timestamp(&mut self, arg: &Node, steps: Steps) -> Result<Grid, QueryError> {
        let grid = match &arg.kind {
            Kind::Vector(selector) => self.vector(selector, steps, |sample, _| in_seconds(sample.t))?,
            _ => by_step(self.eval(arg, steps)?, |_, i| in_seconds(steps.time(i))),
        };
        grid.nameless(self.engine.names_later)
    }

    fn date(&mut self, part: fn(&Date) -> i64, args: &[Node], steps: Steps) -> Result<Grid, QueryError> {
        let read = |seconds: f64| part(&Date::of(seconds as i64)) as f64;
        match args.first() {
            None => Ok(Grid::scalar(steps.times().map(|t| read((t / 1000) as f64)).collect())),
            Some(arg) => self.eval(arg, steps)?.map(read_finite(read)).nameless(self.engine.names_later),
        }
    }
}

/// Keeps what is no time from becoming one.
fn read_finite(read: impl Fn(f64) -> f64) -> impl Fn(f64) -> f64 {
    // Sixty thousand years each way: beyond, a year has no name.
    move |v| if v.abs() < 2e12 { read(v) } else { f64::NAN }
}

pub(super) fn in_seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Changes every number, with the step that it belongs to.
pub(super) fn by_step(mut grid: Grid, change: impl Fn(f64, usize) -> f64) -> Grid {
    let steps = grid.steps.max(1);
    for (i, v) in grid.cells.iter_mut().enumerate().filter(|(_, v)| present(**v)) {
        *v = change(*v, i % steps);
    }
    grid
}

/// Returns the number of the only series; NaN when there is none or more than one.
fn only(grid: &Grid, step: usize) -> f64 {
    let mut found = (0..grid.rows.len()).map(|row| grid.row(row)[step]).filter(|v| present(*v));
    match (found.next(), found.next()) {
        (Some(v), None) => v,
        (None | Some(_), _) => f64::NAN,
    }
}

/// Makes the series that says that there is none: 1 at every step without any.
fn absent(arg: &Node, any: Vec<bool>) -> Grid {
    let mut grid = Grid::new(any.len());
    if !any.iter().all(|any| *any) {
        grid.push(labels_of(arg), false, any.into_iter().map(|any| if any { ABSENT } else { 1.0 }));
    }
    grid
}

/// Returns the labels that a selector asks for with `=`, each once.
fn labels_of(arg: &Node) -> Labels {
    let (Kind::Vector(selector) | Kind::Matrix(selector, _)) = &arg.kind else { return Labels::empty() };
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in selector.matchers.iter().filter(|m| *m.name != *NAME) {
        if matcher.op == MatchOp::Equal && !seen.contains(&&*matcher.name) {
            pairs.push((&matcher.name, &matcher.value));
            seen.push(&matcher.name);
        } else {
            pairs.retain(|(name, _)| *name != &*matcher.name);
        }
    }
    Labels::new(pairs)
}

pub(super) fn first(args: &[Node]) -> Result<&Node, QueryError> {
    args.first().ok_or_else(too_few)
}

pub(super) fn second(args: &[Node]) -> Result<&Node, QueryError> {
    args.get(1).ok_or_else(too_few)
}

pub(super) fn third(args: &[Node]) -> Result<&Node, QueryError> {
    args.get(2).ok_or_else(too_few)
}

fn too_few() -> QueryError {
    QueryError::Invalid("the function has too few arguments".into())
}

/// Returns an argument's text.
pub(super) fn text(args: &[Node], i: usize) -> Result<&str, QueryError> {
    match args.get(i).map(|arg| &arg.bare().kind) {
        Some(Kind::Text(text)) => Ok(text),
        Some(_) => Err(QueryError::Invalid("a text is expected as argument".into())),
        None => Err(too_few()),
    }
}
