//! What a command takes or gives or an event tells, read out of its schema once it is needed.

use schemars::Schema;

use super::types::{TypeId, Types};

/// The type of what is given or told, with all to which it refers.
#[derive(Debug)]
pub(in crate::monitor) struct Shape {
    pub(super) types: Types,
    pub(super) root: TypeId,
    /// Whether anything in it is deprecated or unstable.
    pub(super) has_features: bool,
}

impl Shape {
    /// The types of a schema.
    pub(in crate::monitor) fn of(schema: &Schema) -> Self {
        let mut types = Types::default();
        let root = types.read(schema);
        let has_features = types.have_features();
        Self { types, root, has_features }
    }
}
