//! What a monitor's client is told when a command fails.

use std::fmt;

use qom_core::{CreateError, PathError, PlanError, RaiseError, RemoveError, SetError};
use thiserror::Error;

use crate::causes::with_causes;

/// The kinds of errors that clients tell apart; they read anything else in the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// What nothing else fits.
    GenericError,
    /// There is no such command, or not in this state of the conversation.
    CommandNotFound,
    /// The device is there and takes no part now.
    DeviceNotActive,
    /// There is no such device or object.
    DeviceNotFound,
    /// KVM lacks something.
    KvmMissingCap,
}

impl ErrorClass {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GenericError => "GenericError",
            Self::CommandNotFound => "CommandNotFound",
            Self::DeviceNotActive => "DeviceNotActive",
            Self::DeviceNotFound => "DeviceNotFound",
            Self::KvmMissingCap => "KVMMissingCap",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a command failed, in one line for the client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{description}")]
pub struct CommandError {
    class: ErrorClass,
    description: String,
}

impl CommandError {
    /// An error of that class.
    pub fn new(class: ErrorClass, description: impl Into<String>) -> Self {
        Self { class, description: description.into() }
    }

    /// An error of no class of its own.
    pub fn generic(description: impl Into<String>) -> Self {
        Self::new(ErrorClass::GenericError, description)
    }

    /// The error itself and what it came from.
    pub fn caused(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::generic(with_causes(error))
    }

    /// Its class.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        self.class
    }
}

impl From<PathError> for CommandError {
    fn from(error: PathError) -> Self {
        let class = match error {
            PathError::NotFound(_) => ErrorClass::DeviceNotFound,
            _ => ErrorClass::GenericError,
        };
        Self::new(class, error.to_string())
    }
}

/// Errors that have no class of their own.
macro_rules! generic {
    ($($error:ty),*) => {
        $(impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::caused(&error)
            }
        })*
    };
}

generic!(CreateError, PlanError, RaiseError, RemoveError, SetError);
