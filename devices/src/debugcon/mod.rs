//! `debugcon`: a port that a guest's firmware writes its log to.

mod device;
mod port;
pub mod spec;

pub use device::IsaDebugcon;
pub use port::DebugCon;
