//! What firmware is told of the board that it starts on.

use std::ops::Range;

use device_model::firmware_config::{FirmwareItemError, FirmwareItems, key};

use crate::boot::{
    acpi::{ACPI_RSDP_FILE, ACPI_TABLES_FILE, FirmwareTables, TABLE_LOADER_FILE},
    layout::MemoryKind,
};

/// Name of the file with the memory map: for each range its address and length, 64 bits each, and its
/// kind, 32 bits (ACPI 6.5, section 15.1), little-endian and without gaps.
const MEMORY_MAP_FILE: &str = "etc/e820";

/// A board, as far as firmware does not find it by itself.
#[derive(Debug)]
pub(super) struct FirmwareBoard<'a> {
    /// Guest-physical addresses of the RAM.
    pub ram: &'a [Range<u64>],
    /// Identifier of each processor's local APIC.
    pub local_apics: &'a [u32],
    /// Whether there is a first serial port, for what firmware and boot loaders have to say.
    pub has_serial: bool,
    /// Its ACPI tables.
    pub acpi: FirmwareTables,
}

impl FirmwareBoard<'_> {
    /// The board in the items that firmware reads.
    pub(super) fn items(self) -> Result<FirmwareItems, FirmwareItemError> {
        let narrow = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes();
        let greatest = self.local_apics.iter().max().copied().unwrap_or_default();
        let limit = usize::try_from(greatest).unwrap_or(usize::MAX).saturating_add(1);
        let size: u64 = self.ram.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        let mut items = FirmwareItems::default();
        items.add_number(key::RAM_SIZE, size.to_le_bytes())?;
        items.add_number(key::NO_GRAPHIC, u16::from(self.has_serial).to_le_bytes())?;
        items.add_number(key::CPUS, narrow(self.local_apics.len()))?;
        items.add_number(key::MAX_CPUS, narrow(limit))?;
        items.add_file(MEMORY_MAP_FILE, memory_map(self.ram))?;
        items.add_file(ACPI_TABLES_FILE, self.acpi.tables)?;
        items.add_file(ACPI_RSDP_FILE, self.acpi.rsdp)?;
        items.add_file(TABLE_LOADER_FILE, self.acpi.loader)?;
        Ok(items)
    }
}

/// All RAM: what of it is not to be used, firmware decides.
fn memory_map(ram: &[Range<u64>]) -> Vec<u8> {
    let entry = |range: &Range<u64>| {
        let length = range.end.saturating_sub(range.start);
        let kind = MemoryKind::Ram as u32;
        [&range.start.to_le_bytes()[..], &length.to_le_bytes(), &kind.to_le_bytes()].concat()
    };
    ram.iter().flat_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_is_told_of_memory_processors_serial_port_and_tables() {
        let ram = [0..3 << 30, 4 << 30..5 << 30];
        let acpi = FirmwareTables { tables: vec![1; 64], rsdp: vec![2; 36], loader: vec![3; 128] };
        let board = FirmwareBoard { ram: &ram, local_apics: &[0, 1, 4], has_serial: true, acpi };
        let items = board.items().unwrap();
        let numbers: Vec<_> = items.numbers().collect();
        let size = (4_u64 << 30).to_le_bytes();
        assert_eq!(numbers, [(3, &size[..]), (4, &[1, 0]), (5, &[3, 0]), (15, &[5, 0])]);
        let files: Vec<_> = items
            .files()
            .map(|(_, name, file)| (name, file.bytes.len(), file.is_writable))
            .collect();
        assert_eq!(
            files,
            [
                ("etc/acpi/rsdp", 36, false),
                ("etc/acpi/tables", 64, false),
                ("etc/e820", 40, false),
                ("etc/table-loader", 128, false)
            ]
        );
        let map = &items.files().nth(2).unwrap().2.bytes;
        let second = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(map[20..], second);
        assert_eq!(map[..8], [0; 8]);
    }
}
