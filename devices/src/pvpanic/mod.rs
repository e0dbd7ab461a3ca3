//! `pvpanic`: the port by which a guest says that it panicked, or is about to power off.

mod device;
mod port;
pub mod spec;

pub use device::PvPanicDevice;
pub use port::{GuestEvent, PvPanic, PvPanicConfigError};
