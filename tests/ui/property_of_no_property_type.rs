//! A type whose values no user can write.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// The buffer.
    #[property(default = Vec::new())]
    buffer: Vec<u8>,
}

fn main() {}
