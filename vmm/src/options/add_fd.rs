//! `-add-fd fd=N,set=M[,opaque=TEXT]`: a descriptor that the process was started with, for a set.

use device_model::qom_core::Suggestion;

use super::{
    excerpt::excerpt,
    key::{Key, names},
    keyval::{OptionArgs, Syntax, Words, unquoted},
};

/// The syntax of the option.
pub(crate) const SYNTAX: Syntax = Syntax { implied_key: None, words: Words::Refused, json: true };

/// Its keys.
pub(super) const KEYS: [Key; 3] = [
    Key::number("fd", "Number of the open descriptor"),
    Key::number("set", "Number of the set, which /dev/fdset/N stands for"),
    Key::text("opaque", "What query-fdsets tells of it"),
];

/// Numbers of the standard streams, which the program uses itself.
const STANDARD_STREAMS: std::ops::RangeInclusive<i32> = 0..=2;

/// What the option asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddFd {
    /// The descriptor's number.
    pub fd: i32,
    /// The set's.
    pub set: u32,
    /// What is said of it where sets are listed.
    pub opaque: Option<String>,
}

/// What is wrong with the option's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddFdError {
    /// Something that has to be there.
    #[error("Parameter '{key}' is missing")]
    Missing {
        /// Its key.
        key: &'static str,
    },
    /// No number, or none that can be.
    #[error("{key}: expected a number from 0 to {max}, given '{given}'")]
    Number {
        /// Its key.
        key: &'static str,
        /// What was given, shortened where it is long.
        given: String,
        /// The greatest.
        max: u32,
    },
    /// One of the program's own.
    #[error("fd: expected a descriptor other than the standard streams, given '{0}'")]
    StandardStream(i32),
    /// A key that the option does not have.
    #[error("{key}: unknown key, expected fd, set or opaque{suggestion}")]
    UnknownKey {
        /// The key, shortened where it is long.
        key: String,
        /// The nearest of them.
        suggestion: Suggestion,
    },
}

impl AddFdError {
    /// The key that it is about.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Missing { key } | Self::Number { key, .. } => key,
            Self::StandardStream(_) => "fd",
            Self::UnknownKey { key, .. } => key,
        }
    }
}

impl AddFd {
    /// Reads the value of the option.
    ///
    /// # Errors
    /// [`AddFdError`] for anything that it does not take.
    pub(crate) fn from_args(arguments: &OptionArgs) -> Result<Self, AddFdError> {
        for (key, _) in &arguments.entries {
            if !names(&KEYS).any(|known| known == key) {
                let suggestion = Suggestion::of(key, names(&KEYS));
                return Err(AddFdError::UnknownKey { key: excerpt(key), suggestion });
            }
        }
        let number = |key, max: u32| {
            let given = arguments.get(key).map(unquoted).ok_or(AddFdError::Missing { key })?;
            let number = given.parse().ok().filter(|number| *number <= max);
            number.ok_or_else(|| AddFdError::Number { key, given: excerpt(&given), max })
        };
        let fd = i32::try_from(number("fd", i32::MAX.unsigned_abs())?).unwrap_or(i32::MAX);
        if STANDARD_STREAMS.contains(&fd) {
            return Err(AddFdError::StandardStream(fd));
        }
        let opaque = arguments.get("opaque").map(unquoted);
        Ok(Self { fd, set: number("set", u32::MAX)?, opaque })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AddFd, String> {
        let arguments = OptionArgs::parse(text, SYNTAX).map_err(|error| error.to_string())?;
        AddFd::from_args(&arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn a_descriptor_its_set_and_what_is_said_of_it() {
        let of =
            |opaque: Option<&str>| Ok(AddFd { fd: 5, set: 2, opaque: opaque.map(str::to_owned) });
        assert_eq!(read("fd=5,set=2"), of(None));
        assert_eq!(read("set=2,opaque=rdwr:a,,b,fd=5"), of(Some("rdwr:a,b")));
        assert_eq!(read(r#"{"fd": 5, "set": 2, "opaque": "x"}"#), of(Some("x")));
    }

    #[test]
    fn what_it_does_not_take_is_told() {
        for (text, why) in [
            ("", "Parameter 'fd' is missing"),
            ("fd=5", "Parameter 'set' is missing"),
            ("fd=-1,set=0", "fd: expected a number from 0 to 2147483647, given '-1'"),
            ("fd=x,set=0", "fd: expected a number from 0 to 2147483647, given 'x'"),
            (
                "fd=5,set=4294967296",
                "set: expected a number from 0 to 4294967295, given '4294967296'",
            ),
            ("fd=2,set=0", "fd: expected a descriptor other than the standard streams, given '2'"),
            ("fd=5,sett=0", "sett: unknown key, expected fd, set or opaque; did you mean 'set'?"),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text}");
        }
    }
}
