//! The debug-exit port's one register.
//!
//! There is no data sheet: the interface is what test guests (kvm-unit-tests, the Rust OSDev
//! bootimage runner) write to. A value v asks that the process end with status 2 v + 1, so that no
//! value can be mistaken for a clean exit.

/// The register's default address.
pub const DEFAULT_IOBASE: u16 = 0x501;
/// The register's default width in bytes.
pub const DEFAULT_IOSIZE: u8 = 2;
/// The widest register, in bytes: the widest port access there is.
pub const MAX_IOSIZE: u8 = 4;
