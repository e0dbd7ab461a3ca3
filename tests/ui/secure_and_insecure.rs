//! Two statements that can't both be true.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(secure, insecure, reason = "It is old.", parent = Object)]
struct Serial;

fn main() {}
