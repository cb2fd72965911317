//! Compares the rules of a file with those that are loaded.

use std::collections::{BTreeMap, BTreeSet};

use super::file::FileRule;
use crate::model::quantity;
use crate::promql;
use crate::source::prometheus::told::{Group, Rule};

/// A rule of the file, and how the loaded one differs from it.
pub(super) struct Compared<'a> {
    pub(super) rule: &'a FileRule,
    /// What differs, each in one line; nothing inside when it is the same.
    pub(super) differences: Vec<String>,
    /// The loaded rule; nothing when there is none of that name.
    pub(super) loaded: Option<&'a Rule>,
}

/// What came of comparing.
pub(super) struct Comparison<'a> {
    pub(super) rules: Vec<Compared<'a>>,
    /// Names of rules that are loaded in the groups of the file and do not stand in it.
    pub(super) extra: Vec<String>,
}

/// Compares the rules of a file with those that are loaded, each with one of them.
pub(super) fn compare<'a>(file: &'a [FileRule], loaded: &'a [Group]) -> Comparison<'a> {
    let all: Vec<(&Group, &Rule)> = loaded.iter().flat_map(|g| g.rules.iter().map(move |rule| (g, rule))).collect();
    let mut taken = vec![false; all.len()];
    let mut rules: Vec<Compared<'a>> =
        file.iter().map(|rule| Compared { rule, differences: Vec::new(), loaded: None }).collect();
    // Those that are equal first: of several rules of one name, a differing one must not take another's partner.
    for equal_only in [true, false] {
        for compared in rules.iter_mut().filter(|compared| compared.loaded.is_none()) {
            let Some(at) = partner(compared.rule, &all, &taken, equal_only) else { continue };
            taken[at] = true;
            compared.differences = differences(compared.rule, all[at].1);
            compared.loaded = Some(all[at].1);
        }
    }
    let groups: BTreeSet<&str> = file.iter().map(|rule| rule.group.as_str()).collect();
    let beside = all.iter().zip(&taken).filter(|((group, _), taken)| !**taken && groups.contains(group.name.as_str()));
    let extra = beside.map(|((_, rule), _)| rule.name.clone()).collect();
    Comparison { rules, extra }
}

fn partner(rule: &FileRule, all: &[(&Group, &Rule)], taken: &[bool], equal_only: bool) -> Option<usize> {
    let fits = |at: &usize| {
        let (_, loaded) = all[*at];
        !taken[*at]
            && loaded.kind == rule.kind
            && loaded.name == rule.name
            && (!equal_only || differences(rule, loaded).is_empty())
    };
    let in_group = |at: &usize| all[*at].0.name == rule.group;
    (0..all.len()).filter(fits).find(in_group).or_else(|| (0..all.len()).find(fits))
}

/// Lists what differs.
fn differences(rule: &FileRule, loaded: &Rule) -> Vec<String> {
    let mut all = Vec::new();
    match promql::same(&rule.expr, &loaded.query) {
        Ok(true) => {}
        Ok(false) => all.push(format!("expr is {}, in the file {}", one_line(&loaded.query), one_line(&rule.expr))),
        Err(error) => all.push(format!("the expr of the file is not valid: {error}")),
    }
    for (what, is, wanted) in
        [("for", loaded.duration, rule.duration), ("keep_firing_for", loaded.keep_firing_for, rule.keep_firing_for)]
    {
        // The server tells them in seconds with a fraction.
        if (is - wanted).abs() > 1e-6 {
            all.push(format!("{what} is {}, in the file {}", quantity::seconds(is), quantity::seconds(wanted)));
        }
    }
    all.extend(texts("label", &rule.labels, &loaded.labels));
    all.extend(texts("annotation", &rule.annotations, &loaded.annotations));
    all
}

fn texts(what: &str, wanted: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = wanted.keys().chain(is.keys()).collect();
    let differs = |name: &String| match (is.get(name), wanted.get(name)) {
        (Some(is), Some(wanted)) if is == wanted => None,
        (Some(is), Some(wanted)) => Some(format!("{what} {name} is {is:?}, in the file {wanted:?}")),
        (Some(is), None) => Some(format!("{what} {name} is {is:?}, and the file has none")),
        (None, Some(wanted)) => Some(format!("{what} {name} is missing, in the file {wanted:?}")),
        (None, None) => None,
    };
    names.into_iter().filter_map(differs).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::prometheus::told::RuleKind;
    use serde_json::json;

    fn rule(group: &str, name: &str, expr: &str, severity: &str) -> FileRule {
        FileRule {
            group: group.into(),
            kind: RuleKind::Alerting,
            name: name.into(),
            expr: expr.into(),
            duration: 300.0,
            keep_firing_for: 0.0,
            labels: [("severity".to_owned(), severity.to_owned())].into(),
            annotations: BTreeMap::new(),
        }
    }

    fn loaded(name: &str, query: &str, severity: &str) -> serde_json::Value {
        json!({ "type": "alerting", "name": name, "query": query, "duration": 300, "health": "ok", "state": "inactive",
            "labels": { "severity": severity } })
    }

    fn group(rules: Vec<serde_json::Value>) -> Vec<Group> {
        serde_json::from_value(json!([{ "name": "g", "rules": rules }])).expect("a group")
    }

    #[test]
    fn the_way_an_expression_is_written_does_not_count() {
        let file = [rule("g", "A", "sum( rate(x{a=\"b\"}[300s]) )  by (le)\n > 1e3", "page")];
        let loaded = group(vec![loaded("A", "sum by (le) (rate(x{a=\"b\"}[5m])) > 1000", "page")]);
        assert_eq!(compare(&file, &loaded).rules[0].differences, [""; 0]);
    }

    #[test]
    fn what_differs_is_said() {
        let mut wanted = rule("g", "A", "up == 0", "page");
        wanted.duration = 60.0;
        wanted.annotations = [("summary".to_owned(), "down".to_owned())].into();
        let file = [wanted, rule("g", "B", "up", "page"), rule("g", "C", "up ==", "page")];
        let loaded =
            group(vec![loaded("A", "up == 1", "ticket"), loaded("C", "up", "page"), loaded("D", "up", "page")]);
        let comparison = compare(&file, &loaded);
        let differences = &comparison.rules[0].differences;
        assert_eq!(
            differences,
            &[
                "expr is up == 1, in the file up == 0",
                "for is 5m, in the file 1m",
                "label severity is \"ticket\", in the file \"page\"",
                "annotation summary is missing, in the file \"down\"",
            ]
        );
        assert!(comparison.rules[1].loaded.is_none());
        assert!(comparison.rules[2].differences[0].contains("not valid"), "{:?}", comparison.rules[2].differences);
        assert_eq!(comparison.extra, ["D"]);
    }

    #[test]
    fn of_several_rules_of_one_name_each_finds_its_like() {
        let file = [rule("g", "Slow", "x > 1", "ticket"), rule("g", "Slow", "x > 5", "page")];
        let all = group(vec![loaded("Slow", "x > 5", "page"), loaded("Slow", "x > 1", "ticket")]);
        let same = |comparison: &Comparison<'_>| comparison.rules.iter().filter(|r| r.differences.is_empty()).count();
        assert_eq!(same(&compare(&file, &all)), 2);
        let other = group(vec![loaded("Slow", "x > 5", "page"), loaded("Slow", "x > 2", "ticket")]);
        let comparison = compare(&file, &other);
        assert_eq!((same(&comparison), comparison.rules[0].differences.len()), (1, 1));
    }
}
