//! What several commands take: ids, and properties beside the arguments that have names.

use device_model::{
    monitor::CommandError,
    qom_core::{Given, Obj, Value},
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

/// Properties as a client gives them.
pub(super) fn given(properties: Properties) -> Vec<(String, Given)> {
    properties.into_iter().map(|(name, value)| (name, Given::Json(value))).collect()
}

/// The child of that name of the container at that path, if both are there.
pub(super) fn child(root: &Obj, container: &str, name: &str) -> Option<Obj> {
    let names = container.split('/').filter(|name| !name.is_empty());
    let container = names.into_iter().try_fold(root.clone(), |at, name| at.child(name))?;
    container.child(name)
}
