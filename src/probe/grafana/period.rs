//! Which time a dashboard shows, and in which steps.
//!
//! Source: <https://grafana.com/docs/grafana/latest/dashboards/use-dashboards/#time-units-and-relative-ranges>, and for the
//! steps <https://grafana.com/docs/grafana/latest/dashboards/variables/add-template-variables/#global-variables>.

use std::time::Duration;

use chrono::{DateTime, Datelike, Months, NaiveDateTime, TimeDelta, Timelike, Utc};

use crate::model::quantity;

/// A time that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
}

impl Period {
    /// Returns the last so much up to now.
    pub(super) fn last(now: DateTime<Utc>, length: Duration) -> Self {
        let from = TimeDelta::from_std(length).ok().and_then(|length| now.checked_sub_signed(length));
        Self { from: from.unwrap_or(DateTime::UNIX_EPOCH), to: now }
    }

    /// Reads a range as Grafana writes it.
    ///
    /// # Errors
    /// Says that an end cannot be read, or that the range is empty.
    pub(super) fn read(from: &str, to: &str, now: DateTime<Utc>) -> Result<Self, String> {
        let end = |text: &str, last: bool| {
            moment(text, now, last).ok_or_else(|| format!("the dashboard's time {text:?} cannot be read; say `last`"))
        };
        let period = Self { from: end(from, false)?, to: end(to, true)? };
        match period.from < period.to {
            true => Ok(period),
            false => Err(format!("the dashboard's time from {from} to {to} is empty; say `last`")),
        }
    }

    /// Applies the time that a panel has of its own: `timeFrom` and `timeShift`.
    pub(super) fn of_panel(self, from: Option<&str>, shift: Option<&str>, now: DateTime<Utc>) -> Result<Self, String> {
        let mut period = self;
        if let Some(from) = from {
            let from = if from.starts_with("now") { from.to_owned() } else { format!("now-{from}") };
            period = Self::read(&from, "now", now)?;
        }
        if let Some(shift) = shift {
            let length = shift.trim_start_matches('-');
            let length = span(length).ok_or_else(|| format!("the panel's timeShift {shift:?} cannot be read"))?;
            let length = TimeDelta::from_std(length).unwrap_or_default();
            period = Self { from: period.from - length, to: period.to - length };
        }
        Ok(period)
    }

    /// Returns its length.
    pub(super) fn length(self) -> Duration {
        (self.to - self.from).to_std().unwrap_or_default()
    }

    /// Returns the distance of two points when there are to be so many at most, and `least` apart at least.
    pub(super) fn step(self, points: u64, least: Duration) -> Duration {
        let even = u64::try_from(self.length().as_millis()).unwrap_or(u64::MAX) / points.max(1);
        Duration::from_millis(rounded(even)).max(least)
    }
}

/// Steps that Grafana rounds to, each with the least length that is rounded up beyond it; milliseconds.
const STEPS: &[(u64, u64)] = &[
    (10, 1),
    (15, 10),
    (35, 20),
    (75, 50),
    (150, 100),
    (350, 200),
    (750, 500),
    (1_500, 1_000),
    (3_500, 2_000),
    (7_500, 5_000),
    (12_500, 10_000),
    (17_500, 15_000),
    (25_000, 20_000),
    (45_000, 30_000),
    (90_000, 60_000),
    (210_000, 120_000),
    (450_000, 300_000),
    (750_000, 600_000),
    (1_050_000, 900_000),
    (1_500_000, 1_200_000),
    (2_700_000, 1_800_000),
    (5_400_000, 3_600_000),
    (9_000_000, 7_200_000),
    (16_200_000, 10_800_000),
    (32_400_000, 21_600_000),
    (86_400_000, 43_200_000),
    (604_800_000, 86_400_000),
    (1_814_400_000, 604_800_000),
    (3_628_800_000, 2_592_000_000),
];

fn rounded(step: u64) -> u64 {
    STEPS.iter().find(|(below, _)| step < *below).map_or(31_536_000_000, |(_, rounded)| *rounded)
}

/// Reads a length as Grafana writes it: `30s`, `1d`, `1M`, with `>` before a least one.
pub(super) fn span(text: &str) -> Option<Duration> {
    let text = text.trim().trim_start_matches(['>', '<', '=']).trim();
    if let Ok(length) = quantity::duration(text) {
        return Some(length);
    }
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let days = match unit {
        "w" => 7,
        "M" => 30,
        "y" => 365,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(days * 86_400)?))
}

/// Says a length as queries take it: the greatest unit that leaves no rest, `90s`, `2m`, `1h`.
pub(super) fn words(length: Duration) -> String {
    let millis = length.as_millis();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{}ms", millis.max(1))
}

/// Reads a moment: `now`, `now-6h`, `now-1d/d`, an ISO 8601 time, or milliseconds since 1970. `last` tells whether
/// rounding leads to the end of a unit.
fn moment(text: &str, now: DateTime<Utc>, last: bool) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let Some(mut rest) = text.strip_prefix("now") else { return absolute(text) };
    let mut at = now;
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = rest[digits..].chars().next()?;
        let count = if digits == 0 { 1 } else { rest[..digits].parse::<u32>().ok()? };
        at = match sign {
            '-' => moved(at, count, unit, true)?,
            '+' => moved(at, count, unit, false)?,
            '/' if last => moved(floor(at, unit)?, 1, unit, false)? - TimeDelta::milliseconds(1),
            '/' => floor(at, unit)?,
            _ => return None,
        };
        rest = &rest[digits + unit.len_utf8()..];
    }
    Some(at)
}

fn absolute(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(millis) = text.parse::<i64>() {
        return DateTime::from_timestamp_millis(millis);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
        .or_else(|_| NaiveDateTime::parse_from_str(&format!("{text} 00:00:00"), "%Y-%m-%d %H:%M:%S"));
    time.ok().map(|time| time.and_utc())
}

fn moved(at: DateTime<Utc>, count: u32, unit: char, back: bool) -> Option<DateTime<Utc>> {
    let months = match unit {
        'M' => Some(count),
        'y' => Some(count.checked_mul(12)?),
        _ => None,
    };
    if let Some(months) = months {
        let months = Months::new(months);
        return if back { at.checked_sub_months(months) } else { at.checked_add_months(months) };
    }
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let length = TimeDelta::try_seconds(i64::from(count) * seconds)?;
    if back { at.checked_sub_signed(length) } else { at.checked_add_signed(length) }
}

/// Returns the beginning of the second, minute … year, by UTC; weeks begin on Sunday.
fn floor(at: DateTime<Utc>, unit: char) -> Option<DateTime<Utc>> {
    let second = at.with_nanosecond(0)?;
    let midnight = at.date_naive().and_hms_opt(0, 0, 0)?.and_utc();
    match unit {
        's' => Some(second),
        'm' => second.with_second(0),
        'h' => second.with_second(0)?.with_minute(0),
        'd' => Some(midnight),
        'w' => Some(midnight - TimeDelta::days(i64::from(at.weekday().num_days_from_sunday()))),
        'M' => midnight.with_day(1),
        'y' => midnight.with_day(1)?.with_month(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_grafana_writes_them() {
        let now: DateTime<Utc> = "2026-11-20T19:30:40Z".parse().expect("a time");
        for (from, to, expected) in [
            ("now-6h", "now", ("2026-11-20T13:30:40Z", "2026-11-20T19:30:40Z")),
            ("now-1d/d", "now-1d/d", ("2026-11-19T00:00:00Z", "2026-11-19T23:59:59.999Z")),
            ("now/M", "now", ("2026-11-01T00:00:00Z", "2026-11-20T19:30:40Z")),
            ("now-1M", "now-1h-30m", ("2026-10-20T19:30:40Z", "2026-11-20T18:00:40Z")),
            ("2026-11-20T00:00:00.000Z", "2026-11-20 12:00:00", ("2026-11-20T00:00:00Z", "2026-11-20T12:00:00Z")),
            ("1763596800000", "now", ("2025-11-20T00:00:00Z", "2026-11-20T19:30:40Z")),
        ] {
            let time = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
            let expected = Period { from: time(expected.0), to: time(expected.1) };
            assert_eq!(Period::read(from, to, now), Ok(expected), "{from} to {to}");
        }
        assert!(Period::read("yesterday", "now", now).is_err());
        assert!(Period::read("now", "now-1h", now).is_err());
    }

    #[test]
    fn steps_are_round_and_not_below_the_least() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        let hours = |hours: u64| Period::last(now, Duration::from_secs(hours * 3600));
        assert_eq!(words(hours(1).step(1000, Duration::from_secs(15))), "15s");
        assert_eq!(words(hours(24).step(1000, Duration::from_secs(15))), "1m");
        assert_eq!(words(hours(1).step(1000, Duration::from_millis(1))), "5s");
        assert_eq!(words(hours(24 * 30).step(1000, Duration::from_secs(15))), "30m");
        assert_eq!((words(Duration::from_secs(90)), words(Duration::from_millis(500))), ("90s".into(), "500ms".into()));
        assert_eq!(span(">1m"), Some(Duration::from_secs(60)));
        assert_eq!(span("1w"), Some(Duration::from_secs(604_800)));
    }
}
