//! Any object: whether it is there, its labels, conditions and fields.

use serde_json::Value as Json;

use super::look::Seen;
use super::selector;
use crate::model::{Note, Value};
use crate::source::Failure;
use crate::source::kubernetes::{Asked, Resource};

/// Finds out which object is meant by `kind/name`.
pub(super) async fn resolve(
    asked: &Asked<'_>,
    text: &str,
    version: Option<&str>,
) -> Result<(Resource, String), Failure> {
    let Some((kind, name)) = selector::object(text) else {
        return Err(Failure::lasting(format!("{text:?} names no object: kind and name, such as deployment/web")));
    };
    Ok((asked.resource(kind, version).await?, name.to_owned()))
}

/// Gets an object and notes what was asked.
pub(super) async fn get(
    asked: &Asked<'_>,
    resource: &Resource,
    name: &str,
    seen: &mut Seen,
) -> Result<Option<Json>, Failure> {
    seen.request = format!("GET {}", resource.path(asked.namespace(), Some(name))?);
    asked.find(resource, name).await
}

/// Says that something is not there, once it is certain that the namespace is.
///
/// # Errors
/// A namespace that does not exist is a mistake in the question: nothing was looked at.
pub(super) async fn absence(asked: &Asked<'_>, what: &str, seen: &mut Seen) -> Result<String, Failure> {
    let namespace = asked.namespace();
    match asked.namespace_exists().await? {
        Some(true) => {}
        Some(false) => return Err(Failure::lasting(format!("there is no namespace {namespace}"))),
        None => {
            let text = format!("whether the namespace {namespace} exists is not known: it may not be asked for");
            seen.notes.push(Note::warning(text));
        }
    }
    Ok(format!("there is no {what} in the namespace {namespace}"))
}

/// Measures what every object has.
pub(super) fn measure(object: &Json, seen: &mut Seen) {
    seen.measures.plain("exists", Value::Bool(true));
    seen.measures.plain("generation_observed", generation(object).0);
}

/// Tells whether the controller has seen the newest specification, and says it in words when it has not.
pub(super) fn generation(object: &Json) -> (Value, Option<String>) {
    let newest = object.pointer("/metadata/generation").and_then(Json::as_i64);
    let observed = object.pointer("/status/observedGeneration").and_then(Json::as_i64);
    match (newest, observed) {
        (Some(newest), Some(observed)) if observed >= newest => (Value::Bool(true), None),
        (Some(newest), observed) => {
            let last = observed.map_or("none".to_owned(), |observed| observed.to_string());
            let why = format!("the controller has not seen generation {newest} yet; the last that it saw is {last}");
            match object["status"].is_object() || observed.is_some() {
                true => (Value::Bool(false), Some(why)),
                false => (Value::NoData("the object has no status".into()), Some(why)),
            }
        }
        (None, _) => {
            let why = "the object has no generation";
            (Value::NoData(why.into()), Some(why.into()))
        }
    }
}

/// Returns the value of a label.
pub(super) fn label(object: &Json, name: &str) -> Value {
    match object["metadata"]["labels"][name].as_str() {
        Some(value) => Value::Set(vec![value.to_owned()]),
        None => Value::Missing(format!("the object has no label {name}")),
    }
}

/// Returns a condition by its type.
pub(super) fn condition(object: &Json, kind: &str) -> Value {
    let all = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(found) = all.iter().find(|condition| condition["type"] == kind) else {
        let there: Vec<_> = all.iter().filter_map(|condition| condition["type"].as_str()).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        return Value::Missing(format!("the object has no condition {kind}; there is {there}"));
    };
    match found["status"].as_str() {
        Some("True") => Value::Bool(true),
        Some("False") => Value::Bool(false),
        other => {
            let reason = found["reason"].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
            Value::NoData(format!("the condition {kind} is {}{reason}", other.unwrap_or("without a status")))
        }
    }
}

/// Takes the values out of a secret: that a key is there may be asked, what it holds stands in no report.
pub(super) fn without_secrets(mut object: Json, resource: &Resource) -> Json {
    if resource.version != "v1" || resource.kind != "Secret" {
        return object;
    }
    for part in ["data", "stringData"] {
        for value in object[part].as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
            *value = Json::from("***");
        }
    }
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Json::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_that_are_unknown_or_not_there_are_told_apart() {
        let object = json!({ "status": { "conditions": [
            { "type": "Ready", "status": "True" },
            { "type": "Failed", "status": "False" },
            { "type": "Fresh", "status": "Unknown", "reason": "NoHeartbeat" },
        ] } });
        assert_eq!(condition(&object, "Ready"), Value::Bool(true));
        assert_eq!(condition(&object, "Failed"), Value::Bool(false));
        assert_eq!(condition(&object, "Fresh"), Value::NoData("the condition Fresh is Unknown (NoHeartbeat)".into()));
        let Value::Missing(why) = condition(&object, "Raedy") else { panic!("missing") };
        assert!(why.ends_with("there is Ready, Failed, Fresh"), "{why}");
    }

    #[test]
    fn a_generation_that_nobody_has_seen_is_not_observed() {
        let object = |newest: i64, observed: Option<i64>| json!({ "metadata": { "generation": newest }, "status": { "observedGeneration": observed } });
        assert_eq!(generation(&object(3, Some(3))).0, Value::Bool(true));
        assert_eq!(generation(&object(4, Some(3))).0, Value::Bool(false));
        assert_eq!(generation(&object(1, None)).0, Value::Bool(false));
        assert!(matches!(generation(&json!({ "metadata": { "generation": 1 } })).0, Value::NoData(_)));
        assert!(matches!(generation(&json!({ "metadata": {} })).0, Value::NoData(_)));
    }

    #[test]
    fn what_a_secret_holds_is_taken_out() {
        let secret =
            Resource { version: "v1".into(), plural: "secrets".into(), kind: "Secret".into(), namespaced: true };
        let applied = json!({ "kubectl.kubernetes.io/last-applied-configuration": "aGlkZGVu", "a": "b" });
        let object = json!({ "metadata": { "annotations": applied }, "data": { "password": "aGlkZGVu" } });
        let shown = without_secrets(object, &secret).to_string();
        assert!(!shown.contains("aGlkZGVu") && shown.contains("password"), "{shown}");
    }
}
