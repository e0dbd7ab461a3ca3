//! Fields without names.
use qom_core::{Object, qom_type};

/// The class of devices.
#[qom_type(abstract, parent = Object)]
trait Device: Object {}

/// A serial port.
#[qom_type(parent = Device)]
struct Serial(u16);

impl Device for Serial {}

fn main() {}
