//! Value mappings and thresholds: how a panel words and colours its values.
//!
//! Source: <https://grafana.com/docs/grafana/latest/panels-visualizations/configure-value-mappings/>.

use regex::Regex;
use serde_json::Value as Json;

use super::dashboard::{list, text};
use crate::model::quantity;

/// What a value is shown as.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    of: Of,
    text: Option<String>,
    color: Option<String>,
}

/// Which values are meant.
#[derive(Clone, Debug)]
enum Of {
    Value(String),
    Range(Option<f64>, Option<f64>),
    Pattern(String),
    Special(String),
}

/// A value that is to be shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Number(f64),
    Text(String),
    Bool(bool),
}

impl Cell {
    /// Returns the value as it is shown without a mapping.
    fn plain(&self) -> String {
        match self {
            Cell::Number(number) => quantity::plain(*number),
            Cell::Text(text) => text.clone(),
            Cell::Bool(flag) => flag.to_string(),
        }
    }
}

impl Mapping {
    /// Says the mapping: `0=Down (red)`, `0..5=Low`, `/^4/=Client`, `null=N/A`.
    pub(super) fn words(&self) -> String {
        let end = |end: Option<f64>| end.map(quantity::plain).unwrap_or_default();
        let of = match &self.of {
            Of::Value(value) | Of::Special(value) => value.clone(),
            Of::Range(from, to) => format!("{}..{}", end(*from), end(*to)),
            Of::Pattern(pattern) => format!("/{}/", bare(pattern)),
        };
        let color = self.color.as_ref().map(|color| format!(" ({color})")).unwrap_or_default();
        format!("{of}={}{color}", self.text.as_deref().unwrap_or_default())
    }

    /// Returns what a value is shown as; nothing when it is not meant.
    fn of(&self, cell: &Cell) -> Option<String> {
        let shown = || self.text.clone().unwrap_or_else(|| cell.plain());
        match (&self.of, cell) {
            (Of::Value(value), Cell::Number(number)) => {
                value.trim().parse::<f64>().is_ok_and(|value| value == *number).then(shown)
            }
            (Of::Value(value), other) => (*value == other.plain()).then(shown),
            (Of::Range(from, to), Cell::Number(number)) => {
                (from.is_none_or(|from| *number >= from) && to.is_none_or(|to| *number <= to)).then(shown)
            }
            (Of::Range(..), _) => None,
            (Of::Pattern(pattern), cell) => {
                let regex = Regex::new(bare(pattern)).ok()?;
                let plain = cell.plain();
                regex.is_match(&plain).then(|| match &self.text {
                    Some(text) => regex.replace(&plain, text.as_str()).into_owned(),
                    None => plain,
                })
            }
            (Of::Special(special), cell) => {
                let meant = match (special.as_str(), cell) {
                    ("true", Cell::Bool(flag)) => *flag,
                    ("false", Cell::Bool(flag)) => !*flag,
                    ("nan" | "null+nan", Cell::Number(number)) => number.is_nan(),
                    ("empty", Cell::Text(text)) => text.is_empty(),
                    _ => false,
                };
                meant.then(shown)
            }
        }
    }
}

/// Returns what a value is shown as, by the first mapping that means it.
pub(super) fn shown(mappings: &[Mapping], cell: &Cell) -> String {
    mappings.iter().find_map(|mapping| mapping.of(cell)).unwrap_or_else(|| cell.plain())
}

fn bare(pattern: &str) -> &str {
    let inner = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    inner.unwrap_or(pattern)
}

/// Reads the mappings of a panel: its own, those of single fields, and those of older versions of Grafana.
pub(super) fn read(panel: &Json) -> Vec<Mapping> {
    let field = &panel["fieldConfig"];
    let lists = [list(&field["defaults"], "mappings")].into_iter().chain(overridden(field, "mappings"));
    let mut mappings: Vec<Mapping> = lists.flatten().flat_map(one).collect();
    let plain = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    for old in list(panel, "valueMaps") {
        mappings.push(Mapping { of: Of::Value(plain(&old["value"])), text: text(old, "text"), color: None });
    }
    for old in list(panel, "rangeMaps").iter().filter(|_| panel["mappingType"] == 2) {
        mappings.push(Mapping { of: range(old), text: text(old, "text"), color: None });
    }
    mappings
}

/// Finds what single fields have instead of the panel's own.
fn overridden<'a>(field: &'a Json, id: &'static str) -> impl Iterator<Item = &'a [Json]> {
    let properties = list(field, "overrides").iter().flat_map(|over| list(over, "properties"));
    properties.filter(move |property| property["id"] == id).map(|property| list(property, "value"))
}

/// Reads an entry, which holds several mappings when it is of values.
fn one(entry: &Json) -> Vec<Mapping> {
    let options = &entry["options"];
    let with = |of: Of, result: &Json| Mapping { of, text: text(result, "text"), color: text(result, "color") };
    match entry["type"].as_str() {
        Some("value") => {
            let mut all: Vec<_> = options.as_object().into_iter().flatten().collect();
            all.sort_by_key(|(_, result)| result["index"].as_i64());
            all.into_iter().map(|(value, result)| with(Of::Value(value.clone()), result)).collect()
        }
        Some("range") => vec![with(range(options), &options["result"])],
        Some("regex") => vec![with(Of::Pattern(text(options, "pattern").unwrap_or_default()), &options["result"])],
        Some("special") => vec![with(Of::Special(text(options, "match").unwrap_or_default()), &options["result"])],
        // Before Grafana 8 a mapping was a number for its type, with everything beside it.
        _ => match entry["type"].as_i64() {
            Some(1) => vec![with(Of::Value(text(entry, "value").unwrap_or_else(|| entry["value"].to_string())), entry)],
            Some(2) => vec![with(range(entry), entry)],
            _ => Vec::new(),
        },
    }
}

fn range(json: &Json) -> Of {
    let end = |key: &str| json[key].as_f64().or_else(|| json[key].as_str()?.trim().parse().ok());
    Of::Range(end("from"), end("to"))
}

/// Says the thresholds of a panel: `base=green`, `80=red`, `90%=red`.
pub(super) fn thresholds(panel: &Json) -> Vec<String> {
    let field = &panel["fieldConfig"];
    let overrides = list(field, "overrides").iter().flat_map(|over| list(over, "properties"));
    let own = std::iter::once(&field["defaults"]["thresholds"]);
    let all = own.chain(overrides.filter(|property| property["id"] == "thresholds").map(|property| &property["value"]));
    let mut said: Vec<String> = all.flat_map(steps).collect();
    // Before Grafana 7: `"50,80"` and three colours.
    if let Some(limits) = panel["thresholds"].as_str().filter(|limits| !limits.is_empty()) {
        let values = std::iter::once("base").chain(limits.split(',').map(str::trim));
        let colors = list(panel, "colors").iter().filter_map(Json::as_str);
        said.extend(values.zip(colors).map(|(value, color)| format!("{value}={color}")));
    }
    said
}

fn steps(thresholds: &Json) -> Vec<String> {
    let sign = if thresholds["mode"] == "percentage" { "%" } else { "" };
    let step = |(at, step): (usize, &Json)| {
        let color = step["color"].as_str().unwrap_or_default();
        match step["value"].as_f64().filter(|_| at > 0 || step["value"].is_number()) {
            Some(value) if value.is_finite() => format!("{}{sign}={color}", quantity::plain(value)),
            _ => format!("base={color}"),
        }
    };
    list(thresholds, "steps").iter().enumerate().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mappings_of_every_kind_are_said_and_applied() {
        let panel = json!({ "fieldConfig": { "defaults": { "mappings": [
            { "type": "value", "options": { "1": { "text": "Up", "color": "green", "index": 1 }, "0": { "text": "Down", "color": "red", "index": 0 } } },
            { "type": "range", "options": { "from": 2, "to": null, "result": { "text": "Many" } } },
            { "type": "regex", "options": { "pattern": "^www\\.(\\w+)", "result": { "text": "$1" } } },
            { "type": "special", "options": { "match": "nan", "result": { "text": "N/A" } } },
        ] } } });
        let mappings = read(&panel);
        let words: Vec<_> = mappings.iter().map(Mapping::words).collect();
        assert_eq!(words, ["0=Down (red)", "1=Up (green)", "2..=Many", "/^www\\.(\\w+)/=$1", "nan=N/A"]);
        for (cell, expected) in [
            (Cell::Number(0.0), "Down"),
            (Cell::Number(1.0), "Up"),
            (Cell::Number(7.0), "Many"),
            (Cell::Number(0.5), "0.5"),
            (Cell::Number(f64::NAN), "N/A"),
            (Cell::Text("www.example".into()), "example"),
            (Cell::Text("1".into()), "Up"),
        ] {
            assert_eq!(shown(&mappings, &cell), expected, "{cell:?}");
        }
    }

    #[test]
    fn mappings_and_thresholds_of_older_versions_are_read() {
        let seven = json!({ "fieldConfig": { "defaults": {
            "mappings": [{ "id": 0, "type": 1, "value": "0", "text": "Down" }, { "type": 2, "from": "1", "to": "9", "text": "Up" }],
            "thresholds": { "mode": "percentage", "steps": [{ "color": "green", "value": null }, { "color": "red", "value": 80 }] },
        } } });
        assert_eq!(read(&seven).iter().map(Mapping::words).collect::<Vec<_>>(), ["0=Down", "1..9=Up"]);
        assert_eq!(thresholds(&seven), ["base=green", "80%=red"]);
        let six = json!({ "valueMaps": [{ "op": "=", "value": "1", "text": "OK" }], "thresholds": "50,80",
                          "colors": ["green", "orange", "red"] });
        assert_eq!(read(&six).iter().map(Mapping::words).collect::<Vec<_>>(), ["1=OK"]);
        assert_eq!(thresholds(&six), ["base=green", "50=orange", "80=red"]);
    }
}
