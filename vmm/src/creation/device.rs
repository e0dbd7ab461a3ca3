//! Devices that users add: which they may, and where they stand.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use device_model::{
    device::{Device, Plug},
    qom_core::{Class, ClassType, Registry, Request, Suggestion},
};
use thiserror::Error;

/// Where devices stand that have an id.
pub const PERIPHERAL: &str = "/machine/peripheral";
/// Where devices stand that have none.
pub const PERIPHERAL_ANON: &str = "/machine/peripheral-anon";

/// Why users can't add a device of a type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DriverError {
    /// No such device.
    #[error("'{name}' is not a valid device model name{suggestion}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// A class of devices rather than a device.
    #[error("Parameter 'driver' expects a non-abstract device type")]
    Abstract,
    /// A device that only boards create.
    #[error("Parameter 'driver' expects a pluggable device type")]
    Unpluggable,
}

/// Types of the devices that users may add, sorted by name.
pub fn all_pluggable(registry: &Registry) -> impl Iterator<Item = (&Arc<Class>, &'static Plug)> {
    registry
        .classes()
        .filter(|class| !class.is_abstract() && class.is_a(<dyn Device as ClassType>::INFO.name))
        .filter_map(|class| Some((class, class.data::<Plug>()?)))
}

/// The type of that name, of which users may add devices.
///
/// # Errors
/// If there is none.
pub fn pluggable<'a>(
    registry: &'a Registry,
    driver: &str,
) -> Result<(&'a Arc<Class>, &'static Plug), DriverError> {
    let class = registry.class(driver);
    let class = class.filter(|class| class.is_a(<dyn Device as ClassType>::INFO.name));
    let Some(class) = class else {
        let names = all_pluggable(registry).map(|(class, _)| class.name());
        let suggestion = Suggestion::of(driver, names);
        return Err(DriverError::Unknown { name: driver.to_owned(), suggestion });
    };
    if class.is_abstract() {
        return Err(DriverError::Abstract);
    }
    class.data::<Plug>().map(|plug| (class, plug)).ok_or(DriverError::Unpluggable)
}

/// Number of the next device without an id, in whatever VM: greater than all before, so that a path
/// that somebody remembers never leads to another device.
static NEXT_ANONYMOUS: AtomicU64 = AtomicU64::new(0);

/// Asks for a device of that id.
pub fn with_id(driver: &str, id: &str) -> Request {
    Request::new(driver, PERIPHERAL, id)
}

/// Asks for a device without an id, at the start of a VM, by its position among the options.
pub fn at_position(driver: &str, position: u64) -> Request {
    NEXT_ANONYMOUS.fetch_max(position.saturating_add(1), Ordering::Relaxed);
    anonymous(driver, position)
}

/// Asks for another device without an id.
pub fn without_id(driver: &str) -> Request {
    anonymous(driver, NEXT_ANONYMOUS.fetch_add(1, Ordering::Relaxed))
}

fn anonymous(driver: &str, number: u64) -> Request {
    Request::new(driver, PERIPHERAL_ANON, format!("device[{number}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_devices_without_an_id_share_a_name() {
        let device = |number: u64| format!("{PERIPHERAL_ANON}/device[{number}]");
        assert!(at_position("isa-serial", 1000).is_at(&device(1000)));
        let (second, third) = (without_id("isa-serial"), without_id("isa-serial"));
        let named = |request: &Request| (1001..10_000).find(|at| request.is_at(&device(*at)));
        let (second, third) = (named(&second), named(&third));
        assert!(second.is_some() && second < third, "{second:?} {third:?}");
    }
}
