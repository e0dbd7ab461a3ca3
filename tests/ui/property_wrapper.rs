//! The kind of a property and the type of its field go together.
use qom_core::{Computed, Link, Live, Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// Rate.
    #[property(live)]
    rate: u32,
    /// Rate.
    #[property]
    other_rate: Live<u32>,
    /// Rate.
    #[property(get = Self::rate)]
    computed: u32,
    /// Rate.
    #[property]
    other_computed: Computed<u32>,
    /// Bus.
    #[property(link = dyn Object)]
    bus: String,
    /// Bus.
    #[property]
    other_bus: Link<dyn Object>,
    /// Bus.
    #[property(link = Object)]
    third_bus: Link<dyn Object>,
}

impl Serial {
    fn rate(&self) -> u32 {
        self.rate
    }
}

fn main() {}
