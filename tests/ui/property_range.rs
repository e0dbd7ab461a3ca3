//! Ranges that can't be, or of nothing that has one.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// First port.
    #[property(range = 8..=4)]
    empty: u16,
    /// First port.
    #[property(range = 0..8)]
    half_open: u16,
    /// First port.
    #[property(range = 0..=8, default = 9)]
    outside: u16,
    /// First port.
    #[property(range = 8)]
    number: u16,
}

fn main() {}
