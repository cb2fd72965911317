//! The rules that a step is about, and what is measured of them.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::file::FileRule;
use super::same::{Comparison, compare};
use crate::model::{Evidence, Measures, Sample, Tally, Value};
use crate::probe::{Wants, asked};
use crate::source::prometheus::told::{Group, Rule, RuleKind, Texts};

/// The most rules that are listed as evidence.
const MOST_KEPT: usize = 100;

/// Which rules are meant.
pub(super) struct Meant<'a> {
    pub(super) names: &'a [String],
    pub(super) groups: &'a [String],
    pub(super) kind: Option<RuleKind>,
    pub(super) file: Option<&'a [FileRule]>,
}

/// The rules that a step is about.
pub(super) struct Chosen<'a> {
    rules: Vec<&'a Rule>,
    /// The members of `defined`.
    defined: Tally,
    /// Why some of those that are meant are not there, or all of them.
    missing: Option<String>,
    comparison: Option<Comparison<'a>>,
}

impl<'a> Chosen<'a> {
    pub(super) fn new(loaded: &'a [Group], meant: &Meant<'a>) -> Self {
        let in_group = |group: &&Group| meant.groups.is_empty() || meant.groups.contains(&group.name);
        let groups: Vec<&Group> = loaded.iter().filter(in_group).collect();
        let of_kind = |rule: &&Rule| meant.kind.is_none_or(|kind| rule.kind == kind);
        let all: Vec<&Rule> = groups.iter().flat_map(|group| &group.rules).filter(of_kind).collect();
        match meant.file {
            Some(file) => Self::of_file(loaded, file, meant, &all),
            None if meant.names.is_empty() => Self::of_all(loaded, meant, all),
            None => Self::of_names(meant.names, &all),
        }
    }

    fn of_names(names: &[String], all: &[&'a Rule]) -> Self {
        let there: BTreeSet<&str> = all.iter().map(|rule| rule.name.as_str()).collect();
        let defined = Tally::named(names.iter().map(|name| (name.clone(), there.contains(name.as_str()))));
        let there: Vec<&str> = there.into_iter().collect();
        let missing = names.iter().find(|name| !there.contains(&name.as_str()));
        Self {
            rules: all.iter().filter(|rule| names.contains(&rule.name)).copied().collect(),
            missing: missing.map(|name| asked::nothing("rule", name, &there)),
            defined,
            comparison: None,
        }
    }

    fn of_all(loaded: &[Group], meant: &Meant<'_>, rules: Vec<&'a Rule>) -> Self {
        let groups: Vec<&str> = loaded.iter().map(|group| group.name.as_str()).collect();
        let absent = meant.groups.iter().find(|name| !groups.contains(&name.as_str()));
        let missing = match absent {
            Some(name) => Some(asked::nothing("rule group", name, &groups)),
            None if rules.is_empty() => Some("no such rule is loaded".to_owned()),
            None => None,
        };
        let groups = absent.map(|name| (format!("any rule of {name}"), false));
        let defined = Tally::named(rules.iter().map(|rule| (rule.name.clone(), true)).chain(groups));
        Self { rules, defined, missing, comparison: None }
    }

    fn of_file(loaded: &'a [Group], file: &'a [FileRule], meant: &Meant<'_>, all: &[&Rule]) -> Self {
        let mut comparison = compare(file, loaded);
        comparison.rules.retain(|compared| {
            meant.kind.is_none_or(|kind| compared.rule.kind == kind)
                && (meant.groups.is_empty() || meant.groups.contains(&compared.rule.group))
        });
        let defined = comparison.rules.iter().map(|compared| (compared.rule.name.clone(), compared.loaded.is_some()));
        let defined = Tally::named(defined);
        let absent = comparison.rules.iter().find(|compared| compared.loaded.is_none());
        let there: BTreeSet<&str> = all.iter().map(|rule| rule.name.as_str()).collect();
        let there: Vec<&str> = there.into_iter().collect();
        let missing = match absent {
            Some(compared) if there.contains(&compared.rule.name.as_str()) => {
                Some(format!("the rule {:?} is loaded fewer times than the file has it", compared.rule.name))
            }
            Some(compared) => Some(asked::nothing("rule", &compared.rule.name, &there)),
            None if comparison.rules.is_empty() => Some("the file holds no such rule".to_owned()),
            None => None,
        };
        let rules = comparison.rules.iter().filter_map(|compared| compared.loaded).collect();
        Self { rules, defined, missing, comparison: Some(comparison) }
    }

    pub(super) fn measures(&self, wants: &Wants) -> Measures {
        let mut measures = Measures::new();
        let present = |value: Value| self.missing.clone().map_or(value, Value::Missing);
        let defined = match self.defined.of {
            0 => Value::Missing(self.missing.clone().unwrap_or_default()),
            _ => Value::Tally(self.defined.clone()),
        };
        measures.plain("defined", defined);
        measures.plain("state", present(self.state()));
        measures.plain("health", present(self.set(|rule| Some(rule.health.clone()))));
        measures.plain("expr", present(self.text("expr", |rule| Some(&rule.query))));
        measures.plain("for", present(self.durations()));
        for (name, of) in [("labels", labels as fn(&Rule) -> &Texts), ("annotations", annotations)] {
            for key in self.keys(wants, name, of) {
                let value = self.text(&format!("{} {key}", name.trim_end_matches('s')), |rule| of(rule).get(&key));
                measures.keyed(name, key.as_str(), present(value));
            }
        }
        measures.plain("count", Value::Number(self.rules.len() as f64));
        measures.plain("last_error", present(Value::Text(self.errors())));
        if let Some(comparison) = &self.comparison {
            let member =
                |c: &super::same::Compared<'_>| (c.rule.name.clone(), c.loaded.is_some() && c.differences.is_empty());
            let same = Tally::named(comparison.rules.iter().map(member));
            let same = if same.of == 0 { present(Value::Tally(same)) } else { Value::Tally(same) };
            measures.plain("same", same);
            measures.plain("differences", Value::Text(differences(comparison)));
            measures.plain("extra", Value::Set(comparison.extra.clone()));
        }
        measures
    }

    fn state(&self) -> Value {
        let alerts = || self.rules.iter().filter(|rule| rule.kind == RuleKind::Alerting);
        if alerts().next().is_none() {
            return Value::NoData("recording rules have no state".into());
        }
        // What cannot be evaluated keeps the state that it had, which says nothing; one that fires does.
        let broken = alerts().find(|rule| rule.health != "ok");
        let fires = alerts().any(|rule| rule.state.as_deref() == Some("firing"));
        match broken.filter(|_| !fires) {
            Some(rule) => Value::NoData(format!("the rule {:?} is not evaluated, so it has no state", rule.name)),
            None => self.set(|rule| rule.state.clone().filter(|_| rule.kind == RuleKind::Alerting)),
        }
    }

    fn set(&self, word: impl Fn(&Rule) -> Option<String>) -> Value {
        let words: BTreeSet<String> = self.rules.iter().filter_map(|rule| word(rule)).collect();
        Value::Set(words.into_iter().collect())
    }

    /// Gives the text that all rules have, or the different ones as a list. Of one that only some have, neither that it
    /// is there nor that it is missing is true.
    fn text(&self, what: &str, of: impl Fn(&'a Rule) -> Option<&'a String>) -> Value {
        let mut texts: Vec<&String> = Vec::new();
        for text in self.rules.iter().filter_map(|rule| of(rule)) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let without = self.rules.iter().find(|rule| of(rule).is_none());
        match (without, texts.as_slice()) {
            (Some(rule), []) => Value::Missing(format!("the rule {:?} has no {what}", rule.name)),
            (Some(rule), _) => Value::NoData(format!("the rule {:?} has no {what}, and others have one", rule.name)),
            (None, [one]) => Value::Json(Json::from(one.as_str())),
            (None, many) => Value::Json(many.iter().map(|text| Json::from(text.as_str())).collect()),
        }
    }

    /// Lists the names of labels that are wanted; of the whole, those that there are.
    fn keys(&self, wants: &Wants, name: &str, of: fn(&Rule) -> &Texts) -> BTreeSet<String> {
        let mut keys: BTreeSet<String> = wants.keys(name).into_iter().map(str::to_owned).collect();
        if wants.whole(name) || wants.is_empty() {
            keys.extend(self.rules.iter().flat_map(|rule| of(rule).keys().cloned()));
        }
        keys
    }

    fn durations(&self) -> Value {
        let alerts = self.rules.iter().filter(|rule| rule.kind == RuleKind::Alerting);
        let sample = |rule: &&Rule| Sample {
            labels: [("alertname".to_owned(), rule.name.clone())].into(),
            value: rule.duration,
        };
        let samples: Vec<Sample> = alerts.map(sample).collect();
        match samples.is_empty() {
            true => Value::NoData("recording rules have no `for`".into()),
            false => Value::Series(samples),
        }
    }

    fn errors(&self) -> String {
        let wrong = self.rules.iter().filter(|rule| !rule.last_error.is_empty());
        wrong.map(|rule| format!("{}: {}", rule.name, rule.last_error)).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let mut all = Vec::new();
        let line = |rule: &&Rule| {
            let error = if rule.last_error.is_empty() { String::new() } else { format!("  {}", rule.last_error) };
            format!("{:<9} {:<7} {}{error}\n", rule.state.as_deref().unwrap_or("-"), rule.health, rule.name)
        };
        let mut text: String = self.rules.iter().take(MOST_KEPT).map(line).collect();
        if self.rules.len() > MOST_KEPT {
            text.push_str(&format!("and {} more\n", self.rules.len() - MOST_KEPT));
        }
        if !text.is_empty() {
            all.push(Evidence { title: "rules".into(), text, left_out: 0 });
        }
        let differences = self.comparison.as_ref().map(differences).unwrap_or_default();
        if !differences.is_empty() {
            all.push(Evidence { title: "differences".into(), text: differences, left_out: 0 });
        }
        all
    }
}

fn labels(rule: &Rule) -> &Texts {
    &rule.labels
}

fn annotations(rule: &Rule) -> &Texts {
    &rule.annotations
}

/// Lists what differs from the file, a line for each difference.
fn differences(comparison: &Comparison<'_>) -> String {
    let of = |compared: &super::same::Compared<'_>| -> Vec<String> {
        match compared.loaded {
            None => vec![format!("{}: not loaded", compared.rule.name)],
            Some(_) => compared.differences.iter().map(|one| format!("{}: {one}", compared.rule.name)).collect(),
        }
    };
    comparison.rules.iter().flat_map(of).collect::<Vec<_>>().join("\n")
}
