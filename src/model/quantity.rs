//! Numbers with units: parsed and printed in this one place.
//!
//! `5`, `0.05`, `1e6`, `5%`, `500ms`, `1h30m`, `64KiB`, `100MB`, `5/s`, `1MiB/h`. A quantity is held in its base
//! unit: seconds, bytes, a share of one, or one of these per second.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::value::{Kind, number};

/// The unit that a quantity was written in, reduced to its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A bare number.
    One,
    /// Written with `%`; held as a share of one.
    Percent,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A bare number per second.
    PerSecond,
    /// Bytes per second.
    BytesPerSecond,
}

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// The number in the base unit.
    #[serde(with = "number")]
    pub value: f64,
    /// What the number counts.
    pub unit: Unit,
}

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QuantityError(pub String);

/// Durations, largest first, as seconds. A day is 24 hours.
const DURATIONS: &[(&str, f64)] =
    &[("d", 86_400.0), ("h", 3_600.0), ("m", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9)];

/// Sizes as bytes: decimal (kB, MB …) and binary (KiB, MiB …).
const SIZES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

impl Quantity {
    /// Makes a bare number.
    pub fn number(value: f64) -> Self {
        Self { value, unit: Unit::One }
    }

    /// Reads a quantity.
    ///
    /// # Errors
    /// Says what is wrong with the text, and names the units when the unit is unknown.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(QuantityError("a quantity is missing".into()));
        }
        if let Some((amount, per)) = text.split_once('/') {
            return Self::parse_rate(amount, per);
        }
        let (number, unit) = split_number(text)?;
        let unit = unit.trim();
        let of = |value: f64, unit| Ok(Self { value, unit });
        if unit.is_empty() {
            return of(number, Unit::One);
        }
        if unit == "%" {
            return of(number / 100.0, Unit::Percent);
        }
        if let Some((_, factor)) = SIZES.iter().find(|(name, _)| *name == unit) {
            return of(number * factor, Unit::Bytes);
        }
        match compound_duration(text) {
            Some(seconds) => of(seconds, Unit::Seconds),
            None => Err(QuantityError(format!(
                "unknown unit {unit:?}; durations are ns, us, ms, s, m, h, d, sizes are B, kB, MB, GB, KiB, MiB, GiB, shares are %"
            ))),
        }
    }

    fn parse_rate(amount: &str, per: &str) -> Result<Self, QuantityError> {
        let amount = Self::parse(amount)?;
        let per = per.trim();
        let Some((_, seconds)) = DURATIONS.iter().find(|(name, _)| *name == per) else {
            return Err(QuantityError(format!("a rate is per ms, s, m, h or d, not per {per:?}")));
        };
        let unit = match amount.unit {
            Unit::One => Unit::PerSecond,
            Unit::Bytes => Unit::BytesPerSecond,
            Unit::Percent | Unit::Seconds | Unit::PerSecond | Unit::BytesPerSecond => {
                return Err(QuantityError("a rate is a number or a size per time, such as 5/s or 1MiB/h".into()));
            }
        };
        Ok(Self { value: amount.value / seconds, unit })
    }

    /// Tells whether this may be compared with a measure of `kind`.
    pub fn fits(self, kind: Kind) -> bool {
        match kind {
            Kind::Number => self.unit == Unit::One,
            Kind::Ratio | Kind::Tally => matches!(self.unit, Unit::One | Unit::Percent),
            Kind::Duration => self.unit == Unit::Seconds || (self.unit == Unit::One && self.value == 0.0),
            Kind::Size => matches!(self.unit, Unit::One | Unit::Bytes),
            Kind::Rate | Kind::Growth => matches!(self.unit, Unit::One | Unit::PerSecond | Unit::BytesPerSecond),
            Kind::Quantity | Kind::Json => true,
            Kind::Text | Kind::Set | Kind::Bool => false,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::One => f.write_str(&plain(self.value)),
            Unit::Percent => write!(f, "{}%", plain(self.value * 100.0)),
            Unit::Seconds => f.write_str(&seconds(self.value)),
            Unit::Bytes => f.write_str(&bytes(self.value)),
            Unit::PerSecond => write!(f, "{}/s", plain(self.value)),
            Unit::BytesPerSecond => write!(f, "{}/s", bytes(self.value)),
        }
    }
}

/// Reads a duration such as `5m` or `1h30m`.
///
/// # Errors
/// Says what is wrong: no unit, an unknown one, a negative length, more than 10 years.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    let quantity = Quantity::parse(text)?;
    if quantity.unit != Unit::Seconds && quantity.value != 0.0 {
        return Err(QuantityError(format!("{text:?} is not a duration; say the unit, such as 500ms, 30s, 5m, 4h, 1d")));
    }
    if !(0.0..=315_360_000.0).contains(&quantity.value) {
        return Err(QuantityError(format!("{text:?} is not between 0 and 10 years")));
    }
    Ok(Duration::from_secs_f64(quantity.value))
}

/// Prints a number without trailing zeros, with at most six significant digits when it is not whole.
pub fn plain(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".into()
        } else if value > 0.0 {
            "+Inf".into()
        } else {
            "-Inf".into()
        };
    }
    if value == value.trunc() && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let magnitude = value.abs();
    if !(1e-4..1e15).contains(&magnitude) {
        return format!("{value:.5e}").replace("00000e", "e");
    }
    let digits = (5 - magnitude.log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Prints seconds for people: `812ms`, `2.5s`, `1h30m`.
pub fn seconds(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() {
        return plain(value);
    }
    if magnitude == 0.0 {
        return "0s".into();
    }
    if magnitude < 1e-3 {
        return format!("{}µs", round(value * 1e6));
    }
    if magnitude < 1.0 {
        return format!("{}ms", round(value * 1e3));
    }
    if magnitude < 60.0 {
        return format!("{}s", round(value));
    }
    let mut rest = magnitude.round();
    let mut out = if value < 0.0 { String::from("-") } else { String::new() };
    for (unit, length) in &DURATIONS[..4] {
        let count = (rest / length).floor();
        if count > 0.0 {
            out.push_str(&format!("{count:.0}{unit}"));
            rest -= count * length;
        }
    }
    out
}

/// Prints bytes for people, in binary units: `64KiB`, `1.5MiB`.
pub fn bytes(value: f64) -> String {
    if !value.is_finite() || value.abs() < 1024.0 {
        return format!("{}B", plain(value));
    }
    for (unit, size) in [("TiB", 1_099_511_627_776.0), ("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0)] {
        if value.abs() >= size {
            return format!("{}{unit}", round(value / size));
        }
    }
    format!("{}KiB", round(value / 1024.0))
}

/// Prints a measured number in the words of its kind.
pub fn of_kind(value: f64, kind: Kind) -> String {
    match kind {
        Kind::Duration => seconds(value),
        Kind::Size => bytes(value),
        Kind::Ratio => format!("{}%", plain(value * 100.0)),
        Kind::Rate => format!("{}/s", plain(value)),
        Kind::Growth => format!("{}/h", plain(value * 3600.0)),
        Kind::Number | Kind::Tally | Kind::Quantity | Kind::Text | Kind::Json | Kind::Set | Kind::Bool => plain(value),
    }
}

/// Prints a measured number in the unit of the limit that it is held against.
pub fn in_unit(value: f64, unit: Unit) -> String {
    Quantity { value, unit }.to_string()
}

/// Rounds to three significant digits, or to a whole number above that.
fn round(value: f64) -> String {
    let digits = (2 - value.abs().log10().floor() as i32).clamp(0, 3) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn split_number(text: &str) -> Result<(f64, &str), QuantityError> {
    let bytes = text.as_bytes();
    let mut end = usize::from(matches!(bytes[0], b'+' | b'-'));
    while end < bytes.len() && (bytes[end].is_ascii_digit() || matches!(bytes[end], b'.' | b'_')) {
        end += 1;
    }
    if end < bytes.len() && matches!(bytes[end], b'e' | b'E') {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let digits = bytes[end + 1 + sign..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    let number = text[..end].replace('_', "");
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((value, &text[end..])),
        _ => Err(QuantityError(format!("{text:?} does not begin with a number"))),
    }
}

fn compound_duration(text: &str) -> Option<f64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut total = 0.0;
    let mut smallest = f64::INFINITY;
    while !rest.is_empty() {
        let (number, tail) = split_number(rest).ok()?;
        let tail = tail.trim_start();
        let unit: &str = {
            let end = tail.find(|c: char| c.is_ascii_digit() || c == ' ').unwrap_or(tail.len());
            &tail[..end]
        };
        let (_, length) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
        if *length >= smallest {
            return None;
        }
        smallest = *length;
        total += number * length;
        rest = tail[unit.len()..].trim_start();
    }
    Some(if negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> (f64, Unit) {
        let quantity = Quantity::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        (quantity.value, quantity.unit)
    }

    #[test]
    fn quantities_are_read_in_their_base_unit() {
        assert_eq!(value("5"), (5.0, Unit::One));
        assert_eq!(value("-1e3"), (-1000.0, Unit::One));
        assert_eq!(value("5%"), (0.05, Unit::Percent));
        assert_eq!(value("1h30m"), (5400.0, Unit::Seconds));
        assert_eq!(value("500 ms"), (0.5, Unit::Seconds));
        assert_eq!(value("64KiB"), (65536.0, Unit::Bytes));
        assert_eq!(value("100MB"), (1e8, Unit::Bytes));
        assert_eq!(value("1MiB/h"), (1_048_576.0 / 3600.0, Unit::BytesPerSecond));
        assert_eq!(value("5/s"), (5.0, Unit::PerSecond));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in ["", "x", "5 apples", "1m1h", "5%/s", "1/fortnight", "--3", "NaN", "inf"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
        assert!(duration("500").is_err());
        assert!(duration("-5s").is_err());
    }

    #[test]
    fn numbers_are_printed_for_people() {
        assert_eq!(seconds(0.8123), "812ms");
        assert_eq!(seconds(5400.0), "1h30m");
        assert_eq!(seconds(2.5), "2.5s");
        assert_eq!(bytes(65536.0), "64KiB");
        assert_eq!(plain(0.031_234_567), "0.0312346");
        assert_eq!(plain(3.0), "3");
        assert_eq!(plain(f64::NAN), "NaN");
        assert_eq!(Quantity::parse("0.3%").map(|q| q.to_string()), Ok("0.3%".into()));
    }
}
