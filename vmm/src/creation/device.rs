//! Devices that users add: which they may, and where they stand.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use device_model::{
    device::{Device, Plug},
    qom_core::{Class, ClassType, Given, Registry, Request, Suggestion},
};
use thiserror::Error;

use crate::machine::{Buses, MachineClass};

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

/// Why a machine has no place for a device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BusError {
    /// No bus of that name.
    #[error("Bus '{0}' not found")]
    Unknown(String),
    /// A bus for other devices.
    #[error("Device '{driver}' can't go on {kind} bus")]
    Unfit {
        /// The device's type.
        driver: String,
        /// What kind of bus it was to stand on.
        kind: &'static str,
    },
    /// No bus for it.
    #[error("No '{kind}' bus found for device '{driver}'")]
    Missing {
        /// The device's type.
        driver: String,
        /// What kind of bus it stands on.
        kind: &'static str,
    },
}

/// The buses of a machine of that class.
fn buses(machine: &Class) -> &'static [Buses] {
    machine.data::<MachineClass>().map(|machine| machine.buses).unwrap_or_default()
}

/// What the first bus of a kind is called that a machine of that class has.
pub fn first_bus(machine: &Class, kind: &str) -> Option<String> {
    let buses = buses(machine).iter().find(|buses| buses.kind == kind)?;
    buses.names().next()
}

/// Checks that a machine of that class has the bus of that name, if one is given, and a bus on which
/// a device of that plug can stand.
///
/// # Errors
/// If it has not.
pub fn check_bus(
    machine: &Class,
    driver: &str,
    plug: &Plug,
    name: Option<&str>,
) -> Result<(), BusError> {
    let buses = buses(machine);
    let driver = || driver.to_owned();
    match (name, plug.bus) {
        (Some(name), kind) => {
            let named = buses.iter().find(|buses| buses.names().any(|there| there == name));
            match named.ok_or_else(|| BusError::Unknown(name.to_owned()))?.kind {
                found if kind == Some(found) => Ok(()),
                kind => Err(BusError::Unfit { driver: driver(), kind }),
            }
        }
        (None, Some(kind)) if !buses.iter().any(|buses| buses.kind == kind) => {
            Err(BusError::Missing { driver: driver(), kind })
        }
        (None, _) => Ok(()),
    }
}

/// Whether the bus that a user names for a device of that class is a property of the device, which
/// finds it by that: where there are several of its kind.
pub fn finds_bus(class: &Class) -> bool {
    class.property("bus").is_some()
}

/// The request for a device of that class that is to stand on that bus.
pub fn on_bus(request: Request, class: &Class, bus: Option<String>) -> Request {
    match bus.filter(|_| finds_bus(class)) {
        Some(bus) => request.set("bus", Given::Json(bus.into())),
        None => request,
    }
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
    fn a_device_stands_on_a_bus_of_its_kind_that_the_machine_has() {
        let registry = Registry::global().expect("the types fit together");
        let machine = registry.class("microvm-machine").expect("it is one of ours");
        let (isa, pci, virtio) = (Some("ISA"), Some("PCI"), Some("virtio-bus"));
        let told = |bus, name| {
            let plug = Plug { bus, hotpluggable: false };
            check_bus(machine, "d", &plug, name).map_err(|error| error.to_string())
        };
        for good in
            [(isa, None), (isa, Some("isa.0")), (None, None), (virtio, Some("virtio-mmio-bus.7"))]
        {
            assert_eq!(told(good.0, good.1), Ok(()), "{good:?}");
        }
        for (bus, name, why) in [
            (isa, Some("isa.1"), "Bus 'isa.1' not found"),
            (virtio, Some("virtio-mmio-bus.8"), "Bus 'virtio-mmio-bus.8' not found"),
            (virtio, Some("isa.0"), "Device 'd' can't go on ISA bus"),
            (isa, Some("virtio-mmio-bus.0"), "Device 'd' can't go on virtio-bus bus"),
            (None, Some(""), "Bus '' not found"),
            (pci, Some("pci.0"), "Bus 'pci.0' not found"),
            (pci, Some("isa.0"), "Device 'd' can't go on ISA bus"),
            (None, Some("isa.0"), "Device 'd' can't go on ISA bus"),
            (pci, None, "No 'PCI' bus found for device 'd'"),
        ] {
            assert_eq!(told(bus, name), Err(why.to_owned()), "{bus:?} {name:?}");
        }
        // What is no machine has no bus.
        let other = registry.class("container").expect("it is in every tree");
        let plug = Plug { bus: isa, hotpluggable: false };
        let error = check_bus(other, "d", &plug, None).expect_err("there is none");
        assert_eq!(error.to_string(), "No 'ISA' bus found for device 'd'");
    }

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
