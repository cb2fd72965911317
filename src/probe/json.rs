//! Values in a JSON document by JSONPath: parsed once, whatever the number of paths.
//!
//! Where there is no document to look into, there is *no data*: only a document that was read lacks a field.

use serde_json::Value as Json;
use serde_json_path::JsonPath;

use super::Wants;
use crate::model::{Measures, Value};

/// How many values a document may hold: a value takes some 80 bytes once it is parsed, and memory has a bound.
const MOST_VALUES: usize = 500_000;

/// The paths that are wanted, checked once.
#[derive(Clone)]
pub(super) struct Paths {
    paths: Vec<(String, Result<JsonPath, String>)>,
    whole: bool,
}

impl Paths {
    /// Notes which paths are wanted.
    pub(super) fn of(wants: &Wants) -> Self {
        let parse = |key: &str| JsonPath::parse(key).map_err(|e| format!("{key:?} is not a JSONPath: {}", e.message()));
        let paths = wants.keys("json").into_iter().map(|key| (key.to_owned(), parse(key))).collect();
        Self { paths, whole: wants.whole("json") }
    }

    /// Tells whether nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.whole
    }

    /// Says what is wrong with a path.
    pub(super) fn fault(&self) -> Option<&str> {
        self.paths.iter().find_map(|(_, path)| path.as_ref().err()).map(String::as_str)
    }

    /// Measures every path that is wanted in a document, which `what` names, or says of each why there is none.
    pub(super) fn measure(&self, what: &str, document: Result<Json, Value>, measures: &mut Measures) {
        for (key, path) in &self.paths {
            let value = match (&document, path) {
                (Ok(document), Ok(path)) => find(document, key, path, what),
                (Ok(_), Err(message)) => Value::NoData(message.clone()),
                (Err(why), _) => why.clone(),
            };
            measures.keyed("json", key.as_str(), value);
        }
        if self.whole {
            measures.plain("json", document.map_or_else(|why| why, Value::Json));
        }
    }
}

/// Reads bytes as JSON. `what` names them, `kind` says what they claim to be, if anything.
///
/// # Errors
/// Gives no data, with the reason.
pub(super) fn parse(bytes: &[u8], what: &str, kind: Option<&str>) -> Result<Json, Value> {
    let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
    if bytes.trim_ascii().is_empty() {
        return Err(Value::NoData(format!("{what} is empty{kind}, not JSON")));
    }
    if too_many(bytes) {
        return Err(Value::NoData(format!("{what} holds too many JSON values to be searched")));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(240)]);
        let start: Vec<_> = start.split_whitespace().collect();
        let start = cut(&start.join(" "), 60);
        Value::NoData(format!("{what} is not JSON{kind}: {error}; it begins with {start:?}"))
    })
}

/// Tells whether bytes may hold more than [`MOST_VALUES`]. Signs within texts are counted too.
fn too_many(bytes: &[u8]) -> bool {
    bytes.len() > MOST_VALUES && memchr::memchr3_iter(b',', b'[', b'{', bytes).count() > MOST_VALUES
}

/// Finds what a path points at: one value as it is, several as a list, none as missing.
fn find(json: &Json, key: &str, path: &JsonPath, what: &str) -> Value {
    let found = path.query(json).all();
    match found[..] {
        [] => Value::Missing(format!("nothing at {key}: {what} is {}", outline(json))),
        [one] => Value::Json(one.clone()),
        _ => Value::Json(found.into_iter().cloned().collect()),
    }
}

/// Says what there is instead.
fn outline(json: &Json) -> String {
    match json {
        Json::Object(map) if map.is_empty() => "an empty object".into(),
        Json::Object(map) => {
            let names: Vec<_> = map.keys().take(8).map(|key| cut(key, 40)).collect();
            let more = if map.len() > 8 { " …" } else { "" };
            format!("an object with {}{more}", names.join(", "))
        }
        Json::Array(items) => format!("a list of {}", items.len()),
        other => cut(&other.to_string(), 40),
    }
}

/// Shortens a text to so many characters.
fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MeasureName;
    use serde_json::json;

    fn measure(key: &str, body: &str) -> Value {
        let name = MeasureName::keyed("json", key);
        let mut wants = Wants::default();
        wants.add(name.clone());
        let mut measures = Measures::new();
        Paths::of(&wants).measure("the body", parse(body.as_bytes(), "the body", Some("text/html")), &mut measures);
        measures.get(&name).expect("measured").clone()
    }

    #[test]
    fn one_several_and_no_values_are_told_apart() {
        let body = r#"{"items": [{"n": 1}, {"n": 2}], "none": null}"#;
        assert_eq!(measure("$.items[0].n", body), Value::Json(json!(1)));
        assert_eq!(measure("$.items[*].n", body), Value::Json(json!([1, 2])));
        assert_eq!(measure("$.none", body), Value::Json(json!(null)));
        let missing = "nothing at $.item: the body is an object with items, none";
        assert_eq!(measure("$.item", body), Value::Missing(missing.into()));
    }

    #[test]
    fn what_is_not_json_says_what_it_is_and_lacks_no_field() {
        let Value::NoData(why) = measure("$.a", "<html>\n<p>Bad gateway") else { panic!("no data") };
        assert!(why.contains("text/html") && why.contains("<html> <p>Bad gateway"), "{why}");
        let deep = "[".repeat(100_000);
        assert!(matches!(measure("$.a", &deep), Value::NoData(_)));
        assert!(matches!(measure("$.a", ""), Value::NoData(_)));
        let many = format!("[{}0]", "0,".repeat(1_000_000));
        assert!(matches!(measure("$[0]", &many), Value::NoData(_)));
    }
}
