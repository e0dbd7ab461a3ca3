//! `debugcon`: a port that a guest's firmware writes its log to.

mod port;
pub mod spec;

pub use port::DebugCon;
