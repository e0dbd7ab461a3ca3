//! A property that need not be given starts with a default.
use qom_core::{Object, PropertyEnum, qom_type};

#[derive(Clone, PropertyEnum)]
enum Echo {
    On,
    Off,
}

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// How data is echoed.
    #[property]
    echo: Echo,
}

fn main() {}
