//! The alarm: a time of day, of which any part may be left open.

use super::encoding::Format;
use super::spec::{ALARM_DONT_CARE, HOURS_ALARM, MINUTES_ALARM, SECONDS_ALARM};

const SECONDS_PER_DAY: i64 = 86_400;

/// When the alarm goes off each day; `None` matches any value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    hour: Option<u8>,
    minute: Option<u8>,
    second: Option<u8>,
}

impl Alarm {
    /// The alarm that the registers mean.
    pub(super) fn decode(register: impl Fn(u8) -> u8, format: Format) -> Self {
        let field = |index, decode: &dyn Fn(u8) -> u8| {
            let byte = register(index);
            (byte < ALARM_DONT_CARE).then(|| decode(byte))
        };
        Self {
            hour: field(HOURS_ALARM, &|byte| format.decode_hour(byte)),
            minute: field(MINUTES_ALARM, &|byte| format.decode(byte)),
            second: field(SECONDS_ALARM, &|byte| format.decode(byte)),
        }
    }

    /// The first time after `seconds` at which the alarm goes off, in seconds since 1970. `None` if
    /// it never does, since it holds a value that no time of day has, or an `i64` doesn't reach it.
    pub(super) fn next_after(self, seconds: i64) -> Option<i64> {
        let start = seconds.checked_add(1)?;
        let of_day = start.rem_euclid(SECONDS_PER_DAY);
        let midnight = start.checked_sub(of_day)?;
        match self.first_from(of_day) {
            Some(of_day) => midnight.checked_add(of_day),
            None => midnight.checked_add(SECONDS_PER_DAY)?.checked_add(self.first_from(0)?),
        }
    }

    /// The first match from a second of the day on, on that day.
    ///
    /// The hour and minute that are under way may have no match left; every other matching minute
    /// has one, so that this looks at about 150 values at most.
    fn first_from(self, start: i64) -> Option<i64> {
        candidates(self.minute, 0, 60).next()?;
        candidates(self.second, 0, 60).next()?;
        for hour in candidates(self.hour, start / 3600, 24) {
            let start = start.max(hour * 3600);
            for minute in candidates(self.minute, start / 60 % 60, 60) {
                let start = start.max(hour * 3600 + minute * 60);
                if let Some(second) = candidates(self.second, start % 60, 60).next() {
                    return Some(hour * 3600 + minute * 60 + second);
                }
            }
        }
        None
    }
}

/// The values from `start` up to `end` that a field matches.
fn candidates(field: Option<u8>, start: i64, end: i64) -> std::ops::Range<i64> {
    match field.map(i64::from) {
        None => start..end,
        Some(value) if value >= start && value < end => value..value + 1,
        Some(_) => 0..0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alarm(hour: Option<u8>, minute: Option<u8>, second: Option<u8>) -> Alarm {
        Alarm { hour, minute, second }
    }

    #[test]
    fn a_full_time_goes_off_once_a_day() {
        let alarm = alarm(Some(1), Some(2), Some(3));
        let time = 3723;
        assert_eq!(alarm.next_after(0), Some(time));
        assert_eq!(alarm.next_after(time - 1), Some(time));
        assert_eq!(alarm.next_after(time), Some(time + SECONDS_PER_DAY));
        assert_eq!(alarm.next_after(-1), Some(time));
        assert_eq!(alarm.next_after(-SECONDS_PER_DAY), Some(time - SECONDS_PER_DAY));
    }

    #[test]
    fn open_fields_match_any_value() {
        assert_eq!(alarm(None, None, None).next_after(41), Some(42));
        assert_eq!(alarm(None, None, Some(30)).next_after(30), Some(90));
        assert_eq!(alarm(None, Some(5), Some(0)).next_after(300), Some(3900));
        assert_eq!(alarm(Some(0), None, None).next_after(3599), Some(SECONDS_PER_DAY));
    }

    #[test]
    fn a_time_that_never_is_never_goes_off() {
        assert_eq!(alarm(Some(24), None, None).next_after(0), None);
        assert_eq!(alarm(None, Some(60), None).next_after(0), None);
        assert_eq!(alarm(None, None, Some(60)).next_after(0), None);
    }

    #[test]
    fn registers_from_c0_on_are_open() {
        let registers = [0, 0xc0, 0, 0xff, 0, 0x92];
        let format = Format::of(0);
        let decoded = Alarm::decode(|index| registers[usize::from(index)], format);
        assert_eq!(decoded, alarm(Some(12), None, None));
    }

    #[test]
    fn the_ends_of_time_are_defined() {
        let any = alarm(None, None, None);
        assert_eq!(any.next_after(i64::MAX), None);
        assert_eq!(any.next_after(i64::MAX - 1), Some(i64::MAX));
        assert_eq!(any.next_after(i64::MIN), None);
    }

    proptest! {
        #[test]
        fn the_next_time_is_the_first_that_matches(
            hour in proptest::option::of(0u8..26),
            minute in proptest::option::of(0u8..62),
            second in proptest::option::of(0u8..62),
            from in -200_000i64..200_000,
        ) {
            let matches = |time: i64| {
                let of_day = time.rem_euclid(SECONDS_PER_DAY);
                hour.is_none_or(|hour| i64::from(hour) == of_day / 3600)
                    && minute.is_none_or(|minute| i64::from(minute) == of_day / 60 % 60)
                    && second.is_none_or(|second| i64::from(second) == of_day % 60)
            };
            let expected = (from + 1..=from + SECONDS_PER_DAY).find(|&time| matches(time));
            prop_assert_eq!(alarm(hour, minute, second).next_after(from), expected);
        }
    }
}
