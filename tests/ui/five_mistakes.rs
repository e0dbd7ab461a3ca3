//! All mistakes of one item are told at once, and nothing else is.
use std::sync::Arc;

use qom_core::{Object, qom_type};

/// The class of devices.
#[qom_type(abstract, parent = Object)]
trait Device: Object {}

/// A serial port.
#[qom_type(insecure, name = "Serial Port", parent = Device, boundary(gest))]
struct Serial {
    /// First port.
    #[property(defualt = 0x3f8)]
    iobase: u16,
    /// Rate.
    #[property(live)]
    rate: u32,
}

impl Device for Serial {}

fn generalize(serial: Arc<Serial>) -> Arc<dyn Device> {
    serial
}

fn main() {}
