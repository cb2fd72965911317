//! Evaluates functions of ranges: series by series, one range a step.

use std::borrow::Cow;

use super::answer::QueryError;
use super::eval::Evaluator;
use super::functions::over_time::{Over, Range, extended};
use super::grid::{ABSENT, Grid, Steps, present, without_name};
use super::labels::Labels;
use super::storage::{Sample, Selection, is_stale};
use super::tree::{Extent, Kind, Node, Selector, Shift, Subquery};

/// Where the samples of ranges come from.
enum Source<'a> {
    Selected(Selection<'a>),
    /// What a subquery gave, with its steps.
    Computed(Grid, Steps),
}

/// Ranges to look at.
pub(super) struct Ranges<'a> {
    source: Source<'a>,
    length: i64,
    shift: Shift,
    extent: Extent,
    lookback: i64,
}

impl<'a> Evaluator<'a> {
    /// Evaluates what stands before a function of ranges.
    pub(super) fn ranges(&mut self, node: &Node, steps: Steps) -> Result<Ranges<'a>, QueryError> {
        match &node.bare().kind {
            Kind::Matrix(selector, range) => self.selected(selector, *range, steps),
            Kind::Subquery(subquery) => self.computed(subquery, steps),
            Kind::Number(_)
            | Kind::Text(_)
            | Kind::Vector(_)
            | Kind::Call(..)
            | Kind::Aggregate(_)
            | Kind::Binary(_)
            | Kind::Negated(_)
            | Kind::Paren(_) => Err(QueryError::Invalid("a range is expected here, such as x[5m]".into())),
        }
    }

    fn selected(&mut self, selector: &Selector, length: i64, steps: Steps) -> Result<Ranges<'a>, QueryError> {
        let lookback = self.engine.lookback;
        let (before, after) = match selector.extent {
            Extent::Plain => (0, 0),
            Extent::Anchored => (lookback, 0),
            Extent::Smoothed => (lookback, lookback),
        };
        let from = selector.shift.time(steps.start).saturating_sub(length + before).saturating_add(1);
        let to = selector.shift.time(steps.last()).saturating_add(after);
        let found = self.select(&selector.matchers, (from, to), false)?;
        self.held += found.count();
        let (shift, extent) = (selector.shift, selector.extent);
        Ok(Ranges { source: Source::Selected(found), length, shift, extent, lookback })
    }

    /// Evaluates a subquery at steps of its own, which are multiples of their distance.
    fn computed(&mut self, subquery: &Subquery, steps: Steps) -> Result<Ranges<'a>, QueryError> {
        let step = subquery.step.unwrap_or(self.engine.subquery_step).max(1);
        let from = subquery.shift.time(steps.start).saturating_sub(subquery.range);
        let start = from.div_euclid(step).saturating_add(1).saturating_mul(step);
        let inner = Steps::between(start, subquery.shift.time(steps.last()), step);
        if inner.count > self.engine.max_samples {
            return Err(super::StorageError::TooManySamples.into());
        }
        let grid = match inner.count {
            0 => Grid::new(0),
            _ => self.eval(&subquery.inner, inner)?,
        };
        let (length, shift) = (subquery.range, subquery.shift);
        Ok(Ranges { source: Source::Computed(grid, inner), length, shift, extent: Extent::Plain, lookback: 0 })
    }

    /// Evaluates a function of ranges.
    pub(super) fn over(&mut self, over: Over, args: &[Node], steps: Steps) -> Result<Grid, QueryError> {
        let before = self.held;
        let is_range = |arg: &Node| matches!(arg.kind, Kind::Matrix(..) | Kind::Subquery(_));
        let Some(at) = args.iter().position(is_range) else {
            return Err(QueryError::Invalid(format!("{} needs a range, such as x[5m]", over.name)));
        };
        extent_fits(over, &args[at])?;
        let mut numbers = Vec::new();
        for arg in args.iter().filter(|arg| !is_range(arg)) {
            numbers.push(self.scalar(arg, steps)?);
        }
        let arg = |n: usize, step: usize| numbers.get(n).map_or(0.0, |cells: &Vec<f64>| cells[step]);
        let ranges = self.ranges(&args[at], steps)?;
        self.room(ranges.len(), steps.count)?;
        let mut grid = Grid::with_capacity(steps.count, ranges.len());
        let mut failed = None;
        ranges.each(|labels, drop_name, samples| {
            let from = grid.cells.len();
            let mut windows = ranges.windows(samples);
            for (i, now) in steps.times().enumerate() {
                let mut range = windows.at(now);
                range.args = [arg(0, i), arg(1, i)];
                if range.samples.is_empty() {
                    grid.cells.push(ABSENT);
                    continue;
                }
                if let Some(Err(message)) = over.check.map(|check| check(range.args)) {
                    failed = Some(message);
                }
                if over.quantile {
                    self.notes.quantile(args[0].at, range.args[0]);
                }
                grid.cells.push((over.run)(&range).unwrap_or(ABSENT));
            }
            let some = grid.cells[from..].iter().any(|v| present(*v));
            if !some {
                grid.cells.truncate(from);
                return;
            }
            if over.for_counters {
                self.maybe_no_counter(args[at].at, labels.metric());
            }
            let drop_name = drop_name || !over.keeps_name;
            let labels = match drop_name && !self.engine.names_later {
                true => without_name(labels),
                false => labels.clone(),
            };
            grid.rows.push(super::grid::Row { labels, drop_name });
        });
        self.held = before;
        if let Some(message) = failed {
            return Err(QueryError::Invalid(message));
        }
        if self.engine.names_later { Ok(grid) } else { grid.unique() }
    }

    fn maybe_no_counter(&mut self, at: usize, metric: &str) {
        let counter = ["_total", "_sum", "_count", "_bucket"].iter().any(|end| metric.ends_with(end));
        if !metric.is_empty() && !counter {
            let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
            self.notes.info(at, &format!("{text} {}", super::labels::Quoted(metric)));
        }
    }

    /// Says at which steps there is any sample at all.
    pub(super) fn any_sample(&mut self, node: &Node, steps: Steps) -> Result<Vec<bool>, QueryError> {
        let before = self.held;
        let ranges = self.ranges(node, steps)?;
        let mut any = vec![false; steps.count];
        ranges.each(|_, _, samples| {
            let mut windows = ranges.windows(samples);
            for (any, now) in any.iter_mut().zip(steps.times()) {
                *any |= !windows.at(now).samples.is_empty();
            }
        });
        self.held = before;
        Ok(any)
    }
}

/// Refuses functions that would count the samples around an anchored or smoothed range as if they were in it.
fn extent_fits(over: Over, node: &Node) -> Result<(), QueryError> {
    let Kind::Matrix(selector, _) = &node.kind else { return Ok(()) };
    let (word, safe): (_, &[&str]) = match selector.extent {
        Extent::Plain => return Ok(()),
        Extent::Anchored => ("anchored", &["changes", "delta", "increase", "rate", "resets"]),
        Extent::Smoothed => ("smoothed", &["delta", "increase", "rate"]),
    };
    if safe.contains(&over.name) {
        return Ok(());
    }
    let list = safe.join(", ");
    Err(QueryError::Invalid(format!("{word} modifier can only be used with: {list} - not with {}", over.name)))
}

impl Ranges<'_> {
    fn len(&self) -> usize {
        match &self.source {
            Source::Selected(found) => found.iter().len(),
            Source::Computed(grid, _) => grid.rows.len(),
        }
    }

    /// Goes through the series with their samples, which are without staleness markers.
    fn each(&self, mut visit: impl FnMut(&Labels, bool, &[Sample])) {
        match &self.source {
            Source::Selected(found) => {
                for (labels, samples) in found.iter() {
                    visit(labels, false, &fresh(samples));
                }
            }
            Source::Computed(grid, steps) => {
                let mut samples = Vec::new();
                for (row, cells) in grid.iter() {
                    samples.clear();
                    let all = steps.times().zip(cells).map(|(t, v)| Sample { t, v: *v });
                    samples.extend(all.filter(|s| present(s.v)));
                    visit(&row.labels, row.drop_name, &samples);
                }
            }
        }
    }

    fn windows<'s>(&'s self, samples: &'s [Sample]) -> Windows<'s> {
        Windows { ranges: self, samples, from: 0, to: 0 }
    }

    /// Returns the samples of every series in the range that belongs to one step.
    pub(super) fn samples_at(&self, now: i64) -> Vec<(Labels, bool, Vec<Sample>)> {
        let mut out = Vec::new();
        self.each(|labels, drop_name, samples| {
            let range = self.windows(samples).at(now);
            let samples = if self.extent == Extent::Plain { range.samples.to_vec() } else { extended(&range) };
            if !samples.is_empty() {
                out.push((labels.clone(), drop_name, samples));
            }
        });
        out
    }
}

/// Leaves staleness markers out.
fn fresh(samples: &[Sample]) -> Cow<'_, [Sample]> {
    if samples.iter().any(|s| is_stale(s.v)) {
        Cow::Owned(samples.iter().filter(|s| !is_stale(s.v)).copied().collect())
    } else {
        Cow::Borrowed(samples)
    }
}

/// The ranges of one series, step after step.
struct Windows<'s> {
    ranges: &'s Ranges<'s>,
    samples: &'s [Sample],
    from: usize,
    to: usize,
}

impl<'s> Windows<'s> {
    /// Returns the range at a step; steps come in their order.
    fn at(&mut self, now: i64) -> Range<'s> {
        let end = self.ranges.shift.time(now);
        let start = end.saturating_sub(self.ranges.length);
        let (before, after) = match self.ranges.extent {
            Extent::Plain => (0, 0),
            Extent::Anchored => (self.ranges.lookback, 0),
            Extent::Smoothed => (self.ranges.lookback, self.ranges.lookback),
        };
        let skip = |samples: &[Sample], t: i64| samples.iter().take_while(|s| s.t <= t).count();
        self.from += skip(&self.samples[self.from..], start.saturating_sub(before));
        self.to = self.to.max(self.from);
        self.to += skip(&self.samples[self.to..], end.saturating_add(after));
        let samples = &self.samples[self.from..self.to];
        Range { samples, from: start, to: end, now, args: [0.0; 2], extent: self.ranges.extent }
    }
}
