//! What a client is told when a command fails: a class that it may act on, and a text for people.

use serde::Serialize;

/// The classes of errors: QEMU, qapi/error.json, `QapiErrorClass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum ErrorClass {
    /// Everything that is none of the others.
    GenericError,
    /// There is no such command, or not now.
    CommandNotFound,
    /// The device is not in use.
    DeviceNotActive,
    /// There is no such device, object or class.
    DeviceNotFound,
    /// The host's KVM can't do it.
    KVMMissingCap,
}

/// A command that failed, or that could not be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{desc}")]
pub struct QmpError {
    /// What a program may tell errors apart by.
    pub class: ErrorClass,
    /// What people read; it has no form that a program may rely on.
    pub desc: String,
}

impl QmpError {
    /// An error of that class.
    #[must_use]
    pub fn new(class: ErrorClass, desc: impl Into<String>) -> Self {
        Self { class, desc: desc.into() }
    }

    /// An error of the class for everything else.
    #[must_use]
    pub fn generic(desc: impl Into<String>) -> Self {
        Self::new(ErrorClass::GenericError, desc)
    }
}
