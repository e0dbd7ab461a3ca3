//! Sleep and reset registers of a hardware-reduced ACPI platform.
//!
//! Source: *Advanced Configuration and Power Interface Specification*, release 6.5, section
//! 4.8.3.7 "Sleep Control and Status Registers" and 4.8.3.6 "Reset
//! Register". Where the three lie within the block, and the reset value, is this device's choice;
//! the FADT (5.2.9) tells the guest.

/// Usual address of the block, which no PC has a use for; this device's choice as well.
pub const DEFAULT_BASE: u64 = 0xfea0_0000;
/// Bytes of address space.
pub const REGISTER_COUNT: u64 = 3;
/// SLEEP_CONTROL_REG.
pub const SLEEP_CONTROL: u64 = 0;
/// SLEEP_STATUS_REG.
pub const SLEEP_STATUS: u64 = 1;
/// RESET_REG.
pub const RESET: u64 = 2;

/// Sleep control: SLP_TYPx, the sleeping state as `\_Sx` packages name it.
pub const SLP_TYP_SHIFT: u32 = 2;
/// Sleep control: SLP_TYPx's bits.
pub const SLP_TYP_MASK: u8 = 0b111 << SLP_TYP_SHIFT;
/// Sleep control: SLP_EN, enter the sleeping state; write-only.
pub const SLP_EN: u8 = 1 << 5;
/// SLP_TYPx of soft-off, to be named by `\_S5`.
pub const SLP_TYP_S5: u8 = 5;

/// RESET_VALUE, to be named by the FADT.
pub const RESET_VALUE: u8 = 0x42;
