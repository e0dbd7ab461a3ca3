//! Literals that are no values of their property, all told at once and each by what to write.
use qom_core::{Live, Object, Size, qom_type};

const BAUD: u64 = 9600;

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// Interrupt line.
    #[property(default = 999)]
    irq: u8,
    /// Whether it echoes.
    #[property(default = "x")]
    echo: bool,
    /// First port.
    #[property(range = 8..=4)]
    iobase: u16,
    /// Number of ports.
    #[property(range = 1..=300, insecure_if(-1, true, reason = "It is odd."))]
    ports: u8,
    /// Bytes of the buffer.
    #[property(live, default = 4096)]
    buffer: Live<Size>,
    /// Bits per second, of which only the compiler knows that they are of another type.
    #[property(default = BAUD)]
    rate: u32,
}

fn main() {}
