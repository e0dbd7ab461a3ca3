//! The monitor: how a manager talks to a running machine.

pub mod commands;
