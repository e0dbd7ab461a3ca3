//! Numbers of descriptors that users hand over, as values of properties.
//!
//! A property of one of these types tells a monitor that its client may give, in place of a number,
//! the name under which it passed a descriptor, which the monitor replaces by the number.

use qom_core::{PropertyInfo, PropertyType, Value, ValueError, ValueType};

/// Number of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorNumber(pub u32);

/// Numbers of descriptors, with colons between them; how many there may be, and what is no number,
/// is whoever's concern who has the property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorNumbers(pub String);

/// What a property has of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorProperty {
    /// The number of one: [`DescriptorNumber`].
    Number,
    /// Numbers, with colons between them: [`DescriptorNumbers`].
    Numbers,
}

impl DescriptorProperty {
    /// What a property has of descriptors; none if it is about something else.
    #[must_use]
    pub fn of(info: &PropertyInfo) -> Option<Self> {
        let value_type = (info.value_type)();
        if value_type == DescriptorNumber::value_type() {
            return Some(Self::Number);
        }
        (value_type == DescriptorNumbers::value_type()).then_some(Self::Numbers)
    }
}

impl PropertyType for DescriptorNumber {
    fn value_type() -> ValueType {
        ValueType::plain("fd")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        u32::from_text(text).map(Self)
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        u32::from_json(value).map(Self)
    }

    fn to_json(&self) -> Value {
        self.0.to_json()
    }
}

impl PropertyType for DescriptorNumbers {
    fn value_type() -> ValueType {
        ValueType::plain("fds")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        String::from_text(text).map(Self)
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        String::from_json(value).map(Self)
    }

    fn to_json(&self) -> Value {
        self.0.to_json()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_and_shown_as_what_they_are() {
        assert_eq!(DescriptorNumber::from_text("7"), Ok(DescriptorNumber(7)));
        assert_eq!(DescriptorNumber::from_json(&json!(7)), Ok(DescriptorNumber(7)));
        assert_eq!(DescriptorNumber(7).to_json(), json!(7));
        for wrong in ["", "-1", "seven", "4294967296"] {
            assert!(DescriptorNumber::from_text(wrong).is_err(), "{wrong}");
        }
        assert!(DescriptorNumber::from_json(&json!("7")).is_err());
        let several = DescriptorNumbers("7:8".to_owned());
        assert_eq!(DescriptorNumbers::from_text("7:8").as_ref(), Ok(&several));
        assert_eq!(several.to_json(), json!("7:8"));
        assert!(DescriptorNumbers::from_json(&json!(7)).is_err());
    }
}
