//! Finds out what the variables of a dashboard stand for: what the checklist says, what is stored as chosen, and for
//! `All` the values that there are, which Grafana is asked for.

use std::sync::LazyLock;

use indexmap::IndexMap;
use regex::Regex;
use serde_json::Value as Json;

use super::fill::{Fill, Style};
use super::period::Period;
use super::sources::DataSources;
use super::variables::{Variable, Vars, Worth};
use crate::source::Failure;
use crate::source::api::Asked;

/// `label_values(label)`, `label_values(selector, label)`.
#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test uses it")]
static LABEL_VALUES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)^\s*label_values\(\s*(?:(.+),)?\s*(\w+)\s*\)\s*$").expect("a pattern"));

/// Whom to ask, and about which time.
pub(super) struct Resolving<'a> {
    pub(super) asked: &'a Asked<'a>,
    pub(super) sources: &'a DataSources<'a>,
    pub(super) period: Period,
    pub(super) dashboard: &'a str,
    /// What the checklist says.
    pub(super) given: &'a IndexMap<String, Vec<String>>,
}

impl Resolving<'_> {
    /// Finds out what each variable stands for, in their order, as later ones may use earlier ones.
    ///
    /// # Errors
    /// Says why there is no answer, or which of the given variables the dashboard does not have.
    pub(super) async fn all(&self, stored: &[Json], remarks: &mut Vec<String>) -> Result<Vars, Failure> {
        let variables: Vec<Variable> = stored.iter().filter_map(Variable::read).collect();
        let known = |name: &String| name.starts_with("__") || variables.iter().any(|variable| variable.name == *name);
        if let Some(name) = self.given.keys().find(|name| !known(name)) {
            let names: Vec<_> = variables.iter().map(|variable| variable.name.as_str()).collect();
            let there =
                if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
            return Err(Failure::lasting(format!("the dashboard has no variable {name:?}; {there}")));
        }
        let mut vars = Vars::default();
        for (name, values) in self.given.iter().filter(|(name, _)| name.starts_with("__")) {
            vars.set(name, Worth::Values { values: values.clone(), many: false });
        }
        for variable in &variables {
            if variable.kind == "adhoc" || variable.kind == "groupby" {
                if !variable.chosen.is_empty() || variable.query["filters"].as_array().is_some_and(|f| !f.is_empty()) {
                    remarks.push(format!("the filters of the variable {} are not applied", variable.name));
                }
                continue;
            }
            let worth = self.one(variable, &vars).await?;
            vars.set(&variable.name, worth);
        }
        Ok(vars)
    }

    async fn one(&self, variable: &Variable, vars: &Vars) -> Result<Worth, Failure> {
        let chosen = self.given.get(&variable.name).unwrap_or(&variable.chosen);
        if variable.means_all(chosen) {
            return Ok(match &variable.all_value {
                Some(text) => Worth::Whole(text.clone()),
                None => match self.options(variable, vars).await? {
                    Ok(values) => Worth::Values { values, many: true },
                    Err(why) => Worth::Unknown(why),
                },
            });
        }
        if variable.kind == "interval" && chosen.iter().any(|v| v == "auto" || v.starts_with("$__auto_interval")) {
            return Ok(Worth::Whole("$__interval".into()));
        }
        if !chosen.is_empty() {
            return Ok(Worth::Values { values: chosen.clone(), many: variable.many });
        }
        // As Grafana does when nothing was chosen: the first value that there is.
        Ok(match self.options(variable, vars).await? {
            Ok(mut values) => {
                values.truncate(1);
                Worth::Values { values, many: variable.many }
            }
            Err(why) => Worth::Unknown(why),
        })
    }

    /// Lists the values that a variable may have. Within: why they are not known.
    async fn options(&self, variable: &Variable, vars: &Vars) -> Result<Result<Vec<String>, String>, Failure> {
        let found = match variable.kind.as_str() {
            "query" => self.ask(variable, vars).await?,
            "datasource" => {
                let all = self.sources.all().await?;
                let fits = |kind: &str| variable.query.as_str() == Some(kind);
                Ok(all.iter().filter(|source| fits(&source.kind)).map(|source| source.uid.clone()).collect())
            }
            _ => Ok(variable.options.clone()),
        };
        let found = match found {
            Ok(values) if values.is_empty() && !variable.options.is_empty() => Ok(variable.options.clone()),
            Err(_) if !variable.options.is_empty() => Ok(variable.options.clone()),
            found => found.and_then(|values| variable.filtered(values)),
        };
        Ok(found.and_then(|values| match values.is_empty() {
            true => Err(format!("the variable {} has no values", variable.name)),
            false => Ok(values),
        }))
    }

    /// Asks for the values of a label, through Grafana.
    async fn ask(&self, variable: &Variable, vars: &Vars) -> Result<Result<Vec<String>, String>, Failure> {
        let name = &variable.name;
        let unknown = || format!("the values of the variable {name} are not known here; say them in `vars`");
        let query = variable.query.as_str().or_else(|| variable.query["query"].as_str()).unwrap_or_default();
        let source = match self.sources.find(&variable.datasource, vars).await? {
            Ok(source) => source,
            Err(fault) => return Ok(Err(format!("the variable {name}: {}", fault.words()))),
        };
        let style = Style::of(&source.kind);
        let second = std::time::Duration::from_secs(1);
        let fill = Fill { vars, style, period: self.period, step: second, scrape: second, dashboard: self.dashboard };
        let query = match fill.text(query) {
            Ok(query) => query,
            Err(why) => return Ok(Err(why)),
        };
        let Some(found) = LABEL_VALUES.captures(&query).filter(|_| style == Style::Prometheus) else {
            return Ok(Err(unknown()));
        };
        let path = format!("/api/datasources/uid/{}/resources/api/v1/label/{}/values", source.uid, &found[2]);
        let (start, end) = (self.period.from.timestamp().to_string(), self.period.to.timestamp().to_string());
        let mut pairs = vec![("start", start.as_str()), ("end", end.as_str())];
        pairs.extend(found.get(1).map(|selector| ("match[]", selector.as_str().trim())));
        match self.asked.get(&path, &pairs).await {
            Ok(answer) => match answer["data"].as_array() {
                Some(values) => Ok(Ok(values.iter().filter_map(Json::as_str).map(str::to_owned).collect())),
                None => Ok(Err(unknown())),
            },
            Err(failure) if failure.retry => Err(failure),
            Err(failure) => Ok(Err(format!("the values of the variable {name} are not known: {failure}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_label_are_asked_for_in_both_forms() {
        let parts = |text: &str| {
            let found = LABEL_VALUES.captures(text)?;
            Some((found.get(1).map(|m| m.as_str().to_owned()), found[2].to_owned()))
        };
        assert_eq!(parts("label_values(pod)"), Some((None, "pod".into())));
        let selector = "up{a=\"b\", c=~\"d,e\"}";
        assert_eq!(parts(&format!("label_values({selector}, pod)")), Some((Some(selector.into()), "pod".into())));
        assert_eq!(parts("query_result(up)"), None);
    }
}
