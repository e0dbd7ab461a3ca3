//! How the registers write numbers: binary or BCD, and hours of 12 or 24.

use super::calendar::DateTime;
use super::spec::*;

/// The format that register B chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    binary: bool,
    hours_24: bool,
}

impl Format {
    pub(super) fn of(register_b: u8) -> Self {
        Self { binary: register_b & B_BINARY != 0, hours_24: register_b & B_24_HOURS != 0 }
    }

    /// A number below 100.
    pub(super) fn encode(self, value: u8) -> u8 {
        if self.binary { value } else { (value / 10) << 4 | (value % 10) }
    }

    /// Any byte: digits above 9 count what they are, at most 165 in all.
    pub(super) fn decode(self, byte: u8) -> u8 {
        if self.binary { byte } else { (byte >> 4) * 10 + (byte & 0x0f) }
    }

    /// An hour below 24.
    pub(super) fn encode_hour(self, hour: u8) -> u8 {
        if self.hours_24 {
            return self.encode(hour);
        }
        // Midnight and noon are 12.
        let of_half = (hour + 11) % 12 + 1;
        let pm = if hour >= 12 { HOURS_PM } else { 0 };
        self.encode(of_half) | pm
    }

    pub(super) fn decode_hour(self, byte: u8) -> u8 {
        if self.hours_24 {
            return self.decode(byte);
        }
        let of_half = self.decode(byte & !HOURS_PM) % 12;
        of_half + if byte & HOURS_PM != 0 { 12 } else { 0 }
    }
}

/// Whether the register at `index` is one of those that tell the time.
pub(super) fn is_time_register(index: u8) -> bool {
    matches!(index, SECONDS | MINUTES | HOURS | DAY_OF_WEEK | DAY_OF_MONTH | MONTH | YEAR | CENTURY)
}

/// The time registers at `seconds` since 1970, each with its index. Years repeat after 10000.
pub(super) fn encode_time(seconds: i64, format: Format) -> [(u8, u8); 8] {
    let time = DateTime::from_unix(seconds);
    let two_digits = |value: i64| u8::try_from(value.rem_euclid(100)).unwrap_or(0);
    [
        (SECONDS, format.encode(time.second)),
        (MINUTES, format.encode(time.minute)),
        (HOURS, format.encode_hour(time.hour)),
        (DAY_OF_WEEK, format.encode(time.day_of_week)),
        (DAY_OF_MONTH, format.encode(time.day)),
        (MONTH, format.encode(time.month)),
        (YEAR, format.encode(two_digits(time.year))),
        (CENTURY, format.encode(two_digits(time.year.div_euclid(100)))),
    ]
}

/// The seconds since 1970 that the time registers mean, whatever they hold. The day of the week
/// follows from the date.
pub(super) fn decode_time(register: impl Fn(u8) -> u8, format: Format) -> i64 {
    let number = |index| format.decode(register(index));
    DateTime {
        year: i64::from(number(CENTURY)) * 100 + i64::from(number(YEAR)),
        month: number(MONTH),
        day: number(DAY_OF_MONTH),
        day_of_week: number(DAY_OF_WEEK),
        hour: format.decode_hour(register(HOURS)),
        minute: number(MINUTES),
        second: number(SECONDS),
    }
    .to_unix()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BCD_24: Format = Format { binary: false, hours_24: true };
    const BCD_12: Format = Format { binary: false, hours_24: false };
    const BINARY_12: Format = Format { binary: true, hours_24: false };

    #[test]
    fn bcd_is_a_digit_a_nibble() {
        assert_eq!(BCD_24.encode(59), 0x59);
        assert_eq!(BCD_24.decode(0x59), 59);
        assert_eq!(BINARY_12.encode(59), 59);
        assert_eq!(BCD_24.decode(0xff), 165);
    }

    #[test]
    fn midnight_and_noon_are_twelve() {
        for (hour, bcd, binary) in [
            (0, 0x12, 12),
            (1, 0x01, 1),
            (11, 0x11, 11),
            (12, 0x92, 0x8c),
            (13, 0x81, 0x81),
            (23, 0x91, 0x8b),
        ] {
            assert_eq!(BCD_12.encode_hour(hour), bcd);
            assert_eq!(BCD_12.decode_hour(bcd), hour);
            assert_eq!(BINARY_12.encode_hour(hour), binary);
            assert_eq!(BINARY_12.decode_hour(binary), hour);
        }
    }

    proptest! {
        #[test]
        fn registers_mean_the_time_they_were_made_from(
            // Years 0 to 9999.
            seconds in -62_167_219_200i64..=253_402_300_799,
            register_b: u8,
        ) {
            let format = Format::of(register_b);
            let registers = encode_time(seconds, format);
            let register = |index| registers.iter().find(|(i, _)| *i == index).unwrap().1;
            prop_assert_eq!(decode_time(register, format), seconds);
            prop_assert!(registers.iter().all(|(index, _)| is_time_register(*index)));
        }

        #[test]
        fn any_registers_mean_some_time(
            bytes in proptest::collection::vec(any::<u8>(), CMOS_SIZE),
            register_b: u8,
        ) {
            let seconds = decode_time(|index| bytes[usize::from(index)], Format::of(register_b));
            prop_assert!(seconds.abs() < 1_000_000_000_000);
        }
    }
}
