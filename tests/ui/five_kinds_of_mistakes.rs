//! What the macro finds and what only the compiler can find is told together.
use qom_core::{qom_interface, qom_type};

/// Something that can be unplugged.
#[qom_interface]
trait Hotplug {}

const RATE: u64 = 9600;

/// A serial port.
#[qom_type(insecure, parent = Devise, interfaces(Hotplug))]
struct Serial {
    /// First port.
    #[property(defualt = 0x3f8)]
    iobase: u16,
    /// Rate.
    #[property(default = RATE)]
    rate: u32,
}

fn main() {}
