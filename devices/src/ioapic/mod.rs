//! `ioapic`: the I/O APIC, 24 interrupt pins that become messages to the processors.

mod controller;
mod device;
mod message;
mod redirection;
pub mod spec;
mod state;
#[cfg(test)]
mod tests;

pub use controller::{Effect, IoApic, NoSuchPin, Pin, Route};
pub use device::IoApicDevice;
pub use message::MsiMessage;
pub use redirection::RedirectionEntry;
pub use state::{IoApicState, IoApicStateError};
