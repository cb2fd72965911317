//! Functions that change labels or order series by them: `label_replace`, `label_join`, `sort` and its like.

use std::cmp::Ordering;

use super::answer::QueryError;
use super::call::{first, text};
use super::eval::Evaluator;
use super::functions::Function;
use super::grid::{Grid, Steps, present};
use super::labels::NAME;
use super::lower::may_be_label;
use super::matcher::anchored;
use super::tree::Node;

impl Evaluator<'_> {
    pub(super) fn label_replace(&mut self, args: &[Node], steps: Steps) -> Result<Grid, QueryError> {
        let (to, by, from, pattern) = (text(args, 1)?, text(args, 2)?, text(args, 3)?, text(args, 4)?);
        let pattern = anchored(pattern)
            .map_err(|_| QueryError::Invalid(format!("invalid regular expression in label_replace(): {pattern}")))?;
        if !may_be_label(to) {
            return Err(QueryError::Invalid(format!("invalid destination label name in label_replace(): {to}")));
        }
        let mut grid = self.eval(first(args)?, steps)?;
        for row in &mut grid.rows {
            let Some(found) = pattern.captures(row.labels.get(from)) else { continue };
            let mut value = String::new();
            found.expand(by, &mut value);
            row.labels = row.labels.with(to, &value);
            row.drop_name &= to != NAME;
        }
        grid.merged()
    }

    pub(super) fn label_join(&mut self, args: &[Node], steps: Steps) -> Result<Grid, QueryError> {
        let (to, separator) = (text(args, 1)?, text(args, 2)?);
        let from = (3..args.len()).map(|i| text(args, i)).collect::<Result<Vec<_>, _>>()?;
        for (name, which) in from.iter().map(|n| (*n, "source")).chain([(to, "destination")]) {
            if !may_be_label(name) {
                return Err(QueryError::Invalid(format!("invalid {which} label name in label_join(): {name}")));
            }
        }
        let mut grid = self.eval(first(args)?, steps)?;
        for row in &mut grid.rows {
            let values: Vec<_> = from.iter().map(|name| row.labels.get(name)).collect();
            row.labels = row.labels.with(to, &values.join(separator));
            row.drop_name &= to != NAME;
        }
        grid.merged()
    }

    /// Orders the rows of an instant query; in a range query nothing can be ordered, which is said.
    pub(super) fn sorted(
        &mut self,
        at: usize,
        function: Function,
        args: &[Node],
        steps: Steps,
    ) -> Result<Grid, QueryError> {
        if self.span.step > 0 {
            self.notes.warn(at, "sort is ineffective for range queries since results are always ordered by labels");
        }
        let grid = self.eval(first(args)?, steps)?;
        if steps.count != 1 {
            return Ok(grid);
        }
        let mut order: Vec<usize> = (0..grid.rows.len()).filter(|&i| present(grid.row(i)[0])).collect();
        if let Function::SortByLabel { down } = function {
            let names = (1..args.len()).map(|i| text(args, i)).collect::<Result<Vec<_>, _>>()?;
            order.sort_by(|&a, &b| {
                let (a, b) = (&grid.rows[a].labels, &grid.rows[b].labels);
                let by_name = names.iter().map(|name| natural(a.get(name), b.get(name)));
                let ordering = by_name.fold(Ordering::Equal, Ordering::then).then_with(|| a.cmp(b));
                if down { ordering.reverse() } else { ordering }
            });
        } else {
            let down = matches!(function, Function::Sort { down: true });
            order.sort_by(|&a, &b| by_value(grid.row(a)[0], grid.row(b)[0], down));
        }
        let mut out = Grid::with_capacity(1, order.len());
        for i in order {
            out.push(grid.rows[i].labels.clone(), grid.rows[i].drop_name, grid.row(i).iter().copied());
        }
        Ok(out)
    }
}

/// Orders numbers; NaN comes last in both directions.
pub(super) fn by_value(a: f64, b: f64, down: bool) -> Ordering {
    let numbers = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    a.is_nan().cmp(&b.is_nan()).then(if down { numbers.reverse() } else { numbers })
}

/// Orders texts as people do: numbers in them by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let (first_a, first_b) = (chunk(a), chunk(b));
        let ordering = match (first_a.parse::<u128>(), first_b.parse::<u128>()) {
            (Ok(x), Ok(y)) => x.cmp(&y).then_with(|| first_a.len().cmp(&first_b.len())),
            _ => first_a.cmp(first_b),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
        (a, b) = (&a[first_a.len()..], &b[first_b.len()..]);
    }
    a.len().cmp(&b.len())
}

/// Returns the digits, or what is none, that a text begins with.
fn chunk(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_ordered_by_value() {
        let mut texts = ["4m600", "4m5", "10", "4m1000", "9", "", "4m"];
        texts.sort_by(|a, b| natural(a, b));
        assert_eq!(texts, ["", "4m", "4m5", "4m600", "4m1000", "9", "10"]);
        assert_eq!(natural("1.2.3", "1.11.3"), Ordering::Less);
    }

    #[test]
    fn nan_comes_last() {
        for (down, wanted) in [(false, [1.0, 2.0]), (true, [2.0, 1.0])] {
            let mut values = [f64::NAN, 1.0, 2.0];
            values.sort_by(|a, b| by_value(*a, *b, down));
            assert_eq!(values[..2], wanted);
        }
    }
}
