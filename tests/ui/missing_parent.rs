//! A type of no class.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(secure)]
struct Serial;

/// The class of devices.
#[qom_type(abstract)]
trait Device: Object {}

fn main() {}
