//! Monitors: how programs and people control a VM that exists.

mod class;
pub mod commands;
mod heap;
mod hmp;
pub mod qmp;
mod qmp_monitor;
pub(crate) mod threads;

pub use class::Monitor;
pub use qmp_monitor::MonitorQmp;
