//! What is said of a property's life.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// First port.
    #[property(deprecated)]
    unexplained: u16,
    /// First port.
    #[property(deprecated = "")]
    empty: u16,
    /// First port.
    #[property(required, deprecated = "use ports")]
    required: u16,
    /// First port.
    #[property(unstable = "it may go")]
    explained: u16,
    /// First port.
    #[property(unstable, deprecated = "use ports", unstable)]
    twice: u16,
}

fn main() {}
