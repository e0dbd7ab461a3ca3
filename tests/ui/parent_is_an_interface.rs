//! Types descend from classes, and offer interfaces.
use qom_core::{Object, qom_interface, qom_type};

/// What answers to accesses of ports.
#[qom_interface]
trait PortIo {}

/// A serial port.
#[qom_type(parent = PortIo)]
struct Serial;

impl PortIo for Serial {}

/// The class of devices with ports.
#[qom_type(abstract, parent = PortIo)]
trait PortDevice: Object + PortIo {}

fn main() {}
