//! Label selectors and names of objects as checklists write them, checked as far as that can be done without a cluster.
//!
//! Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>.

use serde_json::Value;

use crate::source::kubernetes::resource;

/// Which pods are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Pods {
    /// Every pod of the namespace.
    Every,
    /// One pod.
    One(String),
    /// The pods of a workload: its kind as written, and its name.
    Of(String, String),
    /// Those with such labels.
    Labelled(String),
}

/// Reads which pods are meant: `*`, `deployment/web`, `pod/web-0`, or a selector.
///
/// # Errors
/// Says what is wrong.
pub(in crate::probe) fn pods(text: &str) -> Result<Pods, String> {
    let text = text.trim();
    if text == "*" {
        return Ok(Pods::Every);
    }
    if let Some((kind, name)) = object(text) {
        if matches!(kind, "pod" | "pods" | "po") {
            return Ok(Pods::One(name.to_owned()));
        }
        if resource::workload(kind).is_some() {
            return Ok(Pods::Of(kind.to_owned(), name.to_owned()));
        }
    }
    check(text).map(|()| Pods::Labelled(text.to_owned()))
}

/// Takes `kind/name` apart; nothing when the text is something else.
pub(in crate::probe) fn object(text: &str) -> Option<(&str, &str)> {
    let (kind, name) = text.trim().split_once('/')?;
    let plain = |word: &str| !word.is_empty() && !word.contains(['=', '!', ',', ' ', '(', ')', '/']);
    (plain(kind) && plain(name)).then_some((kind, name))
}

/// Checks a label selector.
fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("the selector is empty: write labels such as app=web, or \"*\" for every pod".into());
    }
    requirements(text)?.iter().try_for_each(|part| requirement(part.trim()))
}

/// Takes a selector apart at its commas, those in brackets left out.
fn requirements(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0);
    for (at, sign) in text.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        if !(0..=1).contains(&depth) {
            break;
        }
    }
    if depth != 0 {
        return Err("a bracket of the selector is not closed".into());
    }
    parts.push(&text[begin..]);
    Ok(parts)
}

fn requirement(part: &str) -> Result<(), String> {
    let fault = || Err(format!("{part:?} is not a requirement such as app=web, app!=web, app in (a, b), app or !app"));
    if let Some((key, values)) = part.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        let words: Vec<_> = key.split_whitespace().collect();
        return match words[..] {
            [key, "in" | "notin"] if is_key(key) && values.split(',').all(|value| is_value(value.trim())) => Ok(()),
            _ => fault(),
        };
    }
    let sign = ["!=", "==", "="].into_iter().find_map(|sign| part.split_once(sign));
    let good = match sign {
        Some((key, value)) => is_key(key.trim()) && is_value(value.trim()),
        None => is_key(part.strip_prefix('!').unwrap_or(part).trim()),
    };
    if good { Ok(()) } else { fault() }
}

fn is_key(key: &str) -> bool {
    let name = match key.split_once('/') {
        Some((prefix, name)) if !prefix.is_empty() && prefix.len() <= 253 => name,
        Some(_) => return false,
        None => key,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 63 && key.chars().all(|c| plain(c) || c == '/') && name.chars().all(plain)
}

fn is_value(value: &str) -> bool {
    value.len() <= 63 && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Writes the selector of a workload as a query has it.
///
/// # Errors
/// Says that it has none.
pub(in crate::probe) fn of_workload(object: &Value) -> Result<String, String> {
    let selector = &object["spec"]["selector"];
    let mut parts = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("Exists") => key.to_owned(),
            Some("DoesNotExist") => format!("!{key}"),
            other => return Err(format!("its selector has the operator {other:?}")),
        });
    }
    match parts.is_empty() {
        true => Err("it has no selector for its pods".into()),
        false => Ok(parts.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_are_checked_and_workloads_are_told_apart_from_them() {
        let labelled = |text: &str| Ok(Pods::Labelled(text.to_owned()));
        for good in ["app=web", "app=web,variant!=test", "app in (a, b),!canary", "app.kubernetes.io/name=web", "x/y"] {
            assert_eq!(pods(good), labelled(good), "{good}");
        }
        assert_eq!(pods("deployment/web"), Ok(Pods::Of("deployment".into(), "web".into())));
        assert_eq!(pods("pod/web-0"), Ok(Pods::One("web-0".into())));
        assert_eq!(pods(" * "), Ok(Pods::Every));
        for bad in ["", "app=", "app=a b", "=web", "app in (a", "app in a", "app>1", "a,,b", "app=web;x"] {
            let empty_value = bad == "app=";
            assert_eq!(pods(bad).is_ok(), empty_value, "{bad}");
        }
    }

    #[test]
    fn the_selector_of_a_workload_becomes_a_query() {
        let object = json!({ "spec": { "selector": {
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["a", "b"] },
                { "key": "canary", "operator": "DoesNotExist" },
            ],
        } } });
        assert_eq!(of_workload(&object), Ok("app=web,tier in (a,b),!canary".to_owned()));
        assert!(of_workload(&json!({ "spec": {} })).is_err());
    }
}
