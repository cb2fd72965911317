//! Data frames: the columns that a query gives, and whether there is anything in them.
//!
//! Source: the answer of <https://grafana.com/docs/grafana/latest/developers/http_api/data_source/#query-a-data-source> and
//! the contract of data frames, <https://grafana.com/developers/dataplane/>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::dashboard::list;
use super::mapping::Cell;
use crate::model::Sample;

/// What a query gave.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) frames: Vec<Frame>,
    /// What the data source remarks: a partial answer.
    pub(super) notices: Vec<String>,
}

/// A table of columns of the same length, that of the time left out.
#[derive(Debug)]
pub(super) struct Frame {
    columns: Vec<Column>,
    rows: usize,
}

#[derive(Debug)]
struct Column {
    name: String,
    labels: BTreeMap<String, String>,
    numeric: bool,
    cells: Vec<Option<Cell>>,
}

/// A number that is shown, and of what.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) sample: Sample,
    pub(super) cell: Cell,
}

/// Reads the answer to one query.
///
/// # Errors
/// Gives the error that Grafana shows instead of data, or says that the answer cannot be read.
pub(super) fn read(result: &Json) -> Result<Given, String> {
    if let Some(error) = result["error"].as_str().filter(|error| !error.trim().is_empty()) {
        return Err(error.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect());
    }
    let status = result["status"].as_u64().unwrap_or(200);
    if status >= 400 {
        return Err(format!("the data source answered {status}"));
    }
    let mut given = Given::default();
    for frame in list(result, "frames") {
        for notice in list(&frame["schema"]["meta"], "notices").iter().filter(|n| n["severity"] != "info") {
            given.notices.extend(notice["text"].as_str().map(str::to_owned));
        }
        given.frames.push(Frame::read(frame)?);
    }
    Ok(given)
}

impl Given {
    /// Tells whether there is at least one value, numbers that are none left out; why not otherwise.
    pub(super) fn has_data(&self) -> Result<(), &'static str> {
        let cells = || self.frames.iter().flat_map(|frame| &frame.columns).flat_map(|column| &column.cells);
        if cells().flatten().any(|cell| !matches!(cell, Cell::Number(number) if number.is_nan())) {
            return Ok(());
        }
        Err(match (cells().next(), cells().flatten().next()) {
            (None, _) => "no data",
            (Some(_), None) => "only empty values",
            (Some(_), Some(_)) => "only NaN",
        })
    }

    /// Names the series.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let numeric = self.frames.iter().flat_map(|frame| &frame.columns).filter(|column| column.numeric);
        numeric.map(|column| column.name.clone()).collect()
    }

    /// Returns what is shown: of each series what `calc` makes of it, or every row. Nothing when it is not known how.
    pub(super) fn shown(&self, calc: &str, every_value: bool) -> Option<Vec<Shown>> {
        let mut shown = Vec::new();
        for frame in &self.frames {
            shown.extend(if every_value { frame.each_row() } else { frame.each_series(calc)? });
        }
        Some(shown)
    }

    /// Returns the last texts, for panels that show no number.
    pub(super) fn texts(&self) -> Vec<Cell> {
        let textual = self.frames.iter().flat_map(|frame| &frame.columns).filter(|column| !column.numeric);
        textual.filter_map(|column| column.cells.iter().flatten().next_back().cloned()).collect()
    }
}

impl Frame {
    fn read(json: &Json) -> Result<Self, String> {
        let fields = list(&json["schema"], "fields");
        let values = list(&json["data"], "values");
        if fields.len() != values.len() && !values.is_empty() {
            return Err(format!("the answer has {} fields and {} columns", fields.len(), values.len()));
        }
        let is_time = |field: &Json| field["type"] == "time" || field["typeInfo"]["frame"] == "time.Time";
        let only_times = fields.iter().all(is_time);
        let mut columns = Vec::new();
        for (at, (field, column)) in
            fields.iter().zip(values).enumerate().filter(|(_, (f, _))| only_times || !is_time(f))
        {
            let Some(cells) = column.as_array() else { return Err("a column of the answer is no list".into()) };
            columns.push(Column::read(field, cells, &json["data"]["entities"][at], &json["schema"]));
        }
        let rows = columns.iter().map(|column| column.cells.len()).max().unwrap_or_default();
        Ok(Self { columns, rows })
    }

    fn each_series(&self, calc: &str) -> Option<Vec<Shown>> {
        let mut shown = Vec::new();
        for column in self.columns.iter().filter(|column| column.numeric) {
            let cells: Vec<Option<f64>> = column.cells.iter().map(|cell| cell.as_ref().and_then(number)).collect();
            if let Some(value) = reduce(calc, &cells)? {
                shown.push(Shown::new(column.labels.clone(), value));
            }
        }
        Some(shown)
    }

    fn each_row(&self) -> Vec<Shown> {
        let mut shown = Vec::new();
        for row in 0..self.rows {
            let text = |column: &Column| match column.cells.get(row) {
                Some(Some(Cell::Text(text))) => Some((column.name.clone(), text.clone())),
                _ => None,
            };
            let labels: BTreeMap<String, String> = self.columns.iter().filter_map(text).collect();
            for column in self.columns.iter().filter(|column| column.numeric) {
                let Some(value) = column.cells.get(row).and_then(Option::as_ref).and_then(number) else { continue };
                let mut labels = labels.clone();
                labels.extend(column.labels.clone());
                labels.entry("field".into()).or_insert_with(|| column.name.clone());
                shown.push(Shown::new(labels, value));
            }
        }
        shown
    }
}

impl Shown {
    fn new(labels: BTreeMap<String, String>, value: f64) -> Self {
        Self { sample: Sample { labels, value }, cell: Cell::Number(value) }
    }
}

impl Column {
    fn read(field: &Json, cells: &[Json], entities: &Json, schema: &Json) -> Self {
        let labels = field["labels"].as_object().into_iter().flatten();
        let labels: BTreeMap<String, String> =
            labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        let mut cells: Vec<Option<Cell>> = cells.iter().map(cell).collect();
        // JSON has no form for these numbers: their places are listed beside.
        for (key, number) in [("NaN", f64::NAN), ("Inf", f64::INFINITY), ("NegInf", f64::NEG_INFINITY)] {
            let places = list(entities, key).iter().filter_map(Json::as_u64).filter_map(|at| usize::try_from(at).ok());
            for at in places {
                if let Some(place) = cells.get_mut(at) {
                    *place = Some(Cell::Number(number));
                }
            }
        }
        let numeric = match field["type"].as_str() {
            Some("number") => true,
            Some(_) => false,
            None => cells.iter().flatten().all(|cell| matches!(cell, Cell::Number(_))),
        };
        Self { name: name(field, &labels, schema), labels, numeric, cells }
    }
}

fn cell(json: &Json) -> Option<Cell> {
    match json {
        Json::Null => None,
        Json::Number(number) => number.as_f64().map(Cell::Number),
        Json::Bool(flag) => Some(Cell::Bool(*flag)),
        Json::String(text) => Some(Cell::Text(text.clone())),
        other @ (Json::Array(_) | Json::Object(_)) => Some(Cell::Text(other.to_string())),
    }
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(number) => Some(*number),
        Cell::Text(_) | Cell::Bool(_) => None,
    }
}

/// Names a series: as the query says, by its labels, by its frame, by its column.
fn name(field: &Json, labels: &BTreeMap<String, String>, schema: &Json) -> String {
    let own = field["name"].as_str().unwrap_or_default();
    let config = &field["config"];
    let said = [&config["displayNameFromDS"], &config["displayName"]].into_iter().find_map(Json::as_str);
    if let Some(said) = said.filter(|said| !said.is_empty()) {
        return said.to_owned();
    }
    if !labels.is_empty() {
        let metric = labels.get("__name__").map(String::as_str).unwrap_or_default();
        let pairs: Vec<_> = labels
            .iter()
            .filter(|(key, _)| *key != "__name__")
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        return if pairs.is_empty() { metric.to_owned() } else { format!("{metric}{{{}}}", pairs.join(", ")) };
    }
    match schema["name"].as_str().filter(|name| !name.is_empty() && own.eq_ignore_ascii_case("value")) {
        Some(frame) => frame.to_owned(),
        None => own.to_owned(),
    }
}

/// Makes one number of a series. Outside: whether it is known how; inside: nothing when there is no number.
fn reduce(calc: &str, cells: &[Option<f64>]) -> Option<Option<f64>> {
    let numbers = || cells.iter().flatten().copied().filter(|number| !number.is_nan());
    let count = numbers().count();
    let some = |value: f64| (count > 0).then_some(value);
    Some(match calc {
        "lastNotNull" => numbers().next_back(),
        "last" => cells.last().copied().flatten(),
        "firstNotNull" => numbers().next(),
        "first" => cells.first().copied().flatten(),
        "min" => numbers().reduce(f64::min),
        "max" => numbers().reduce(f64::max),
        "sum" => some(numbers().sum()),
        "mean" => some(numbers().sum::<f64>() / count.max(1) as f64),
        "count" => some(cells.len() as f64),
        "range" => numbers().reduce(f64::max).zip(numbers().reduce(f64::min)).map(|(max, min)| max - min),
        "diff" => numbers().next_back().zip(numbers().next()).map(|(last, first)| last - first),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frame(values: &Json) -> Json {
        json!({ "schema": { "refId": "A", "fields": [
            { "name": "Time", "type": "time" },
            { "name": "Value", "type": "number", "labels": { "__name__": "up", "job": "api" } },
        ] }, "data": { "values": values } })
    }

    fn given(frames: Json) -> Given {
        read(&json!({ "status": 200, "frames": frames })).expect("frames")
    }

    #[test]
    fn data_empty_answers_and_errors_are_told_apart() {
        assert_eq!(given(json!([])).has_data(), Err("no data"));
        assert_eq!(given(json!([frame(&json!([[], []]))])).has_data(), Err("no data"));
        assert_eq!(given(json!([frame(&json!([[1, 2], [null, null]]))])).has_data(), Err("only empty values"));
        let mut nan = frame(&json!([[1], [null]]));
        nan["data"]["entities"] = json!([null, { "NaN": [0], "Inf": [], "NegInf": [] }]);
        assert_eq!(given(json!([nan])).has_data(), Err("only NaN"));
        assert_eq!(given(json!([frame(&json!([[1, 2], [null, 0]]))])).has_data(), Ok(()));
        let error = read(&json!({ "status": 400, "error": "bad_data: parse error", "frames": [] }));
        assert_eq!(error.err().as_deref(), Some("bad_data: parse error"));
        assert_eq!(
            read(&json!({ "status": 502, "frames": [] })).err().as_deref(),
            Some("the data source answered 502")
        );
        assert!(read(&json!({ "frames": [{ "schema": { "fields": [] }, "data": { "values": [[1]] } }] })).is_err());
    }

    #[test]
    fn a_series_is_reduced_as_its_panel_says() {
        let given = given(json!([frame(&json!([[1, 2, 3], [4, 1, null]]))]));
        let value = |calc: &str| given.shown(calc, false).map(|shown| shown[0].sample.value);
        for (calc, expected) in [
            ("lastNotNull", 1.0),
            ("first", 4.0),
            ("min", 1.0),
            ("max", 4.0),
            ("mean", 2.5),
            ("sum", 5.0),
            ("diff", -3.0),
        ] {
            assert_eq!(value(calc), Some(expected), "{calc}");
        }
        assert!(given.shown("stdDev", false).is_none());
        assert_eq!(given.shown("last", false).map(|shown| shown.len()), Some(0));
        assert_eq!(given.names(), BTreeSet::from(["up{job=\"api\"}".to_owned()]));
    }

    #[test]
    fn a_table_shows_every_row() {
        let given = given(json!([{ "schema": { "fields": [
            { "name": "pod", "type": "string" }, { "name": "Restarts", "type": "number" },
        ] }, "data": { "values": [["a", "b"], [0, 3]] } }]));
        let shown = given.shown("lastNotNull", true).expect("rows");
        let rows: Vec<_> = shown.iter().map(|row| (row.sample.labels["pod"].as_str(), row.sample.value)).collect();
        assert_eq!(rows, [("a", 0.0), ("b", 3.0)]);
    }
}
