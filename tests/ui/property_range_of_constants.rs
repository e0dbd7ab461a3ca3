//! An empty range is found when its ends are constants, too.
use qom_core::{Object, qom_type};

const LEAST: u16 = 9;
const GREATEST: u16 = 8;

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// First port.
    #[property(range = LEAST..=GREATEST, default = 8)]
    iobase: u16,
}

fn main() {}
