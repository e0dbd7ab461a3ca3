//! The value of `-global`: a property default for every instance of a type.

use super::excerpt::excerpt;
use super::key::{Key, names};
use super::keyval::{Given, KeyvalError, OptionArgs, Syntax, Words};
use device_model::qom_core::Suggestion;

/// The syntax of the long form of `-global`.
pub const SYNTAX: Syntax = Syntax { implied_key: None, words: Words::Refused, json: false };

pub(super) const KEYS: [Key; 3] = [
    Key::text("driver", "Type whose objects it is for"),
    Key::text("property", "Property that it sets"),
    Key::text("value", "Value of the property"),
];

/// A default for a property of a type and its descendants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// Type name.
    pub driver: String,
    /// Property name.
    pub property: String,
    /// The value, as text.
    pub value: String,
}

/// What is wrong with the value of `-global`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobalError {
    /// The text is outside the option syntax.
    #[error("expected DRIVER.PROPERTY=VALUE or driver=DRIVER,property=PROPERTY,value=VALUE ({0})")]
    Keyval(KeyvalError),
    /// A key that does not exist.
    #[error("{key}: unknown key, expected driver, property or value{suggestion}")]
    UnknownKey {
        /// The key, shortened where it is long.
        key: String,
        /// The nearest key.
        suggestion: Suggestion,
    },
    /// A key that has to be there.
    #[error(
        "{key}: missing; expected DRIVER.PROPERTY=VALUE or \
         driver=DRIVER,property=PROPERTY,value=VALUE"
    )]
    Missing {
        /// The key.
        key: &'static str,
    },
}

/// Reads `DRIVER.PROPERTY=VALUE` or `driver=DRIVER,property=PROPERTY,value=VALUE`.
///
/// The short form ends the driver at its first dot and takes the rest after `=` as it stands,
/// commas included; a driver with a dot in its name needs the long form.
///
/// # Errors
/// [`GlobalError`] when it is neither.
pub fn parse(text: &str) -> Result<Global, GlobalError> {
    if let Some((name, value)) = text.split_once('=')
        && let Some((driver, property)) = name.split_once('.')
        && !driver.is_empty()
        && !property.is_empty()
        && !name.contains(',')
    {
        return Ok(Global {
            driver: driver.to_owned(),
            property: property.to_owned(),
            value: value.to_owned(),
        });
    }
    from_args(&OptionArgs::parse(text, SYNTAX).map_err(GlobalError::Keyval)?)
}

/// Reads the keys of the long form.
///
/// # Errors
/// [`GlobalError`] when a key is missing, empty (but for `value`) or unknown.
pub fn from_args(args: &OptionArgs) -> Result<Global, GlobalError> {
    if let Some((key, _)) =
        args.entries.iter().find(|(key, _)| !names(&KEYS).any(|known| known == key))
    {
        let suggestion = Suggestion::of(key, names(&KEYS));
        return Err(GlobalError::UnknownKey { key: excerpt(key), suggestion });
    }
    let get = |key| args.get(key).map(Given::to_string);
    let name = |key| get(key).filter(|name| !name.is_empty()).ok_or(GlobalError::Missing { key });
    Ok(Global {
        driver: name("driver")?,
        property: name("property")?,
        value: get("value").ok_or(GlobalError::Missing { key: "value" })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn global(driver: &str, property: &str, value: &str) -> Result<Global, GlobalError> {
        Ok(Global {
            driver: driver.to_owned(),
            property: property.to_owned(),
            value: value.to_owned(),
        })
    }

    #[test]
    fn the_short_form_takes_the_value_as_it_stands() {
        assert_eq!(parse("isa-serial.irq=4"), global("isa-serial", "irq", "4"));
        assert_eq!(parse("a.b=c,d=e"), global("a", "b", "c,d=e"));
        assert_eq!(parse("a.b.c=1"), global("a", "b.c", "1"));
        assert_eq!(parse("a.b="), global("a", "b", ""));
    }

    #[test]
    fn the_long_form_names_all_three() {
        assert_eq!(
            parse("driver=cfi.pflash01,property=secure,value=on"),
            global("cfi.pflash01", "secure", "on")
        );
        assert_eq!(parse("value=,property=b,driver=a"), global("a", "b", ""));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert!(
            parse("driver=a,value=1").unwrap_err().to_string().starts_with("property: missing")
        );
        assert!(
            parse("driver=a,property=b").unwrap_err().to_string().starts_with("value: missing")
        );
        assert!(matches!(
            parse("driver=,property=b,value=1"),
            Err(GlobalError::Missing { key: "driver" })
        ));
        assert_eq!(
            parse("drivr=a,property=b,value=1").unwrap_err().to_string(),
            "drivr: unknown key, expected driver, property or value; did you mean 'driver'?"
        );
    }

    #[test]
    fn neither_form_is_refused() {
        for text in ["", "a", "a.b", ".b=1", "a.=1", "=1", "a,b.c=1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[a.,=]{0,12}|.*") {
            let _ = parse(&text);
        }

        #[test]
        fn any_value_passes_through(value in ".*") {
            prop_assert_eq!(parse(&format!("a.b={value}")), global("a", "b", &value));
        }
    }
}
