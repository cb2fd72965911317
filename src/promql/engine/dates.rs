//! The calendar in UTC, for `year()`, `day_of_week()` and their like.

/// A moment in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// From 1.
    pub(super) day_of_year: i64,
    /// 0 is Sunday.
    pub(super) day_of_week: i64,
}

impl Date {
    /// Returns the moment so many seconds after the beginning of 1970.
    pub(super) fn of(seconds: i64) -> Self {
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Years begin in March here, so that the leap day is the last of its year; an era is 400 years.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let leap = i64::from(is_leap(year));
        Self {
            year,
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            day_of_year: if of_year >= 306 { of_year - 305 } else { of_year + 60 + leap },
            day_of_week: (days + 4).rem_euclid(7),
        }
    }

    pub(super) fn days_in_month(&self) -> i64 {
        match self.month {
            2 => 28 + i64::from(is_leap(self.year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_have_their_dates() {
        let parts = |t: i64| {
            let d = Date::of(t);
            [d.year, d.month, d.day, d.hour, d.minute, d.second, d.day_of_year, d.day_of_week, d.days_in_month()]
        };
        assert_eq!(parts(0), [1970, 1, 1, 0, 0, 0, 1, 4, 31]);
        assert_eq!(parts(-1), [1969, 12, 31, 23, 59, 59, 365, 3, 31]);
        assert_eq!(parts(951_827_696), [2000, 2, 29, 12, 34, 56, 60, 2, 29]);
        assert_eq!(parts(1_483_191_420), [2016, 12, 31, 13, 37, 0, 366, 6, 31]);
        assert_eq!(parts(1_672_493_820), [2022, 12, 31, 13, 37, 0, 365, 6, 31]);
        assert_eq!(parts(1_485_907_200), [2017, 2, 1, 0, 0, 0, 32, 3, 28]);
        assert_eq!(parts(-2_203_891_200), [1900, 3, 1, 0, 0, 0, 60, 4, 31]);
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = Date::of(-86_400 * 200_000);
        for day in -199_999..200_000_i64 {
            let date = Date::of(day * 86_400);
            let next_year = date.year == before.year + 1 && (date.month, date.day, date.day_of_year) == (1, 1, 1);
            let next_month = date.year == before.year && date.month == before.month + 1 && date.day == 1;
            let next_day = date.month == before.month && date.day == before.day + 1;
            assert!(next_year || (next_month || next_day) && date.day_of_year == before.day_of_year + 1, "{date:?}");
            before = date;
        }
    }
}
