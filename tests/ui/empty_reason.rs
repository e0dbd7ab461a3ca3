//! A reason that says nothing, and one that is no text.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(insecure, reason = "  ", parent = Object)]
struct Empty;

/// A serial port.
#[qom_type(insecure, reason = 5, parent = Object)]
struct Number;

fn main() {}
