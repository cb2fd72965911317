//! The JSON Schema of the checklist language, made from the declarations that parsing uses.

use serde_json::{Value, json};

use crate::checklist::form::template::TEMPLATE;
use crate::checklist::form::{CHECKLIST, STEP};
use crate::probe::KINDS;
use crate::shape;

use super::expect;

/// Returns the schema (2020-12) of a whole checklist.
pub fn schema() -> Value {
    let mut root = shape::object_schema(&CHECKLIST);
    let step = step_schema();
    if let Value::Object(map) = &mut root {
        map.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".into(), json!("holdpoint checklist, language version 1"));
        let template = template_schema(&step);
        map.insert("$defs".into(), json!({ "step": step, "template": template, "expectation": expect::schema() }));
    }
    root
}

fn step_schema() -> Value {
    let mut step = shape::object_schema(&STEP);
    let Value::Object(map) = &mut step else { return step };
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for kind in KINDS {
            let mut value = shape::schema(&kind.shape);
            if let Value::Object(value) = &mut value {
                value.insert("description".into(), json!(kind.summary));
            }
            properties.insert(kind.name.into(), value);
        }
    }
    map.insert("additionalProperties".into(), json!(false));
    // A step has one probe, or a template that brings it, and often its name.
    map.remove("required");
    let one = KINDS.iter().map(|kind| kind.name).chain(["uses"]);
    map.insert("oneOf".into(), one.map(|key| json!({ "required": [key] })).collect());
    map.insert("anyOf".into(), json!([{ "required": ["name"] }, { "required": ["uses"] }]));
    map.insert("dependentRequired".into(), json!({ "with": ["uses"] }));
    step
}

/// A template has its own keys and those of a step. None of these is required, as a use may bring it, and each may be a
/// parameter.
fn template_schema(step: &Value) -> Value {
    let mut template = shape::object_schema(&TEMPLATE);
    let Value::Object(map) = &mut template else { return template };
    let of_step = step.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (key, value) in of_step {
            properties.entry(key).or_insert_with(|| json!({ "description": value["description"] }));
        }
    }
    map.insert("additionalProperties".into(), json!(false));
    template
}
