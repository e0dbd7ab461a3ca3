//! A default is an expression.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// First port.
    #[property(default)]
    iobase: u16,
    /// Interrupt.
    #[property(default(4))]
    irq: u8,
}

fn main() {}
