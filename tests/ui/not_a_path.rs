//! Keys whose value is a path, and lists.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object, children = |_, _| Ok(()), class_data = 5, interfaces = Object, unstable = true)]
struct Serial;

/// A serial port.
#[qom_type(parent = , "secure", deprecated: "use uart", name "serial")]
struct Punctuation;

fn main() {}
