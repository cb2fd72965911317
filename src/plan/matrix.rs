//! Matrices: the cells for which the checklist, or one section of it, is made once each.
//!
//! The cells are known before anything is compiled. Each has a [`Spot`]: the scope in which everything of the cell is
//! read, and the tail of its ids. A matrix with a mistake, or whose inputs have no value yet, has one nameless cell
//! with values that nobody knows, so that everything inside is checked all the same.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::checklist::form::time::MATRIX_KEYS;
use crate::checklist::inputs::Inputs;
use crate::checklist::reading::Reading;
use crate::checklist::{Checklist, Section};
use crate::diag::{Diagnostic, Span};
use crate::model::id;
use crate::model::outline::Cell;
use crate::template::{Expression, Scope};
use crate::yaml::{Data, Node};

/// The most cells of a checklist, those of sections within those of the whole.
const MOST_CELLS: usize = 1_000;
/// The most steps that cells may make.
const MOST_STEPS: usize = 100_000;

/// A matrix as read.
pub(super) struct Matrix {
    /// The names that cells give values to, with their places.
    pub names: Vec<(String, Span)>,
    /// The cells in order.
    pub cells: Vec<Cell>,
    /// Whether they run side by side.
    pub parallel: bool,
    /// Whether the cells after one that did not pass are blocked.
    pub stop: bool,
    /// How long to wait between cells.
    pub pause: Duration,
}

/// Where something of the checklist is made: in which cells, with which values.
pub(super) struct Spot {
    /// The cells, the outermost first.
    pub cells: Vec<Cell>,
    /// Their names, joined by dots; empty outside of every matrix.
    pub path: Arc<str>,
    /// The values that templates may use: inputs and cells.
    pub scope: Scope,
    /// The same with every value of the cells empty: what a name is without them.
    blank: Option<Scope>,
    /// The values of the cells alone.
    pub values: Arc<Map<String, Value>>,
}

/// Every matrix of a checklist with its spots.
pub(super) struct Matrices {
    /// The matrix of the whole checklist.
    pub top: Option<Matrix>,
    /// The matrix of each section.
    pub sections: Vec<Option<Matrix>>,
    /// Outside of every matrix.
    pub outside: Spot,
    /// One for each cell of the whole; the one outside when there is no matrix.
    pub tops: Vec<Spot>,
    /// For each section with a matrix: for each of `tops`, its cells.
    inner: Vec<Vec<Vec<Spot>>>,
}

impl Matrices {
    /// Reads every matrix. All that is wrong is said; variables that are used stay in `reading`.
    pub(super) fn read(checklist: &Checklist, inputs: &Inputs, reading: &mut Reading<'_>) -> Self {
        let top = checklist.node.entry("matrix").map(|(key, node)| read(key.span, node, inputs, reading));
        refuse_between_checkpoints(checklist, reading);
        let of_section = |section: &Section, reading: &mut Reading<'_>| {
            let (key, node) = section.node.entry("matrix")?;
            let matrix = read(key.span, node, inputs, reading);
            refuse_shadows(top.as_ref(), &matrix, reading);
            Some(matrix)
        };
        let mut sections: Vec<_> = checklist.sections.iter().map(|section| of_section(section, reading)).collect();
        let mut top = top;
        if let (Some(top), Some(_)) = (&mut top, checklist.node.get("soak")) {
            top.stop = false;
        }
        limit(checklist, &mut top, &mut sections, reading);
        let outside = Spot::new(Vec::new(), inputs);
        let tops: Vec<_> = match &top {
            Some(matrix) => matrix.cells.iter().map(|cell| Spot::new(vec![cell.clone()], inputs)).collect(),
            None => vec![Spot::new(Vec::new(), inputs)],
        };
        let inside = |matrix: &Matrix, top: &Spot| {
            let cells = |cell: &Cell| top.cells.iter().chain([cell]).cloned().collect();
            matrix.cells.iter().map(|cell| Spot::new(cells(cell), inputs)).collect()
        };
        let inner = sections.iter().map(|matrix| match matrix {
            Some(matrix) => tops.iter().map(|top| inside(matrix, top)).collect(),
            None => Vec::new(),
        });
        let inner = inner.collect();
        Self { top, sections, outside, tops, inner }
    }

    /// Walks over every spot, that outside of all cells among them.
    pub(super) fn everywhere(&self) -> impl Iterator<Item = &Spot> {
        [&self.outside].into_iter().chain(&self.tops).chain(self.inner.iter().flatten().flatten())
    }

    /// Returns the spots of a section within one cell of the whole.
    pub(super) fn spots(&self, section: usize, top: usize) -> &[Spot] {
        match self.inner.get(section).and_then(|tops| tops.get(top)) {
            Some(spots) => spots,
            None => std::slice::from_ref(&self.tops[top]),
        }
    }

    /// Finds the matrix that gives values to a name: nothing as position stands for that of the whole checklist.
    pub(super) fn giving(&self, section: Option<usize>, name: &str) -> Option<Option<usize>> {
        let has = |matrix: &Option<Matrix>| matrix.as_ref().is_some_and(|m| m.names.iter().any(|(n, _)| n == name));
        match section.filter(|&section| has(&self.sections[section])) {
            Some(section) => Some(Some(section)),
            None => has(&self.top).then_some(None),
        }
    }
}

impl Spot {
    fn new(cells: Vec<Cell>, inputs: &Inputs) -> Self {
        let names: Vec<_> = cells.iter().map(|cell| cell.id.as_str()).filter(|id| !id.is_empty()).collect();
        let path = names.join(".").into();
        let values: Map<String, Value> = cells
            .iter()
            .flat_map(|cell| cell.values.iter().map(|(name, value)| (name.clone(), value.clone())))
            .collect();
        let scope = |values: Option<Map<String, Value>>| {
            let inputs = ("inputs".to_owned(), Value::Object(inputs.values.clone()));
            let matrix = values.map(|values| ("matrix".to_owned(), Value::Object(values)));
            Scope::new([inputs].into_iter().chain(matrix).collect())
        };
        let within = (!cells.is_empty()).then(|| values.clone());
        let empty = |values: Map<String, Value>| values.into_iter().map(|(name, _)| (name, Value::from(""))).collect();
        let blank = within.clone().map(|values| scope(Some(empty(values))));
        Self { path, scope: scope(within), blank, values: Arc::new(values), cells }
    }

    /// Returns what a text is without the values of the cells, as far as that can be told.
    pub(super) fn without_cells(&self, template: &crate::template::Template) -> Option<String> {
        template.render(self.blank.as_ref()?).ok()
    }
}

/// Tells whether anything in a tree uses the values of a cell.
pub(super) fn mentions_cells(node: &Node) -> bool {
    match &node.data {
        Data::Scalar { text, .. } => text.contains("matrix."),
        Data::List(items) => items.iter().any(mentions_cells),
        Data::Map(entries) => entries.iter().any(|(key, value)| mentions_cells(key) || mentions_cells(value)),
    }
}

fn read(key: Span, node: &Node, inputs: &Inputs, reading: &mut Reading<'_>) -> Matrix {
    let own = |key: &Node| MATRIX_KEYS.iter().any(|field| key.text() == Some(field.key));
    let axes: Vec<_> = node.map().unwrap_or_default().iter().filter(|(key, _)| !own(key)).collect();
    let rows = node.entry("rows");
    let parallel = node.get("order").and_then(Node::text) == Some("parallel");
    let pause = node.get("pause").and_then(|n| reading.duration(n)).unwrap_or_default();
    for name in ["on_failure", "pause"] {
        if let Some((key, _)) = node.entry(name).filter(|(_, v)| parallel && v.text() != Some("continue")) {
            let message = format!("{name:?} has no meaning for cells that run side by side");
            say(reading, key.span, message, "write `order: sequential`, or leave it out");
        }
    }
    let columns = match rows {
        Some((rows_key, rows)) => {
            if let Some((axis, _)) = axes.first() {
                let message = "a matrix has either axes or `rows`".to_owned();
                let diagnostic = Diagnostic::error("bad-matrix", axis.span, message).also(rows_key.span, "the rows");
                reading.say(diagnostic.help("write the axis as a column of each row"));
            }
            columns_of_rows(rows_key, rows, inputs, reading)
        }
        None => columns_of_axes(key, &axes, inputs, reading),
    };
    let stop = node.get("on_failure").and_then(Node::text).map_or(!parallel, |text| text == "stop");
    let Columns { names, rows } = columns;
    for (name, span) in &names {
        if !name.chars().all(|c| c.is_alphanumeric() || c == '_') || name.starts_with(|c: char| c.is_ascii_digit()) {
            let message = format!("{name:?} cannot be used as {{{{ matrix.{name} }}}}");
            reading.say(Diagnostic::error("bad-id", *span, message).help("use letters, digits and underscores"));
        }
    }
    let cells =
        rows.and_then(|rows| named_cells(key, &names, rows, reading)).unwrap_or_else(|| vec![nobody_knows(&names)]);
    Matrix { names, cells, parallel, stop, pause }
}

/// The values of all cells, a row for each; nothing when they are not known.
struct Columns {
    names: Vec<(String, Span)>,
    rows: Option<Vec<Vec<Value>>>,
}

fn columns_of_axes(key: Span, axes: &[&(Node, Node)], inputs: &Inputs, reading: &mut Reading<'_>) -> Columns {
    let names: Vec<_> = axes.iter().map(|(key, _)| (key.text().unwrap_or_default().to_owned(), key.span)).collect();
    if axes.is_empty() {
        say(reading, key, "the matrix has no axes".to_owned(), "give it one: `matrix: { region: [us-east, eu-west] }`");
    }
    let values: Vec<_> = axes.iter().map(|(key, node)| axis(key, node, inputs, reading)).collect();
    let known: Option<Vec<Vec<Value>>> = values.into_iter().collect();
    let count = known.as_ref().map_or(0, |axes| axes.iter().fold(1_usize, |n, axis| n.saturating_mul(axis.len())));
    if count > MOST_CELLS {
        say_too_many(reading, key, count);
        return Columns { names, rows: None };
    }
    let product = |axes: Vec<Vec<Value>>| {
        axes.iter().fold(vec![Vec::new()], |rows: Vec<Vec<Value>>, axis| {
            let longer = |row: &Vec<Value>| {
                axis.iter().map(|v| [row.as_slice(), std::slice::from_ref(v)].concat()).collect::<Vec<_>>()
            };
            rows.iter().flat_map(longer).collect()
        })
    };
    Columns { rows: known.filter(|axes| !axes.is_empty()).map(product), names }
}

/// Reads the values of an axis: a list, or an input that is one. Nothing when they are not known.
fn axis(key: &Node, node: &Node, inputs: &Inputs, reading: &mut Reading<'_>) -> Option<Vec<Value>> {
    let values = match node.list() {
        Some(items) => items.iter().map(|item| value(item, inputs, reading)).collect::<Option<Vec<_>>>()?,
        None => match value_of_any_kind(node, inputs, reading)? {
            Value::Array(items) => items,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                let message = format!("an axis is a list of values, this is {}", node.form());
                say(reading, node.span, message, "write the values in brackets: `[us-east, eu-west]`");
                return None;
            }
        },
    };
    if values.is_empty() {
        let message = format!("the axis {:?} has no values, so nothing would run", key.text().unwrap_or_default());
        say(reading, node.span, message, "give it at least one");
        return None;
    }
    Some(values)
}

fn columns_of_rows(key: &Node, rows: &Node, inputs: &Inputs, reading: &mut Reading<'_>) -> Columns {
    let items = rows.list().unwrap_or_default();
    let Some(first) = items.first() else {
        say(reading, key.span, "the matrix has no rows, so nothing would run".to_owned(), "give it at least one");
        return Columns { names: Vec::new(), rows: None };
    };
    let keys = |row: &Node| -> Vec<(String, Span)> {
        let entries = row.map().unwrap_or_default();
        entries.iter().map(|(key, _)| (key.text().unwrap_or_default().to_owned(), key.span)).collect()
    };
    let names = keys(first);
    let mut good = items.len() <= MOST_CELLS;
    if !good {
        say_too_many(reading, key.span, items.len());
    }
    for row in items.iter().take(MOST_CELLS) {
        let own: Vec<_> = keys(row).into_iter().map(|(name, _)| name).collect();
        let missing = names.iter().find(|(name, _)| !own.contains(name));
        let further = own.iter().find(|name| names.iter().all(|(n, _)| n != *name));
        let message = match (missing, further) {
            (Some((name, _)), _) => format!("this row has no {name:?}, the first one has"),
            (None, Some(name)) => format!("this row has {name:?}, the first one has not"),
            (None, None) => continue,
        };
        good = false;
        say(reading, row.span, message, "give every row the same keys");
    }
    let row = |row: &Node, reading: &mut Reading<'_>| -> Option<Vec<Value>> {
        let values = names.iter().map(|(name, _)| value(row.get(name)?, inputs, reading));
        values.collect()
    };
    let read: Vec<_> = items.iter().take(MOST_CELLS).map(|item| row(item, reading)).collect();
    let rows = read.into_iter().collect::<Option<Vec<_>>>().filter(|_| good);
    Columns { names, rows }
}

/// Reads one value of a cell: a single one.
fn value(node: &Node, inputs: &Inputs, reading: &mut Reading<'_>) -> Option<Value> {
    let value = value_of_any_kind(node, inputs, reading)?;
    if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
        let form = if value.is_null() { "nothing" } else { node.form() };
        say(
            reading,
            node.span,
            format!("a value of a cell is text, a number, or true or false, this is {form}"),
            "write a single value",
        );
        return None;
    }
    Some(value)
}

/// Fills in the inputs. Nothing when a mistake was said, or when an input that is used has no value yet.
fn value_of_any_kind(node: &Node, inputs: &Inputs, reading: &mut Reading<'_>) -> Option<Value> {
    let Some(text) = node.text().filter(|text| text.contains("{{")) else { return Some(node.json()) };
    let text = text.trim();
    let before = reading.references.len();
    let filled = reading.known_text(node);
    let secret = |name: &str| inputs.shown.iter().any(|input| input.name == name && input.secret);
    let used = &reading.references[before..];
    if let Some(name) = used.iter().filter_map(|(r, _)| r.name.as_deref()).find(|name| secret(name)) {
        let message = format!("input {name:?} is a secret, and the values of cells are shown in names");
        reading.say(Diagnostic::error("bad-matrix", node.span, message).help("use an input that is none"));
        return None;
    }
    let filled = filled?;
    // A whole `{{ … }}` has the type of its value: an input may be the list of an axis.
    let inner = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).filter(|inner| !inner.contains("{{"));
    let whole = inner.and_then(|inner| Expression::parse(inner.trim()).ok()?.evaluate(reading.inputs).ok());
    Some(whole.unwrap_or(Value::String(filled)))
}

/// Gives every cell a name: that of its first values, as many of them as it takes to tell the cells apart.
fn named_cells(
    key: Span,
    names: &[(String, Span)],
    rows: Vec<Vec<Value>>,
    reading: &mut Reading<'_>,
) -> Option<Vec<Cell>> {
    let word = |value: &Value| id::kebab(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let name = |row: &[Value]| row.iter().map(word).collect::<Vec<_>>().join("-");
    let distinct = |width: usize| {
        let ids: HashSet<_> = rows.iter().map(|row| name(&row[..width])).collect();
        ids.len() == rows.len()
    };
    if let Some(value) = rows.iter().flatten().find(|value| word(value).is_empty()) {
        let message = format!("the value {value} holds nothing to make a name of");
        say(reading, key, message, "use letters or digits: the names of steps carry the values of their cell");
        return None;
    }
    let Some(width) = (1..=names.len()).find(|&width| distinct(width)) else {
        let mut seen = HashSet::new();
        let twice = rows.iter().map(|row| name(row)).find(|id| !seen.insert(id.clone())).unwrap_or_default();
        let message = format!("two cells of the matrix have the name {twice:?}");
        say(reading, key, message, "remove one of them, or give them values that differ in letters or digits");
        return None;
    };
    let cell = |row: Vec<Value>| {
        let id = name(&row[..width]);
        let values: IndexMap<_, _> = names.iter().map(|(name, _)| name.clone()).zip(row).collect();
        Cell { id, values }
    };
    Some(rows.into_iter().map(cell).collect())
}

/// Makes the cell that stands for all of them while their values are not known.
fn nobody_knows(names: &[(String, Span)]) -> Cell {
    Cell { id: String::new(), values: names.iter().map(|(name, _)| (name.clone(), Value::Null)).collect() }
}

/// In a soak every occasion goes through all cells: waiting between them or leaving the rest out has no place there.
fn refuse_between_checkpoints(checklist: &Checklist, reading: &mut Reading<'_>) {
    let (Some(node), Some((soak, _))) = (checklist.node.get("matrix"), checklist.node.entry("soak")) else { return };
    for name in ["pause", "on_failure"] {
        if let Some((key, _)) = node.entry(name).filter(|(_, value)| value.text() != Some("continue")) {
            let message = format!("{name:?} has no meaning in a soak: every checkpoint goes through all cells");
            let diagnostic = Diagnostic::error("bad-matrix", key.span, message).also(soak.span, "the soak");
            reading.say(diagnostic.help("leave it out; what has to go wrong in one cell alone stops that cell alone"));
        }
    }
}

fn refuse_shadows(top: Option<&Matrix>, matrix: &Matrix, reading: &mut Reading<'_>) {
    let outer = top.map(|top| top.names.as_slice()).unwrap_or_default();
    for (name, span) in &matrix.names {
        if let Some((_, first)) = outer.iter().find(|(n, _)| n == name) {
            let message = format!("{name:?} is an axis of the whole checklist already");
            let diagnostic = Diagnostic::error("bad-matrix", *span, message).also(*first, "the first one");
            reading.say(diagnostic.help("give one of them another name"));
        }
    }
}

/// Refuses what would make more cells or steps than anybody reads; the cells then stand for one.
fn limit(checklist: &Checklist, top: &mut Option<Matrix>, sections: &mut [Option<Matrix>], reading: &mut Reading<'_>) {
    let tops = top.as_ref().map_or(1, |m| m.cells.len());
    let inner = |matrix: &Option<Matrix>| matrix.as_ref().map_or(0, |m| m.cells.len());
    let cells = tops.saturating_mul(1 + sections.iter().map(inner).sum::<usize>());
    let steps =
        checklist.sections.iter().zip(sections.iter()).map(|(s, m)| s.steps.len().saturating_mul(inner(m).max(1)));
    let steps = steps.sum::<usize>().saturating_mul(tops);
    let of_section = checklist.sections.iter().find_map(|section| section.node.entry("matrix"));
    let Some((place, _)) = checklist.node.entry("matrix").or(of_section) else { return };
    if cells > MOST_CELLS + 1 {
        say_too_many(reading, place.span, cells);
    } else if steps > MOST_STEPS {
        let message = format!("the cells make {steps} steps; a run may have {MOST_STEPS}");
        say(reading, place.span, message, "use fewer cells, or a run for each");
    } else {
        return;
    }
    for matrix in [top].into_iter().chain(sections).flatten() {
        matrix.cells.truncate(1);
    }
}

fn say_too_many(reading: &mut Reading<'_>, place: Span, count: usize) {
    say(
        reading,
        place,
        format!("the matrix has {count} cells; there may be {MOST_CELLS}"),
        "use a run for each cell instead",
    );
}

fn say(reading: &mut Reading<'_>, place: Span, message: String, help: &str) {
    reading.say(Diagnostic::error("bad-matrix", place, message).help(help));
}
