//! The calendar: seconds since 1970 to dates, and back, of the proleptic Gregorian calendar.

const SECONDS_PER_DAY: i64 = 86_400;
/// Days in 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAY: i64 = 719_468;

/// A date and time of day.
///
/// What [`DateTime::from_unix`] gives is in the usual ranges. [`DateTime::to_unix`] takes any: what
/// exceeds a range carries over, so that whatever a guest writes is some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DateTime {
    pub(super) year: i64,
    pub(super) month: u8,
    pub(super) day: u8,
    /// 1 (Sunday) to 7; follows from the date, and isn't looked at the other way.
    pub(super) day_of_week: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

impl DateTime {
    pub(super) fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);

        // Years start in March here, so that the leap day is a year's last, and the lengths of the
        // months before it follow 153 days to five months.
        let shifted = days + EPOCH_DAY;
        let era = shifted.div_euclid(DAYS_PER_ERA);
        let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = (march_month + 2) % 12 + 1;
        let year = era * 400 + year_of_era + i64::from(month <= 2);

        Self {
            year,
            month: small(month),
            day: small(day),
            // 1970-01-01 was a Thursday.
            day_of_week: small((days + 4).rem_euclid(7) + 1),
            hour: small(of_day / 3600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
        }
    }

    pub(super) fn to_unix(self) -> i64 {
        let months = i64::from(self.month) - 1;
        let month = months.rem_euclid(12);
        let year = self.year + months.div_euclid(12) - i64::from(month < 2);

        let march_month = (month + 10) % 12;
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * march_month + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * DAYS_PER_ERA + day_of_era - EPOCH_DAY;

        days * SECONDS_PER_DAY
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
    }
}

/// A number that the arithmetic above keeps below 60.
fn small(value: i64) -> u8 {
    u8::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(seconds: i64) -> (i64, u8, u8, u8, u8, u8, u8) {
        let t = DateTime::from_unix(seconds);
        let time = (t.hour, t.minute, t.second);
        (t.year, t.month, t.day, t.day_of_week, time.0, time.1, time.2)
    }

    #[test]
    fn known_times_are_known_dates() {
        assert_eq!(fields(0), (1970, 1, 1, 5, 0, 0, 0));
        assert_eq!(fields(-1), (1969, 12, 31, 4, 23, 59, 59));
        assert_eq!(fields(951_782_400), (2000, 2, 29, 3, 0, 0, 0));
        assert_eq!(fields(1_700_000_000), (2023, 11, 14, 3, 22, 13, 20));
        assert_eq!(fields(4_107_542_399), (2100, 2, 28, 1, 23, 59, 59));
        assert_eq!(fields(4_107_542_400), (2100, 3, 1, 2, 0, 0, 0));
        assert_eq!(fields(253_402_300_799), (9999, 12, 31, 6, 23, 59, 59));
    }

    #[test]
    fn values_beyond_their_range_carry_over() {
        let date = DateTime {
            year: 2023,
            month: 14,
            day: 30,
            day_of_week: 0,
            hour: 25,
            minute: 61,
            second: 61,
        };
        // 2024-02-30 is 2024-03-01; 25:61:61 is 02:02:01 of the day after.
        assert_eq!(fields(date.to_unix()), (2024, 3, 2, 7, 2, 2, 1));
        let zeroth = DateTime { month: 0, day: 0, hour: 0, minute: 0, second: 0, ..date };
        assert_eq!(fields(zeroth.to_unix()), (2022, 11, 30, 4, 0, 0, 0));
    }

    proptest! {
        #[test]
        fn a_date_is_the_time_it_came_from(seconds in -1_000_000_000_000i64..=1_000_000_000_000) {
            let date = DateTime::from_unix(seconds);
            prop_assert_eq!(date.to_unix(), seconds);
            prop_assert!((1..=12).contains(&date.month));
            prop_assert!((1..=31).contains(&date.day));
            prop_assert!((1..=7).contains(&date.day_of_week));
            prop_assert!(date.hour < 24 && date.minute < 60 && date.second < 60);
        }

        #[test]
        fn the_next_day_follows(seconds in -1_000_000_000_000i64..=1_000_000_000_000) {
            let (today, tomorrow) = (
                DateTime::from_unix(seconds),
                DateTime::from_unix(seconds + SECONDS_PER_DAY),
            );
            prop_assert_eq!(today.day_of_week % 7 + 1, tomorrow.day_of_week);
            let first = (tomorrow.day == 1 && today.day >= 28)
                && (today.month % 12 + 1 == tomorrow.month);
            prop_assert!(first || (today.day + 1 == tomorrow.day && today.month == tomorrow.month));
        }
    }
}
