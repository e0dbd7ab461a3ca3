//! An interface has no state, no ancestors and no place in a list.
use qom_core::qom_interface;

/// Something that can be unplugged.
#[qom_interface(parent = Object, category = "Misc", unstabel)]
trait Hotplug {
    /// Whether it is plugged in.
    #[property]
    fn plugged(&self) -> bool;
}

fn main() {}
