//! Times on the command line: `2026-11-20T14:00:00Z`, `2026-11-20` (midnight, UTC), `7d` (so long ago).

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::model::quantity;

use super::Result;

/// The most times that one command asks for.
const MOST: usize = 10_000;

/// Reads a past time.
pub(super) fn one(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let at = read(text, now);
    let Some(at) = at else {
        anyhow::bail!("{text:?} is not a time; write 2026-11-20T14:00:00Z, 2026-11-20, or 7d for 7 days ago");
    };
    anyhow::ensure!(at < now, "{text} is not past: {}", at.format("%Y-%m-%d %H:%M:%S UTC"));
    Ok(at)
}

/// Lists the times from `last` ago until now, `every` apart, the oldest first.
pub(super) fn row(every: &str, last: &str, now: DateTime<Utc>) -> Result<Vec<DateTime<Utc>>> {
    let length = |key: &str, text: &str| {
        let length = quantity::duration(text).map_err(|e| anyhow::anyhow!("--{key}: {e}"))?;
        anyhow::ensure!(!length.is_zero(), "--{key} must be longer than nothing");
        Ok(TimeDelta::from_std(length)?)
    };
    let (every, last) = (length("every", every)?, length("last", last)?);
    anyhow::ensure!(every <= last, "--every is longer than --last");
    let count = usize::try_from(last.num_milliseconds() / every.num_milliseconds().max(1)).unwrap_or(usize::MAX);
    anyhow::ensure!(count <= MOST, "these are {count} times; at most {MOST} are judged at once");
    let mut times: Vec<DateTime<Utc>> = Vec::new();
    let mut at = now.checked_sub_signed(last).unwrap_or(now);
    while at < now {
        times.push(at);
        at += every;
    }
    Ok(times)
}

fn read(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.with_timezone(&Utc));
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(day.and_time(NaiveTime::MIN).and_utc());
    }
    let ago = quantity::duration(text.trim_start_matches('-')).ok()?;
    now.checked_sub_signed(TimeDelta::from_std(ago).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
    }

    #[test]
    fn times_are_read_with_their_zone_or_as_so_long_ago() {
        let at = |text: &str| one(text, now()).map(|at| at.timestamp()).map_err(|e| e.to_string());
        assert_eq!(at("7d"), Ok(1_790_000_000 - 7 * 86_400));
        assert_eq!(at("2026-09-01T02:00:00+02:00"), at("2026-09-01"));
        assert!(at("2026-09-01 02:00").expect_err("it has no zone").contains("is not a time"));
        assert!(at("2036-01-01").expect_err("it is to come").contains("is not past"));
    }

    #[test]
    fn a_row_of_times_ends_before_now() {
        let row = row("1d", "30d", now()).expect("a row");
        assert_eq!((row.len(), now() - row[0]), (30, TimeDelta::days(30)));
        assert!(super::row("1s", "30d", now()).is_err());
        assert!(super::row("0s", "30d", now()).is_err());
    }
}
