//! ACPI tables of a hardware-reduced platform, as a guest finds them in memory.
//!
//! What the platform has is data ([`AcpiPlatform`]); nothing here knows a device by name but
//! for the two whose presence the fixed description table states too. References are to the ACPI
//! specification, version 6.5.

mod device;
mod dsdt;
mod events;
mod fadt;
mod firmware;
mod madt;
mod namespace;
mod platform;

use acpi_tables::Aml;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::xsdt::XSDT;
use thiserror::Error;
use vm_memory::GuestMemoryMmap;

pub use device_model::acpi::{AcpiDevice, Polarity, Resource, Trigger};
pub use firmware::{ACPI_RSDP_FILE, ACPI_TABLES_FILE, FirmwareTables, TABLE_LOADER_FILE};
pub use namespace::tell_apart;
pub use platform::{AcpiPlatform, InterruptOverride, IoApic, Register, SleepRegisters};

use super::layout;
use super::structure::{self, StructureError};

/// Who made the tables, in their headers.
const OEM_ID: [u8; 6] = *b"PALISD";
/// Which product they are for, in their headers.
const OEM_TABLE_ID: [u8; 8] = *b"PALISADE";
/// Revision of that, in their headers.
const OEM_REVISION: u32 = 1;
/// Alignment of each table; the root pointer needs it (section 5.2.5.1).
const ALIGNMENT: usize = 16;
/// Where the extended root table has its first entry (section 5.2.8).
const XSDT_ENTRIES: usize = 36;
/// Most processors: the 8-bit identifiers of local APICs less the one that means all.
pub const CPUS_MAX: u16 = 255;

/// A platform that tables cannot describe.
#[derive(Debug, Error)]
pub enum AcpiError {
    /// None or too many processors.
    #[error("{found} CPUs, expected 1 to {CPUS_MAX}")]
    Cpus {
        /// How many there are.
        found: u16,
    },
    /// A name that AML does not have.
    #[error(
        "ACPI device name {found:?}, expected four of A-Z, 0-9 and _, the first no digit \
         (ACPI 6.5, section 20.2.2)"
    )]
    Name {
        /// The name.
        found: String,
    },
    /// Two devices of one name.
    #[error("two ACPI devices are named {name:?}")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// An identifier that is neither of a Plug and Play nor of an ACPI device.
    #[error(
        "ACPI device {device}: hardware ID {found:?}, expected three of A-Z and four hexadecimal \
         digits, or four of A-Z and 0-9 and four hexadecimal digits (ACPI 6.5, section 6.1.5)"
    )]
    HardwareId {
        /// Name of the device.
        device: String,
        /// The identifier.
        found: String,
    },
    /// A range that is empty or wraps.
    #[error("ACPI device {device}: {resource:x?} is empty or ends past its address space")]
    Resource {
        /// Name of the device.
        device: String,
        /// The resource.
        resource: Resource,
    },
    /// A sleep type of more than three bits.
    #[error("sleep type {found} for S5, expected 0 to 7")]
    SleepType {
        /// The sleep type.
        found: u8,
    },
    /// An interrupt that ISA does not have.
    #[error("override of ISA interrupt {found}, expected 0 to 15")]
    IsaInterrupt {
        /// Its number.
        found: u8,
    },
    /// More tables than there is room for.
    #[error("ACPI tables of {size} bytes, expected at most {room}")]
    TooLarge {
        /// Bytes they take.
        size: u64,
        /// Bytes there are.
        room: u64,
    },
    /// No memory at their place.
    #[error(transparent)]
    Write(#[from] StructureError),
}

/// Where a table has another's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pointer {
    /// Where the table starts that has it.
    table: usize,
    /// Where the address is in it; 64 bits.
    offset: usize,
}

/// Tables laid out one after the other, before they are written.
struct Tables {
    /// Address of the first.
    start: u64,
    bytes: Vec<u8>,
    /// Where each table starts in the bytes.
    starts: Vec<usize>,
    /// Addresses of tables in tables.
    pointers: Vec<Pointer>,
    /// Where the fixed table starts in the bytes.
    fadt: usize,
    /// Address of the extended root table.
    xsdt: u64,
}

impl Tables {
    /// The tables of a platform, the first at that address.
    fn of(platform: &AcpiPlatform, start: u64) -> Result<Self, AcpiError> {
        platform.check()?;
        let mut tables = Self {
            start,
            bytes: Vec::new(),
            starts: Vec::new(),
            pointers: Vec::new(),
            fadt: 0,
            xsdt: 0,
        };
        let dsdt = tables.add(&dsdt::dsdt(platform));
        let fadt = tables.add(&fadt::fadt(platform, dsdt));
        tables.fadt = tables.starts.last().copied().unwrap_or_default();
        tables.pointers.push(Pointer { table: tables.fadt, offset: fadt::X_DSDT });
        let madt = tables.add(&madt::madt(platform));
        let mut xsdt = XSDT::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
        xsdt.add_entry(fadt);
        xsdt.add_entry(madt);
        tables.xsdt = tables.add(&xsdt);
        let table = tables.starts.last().copied().unwrap_or_default();
        let entries = [XSDT_ENTRIES, XSDT_ENTRIES + 8];
        tables.pointers.extend(entries.map(|offset| Pointer { table, offset }));
        Ok(tables)
    }

    /// Adds a table; tells its guest-physical address.
    fn add(&mut self, table: &dyn Aml) -> u64 {
        let aligned = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(aligned, 0);
        self.starts.push(aligned);
        table.to_aml_bytes(&mut self.bytes);
        self.start.saturating_add(aligned as u64)
    }

    /// The root pointer to them.
    fn root(&self) -> Vec<u8> {
        let mut root = Vec::new();
        Rsdp::new(OEM_ID, self.xsdt).to_aml_bytes(&mut root);
        root
    }
}

/// Describes a platform in tables at [`layout::ACPI_TABLES`]; tells where the root pointer is.
///
/// # Errors
/// What [`AcpiError`] lists.
pub fn write_tables(platform: &AcpiPlatform, memory: &GuestMemoryMmap) -> Result<u64, AcpiError> {
    // The root pointer comes first, where a guest looks for it.
    let root_size = Rsdp::len().next_multiple_of(ALIGNMENT) as u64;
    let tables = Tables::of(platform, layout::ACPI_TABLES + root_size)?;
    let size = root_size + tables.bytes.len() as u64;
    let room = layout::ACPI_TABLES_END - layout::ACPI_TABLES;
    if size > room {
        return Err(AcpiError::TooLarge { size, room });
    }
    structure::write(memory, "ACPI tables", tables.start, &tables.bytes)?;
    structure::write(memory, "ACPI root pointer", layout::ACPI_TABLES, &tables.root())?;
    Ok(layout::ACPI_TABLES)
}

#[cfg(test)]
pub(super) mod tests;
