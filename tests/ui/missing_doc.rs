//! Types that help could not describe.
use qom_core::{Object, qom_interface, qom_type};

#[qom_type(parent = Object)]
struct Serial;

#[qom_type(abstract, parent = Object)]
trait Device: Object {}

#[qom_interface]
trait Hotplug {}

fn main() {}
