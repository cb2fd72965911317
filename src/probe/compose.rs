//! Compose files in one form: of everything that may be written in two ways, only one is left.
//!
//! The forms are those of the Compose Specification, <https://github.com/compose-spec/compose-spec/blob/main/spec.md>.
//! Values are kept as they stand, `${…}` unfilled; which variables there are, and with which defaults, is listed beside.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The most ports that a range may stand for.
const MOST_PORTS: u32 = 1000;

/// Turns a parsed file into its one form, `variables` added.
///
/// # Errors
/// Says in one line why this is no Compose file, or what in it contradicts itself.
pub(super) fn normal(file: Value) -> Result<Value, String> {
    let Value::Object(mut file) = file else { return Err("not a Compose file: it is no map".into()) };
    let variables = variables(&file);
    let Some(Value::Object(services)) = file.get_mut("services") else {
        return Err("not a Compose file: it has no map of services".into());
    };
    if services.is_empty() {
        return Err("not a Compose file: it has no service".into());
    }
    for (name, service) in services.iter_mut() {
        let Value::Object(service) = service else { return Err(format!("the service {name} is no map")) };
        one_service(service).map_err(|why| format!("the service {name}: {why}"))?;
    }
    for (name, service) in services.iter() {
        let mut needed = service.get("depends_on").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        if let Some(needed) = needed.find(|needed| !services.contains_key(*needed)) {
            return Err(format!("the service {name} depends on {needed}, which the file does not define"));
        }
    }
    file.insert("variables".into(), variables);
    Ok(Value::Object(file))
}

fn one_service(service: &mut Map<String, Value>) -> Result<(), String> {
    change(service, "depends_on", depends_on)?;
    for key in ["environment", "labels"] {
        change(service, key, |value| pairs(value, key))?;
    }
    change(service, "ports", ports)?;
    change(service, "networks", |value| names(value, "networks"))?;
    change(service, "env_file", env_files)
}

/// Replaces a value if it is there.
fn change(
    map: &mut Map<String, Value>,
    key: &str,
    into: impl FnOnce(Value) -> Result<Value, String>,
) -> Result<(), String> {
    if let Some(value) = map.remove(key).filter(|value| !value.is_null()) {
        map.insert(key.to_owned(), into(value)?);
    }
    Ok(())
}

/// A list of services, each of which must have started; or a map that says more of each.
fn depends_on(value: Value) -> Result<Value, String> {
    let whole = |more: &Value| {
        let of = |key: &str, otherwise: Value| more.get(key).cloned().unwrap_or(otherwise);
        json!({
            "condition": of("condition", json!("service_started")),
            "required": of("required", json!(true)),
            "restart": of("restart", json!(false)),
        })
    };
    match value {
        Value::Array(list) => list.iter().map(|name| Ok((text(name, "depends_on")?, whole(&Value::Null)))).collect(),
        Value::Object(map) => Ok(map.iter().map(|(name, more)| (name.clone(), whole(more))).collect()),
        _ => Err("depends_on is neither a list nor a map".into()),
    }
}

/// A list of `NAME=value` or a map. A name without a value has none: it is passed on from whoever starts it.
fn pairs(value: Value, key: &str) -> Result<Value, String> {
    let plain = |value: &Value| match value {
        Value::Null => Ok(Value::Null),
        other => text(other, key).map(Value::String),
    };
    match value {
        Value::Array(list) => list
            .iter()
            .map(|entry| {
                let entry = text(entry, key)?;
                Ok(match entry.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Value::String(value.to_owned())),
                    None => (entry, Value::Null),
                })
            })
            .collect(),
        Value::Object(map) => map.iter().map(|(name, value)| Ok((name.clone(), plain(value)?))).collect(),
        _ => Err(format!("{key} is neither a list nor a map")),
    }
}

/// A list of names, or a map.
fn names(value: Value, key: &str) -> Result<Value, String> {
    match value {
        Value::Array(list) => list.iter().map(|name| Ok((text(name, key)?, Value::Null))).collect(),
        Value::Object(map) => Ok(Value::Object(map)),
        _ => Err(format!("{key} is neither a list nor a map")),
    }
}

/// One file or several, each a path or a map.
fn env_files(value: Value) -> Result<Value, String> {
    let list = if let Value::Array(list) = value { list } else { vec![value] };
    let one = |entry: &Value| match entry {
        Value::Object(map) => Ok(json!({
            "path": map.get("path").cloned().unwrap_or(Value::Null),
            "required": map.get("required").cloned().unwrap_or(json!(true)),
        })),
        path => text(path, "env_file").map(|path| json!({ "path": path, "required": true })),
    };
    list.iter().map(one).collect()
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(format!("an entry of {key} is no text")),
    }
}

/// Ports, each with `target`, `published`, `host_ip` and `protocol`; of a range, each of them.
fn ports(value: Value) -> Result<Value, String> {
    let Value::Array(list) = value else { return Err("ports is no list".into()) };
    let mut all = Vec::new();
    for entry in &list {
        match entry {
            Value::Object(map) => all.push(long_port(map)?),
            short => all.extend(short_ports(&text(short, "ports")?)?),
        }
    }
    Ok(Value::Array(all))
}

fn long_port(map: &Map<String, Value>) -> Result<Value, String> {
    let number = |key: &str| match map.get(key) {
        None | Some(Value::Null) => Ok(Value::Null),
        Some(value) => text(value, "ports").map(|text| port(&text)),
    };
    Ok(json!({
        "target": number("target")?,
        "published": number("published")?,
        "host_ip": map.get("host_ip").cloned().unwrap_or(Value::Null),
        "protocol": map.get("protocol").cloned().unwrap_or(json!("tcp")),
    }))
}

/// A port as a number; what a variable stands in stays text.
fn port(text: &str) -> Value {
    text.parse::<u16>().map_or_else(|_| json!(text), |number| json!(number))
}

/// `[[HOST:]PUBLISHED:]TARGET[/PROTOCOL]`, with ranges.
fn short_ports(written: &str) -> Result<Vec<Value>, String> {
    // A slash or a colon within `${…}` belongs to it.
    let (ports, protocol) = match cut_last(written, '/') {
        Some((ports, protocol)) => (ports, protocol),
        None => (written, "tcp"),
    };
    let (before, target) = cut_last(ports, ':').map_or((None, ports), |(before, target)| (Some(before), target));
    let (host, published) = match before.map(|before| (cut_last(before, ':'), before)) {
        None => (None, None),
        Some((Some((host, published)), _)) => (Some(host.trim_matches(['[', ']'])), Some(published)),
        Some((None, published)) => (None, Some(published)),
    };
    let published = published.filter(|published| !published.is_empty());
    let targets = range(target).map_err(|why| format!("the port {written:?} {why}"))?;
    let outside = published.map(range).transpose().map_err(|why| format!("the port {written:?} {why}"))?;
    if outside.as_ref().is_some_and(|outside| outside.len() != targets.len() && targets.len() != 1) {
        return Err(format!("the port {written:?} has ranges of different lengths"));
    }
    let one = |(n, target): (usize, &Value)| {
        let published = match &outside {
            Some(outside) if outside.len() == targets.len() => outside.get(n).cloned().unwrap_or(Value::Null),
            // Any free port of a range, for one target.
            Some(_) => json!(published),
            None => Value::Null,
        };
        json!({ "target": target, "published": published, "host_ip": host, "protocol": protocol })
    };
    Ok(targets.iter().enumerate().map(one).collect())
}

/// Cuts at the last sign that is not within `${…}`.
fn cut_last(text: &str, sign: char) -> Option<(&str, &str)> {
    let (mut depth, mut found) = (0_usize, None);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            // An address of IPv6 stands in brackets.
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            c if c == sign && depth == 0 => found = Some(at),
            _ => {}
        }
        before = c;
    }
    found.map(|at| (&text[..at], &text[at + sign.len_utf8()..]))
}

fn range(text: &str) -> Result<Vec<Value>, String> {
    let Some((low, high)) = text.split_once('-').filter(|_| !text.contains('$')) else { return Ok(vec![port(text)]) };
    match (low.parse::<u16>(), high.parse::<u16>()) {
        (Ok(low), Ok(high)) if low <= high && u32::from(high - low) < MOST_PORTS => {
            Ok((low..=high).map(|port| json!(port)).collect())
        }
        (Ok(_), Ok(_)) => Err(format!("has a range that goes backwards or over more than {MOST_PORTS} ports")),
        _ => Err("is no port".into()),
    }
}

/// What is known of a variable, over all places where it is used.
#[derive(Default)]
struct Use {
    /// The default of the first use that has one.
    default: Option<String>,
    /// Whether some use has none.
    bare: bool,
    /// Whether some use refuses to go on without a value.
    required: bool,
}

/// Lists the variables that the file is filled in with, and those that a service passes on: `default`, null where some
/// use has none, and whether a value is `required`.
fn variables(file: &Map<String, Value>) -> Value {
    let mut found: BTreeMap<String, Use> = BTreeMap::new();
    file.values().for_each(|value| search(value, &mut found));
    let services = file.get("services").and_then(Value::as_object).into_iter().flat_map(Map::values);
    for environment in services.filter_map(|service| service.get("environment")) {
        for name in passed_on(environment) {
            found.entry(name).or_default().bare = true;
        }
    }
    let one = |(name, seen): (String, Use)| {
        let default = seen.default.filter(|_| !seen.bare);
        (name, json!({ "default": default, "required": seen.required }))
    };
    found.into_iter().map(one).collect()
}

/// Lists the variables of a service that have no value of their own.
fn passed_on(environment: &Value) -> Vec<String> {
    let entry = |entry: &Value| entry.as_str().filter(|entry| !entry.contains('=')).map(str::to_owned);
    match environment {
        Value::Array(list) => list.iter().filter_map(entry).collect(),
        Value::Object(map) => map.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.clone()).collect(),
        _ => Vec::new(),
    }
}

fn search(value: &Value, found: &mut BTreeMap<String, Use>) {
    match value {
        Value::String(text) => in_text(text, found),
        Value::Array(list) => list.iter().for_each(|value| search(value, found)),
        Value::Object(map) => map.values().for_each(|value| search(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Finds `$NAME` and `${NAME…}` in a text; `$$` stands for a dollar sign.
fn in_text(text: &str, found: &mut BTreeMap<String, Use>) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let end = closing(inner);
            braced(&inner[..end], found);
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            let name = name_of(rest);
            if !name.is_empty() {
                found.entry(name.to_owned()).or_default().bare = true;
            }
            rest = &rest[name.len()..];
        }
    }
}

fn name_of(text: &str) -> &str {
    let sign = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    text.split(|c| !sign(c)).next().unwrap_or_default()
}

/// Finds the brace that closes what was opened before the text.
fn closing(text: &str) -> usize {
    let (mut depth, mut before) = (1_usize, ' ');
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
        before = c;
    }
    text.len()
}

/// Reads what stands in `${…}`: a name, and what is taken without a value.
fn braced(inner: &str, found: &mut BTreeMap<String, Use>) {
    let name = name_of(inner);
    if name.is_empty() {
        return;
    }
    let rest = &inner[name.len()..];
    let (how, otherwise) = rest.strip_prefix(':').unwrap_or(rest).split_at_checked(1).unwrap_or_default();
    let seen = found.entry(name.to_owned()).or_default();
    match how {
        "-" => seen.default = seen.default.take().or_else(|| Some(otherwise.to_owned())),
        "?" => (seen.required, seen.bare) = (true, true),
        // Without a value it stands for nothing, which is a default of its kind.
        "+" => seen.default = seen.default.take().or_else(|| Some(String::new())),
        _ => seen.bare = true,
    }
    in_text(otherwise, found);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(service: Value) -> Result<Value, String> {
        let file = normal(json!({ "services": { "web": service, "db": {}, "prometheus": {} } }))?;
        Ok(file["services"]["web"].clone())
    }

    #[test]
    fn both_forms_come_to_the_same() {
        let started = json!({ "condition": "service_started", "required": true, "restart": false });
        for (short, long) in [
            (json!({ "depends_on": ["db"] }), json!({ "depends_on": { "db": { "condition": "service_started" } } })),
            (
                json!({ "environment": ["A=1", "B=x=y", "C"] }),
                json!({ "environment": { "A": 1, "B": "x=y", "C": null } }),
            ),
            (json!({ "labels": ["a=true"] }), json!({ "labels": { "a": true } })),
            (json!({ "networks": ["front"] }), json!({ "networks": { "front": null } })),
            (json!({ "env_file": ".env" }), json!({ "env_file": [{ "path": ".env", "required": true }] })),
            (
                json!({ "ports": ["127.0.0.1:8080:80/udp"] }),
                json!({ "ports": [{ "target": 80, "published": "8080", "host_ip": "127.0.0.1", "protocol": "udp" }] }),
            ),
        ] {
            assert_eq!(service(short.clone()), service(long), "{short}");
        }
        assert_eq!(service(json!({ "depends_on": ["db"] })).expect("valid")["depends_on"]["db"], started);
    }

    #[test]
    fn ports_are_taken_apart() {
        let of = |written: Value| service(json!({ "ports": [written] })).map(|web| web["ports"].clone());
        let one = |target: Value, published: Value, host: Value| json!({ "target": target, "published": published, "host_ip": host, "protocol": "tcp" });
        assert_eq!(of(json!(3000)), Ok(json!([one(json!(3000), Value::Null, Value::Null)])));
        assert_eq!(of(json!("9090:9090")), Ok(json!([one(json!(9090), json!(9090), Value::Null)])));
        assert_eq!(of(json!("[::1]:9090:80")), Ok(json!([one(json!(80), json!(9090), json!("::1"))])));
        let filled = "${HOST:-0.0.0.0}:${PORT:-8080}:80";
        assert_eq!(of(json!(filled)), Ok(json!([one(json!(80), json!("${PORT:-8080}"), json!("${HOST:-0.0.0.0}"))])));
        let range = of(json!("8000-8002:9000-9002")).expect("valid");
        assert_eq!((range[0]["published"].clone(), range[2]["target"].clone()), (json!(8000), json!(9002)));
        for bad in ["8000-8002:9000-9001", "9-1", "1-60000", "a-b"] {
            assert!(of(json!(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_are_listed_with_their_defaults() {
        let file = normal(json!({
            "services": { "web": {
                "image": "web:${TAG:?name a tag}",
                "environment": { "LEVEL": "${LEVEL:-info}", "NESTED": "${A:-${B-b}}", "PASSED": null, "PLAIN": "x" },
                "command": "run $SIMPLE $$NOT ${LEVEL} ${MAYBE:+yes} $5",
            } },
        }));
        let optional = |default: Value| json!({ "default": default, "required": false });
        assert_eq!(
            file.expect("valid")["variables"],
            json!({
                "A": optional(json!("${B-b}")), "B": optional(json!("b")), "LEVEL": optional(Value::Null),
                "MAYBE": optional(json!("")), "PASSED": optional(Value::Null), "SIMPLE": optional(Value::Null),
                "TAG": { "default": null, "required": true },
            })
        );
    }

    #[test]
    fn what_is_no_compose_file_or_contradicts_itself_is_said() {
        for (file, word) in [
            (json!([]), "no map"),
            (json!({ "version": "3" }), "no map of services"),
            (json!({ "services": {} }), "no service"),
            (json!({ "services": { "web": null } }), "web is no map"),
            (json!({ "services": { "web": { "depends_on": ["prometheus"] } } }), "depends on prometheus"),
            (json!({ "services": { "web": { "environment": "A=1" } } }), "environment is neither"),
            (json!({ "services": { "web": { "ports": "80" } } }), "ports is no list"),
        ] {
            assert!(normal(file.clone()).expect_err("no file").contains(word), "{file}");
        }
    }
}
