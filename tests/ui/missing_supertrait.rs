//! What the attribute says of a class, the trait says too.
use qom_core::{Object, qom_interface, qom_type};

/// Something that can be unplugged.
#[qom_interface]
trait Hotplug {}

/// The class of devices.
#[qom_type(abstract, parent = Object)]
trait Device {}

/// The class of devices on an ISA bus.
#[qom_type(abstract, parent = Device, interfaces(Hotplug))]
trait IsaDevice: Device {}

fn main() {}
