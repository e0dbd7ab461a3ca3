//! A reason for nothing.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(secure, reason = "It is new.", parent = Object)]
struct Serial;

fn main() {}
