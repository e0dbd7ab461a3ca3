//! A key that does not exist, and one like no key that does.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(secur, parent = Object)]
struct NearMiss;

/// A serial port.
#[qom_type(colour = "red", parent = Object, description = "A serial port")]
struct FarMiss;

fn main() {}
