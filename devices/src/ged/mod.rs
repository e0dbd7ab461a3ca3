//! `acpi-ged`: how a guest of a hardware-reduced ACPI board powers off, and hears of its power button.

mod device;
mod registers;
pub mod spec;

pub use device::AcpiGed;
pub use registers::{GedRegisters, GedState, GedStateError, PowerRequest};
