//! What a part of a query gives: rows of numbers, one row a series, one column a step.

use super::answer::QueryError;
use super::labels::{LabelMap, Labels, NAME};
use super::storage::{STALE, is_stale};

/// Stands where a series has no value at a step. A staleness marker is never a value of an expression.
pub(super) const ABSENT: f64 = STALE;

/// Tells whether a series has a value.
pub(super) fn present(v: f64) -> bool {
    !is_stale(v)
}

/// The steps that a part of a query is evaluated at, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    pub(super) start: i64,
    pub(super) step: i64,
    pub(super) count: usize,
}

impl Steps {
    pub(super) fn once(t: i64) -> Self {
        Self { start: t, step: 1, count: 1 }
    }

    /// Returns the steps from `start` to `end`, both included.
    pub(super) fn between(start: i64, end: i64, step: i64) -> Self {
        let count = if end < start { 0 } else { (end - start) / step + 1 };
        Self { start, step, count: usize::try_from(count).unwrap_or(usize::MAX) }
    }

    pub(super) fn first(self) -> Self {
        Self { count: 1, ..self }
    }

    pub(super) fn time(self, i: usize) -> i64 {
        self.start + self.step * i as i64
    }

    pub(super) fn last(self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    pub(super) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |i| self.time(i))
    }
}

/// What names a row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) labels: Labels,
    /// The metric's name is to be taken off at the end.
    pub(super) drop_name: bool,
}

/// Rows of numbers.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) steps: usize,
    pub(super) rows: Vec<Row>,
    /// Row after row.
    pub(super) cells: Vec<f64>,
}

impl Grid {
    pub(super) fn new(steps: usize) -> Self {
        Self { steps, rows: Vec::new(), cells: Vec::new() }
    }

    pub(super) fn with_capacity(steps: usize, rows: usize) -> Self {
        Self { steps, rows: Vec::with_capacity(rows), cells: Vec::with_capacity(rows * steps) }
    }

    /// Makes the grid of a scalar.
    pub(super) fn scalar(cells: Vec<f64>) -> Self {
        Self { steps: cells.len(), rows: vec![Row { labels: Labels::empty(), drop_name: false }], cells }
    }

    pub(super) fn push(&mut self, labels: Labels, drop_name: bool, cells: impl IntoIterator<Item = f64>) {
        self.rows.push(Row { labels, drop_name });
        self.cells.extend(cells);
    }

    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.cells[i * self.steps..(i + 1) * self.steps]
    }

    pub(super) fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.cells[i * self.steps..(i + 1) * self.steps]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Row, &[f64])> {
        self.rows.iter().zip(self.cells.chunks(self.steps.max(1)))
    }

    /// Repeats the only column.
    pub(super) fn repeated(self, steps: usize) -> Self {
        let cells = self.cells.iter().flat_map(|v| std::iter::repeat_n(*v, steps)).collect();
        Self { steps, rows: self.rows, cells }
    }

    /// Changes every value.
    pub(super) fn map(mut self, change: impl Fn(f64) -> f64) -> Self {
        for v in self.cells.iter_mut().filter(|v| present(**v)) {
            *v = change(*v);
        }
        self
    }

    /// Takes the metric's name off every row: now, or at the end.
    pub(super) fn nameless(mut self, later: bool) -> Result<Self, QueryError> {
        for row in &mut self.rows {
            row.drop_name = true;
            if !later {
                row.labels = without_name(&row.labels);
            }
        }
        if later { Ok(self) } else { self.merged() }
    }

    /// Makes one row of rows with the same labels.
    ///
    /// # Errors
    /// When two of them have a value at the same step.
    pub(super) fn merged(self) -> Result<Self, QueryError> {
        let mut places: LabelMap<usize> = LabelMap::with_capacity_and_hasher(self.rows.len(), Default::default());
        let unique = self.rows.iter().enumerate().all(|(i, row)| places.insert(row.labels.clone(), i).is_none());
        if unique {
            return Ok(self);
        }
        places.clear();
        let mut out = Self::with_capacity(self.steps, self.rows.len());
        for (row, cells) in self.iter() {
            let Some(&place) = places.get(&row.labels) else {
                places.insert(row.labels.clone(), out.rows.len());
                out.push(row.labels.clone(), row.drop_name, cells.iter().copied());
                continue;
            };
            for (old, new) in out.row_mut(place).iter_mut().zip(cells).filter(|(_, new)| present(**new)) {
                if present(*old) {
                    return Err(QueryError::same_labels());
                }
                *old = *new;
            }
        }
        Ok(out)
    }

    /// Refuses rows with the same labels, even when they have no step in common.
    pub(super) fn unique(self) -> Result<Self, QueryError> {
        let mut seen: LabelMap<()> = LabelMap::with_capacity_and_hasher(self.rows.len(), Default::default());
        for (row, cells) in self.iter() {
            if cells.iter().any(|v| present(*v)) && seen.insert(row.labels.clone(), ()).is_some() {
                return Err(QueryError::same_labels());
            }
        }
        Ok(self)
    }

    /// Does what was put off: takes names off.
    pub(super) fn finished(mut self) -> Result<Self, QueryError> {
        for row in self.rows.iter_mut().filter(|row| row.drop_name) {
            row.labels = without_name(&row.labels);
        }
        self.merged()
    }
}

/// Returns labels without those that say what metric it is.
pub(super) fn without_name(labels: &Labels) -> Labels {
    labels.filtered(|name| !matches!(name, NAME | "__type__" | "__unit__"))
}

/// Rows that are made step by step: equal labels at different steps make one row.
pub(super) struct Collector {
    grid: Grid,
    places: LabelMap<usize>,
}

impl Collector {
    pub(super) fn new(steps: usize) -> Self {
        Self { grid: Grid::new(steps), places: LabelMap::default() }
    }

    /// Returns the row with these labels. With one step every call makes a row of its own: which ones must not be the
    /// same is seen at the end.
    pub(super) fn row(&mut self, labels: Labels, drop_name: bool) -> usize {
        let new = self.grid.rows.len();
        if self.grid.steps > 1 {
            let place = *self.places.entry(labels.clone()).or_insert(new);
            if place != new {
                return place;
            }
        }
        let steps = self.grid.steps;
        self.grid.push(labels, drop_name, std::iter::repeat_n(ABSENT, steps));
        new
    }

    pub(super) fn labels(&self, row: usize) -> &Labels {
        &self.grid.rows[row].labels
    }

    /// Puts a value.
    ///
    /// # Errors
    /// When there is one already.
    pub(super) fn put(&mut self, row: usize, step: usize, v: f64) -> Result<(), QueryError> {
        let cell = &mut self.grid.row_mut(row)[step];
        if present(*cell) {
            return Err(QueryError::same_labels());
        }
        *cell = v;
        Ok(())
    }

    pub(super) fn finish(self) -> Grid {
        self.grid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(rows: &[(&str, [f64; 2])]) -> Grid {
        let mut grid = Grid::new(2);
        for (name, cells) in rows {
            grid.push(Labels::new([(NAME, *name), ("a", "b")]), false, *cells);
        }
        grid
    }

    #[test]
    fn rows_that_share_no_step_are_merged() {
        let merged = grid(&[("x", [1.0, ABSENT]), ("y", [ABSENT, 2.0])]).nameless(false).expect("merged");
        assert_eq!((merged.rows.len(), merged.cells), (1, vec![1.0, 2.0]));
        assert!(grid(&[("x", [1.0, 2.0]), ("y", [ABSENT, 2.0])]).nameless(false).is_err());
    }

    #[test]
    fn names_may_be_taken_off_at_the_end() {
        let later = grid(&[("x", [1.0, 2.0]), ("y", [1.0, 2.0])]).nameless(true).expect("named still");
        assert_eq!(later.rows[0].labels.metric(), "x");
        assert!(later.finished().is_err());
    }

    #[test]
    fn steps_end_at_or_before_the_end() {
        assert_eq!(Steps::between(0, 25, 10).times().collect::<Vec<_>>(), [0, 10, 20]);
        assert_eq!(Steps::between(5, 4, 10).count, 0);
    }
}
