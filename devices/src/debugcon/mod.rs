//! `debugcon`: a port that a guest's firmware writes its log to.

mod device;
mod port;
pub mod spec;

pub use device::IsaDebugCon;
pub use port::DebugCon;
