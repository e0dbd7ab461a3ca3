//! The type of the property that holds a secret: it can be given, and not be read back.

use device_model::prelude::*;
use zeroize::Zeroizing;

/// The key of the canonical form, which only the framework gives.
const SEALED: &str = "sealed";

/// Text that an object is given and does not show. Whatever asks for the value gets `null`, from the
/// first moment of the object on.
///
/// A value on its way from the user to the object has to show itself once. It does so sealed, and
/// what is made of a sealed value is silent.
#[derive(Clone, Default)]
pub(crate) struct SecretText(State);

#[derive(Clone, Default)]
enum State {
    #[default]
    None,
    /// From the user, on its way.
    Given(Zeroizing<String>),
    /// Where it belongs.
    Held(Zeroizing<String>),
}

impl SecretText {
    /// What was given.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.0 {
            State::None => None,
            State::Given(text) | State::Held(text) => Some(text),
        }
    }
}

impl PropertyType for SecretText {
    fn value_type() -> ValueType {
        ValueType::plain("str")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        Ok(Self(State::Given(Zeroizing::new(text.to_owned()))))
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        // Nothing of it is said in an error.
        let wrong = || ValueError::Refused("expects a string".to_owned());
        match value {
            Value::Null => Ok(Self::default()),
            Value::String(text) => Self::from_text(text),
            Value::Object(sealed) if sealed.len() == 1 => {
                let text = sealed.get(SEALED).and_then(Value::as_str).ok_or_else(wrong)?;
                Ok(Self(State::Held(Zeroizing::new(text.to_owned()))))
            }
            _ => Err(wrong()),
        }
    }

    fn to_json(&self) -> Value {
        match &self.0 {
            State::None | State::Held(_) => Value::Null,
            State::Given(text) => {
                let text = Value::String(text.as_str().to_owned());
                Value::Object([(SEALED.to_owned(), text)].into_iter().collect())
            }
        }
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reaches_its_object_and_goes_no_further() {
        for given in [SecretText::from_text("s"), SecretText::from_json(&Value::from("s"))] {
            let canonical = given.unwrap().to_json();
            let held = SecretText::from_json(&canonical).unwrap();
            assert_eq!(held.text(), Some("s"));
            assert_eq!(held.to_json(), Value::Null);
            assert_eq!(format!("{held:?}"), "SecretText");
        }
        assert_eq!(SecretText::from_json(&Value::Null).unwrap().text(), None);
    }

    #[test]
    fn what_is_no_string_is_refused_without_being_shown() {
        for wrong in [Value::from(4711), serde_json::json!({"a": "b"}), serde_json::json!(["s"])] {
            let error = SecretText::from_json(&wrong).unwrap_err();
            assert_eq!(error.to_string(), "expects a string");
        }
    }
}
