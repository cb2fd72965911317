//! Reads what the query API answers, without a tree in between: an answer may hold a million numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What was found.
    pub data: Data,
    /// Warnings of the server: the answer may be incomplete.
    pub warnings: Vec<String>,
    /// Remarks of the server about the query.
    pub infos: Vec<String>,
}

/// What a query found.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// One number a series.
    Vector(Vec<Point>),
    /// Several numbers a series.
    Matrix(Vec<Row>),
    /// One number: its time and value.
    Scalar(f64, f64),
    /// A text.
    Text(String),
    /// Native histograms, which are no numbers.
    Histograms,
}

/// One series at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The time that was asked for, in seconds since 1970.
    pub at: f64,
    /// The value.
    pub value: f64,
}

/// One series over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// Times in seconds since 1970, and values, oldest first.
    pub samples: Vec<(f64, f64)>,
}

/// Reads an answer.
///
/// # Errors
/// Says what is wrong with the JSON.
pub fn parse(body: &[u8]) -> Result<Answer, serde_json::Error> {
    let envelope: Envelope = serde_json::from_slice(body)?;
    let data = envelope.data.ok_or_else(|| de::Error::missing_field("data"))?;
    Ok(Answer { data: data.read().map_err(de::Error::custom)?, warnings: envelope.warnings, infos: envelope.infos })
}

/// Returns what the API says when it says `status: error`.
pub fn error(body: &[u8]) -> Option<String> {
    if body.starts_with(br#"{"status":"success""#) {
        return None;
    }
    if body.len() > 64 << 10 && !body[..256].windows(7).any(|w| w == b"\"error\"") {
        return None;
    }
    let said: Said = serde_json::from_slice(body).ok()?;
    if said.status != "error" {
        return None;
    }
    let text = format!("{}: {}", said.error_type, said.error);
    let line: String = text.lines().collect::<Vec<_>>().join(" ");
    Some(line.chars().take(500).collect())
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default, rename = "errorType")]
    error_type: Cow<'a, str>,
    #[serde(borrow, default)]
    error: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Envelope {
    data: Option<Payload>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "resultType")]
    kind: Kind,
    result: Vec<Item>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Vector,
    Matrix,
    Scalar,
    String,
}

/// A member of `result`: a series, or one half of a scalar's pair.
enum Item {
    Number(f64),
    Text(String),
    Series(Series),
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<(f64, Number)>,
    #[serde(default)]
    values: Vec<(f64, Number)>,
    histogram: Option<IgnoredAny>,
    histograms: Option<IgnoredAny>,
}

impl Payload {
    fn read(self) -> Result<Data, &'static str> {
        match self.kind {
            Kind::Scalar | Kind::String => pair(self.kind, self.result),
            Kind::Vector => {
                let mut points = Vec::with_capacity(self.result.len());
                for item in self.result {
                    let Item::Series(series) = item else { return Err("a vector holds what is no series") };
                    match (series.value, series.histogram.is_some()) {
                        (_, true) => return Ok(Data::Histograms),
                        (None, false) => return Err("a series has no value"),
                        (Some((at, value)), false) => points.push(Point { labels: series.metric, at, value: value.0 }),
                    }
                }
                Ok(Data::Vector(points))
            }
            Kind::Matrix => {
                let mut rows = Vec::with_capacity(self.result.len());
                for item in self.result {
                    let Item::Series(series) = item else { return Err("a matrix holds what is no series") };
                    if series.histograms.is_some() {
                        return Ok(Data::Histograms);
                    }
                    let samples = series.values.into_iter().map(|(at, value)| (at, value.0)).collect();
                    rows.push(Row { labels: series.metric, samples });
                }
                Ok(Data::Matrix(rows))
            }
        }
    }
}

fn pair(kind: Kind, result: Vec<Item>) -> Result<Data, &'static str> {
    let mut items = result.into_iter();
    match (items.next(), items.next(), kind) {
        (Some(Item::Number(_)), Some(Item::Text(text)), Kind::String) => Ok(Data::Text(text)),
        (Some(Item::Number(at)), Some(Item::Text(text)), Kind::Scalar) => {
            number(&text).map(|value| Data::Scalar(at, value)).ok_or("a scalar is no number")
        }
        _ => Err("a scalar is not a pair of time and value"),
    }
}

/// A number as Prometheus writes it: a text, `NaN`, `+Inf`.
struct Number(f64);

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfText;
        impl Visitor<'_> for OfText {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                number(text).map(Number).ok_or_else(|| E::custom("a value is no number"))
            }
        }
        deserializer.deserialize_str(OfText)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAny;
        impl<'de> Visitor<'de> for OfAny {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a series, or a time and a value")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
                Series::deserialize(MapAccessDeserializer::new(map)).map(Item::Series)
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Item, E> {
                Ok(Item::Number(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Item, E> {
                Ok(Item::Number(value as f64))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Item, E> {
                Ok(Item::Number(value as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(OfAny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind: &str, result: &str) -> Result<Data, String> {
        let text = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
        parse(text.as_bytes()).map(|a| a.data).map_err(|e| e.to_string())
    }

    #[test]
    fn every_type_of_result_is_read() {
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        assert_eq!(
            data("vector", r#"[{"metric":{"a":"b"},"value":[1.5,"+Inf"]}]"#),
            Ok(Data::Vector(vec![Point { labels: labels.clone(), at: 1.5, value: f64::INFINITY }]))
        );
        assert_eq!(
            data("matrix", r#"[{"metric":{"a":"b"},"values":[[1,"1"],[2,"-0.5"]]}]"#),
            Ok(Data::Matrix(vec![Row { labels, samples: vec![(1.0, 1.0), (2.0, -0.5)] }]))
        );
        assert_eq!(data("scalar", r#"[7,"1e3"]"#), Ok(Data::Scalar(7.0, 1000.0)));
        assert_eq!(data("string", r#"[7,"x"]"#), Ok(Data::Text("x".into())));
        assert_eq!(data("vector", "[]"), Ok(Data::Vector(vec![])));
        assert!(matches!(data("scalar", r#"[7,"NaN"]"#), Ok(Data::Scalar(_, v)) if v.is_nan()));
    }

    #[test]
    fn histograms_are_not_taken_for_numbers() {
        assert_eq!(data("vector", r#"[{"metric":{},"histogram":[1,{"count":"1"}]}]"#), Ok(Data::Histograms));
        assert_eq!(data("matrix", r#"[{"metric":{},"values":[[1,"2"]],"histograms":[[1,{}]]}]"#), Ok(Data::Histograms));
    }

    #[test]
    fn damaged_answers_are_errors() {
        for (kind, result) in [
            ("vector", r#"[{"metric":{}}]"#),
            ("vector", r#"[{"metric":{},"value":[1,"x"]}]"#),
            ("vector", "[1]"),
            ("scalar", "[1]"),
            ("streams", "[]"),
        ] {
            assert!(data(kind, result).is_err(), "{kind} {result}");
        }
        assert!(parse(br#"{"status":"success"}"#).is_err());
        assert!(
            parse(br#"{"status":"success","data":{"resultType":"vector","result":[{"metr"#).is_err_and(|e| e.is_eof())
        );
    }

    #[test]
    fn the_error_of_the_api_is_one_bounded_line() {
        let body = br#"{"status":"error","errorType":"bad_data","error":"parse error:\nhere"}"#;
        assert_eq!(error(body).as_deref(), Some("bad_data: parse error: here"));
        assert_eq!(error(br#"{"status":"success","data":{}}"#), None);
        assert_eq!(error(b"<html>"), None);
    }
}
