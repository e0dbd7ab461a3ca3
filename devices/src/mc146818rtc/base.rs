//! The property `base`: what time the clock shows when the machine starts.

use device_model::qom_core::Value;
use device_model::qom_core::{PropertyType, ValueError, ValueType};

use super::calendar::DateTime;

/// What time the clock shows when the machine starts.
///
/// ```
/// use device_model::qom_core::PropertyType;
/// use devices::mc146818rtc::Base;
///
/// assert_eq!(Base::from_text("utc"), Ok(Base::Utc));
/// assert_eq!(Base::from_text("1970-01-02T00:00:01"), Ok(Base::At(86_401)));
/// assert_eq!(Base::from_text("1970-01-02"), Ok(Base::At(86_400)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    /// The host's, in UTC.
    #[default]
    Utc,
    /// This, in seconds since 1970.
    At(i64),
}

const EXPECTED: &str = "'utc' or a date such as '2006-06-17T16:01:21' or '2006-06-17'";

/// Exactly `length` digits.
fn number(text: &str, length: usize) -> Option<u16> {
    let digits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A number of two digits, below `end`.
fn below(text: &str, end: u8) -> Option<u8> {
    u8::try_from(number(text, 2)?).ok().filter(|number| *number < end)
}

/// Reads a date, and a time unless it is midnight.
fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00"));
    let (year, date) = date.split_once('-')?;
    let (month, day) = date.split_once('-')?;
    let (hour, time) = time.split_once(':')?;
    let (minute, second) = time.split_once(':')?;
    let asked = DateTime {
        year: number(year, 4)?.into(),
        month: below(month, 13)?,
        day: below(day, 32)?,
        day_of_week: 0,
        hour: below(hour, 24)?,
        minute: below(minute, 60)?,
        second: below(second, 60)?,
    };
    let seconds = asked.to_unix();
    // A day or month that does not exist carries over into another.
    let exists = DateTime { day_of_week: 0, ..DateTime::from_unix(seconds) } == asked;
    exists.then_some(seconds)
}

impl PropertyType for Base {
    fn value_type() -> ValueType {
        ValueType::plain("str")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        if text == "utc" {
            return Ok(Self::Utc);
        }
        parse(text)
            .map(Self::At)
            .ok_or_else(|| ValueError::Type { expected: EXPECTED, given: text.to_owned() })
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        Self::from_text(&String::from_json(value)?)
    }

    fn to_json(&self) -> Value {
        let Self::At(seconds) = self else {
            return Value::from("utc");
        };
        let DateTime { year, month, day, hour, minute, second, .. } = DateTime::from_unix(*seconds);
        Value::from(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in [
            "2023-02-29",
            "2024-00-01",
            "2024-13-01",
            "2024-04-31",
            "2024-01-00",
            "2024-01-01T24:00:00",
            "2024-01-01T00:60:00",
            "2024-01-01T00:00:60",
        ] {
            assert!(Base::from_text(text).is_err(), "{text} was accepted");
        }
        assert!(Base::from_text("2024-02-29").is_ok());
    }

    #[test]
    fn anything_else_is_refused_with_what_is_expected() {
        for text in
            ["", "localtime", "UTC", "2024", "2024-1-1", "+024-01-01", "2024-01-01 00:00:00"]
        {
            assert_eq!(
                Base::from_text(text).unwrap_err().to_string(),
                format!("expects {EXPECTED}, got '{text}'")
            );
        }
        assert!(Base::from_json(&Value::from(0)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(seconds in -62_167_219_200_i64..=253_402_300_799) {
            let base = Base::At(seconds);
            prop_assert_eq!(Base::from_json(&base.to_json()), Ok(base));
        }

        #[test]
        fn any_text_is_a_time_or_an_error(text in ".{0,24}") {
            if let Ok(Base::At(seconds)) = Base::from_text(&text) {
                prop_assert!((-62_167_219_200..=253_402_300_799).contains(&seconds));
            }
        }
    }
}
