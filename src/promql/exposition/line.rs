//! One line: a sample, or what is said about a metric family.

use std::borrow::Cow;

use super::element::{Labels, Raw, blanks, element, metric, named, unescape};
use super::format::Format;
use super::number;
use super::reader::Entry;

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, or begins anew.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// Counts in buckets, which may go down.
    GaugeHistogram,
    /// Quantiles.
    Summary,
    /// Facts in labels; always 1.
    Info,
    /// Several states, of which some hold.
    StateSet,
    /// Nobody said.
    Unknown,
}

/// A sample, pointing into its page.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// The line, from 1.
    pub line: usize,
    /// The series as written, name and labels: the same text is the same series.
    pub series: &'a str,
    /// The value.
    pub value: f64,
    /// The time that the page gives, in milliseconds since 1970.
    pub timestamp: Option<i64>,
    name: Raw<'a>,
    labels: &'a str,
}

impl<'a> Sample<'a> {
    /// Returns the name of the metric.
    pub fn name(&self) -> Cow<'a, str> {
        self.name.read()
    }

    /// Returns the labels in the order of the page, without the name.
    pub fn labels(&self) -> Labels<'a> {
        Labels { rest: self.labels }
    }
}

/// Reads a sample.
pub(super) fn sample(text: &str, line: usize, format: Format) -> Result<Sample<'_>, String> {
    let mut rest = text;
    let mut name = Raw::plain(metric(&mut rest));
    if format == Format::Text && !name.text.is_empty() {
        blanks(&mut rest);
    }
    let mut labels = "}";
    if let Some(inside) = rest.strip_prefix('{') {
        (labels, rest) = (inside, inside);
        while let Some(element) = element(&mut rest)? {
            match (element.value, name.text.is_empty()) {
                (Some(_), _) => {}
                (None, true) if is_quoted(text, element.name) => name = element.name,
                (None, true) => return Err("a metric name between the braces must be quoted".into()),
                (None, false) => return Err(format!("the label {:?} has no value", element.name.text)),
            }
        }
    }
    if name.text.is_empty() {
        let first: String = text.chars().take(20).collect();
        return Err(format!("no metric name begins with {first:?}; a line is a name, labels and a value"));
    }
    let series = text[..text.len() - rest.len()].trim_ascii_end();
    let value = match format {
        Format::Text => {
            blanks(&mut rest);
            token(&mut rest)
        }
        Format::OpenMetrics => spaced(&mut rest)?,
    };
    let Some(value) = number::value(value) else { return Err(no_value(value)) };
    let timestamp = timestamp(&mut rest, format)?;
    Ok(Sample { line, series, value, timestamp, name, labels })
}

/// Tells whether an element stands in quotes.
fn is_quoted(line: &str, name: Raw<'_>) -> bool {
    let at = name.text.as_ptr() as usize - line.as_ptr() as usize;
    at > 0 && line.as_bytes().get(at - 1) == Some(&b'"')
}

fn no_value(text: &str) -> String {
    match text {
        "" => "the value is missing".into(),
        text => format!("{:?} is not a number", text.chars().take(40).collect::<String>()),
    }
}

/// Takes what stands before the next blank.
fn token<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.bytes().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after;
    token
}

/// Takes one space, which OpenMetrics asks for, and what stands before the next one.
fn spaced<'a>(rest: &mut &'a str) -> Result<&'a str, String> {
    match rest.strip_prefix(' ') {
        Some(after) if !after.starts_with([' ', '\t']) => *rest = after,
        Some(_) => return Err("OpenMetrics separates by one space alone".into()),
        None if rest.is_empty() => return Err("the value is missing".into()),
        None => return Err("after the series there must be a space and the value".into()),
    }
    Ok(token(rest))
}

fn timestamp(rest: &mut &str, format: Format) -> Result<Option<i64>, String> {
    let (text, unit) = match format {
        Format::Text => {
            blanks(rest);
            (token(rest), "whole milliseconds")
        }
        Format::OpenMetrics => match *rest {
            "" => ("", ""),
            after if after.starts_with(" # ") => ("", ""),
            _ => (spaced(rest)?, "seconds"),
        },
    };
    if text.is_empty() {
        return exemplar(rest).map(|()| None);
    }
    let time = match format {
        Format::Text => number::milliseconds(text),
        Format::OpenMetrics => number::seconds(text),
    };
    let time = time.ok_or_else(|| {
        format!("{:?} is not a timestamp, {unit} since 1970", text.chars().take(40).collect::<String>())
    })?;
    if format == Format::Text {
        blanks(rest);
    }
    exemplar(rest).map(|()| Some(time))
}

/// Passes over an exemplar; anything else behind the sample is a mistake.
fn exemplar(rest: &str) -> Result<(), String> {
    match rest {
        "" => Ok(()),
        text => match text.trim_ascii_start().strip_prefix("# {") {
            Some(mut inside) => {
                while element(&mut inside)?.is_some() {}
                let value = token(&mut inside.trim_ascii_start());
                number::value(value).map(|_| ()).ok_or_else(|| format!("the exemplar: {}", no_value(value)))
            }
            None => Err(format!(
                "{:?} follows the sample, where nothing may",
                text.trim_ascii().chars().take(40).collect::<String>()
            )),
        },
    }
}

/// Reads what follows `#`. Nothing for a comment.
pub(super) fn remark<'a>(text: &'a str, line: usize, format: Format) -> Result<Option<Entry<'a>>, String> {
    let mut rest = text;
    blanks(&mut rest);
    let keyword = token(&mut rest);
    if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
        return match format {
            Format::Text => Ok(None),
            Format::OpenMetrics => Err("OpenMetrics has no comments but HELP, TYPE, UNIT and EOF".into()),
        };
    }
    blanks(&mut rest);
    let raw = named(&mut rest)?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return Err(format!("after {keyword} there must be the name of a metric; quote one with other letters"));
    }
    let (name, rest) = (raw.read(), rest.get(1..).unwrap_or_default());
    Ok(Some(match keyword {
        "HELP" => Entry::Help { line, name, text: help(rest) },
        "UNIT" => Entry::Unit { line, name, unit: rest.trim_ascii() },
        _ => Entry::Type { line, name, kind: kind(rest.trim_ascii())? },
    }))
}

fn help(text: &str) -> Cow<'_, str> {
    match text.contains('\\') {
        true => Cow::Owned(unescape(text)),
        false => Cow::Borrowed(text),
    }
}

fn kind(word: &str) -> Result<Kind, String> {
    Ok(match word {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        "histogram" => Kind::Histogram,
        "gaugehistogram" => Kind::GaugeHistogram,
        "summary" => Kind::Summary,
        "info" => Kind::Info,
        "stateset" => Kind::StateSet,
        "untyped" | "unknown" => Kind::Unknown,
        "" => return Err("the type of the metric is missing".into()),
        word => return Err(format!("{:?} is no type of a metric", word.chars().take(40).collect::<String>())),
    })
}
