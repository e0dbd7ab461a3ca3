//! `isa-debug-exit`: a port by which a test guest ends the VMM with a status.

mod device;
mod port;
pub mod spec;

pub use device::IsaDebugExit;
pub use port::{DebugExit, DebugExitConfigError, ExitRequest};
