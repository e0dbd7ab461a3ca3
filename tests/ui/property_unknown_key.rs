//! Keys that a property does not have.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// First port.
    #[property(defualt = 0x3f8)]
    iobase: u16,
    /// Second port.
    #[property(colour = "red", required, required)]
    second: u16,
    /// Third port.
    #[property = "iobase"]
    third: u16,
}

fn main() {}
