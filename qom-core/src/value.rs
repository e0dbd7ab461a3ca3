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
}
