//! The classic form of a dashboard: `panels`, with rows among them; before schema 16 `rows`, with panels in them.
//!
//! Source: the JSON model, <https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>.

use serde_json::Value as Json;

use super::dashboard::{Dashboard, Placed, list, text};

/// Reads the classic form.
///
/// # Errors
/// Says that it has no panels at all, not even an empty list.
pub(super) fn read(json: &Json) -> Result<Dashboard, String> {
    let mut dashboard = Dashboard {
        title: text(json, "title").unwrap_or_default(),
        annotations: annotations(&json["annotations"]),
        variables: list(&json["templating"], "list").to_vec(),
        from: text(&json["time"], "from"),
        to: text(&json["time"], "to"),
        ..Dashboard::default()
    };
    match (json["panels"].as_array(), json["rows"].as_array()) {
        (Some(panels), _) if !panels.is_empty() => dashboard.take_panels(panels),
        (_, Some(rows)) => dashboard.take_old_rows(rows),
        (Some(_), None) => {}
        // A dashboard that was never given a panel has no list of them; anything else has no title either.
        (None, None) if !dashboard.title.is_empty() => {}
        (None, None) => return Err("the answer holds no panels and no title: it is no dashboard".into()),
    }
    Ok(dashboard)
}

fn annotations(json: &Json) -> Vec<String> {
    let on = |annotation: &&Json| annotation["enable"] != false;
    list(json, "list").iter().filter(on).filter_map(|annotation| text(annotation, "name")).collect()
}

impl Dashboard {
    fn take_panels(&mut self, panels: &[Json]) {
        let (mut row, mut repeats) = (None, Vec::new());
        for panel in sorted(panels) {
            if panel["type"] != "row" {
                self.take(panel, row.clone(), &repeats);
                continue;
            }
            row = text(panel, "title");
            repeats = text(panel, "repeat").into_iter().collect::<Vec<_>>();
            self.rows.extend(row.clone());
            // A collapsed row holds its panels; those of an open one follow it.
            for nested in sorted(list(panel, "panels")) {
                self.take(nested, row.clone(), &repeats);
            }
        }
    }

    fn take_old_rows(&mut self, rows: &[Json]) {
        for old in rows {
            let row = text(old, "title");
            let repeats: Vec<_> = text(old, "repeat").into_iter().collect();
            if old["showTitle"] != false {
                self.rows.extend(row.clone());
            }
            for panel in list(old, "panels") {
                self.take(panel, row.clone(), &repeats);
            }
        }
    }

    fn take(&mut self, panel: &Json, row: Option<String>, repeats: &[String]) {
        // What a browser made of a repeated panel is not a panel of its own.
        if panel["repeatPanelId"].is_number() || !panel.is_object() {
            return;
        }
        let repeats = repeats.iter().cloned().chain(text(panel, "repeat")).collect();
        self.panels.push(Placed { json: panel.clone(), row, place: 0, repeats });
    }
}

/// Sorts panels as they are read: from top to bottom, from left to right.
fn sorted(panels: &[Json]) -> Vec<&Json> {
    let at = |panel: &Json, key: &str| panel["gridPos"][key].as_i64();
    let mut sorted: Vec<&Json> = panels.iter().collect();
    if panels.iter().all(|panel| at(panel, "y").is_some()) {
        sorted.sort_by_key(|panel| (at(panel, "y"), at(panel, "x")));
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn titles(dashboard: &Dashboard) -> Vec<(&str, Option<&str>)> {
        dashboard.panels.iter().map(|p| (p.json["title"].as_str().unwrap_or_default(), p.row.as_deref())).collect()
    }

    #[test]
    fn panels_belong_to_the_row_above_them_open_or_collapsed() {
        let dashboard = read(&json!({
            "title": "App",
            "panels": [
                { "type": "row", "title": "Second", "collapsed": true, "gridPos": { "y": 9, "x": 0 },
                  "panels": [{ "title": "d", "gridPos": { "y": 10, "x": 0 } }] },
                { "title": "c", "gridPos": { "y": 2, "x": 12 } },
                { "title": "b", "gridPos": { "y": 2, "x": 0 } },
                { "type": "row", "title": "First", "collapsed": false, "panels": [], "gridPos": { "y": 1, "x": 0 } },
                { "title": "a", "gridPos": { "y": 0, "x": 0 } },
                { "title": "b", "repeatPanelId": 3, "gridPos": { "y": 3, "x": 0 } },
            ],
        }))
        .expect("a dashboard");
        assert_eq!(dashboard.rows, ["First", "Second"]);
        let expected = [("a", None), ("b", Some("First")), ("c", Some("First")), ("d", Some("Second"))];
        assert_eq!(titles(&dashboard), expected);
    }

    #[test]
    fn rows_of_the_old_schema_are_read() {
        let dashboard = read(&json!({
            "title": "Old", "rows": [{ "title": "Health", "collapse": true, "panels": [{ "title": "Up" }] }],
        }))
        .expect("a dashboard");
        assert_eq!(dashboard.rows, ["Health"]);
        assert_eq!(titles(&dashboard), [("Up", Some("Health"))]);
        assert!(read(&json!({ "status": "ok" })).is_err());
    }
}
