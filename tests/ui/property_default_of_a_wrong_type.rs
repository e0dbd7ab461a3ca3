//! A default is a value of the property's own type.
use qom_core::{Live, Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// First port.
    #[property(default = "0x3f8")]
    iobase: u16,
    /// Rate.
    #[property(live, default = true)]
    rate: Live<u32>,
    /// Greeting.
    #[property(insecure_if(5, reason = "It is a number."))]
    greeting: String,
}

fn main() {}
