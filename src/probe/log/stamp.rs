//! The time that a log line carries: the usual forms, or the one that the checklist names.
//!
//! A time without a zone is taken in the time zone of this machine, one without a year in the latest year in which
//! it is not more than a day ahead.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike, Local, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use regex::bytes::Regex;
use serde_json::Value;

/// How far into a line its time is looked for.
const HEAD: usize = 256;

/// The form of the times.
#[derive(Clone, Debug)]
pub enum Form {
    /// Any of the usual forms.
    Usual,
    /// A pattern of strftime at the beginning of the line.
    Strftime(String),
    /// A regular expression whose first group holds a time of a usual form.
    Within(Regex),
}

/// The fields of a JSON line that hold its time.
const FIELDS: [&str; 5] = ["time", "ts", "timestamp", "@timestamp", "date"];

impl Form {
    /// Returns the time of a line; of a JSON line, that of its fields.
    pub fn of_line(&self, line: &[u8], json: Option<&Value>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let head = &line[..line.len().min(HEAD)];
        match self {
            Form::Strftime(pattern) => strftime(&String::from_utf8_lossy(head), pattern),
            Form::Within(regex) => {
                let captures = regex.captures(head)?;
                usual(captures.get(1).or_else(|| captures.get(0))?.as_bytes(), now)
            }
            Form::Usual => match json.or(parsed(line).as_ref()) {
                Some(json) => FIELDS.iter().find_map(|field| of_value(json.get(field)?, now)),
                None => usual(head, now),
            },
        }
    }
}

/// Splits a line into the time that it begins with, as RFC 3339 writes it, and what stands behind the space after it.
pub fn split(line: &[u8]) -> (Option<DateTime<Utc>>, &[u8]) {
    // The longest form has nine digits after the point and an offset.
    let end = line.iter().take(40).position(|byte| *byte == b' ');
    let time = end.and_then(|end| DateTime::parse_from_rfc3339(std::str::from_utf8(&line[..end]).ok()?).ok());
    match (time, end) {
        (Some(time), Some(end)) => (Some(time.to_utc()), &line[end + 1..]),
        (None, _) | (_, None) => (None, line),
    }
}

fn parsed(line: &[u8]) -> Option<Value> {
    line.starts_with(b"{").then(|| serde_json::from_slice(line).ok()).flatten()
}

fn of_value(value: &Value, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match value {
        Value::String(text) => usual(text.as_bytes(), now),
        Value::Number(number) => epoch(number.as_f64()?),
        _ => None,
    }
}

/// Reads a number of seconds, or of thousandths, millionths or billionths, since 1970.
fn epoch(number: f64) -> Option<DateTime<Utc>> {
    let seconds = match number {
        n if n < 1e8 => return None,
        n if n < 1e11 => n,
        n if n < 1e14 => n / 1e3,
        n if n < 1e17 => n / 1e6,
        n => n / 1e9,
    };
    DateTime::from_timestamp_micros((seconds * 1e6) as i64)
}

static ISO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?-u)(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)? ?(Z|UTC|[+-]\d\d:?\d\d)?(?:[^\d]|$)",
    )
    .ok()
});
static COMMON_LOG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u)(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.\d+)? ([+-]\d{4})").ok()
});
static SYSLOG: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?-u)^(?:<\d+>)?([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)").ok());
static EPOCH: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?-u)^\[?(\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?:[^\d.]|$)").ok());

/// Finds a time of a usual form.
fn usual(text: &[u8], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    iso(text).or_else(|| common_log(text)).or_else(|| syslog(text, now)).or_else(|| {
        let captures = EPOCH.as_ref()?.captures(text)?;
        epoch(std::str::from_utf8(captures.get(1)?.as_bytes()).ok()?.parse().ok()?)
    })
}

/// RFC 3339 and ISO 8601, with or without a zone, with a T or a space; also `2026/11/20 18:37:15`.
fn iso(text: &[u8]) -> Option<DateTime<Utc>> {
    let captures = ISO.as_ref()?.captures(text)?;
    let n = |i| number(captures.get(i)?.as_bytes());
    let fraction = captures.get(7).map_or(0, |digits| {
        let digits = digits.as_bytes();
        number(digits).unwrap_or(0) * 10_u32.pow(9_u32.saturating_sub(digits.len() as u32))
    });
    let date = NaiveDate::from_ymd_opt(n(1)? as i32, n(2)?, n(3)?)?;
    let time = date.and_hms_nano_opt(n(4)?, n(5)?, n(6)?.min(59), fraction)?;
    match captures.get(8).map(|zone| zone.as_bytes()) {
        None => local(time),
        Some(b"Z" | b"UTC") => Some(time.and_utc()),
        Some(zone) => Some((time - offset(zone)?).and_utc()),
    }
}

/// The common log format of nginx and Apache: `20/Nov/2026:18:37:15 +0000`.
fn common_log(text: &[u8]) -> Option<DateTime<Utc>> {
    let captures = COMMON_LOG.as_ref()?.captures(text)?;
    let n = |i| number(captures.get(i)?.as_bytes());
    let date = NaiveDate::from_ymd_opt(n(3)? as i32, month(captures.get(2)?.as_bytes())?, n(1)?)?;
    let time = date.and_hms_opt(n(4)?, n(5)?, n(6)?.min(59))?;
    Some((time - offset(captures.get(7)?.as_bytes())?).and_utc())
}

/// Syslog after RFC 3164, which has no year: `Nov 20 18:37:15`.
fn syslog(text: &[u8], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let captures = SYSLOG.as_ref()?.captures(text)?;
    let n = |i| number(captures.get(i)?.as_bytes());
    let month = month(captures.get(1)?.as_bytes())?;
    [now.year() + 1, now.year(), now.year() - 1].into_iter().find_map(|year| {
        let date = NaiveDate::from_ymd_opt(year, month, n(2)?)?;
        let time = local(date.and_hms_opt(n(3)?, n(4)?, n(5)?.min(59))?)?;
        (time <= now + TimeDelta::days(1)).then_some(time)
    })
}

fn strftime(text: &str, pattern: &str) -> Option<DateTime<Utc>> {
    if let Ok((time, _)) = DateTime::parse_and_remainder(text, pattern) {
        return Some(time.with_timezone(&Utc));
    }
    NaiveDateTime::parse_and_remainder(text, pattern).ok().and_then(|(time, _)| local(time))
}

fn local(time: NaiveDateTime) -> Option<DateTime<Utc>> {
    // An hour that the clocks repeat is taken as its first, one that they leave out as if they had not moved.
    let zoned = Local.from_local_datetime(&time).earliest();
    Some(zoned.map_or_else(|| time.and_utc(), |zoned| zoned.with_timezone(&Utc)))
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn month(name: &[u8]) -> Option<u32> {
    const NAMES: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    NAMES.iter().position(|n| *n == name).map(|at| at as u32 + 1)
}

/// Reads `+0130` or `+01:30`.
fn offset(zone: &[u8]) -> Option<TimeDelta> {
    let (sign, digits) = zone.split_first()?;
    let digits: Vec<u8> = digits.iter().copied().filter(u8::is_ascii_digit).collect();
    let minutes = i64::from(number(digits.get(..2)?)? * 60 + number(digits.get(2..4)?)?);
    Some(TimeDelta::minutes(if *sign == b'-' { -minutes } else { minutes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn of(line: &str) -> Option<DateTime<Utc>> {
        Form::Usual.of_line(line.as_bytes(), None, time("2026-11-20T18:40:00Z"))
    }

    #[test]
    fn the_usual_forms_are_recognised() {
        let wanted = Some(time("2026-11-20T18:37:15Z"));
        for line in [
            "2026-11-20T18:37:15Z INFO started",
            "2026-11-20 18:37:15+00:00 INFO",
            "level=info ts=2026-11-20T19:37:15+01:00 msg=x",
            "2026-11-20T17:07:15 -0130 x",
            "127.0.0.1 - - [20/Nov/2026:18:37:15 +0000] \"GET / HTTP/1.1\" 200 5",
            "1795199835 up",
            "1795199835000 up",
            r#"{"time":"2026-11-20T18:37:15Z","level":"info"}"#,
            r#"{"level":"info","ts":1795199835.0}"#,
            r#"{"@timestamp":1795199835000}"#,
        ] {
            assert_eq!(of(line), wanted, "{line}");
        }
        for line in ["    at Main.run(Main.java:5)", "", "12345 items", "2026-13-45T99:00:00Z", "{\"a\":1}"] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn times_without_a_zone_are_local_and_without_a_year_recent() {
        let local = |text: &str| {
            let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect("a time");
            super::local(naive)
        };
        assert_eq!(of("Nov 20 18:37:15 host app: x"), local("2026-11-20 18:37:15"));
        assert_eq!(of("<34>Dec  1 00:00:01 host app: x"), local("2025-12-01 00:00:01"));
        assert_eq!(of("2026/11/20 18:37:15 [error] 7#7: x"), local("2026-11-20 18:37:15"));
        assert_eq!(of("2026-11-20 18:37:15,250 ERROR x").map(|t| t.timestamp_subsec_millis()), Some(250));
    }

    #[test]
    fn a_form_of_its_own_can_be_named() {
        let now = time("2026-11-20T18:40:00Z");
        let form = Form::Strftime("%d.%m.%Y %H:%M:%S %z".into());
        assert_eq!(form.of_line(b"20.11.2026 18:37:15 +0000 x", None, now), Some(time("2026-11-20T18:37:15Z")));
        let form = Form::Within(Regex::new(r"at=(\S+)").expect("valid"));
        assert_eq!(
            form.of_line(b"2020-01-01T00:00:00Z at=2026-11-20T18:37:15Z", None, now),
            Some(time("2026-11-20T18:37:15Z"))
        );
    }
}
