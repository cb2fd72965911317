//! Operators between numbers and series: arithmetic, comparisons and sets, with their matching of series.

use std::collections::{HashMap, HashSet};

use super::answer::QueryError;
use super::eval::{Evaluator, compute};
use super::grid::{ABSENT, Collector, Grid, Row, Steps, present, without_name};
use super::labels::{Labels, NAME};
use super::tree::{Binary, Card, MatchLabels, Matching, Op};

impl Evaluator<'_> {
    /// Evaluates an operator.
    pub(super) fn binary(&mut self, binary: &Binary, steps: Steps) -> Result<Grid, QueryError> {
        let left = self.eval(&binary.left, steps)?;
        let right = self.eval(&binary.right, steps)?;
        match (binary.left.is_scalar(), binary.right.is_scalar()) {
            (true, true) => {
                let number = |a: f64, b: f64| match (compute(binary.op, a, b), binary.op.is_comparison()) {
                    (Some(v), false) => v,
                    (holds, _) => f64::from(u8::from(holds.is_some())),
                };
                let cells = left.cells.iter().zip(&right.cells).map(|(a, b)| number(*a, *b)).collect();
                Ok(Grid::scalar(cells))
            }
            (false, true) => with_number(binary, left, &right.cells, false, self.engine.names_later),
            (true, false) => with_number(binary, right, &left.cells, true, self.engine.names_later),
            (false, false) => match binary.op {
                Op::And | Op::Or | Op::Unless => sets(binary, &left, &right),
                _ => {
                    let later = self.engine.names_later;
                    Pairing::new(binary, left, right, later).evaluate()
                }
            },
        }
    }
}

/// Computes each number of a vector with one number; `turned` when that one stands on the left.
fn with_number(binary: &Binary, grid: Grid, numbers: &[f64], turned: bool, later: bool) -> Result<Grid, QueryError> {
    let result = |v: f64, i: usize| {
        let (a, b) = if turned { (numbers[i], v) } else { (v, numbers[i]) };
        match compute(binary.op, a, b) {
            holds if binary.as_number => f64::from(u8::from(holds.is_some())),
            // What is compared stays, whichever side it stands on.
            Some(_) if binary.op.is_comparison() => v,
            Some(computed) => computed,
            None => ABSENT,
        }
    };
    let grid = super::call::by_step(grid, result);
    if binary.op.is_comparison() && !binary.as_number { Ok(grid) } else { grid.nameless(later) }
}

/// Numbers the match groups of rows.
struct Signatures {
    of: [Vec<usize>; 2],
    count: usize,
}

fn signatures(matching: &Matching, left: &Grid, right: &Grid) -> Signatures {
    let hasher = std::hash::BuildHasherDefault::<super::labels::PassThrough>::default();
    let mut places: HashMap<Vec<u8>, usize, _> = HashMap::with_hasher(hasher);
    let of = [left, right].map(|grid| {
        let mut key = Vec::new();
        let mut of_rows = Vec::with_capacity(grid.rows.len());
        for row in &grid.rows {
            key.clear();
            signature(matching, &row.labels, &mut key);
            let next = places.len();
            of_rows.push(match places.get(&key) {
                Some(place) => *place,
                None => *places.entry(key.clone()).or_insert(next),
            });
        }
        of_rows
    });
    Signatures { count: places.len(), of }
}

fn signature(matching: &Matching, labels: &Labels, key: &mut Vec<u8>) {
    let mut put = |name: &str, value: &str| {
        key.extend_from_slice(name.as_bytes());
        key.push(0xfe);
        key.extend_from_slice(value.as_bytes());
        key.push(0xff);
    };
    match &matching.labels {
        MatchLabels::On(names) => names.iter().for_each(|name| put(name, labels.get(name))),
        MatchLabels::Ignoring(names) => {
            for (name, value) in labels.iter().filter(|(n, _)| *n != NAME && !names.iter().any(|i| i == n)) {
                put(name, value);
            }
        }
    }
}

/// Returns the labels that two series must have in common.
fn match_group(matching: &Matching, labels: &Labels) -> Labels {
    match &matching.labels {
        MatchLabels::On(names) => labels.filtered(|name| names.iter().any(|n| n == name)),
        MatchLabels::Ignoring(names) => labels.filtered(|name| name != NAME && !names.iter().any(|n| n == name)),
    }
}

fn sets(binary: &Binary, left: &Grid, right: &Grid) -> Result<Grid, QueryError> {
    let signatures = signatures(&binary.matching, left, right);
    let steps = left.steps;
    // Which match groups a side has at each step.
    let there = |grid: &Grid, of: &[usize]| {
        let mut there = vec![false; signatures.count * steps];
        for ((_, cells), signature) in grid.iter().zip(of) {
            for (there, v) in there[signature * steps..(signature + 1) * steps].iter_mut().zip(cells) {
                *there |= present(*v);
            }
        }
        there
    };
    let [of_left, of_right] = &signatures.of;
    let other = match binary.op {
        Op::Or => there(left, of_left),
        _ => there(right, of_right),
    };
    let wanted = binary.op == Op::And;
    let filtered = |out: &mut Collector, grid: &Grid, of: &[usize]| {
        for ((row, cells), signature) in grid.iter().zip(of) {
            let other = &other[signature * steps..(signature + 1) * steps];
            add(out, row, cells.iter().zip(other).map(|(v, other)| if *other == wanted { *v } else { ABSENT }))?;
        }
        Ok::<(), QueryError>(())
    };
    let mut out = Collector::new(steps);
    match binary.op {
        Op::Or => {
            for (row, cells) in left.iter() {
                add(&mut out, row, cells.iter().copied())?;
            }
            filtered(&mut out, right, of_right)?;
        }
        _ => filtered(&mut out, left, of_left)?,
    }
    Ok(out.finish())
}

/// Adds a row, unless nothing is in it.
fn add(out: &mut Collector, row: &Row, cells: impl Iterator<Item = f64>) -> Result<(), QueryError> {
    let mut place = None;
    for (step, v) in cells.enumerate().filter(|(_, v)| present(*v)) {
        let at = *place.get_or_insert_with(|| out.row(row.labels.clone(), row.drop_name));
        out.put(at, step, v)?;
    }
    Ok(())
}

/// Stands for a series that is filled in.
const FILLED: usize = usize::MAX;

/// An operator between the series of two vectors.
struct Pairing<'a> {
    binary: &'a Binary,
    many: Grid,
    one: Grid,
    later: bool,
    signatures: Signatures,
    out: Collector,
    /// Where the result of a pair goes.
    places: HashMap<(usize, usize), usize>,
    /// What was made already at the step, of which match group.
    made: HashSet<(usize, Labels)>,
    matched: Vec<bool>,
}

impl<'a> Pairing<'a> {
    fn new(binary: &'a Binary, left: Grid, right: Grid, later: bool) -> Self {
        let turned = binary.matching.card == Card::OneToMany;
        let (many, one) = if turned { (right, left) } else { (left, right) };
        let signatures = signatures(&binary.matching, &many, &one);
        let out = Collector::new(many.steps);
        let matched = vec![false; signatures.count];
        Self { binary, many, one, later, signatures, out, places: HashMap::new(), made: HashSet::new(), matched }
    }

    fn evaluate(mut self) -> Result<Grid, QueryError> {
        let matching = &self.binary.matching;
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        let mut partner = vec![None; self.signatures.count];
        for step in 0..self.many.steps {
            let (many, one) = (self.there(&self.many, step), self.there(&self.one, step));
            if (many.is_empty() || one.is_empty()) && !fills {
                continue;
            }
            partner.fill(None);
            self.matched.fill(false);
            self.made.clear();
            for &row in &one {
                let group = self.signatures.of[1][row];
                if let Some(other) = partner[group].replace(row) {
                    return Err(self.many_on_one_side(other, row));
                }
            }
            for &row in &many {
                let group = self.signatures.of[0][row];
                match (partner[group], matching.fill_right) {
                    (Some(other), _) => self.pair(step, group, row, other)?,
                    (None, Some(_)) => self.pair(step, group, row, FILLED)?,
                    (None, None) => {}
                }
            }
            for &row in one.iter().filter(|_| matching.fill_left.is_some()) {
                let group = self.signatures.of[1][row];
                if !self.matched[group] {
                    self.pair(step, group, FILLED, row)?;
                }
            }
        }
        let grid = self.out.finish();
        if self.later { Ok(grid) } else { grid.merged() }
    }

    fn there(&self, grid: &Grid, step: usize) -> Vec<usize> {
        (0..grid.rows.len()).filter(|&row| present(grid.row(row)[step])).collect()
    }

    /// Computes the result of one pair of series at one step.
    fn pair(&mut self, step: usize, group: usize, many: usize, one: usize) -> Result<(), QueryError> {
        let matching = &self.binary.matching;
        let value = |grid: &Grid, row: usize, fill: Option<f64>| match row {
            FILLED => fill.unwrap_or(ABSENT),
            row => grid.row(row)[step],
        };
        let mut a = value(&self.many, many, matching.fill_left);
        let mut b = value(&self.one, one, matching.fill_right);
        if matching.card == Card::OneToMany {
            std::mem::swap(&mut a, &mut b);
        }
        let computed = compute(self.binary.op, a, b);
        let place = match self.places.get(&(many, one)) {
            Some(place) => Ok(*place),
            None => Err(self.result(many, one)),
        };
        let first = !std::mem::replace(&mut self.matched[group], true);
        if matching.card == Card::OneToOne {
            if !first {
                let text =
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(QueryError::Invalid(text.into()));
            }
        } else {
            let labels = match &place {
                Ok(place) => self.out.labels(*place).clone(),
                Err(row) => row.labels.clone(),
            };
            if !self.made.insert((group, labels)) {
                let text = "multiple matches for labels: grouping labels must ensure unique matches";
                return Err(QueryError::Invalid(text.into()));
            }
        }
        let v = match computed {
            holds if self.binary.as_number => f64::from(u8::from(holds.is_some())),
            Some(v) => v,
            None => return Ok(()),
        };
        let place = match place {
            Ok(place) => place,
            Err(row) => {
                let place = self.out.row(row.labels, row.drop_name);
                self.places.insert((many, one), place);
                place
            }
        };
        self.out.put(place, step, v)
    }

    /// Returns what names the result of a pair.
    fn result(&self, many: usize, one: usize) -> Row {
        let matching = &self.binary.matching;
        let filled = |other: &Row| Row { labels: match_group(matching, &other.labels), drop_name: other.drop_name };
        let (base, other) = match (many, one) {
            (FILLED, one) => (filled(&self.one.rows[one]), self.one.rows[one].clone()),
            (many, FILLED) => (self.many.rows[many].clone(), filled(&self.many.rows[many])),
            (many, one) => (self.many.rows[many].clone(), self.one.rows[one].clone()),
        };
        let arithmetic = !self.binary.op.is_comparison();
        let mut labels = base.labels;
        if arithmetic || (self.binary.as_number && !self.later) {
            labels = without_name(&labels);
        }
        if matching.card == Card::OneToOne {
            labels = match &matching.labels {
                MatchLabels::On(names) => labels.filtered(|name| names.iter().any(|n| n == name)),
                MatchLabels::Ignoring(names) => labels.filtered(|name| !names.iter().any(|n| n == name)),
            };
        }
        for name in &matching.include {
            labels = labels.with(name, other.labels.get(name));
        }
        Row { labels, drop_name: self.binary.as_number || (!arithmetic && base.drop_name) }
    }

    fn many_on_one_side(&self, a: usize, b: usize) -> QueryError {
        let group = match_group(&self.binary.matching, &self.one.rows[a].labels).braced();
        let side = if self.binary.matching.card == Card::OneToMany { "left" } else { "right" };
        let mut two = [&self.one.rows[a].labels, &self.one.rows[b].labels];
        two.sort();
        let [a, b] = two.map(Labels::braced);
        QueryError::Invalid(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{a}, {b}]\
             ;many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }
}
