//! A dashboard in one form, whatever it was stored as.

use serde_json::Value as Json;

use super::{classic, v2};

/// The uid by which a panel says that it shows what another panel asked.
pub(super) const OTHER_PANEL: &str = "-- Dashboard --";
/// How far panels may refer to each other.
const MOST_STEPS: usize = 4;

/// What is on a dashboard.
#[derive(Debug, Default)]
pub(super) struct Dashboard {
    pub(super) title: String,
    /// The titles of its rows, in order.
    pub(super) rows: Vec<String>,
    /// Its panels, in the order of reading.
    pub(super) panels: Vec<Placed>,
    /// The names of the annotation queries that are switched on.
    pub(super) annotations: Vec<String>,
    /// Its variables, as classic JSON.
    pub(super) variables: Vec<Json>,
    /// The time that it shows when nobody says another, as Grafana writes it: `now-6h`.
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    /// What a reader should know of how it was read.
    pub(super) remarks: Vec<String>,
}

/// A panel and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// The panel, as classic JSON.
    pub(super) json: Json,
    /// The row in which it stands.
    pub(super) row: Option<String>,
    /// Which of its row it is, from 1.
    pub(super) place: usize,
    /// The variables for whose values it is repeated, that of its row first.
    pub(super) repeats: Vec<String>,
}

impl Dashboard {
    /// Reads an answer of Grafana: of the classic API, `{ dashboard, meta }`, or of the resource API, `{ spec }`.
    ///
    /// # Errors
    /// Says that it is no dashboard.
    pub(super) fn read(answer: &Json) -> Result<Self, String> {
        let inner = answer.get("dashboard").or_else(|| answer.get("spec")).filter(|inner| inner.is_object());
        let Some(inner) = inner else { return Err("the answer holds no dashboard".into()) };
        // A resource inside the classic answer.
        let inner = inner.get("spec").filter(|spec| spec.get("elements").is_some()).unwrap_or(inner);
        let mut dashboard = match inner.get("elements") {
            Some(_) => v2::read(inner)?,
            None => classic::read(inner)?,
        };
        dashboard.count_places();
        Ok(dashboard)
    }

    /// Counts the places within each row.
    fn count_places(&mut self) {
        let mut rows: Vec<(Option<String>, usize)> = Vec::new();
        for panel in &mut self.panels {
            let at = rows.iter().position(|(row, _)| *row == panel.row).unwrap_or_else(|| {
                rows.push((panel.row.clone(), 0));
                rows.len() - 1
            });
            rows[at].1 += 1;
            panel.place = rows[at].1;
        }
    }

    /// Gives panels that show what another panel asked the queries of that one.
    pub(super) fn follow(&mut self) {
        for _ in 0..MOST_STEPS {
            let others: Vec<Option<usize>> = self.panels.iter().map(|panel| self.other(&panel.json)).collect();
            if others.iter().all(Option::is_none) {
                return;
            }
            let before: Vec<Json> = self.panels.iter().map(|panel| panel.json.clone()).collect();
            for (panel, other) in self.panels.iter_mut().zip(others) {
                let Some(other) = other else { continue };
                for key in ["targets", "datasource", "interval", "maxDataPoints"] {
                    panel.json[key] = before[other][key].clone();
                }
            }
        }
    }

    /// Finds the other panel whose queries a panel shows.
    fn other(&self, panel: &Json) -> Option<usize> {
        let targets = panel["targets"].as_array()?;
        let is_other = |json: &Json| json["datasource"]["uid"] == OTHER_PANEL || json["datasource"] == OTHER_PANEL;
        let target =
            targets.iter().find(|target| is_other(target) || (is_other(panel) && target["datasource"].is_null()))?;
        let id = target["panelId"].as_i64()?;
        self.panels.iter().position(|other| other.json["id"].as_i64() == Some(id) && other.json["id"] != panel["id"])
    }
}

/// Returns a text under a key, unless it is empty.
pub(super) fn text(json: &Json, key: &str) -> Option<String> {
    json[key].as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns a list under a key.
pub(super) fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json[key].as_array().map(Vec::as_slice).unwrap_or_default()
}
