//! What a probe measured.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserializer};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::Tally;

/// The kind of a measure, known before anything runs: it decides which comparators make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A plain number, such as a status or a count.
    Number,
    /// A share of one: 0.05 or 5%.
    Ratio,
    /// Seconds.
    Duration,
    /// Bytes.
    Size,
    /// A quantity per second.
    Rate,
    /// A quantity per second, shown per hour: how fast something grows. A limit without a unit is per hour.
    Growth,
    /// A number whose unit only the writer knows, such as a PromQL value: every quantity may stand against it.
    Quantity,
    /// Text.
    Text,
    /// A JSON value.
    Json,
    /// A set of words.
    Set,
    /// How many of how many, such as pods that are ready: `all`, `none`, a count and a share may stand against it.
    Tally,
    /// True or false.
    Bool,
}

impl Kind {
    /// Returns the word used in messages.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Number => "number",
            Kind::Ratio => "ratio",
            Kind::Duration => "duration",
            Kind::Size => "size",
            Kind::Rate => "rate",
            Kind::Growth => "rate of growth",
            Kind::Quantity => "quantity",
            Kind::Text => "text",
            Kind::Json => "JSON value",
            Kind::Set => "set",
            Kind::Tally => "tally",
            Kind::Bool => "true or false",
        }
    }
}

/// One series of a vector: its labels and its value. The value may be NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The labels, the metric's name among them as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// The value.
    #[serde(with = "number")]
    pub value: f64,
}

/// A measured value. *Missing* and *no data* are values of their own: neither is ever 0 or empty text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A number in the base unit of its kind: seconds, bytes, a share of one, per second.
    Number(#[serde(with = "number")] f64),
    /// Text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A JSON value.
    Json(serde_json::Value),
    /// A set of words.
    Set(Vec<String>),
    /// How many of how many; of none, nothing holds.
    Tally(Tally),
    /// One number a series; every one of them must hold unless the step says otherwise.
    Series(Vec<Sample>),
    /// Looked, and it is not there: a JSON field, a header. Judged as a failure unless `absent` is expected.
    Missing(String),
    /// Looked, and there is nothing to judge, with the reason. Judged by `on_no_data`.
    NoData(String),
}

/// Names a measure, with its key when it is a keyed one: `status`, `json[$.items]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeasureName {
    name: Cow<'static, str>,
    key: Option<Arc<str>>,
}

impl MeasureName {
    /// Names a measure without a key. A dot separates parts: `timing.dns`.
    pub const fn plain(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), key: None }
    }

    /// Names one key of a keyed measure.
    pub fn keyed(name: &'static str, key: impl Into<Arc<str>>) -> Self {
        Self { name: Cow::Borrowed(name), key: Some(key.into()) }
    }

    /// Returns the measure's name, without its key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key, for a keyed measure.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Self {
        match text.split_once('[') {
            Some((name, rest)) if rest.ends_with(']') => {
                Self { name: Cow::Owned(name.to_owned()), key: Some(rest[..rest.len() - 1].into()) }
            }
            _ => Self { name: Cow::Owned(text.to_owned()), key: None },
        }
    }
}

impl fmt::Display for MeasureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            None => f.write_str(&self.name),
            Some(key) => write!(f, "{}[{key}]", self.name),
        }
    }
}

impl fmt::Debug for MeasureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MeasureName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MeasureName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

/// What one look measured, in the order of measuring.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures(Vec<(MeasureName, Value)>);

impl Measures {
    /// Makes an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a measure; a later one of the same name replaces the earlier.
    pub fn set(&mut self, name: MeasureName, value: Value) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Adds a measure without a key.
    pub fn plain(&mut self, name: &'static str, value: Value) {
        self.set(MeasureName::plain(name), value);
    }

    /// Adds one key of a keyed measure.
    pub fn keyed(&mut self, name: &'static str, key: impl Into<Arc<str>>, value: Value) {
        self.set(MeasureName::keyed(name, key), value);
    }

    /// Looks a measure up.
    pub fn get(&self, name: &MeasureName) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Walks over the measures.
    pub fn iter(&self) -> impl Iterator<Item = (&MeasureName, &Value)> {
        self.0.iter().map(|(n, v)| (n, v))
    }

    /// Walks over the measures to change their values in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&MeasureName, &mut Value)> {
        self.0.iter_mut().map(|(n, v)| (&*n, v))
    }

    /// Tells whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(MeasureName, Value)> for Measures {
    fn from_iter<I: IntoIterator<Item = (MeasureName, Value)>>(items: I) -> Self {
        let mut measures = Measures::new();
        for (name, value) in items {
            measures.set(name, value);
        }
        measures
    }
}

impl Serialize for Measures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Measures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Measures;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of measures")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Measures, A::Error> {
                let mut items = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    items.push(entry);
                }
                Ok(Measures(items))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Writes numbers that JSON has no form for (NaN, infinities) as text, and reads them back.
pub mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a number, or `"NaN"`, `"+Inf"`, `"-Inf"`.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            v if v.is_nan() => serializer.serialize_str("NaN"),
            v if *v == f64::INFINITY => serializer.serialize_str("+Inf"),
            v if *v == f64::NEG_INFINITY => serializer.serialize_str("-Inf"),
            v => serializer.serialize_f64(*v),
        }
    }

    /// Reads what [`serialize`] wrote.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(f64),
            Word(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(value) => Ok(value),
            Form::Word(word) => word.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_survive_json_with_nan_and_keys() {
        let mut measures = Measures::new();
        measures.plain("value", Value::Number(f64::NEG_INFINITY));
        measures.keyed("json", "$['a[0]']", Value::Missing("no such field".into()));
        let text = serde_json::to_string(&measures).expect("serialises");
        let back: Measures = serde_json::from_str(&text).expect("reads back");
        assert_eq!(back, measures);
        assert!(text.contains("-Inf"), "{text}");
    }
}
