//! `info()`: adds labels of info metrics, such as `target_info`, to the series that they describe.

use std::collections::BTreeSet;

use super::answer::QueryError;
use super::call::first;
use super::eval::Evaluator;
use super::grid::{Collector, Grid, Steps, present};
use super::labels::{LabelMap, Labels, NAME};
use super::matcher::{MatchOp, Matcher};
use super::tree::{Extent, Kind, Node, Selector, Shift};

/// The labels by which `info` finds what belongs to a series.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

impl Evaluator<'_> {
    /// Evaluates `info()`: adds the labels of info metrics with the same `instance` and `job`.
    pub(super) fn info(&mut self, args: &[Node], steps: Steps) -> Result<Grid, QueryError> {
        let base = self.eval(first(args)?, steps)?;
        let asked: &[Matcher] = match args.get(1).map(|arg| &arg.kind) {
            Some(Kind::Vector(selector)) => &selector.matchers,
            Some(_) => return Err(QueryError::Invalid("info() takes labels as {a=\"b\"}".into())),
            None => &[],
        };
        let names: Vec<Matcher> = match asked.iter().filter(|m| *m.name == *NAME).cloned().collect::<Vec<_>>() {
            names if names.is_empty() => {
                vec![Matcher::new(NAME, MatchOp::Equal, "target_info").map_err(QueryError::Invalid)?]
            }
            names => names,
        };
        let explicit = args.len() < 2 || asked.iter().any(|m| *m.name == *NAME);
        let is_info = |labels: &Labels| explicit && names.iter().all(|m| m.fits(labels.metric()));
        let data: Vec<&Matcher> = asked.iter().filter(|m| *m.name != *NAME).collect();
        let wanted: Vec<Matcher> = names.iter().chain(data.iter().copied()).cloned().collect();
        let selector = Selector { matchers: wanted, shift: shift_of(&args[0]), extent: Extent::Plain };
        let infos = self.vector(&selector, steps, |sample, _| sample.t as f64)?;
        let mut out = Collector::new(steps.count);
        for step in 0..steps.count {
            let by_key = newest_infos(&infos, step)?;
            for (row, cells) in base.iter().filter(|(_, cells)| present(cells[step])) {
                let labels = match is_info(&row.labels) {
                    true => Some(row.labels.clone()),
                    false => enriched(&row.labels, &infos, &by_key, &data)?,
                };
                if let Some(labels) = labels {
                    let place = out.row(labels, row.drop_name);
                    out.put(place, step, cells[step])?;
                }
            }
        }
        Ok(out.finish())
    }
}

/// Returns the shift of the first selector in a node.
fn shift_of(node: &Node) -> Shift {
    match &node.kind {
        Kind::Vector(selector) | Kind::Matrix(selector, _) => selector.shift,
        Kind::Paren(inner) | Kind::Negated(inner) => shift_of(inner),
        Kind::Subquery(subquery) => shift_of(&subquery.inner),
        Kind::Aggregate(aggregate) => shift_of(&aggregate.inner),
        Kind::Binary(binary) => shift_of(&binary.left),
        Kind::Call(_, args) => args.iter().map(shift_of).next().unwrap_or_default(),
        Kind::Number(_) | Kind::Text(_) => Shift::default(),
    }
}

fn identifying(labels: &Labels, metric: &str) -> Labels {
    Labels::new(IDENTIFYING.into_iter().map(|name| (name, labels.get(name))).chain([(NAME, metric)]))
}

/// Finds the newest info series for each metric, `instance` and `job`.
fn newest_infos(infos: &Grid, step: usize) -> Result<LabelMap<usize>, QueryError> {
    let mut found: LabelMap<usize> = LabelMap::default();
    for i in (0..infos.rows.len()).filter(|&i| present(infos.row(i)[step])) {
        let labels = &infos.rows[i].labels;
        let key = identifying(labels, labels.metric());
        let old = found.get(&key).copied();
        if let Some(old) = old {
            let (before, now) = (infos.row(old)[step], infos.row(i)[step]);
            if before == now {
                let (a, b) = (infos.rows[old].labels.braced(), labels.braced());
                return Err(QueryError::Invalid(format!(
                    "found duplicate series for info metric: existing {a} @ {before}, new {b} @ {now}"
                )));
            }
            if before > now {
                continue;
            }
        }
        found.insert(key, i);
    }
    Ok(found)
}

/// Adds the labels of info series; nothing when there is none and one was asked for.
fn enriched(
    labels: &Labels,
    infos: &Grid,
    by_key: &LabelMap<usize>,
    data: &[&Matcher],
) -> Result<Option<Labels>, QueryError> {
    let identified = IDENTIFYING.iter().any(|name| !labels.get(name).is_empty());
    let metrics: BTreeSet<&str> = infos.rows.iter().map(|row| row.labels.metric()).collect();
    let mut added: Vec<(String, String)> = Vec::new();
    let mut any = false;
    for metric in metrics.into_iter().filter(|_| identified) {
        let Some(&i) = by_key.get(&identifying(labels, metric)) else { continue };
        any = true;
        let asked = |name: &str| data.is_empty() || data.iter().any(|m| *m.name == *name);
        for (name, value) in infos.rows[i].labels.iter().filter(|(name, _)| *name != NAME && asked(name)) {
            match added.iter().find(|(n, _)| n == name) {
                Some((_, old)) if old != value => {
                    return Err(QueryError::Invalid(format!("conflicting label: {name}")));
                }
                Some(_) => {}
                None if labels.get(name).is_empty() => added.push((name.to_owned(), value.to_owned())),
                None => {}
            }
        }
    }
    if !any && !data.iter().all(|m| m.fits("")) {
        return Ok(None);
    }
    let own = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned()));
    Ok(Some(Labels::new(own.chain(added))))
}
