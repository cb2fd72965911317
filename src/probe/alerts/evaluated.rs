//! Asks the Prometheus that evaluates the alerts.

use std::collections::BTreeSet;

use super::which::{Alert, Meant, evidence};
use crate::model::{Measures, Note, Observation, Tally, Value};
use crate::probe::asked;
use crate::source::Failure;
use crate::source::prometheus::Endpoint;
use crate::source::prometheus::told::{self, Group, Rule, RuleKind};

/// Asks for alerts and rules, and measures.
pub(super) async fn measures(
    endpoint: &Endpoint<'_>,
    meant: &Meant,
    observation: &mut Observation,
) -> Result<Measures, Failure> {
    let rules = endpoint.rules().await?;
    // Asked behind the rules, so that an alert of a rule that is loaded meanwhile is not taken for one without a rule.
    let alerts = endpoint.alerts().await?;
    observation.through = Some(endpoint.through().await);
    let firing = of_state(&alerts, "firing", meant);
    let pending = of_state(&alerts, "pending", meant);
    observation.evidence.extend(evidence("firing", &firing));
    observation.evidence.extend(evidence("pending", &pending));
    let defined = defined(&rules);
    let broken = broken(&rules, meant);
    observation.notes.extend(broken.iter().map(Note::warning));
    let unknown = undefined(&defined, meant).or(broken);
    let mut measures = Measures::new();
    measures.plain("firing", state(&firing, &defined, unknown.as_deref(), meant));
    measures.plain("pending", state(&pending, &defined, unknown.as_deref(), meant));
    measures.plain("defined", are_defined(&defined, meant));
    let count = Value::Number(firing.len() as f64);
    measures.plain("count", unknown.map_or(count, Value::NoData));
    Ok(measures)
}

fn of_state<'a>(alerts: &'a [told::Alert], state: &str, meant: &Meant) -> Vec<Alert<'a>> {
    let alerts = alerts.iter().filter(|alert| alert.state == state);
    let alerts = alerts.map(|a| Alert { labels: &a.labels, annotations: &a.annotations, began: a.active_at });
    alerts.filter(|alert| meant.holds(alert)).collect()
}

/// Lists the names of the alerts that have a rule.
fn defined(rules: &[Group]) -> BTreeSet<&str> {
    let rules = rules.iter().flat_map(|group| &group.rules);
    rules.filter(|rule| rule.kind == RuleKind::Alerting).map(|rule| rule.name.as_str()).collect()
}

/// Says which name has no rule, or that there are no rules at all.
fn undefined(defined: &BTreeSet<&str>, meant: &Meant) -> Option<String> {
    let there: Vec<&str> = defined.iter().copied().collect();
    let name = meant.names.iter().find(|name| !defined.contains(name.as_str()));
    match name {
        Some(name) => Some(asked::nothing("alerting rule", name, &there)),
        None if there.is_empty() => Some("no alerting rule is loaded".to_owned()),
        None => None,
    }
}

/// Says which rule cannot be evaluated, of those whose alerts may be meant.
fn broken(rules: &[Group], meant: &Meant) -> Option<String> {
    let rules = rules.iter().flat_map(|group| &group.rules).filter(|rule| rule.kind == RuleKind::Alerting);
    let named = |rule: &&Rule| meant.names.is_empty() || meant.names.contains(&rule.name);
    let rule = rules.filter(named).find(|rule| rule.health != "ok" && meant.labels.may_hold(&rule.labels))?;
    Some(match rule.last_error.is_empty() {
        true => format!("the rule {:?} was not evaluated yet", rule.name),
        false => format!("the rule {:?} cannot be evaluated: {}", rule.name, rule.last_error),
    })
}

/// Counts names. What nobody evaluates cannot fire: unless another alert does, nothing can be said.
fn state(alerts: &[Alert<'_>], defined: &BTreeSet<&str>, unknown: Option<&str>, meant: &Meant) -> Value {
    if let Some(why) = unknown.filter(|_| alerts.is_empty()) {
        return Value::NoData(why.to_owned());
    }
    if !meant.names.is_empty() {
        return Value::Tally(meant.tally(alerts));
    }
    let names: BTreeSet<&str> = alerts.iter().map(Alert::name).collect();
    // An alert whose rule was just taken out counts too.
    let all = defined.union(&names);
    Value::Tally(Tally::named(all.map(|name| ((*name).to_owned(), names.contains(name)))))
}

fn are_defined(defined: &BTreeSet<&str>, meant: &Meant) -> Value {
    if meant.names.is_empty() {
        return match defined.is_empty() {
            true => Value::Missing("no alerting rule is loaded".into()),
            false => Value::Tally(Tally::named(defined.iter().map(|name| ((*name).to_owned(), true)))),
        };
    }
    Value::Tally(Tally::named(meant.names.iter().map(|name| (name.clone(), defined.contains(name.as_str())))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::labels::Filled;
    use serde_json::json;

    fn meant(names: &[&str]) -> Meant {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Meant { names, labels: Filled::default(), since: None }
    }

    fn firing(names: &[&str]) -> Vec<told::Alert> {
        let alert = |name: &&str| json!({ "labels": { "alertname": name }, "state": "firing", "activeAt": "2026-01-01T00:00:00Z" });
        serde_json::from_value(names.iter().map(alert).collect()).expect("alerts")
    }

    fn judged(fires: &[&str], rules: &[&'static str], names: &[&str]) -> Value {
        let (alerts, meant, defined) = (firing(fires), meant(names), rules.iter().copied().collect());
        let unknown = undefined(&defined, &meant);
        state(&of_state(&alerts, "firing", &meant), &defined, unknown.as_deref(), &meant)
    }

    fn counts(value: &Value) -> Option<(u64, u64)> {
        match value {
            Value::Tally(tally) => Some((tally.count, tally.of)),
            _ => None,
        }
    }

    #[test]
    fn names_are_counted_and_without_names_the_rules() {
        assert_eq!(counts(&judged(&["A"], &["A", "B", "C"], &["A", "B"])), Some((1, 2)));
        assert_eq!(counts(&judged(&["C"], &["A", "B", "C"], &["A", "B"])), Some((0, 2)));
        assert_eq!(counts(&judged(&["C", "C"], &["A", "B", "C"], &[])), Some((1, 3)));
    }

    #[test]
    fn what_nobody_evaluates_is_not_taken_for_quiet() {
        assert!(
            matches!(judged(&[], &["Down"], &["Down", "Dwn"]), Value::NoData(why) if why.contains("mean \"Down\""))
        );
        assert!(matches!(judged(&[], &[], &[]), Value::NoData(_)));
        assert_eq!(counts(&judged(&["Down"], &["Down"], &["Down", "Dwn"])), Some((1, 2)), "one that fires is enough");
    }

    #[test]
    fn a_rule_that_cannot_be_evaluated_is_not_taken_for_quiet() {
        let rule = |name: &str, health: &str| {
            json!({ "type": "alerting", "name": name, "query": "up", "health": health, "lastError": "many-to-many",
                "labels": { "team": "db" }, "state": "inactive" })
        };
        let groups = json!([{ "name": "g", "rules": [rule("Bad", "err"), rule("Good", "ok")] }]);
        let groups: Vec<Group> = serde_json::from_value(groups).expect("groups");
        assert_eq!(broken(&groups, &meant(&["Good"])), None);
        for names in [&["Bad"][..], &[]] {
            let why = broken(&groups, &meant(names)).expect("a reason");
            assert_eq!(why, "the rule \"Bad\" cannot be evaluated: many-to-many");
        }
    }
}
