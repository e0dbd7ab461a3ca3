//! Processors at work: each on a thread of its own, which can be stopped and asked.

mod exits;
mod slot;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use exits::BusExits;
pub use slot::{End, EndSink, SlotError, VcpuSlot};
