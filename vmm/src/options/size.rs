//! Memory sizes as users write them, and the value of `-m`.

use super::excerpt::excerpt;
use super::keyval::{KeyvalError, OptionArgs, Syntax, Words};
use super::suggestion::DidYouMean;

/// The syntax of `-m`.
pub const SYNTAX: Syntax = Syntax { implied_key: Some("size"), words: Words::Refused, json: false };

/// What a number without a suffix counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultUnit {
    /// Bytes.
    Byte,
    /// MiB, as for `-m`.
    Mebibyte,
}

/// The most digits after the decimal point.
const MAX_FRACTION_DIGITS: usize = 18;

/// A text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Not a number with an optional suffix.
    #[error(
        "expected a number and optionally B, K, M, G, T, P or E (such as 512M or 1.5G), \
         given '{given}'"
    )]
    Malformed {
        /// The text, shortened where it is long.
        given: String,
    },
    /// Zero, or a fraction that rounds down to it.
    #[error("expected a size above zero, given '{given}'")]
    Zero {
        /// The text, shortened where it is long.
        given: String,
    },
    /// Below zero.
    #[error("expected a size above zero, given the negative '{given}'")]
    Negative {
        /// The text, shortened where it is long.
        given: String,
    },
    /// 16 EiB or more.
    #[error("expected a size below 16E, given '{given}'")]
    TooLarge {
        /// The text, shortened where it is long.
        given: String,
    },
    /// Part of a byte.
    #[error("expected a whole number of bytes, given '{given}'")]
    PartOfByte {
        /// The text, shortened where it is long.
        given: String,
    },
}

/// What is wrong with the value of `-m`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The text is outside the option syntax.
    #[error(transparent)]
    Keyval(#[from] KeyvalError),
    /// The size is none.
    #[error("size: {0}")]
    Size(SizeError),
    /// There is no size in it.
    #[error("expected size=SIZE, given no size")]
    Missing,
    /// A key that QEMU has for memory hotplug, which does not exist here.
    #[error("{key}: memory hotplug is not supported; expected only size=SIZE")]
    Hotplug {
        /// The key.
        key: String,
    },
    /// A key that does not exist.
    #[error("{key}: unknown key, expected only size=SIZE{suggestion}")]
    UnknownKey {
        /// The key, shortened where it is long.
        key: String,
        /// `size`, if that was nearly it.
        suggestion: DidYouMean,
    },
}

/// Reads a size in bytes: a decimal number, with a fraction if need be, or a hexadecimal one after
/// `0x`, then optionally a suffix B, K, M, G, T, P or E in either case, each 1024 times the last.
///
/// `B` and `E` are digits in a hexadecimal number, never suffixes. A fraction of a byte that
/// remains is dropped (`0.1K` is 102).
///
/// # Errors
/// [`SizeError`] for text of another form, zero, negative sizes and those of 16 EiB and more.
pub fn parse_size(text: &str, default_unit: DefaultUnit) -> Result<u64, SizeError> {
    let malformed = || SizeError::Malformed { given: excerpt(text) };
    if let Some(rest) = text.strip_prefix('-')
        && rest.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(SizeError::Negative { given: excerpt(text) });
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
                return Err(malformed());
            }
            (fraction, suffix)
        }
        _ => ("", rest),
    };
    if whole.is_empty() {
        return Err(malformed());
    }
    let unit = unit(suffix, default_unit).ok_or_else(malformed)?;
    if unit == 1 && !fraction.is_empty() {
        return Err(SizeError::PartOfByte { given: excerpt(text) });
    }
    let too_large = || SizeError::TooLarge { given: excerpt(text) };
    // Only too many digits can fail here: they were checked one by one.
    let whole = u64::from_str_radix(whole, radix).map_err(|_| too_large())?;
    let fraction_bytes = fraction_of(fraction, unit).ok_or_else(malformed)?;
    let size = whole
        .checked_mul(unit)
        .and_then(|size| size.checked_add(fraction_bytes))
        .ok_or_else(too_large)?;
    if size == 0 { Err(SizeError::Zero { given: excerpt(text) }) } else { Ok(size) }
}

/// The leading digits, and what follows them.
fn split_digits(text: &str, radix: u32) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_digit(radix)).unwrap_or(text.len());
    text.split_at(end)
}

fn unit(suffix: &str, default_unit: DefaultUnit) -> Option<u64> {
    let exponent = match suffix {
        "" => match default_unit {
            DefaultUnit::Byte => 0,
            DefaultUnit::Mebibyte => 20,
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

/// `0.digits` of `unit`, rounded down.
fn fraction_of(digits: &str, unit: u64) -> Option<u64> {
    if digits.is_empty() {
        return Some(0);
    }
    let numerator: u128 = digits.parse().ok()?;
    let denominator = 10u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    u64::try_from(numerator.checked_mul(u128::from(unit))? / denominator).ok()
}

/// The size of memory in bytes that the value of `-m` asks for.
///
/// # Errors
/// [`MemoryError`] when there is no valid size, and for any key but `size`.
pub fn memory(args: &OptionArgs) -> Result<u64, MemoryError> {
    if let Some((key, _)) = args.entries.first() {
        return Err(match key.as_str() {
            "slots" | "maxmem" => MemoryError::Hotplug { key: key.clone() },
            _ => MemoryError::UnknownKey {
                key: excerpt(key),
                suggestion: DidYouMean::among(key, ["size"]),
            },
        });
    }
    let size = args.implied.as_deref().ok_or(MemoryError::Missing)?;
    parse_size(size, DefaultUnit::Mebibyte).map_err(MemoryError::Size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(text: &str) -> Result<u64, SizeError> {
        parse_size(text, DefaultUnit::Mebibyte)
    }

    fn memory_of(text: &str) -> Result<u64, MemoryError> {
        memory(&OptionArgs::parse(text, SYNTAX)?)
    }

    #[test]
    fn a_bare_number_counts_the_default_unit() {
        assert_eq!(size("512"), Ok(512 << 20));
        assert_eq!(parse_size("512", DefaultUnit::Byte), Ok(512));
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
        assert_eq!(size("1.5B"), Err(SizeError::PartOfByte { given: "1.5B".to_owned() }));
    }

    #[test]
    fn hexadecimal_takes_every_suffix_that_is_no_digit() {
        assert_eq!(size("0x20"), Ok(32 << 20));
        assert_eq!(size("0x20k"), Ok(32 << 10));
        assert_eq!(size("0X1B"), Ok(27 << 20));
        assert_eq!(size("0x1E"), Ok(30 << 20));
    }

    #[test]
    fn zero_negative_and_too_large_are_told_apart() {
        assert!(matches!(size("0"), Err(SizeError::Zero { .. })));
        assert!(matches!(size("0x0G"), Err(SizeError::Zero { .. })));
        assert!(matches!(size("0.0001K"), Err(SizeError::Zero { .. })));
        assert!(matches!(size("-1G"), Err(SizeError::Negative { .. })));
        assert!(matches!(size("16E"), Err(SizeError::TooLarge { .. })));
        assert!(matches!(size("99999999999999999999B"), Err(SizeError::TooLarge { .. })));
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
            assert!(matches!(size(text), Err(SizeError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn the_message_shows_what_would_do() {
        assert_eq!(
            memory_of("1GB").unwrap_err().to_string(),
            "size: expected a number and optionally B, K, M, G, T, P or E (such as 512M or 1.5G), \
             given '1GB'"
        );
    }

    #[test]
    fn memory_has_a_size_and_nothing_else() {
        assert_eq!(memory_of("1G"), Ok(1 << 30));
        assert_eq!(memory_of("size=256"), Ok(256 << 20));
        assert_eq!(memory_of(""), Err(MemoryError::Missing));
        for text in ["1G,slots=2", "1G,maxmem=4G"] {
            assert!(matches!(memory_of(text), Err(MemoryError::Hotplug { .. })), "{text}");
        }
        assert_eq!(
            memory_of("sizes=1G").unwrap_err().to_string(),
            "sizes: unknown key, expected only size=SIZE; did you mean size?"
        );
        assert!(matches!(memory_of("1G,slots"), Err(MemoryError::Keyval(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "-?(0x)?[0-9a-f.]{0,24}[bkmgtpeBKMGTPE]?|.*") {
            let _ = parse_size(&text, DefaultUnit::Byte);
            let _ = memory_of(&text);
        }

        #[test]
        fn every_number_of_bytes_is_read_back(bytes in 1u64..) {
            prop_assert_eq!(size(&format!("{bytes}B")), Ok(bytes));
            prop_assert_eq!(parse_size(&format!("{bytes:#x}"), DefaultUnit::Byte), Ok(bytes));
        }
    }
}
