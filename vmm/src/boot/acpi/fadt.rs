//! The fixed ACPI description table of a hardware-reduced platform (section 5.2.9).

use acpi_tables::fadt::{FADT, FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};

use super::AcpiPlatform;
use super::{OEM_ID, OEM_REVISION, OEM_TABLE_ID};

/// Identifier of a 16550-compatible serial port.
const SERIAL_PORT: &str = "PNP0501";
/// Identifier of a PC's clock.
const REAL_TIME_CLOCK: &str = "PNP0B00";
/// Identifier of a PC's keyboard at an 8042 controller.
const KEYBOARD: &str = "PNP0303";

/// There are devices on an ISA or LPC bus that a guest may touch unasked (section 5.2.9.3).
const LEGACY_DEVICES: u16 = 1 << 0;
/// There is an 8042 keyboard controller.
const I8042: u16 = 1 << 1;
/// There is no VGA.
const NO_VGA: u16 = 1 << 2;
/// There is no PC clock at its ports.
const NO_CMOS_RTC: u16 = 1 << 5;

/// Where the differentiated table's address is, in 32 bits (section 5.2.9).
pub(super) const DSDT: usize = 40;
/// Where it is in 64 bits, which count if they are not zero.
pub(super) const X_DSDT: usize = 140;

/// The table for a platform whose differentiated table is at address `dsdt`.
pub(super) fn fadt(platform: &AcpiPlatform, dsdt: u64) -> FADT {
    // Section 5.2.9: without the button flags, fixed hardware that a reduced platform lacks.
    let mut table = FADTBuilder::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::Wbinvd)
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton);
    if let Some(sleep) = platform.sleep {
        table.sleep_control_reg = register(sleep.control);
        table.sleep_status_reg = register(sleep.status);
    }
    if let Some(reset) = platform.reset {
        table = table.flag(Flags::ResetRegSup);
        table.reset_reg = register(reset.address);
        table.reset_value = reset.value;
    }
    let mut devices = NO_VGA;
    if platform.has(KEYBOARD) {
        devices |= I8042;
    }
    if platform.has(SERIAL_PORT) {
        devices |= LEGACY_DEVICES;
    }
    if !platform.has(REAL_TIME_CLOCK) {
        devices |= NO_CMOS_RTC;
    }
    table.iapc_boot_arch = devices.into();
    table.finalize()
}

/// An 8-bit register in memory.
fn register(address: u64) -> GAS {
    GAS::new(AddressSpace::SystemMemory, 8, 0, AccessSize::ByteAccess, address)
}
