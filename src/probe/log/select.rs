//! Which lines are looked at: those young enough (`since`), those whose fields are as asked (`where`).

use chrono::{DateTime, Utc};
use regex::Regex;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::stamp::{self, Form};

/// Chooses lines, one after another, and remembers what it learns of them.
#[derive(Clone, Debug)]
pub struct Selection {
    /// What is asked of a line.
    pub rules: Rules,
    /// The time of looking.
    pub now: DateTime<Utc>,
    /// Lines that were not empty.
    pub lines: u64,
    /// Lines that are a JSON object.
    pub json: u64,
    /// Lines with a time of their own.
    pub stamped: u64,
    /// Lines before the first time, of which nobody knows when they were written.
    pub undated: u64,
    /// The earliest and the latest time of the lines taken.
    pub span: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Whether the stream that is looked at has a line, and whether one of them has a time.
    stream: (bool, bool),
    /// Whether the last line with a time was young enough: what has none belongs to it.
    young: Option<bool>,
}

/// What is asked of a line.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Lines written before are left out.
    pub since: Option<DateTime<Utc>>,
    /// Whether times are read although nothing is left out by them.
    pub times: bool,
    /// The form of the times.
    pub form: Form,
    /// Whether lines are JSON.
    pub json: bool,
    /// What the fields must be; every one of them.
    pub fields: Vec<Field>,
    /// Whether each line begins with the time at which it was kept, put there by whatever keeps the log.
    pub stamped: bool,
}

/// What a field must be.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where it is.
    pub at: At,
    /// What it must be.
    pub is: Is,
}

/// Where a field is.
#[derive(Clone, Debug)]
pub enum At {
    /// A key, or several joined by dots.
    Key(String),
    /// A JSONPath; any one of the values it finds.
    Path(JsonPath),
}

/// What a field must be.
#[derive(Clone, Debug)]
pub enum Is {
    /// This value, numbers by value.
    Equal(Value),
    /// Text, or the JSON of anything else, that matches.
    Matching(Regex),
}

impl Selection {
    /// Gets ready.
    pub fn new(rules: Rules, now: DateTime<Utc>) -> Self {
        Self { rules, now, lines: 0, json: 0, stamped: 0, undated: 0, span: None, stream: (false, false), young: None }
    }

    /// Forgets the line before: the next one is of another stream. Tells whether the stream that ends here has lines
    /// whose times are asked for, and not one with a time.
    pub fn next_stream(&mut self) -> bool {
        self.young = None;
        let (lines, stamped) = std::mem::take(&mut self.stream);
        (self.rules.since.is_some() || self.rules.times) && lines && !stamped
    }

    /// Takes the time off at which a line was kept, if it has one.
    pub fn split<'l>(&self, line: &'l [u8]) -> (Option<DateTime<Utc>>, &'l [u8]) {
        if self.rules.stamped { stamp::split(line) } else { (None, line) }
    }

    /// Tells whether a line is to be looked at, which was kept at the time `kept`, if that is known.
    pub fn takes(&mut self, kept: Option<DateTime<Utc>>, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let json: Option<Value> = if self.rules.json { serde_json::from_slice(line).ok() } else { None };
        if !line.iter().all(u8::is_ascii_whitespace) {
            self.lines += 1;
            self.stream.0 = true;
            self.json += u64::from(json.as_ref().is_some_and(Value::is_object));
        }
        self.young_enough(kept, line, json.as_ref()) && self.fields_fit(json.as_ref())
    }

    /// Tells whether a line is to be looked at of which only the beginning is at hand.
    pub fn takes_long(&mut self, kept: Option<DateTime<Utc>>, start: &[u8]) -> bool {
        self.lines += 1;
        self.stream.0 = true;
        self.young_enough(kept, start, None) && self.fields_fit(None)
    }

    fn young_enough(&mut self, kept: Option<DateTime<Utc>>, line: &[u8], json: Option<&Value>) -> bool {
        if self.rules.since.is_none() && !self.rules.times {
            return true;
        }
        // A form that the checklist names is meant; otherwise the time of keeping is surer than one found in the line.
        let kept = kept.filter(|_| matches!(self.rules.form, Form::Usual));
        let Some(time) = kept.or_else(|| self.rules.form.of_line(line, json, self.now)) else {
            if self.young.is_none() && self.rules.since.is_some() {
                self.undated += 1;
            }
            return self.young.unwrap_or(self.rules.since.is_none());
        };
        self.stamped += 1;
        self.stream.1 = true;
        let young = self.rules.since.is_none_or(|since| time >= since);
        self.young = Some(young);
        if young {
            self.span = Some(self.span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        }
        young
    }

    fn fields_fit(&self, json: Option<&Value>) -> bool {
        self.rules.fields.iter().all(|field| json.is_some_and(|json| field.fits(json)))
    }
}

impl Field {
    fn fits(&self, json: &Value) -> bool {
        match &self.at {
            At::Path(path) => path.query(json).all().into_iter().any(|value| self.is.fits(value)),
            At::Key(key) => {
                let deep = || key.split('.').try_fold(json, |value, part| value.get(part));
                json.get(key).or_else(deep).is_some_and(|value| self.is.fits(value))
            }
        }
    }
}

impl Is {
    fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (Is::Equal(wanted), value) => match (wanted.as_f64(), value.as_f64()) {
                (Some(wanted), Some(value)) => wanted == value,
                _ => wanted == value,
            },
            (Is::Matching(regex), Value::String(text)) => regex.is_match(text),
            (Is::Matching(regex), other) => regex.is_match(&other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(since: Option<&str>, fields: Vec<Field>) -> Selection {
        let since = since.map(|text| text.parse().expect("a time"));
        let rules = Rules { since, times: false, form: Form::Usual, json: !fields.is_empty(), fields, stamped: false };
        Selection::new(rules, "2026-11-20T19:00:00Z".parse().expect("a time"))
    }

    #[test]
    fn a_stack_trace_belongs_to_the_line_before() {
        let mut selection = selection(Some("2026-11-20T18:30:00Z"), vec![]);
        assert!(!selection.takes(None, b"  cut off trace"));
        assert!(!selection.takes(None, b"2026-11-20T18:00:00Z old"));
        assert!(!selection.takes(None, b"  at old"));
        assert!(selection.takes(None, b"2026-11-20T18:31:00Z new"));
        assert!(selection.takes(None, b"  at new"));
        assert_eq!((selection.stamped, selection.undated), (2, 1));
    }

    #[test]
    fn fields_are_compared_by_value_or_pattern() {
        let fields = vec![
            Field { at: At::Key("http.status".into()), is: Is::Equal(serde_json::json!(500)) },
            Field {
                at: At::Path(JsonPath::parse("$.tags[*]").expect("valid")),
                is: Is::Matching(Regex::new("^eu-").expect("valid")),
            },
        ];
        let mut selection = selection(None, fields);
        assert!(selection.takes(None, br#"{"http":{"status":500.0},"tags":["x","eu-1"]}"#));
        assert!(!selection.takes(None, br#"{"http":{"status":500},"tags":["x"]}"#));
        assert!(!selection.takes(None, br#"{"http":{"status":"500"},"tags":["eu-1"]}"#));
        assert!(!selection.takes(None, b"not json"));
        assert_eq!((selection.lines, selection.json), (4, 3));
    }

    #[test]
    fn the_time_of_keeping_is_no_part_of_the_line_and_goes_before_its_own() {
        let mut selection = selection(Some("2026-11-20T18:30:00Z"), vec![]);
        selection.rules.stamped = true;
        for (line, content, young) in [
            (&b"2026-11-20T18:31:00.5Z 2026-11-20T18:00:00Z late"[..], &b"2026-11-20T18:00:00Z late"[..], true),
            (b"2026-11-20T18:29:00Z old", b"old", false),
            (b"without a time", b"without a time", false),
            (b"2026-11-20T18:31:00Z ", b"", true),
        ] {
            let (kept, rest) = selection.split(line);
            assert_eq!(rest, content);
            assert_eq!(selection.takes(kept, rest), young, "{}", String::from_utf8_lossy(line));
        }
    }
}
