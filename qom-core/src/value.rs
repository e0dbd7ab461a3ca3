//! Values of properties: what a user may write for them, and their canonical form in JSON.

use std::{borrow::Cow, fmt};

use serde_json::Value;
use thiserror::Error;

/// A value as somebody gave it.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// A word from a command line or a configuration file; the property's type says how to read it.
    Text(String),
    /// A JSON value; it must be of the property's type already.
    Json(Value),
}

impl Given {
    /// The text, unless it is JSON of another type than string.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(value) => value.as_str(),
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Json(value) => write!(f, "{value}"),
        }
    }
}

impl From<&str> for Given {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Given {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Value> for Given {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// The type of a property's values, for introspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueType {
    /// QOM's name for it.
    pub name: Cow<'static, str>,
    /// The words that an enumeration accepts; empty for every other type.
    pub words: &'static [&'static str],
}

impl ValueType {
    /// A type that is not an enumeration.
    #[must_use]
    pub const fn plain(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), words: &[] }
    }
}

/// Why a value was not accepted. Says nothing of the property; whoever knows its name adds it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Of another type than the property, or malformed.
    #[error("expects {expected}, got '{given}'")]
    Type {
        /// What is accepted.
        expected: &'static str,
        /// What was given.
        given: String,
    },
    /// Not one of an enumeration's words.
    #[error("does not accept value '{given}'")]
    Word {
        /// What was given.
        given: String,
        /// What is accepted.
        words: &'static [&'static str],
    },
    /// Out of the property's range.
    #[error("expects a value from {least} to {greatest}, got '{given}'")]
    OutOfRange {
        /// What was given.
        given: String,
        /// Least accepted value.
        least: i128,
        /// Greatest accepted value.
        greatest: i128,
    },
    /// Refused by the type itself, in its own words.
    #[error("{0}")]
    Refused(String),
}

/// A Rust type whose values can be a property's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the type of a property",
    label = "not a property type",
    note = "use bool, an integer, String, Size, Option of one of them, or an enum with `#[derive(PropertyEnum)]`"
)]
pub trait PropertyType: Clone + Send + Sync + 'static {
    /// The type as introspection shows it.
    fn value_type() -> ValueType;

    /// Reads what a user wrote.
    ///
    /// # Errors
    /// If the text is not a value of this type.
    fn from_text(text: &str) -> Result<Self, ValueError>;

    /// Reads a JSON value. Strict: a number in a string is not a number.
    ///
    /// # Errors
    /// If the value is of another JSON type or out of range.
    fn from_json(value: &Value) -> Result<Self, ValueError>;

    /// The canonical form, which [`PropertyType::from_json`] reads back.
    fn to_json(&self) -> Value;

    /// Reads a value in either form.
    ///
    /// # Errors
    /// As the two above.
    fn from_given(given: &Given) -> Result<Self, ValueError> {
        match given {
            Given::Text(text) => Self::from_text(text),
            Given::Json(value) => Self::from_json(value),
        }
    }
}

/// A property type whose values are integers, so that they can have a range.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `range`, which is for integers",
    label = "not an integer: leave out `range`, or write an integer type"
)]
pub trait IntegerProperty: PropertyType {}

impl IntegerProperty for Size {}
impl<T: IntegerProperty> IntegerProperty for Option<T> {}

impl PropertyType for bool {
    fn value_type() -> ValueType {
        ValueType::plain("bool")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        match text {
            "on" | "yes" | "true" | "y" => Ok(true),
            "off" | "no" | "false" | "n" => Ok(false),
            _ => Err(ValueError::Type { expected: "'on' or 'off'", given: text.to_owned() }),
        }
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        value
            .as_bool()
            .ok_or_else(|| ValueError::Type { expected: "a boolean", given: value.to_string() })
    }

    fn to_json(&self) -> Value {
        Value::Bool(*self)
    }
}

macro_rules! integer_property {
    ($($rust:ty, $name:literal, $expected:literal;)*) => {$(
        impl PropertyType for $rust {
            fn value_type() -> ValueType {
                ValueType::plain($name)
            }

            fn from_text(text: &str) -> Result<Self, ValueError> {
                parse_integer(text)
                    .and_then(|number| <$rust>::try_from(number).ok())
                    .ok_or_else(|| ValueError::Type { expected: $expected, given: text.to_owned() })
            }

            fn from_json(value: &Value) -> Result<Self, ValueError> {
                value
                    .as_i64()
                    .map(i128::from)
                    .or_else(|| value.as_u64().map(i128::from))
                    .and_then(|number| <$rust>::try_from(number).ok())
                    .ok_or_else(|| ValueError::Type { expected: $expected, given: value.to_string() })
            }

            fn to_json(&self) -> Value {
                Value::from(*self)
            }
        }

        impl IntegerProperty for $rust {}
    )*};
}

integer_property! {
    u8, "uint8", "an integer from 0 to 255";
    u16, "uint16", "an integer from 0 to 65535";
    u32, "uint32", "an integer from 0 to 4294967295";
    u64, "uint64", "an integer from 0 to 18446744073709551615";
    i8, "int8", "an integer from -128 to 127";
    i16, "int16", "an integer from -32768 to 32767";
    i32, "int32", "an integer from -2147483648 to 2147483647";
    i64, "int64", "an integer from -9223372036854775808 to 9223372036854775807";
}

/// Decimal or, behind `0x`, hexadecimal.
fn parse_integer(text: &str) -> Option<i128> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // `from_str_radix` would take a second sign.
    if !magnitude.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let digits = magnitude.strip_prefix("0x").or_else(|| magnitude.strip_prefix("0X"));
    let number = match digits {
        Some(digits) if digits.starts_with('+') || digits.starts_with('-') => return None,
        Some(digits) => i128::from_str_radix(digits, 16).ok()?,
        None => magnitude.parse().ok()?,
    };
    Some(if negative { -number } else { number })
}

impl PropertyType for String {
    fn value_type() -> ValueType {
        ValueType::plain("str")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        Ok(text.to_owned())
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| ValueError::Type { expected: "a string", given: value.to_string() })
    }

    fn to_json(&self) -> Value {
        Value::String(self.clone())
    }
}

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

impl Size {
    const EXPECTED: &'static str = "a size: a number and one of the suffixes B, K, M, G, T, P, E";

    fn parse(text: &str) -> Option<u64> {
        let (number, shift) = match text.as_bytes().last()? {
            b'0'..=b'9' => (text, 0),
            _ if text.starts_with("0x") || text.starts_with("0X") => (text, 0),
            suffix => {
                let shift = match suffix.to_ascii_uppercase() {
                    b'B' => 0,
                    b'K' => 10,
                    b'M' => 20,
                    b'G' => 30,
                    b'T' => 40,
                    b'P' => 50,
                    b'E' => 60,
                    _ => return None,
                };
                (text.get(..text.len() - 1)?, shift)
            }
        };
        let Some((whole, fraction)) = number.split_once('.') else {
            let number = u64::try_from(parse_integer(number)?).ok()?;
            return number.checked_mul(1 << shift);
        };
        // Exact up to 18 digits: no float rounds a size.
        if shift == 0 || fraction.is_empty() || fraction.len() > 18 {
            return None;
        }
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let fraction = fraction.parse::<u128>().ok()?.checked_shl(shift)?;
        if fraction % scale != 0 {
            return None;
        }
        let whole = whole.parse::<u64>().ok()?.checked_mul(1 << shift)?;
        whole.checked_add(u64::try_from(fraction / scale).ok()?)
    }
}

impl PropertyType for Size {
    fn value_type() -> ValueType {
        ValueType::plain("size")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
            .map(Self)
            .ok_or_else(|| ValueError::Type { expected: Self::EXPECTED, given: text.to_owned() })
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        u64::from_json(value).map(Self)
    }

    fn to_json(&self) -> Value {
        Value::from(self.0)
    }
}

impl<T: PropertyType> PropertyType for Option<T> {
    fn value_type() -> ValueType {
        T::value_type()
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        T::from_text(text).map(Some)
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        match value {
            Value::Null => Ok(None),
            value => T::from_json(value).map(Some),
        }
    }

    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_json)
    }
}

/// Any JSON value, for a property with structure: computed state above all.
impl PropertyType for Value {
    fn value_type() -> ValueType {
        ValueType::plain("any")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        serde_json::from_str(text)
            .map_err(|_| ValueError::Type { expected: "JSON", given: text.to_owned() })
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        Ok(value.clone())
    }

    fn to_json(&self) -> Value {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_as_qemu_reads_them() {
        for text in ["on", "yes", "true", "y"] {
            assert_eq!(bool::from_text(text), Ok(true));
        }
        for text in ["off", "no", "false", "n"] {
            assert_eq!(bool::from_text(text), Ok(false));
        }
        let error = bool::from_text("maybe").unwrap_err();
        assert_eq!(error.to_string(), "expects 'on' or 'off', got 'maybe'");
        assert!(bool::from_json(&Value::from("yes")).is_err(), "a JSON string is no boolean");
    }

    #[test]
    fn integers_are_decimal_or_hexadecimal_and_stay_in_their_type() {
        assert_eq!(u16::from_text("0x3f8"), Ok(0x3f8));
        assert_eq!(i8::from_text("-128"), Ok(-128));
        for text in ["", "-", "0x", "0x-1", "0x+1", "+1", "--1", "65536", "1.0", " 1", "1 "] {
            assert!(u16::from_text(text).is_err(), "{text:?} was accepted");
        }
        assert!(u8::from_json(&Value::from(256)).is_err());
        assert_eq!(u64::from_json(&Value::from(u64::MAX)), Ok(u64::MAX));
    }

    #[test]
    fn sizes_have_binary_suffixes_and_exact_fractions() {
        assert_eq!(Size::from_text("4096"), Ok(Size(4096)));
        assert_eq!(Size::from_text("1.5G"), Ok(Size(3 << 29)));
        assert_eq!(Size::from_text("0x10"), Ok(Size(16)));
        assert_eq!(Size::from_text("15E"), Ok(Size(15 << 60)));
        for text in ["", "M", "16E", "1.G", ".5G", "1.5", "1.3K", "1e3", "0x1M2", "é", "-1M"] {
            assert!(Size::from_text(text).is_err(), "{text:?} was accepted");
        }
    }
}
