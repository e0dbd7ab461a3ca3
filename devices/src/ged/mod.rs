//! `acpi-ged` sleep and reset registers: how a guest of a hardware-reduced ACPI board powers off.

mod device;
mod registers;
pub mod spec;

pub use device::AcpiGed;
pub use registers::{GedRegisters, GedState, GedStateError, PowerRequest};
