//! `virtio-mmio`: a virtio device behind registers in guest-physical memory.

mod device;
mod registers;
pub mod spec;

pub use device::VirtioMmio;
pub use registers::{Live, MmioRegisters, MmioWrite};
