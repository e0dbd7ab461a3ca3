//! Monitors: how programs and people control a VM that exists.

mod class;
pub mod commands;
pub mod qmp;
mod qmp_monitor;

pub use class::Monitor;
pub use qmp_monitor::MonitorQmp;
