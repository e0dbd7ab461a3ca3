//! A class is no interface: a type has one parent.
use qom_core::{Object, qom_type};

/// The class of devices on an ISA bus.
#[qom_type(abstract, parent = Object)]
trait IsaDevice: Object {}

/// A serial port.
#[qom_type(parent = Object, interfaces(IsaDevice))]
struct Serial;

impl IsaDevice for Serial {}

/// The class of slow devices.
#[qom_type(abstract, parent = Object, interfaces(IsaDevice))]
trait SlowDevice: Object + IsaDevice {}

fn main() {}
