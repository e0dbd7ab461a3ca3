//! What spelling does not tell, the compiler does.
use qom_core::{Object, qom_type};

type Rate = u32;

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// Rate.
    #[property(live)]
    rate: Rate,
}

fn main() {}
