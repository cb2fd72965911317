//! The second form of a dashboard: `elements`, and a `layout` that says where they stand. It is turned into the classic
//! one, so that everything behind this file knows one form.
//!
//! Source: the v2 schema of `dashboard.grafana.app`, v2alpha1 and v2beta1,
//! <https://grafana.com/docs/grafana/latest/observability-as-code/schema-v2/>.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::dashboard::{Dashboard, Placed, list, text};

/// How deep layouts may be nested.
const MOST_DEPTH: usize = 8;

/// Reads the second form.
///
/// # Errors
/// Says that it has no layout.
pub(super) fn read(spec: &Json) -> Result<Dashboard, String> {
    let Some(elements) = spec["elements"].as_object() else { return Err("the elements are no map".into()) };
    let layout = &spec["layout"];
    if !layout["kind"].is_string() {
        return Err("the dashboard has elements and no layout".into());
    }
    let mut reading = Reading { elements, placed: BTreeSet::new(), dashboard: Dashboard::default() };
    reading.layout(layout, None, &[], 0);
    let Reading { placed, mut dashboard, .. } = reading;
    let nowhere: Vec<_> = elements.keys().filter(|name| !placed.contains(name.as_str())).cloned().collect();
    if !nowhere.is_empty() {
        dashboard.remarks.push(format!("in no layout, so not shown and not counted: {}", nowhere.join(", ")));
    }
    dashboard.title = text(spec, "title").unwrap_or_default();
    dashboard.annotations = annotations(spec);
    dashboard.variables = list(spec, "variables").iter().map(variable).collect();
    dashboard.from = text(&spec["timeSettings"], "from");
    dashboard.to = text(&spec["timeSettings"], "to");
    Ok(dashboard)
}

fn annotations(spec: &Json) -> Vec<String> {
    let specs = list(spec, "annotations").iter().map(|annotation| &annotation["spec"]);
    specs.filter(|annotation| annotation["enable"] != false).filter_map(|annotation| text(annotation, "name")).collect()
}

struct Reading<'a> {
    elements: &'a Map<String, Json>,
    placed: BTreeSet<&'a str>,
    dashboard: Dashboard,
}

impl<'a> Reading<'a> {
    fn layout(&mut self, layout: &'a Json, row: Option<&str>, repeats: &[String], depth: usize) {
        if depth > MOST_DEPTH {
            self.dashboard.remarks.push("layouts are nested too deeply to be followed".into());
            return;
        }
        let spec = &layout["spec"];
        for part in ["rows", "tabs"].into_iter().flat_map(|key| list(spec, key)) {
            self.part(&part["spec"], repeats, depth);
        }
        let mut items: Vec<&Json> = list(spec, "items").iter().collect();
        let at = |item: &Json, key: &str| item["spec"][key].as_f64().unwrap_or(0.0);
        items.sort_by(|a, b| at(a, "y").total_cmp(&at(b, "y")).then(at(a, "x").total_cmp(&at(b, "x"))));
        for item in items {
            match item["spec"].get("elements") {
                Some(_) => self.grid_row(&item["spec"], repeats),
                None => self.item(&item["spec"], row, repeats),
            }
        }
    }

    /// Takes a row or a tab.
    fn part(&mut self, part: &'a Json, repeats: &[String], depth: usize) {
        let title = text(part, "title").filter(|_| part["hideHeader"] != true);
        self.conditional(part, title.as_deref().unwrap_or("a row"));
        self.dashboard.rows.extend(title.clone());
        self.layout(&part["layout"], title.as_deref(), &with_repeat(repeats, part), depth + 1);
    }

    /// Takes a row that is an item of a grid.
    fn grid_row(&mut self, row: &'a Json, repeats: &[String]) {
        let title = text(row, "title");
        self.dashboard.rows.extend(title.clone());
        for item in list(row, "elements") {
            self.item(&item["spec"], title.as_deref(), &with_repeat(repeats, row));
        }
    }

    fn item(&mut self, item: &'a Json, row: Option<&str>, repeats: &[String]) {
        let Some(name) = item["element"]["name"].as_str() else { return };
        let Some(element) = self.elements.get(name) else {
            self.dashboard.remarks.push(format!("the layout names an element that is not there: {name}"));
            return;
        };
        if !self.placed.insert(name) {
            self.dashboard.remarks.push(format!("the layout names {name} twice; it is counted once"));
            return;
        }
        let json = panel(element);
        self.conditional(item, json["title"].as_str().unwrap_or(name));
        let repeats = with_repeat(repeats, item);
        self.dashboard.panels.push(Placed { json, row: row.map(str::to_owned), place: 0, repeats });
    }

    fn conditional(&mut self, part: &Json, title: &str) {
        if !list(&part["conditionalRendering"]["spec"], "items").is_empty() {
            let text = format!("{title} is shown only under a condition; it is looked at as if it were shown");
            self.dashboard.remarks.push(text);
        }
    }
}

fn with_repeat(repeats: &[String], part: &Json) -> Vec<String> {
    repeats.iter().cloned().chain(text(&part["repeat"], "value")).collect()
}

/// Turns an element into a panel of the classic form.
fn panel(element: &Json) -> Json {
    let spec = &element["spec"];
    let mut panel = json!({ "id": spec["id"], "title": spec["title"] });
    if element["kind"] == "LibraryPanel" {
        panel["libraryPanel"] = spec["libraryPanel"].clone();
        return panel;
    }
    let viz = &spec["vizConfig"];
    let data = &spec["data"]["spec"];
    panel["type"] = group_of(viz, "VizConfig");
    panel["options"] = viz["spec"]["options"].clone();
    panel["fieldConfig"] = viz["spec"]["fieldConfig"].clone();
    panel["targets"] = list(data, "queries").iter().map(target).collect();
    panel["transformations"] = list(data, "transformations").iter().map(transformation).collect();
    for key in ["interval", "maxDataPoints", "timeFrom", "timeShift"] {
        panel[key] = data["queryOptions"][key].clone();
    }
    panel
}

/// Returns the plugin that a kind is of: `{ kind: VizConfig, group: stat }`, and in the first versions `{ kind: stat }`.
fn group_of(json: &Json, kind: &str) -> Json {
    if json["kind"] == kind || json["group"].is_string() { json["group"].clone() } else { json["kind"].clone() }
}

fn target(query: &Json) -> Json {
    let spec = &query["spec"];
    let asked = &spec["query"];
    let mut target = asked["spec"].as_object().cloned().unwrap_or_default();
    target.insert("refId".into(), spec["refId"].clone());
    target.insert("hide".into(), spec["hidden"].clone());
    target.insert("datasource".into(), datasource(asked, &spec["datasource"]));
    Json::Object(target)
}

/// Returns the data source of a query: beside it in the first versions, in it later.
fn datasource(query: &Json, beside: &Json) -> Json {
    if beside.is_object() {
        return beside.clone();
    }
    let kind = group_of(query, "DataQuery");
    match query["datasource"]["name"].as_str() {
        Some(uid) => json!({ "type": kind, "uid": uid }),
        None if kind == "__expr__" => json!({ "type": kind, "uid": kind }),
        None => json!({ "type": kind }),
    }
}

fn transformation(json: &Json) -> Json {
    let id = [&json["spec"]["id"], &json["group"], &json["kind"]].into_iter().find(|id| id.is_string());
    json!({ "id": id, "disabled": json["spec"]["disabled"] })
}

/// Turns a variable into one of the classic form.
fn variable(variable: &Json) -> Json {
    let kind = variable["kind"].as_str().unwrap_or_default();
    let mut spec = variable["spec"].as_object().cloned().unwrap_or_default();
    let kind = match kind.strip_suffix("Variable").unwrap_or(kind) {
        "Text" => "textbox".to_owned(),
        other => other.to_lowercase(),
    };
    if kind == "query" {
        let query = spec.get("query").cloned().unwrap_or_default();
        let beside = spec.get("datasource").cloned().unwrap_or_default();
        let inner = query["spec"].clone();
        let plain = inner["__legacyStringValue"].as_str().map(Json::from);
        spec.insert("datasource".into(), datasource(&query, &beside));
        spec.insert("query".into(), plain.unwrap_or(if query.is_string() { query } else { inner }));
    }
    if let Some(plugin) = spec.get("pluginId").cloned() {
        spec.insert("query".into(), plugin);
    }
    spec.insert("type".into(), Json::String(kind));
    Json::Object(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(title: &str, viz: &Json, query: &Json) -> Json {
        let queries = json!([{ "kind": "PanelQuery", "spec": query }]);
        json!({ "kind": "Panel", "spec": {
            "id": 1, "title": title, "vizConfig": viz, "data": { "kind": "QueryGroup", "spec": { "queries": queries } },
        } })
    }

    #[test]
    fn both_versions_of_queries_and_every_layout_become_the_classic_form() {
        let first = element(
            "Old",
            &json!({ "kind": "stat", "spec": { "options": {} } }),
            &json!({ "refId": "A", "hidden": false, "datasource": { "type": "prometheus", "uid": "p" },
                     "query": { "kind": "prometheus", "spec": { "expr": "up" } } }),
        );
        let second = element(
            "New",
            &json!({ "kind": "VizConfig", "group": "gauge", "spec": {} }),
            &json!({ "refId": "B", "hidden": true,
                     "query": { "kind": "DataQuery", "group": "loki", "datasource": { "name": "l" }, "spec": { "expr": "{a=\"b\"}" } } }),
        );
        let row = |title: &str, hidden: bool, layout: Json| json!({ "kind": "RowsLayoutRow", "spec": { "title": title, "hideHeader": hidden, "collapse": true, "layout": layout } });
        let grid = json!({ "kind": "GridLayout", "spec": { "items": [{ "kind": "GridLayoutItem", "spec": { "x": 0, "y": 0, "element": { "name": "a" } } }] } });
        let auto = json!({ "kind": "AutoGridLayout", "spec": { "items": [{ "kind": "AutoGridLayoutItem", "spec": { "element": { "name": "b" }, "repeat": { "mode": "variable", "value": "pod" } } }] } });
        let tabs = json!({ "kind": "TabsLayout", "spec": { "tabs": [{ "kind": "TabsLayoutTab", "spec": { "title": "Deep", "layout": auto } }] } });
        let dashboard = read(&json!({
            "title": "App",
            "elements": { "a": first, "b": second, "c": { "kind": "Panel", "spec": { "title": "Lost" } } },
            "layout": { "kind": "RowsLayout", "spec": { "rows": [row("Top", true, grid), row("Below", false, tabs)] } },
            "variables": [{ "kind": "QueryVariable", "spec": { "name": "pod", "query": {
                "kind": "DataQuery", "group": "prometheus", "datasource": { "name": "p" },
                "spec": { "__legacyStringValue": "label_values(up, pod)" } } } }],
        }))
        .expect("a dashboard");
        assert_eq!(dashboard.rows, ["Below", "Deep"]);
        assert_eq!(dashboard.remarks, ["in no layout, so not shown and not counted: c"]);
        let [a, b] = &dashboard.panels[..] else { panic!("{:?}", dashboard.panels) };
        assert_eq!((&a.row, a.json["type"].as_str()), (&None, Some("stat")));
        assert_eq!(a.json["targets"][0]["datasource"]["uid"], "p");
        assert_eq!(a.json["targets"][0]["expr"], "up");
        assert_eq!((b.row.as_deref(), b.json["type"].as_str()), (Some("Deep"), Some("gauge")));
        assert_eq!(b.json["targets"][0]["datasource"], json!({ "type": "loki", "uid": "l" }));
        assert_eq!(b.json["targets"][0]["hide"], true);
        assert_eq!(b.repeats, ["pod"]);
        assert_eq!(dashboard.variables[0]["query"], "label_values(up, pod)");
        assert_eq!(dashboard.variables[0]["datasource"]["uid"], "p");
    }
}
