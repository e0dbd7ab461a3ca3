//! Objects that users create by themselves, and where they stand.

use std::sync::Arc;

use device_model::{
    qom_core::{Class, ClassType, Registry, Request, Suggestion},
    user_creatable::UserCreatable,
};
use thiserror::Error;

/// Where they stand.
pub const OBJECTS: &str = "/objects";

/// Why users can't create an object of a type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ObjectTypeError {
    /// No such type.
    #[error("invalid object type: {name}{suggestion}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// A class of objects rather than a type of them.
    #[error("object type '{0}' is abstract")]
    Abstract(&'static str),
    /// A type of which only boards or other options create objects.
    #[error("object type '{0}' isn't supported by object-add")]
    Unsupported(&'static str),
}

/// The types that users may create, sorted by name.
pub fn all_creatable(registry: &Registry) -> impl Iterator<Item = &Arc<Class>> {
    registry.classes().filter(|class| {
        !class.is_abstract() && class.is_a(<dyn UserCreatable as ClassType>::INFO.name)
    })
}

/// The type of that name, of which users may create objects.
///
/// # Errors
/// If there is none.
pub fn creatable<'a>(
    registry: &'a Registry,
    type_name: &str,
) -> Result<&'a Arc<Class>, ObjectTypeError> {
    let Some(class) = registry.class(type_name) else {
        let names = all_creatable(registry).map(|class| class.name());
        let suggestion = Suggestion::of(type_name, names);
        return Err(ObjectTypeError::Unknown { name: type_name.to_owned(), suggestion });
    };
    if class.is_abstract() {
        return Err(ObjectTypeError::Abstract(class.name()));
    }
    if !class.is_a(<dyn UserCreatable as ClassType>::INFO.name) {
        return Err(ObjectTypeError::Unsupported(class.name()));
    }
    Ok(class)
}

/// Asks for an object of that id.
pub fn with_id(type_name: &str, id: &str) -> Request {
    Request::new(type_name, OBJECTS, id)
}
