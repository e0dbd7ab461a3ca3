//! A field that is no property starts with its type's default; so it needs one.
use qom_core::{Object, qom_type};

struct Registers(u8);

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    registers: Registers,
}

fn main() {}
