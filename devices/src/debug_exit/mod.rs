//! `isa-debug-exit`: a port by which a test guest ends the VMM with a status.

mod port;
pub mod spec;

pub use port::{DebugExit, DebugExitConfigError, ExitRequest};
