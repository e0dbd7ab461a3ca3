//! Block nodes that users define: the drivers that there are, and where nodes stand.

mod definition;
mod drive;
mod error;
mod names;
mod probe;

use std::sync::Arc;

use device_model::{
    block::{BlockNode, TYPE_PREFIX},
    qom_core::{Class, ClassType, Registry},
};

use super::prefixed;

pub(super) use self::drive::KEYS as DRIVE_KEYS;
pub use self::{
    definition::{Definition, Place},
    drive::{Disk, Drive},
    error::BlockdevError,
    names::NodeNames,
};

/// Where nodes stand that users define by themselves.
pub const BLOCKDEVS: &str = "/blockdevs";

/// The drivers of nodes, sorted by name.
pub fn all_drivers(registry: &Registry) -> impl Iterator<Item = &Arc<Class>> {
    registry.classes().filter(|class| is_driver(class))
}

fn is_driver(class: &Class) -> bool {
    !class.is_abstract()
        && class.is_a(<dyn BlockNode as ClassType>::INFO.name)
        && class.name().starts_with(TYPE_PREFIX)
}

/// The type of the nodes of a driver.
///
/// # Errors
/// If there is none.
pub fn driver<'a>(
    registry: &'a Registry,
    key: &str,
    name: &str,
) -> Result<&'a Arc<Class>, BlockdevError> {
    let class = <dyn BlockNode as ClassType>::INFO.name;
    prefixed::find(registry, class, TYPE_PREFIX, name).map_err(|suggestion| BlockdevError::Driver {
        key: key.to_owned(),
        name: name.to_owned(),
        suggestion,
    })
}
