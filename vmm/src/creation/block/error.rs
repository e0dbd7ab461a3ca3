//! What is wrong with the definition of a block node.

use std::io;

use device_model::qom_core::{Suggestion, ValueError};
use thiserror::Error;

use crate::{
    options::{choice::ChoiceError, nesting::NestingError},
    regular_file::OpenError,
};

/// What is wrong with the definition of a block node.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockdevError {
    /// Keys that do not describe one structure.
    #[error(transparent)]
    Structure(#[from] NestingError),
    /// Something that has to be there.
    #[error("Parameter '{key}' is missing")]
    Missing {
        /// Its key.
        key: String,
    },
    /// A node without a name that others could refer to.
    #[error("'node-name' must be specified for the root node")]
    Nameless,
    /// A name that can't be told apart from paths and generated names.
    #[error("Invalid node-name: '{name}'")]
    Name {
        /// What was given, shortened.
        name: String,
    },
    /// A name that is too long for QEMU's clients.
    #[error("Node name too long")]
    NameLength,
    /// A name that another node has.
    #[error("Duplicate nodes with node-name='{name}'")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// No such driver.
    #[error("Parameter '{key}' does not accept value '{name}'{suggestion}")]
    Driver {
        /// The key that names it.
        key: String,
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// A child that is referred to and does not exist.
    #[error("Cannot find device='{name}' nor node-name='{name}'{suggestion}")]
    NoNode {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// A key that nodes of the driver do not have.
    #[error("Parameter '{key}' is unexpected{suggestion}")]
    Unexpected {
        /// The key.
        key: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// A value of another kind than the key takes.
    #[error("Parameter '{key}' expects {expected}")]
    Kind {
        /// The key.
        key: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A value that the key does not take.
    #[error("Parameter '{key}' {error}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        error: ValueError,
    },
    /// Nodes in nodes without end.
    #[error("Parameter '{key}' is nested too deep")]
    Depth {
        /// The key.
        key: String,
    },
    /// A word that is none of those that exist.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// A file whose format is to be guessed can't be looked at.
    #[error("Could not open '{file}': {reason}")]
    Probe {
        /// The file.
        file: String,
        /// Why it can't.
        reason: String,
    },
}

impl BlockdevError {
    pub(super) fn probe(file: &str, error: OpenError) -> Self {
        let reason = match error {
            OpenError::Host(error) => error.to_string(),
            other => other.to_string(),
        };
        Self::Probe { file: file.to_owned(), reason }
    }

    pub(super) fn probe_read(file: &str, error: &io::Error) -> Self {
        Self::Probe { file: file.to_owned(), reason: error.to_string() }
    }
}
