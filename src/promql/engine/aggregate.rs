//! Aggregations: groups of series become one series each, or a choice of them stays.

use std::collections::HashMap;

use super::answer::QueryError;
use super::call::text;
use super::eval::Evaluator;
use super::format::{go_f, go_g};
use super::grid::{ABSENT, Collector, Grid, Steps, present};
use super::labels::{LabelMap, Labels, NAME};
use super::lower::may_be_label;
use super::relabel::by_value;
use super::sums::{Mean, Sum, quantile};
use super::tree::{Aggregate, AggregateOp, Grouping};

/// Which group each row belongs to.
struct Groups {
    of_row: Vec<usize>,
    /// The first row of each group.
    first: Vec<usize>,
}

impl Evaluator<'_> {
    /// Evaluates an aggregation.
    pub(super) fn aggregate(&mut self, at: usize, aggregate: &Aggregate, steps: Steps) -> Result<Grid, QueryError> {
        if aggregate.op == AggregateOp::CountValues {
            return self.count_values(aggregate, steps);
        }
        let params = match &aggregate.param {
            Some(param) => self.scalar(param, steps)?,
            None => Vec::new(),
        };
        let grid = self.eval(&aggregate.inner, steps)?;
        let place = aggregate.param.as_ref().map_or(at, |param| param.at);
        match aggregate.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
                whole_numbers(&params)?;
                Ok(chosen(aggregate, &grid, &params))
            }
            AggregateOp::LimitRatio => {
                self.ratios(place, &params)?;
                Ok(chosen(aggregate, &grid, &params))
            }
            _ => {
                if aggregate.op == AggregateOp::Quantile {
                    let nan = params.iter().copied().find(|q| q.is_nan());
                    let (least, most) = extremes(&params);
                    nan.into_iter().chain([least, most]).for_each(|q| self.notes.quantile(place, q));
                }
                let groups = groups(&grid, &aggregate.grouping);
                self.room(groups.first.len(), steps.count)?;
                Ok(combined(aggregate, &grid, &groups, &params))
            }
        }
    }

    fn ratios(&mut self, at: usize, params: &[f64]) -> Result<(), QueryError> {
        if params.iter().any(|r| r.is_nan()) {
            return Err(QueryError::Invalid("Ratio value is NaN".into()));
        }
        let (least, most) = extremes(params);
        for (value, bound) in [(most, 1.0), (least, -1.0)] {
            if (bound > 0.0 && value > bound) || (bound < 0.0 && value < bound) {
                let (value, bound) = (go_g(value), go_g(bound));
                let text = "ratio value should be between -1 and 1, got";
                self.notes.warn(at, &format!("{text} {value}, capping to {bound}"));
            }
        }
        Ok(())
    }

    /// Counts how often each value stands in a group.
    fn count_values(&mut self, aggregate: &Aggregate, steps: Steps) -> Result<Grid, QueryError> {
        let label = match &aggregate.param {
            Some(param) => text(std::slice::from_ref(param), 0)?.to_owned(),
            None => String::new(),
        };
        if !may_be_label(&label) {
            return Err(QueryError::Invalid(format!("invalid label name \"{label}\"")));
        }
        let grid = self.eval(&aggregate.inner, steps)?;
        let mut out = Collector::new(steps.count);
        for step in 0..steps.count {
            let mut counts: LabelMap<f64> = LabelMap::default();
            let mut order = Vec::new();
            for (row, cells) in grid.iter().filter(|(_, cells)| present(cells[step])) {
                let group = group_labels(&row.labels, &aggregate.grouping).with(&label, &go_f(cells[step]));
                let count = counts.entry(group.clone()).or_insert(0.0);
                if *count == 0.0 {
                    order.push(group);
                }
                *count += 1.0;
            }
            for labels in order {
                let count = counts[&labels];
                let row = out.row(labels, false);
                out.put(row, step, count)?;
            }
        }
        Ok(out.finish())
    }
}

/// Returns the least and the most of numbers; zeros when there is none.
fn extremes(numbers: &[f64]) -> (f64, f64) {
    let numbers = || numbers.iter().copied().filter(|n| !n.is_nan());
    (numbers().reduce(f64::min).unwrap_or(0.0), numbers().reduce(f64::max).unwrap_or(0.0))
}

/// Refuses what cannot be a number of series.
fn whole_numbers(params: &[f64]) -> Result<(), QueryError> {
    let wrong = |text: String| Err(QueryError::Invalid(text));
    if params.iter().any(|k| k.is_nan()) {
        return wrong("Parameter value is NaN".into());
    }
    match params.iter().find(|k| k.abs() >= i64::MAX as f64) {
        Some(k) if *k < 0.0 => wrong(format!("Scalar value {} underflows int64", go_g(*k))),
        Some(k) => wrong(format!("Scalar value {} overflows int64", go_g(*k))),
        None => Ok(()),
    }
}

/// Finds the group of each row.
fn groups(grid: &Grid, grouping: &Grouping) -> Groups {
    let mut out = Groups { of_row: Vec::with_capacity(grid.rows.len()), first: Vec::new() };
    let hasher = std::hash::BuildHasherDefault::<super::labels::PassThrough>::default();
    let mut places: HashMap<Vec<u8>, usize, _> = HashMap::with_hasher(hasher);
    let mut key = Vec::new();
    for (i, row) in grid.rows.iter().enumerate() {
        key.clear();
        match grouping {
            Grouping::By(names) => {
                for name in names {
                    key.extend_from_slice(row.labels.get(name).as_bytes());
                    key.push(0xff);
                }
            }
            Grouping::Without(names) => {
                for (name, value) in row.labels.iter().filter(|(n, _)| *n != NAME && !names.iter().any(|w| w == n)) {
                    key.extend_from_slice(name.as_bytes());
                    key.push(0xfe);
                    key.extend_from_slice(value.as_bytes());
                    key.push(0xff);
                }
            }
        }
        let group = match places.get(&key) {
            Some(group) => *group,
            None => {
                places.insert(key.clone(), out.first.len());
                out.first.push(i);
                out.first.len() - 1
            }
        };
        out.of_row.push(group);
    }
    out
}

fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(names) => labels.filtered(|name| names.iter().any(|n| n == name)),
        Grouping::Without(names) => labels.filtered(|name| name != NAME && !names.iter().any(|n| n == name)),
    }
}

/// What is known of one group at one step.
#[derive(Clone, Default)]
struct Tally {
    count: f64,
    value: f64,
    sum: Sum,
    mean: Mean,
    values: Vec<f64>,
}

impl Tally {
    fn add(&mut self, op: AggregateOp, v: f64) {
        self.count += 1.0;
        let is_first = self.count == 1.0;
        match op {
            AggregateOp::Sum => self.sum.add(v),
            AggregateOp::Avg => self.mean.add(v),
            AggregateOp::Min if is_first || v < self.value || self.value.is_nan() => self.value = v,
            AggregateOp::Max if is_first || v > self.value || self.value.is_nan() => self.value = v,
            AggregateOp::Stddev | AggregateOp::Stdvar | AggregateOp::Quantile => self.values.push(v),
            _ => {}
        }
    }

    fn result(&mut self, op: AggregateOp, q: f64) -> f64 {
        if self.count == 0.0 {
            return ABSENT;
        }
        match op {
            AggregateOp::Sum => self.sum.sum + self.sum.lost,
            AggregateOp::Avg => self.mean.mean(),
            AggregateOp::Count => self.count,
            AggregateOp::Min | AggregateOp::Max => self.value,
            AggregateOp::Stdvar => spread(&self.values),
            AggregateOp::Stddev => spread(&self.values).sqrt(),
            AggregateOp::Quantile => quantile(q, &mut self.values),
            _ => 1.0,
        }
    }
}

/// Returns the variance of a group; one number that is not finite has none.
fn spread(values: &[f64]) -> f64 {
    if values.iter().any(|v| !v.is_finite()) {
        return f64::NAN;
    }
    super::sums::variance(values.iter().copied())
}

/// Makes one row of each group.
fn combined(aggregate: &Aggregate, grid: &Grid, groups: &Groups, params: &[f64]) -> Grid {
    let steps = grid.steps;
    let mut tallies = vec![Tally::default(); groups.first.len() * steps];
    let mut drops = vec![false; groups.first.len()];
    for ((row, cells), group) in grid.iter().zip(&groups.of_row) {
        drops[*group] |= row.drop_name;
        let tallies = &mut tallies[group * steps..(group + 1) * steps];
        for (tally, v) in tallies.iter_mut().zip(cells).filter(|(_, v)| present(**v)) {
            tally.add(aggregate.op, *v);
        }
    }
    let mut out = Grid::with_capacity(steps, groups.first.len());
    for (group, first) in groups.first.iter().enumerate() {
        let labels = group_labels(&grid.rows[*first].labels, &aggregate.grouping);
        let tallies = tallies[group * steps..(group + 1) * steps].iter_mut().enumerate();
        let cells = tallies.map(|(i, tally)| tally.result(aggregate.op, params.get(i).copied().unwrap_or(0.0)));
        out.push(labels, drops[group], cells);
    }
    out
}

/// Keeps some rows of each group, at each step others perhaps.
fn chosen(aggregate: &Aggregate, grid: &Grid, params: &[f64]) -> Grid {
    let steps = grid.steps;
    let groups = groups(grid, &aggregate.grouping);
    let mut members = vec![Vec::new(); groups.first.len()];
    groups.of_row.iter().enumerate().for_each(|(row, group)| members[*group].push(row));
    let mut cells = vec![ABSENT; grid.cells.len()];
    let mut order = Vec::new();
    for (step, param) in params.iter().enumerate().take(steps) {
        for rows in &members {
            let value = |row: usize| grid.row(row)[step];
            let mut there: Vec<usize> = rows.iter().copied().filter(|&row| present(value(row))).collect();
            let down = aggregate.op == AggregateOp::Topk;
            match aggregate.op {
                AggregateOp::Topk | AggregateOp::Bottomk => {
                    there.sort_by(|&a, &b| by_value(value(a), value(b), down));
                    there.truncate(at_most(*param));
                }
                AggregateOp::Limitk => there.truncate(at_most(*param)),
                _ => there.retain(|&row| in_ratio(grid.rows[row].labels.hash64(), param.clamp(-1.0, 1.0))),
            }
            for row in there {
                cells[row * steps + step] = value(row);
                order.push(row);
            }
        }
    }
    if steps != 1 {
        return Grid { steps, rows: grid.rows.clone(), cells };
    }
    let mut out = Grid::with_capacity(1, order.len());
    for row in order {
        out.push(grid.rows[row].labels.clone(), grid.rows[row].drop_name, [cells[row]]);
    }
    out
}

fn at_most(k: f64) -> usize {
    if k < 1.0 { 0 } else { k as usize }
}

/// Tells whether a series with this hash is among the first part of all, or the last when the ratio is negative.
fn in_ratio(hash: u64, ratio: f64) -> bool {
    let place = hash as f64 / u64::MAX as f64;
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_and_its_complement_share_nothing() {
        for i in 0..1000_u64 {
            let hash = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            assert!(in_ratio(hash, 0.3) != in_ratio(hash, -0.7));
        }
        assert!(in_ratio(5, 1.0) && !in_ratio(5, 0.0));
    }

    #[test]
    fn numbers_of_series_have_bounds() {
        assert!(whole_numbers(&[3.0, 1e18]).is_ok());
        let message = whole_numbers(&[1e300]).expect_err("too large").to_string();
        assert_eq!(message, "Scalar value 1e+300 overflows int64");
    }
}
