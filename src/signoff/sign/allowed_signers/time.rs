//! Times of allowed signers: `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with `Z` or `UTC` behind it, or local.

use chrono::{DateTime, Datelike, FixedOffset, Local, NaiveDate, NaiveDateTime, Offset, TimeZone, Utc};

use super::Zone;

/// Reads a time. Nothing when it is none, or lies before 1970.
pub(super) fn parse(text: &str, zone: Zone) -> Option<DateTime<Utc>> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix("utc").or_else(|| lower.strip_suffix('z'));
    let digits = bare.unwrap_or(&lower);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<u32>().ok());
    if !matches!(digits.len(), 8 | 12 | 14) {
        return None;
    }
    let year = digits.get(..4)?.parse().ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(4, 6)?, number(6, 8)?)?;
    let naive = date.and_hms_opt(number(8, 10)?, number(10, 12)?, number(12, 14)?)?;
    let at = if bare.is_some() { Some(naive.and_utc()) } else { zone(naive) };
    at.filter(|at| at.timestamp() > 0)
}

/// Reads a time in the zone of this machine, in its standard time: `ssh-keygen` takes no daylight saving into account
/// here, in summer neither.
pub fn local_standard_time(naive: NaiveDateTime) -> Option<DateTime<Utc>> {
    let offset = |month| {
        let day = NaiveDate::from_ymd_opt(naive.year(), month, 1)?;
        Some(Local.offset_from_utc_datetime(&day.and_hms_opt(12, 0, 0)?).fix())
    };
    let (winter, summer): (FixedOffset, FixedOffset) = (offset(1)?, offset(7)?);
    let standard = if winter.local_minus_utc() <= summer.local_minus_utc() { winter } else { summer };
    standard.from_local_datetime(&naive).single().map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin(naive: NaiveDateTime) -> Option<DateTime<Utc>> {
        FixedOffset::east_opt(3600)?.from_local_datetime(&naive).single().map(|at| at.to_utc())
    }

    #[test]
    fn times_are_read_to_the_second() {
        for (text, expected) in [
            ("20260701Z", Some("2026-07-01T00:00:00Z")),
            ("20260701", Some("2026-06-30T23:00:00Z")),
            ("202607011200", Some("2026-07-01T11:00:00Z")),
            ("202607011200z", Some("2026-07-01T12:00:00Z")),
            ("20260701120059UTC", Some("2026-07-01T12:00:59Z")),
            ("20260230Z", None),
            ("2026070125Z", None),
            ("202607012560Z", None),
            ("2026-07-01", None),
            ("19691231Z", None),
            ("", None),
            ("Z", None),
            ("+2026701", None),
        ] {
            let at = parse(text, berlin).map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
            assert_eq!(at.as_deref(), expected, "{text}");
        }
    }
}
