//! Numbers of bytes, as users write them.

use serde_json::Value;
use thiserror::Error;

use crate::value::{IntegerProperty, PropertyType, ValueError, ValueType};

/// A number of bytes, for which a user may write a binary suffix.
///
/// ```
/// use qom_core::{PropertyType, Size};
///
/// assert_eq!(Size::from_text("128M"), Ok(Size(128 << 20)));
/// assert_eq!(Size::from_text("1.5k"), Ok(Size(1536)));
/// assert!(Size::from_text("-1").is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// What a number without a suffix counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeUnit {
    /// Bytes.
    Byte,
    /// MiB.
    Mebibyte,
}

/// What is wrong with a text that is no size, as an expectation of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SizeError {
    /// Not a number with an optional suffix.
    #[error("expected a number and optionally B, K, M, G, T, P or E (such as 512M or 1.5G)")]
    Malformed,
    /// Below zero.
    #[error("expected a size that is not negative")]
    Negative,
    /// 16 EiB or more.
    #[error("expected a size below 16E")]
    TooLarge,
    /// Part of a byte.
    #[error("expected a whole number of bytes")]
    PartOfByte,
}

/// The most digits after the decimal point.
const MAX_FRACTION_DIGITS: usize = 18;

impl Size {
    /// Reads a decimal number, with a fraction if need be, or a hexadecimal one after `0x`, then
    /// optionally a suffix B, K, M, G, T, P or E in either case, each 1024 times the last.
    ///
    /// `B` and `E` are digits in a hexadecimal number, never suffixes. A fraction of a byte that
    /// remains is dropped (`0.1K` is 102).
    ///
    /// # Errors
    /// For text of another form, negative sizes and those of 16 EiB and more.
    pub fn parse(text: &str, default_unit: SizeUnit) -> Result<Self, SizeError> {
        if let Some(rest) = text.strip_prefix('-')
            && rest.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(SizeError::Negative);
        }
        let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let (digits, radix) = match hexadecimal {
            Some(digits) => (digits, 16),
            None => (text, 10),
        };
        let (whole, rest) = split_digits(digits, radix);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) if radix == 10 => {
                let (fraction, suffix) = split_digits(rest, 10);
                if fraction.is_empty() || fraction.len() > MAX_FRACTION_DIGITS {
                    return Err(SizeError::Malformed);
                }
                (fraction, suffix)
            }
            _ => ("", rest),
        };
        if whole.is_empty() {
            return Err(SizeError::Malformed);
        }
        let unit = unit(suffix, default_unit).ok_or(SizeError::Malformed)?;
        if unit == 1 && !fraction.is_empty() {
            return Err(SizeError::PartOfByte);
        }
        // Only too many digits can fail here: they were checked one by one.
        let whole = u64::from_str_radix(whole, radix).map_err(|_| SizeError::TooLarge)?;
        let fraction_bytes = fraction_of(fraction, unit).ok_or(SizeError::Malformed)?;
        whole
            .checked_mul(unit)
            .and_then(|size| size.checked_add(fraction_bytes))
            .map(Self)
            .ok_or(SizeError::TooLarge)
    }
}

/// The leading digits, and what follows them.
fn split_digits(text: &str, radix: u32) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_digit(radix)).unwrap_or(text.len());
    text.split_at(end)
}

fn unit(suffix: &str, default_unit: SizeUnit) -> Option<u64> {
    let exponent = match suffix {
        "" => match default_unit {
            SizeUnit::Byte => 0,
            SizeUnit::Mebibyte => 20,
        },
        "B" | "b" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        "T" | "t" => 40,
        "P" | "p" => 50,
        "E" | "e" => 60,
        _ => return None,
    };
    Some(1 << exponent)
}

/// The digits after a decimal point as a part of `unit`, rounded down.
fn fraction_of(digits: &str, unit: u64) -> Option<u64> {
    if digits.is_empty() {
        return Some(0);
    }
    let numerator: u128 = digits.parse().ok()?;
    let denominator = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    u64::try_from(numerator.checked_mul(u128::from(unit))? / denominator).ok()
}

impl IntegerProperty for Size {}

impl PropertyType for Size {
    fn value_type() -> ValueType {
        ValueType::plain("size")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        Self::parse(text, SizeUnit::Byte).map_err(|_| ValueError::Type {
            expected: "a size: a number and optionally B, K, M, G, T, P or E",
            given: text.to_owned(),
        })
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        u64::from_json(value).map(Self)
    }

    fn to_json(&self) -> Value {
        Value::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Result<u64, SizeError> {
        Size::parse(text, SizeUnit::Mebibyte).map(|size| size.0)
    }

    #[test]
    fn a_bare_number_counts_the_default_unit() {
        assert_eq!(size("512"), Ok(512 << 20));
        assert_eq!(Size::parse("512", SizeUnit::Byte), Ok(Size(512)));
    }

    #[test]
    fn each_suffix_is_1024_times_the_last_in_either_case() {
        let suffixes = [("b", 0), ("k", 10), ("m", 20), ("g", 30), ("t", 40), ("p", 50), ("e", 60)];
        for (suffix, exponent) in suffixes {
            assert_eq!(size(&format!("3{suffix}")), Ok(3 << exponent));
            assert_eq!(size(&format!("3{}", suffix.to_uppercase())), Ok(3 << exponent));
        }
    }

    #[test]
    fn fractions_are_exact_and_round_down() {
        assert_eq!(size("1.5G"), Ok(3 << 29));
        assert_eq!(size("0.25"), Ok(1 << 18));
        assert_eq!(size("0.1K"), Ok(102));
        assert_eq!(size("15.999999999999999999E"), Ok(u64::MAX - 1));
        assert_eq!(size("1.5B"), Err(SizeError::PartOfByte));
    }

    #[test]
    fn hexadecimal_takes_every_suffix_that_is_no_digit() {
        assert_eq!(size("0x20"), Ok(32 << 20));
        assert_eq!(size("0x20k"), Ok(32 << 10));
        assert_eq!(size("0X1B"), Ok(27 << 20));
        assert_eq!(size("0x1E"), Ok(30 << 20));
    }

    #[test]
    fn zero_is_a_size_and_negative_and_too_large_are_none() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("0x0G"), Ok(0));
        assert_eq!(size("0.0001K"), Ok(0));
        assert!(matches!(size("-1G"), Err(SizeError::Negative)));
        assert!(matches!(size("16E"), Err(SizeError::TooLarge)));
        assert!(matches!(size("99999999999999999999B"), Err(SizeError::TooLarge)));
        assert_eq!(size("18446744073709551615B"), Ok(u64::MAX));
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in [
            "",
            "G",
            "1GB",
            "1 G",
            " 1",
            "1.",
            ".5G",
            "1.5.5",
            "0x",
            "0x1.5G",
            "+1",
            "--1",
            "1e3",
            "-",
            "1_000",
            "٣",
            "0.1234567890123456789G",
            "inf",
            "NaN",
        ] {
            assert!(matches!(size(text), Err(SizeError::Malformed)), "{text}");
        }
    }
}
