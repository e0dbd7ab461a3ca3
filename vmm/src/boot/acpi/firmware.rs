//! The tables as firmware is given them: as files, and commands by which it puts them where it likes.
//!
//! Source of the commands: QEMU, "ACPI tables as files of fw_cfg" and the loader's interface, which
//! firmware executes (SeaBIOS, `src/fw/romfile_loader.h`). Each is 128 bytes long, little-endian.

use super::{ALIGNMENT, AcpiError, AcpiPlatform, Pointer, Tables, fadt};
use crate::boot::little_endian::u32_at;
use crate::boot::structure::Structure;

/// Name of the file with all tables but the root pointer.
pub const ACPI_TABLES_FILE: &str = "etc/acpi/tables";
/// Name of the file with the root pointer.
pub const ACPI_RSDP_FILE: &str = "etc/acpi/rsdp";
/// Name of the file with the commands.
pub const TABLE_LOADER_FILE: &str = "etc/table-loader";

/// Bytes of a command.
const COMMAND_SIZE: usize = 128;
/// Offset of the first file's name in a command, behind its number.
const FIRST: usize = 4;
/// Bytes of a file's name with the zeroes behind it.
const NAME: usize = 56;
/// Offset of what follows one name.
const AFTER_ONE: usize = FIRST + NAME;
/// Offset of what follows two names.
const AFTER_TWO: usize = AFTER_ONE + NAME;

/// Command: loads a file to memory of an alignment, in a zone.
const ALLOCATE: u32 = 1;
/// Command: adds the address of a file to a pointer in another, of so many bytes.
const ADD_POINTER: u32 = 2;
/// Command: sets a byte so that the sum of a range in the file is zero.
const ADD_CHECKSUM: u32 = 3;
/// Zone: anywhere below 4 GiB.
const ZONE_HIGH: u8 = 1;
/// Zone: 0xf0000 to 0xfffff, where a guest looks for the root pointer.
const ZONE_F_SEGMENT: u8 = 2;

/// Alignment of the tables together: that of the strictest one that firmware has ever needed.
const TABLES_ALIGNMENT: u32 = 64;
/// Offset of a table's checksum, and of its length in 32 bits (section 5.2.6).
const CHECKSUM: usize = 9;
const LENGTH: usize = 4;
/// In the root pointer (section 5.2.5.3): the address of the extended root table; the checksum of all
/// of it. The other one is of its first 20 bytes, which have no address.
const XSDT_ADDRESS: usize = 24;
const EXTENDED_CHECKSUM: usize = 32;

/// Bytes of an address in a table.
const WIDE: u8 = 8;
/// Bytes of one in 32 bits.
const NARROW: u8 = 4;

/// A platform's tables in files, with offsets in place of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareTables {
    /// [`ACPI_TABLES_FILE`].
    pub tables: Vec<u8>,
    /// [`ACPI_RSDP_FILE`].
    pub rsdp: Vec<u8>,
    /// [`TABLE_LOADER_FILE`].
    pub loader: Vec<u8>,
}

impl FirmwareTables {
    /// The tables that describe a platform.
    ///
    /// # Errors
    /// What [`AcpiError`] lists of platforms.
    pub fn new(platform: &AcpiPlatform) -> Result<Self, AcpiError> {
        let mut tables = Tables::of(platform, 0)?;
        let rsdp = tables.root();
        let mut commands = vec![
            allocate(ACPI_TABLES_FILE, TABLES_ALIGNMENT, ZONE_HIGH),
            allocate(ACPI_RSDP_FILE, as_number(ALIGNMENT), ZONE_F_SEGMENT),
        ];
        let mut changed: Vec<usize> = Vec::new();
        for Pointer { table, offset } in &tables.pointers {
            commands.push(add_pointer(ACPI_TABLES_FILE, table.saturating_add(*offset), WIDE));
            changed.push(*table);
        }
        // Firmware reads the differentiated table too, and looks for it here only.
        let narrow = tables.fadt.saturating_add(fadt::DSDT);
        copy_narrow(&mut tables.bytes, tables.fadt.saturating_add(fadt::X_DSDT), narrow);
        commands.push(add_pointer(ACPI_TABLES_FILE, narrow, NARROW));
        changed.dedup();
        for table in changed {
            let length = u32_at(&tables.bytes, table.saturating_add(LENGTH)).unwrap_or_default();
            commands.push(add_checksum(ACPI_TABLES_FILE, table, CHECKSUM, length));
        }
        commands.push(add_pointer(ACPI_RSDP_FILE, XSDT_ADDRESS, WIDE));
        commands.push(add_checksum(ACPI_RSDP_FILE, 0, EXTENDED_CHECKSUM, as_number(rsdp.len())));
        let loader = commands.iter().flat_map(|command| command.as_bytes()).copied().collect();
        Ok(Self { tables: tables.bytes, rsdp, loader })
    }
}

/// Tables are far smaller than that, and firmware refuses what is past a file's end.
fn as_number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Copies the low half of an address.
fn copy_narrow(bytes: &mut [u8], from: usize, to: usize) {
    let low = u32_at(bytes, from).unwrap_or_default().to_le_bytes();
    if let Some(place) = bytes.get_mut(to..).and_then(|rest| rest.first_chunk_mut()) {
        *place = low;
    }
}

type Command = Structure<COMMAND_SIZE>;

fn command(number: u32, file: &str) -> Command {
    let mut command = Command::new();
    command.put(0, &number.to_le_bytes());
    command.put(FIRST, file.as_bytes());
    command
}

fn allocate(file: &str, alignment: u32, zone: u8) -> Command {
    let mut command = command(ALLOCATE, file);
    command.put(AFTER_ONE, &alignment.to_le_bytes());
    command.put(AFTER_ONE + 4, &[zone]);
    command
}

/// The pointer at `offset` of `file` is an offset in the tables' file.
fn add_pointer(file: &str, offset: usize, width: u8) -> Command {
    let mut command = command(ADD_POINTER, file);
    command.put(AFTER_ONE, ACPI_TABLES_FILE.as_bytes());
    command.put(AFTER_TWO, &as_number(offset).to_le_bytes());
    command.put(AFTER_TWO + 4, &[width]);
    command
}

/// The range of `length` bytes from `start` on has its checksum at `offset` in the range.
fn add_checksum(file: &str, start: usize, offset: usize, length: u32) -> Command {
    let mut command = command(ADD_CHECKSUM, file);
    command.put(AFTER_ONE, &as_number(start.saturating_add(offset)).to_le_bytes());
    command.put(AFTER_ONE + 4, &as_number(start).to_le_bytes());
    command.put(AFTER_ONE + 8, &length.to_le_bytes());
    command
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::board;
    use super::*;
    use crate::boot::little_endian::u64_at;

    /// Where the files are loaded, by their names.
    const PLACES: [(&str, u64, u8); 2] =
        [(ACPI_TABLES_FILE, 0x7fe_0000, ZONE_HIGH), (ACPI_RSDP_FILE, 0xf_5000, ZONE_F_SEGMENT)];

    fn name(field: &[u8]) -> String {
        let end = field.iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(field[..end].to_vec()).unwrap()
    }

    fn place(name: &str) -> u64 {
        PLACES.iter().find(|(file, ..)| *file == name).unwrap().1
    }

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    /// Does what firmware does: the files as they are in memory then.
    fn load(given: &FirmwareTables) -> BTreeMap<String, Vec<u8>> {
        assert_eq!(given.loader.len() % COMMAND_SIZE, 0);
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for command in given.loader.chunks(COMMAND_SIZE) {
            let file = name(&command[4..60]);
            match command[0] {
                1 => {
                    let zone = PLACES.iter().find(|(known, ..)| *known == file).unwrap().2;
                    assert_eq!(command[64], zone, "{file}");
                    let alignment = u32_at(command, 60).unwrap();
                    assert!(alignment.is_power_of_two() && alignment >= 16);
                    let tables = file == ACPI_TABLES_FILE;
                    let bytes = if tables { &given.tables } else { &given.rsdp };
                    assert!(files.insert(file, bytes.clone()).is_none());
                }
                2 => {
                    let added = place(&name(&command[60..116]));
                    let at = u32_at(command, 116).unwrap() as usize;
                    let bytes = files.get_mut(&file).expect("it was allocated");
                    let width = usize::from(command[120]);
                    let mut pointer = [0; 8];
                    pointer[..width].copy_from_slice(&bytes[at..at + width]);
                    let pointer = u64::from_le_bytes(pointer) + added;
                    bytes[at..at + width].copy_from_slice(&pointer.to_le_bytes()[..width]);
                }
                3 => {
                    let field = |offset| u32_at(command, offset).unwrap() as usize;
                    let (at, start, length) = (field(60), field(64), field(68));
                    let bytes = files.get_mut(&file).expect("it was allocated");
                    bytes[at] = bytes[at].wrapping_sub(sum(&bytes[start..start + length]));
                }
                other => panic!("command {other}"),
            }
        }
        files
    }

    #[test]
    fn firmware_that_executes_the_commands_has_tables_that_lead_to_each_other() {
        for cpus in [1, 2, 255] {
            let given = FirmwareTables::new(&board(cpus)).unwrap();
            let files = load(&given);
            let (tables, root) = (&files[ACPI_TABLES_FILE], &files[ACPI_RSDP_FILE]);
            assert_eq!((&root[..8], sum(&root[..20]), sum(root)), (&b"RSD PTR "[..], 0, 0));
            let table = |address: u64, signature: &[u8; 4]| {
                let start = usize::try_from(address - place(ACPI_TABLES_FILE)).unwrap();
                let length = u32_at(tables, start + LENGTH).unwrap() as usize;
                let table = &tables[start..start + length];
                assert_eq!((&table[..4], sum(table)), (&signature[..], 0));
                table
            };
            let xsdt = table(u64_at(root, 24).unwrap(), b"XSDT");
            let fadt = table(u64_at(xsdt, 36).unwrap(), b"FACP");
            table(u64_at(xsdt, 44).unwrap(), b"APIC");
            let dsdt = u64_at(fadt, 140).unwrap();
            assert_eq!(u64::from(u32_at(fadt, 40).unwrap()), dsdt);
            table(dsdt, b"DSDT");
        }
    }

    #[test]
    fn a_platform_that_tables_cannot_describe_is_an_error() {
        assert!(matches!(FirmwareTables::new(&board(0)), Err(AcpiError::Cpus { found: 0 })));
    }
}
