//! Reads a rule file: <https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/>.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::probe::parsed;
use crate::source::prometheus::told::RuleKind;

/// The largest rule file that is read, in bytes.
const MAX_FILE: u64 = 8 << 20;

/// A rule as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FileRule {
    pub(super) group: String,
    pub(super) kind: RuleKind,
    pub(super) name: String,
    pub(super) expr: String,
    /// How long it must hold, in seconds.
    pub(super) duration: f64,
    /// How long it keeps firing, in seconds.
    pub(super) keep_firing_for: f64,
    /// Its labels, with those of its group.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// Reads the rules of a file.
///
/// # Errors
/// Says why it cannot be read, or what in it is no rule.
pub(super) async fn read(path: &Path) -> Result<Vec<FileRule>, String> {
    let size = tokio::fs::metadata(path).await.map_err(|error| unreadable(&error))?.len();
    if size > MAX_FILE {
        return Err(format!("it is larger than {} MiB", MAX_FILE >> 20));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| unreadable(&error))?;
    rules(&text, path)
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        _ => error.to_string(),
    }
}

fn rules(text: &str, path: &Path) -> Result<Vec<FileRule>, String> {
    let whole = parsed::parse(text, Some("yaml"), path)?;
    // A PrometheusRule of Kubernetes holds the same below its spec.
    let inner = whole.get("spec").filter(|_| whole.get("groups").is_none()).unwrap_or(&whole);
    let groups = inner.get("groups").and_then(Value::as_array).ok_or("it has no list `groups`; is it a rule file?")?;
    let mut all = Vec::new();
    for group in groups {
        let name = group.get("name").and_then(Value::as_str).ok_or("a group in it has no name")?;
        let within = |why: String| format!("the group {name:?}: {why}");
        let shared = texts(group, "labels").map_err(within)?;
        let list = match group.get("rules") {
            None | Some(Value::Null) => continue,
            Some(rules) => rules.as_array().ok_or_else(|| within("`rules` is no list".into()))?,
        };
        for rule in list {
            all.push(one(name, rule, &shared).map_err(within)?);
        }
    }
    if all.is_empty() { Err("it holds no rule".to_owned()) } else { Ok(all) }
}

fn one(group: &str, rule: &Value, shared: &BTreeMap<String, String>) -> Result<FileRule, String> {
    let map = rule.as_object().ok_or("a rule is no map")?;
    let (kind, name) = match (text(map, "alert"), text(map, "record")) {
        (Some(name), None) => (RuleKind::Alerting, name),
        (None, Some(name)) => (RuleKind::Recording, name),
        _ => return Err("a rule has neither `alert` nor `record`, or both".into()),
    };
    let within = |why: String| format!("the rule {name:?}: {why}");
    let expr = text(map, "expr").ok_or_else(|| within("it has no `expr`".into()))?;
    let time = |key: &str| match map.get(key) {
        None | Some(Value::Null) => Ok(0.0),
        Some(value) => {
            let text = plain(value).unwrap_or_default();
            seconds(&text).ok_or_else(|| within(format!("`{key}` is {text:?}, no duration such as 5m")))
        }
    };
    let mut labels = shared.clone();
    labels.extend(texts(rule, "labels").map_err(within)?);
    Ok(FileRule {
        group: group.to_owned(),
        kind,
        duration: time("for")?,
        keep_firing_for: time("keep_firing_for")?,
        labels,
        annotations: texts(rule, "annotations").map_err(within)?,
        expr: expr.trim().to_owned(),
        name,
    })
}

/// Reads a map of texts; nothing under the key is an empty one.
fn texts(value: &Value, key: &str) -> Result<BTreeMap<String, String>, String> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(map)) => map
            .iter()
            .map(|(name, value)| plain(value).map(|text| (name.clone(), text)))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("`{key}` holds what is no text")),
        Some(_) => Err(format!("`{key}` is no map")),
    }
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key).and_then(plain)
}

/// Returns a scalar as the text that it is for Prometheus.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Reads a duration as Prometheus writes it: `1h30m`, `2w`, `0`.
fn seconds(text: &str) -> Option<f64> {
    const UNITS: &[(&str, f64)] = &[
        ("ms", 0.001),
        ("y", 31_536_000.0),
        ("w", 604_800.0),
        ("d", 86_400.0),
        ("h", 3_600.0),
        ("m", 60.0),
        ("s", 1.0),
    ];
    if text == "0" {
        return Some(0.0);
    }
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, size) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        sum += number * size;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<FileRule>, String> {
        rules(text, Path::new("rules.yml"))
    }

    #[test]
    fn rules_are_read_with_the_labels_of_their_group() {
        let text = "groups:\n- name: g\n  labels: { team: api, tier: 1 }\n  rules:\n  - alert: Down\n    expr: |\n      up == 0\n    for: 1h30m\n    labels: { team: db }\n    annotations: { summary: 'is {{ $value }}' }\n  - { record: 'a:b', expr: sum(up) }\n";
        let all = read(text).expect("valid");
        assert_eq!((all.len(), all[0].duration, all[0].expr.as_str()), (2, 5400.0, "up == 0"));
        assert_eq!(all[0].labels, [("team".to_owned(), "db".to_owned()), ("tier".into(), "1".into())].into());
        assert_eq!(all[0].annotations["summary"], "is {{ $value }}");
        assert_eq!((all[1].kind, all[1].name.as_str()), (RuleKind::Recording, "a:b"));
        let manifest = "kind: PrometheusRule\nspec: { groups: [ { name: g, rules: [ { alert: A, expr: up } ] } ] }\n";
        assert_eq!(read(manifest).expect("valid")[0].name, "A");
    }

    #[test]
    fn what_is_no_rule_file_is_said() {
        for (text, part) in [
            ("a: b", "no list `groups`"),
            ("groups: []", "holds no rule"),
            ("groups: [ { rules: [] } ]", "no name"),
            ("groups: [ { name: g, rules: [ { alert: A } ] } ]", "no `expr`"),
            ("groups: [ { name: g, rules: [ { alert: A, record: B, expr: up } ] } ]", "neither"),
            ("groups: [ { name: g, rules: [ { alert: A, expr: up, for: soon } ] } ]", "no duration"),
            ("groups: [ { name: g, rules: [ { alert: A, expr: up, labels: [x] } ] } ]", "no map"),
            ("groups: [", "not valid YAML"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(part), "{text}: {said}");
        }
    }

    #[test]
    fn durations_are_those_of_prometheus() {
        for (text, wanted) in [
            ("5m", Some(300.0)),
            ("1d12h", Some(129_600.0)),
            ("100ms", Some(0.1)),
            ("0", Some(0.0)),
            ("5", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text:?}");
        }
    }
}
