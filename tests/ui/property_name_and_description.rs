//! A property has a name that can be written, and a description.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    #[property]
    first: u16,
    /// Second port.
    #[property(name = "Second Port")]
    second: u16,
}

fn main() {}
