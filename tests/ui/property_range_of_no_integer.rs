//! Only an integer has a range.
use qom_core::{Object, qom_type};

const LAST: &str = "9";

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// Greeting.
    #[property(range = 0..=8)]
    greeting: String,
    /// First port.
    #[property(range = 0..=LAST)]
    port: u16,
}

fn main() {}
