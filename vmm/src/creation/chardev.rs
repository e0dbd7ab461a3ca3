//! Character devices that users make for others to use, and where they stand.

mod data;
#[cfg(test)]
pub(crate) mod nowhere;

use std::sync::Arc;

use device_model::{
    chardev::Chardev,
    qom_core::{Class, ClassType, Registry, Request, Suggestion},
};
use thiserror::Error;

pub use self::data::{DataError, members, properties};
use super::prefixed;

/// Where they stand.
pub const CHARDEVS: &str = "/chardevs";
/// Before the names of their types, which users leave out.
pub const TYPE_PREFIX: &str = "chardev-";

/// No linked crate has a character device of that name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{name}' is not a valid char driver name{suggestion}")]
pub struct BackendError {
    /// What was asked for.
    pub name: String,
    /// What may have been meant.
    pub suggestion: Suggestion,
}

/// Types of character devices, sorted by name, each as users call it.
pub fn all_backends(registry: &Registry) -> impl Iterator<Item = (&'static str, &Arc<Class>)> {
    prefixed::all(registry, <dyn Chardev as ClassType>::INFO.name, TYPE_PREFIX)
}

/// The type that users call `name`.
///
/// # Errors
/// If there is none.
pub fn backend<'a>(registry: &'a Registry, name: &str) -> Result<&'a Arc<Class>, BackendError> {
    let class = <dyn Chardev as ClassType>::INFO.name;
    prefixed::find(registry, class, TYPE_PREFIX, name)
        .map_err(|suggestion| BackendError { name: name.to_owned(), suggestion })
}

/// Asks for a character device of that id.
pub fn with_id(name: &str, id: &str) -> Request {
    Request::new(format!("{TYPE_PREFIX}{name}"), CHARDEVS, id)
}
