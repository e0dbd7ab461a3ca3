//! A parent that there is not does not hide what else is wrong, nor is it hidden by that.
use qom_core::{Object, qom_type};

/// The class of devices.
#[qom_type(abstract, parent = Objekt, unstabel)]
trait Device: Object + Objekt {}

/// A serial port.
#[qom_type(parent = Devise)]
struct Serial {
    /// First port.
    #[property(default = first_port)]
    iobase: u16,
    /// Rate.
    #[property(live)]
    rate: u32,
}

fn first_port() -> u16 {
    0x3f8
}

fn main() {}
