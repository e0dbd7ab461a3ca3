//! The paravirtual panic device's one register.
//!
//! Source: Linux, `include/uapi/misc/pvpanic.h` for the bits and `drivers/misc/pvpanic/` for their
//! use: reading gives the events that the device supports, writing reports one.

/// The port's usual address.
pub const DEFAULT_IOBASE: u16 = 0x505;
/// Ports that the register takes.
pub const REGISTER_COUNT: u64 = 1;
/// The register.
pub const EVENTS: u64 = 0;

/// The guest's kernel panicked (PVPANIC_PANICKED).
pub const PANICKED: u8 = 1 << 0;
/// The guest's kernel panicked, and starts a crash kernel that deals with it
/// (PVPANIC_CRASH_LOADED).
pub const CRASH_LOADED: u8 = 1 << 1;
/// The guest shuts down (PVPANIC_SHUTDOWN).
pub const SHUTDOWN: u8 = 1 << 2;
/// All events.
pub const ALL: u8 = PANICKED | CRASH_LOADED | SHUTDOWN;
