//! The error is at the struct that claims the class.
use qom_core::{Object, qom_type};

/// The class of devices.
#[qom_type(abstract, parent = Object)]
trait Device: Object {}

/// The class of devices on an ISA bus.
#[qom_type(abstract, parent = Device)]
trait IsaDevice: Device {}

/// A serial port.
#[qom_type(secure, parent = IsaDevice)]
struct Serial;

impl Device for Serial {}

fn main() {}
