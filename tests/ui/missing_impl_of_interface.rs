//! The error is at the struct that claims the interface.
use qom_core::{Object, qom_interface, qom_type};

/// Something that can be unplugged.
#[qom_interface(name = "hotplug-handler")]
trait Hotplug {}

/// A serial port.
#[qom_type(secure, parent = Object, interfaces(Hotplug))]
struct Serial;

fn main() {}
