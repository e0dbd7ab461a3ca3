//! The debug console's one register.
//!
//! Source: *Bochs User Manual*, the option `port_e9_hack`: a byte written to the port is output, and
//! a read returns 0xe9, by which firmware detects it.

/// The port's usual address.
pub const DEFAULT_IOBASE: u16 = 0xe9;
/// Ports that the register takes.
pub const REGISTER_COUNT: u64 = 1;
/// The register.
pub const DATA: u64 = 0;
/// What a read returns unless configured otherwise.
pub const DEFAULT_READBACK: u8 = 0xe9;
