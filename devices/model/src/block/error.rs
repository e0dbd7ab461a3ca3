//! What can go wrong with a node as a whole.

use std::io;

use qom_core::BoxedError;
use thiserror::Error;

/// Why a node can't be opened, used or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// What it reaches can't be opened.
    #[error("Could not open '{file}': {error}")]
    Open {
        /// Where that is.
        file: String,
        /// What the host says.
        error: io::Error,
    },
    /// A file of another kind than the driver is for.
    #[error("'{driver}' driver requires '{file}' to be {expected}")]
    Kind {
        /// The driver.
        driver: &'static str,
        /// The file.
        file: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Another process, or another node, uses the file.
    #[error("Failed to get {lock} lock: is another process using the image [{file}]?")]
    Locked {
        /// What was asked for.
        lock: &'static str,
        /// The file.
        file: String,
    },
    /// What is to be written through it can't be written to.
    #[error("Block node '{node}' is read-only")]
    ReadOnly {
        /// The node.
        node: String,
    },
    /// Two users of a node of whom one writes.
    #[error(
        "Permission conflict on node '{node}': permissions 'write' are both required by {writer} \
         and unshared by {other}"
    )]
    Permission {
        /// The node.
        node: String,
        /// Who writes.
        writer: String,
        /// Who counts on nobody else writing.
        other: String,
    },
    /// A child that nobody gave.
    #[error("A block device must be specified for \"{slot}\"")]
    NoChild {
        /// What the child is to its parent.
        slot: String,
    },
    /// A driver whose nodes have a length for good.
    #[error("The driver '{driver}' does not support resizing")]
    Resize {
        /// The driver.
        driver: &'static str,
    },
    /// A handle of another tree, or of what has left its tree.
    #[error("the object of type '{type_name}' does not stand in the machine's object tree")]
    Foreign {
        /// The object's type.
        type_name: &'static str,
    },
    /// The host refuses something.
    #[error("can't {action}: {error}")]
    Host {
        /// What was tried.
        action: &'static str,
        /// What the host says.
        error: io::Error,
    },
    /// What the user configured can't be. See [`BlockError::configuration`].
    #[error(transparent)]
    Configuration(BoxedError),
}

impl BlockError {
    /// That what the user configured can't be: for the reason that an error gives, or in words.
    pub fn configuration(problem: impl Into<BoxedError>) -> Self {
        Self::Configuration(problem.into())
    }
}
