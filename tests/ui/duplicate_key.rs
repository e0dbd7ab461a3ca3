//! A key that is written twice.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object, unstable, name = "a", unstable, name = "b")]
struct Serial;

fn main() {}
