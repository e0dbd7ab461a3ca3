//! Only an integer has a range.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// Greeting.
    #[property(range = 0..=8)]
    greeting: String,
}

fn main() {}
