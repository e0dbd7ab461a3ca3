//! `i8042`: the PC's keyboard controller, without a keyboard: guests reset the machine through it.

mod controller;
mod device;
pub mod spec;
mod state;
#[cfg(test)]
mod tests;

pub use controller::{I8042, ResetRequest};
pub use device::I8042Device;
pub use state::{I8042State, I8042StateError};
