//! Items that can be no type.
use qom_core::{qom_interface, qom_type};

/// Ports.
#[qom_type(secure)]
enum Ports {
    Serial,
}

/// A function.
#[qom_type(secure)]
fn serial() {}

struct Serial;

#[qom_type(secure)]
impl Serial {}

/// Something that can be unplugged.
#[qom_interface]
struct Hotplug;

fn main() {}
