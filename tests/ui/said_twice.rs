//! An interface, a boundary or a category that is said twice, and a base that is no path.
use qom_core::{Object, qom_interface, qom_type};

/// What can be plugged in while the machine runs.
#[qom_interface]
trait Plug: Object {}

/// A serial port.
#[qom_type(parent = Object, interfaces(Plug, Plug), boundary(guest, guest))]
struct Serial;

impl Plug for Serial {}

/// The class of oddities.
#[qom_type(abstract, parent = Object, category = "Misc devices", new_category = "Oddities")]
trait Oddity: Object {}

/// A parallel port.
#[qom_type(parent = Object, crate = "qom_core")]
struct Parallel;

fn main() {}
