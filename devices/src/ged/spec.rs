//! Sleep, reset and event registers of a hardware-reduced ACPI platform.
//!
//! Source: *Advanced Configuration and Power Interface Specification*, release 6.5, section
//! 4.8.3.7 "Sleep Control and Status Registers" and 4.8.3.6 "Reset
//! Register", and 5.6.9 "Interrupt-signaled ACPI events". Where the four lie within the block, and the reset value, is this device's choice;
//! the FADT (5.2.9) tells the guest.

/// Usual address of the block, which no PC has a use for; this device's choice as well.
pub const DEFAULT_BASE: u64 = 0xfea0_0000;
/// Bytes of address space.
pub const REGISTER_COUNT: u64 = 4;
/// Usual global interrupt of the events, which PCs give to ACPI too.
pub const DEFAULT_GSI: u32 = 9;
/// SLEEP_CONTROL_REG.
pub const SLEEP_CONTROL: u64 = 0;
/// SLEEP_STATUS_REG.
pub const SLEEP_STATUS: u64 = 1;
/// RESET_REG.
pub const RESET: u64 = 2;
/// What happened since this was last read, a bit for each event; read-only.
pub const EVENTS: u64 = 3;

/// Events: somebody pressed the power button.
pub const POWER_BUTTON: u8 = 1 << 1;

/// Sleep control: SLP_TYPx, the sleeping state as `\_Sx` packages name it.
pub const SLP_TYP_SHIFT: u32 = 2;
/// Sleep control: SLP_TYPx's bits.
pub const SLP_TYP_MASK: u8 = 0b111 << SLP_TYP_SHIFT;
/// Sleep control: SLP_EN, enter the sleeping state; write-only.
pub const SLP_EN: u8 = 1 << 5;
/// SLP_TYPx of soft-off, to be named by `\_S5`.
pub const SLP_TYP_S5: u8 = 5;

/// _HID of a generic event device (section 5.6.9).
pub const EVENT_DEVICE_ID: &str = "ACPI0013";
/// _HID of a power button (section 4.8.2.2.1.2).
pub const POWER_BUTTON_ID: &str = "PNP0C0C";
/// What a power button notifies of when it is pressed (section 5.6.6).
pub const BUTTON_PRESSED: u8 = 0x80;

/// RESET_VALUE, to be named by the FADT.
pub const RESET_VALUE: u8 = 0x42;
