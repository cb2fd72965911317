//! One panel: its type, its queries, and how it shows what they give.

use serde_json::{Map, Value as Json};

use super::dashboard::{Placed, list, text};
use super::mapping::{self, Mapping};

/// Panels that show something without a query: those whose plugin declares that it skips queries.
const NEED_NO_QUERY: &[&str] = &[
    "text",
    "news",
    "dashlist",
    "alertlist",
    "alertGroups",
    "annolist",
    "welcome",
    "gettingstarted",
    "pluginlist",
    "live",
];
/// Keys of a query that say how it is asked or drawn, not what.
const ABOUT: &[&str] = &[
    "refId",
    "datasource",
    "hide",
    "key",
    "legendFormat",
    "range",
    "instant",
    "exemplar",
    "format",
    "interval",
    "intervalFactor",
    "intervalMs",
    "maxDataPoints",
    "editorMode",
    "queryType",
    "step",
    "useBackend",
    "resultFormat",
    "metric",
    "disableTextWrap",
    "fullMetaSearch",
    "includeNullMetadata",
    "maxLines",
    "resolution",
    "datasourceId",
];
/// The keys under which queries stand as text.
const TEXTS: &[&str] = &["expr", "rawSql", "query", "target", "rawQuery", "expression", "queryText"];
/// The points that a query is asked for when the panel does not say: about as many as a panel is wide.
const USUAL_POINTS: u64 = 1000;

/// A panel of a dashboard.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) id: Option<i64>,
    pub(super) title: String,
    pub(super) kind: String,
    pub(super) row: Option<String>,
    pub(super) place: usize,
    pub(super) repeats: Vec<String>,
    pub(super) queries: Vec<Query>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) thresholds: Vec<String>,
    /// What the panel makes one number of a series with: `lastNotNull`, `mean`.
    pub(super) calc: String,
    /// Whether it shows every value instead of one a series.
    pub(super) every_value: bool,
    /// What the browser does with the data before it is shown.
    pub(super) transformations: Vec<String>,
    /// The least step of its queries, as Grafana writes it: `30s`.
    pub(super) interval: Option<String>,
    pub(super) max_points: u64,
    /// Its own time, as Grafana writes it, and how far it is shifted back.
    pub(super) time_from: Option<String>,
    pub(super) time_shift: Option<String>,
    /// Why it cannot be shown whatever its queries give.
    pub(super) fault: Option<String>,
}

/// A query of a panel.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) ref_id: String,
    pub(super) hidden: bool,
    /// The data source as it is written, that of the panel if it has none.
    pub(super) datasource: Json,
    /// The query as it is stored, variables unfilled.
    pub(super) body: Map<String, Json>,
}

impl Panel {
    /// Reads a panel.
    pub(super) fn read(placed: &Placed, fault: Option<String>) -> Self {
        let json = &placed.json;
        let kind = text(json, "type").unwrap_or_else(|| "unknown".into());
        let reduce = &json["options"]["reduceOptions"];
        Self {
            id: json["id"].as_i64(),
            title: text(json, "title").unwrap_or_default(),
            row: placed.row.clone(),
            place: placed.place,
            repeats: placed.repeats.clone(),
            queries: queries(json),
            mappings: mapping::read(json),
            thresholds: mapping::thresholds(json),
            calc: calc(json, &kind),
            every_value: kind == "table" || reduce["values"] == true,
            transformations: transformations(json),
            interval: text(json, "interval"),
            max_points: json["maxDataPoints"].as_u64().filter(|points| *points > 0).unwrap_or(USUAL_POINTS),
            time_from: text(json, "timeFrom"),
            time_shift: text(json, "timeShift"),
            fault,
            kind,
        }
    }

    /// Tells whether it needs a query to show anything.
    pub(super) fn needs_query(&self) -> bool {
        !NEED_NO_QUERY.contains(&self.kind.as_str())
    }

    /// Walks over the queries whose answers it shows, those that ask nothing left out.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Query> {
        self.queries.iter().filter(|query| !query.hidden && !query.is_empty())
    }

    /// Lists the queries that are sent: hidden ones only where an expression may use them.
    pub(super) fn sent(&self) -> Vec<&Query> {
        let computed = self.shown().any(Query::is_expression);
        self.queries.iter().filter(|query| !query.is_empty() && (computed || !query.hidden)).collect()
    }

    /// Names it so that it is told apart from another of the same title.
    pub(super) fn name(&self) -> String {
        match self.id {
            Some(id) if self.title.is_empty() => format!("#{id}"),
            _ => self.title.clone(),
        }
    }
}

impl Query {
    /// Tells whether it asks nothing: it was added to the panel and never written.
    fn is_empty(&self) -> bool {
        let written = |key: &&str| self.body.get(*key).and_then(Json::as_str);
        // Where a query is one text, nothing else counts.
        if let Some(text) = ["expr", "rawSql", "target"].iter().find_map(written) {
            return text.trim().is_empty();
        }
        if self.is_builtin() {
            return false;
        }
        !self.body.iter().any(|(key, value)| !ABOUT.contains(&key.as_str()) && is_something(value))
    }

    /// Tells whether Grafana itself answers it.
    fn is_builtin(&self) -> bool {
        let uid = self.datasource["uid"].as_str().or_else(|| self.datasource.as_str());
        matches!(uid, Some("grafana" | "-- Grafana --"))
    }

    /// Tells whether it computes with the answers of other queries.
    pub(super) fn is_expression(&self) -> bool {
        self.datasource["uid"] == "__expr__" || self.datasource["type"] == "__expr__" || self.datasource == "__expr__"
    }

    /// Returns what it asks, as it is written: its text, or its JSON where it is none.
    pub(super) fn text(&self) -> String {
        let written = |key: &&str| self.body.get(*key).and_then(Json::as_str).map(str::trim);
        match TEXTS.iter().find_map(written).filter(|text| !text.is_empty()) {
            Some(text) => text.to_owned(),
            None => {
                let rest = self.body.iter().filter(|(key, _)| !["refId", "hide", "datasource"].contains(&key.as_str()));
                Json::Object(rest.map(|(key, value)| (key.clone(), value.clone())).collect()).to_string()
            }
        }
    }
}

fn is_something(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(_) => false,
        Json::Number(_) => true,
        Json::String(text) => !text.trim().is_empty(),
        Json::Array(items) => items.iter().any(is_something),
        Json::Object(fields) => fields.values().any(is_something),
    }
}

fn queries(panel: &Json) -> Vec<Query> {
    let targets = list(panel, "targets").iter().filter_map(Json::as_object);
    let mixed = |json: &Json| json == "-- Mixed --" || json["uid"] == "-- Mixed --";
    let own = if mixed(&panel["datasource"]) { &Json::Null } else { &panel["datasource"] };
    let query = |(at, body): (usize, &Map<String, Json>)| Query {
        ref_id: match body.get("refId").and_then(Json::as_str) {
            Some(id) if !id.is_empty() => id.to_owned(),
            // As Grafana names them: A, B, C.
            _ => u8::try_from(at).map_or_else(|_| at.to_string(), |at| char::from(b'A' + at % 26).to_string()),
        },
        hidden: body.get("hide") == Some(&Json::Bool(true)),
        datasource: body.get("datasource").filter(|source| !source.is_null() && !mixed(source)).unwrap_or(own).clone(),
        body: body.clone(),
    };
    targets.enumerate().map(query).collect()
}

fn calc(panel: &Json, kind: &str) -> String {
    let usual = "lastNotNull".to_owned();
    match kind {
        "stat" | "gauge" | "bargauge" | "piechart" => list(&panel["options"]["reduceOptions"], "calcs")
            .first()
            .and_then(Json::as_str)
            .map_or(usual, str::to_owned),
        "singlestat" => match panel["valueName"].as_str() {
            Some("avg") => "mean".into(),
            Some("total") => "sum".into(),
            Some("current") | None => usual,
            Some(other) => other.to_owned(),
        },
        _ => usual,
    }
}

fn transformations(panel: &Json) -> Vec<String> {
    let on = |transformation: &&Json| transformation["disabled"] != true;
    list(panel, "transformations").iter().filter(on).filter_map(|transformation| text(transformation, "id")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn panel(json: Json) -> Panel {
        Panel::read(&Placed { json, row: None, place: 1, repeats: Vec::new() }, None)
    }

    #[test]
    fn a_query_that_asks_nothing_is_none() {
        let shown = |targets: Json| panel(json!({ "type": "stat", "targets": targets })).shown().count();
        assert_eq!(shown(json!([{ "refId": "A", "expr": " " }])), 0);
        assert_eq!(shown(json!([{ "refId": "A", "expr": "", "legendFormat": "x", "instant": true }])), 0);
        assert_eq!(shown(json!([{ "refId": "A", "datasource": { "uid": "es" } }])), 0);
        assert_eq!(shown(json!([{ "refId": "A", "metrics": [{ "type": "count" }], "query": "" }])), 1);
        assert_eq!(shown(json!([{ "refId": "A", "expr": "up", "hide": true }])), 0);
        assert_eq!(shown(json!([{ "refId": "A", "datasource": { "type": "datasource", "uid": "grafana" } }])), 1);
    }

    #[test]
    fn hidden_queries_are_sent_only_for_an_expression() {
        let a = json!({ "refId": "A", "expr": "up", "hide": true, "datasource": { "uid": "p" } });
        let b = json!({ "refId": "B", "type": "math", "expression": "$A * 2", "datasource": { "uid": "__expr__" } });
        assert_eq!(panel(json!({ "targets": [a] })).sent().len(), 0);
        let both = panel(json!({ "targets": [a, b] }));
        assert_eq!(both.sent().iter().map(|q| q.ref_id.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(both.shown().map(Query::text).collect::<Vec<_>>(), ["$A * 2"]);
    }
}
