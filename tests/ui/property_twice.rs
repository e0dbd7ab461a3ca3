//! One name, one property.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// First port.
    #[property]
    io_base: u16,
    /// First port.
    #[property(name = "io-base")]
    port: u16,
    /// First port.
    #[property]
    #[property(required)]
    number: u16,
}

fn main() {}
