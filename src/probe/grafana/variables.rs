//! The variables of a dashboard, and what they stand for.
//!
//! Source: <https://grafana.com/docs/grafana/latest/dashboards/variables/add-template-variables/>.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::dashboard::{list, text};

/// How Grafana stores that all values are chosen.
const ALL: &str = "$__all";

/// A variable as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    /// `query`, `custom`, `constant`, `textbox`, `interval`, `datasource`, `adhoc`.
    pub(super) kind: String,
    /// What is chosen; empty when nothing is.
    pub(super) chosen: Vec<String>,
    /// Whether several values may be chosen, or all: their values are escaped in another way.
    pub(super) many: bool,
    /// What stands for all values, when that was written down.
    pub(super) all_value: Option<String>,
    /// The values to choose from, as far as they are stored.
    pub(super) options: Vec<String>,
    pub(super) regex: Option<String>,
    pub(super) datasource: Json,
    pub(super) query: Json,
}

/// What the variables stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Vars(IndexMap<String, Worth>);

/// What a variable stands for.
#[derive(Clone, Debug)]
pub(super) enum Worth {
    /// These values.
    Values {
        /// The values.
        values: Vec<String>,
        /// Whether there might be several.
        many: bool,
    },
    /// All values, by a text that stands for them and is taken as it is.
    Whole(String),
    /// Nobody knows, with the reason.
    Unknown(String),
}

impl Variable {
    /// Reads a variable.
    pub(super) fn read(json: &Json) -> Option<Self> {
        let kind = text(json, "type").unwrap_or_default();
        let mut variable = Self {
            name: text(json, "name")?,
            chosen: texts(&json["current"]["value"]),
            many: json["multi"] == true || json["includeAll"] == true,
            all_value: text(json, "allValue"),
            options: list(json, "options").iter().flat_map(|option| texts(&option["value"])).collect(),
            regex: text(json, "regex"),
            datasource: json["datasource"].clone(),
            query: json["query"].clone(),
            kind,
        };
        variable.options.retain(|value| value != ALL);
        let written = json["query"].as_str().unwrap_or_default();
        match variable.kind.as_str() {
            "constant" | "textbox" if variable.chosen.is_empty() => variable.chosen = vec![written.to_owned()],
            "custom" | "interval" if variable.options.is_empty() => variable.options = choices(written),
            _ => {}
        }
        Some(variable)
    }

    /// Tells whether all values are meant.
    pub(super) fn means_all(&self, chosen: &[String]) -> bool {
        let all = |value: &String| value == ALL || (self.many && value == "All" && !self.options.contains(value));
        chosen.iter().any(all)
    }

    /// Keeps what the variable's regular expression finds, of each value its first group if it has one.
    pub(super) fn filtered(&self, values: Vec<String>) -> Result<Vec<String>, String> {
        let Some(pattern) = &self.regex else { return Ok(values) };
        let bare =
            pattern.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).map_or(pattern.as_str(), |(p, _)| p);
        let regex = regex::Regex::new(bare)
            .map_err(|_| format!("the regular expression of the variable {} cannot be used here", self.name))?;
        let mut kept: Vec<String> = Vec::new();
        for value in &values {
            let Some(found) = regex.captures(value) else { continue };
            let part = found.name("value").or_else(|| found.get(1)).map_or(value.as_str(), |group| group.as_str());
            if !kept.iter().any(|known| known == part) {
                kept.push(part.to_owned());
            }
        }
        Ok(kept)
    }
}

impl Vars {
    /// Adds a variable.
    pub(super) fn set(&mut self, name: &str, worth: Worth) {
        self.0.insert(name.to_owned(), worth);
    }

    /// Looks a variable up.
    pub(super) fn get(&self, name: &str) -> Option<&Worth> {
        self.0.get(name)
    }

    /// Tells whether a text uses the distance of two points, by itself or through a variable that stands for it.
    pub(super) fn uses_steps(&self, text: &str) -> bool {
        let own = |text: &str| text.contains("__interval") || text.contains("__rate_interval");
        own(text) || self.0.values().any(|worth| matches!(worth, Worth::Whole(text) if own(text)))
    }

    /// Returns the same variables, once for each value of one of them.
    ///
    /// # Errors
    /// Says why its values are not known.
    pub(super) fn repeated(&self, name: &str) -> Result<Vec<Self>, String> {
        match self.0.get(name) {
            Some(Worth::Values { values, many }) => Ok(values
                .iter()
                .map(|value| {
                    let mut one = self.clone();
                    one.set(name, Worth::Values { values: vec![value.clone()], many: *many });
                    one
                })
                .collect()),
            Some(Worth::Whole(_)) => Err(format!(
                "it is repeated for each value of {name}, of which all are chosen and none is known; say which in `vars`"
            )),
            Some(Worth::Unknown(why)) => Err(why.clone()),
            None => Err(format!("it is repeated for each value of {name}, which is no variable of the dashboard")),
        }
    }
}

/// Reads one value or several; empty ones are none.
fn texts(json: &Json) -> Vec<String> {
    let plain = |json: &Json| match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(json.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    match json {
        Json::Array(items) => items.iter().filter_map(plain).filter(|value| !value.is_empty()).collect(),
        one => plain(one).into_iter().filter(|value| !value.is_empty()).collect(),
    }
}

/// Reads the values of a custom variable: `a, b, shown : c`, a comma in a value written as `\,`.
fn choices(written: &str) -> Vec<String> {
    let parts = written.replace("\\,", "\u{0}");
    let value = |part: &str| {
        let part = part.replace('\u{0}', ",");
        part.split_once(" : ").map_or(part.as_str(), |(_, value)| value).trim().to_owned()
    };
    parts.split(',').map(value).filter(|value| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stored_values_are_read_for_each_kind() {
        let read = |json: Json| Variable::read(&json).expect("a variable");
        let custom = read(json!({ "name": "env", "type": "custom", "query": "a, Bee : b, c\\,d", "current": {} }));
        assert_eq!((custom.options, custom.chosen), (vec!["a".into(), "b".into(), "c,d".into()], Vec::new()));
        let constant = read(json!({ "name": "c", "type": "constant", "query": "x y" }));
        assert_eq!(constant.chosen, ["x y"]);
        let all =
            read(json!({ "name": "pod", "type": "query", "includeAll": true, "current": { "value": ["$__all"] } }));
        assert!(all.means_all(&all.chosen) && all.many);
        assert!(all.means_all(&["All".into()]));
        assert!(!read(json!({ "name": "t", "type": "textbox", "query": "All" })).means_all(&["All".into()]));
    }

    #[test]
    fn a_regular_expression_keeps_its_group() {
        let json = json!({ "name": "p", "type": "query", "regex": "/^api-(\\d+)$/" });
        let variable = Variable::read(&json).expect("a variable");
        let values = ["api-1", "web-1", "api-22"].map(str::to_owned).to_vec();
        assert_eq!(variable.filtered(values), Ok(vec!["1".to_owned(), "22".to_owned()]));
    }
}
