//! A slip of the finger does not open a heading of its own.
use qom_core::{Object, qom_type};

/// The class of devices.
#[qom_type(abstract, parent = Object, category = "Misc device")]
trait Device: Object {}

/// The class of oddities.
#[qom_type(abstract, parent = Object, new_category = "Misc devices")]
trait Oddity: Object {}

/// A serial port.
#[qom_type(parent = Object, category = "nonsense")]
struct Serial;

/// A parallel port.
#[qom_type(parent = Object, new_category = "Oddities")]
struct Parallel;

fn main() {}
