//! What commands take and give and events tell, as clients may ask for it, and the check of what a
//! client gives against it. Both come from the JSON schemas of the Rust types.

mod check;
mod describe;
mod features;
mod info;
mod names;
mod read;
mod shape;
mod types;

#[cfg(test)]
mod tests;

pub use describe::describe;
pub use info::{
    SchemaFeature, SchemaInfo, SchemaInfoAlternateMember, SchemaInfoEnumMember, SchemaInfoKind,
    SchemaInfoObjectMember, SchemaInfoVariant,
};
pub(super) use shape::Shape;
