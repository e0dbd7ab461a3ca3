//! Why a command line is refused.

use crate::options::config_file::ConfigFileError;
use crate::options::smp::SmpError;
use device_model::qom_core::Suggestion;

use super::value::ValueError;

/// A command line, or a file that it names, that cannot be understood. Shown, it is one line.
#[derive(Debug, thiserror::Error)]
pub enum CommandLineError {
    /// An argument that is not text.
    #[error("argument {position}: expected text in UTF-8, given '{given}'")]
    NotUnicode {
        /// Which argument, from 1.
        position: usize,
        /// The argument, as far as it can be shown.
        given: String,
    },
    /// An option that does not exist.
    #[error("{given}: unknown option{suggestion}")]
    UnknownOption {
        /// The option with its dashes.
        given: String,
        /// The nearest option.
        suggestion: Suggestion,
    },
    /// An argument that is neither an option nor the value of one.
    #[error("'{given}': unexpected argument, expected an option{suggestion}")]
    UnexpectedArgument {
        /// The argument, shortened where it is long.
        given: String,
        /// The nearest option or command.
        suggestion: Suggestion,
    },
    /// An option at the end that lacks its value.
    #[error("{given}: expected a value ({expected}), given none")]
    MissingValue {
        /// The option with its dashes.
        given: String,
        /// What kind of value.
        expected: String,
    },
    /// A value joined to an option that takes none.
    #[error("{given}: this option takes no value")]
    UnwantedValue {
        /// The option with its value.
        given: String,
    },
    /// A value that its option does not take.
    #[error("{place}: {problem}")]
    Value {
        /// The option and its value, or file and line.
        place: String,
        /// What is wrong with it.
        problem: Box<ValueError>,
    },
    /// Several `-smp` that do not go together.
    #[error("{place}: {problem}")]
    Topology {
        /// The last of them.
        place: String,
        /// What is wrong with all of them together.
        problem: SmpError,
    },
    /// A configuration file that cannot be read or understood.
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    /// The parser refused what had been checked before; its own words.
    #[error("{0}")]
    Parser(String),
}

impl CommandLineError {
    pub(super) fn missing_value(given: &str, option: &clap::Arg) -> Self {
        let expected = option.get_value_names().and_then(<[_]>::first);
        Self::MissingValue {
            given: given.to_owned(),
            expected: expected.map_or_else(|| "VALUE".to_owned(), ToString::to_string),
        }
    }
}
