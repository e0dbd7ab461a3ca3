//! What a key names must fit it; the error is where the key names it.
use qom_core::{Computed, Link, Object, qom_type};

trait Plain: Send + Sync {}

/// A serial port.
#[qom_type(parent = Object, children = children)]
struct Serial {
    /// Rate.
    #[property(get = Self::rate)]
    rate: Computed<u32>,
    /// First port.
    #[property(insecure_when(judge, reason = "It is judged."))]
    iobase: u16,
    /// Bus.
    #[property(link = dyn Plain)]
    bus: Link<dyn Plain>,
}

impl Serial {
    fn rate(&self) -> String {
        String::new()
    }
}

fn judge(port: u16) -> bool {
    port == 0
}

fn children() {}

fn main() {}
