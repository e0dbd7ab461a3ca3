//! A statement that leaves the user without an explanation.
use qom_core::{Object, qom_interface, qom_type};

/// A serial port.
#[qom_type(insecure, parent = Object)]
struct Serial;

/// What can be unplugged.
#[qom_interface(insecure)]
trait Hotplug {}

/// The same, in spellings that do not exist.
#[qom_type(insecure = "It is old.", parent = Object)]
struct Assigned;

/// The same, in spellings that do not exist.
#[qom_type(insecure("It is old."), parent = Object)]
struct Called;

fn main() {}
