//! Names that no user could write.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(name = "ISA Serial", parent = Object)]
struct Stated;

/// A serial port.
#[qom_type(parent = Object)]
struct Été;

/// A serial port.
#[qom_type(name = serial, parent = Object)]
struct Unquoted;

fn main() {}
