//! The multiple APIC description table: interrupt controllers (section 5.2.12).

use acpi_tables::sdt::Sdt;

use super::{AcpiPlatform, Polarity, Trigger};
use super::{OEM_ID, OEM_REVISION, OEM_TABLE_ID};

/// Bytes before the controllers: header, address, flags.
const HEADER_SIZE: u32 = 44;
/// Revision of ACPI 6.3 and later.
const REVISION: u8 = 5;
/// Offset of the local APICs' address; 32 bits.
const LOCAL_APIC_ADDRESS: usize = 36;
/// Offset of the flags; 32 bits.
const FLAGS: usize = 40;
/// Flag: there are two 8259 as well.
const PCAT_COMPAT: u32 = 1;

/// Structure types (table 5.21).
const PROCESSOR_LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const INTERRUPT_SOURCE_OVERRIDE: u8 = 2;
const LOCAL_APIC_NMI: u8 = 4;
const PROCESSOR_LOCAL_X2APIC: u8 = 9;

/// Local APIC flag: ready for use.
const ENABLED: u32 = 1;
/// Bus of an override: ISA.
const ISA: u8 = 0;
/// Processor of a local NMI: all.
const ALL_PROCESSORS: u8 = 0xff;
/// Local interrupt input that an NMI comes in at on a PC.
const LINT1: u8 = 1;

/// The table for a platform that was checked.
pub(super) fn madt(platform: &AcpiPlatform) -> Sdt {
    let mut table = Sdt::new(*b"APIC", HEADER_SIZE, REVISION, OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    table.write_u32(LOCAL_APIC_ADDRESS, platform.local_apic);
    table.write_u32(FLAGS, if platform.legacy_pic { PCAT_COMPAT } else { 0 });

    let mut controllers = Vec::new();
    // The check left no more processors than identifiers.
    for (uid, id) in (0..=u8::MAX).zip(&platform.local_apics) {
        match u8::try_from(*id) {
            Ok(id) if id != ALL_PROCESSORS => {
                controllers.extend([PROCESSOR_LOCAL_APIC, 8, uid, id]);
                controllers.extend(ENABLED.to_le_bytes());
            }
            // An identifier that only the x2APIC has room for.
            _ => {
                controllers.extend([PROCESSOR_LOCAL_X2APIC, 16, 0, 0]);
                controllers.extend(id.to_le_bytes());
                controllers.extend(ENABLED.to_le_bytes());
                controllers.extend(u32::from(uid).to_le_bytes());
            }
        }
    }
    for io_apic in &platform.io_apics {
        controllers.extend([IO_APIC, 12, io_apic.id, 0]);
        controllers.extend(io_apic.address.to_le_bytes());
        controllers.extend(io_apic.gsi_base.to_le_bytes());
    }
    for wired in &platform.interrupt_overrides {
        controllers.extend([INTERRUPT_SOURCE_OVERRIDE, 10, ISA, wired.isa]);
        controllers.extend(wired.gsi.to_le_bytes());
        controllers.extend(flags(wired.trigger, wired.polarity).to_le_bytes());
    }
    controllers.extend([LOCAL_APIC_NMI, 6, ALL_PROCESSORS, 0, 0, LINT1]);
    table.append_slice(&controllers);
    table
}

/// Flags of an interrupt (section 5.2.12.5, table 5.26): polarity in bits 0 and 1, trigger in 2
/// and 3.
fn flags(trigger: Trigger, polarity: Polarity) -> u16 {
    let polarity = match polarity {
        Polarity::ActiveHigh => 0b01,
        Polarity::ActiveLow => 0b11,
    };
    let trigger = match trigger {
        Trigger::Edge => 0b01,
        Trigger::Level => 0b11,
    };
    trigger << 2 | polarity
}
