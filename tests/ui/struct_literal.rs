//! Only the tree makes objects: the struct has a field that nobody else can fill.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
#[derive(Default)]
struct Serial {
    port: u16,
}

fn make() -> Serial {
    Serial { port: 5 }
}

fn main() {}
