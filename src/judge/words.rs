//! The words for limits and for values: what a finding says was expected and what was there.
//!
//! What a person wrote is said exactly: a limit that is printed and read again is the same limit. A measured number
//! is rounded for reading, except where rounding would hide which side of the limit it is on.

use std::fmt;
use std::io;

use crate::model::{Expectation, Kind, Literal, Matcher, Quantity, Relation, Tally, Unit, Value, quantity};

/// The most characters of a text or JSON value that are shown.
const SHOWN: usize = 160;
/// The most members of a set that are shown.
const MEMBERS: usize = 10;

/// Prints a matcher in the words of the checklist language: `< 500ms`, `"ok"`, `contains "x"`.
pub fn matcher(matcher: &Matcher) -> String {
    Words(matcher).to_string()
}

/// Says what must hold, in words: `status 200, latency < 500ms`.
pub fn expectation(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Measure { name, matcher: inner, .. } if name.name() == "value" && name.key().is_none() => {
            matcher(inner)
        }
        Expectation::Measure { name, matcher: inner, .. } => format!("{name} {}", matcher(inner)),
        Expectation::That { expression, .. } => expression.clone(),
        Expectation::All(list) => all_of(list, ", "),
        Expectation::Any(list) => all_of(list, " or "),
        Expectation::Not(inner) => format!("not ({})", self::expectation(inner)),
    }
}

fn all_of(list: &[Expectation], between: &str) -> String {
    let in_list = |inner: &Expectation| match inner {
        Expectation::All(members) | Expectation::Any(members) if members.len() > 1 => {
            format!("({})", expectation(inner))
        }
        _ => expectation(inner),
    };
    list.iter().map(in_list).collect::<Vec<_>>().join(between)
}

struct Words<'a>(&'a Matcher);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Matcher::Compare(op, limit) => write!(f, "{} {}", op.sign(), exact(*limit)),
            Matcher::Between(low, high) => write!(f, "between {} and {}", exact(*low), exact(*high)),
            Matcher::Within(share, centre) => write!(f, "within {} of {}", percent(*share), exact(*centre)),
            Matcher::Around(centre, distance) => write!(f, "{} ± {}", exact(*centre), exact(*distance)),
            Matcher::Relative(relation, against) => match relation {
                Relation::Compare(op, factor) if *factor == 1.0 => write!(f, "{} {against}", op.sign()),
                Relation::Compare(op, factor) => write!(f, "{} {factor}x {against}", op.sign()),
                Relation::Between(low, high) => write!(f, "between {low}x and {high}x {against}"),
                Relation::Within(share) => write!(f, "within {} of {against}", percent(*share)),
            },
            Matcher::NotWorse(worse, effect) => f.write_str(&super::canary::limit(*worse, *effect)),
            Matcher::Equals(literal) => f.write_str(&self::literal(literal)),
            Matcher::StatusClass(class) => write!(f, "{class}xx"),
            Matcher::OneOf(of) => write!(f, "one of {}", joined(of, ", ")),
            Matcher::Contains(literal) => write!(f, "contains {}", self::literal(literal)),
            Matcher::StartsWith(text) => write!(f, "starts with {}", quoted(text)),
            Matcher::EndsWith(text) => write!(f, "ends with {}", quoted(text)),
            Matcher::Matches(pattern) => write!(f, "matches /{pattern}/"),
            Matcher::Semver(requirement) => write!(f, "version {requirement}"),
            Matcher::Length(inner) => write!(f, "length {}", Words(inner)),
            Matcher::Exists => f.write_str("exists"),
            Matcher::Absent => f.write_str("absent"),
            Matcher::Empty => f.write_str("empty"),
            Matcher::Every => f.write_str("all"),
            Matcher::NoneOf => f.write_str("none"),
            Matcher::Some => f.write_str("any"),
            Matcher::All(of) => f.write_str(&joined(of, " and ")),
            Matcher::Not(inner) => write!(f, "not {}", Words(inner)),
        }
    }
}

fn joined(of: &[Matcher], by: &str) -> String {
    of.iter().map(matcher).collect::<Vec<_>>().join(by)
}

/// Prints a literal: numbers with their unit, text in quotes, JSON as JSON.
pub fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Quantity(quantity) => exact(*quantity),
        Literal::Text(text) => quoted(text),
        Literal::Bool(flag) => flag.to_string(),
        Literal::Json(value) => json(value),
    }
}

/// Prints a measured value in the words of its kind, its numbers in the unit of the limit where there is one.
pub fn value(value: &Value, kind: Kind, limit: Option<Quantity>) -> String {
    match value {
        Value::Number(number) => self::number(*number, kind, limit),
        Value::Text(text) => quoted(text),
        Value::Bool(flag) => flag.to_string(),
        Value::Json(value) => json(value),
        Value::Set(members) => set(members),
        Value::Tally(tally) => self::tally(tally),
        Value::Series(samples) => format!("{} series", samples.len()),
        Value::Missing(reason) => format!("missing: {reason}"),
        Value::NoData(reason) => format!("no data: {reason}"),
    }
}

/// Prints a measured number in the unit of the limit; one that would read like the limit without being equal to it
/// is printed in full.
pub(crate) fn number(value: f64, kind: Kind, limit: Option<Quantity>) -> String {
    let Some(limit) = limit else { return quantity::of_kind(value, kind) };
    if limit.unit == Unit::One && matches!(kind, Kind::Duration | Kind::Growth) {
        return quantity::of_kind(value, kind);
    }
    let shown = |value: f64| match kind {
        // A leak is a few bytes a second, and nobody thinks of it so.
        Kind::Growth if limit.unit == Unit::BytesPerSecond => format!("{}/h", quantity::bytes(value * 3600.0)),
        Kind::Growth => quantity::of_kind(value, kind),
        _ => quantity::in_unit(value, limit.unit),
    };
    let text = shown(value);
    match value != limit.value && text == shown(limit.value) {
        true => full(value, limit.unit),
        false => text,
    }
}

/// Prints a quantity so that reading it again gives the same quantity, as short as that is possible.
pub fn exact(quantity: Quantity) -> String {
    let usual = quantity.to_string();
    if same(&usual, quantity) {
        return usual;
    }
    let units: &[(&str, f64)] = match quantity.unit {
        Unit::One => &[("", 1.0)],
        Unit::Percent => &[("%", 0.01)],
        Unit::Seconds => &[("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)],
        Unit::Bytes => &[("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("MiB", 1_048_576.0), ("KiB", 1024.0), ("B", 1.0)],
        Unit::PerSecond => &[("/s", 1.0), ("/m", 1.0 / 60.0), ("/h", 1.0 / 3600.0), ("/d", 1.0 / 86_400.0)],
        Unit::BytesPerSecond => &[
            ("MB/s", 1e6),
            ("MiB/s", 1_048_576.0),
            ("MB/h", 1e6 / 3600.0),
            ("MiB/h", 1_048_576.0 / 3600.0),
            ("B/h", 1.0 / 3600.0),
            ("B/s", 1.0),
        ],
    };
    let candidates = units.iter().filter_map(|(unit, size)| {
        let fraction = (quantity.value / size).abs() < 1.0;
        shortest(quantity, unit, *size).map(|text| (fraction, text.len(), text))
    });
    candidates.min().map_or_else(|| full(quantity.value, quantity.unit), |(_, _, text)| text)
}

/// Finds the fewest decimals with which the quantity can be written in this unit.
fn shortest(quantity: Quantity, unit: &str, size: f64) -> Option<String> {
    let scaled = quantity.value / size;
    let forms = (0..=12).map(|decimals| format!("{scaled:.decimals$}{unit}"));
    let rest = [format!("{scaled}{unit}"), format!("{scaled:e}{unit}")];
    forms.chain(rest).find(|text| same(text, quantity))
}

fn same(text: &str, quantity: Quantity) -> bool {
    Quantity::parse(text).is_ok_and(|read| read == quantity)
}

/// Prints every digit, in the base unit.
fn full(value: f64, unit: Unit) -> String {
    match unit {
        Unit::One => value.to_string(),
        Unit::Percent => format!("{}%", value * 100.0),
        Unit::Seconds => format!("{value}s"),
        Unit::Bytes => format!("{value}B"),
        Unit::PerSecond => format!("{value}/s"),
        Unit::BytesPerSecond => format!("{value}B/s"),
    }
}

fn percent(share: f64) -> String {
    exact(Quantity { value: share, unit: Unit::Percent })
}

/// Prints text in quotes, long text cut with its length said.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
    }
}

/// Prints a JSON value on one line, a long one cut.
pub(crate) fn json(value: &serde_json::Value) -> String {
    if let serde_json::Value::String(text) = value {
        return quoted(text);
    }
    let mut out = Bounded(Vec::new());
    let whole = serde_json::to_writer(&mut out, value).is_ok();
    let text = String::from_utf8_lossy(&out.0);
    match whole {
        true => text.into_owned(),
        false => format!("{}…", text.trim_end_matches(char::REPLACEMENT_CHARACTER)),
    }
}

fn set(members: &[String]) -> String {
    let shown: Vec<_> = members.iter().take(MEMBERS).map(|m| quoted(m)).collect();
    match members.len().checked_sub(MEMBERS) {
        Some(more) if more > 0 => format!("{{{}, and {more} more}}", shown.join(", ")),
        _ => format!("{{{}}}", shown.join(", ")),
    }
}

/// Prints a tally with the names of the fewer: `2 of 3 (not "web-1")`. Of all, or none, the names say nothing.
fn tally(tally: &Tally) -> String {
    let (count, of) = (tally.count, tally.of);
    let list = |names: &[String], all: u64| {
        let shown: Vec<_> = names.iter().take(MEMBERS).map(|name| quoted(name)).collect();
        let more = all.saturating_sub(shown.len() as u64);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!shown.is_empty()).then(|| format!("{}{rest}", shown.join(", ")))
    };
    let others = of.saturating_sub(count);
    let those = list(&tally.names, count).filter(|_| count <= others || tally.others.is_empty());
    let not = list(&tally.others, others).filter(|_| others <= count || tally.names.is_empty());
    match (those, not) {
        _ if count == 0 || others == 0 => format!("{count} of {of}"),
        (None, None) => format!("{count} of {of}"),
        (Some(those), None) => format!("{count} of {of} ({those})"),
        (None, Some(not)) => format!("{count} of {of} (not {not})"),
        (Some(those), Some(not)) => format!("{count} of {of} ({those}; not {not})"),
    }
}

/// Takes bytes up to the limit, so that a large value is not written out in full only to be cut.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = SHOWN.saturating_sub(self.0.len());
        let taken = room.min(bytes.len());
        self.0.extend_from_slice(&bytes[..taken]);
        match taken == bytes.len() {
            true => Ok(taken),
            false => Err(io::Error::other("cut")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Op;

    #[test]
    fn limits_are_said_as_they_were_written() {
        for text in
            ["100MB", "64KiB", "1h30m", "1500ms", "0.3%", "7%", "5/s", "1MiB/h", "12345.678", "1GB", "90s", "3600.25s"]
        {
            let quantity = Quantity::parse(text).expect(text);
            assert_eq!(Quantity::parse(&exact(quantity)), Ok(quantity), "{text} is said as {}", exact(quantity));
        }
        assert_eq!(exact(Quantity::parse("100MB").expect("valid")), "100MB");
        assert_eq!(exact(Quantity::parse("1MiB/h").expect("valid")), "1MiB/h");
    }

    #[test]
    fn a_value_next_to_the_limit_does_not_read_like_it() {
        let limit = Quantity::parse("500ms").expect("valid");
        assert_eq!(number(0.8123, Kind::Duration, Some(limit)), "812ms");
        assert_eq!(number(0.5004, Kind::Duration, Some(limit)), "0.5004s");
        assert_eq!(number(0.5, Kind::Duration, Some(limit)), "500ms");
        let share = Quantity::parse("5%").expect("valid");
        assert_eq!(number(0.0714, Kind::Quantity, Some(share)), "7.14%");
        assert_eq!(number(0.3, Kind::Duration, Some(Quantity::number(0.0))), "300ms");
    }

    #[test]
    fn long_values_are_cut_and_stay_readable() {
        let long = "ä".repeat(1000);
        assert!(quoted(&long).ends_with("… (2000 bytes)"), "{}", quoted(&long));
        let list = serde_json::Value::from(vec![long; 1000]);
        assert!(json(&list).len() < 400, "{}", json(&list));
        let members: Vec<_> = (0..12).map(|n| n.to_string()).collect();
        assert!(set(&members).ends_with("and 2 more}"));
    }

    #[test]
    fn tallies_name_the_fewer() {
        let named = |holds: &[bool]| tally(&Tally::named(holds.iter().enumerate().map(|(n, h)| (format!("p{n}"), *h))));
        assert_eq!(named(&[true, true, true]), "3 of 3");
        assert_eq!(named(&[false, false]), "0 of 2");
        assert_eq!(named(&[true, true, false]), "2 of 3 (not \"p2\")");
        assert_eq!(named(&[false, true, false]), "1 of 3 (\"p1\")");
        assert_eq!(named(&[false, true]), "1 of 2 (\"p1\"; not \"p0\")");
        assert_eq!(tally(&Tally::counted(1, 2)), "1 of 2");
        assert!(named(&[false; 40]).len() < 10);
        let many: Vec<_> = (0..40).map(|n| n % 3 == 0).collect();
        assert!(named(&many).ends_with("and 4 more)"), "{}", named(&many));
    }

    #[test]
    fn matchers_read_like_the_language() {
        let limit = Quantity::parse("5s").expect("valid");
        let both = Matcher::All(vec![
            Matcher::Compare(Op::AtLeast, limit),
            Matcher::Not(Box::new(Matcher::Contains(Literal::Text("x".into())))),
        ]);
        assert_eq!(matcher(&both), ">= 5s and not contains \"x\"");
        assert_eq!(matcher(&Matcher::Length(Box::new(Matcher::Equals(Literal::Quantity(limit))))), "length 5s");
    }
}
