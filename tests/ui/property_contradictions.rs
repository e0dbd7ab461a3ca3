//! Keys that do not go together.
use qom_core::{Computed, Link, Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// Rate.
    #[property(get = Self::rate, default = 5)]
    rate: Computed<u32>,
    /// First port.
    #[property(required, default = 5)]
    iobase: u16,
    /// Bus.
    #[property(link = dyn Object, live, insecure_if("/bus", reason = "It is slow."))]
    bus: Link<dyn Object>,
    /// Speed.
    #[property(get = Self::rate, insecure, reason = "It is fast.")]
    speed: Computed<u32>,
}

impl Serial {
    fn rate(&self) -> u32 {
        5
    }
}

fn main() {}
