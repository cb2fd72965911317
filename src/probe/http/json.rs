//! Measures what a body holds as JSON, by JSONPath: parsed once, whatever the number of paths.

use serde_json_path::JsonPath;

use crate::model::Value as Measured;
use crate::probe::Wants;

/// How many values a body may hold: a value takes some 80 bytes once it is parsed, and memory has a bound.
const MOST_VALUES: usize = 500_000;

/// The paths that are wanted, checked once.
pub(super) struct Paths {
    paths: Vec<(String, Result<JsonPath, String>)>,
    whole: bool,
}

impl Paths {
    /// Notes which paths are wanted.
    pub(super) fn of(wants: &Wants) -> Self {
        let parse = |key: &str| JsonPath::parse(key).map_err(|e| format!("{key} is not a JSONPath: {}", e.message()));
        let paths = wants.keys("json").into_iter().map(|key| (key.to_owned(), parse(key))).collect();
        Self { paths, whole: wants.whole("json") }
    }

    /// Tells whether nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.whole
    }

    /// Measures every path that is wanted; the whole has no path.
    pub(super) fn measure(&self, body: &[u8], content_type: &str) -> Vec<(Option<&str>, Measured)> {
        if too_many(body) {
            return self.each(&Measured::NoData("the body holds too many JSON values to be searched".into()));
        }
        match serde_json::from_slice(body) {
            Ok(json) => {
                let at = |(key, path): &'_ (String, Result<JsonPath, String>)| match path {
                    Ok(path) => find(&json, key, path),
                    Err(message) => Measured::NoData(message.clone()),
                };
                let mut all: Vec<_> = self.paths.iter().map(|item| (Some(item.0.as_str()), at(item))).collect();
                if self.whole {
                    all.push((None, Measured::Json(json)));
                }
                all
            }
            Err(error) => self.each(&Measured::Missing(not_json(body, content_type, &error))),
        }
    }

    /// Gives every path that is wanted the same value.
    pub(super) fn each(&self, value: &Measured) -> Vec<(Option<&str>, Measured)> {
        let keys = self.paths.iter().map(|(key, _)| Some(key.as_str()));
        keys.chain(self.whole.then_some(None)).map(|key| (key, value.clone())).collect()
    }
}

/// Tells whether a body may hold more than [`MOST_VALUES`]. Signs within texts are counted too.
fn too_many(body: &[u8]) -> bool {
    body.len() > MOST_VALUES && memchr::memchr3_iter(b',', b'[', b'{', body).count() > MOST_VALUES
}

fn find(json: &serde_json::Value, key: &str, path: &JsonPath) -> Measured {
    let found = path.query(json).all();
    match found[..] {
        [] => Measured::Missing(format!("nothing at {key}: {}", outline(json))),
        [one] => Measured::Json(one.clone()),
        _ => Measured::Json(found.into_iter().cloned().collect()),
    }
}

/// Says what there is instead.
fn outline(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::Object(map) if map.is_empty() => "the body is an empty object".into(),
        serde_json::Value::Object(map) => {
            let names: Vec<_> = map.keys().take(8).map(|key| cut(key, 40)).collect();
            let more = if map.len() > 8 { " …" } else { "" };
            format!("the body is an object with {}{more}", names.join(", "))
        }
        serde_json::Value::Array(items) => format!("the body is a list of {}", items.len()),
        other => format!("the body is {}", cut(&other.to_string(), 40)),
    }
}

fn not_json(body: &[u8], content_type: &str, error: &serde_json::Error) -> String {
    let kind = if content_type.is_empty() { "no content type" } else { content_type };
    if body.is_empty() {
        return format!("the body is empty ({kind})");
    }
    let start = String::from_utf8_lossy(&body[..body.len().min(240)]);
    let start: Vec<_> = start.split_whitespace().collect();
    format!("the body is not JSON ({kind}): {error}; it begins with {:?}", cut(&start.join(" "), 60))
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

    fn measure(key: &str, body: &str) -> Measured {
        let mut wants = Wants::default();
        wants.add(MeasureName::keyed("json", key));
        Paths::of(&wants).measure(body.as_bytes(), "text/html").remove(0).1
    }

    #[test]
    fn one_several_and_no_values_are_told_apart() {
        let body = r#"{"items": [{"n": 1}, {"n": 2}], "none": null}"#;
        assert_eq!(measure("$.items[0].n", body), Measured::Json(json!(1)));
        assert_eq!(measure("$.items[*].n", body), Measured::Json(json!([1, 2])));
        assert_eq!(measure("$.none", body), Measured::Json(json!(null)));
        let missing = "nothing at $.item: the body is an object with items, none";
        assert_eq!(measure("$.item", body), Measured::Missing(missing.into()));
    }

    #[test]
    fn what_is_not_json_says_what_it_is() {
        let Measured::Missing(why) = measure("$.a", "<html>\n<p>Bad gateway") else { panic!("missing") };
        assert!(why.contains("text/html") && why.contains("<html> <p>Bad gateway"), "{why}");
        let deep = "[".repeat(100_000);
        assert!(matches!(measure("$.a", &deep), Measured::Missing(_)));
        assert!(matches!(measure("$.a", ""), Measured::Missing(_)));
        let many = format!("[{}0]", "0,".repeat(1_000_000));
        assert!(matches!(measure("$[0]", &many), Measured::NoData(_)));
    }
}
