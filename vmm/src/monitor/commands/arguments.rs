//! What several commands take: ids, and properties beside the arguments that have names.

use device_model::{
    monitor::CommandError,
    qom_core::{Given, Obj, Request, Value},
};
use serde_json::Map;

use crate::options::identifier;

/// Properties of what is to be created.
pub(super) type Properties = Map<String, Value>;

/// Checks that an id has the form of one.
pub(super) fn check_id(id: &str) -> Result<(), CommandError> {
    identifier::check(id)
        .map_err(|error| CommandError::generic(format!("Parameter 'id' is invalid: {error}")))
}

/// The request with these properties.
pub(super) fn with_properties(request: Request, properties: Properties) -> Request {
    properties
        .into_iter()
        .fold(request, |request, (name, value)| request.set(name, Given::Json(value)))
}

/// The child of that name of the container at that path, if both are there.
pub(super) fn child(root: &Obj, container: &str, name: &str) -> Option<Obj> {
    let names = container.split('/').filter(|name| !name.is_empty());
    let container = names.into_iter().try_fold(root.clone(), |at, name| at.child(name))?;
    container.child(name)
}
