//! The JSON Schema of the checklist language, made from the declarations that parsing uses.

use serde_json::{Value, json};

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
        map.insert("$defs".into(), json!({ "step": step, "expectation": expect::schema() }));
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
    let probes: Vec<_> = KINDS.iter().map(|kind| json!({ "required": [kind.name] })).collect();
    map.insert("oneOf".into(), json!(probes));
    step
}
