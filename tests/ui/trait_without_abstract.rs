//! A trait is an abstract class or an interface; which?
use qom_core::{Object, qom_type};

/// The class of devices.
#[qom_type(parent = Object)]
trait Device: Object {}

/// The class of devices, from which nothing is made.
#[qom_type(abstract, parent = Object, children = children)]
trait Parent: Object {}

fn main() {}
