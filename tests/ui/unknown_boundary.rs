//! A boundary that does not exist, one that is written twice, and a wrong spelling of the list.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object, boundary(gest, disk, file, file))]
struct Serial;

/// A serial port.
#[qom_type(parent = Object, boundary = guest)]
struct Assigned;

/// A serial port.
#[qom_type(parent = Object, boundary(), colour)]
struct Empty;

fn main() {}
