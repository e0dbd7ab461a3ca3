//! A concrete type is not abstract.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(abstract, parent = Object)]
struct Serial;

fn main() {}
