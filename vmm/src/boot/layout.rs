//! Guest-physical addresses of the microvm board, and the memory map its guests are told of.

use std::ops::Range;

use crate::byte_count::ByteCount;
use thiserror::Error;

/// One kibibyte, in bytes.
const KIB: u64 = 1 << 10;
/// One mebibyte, in bytes.
const MIB: u64 = 1 << 20;
/// One gibibyte, in bytes.
const GIB: u64 = 1 << 30;

/// End of the RAM below the device window; what does not fit starts again at [`HIGH_RAM_START`].
pub const LOW_RAM_END: u64 = 3 * GIB;
/// Start of the RAM above the device window.
pub const HIGH_RAM_START: u64 = 4 * GIB;
/// First address past what an x86-64 processor can address physically
/// (Intel SDM volume 3, section 5.1.4: MAXPHYADDR is at most 52).
pub const PHYSICAL_END: u64 = 1 << 52;

/// Global descriptor table of the 64-bit boot protocol.
pub const GDT: u64 = 0x500;
/// `hvm_start_info` of the PVH protocol.
pub const PVH_START_INFO: u64 = 0x6000;
/// `hvm_modlist_entry` of the PVH protocol: the initrd.
pub const PVH_MODULES: u64 = 0x6040;
/// `hvm_memmap_table_entry` list of the PVH protocol.
pub const PVH_MEMORY_MAP: u64 = 0x6100;
/// `boot_params` of the Linux protocol, the "zero page", one page long.
pub const ZERO_PAGE: u64 = 0x7000;
/// Page-map level 4 of the boot page tables; one page.
pub const PML4: u64 = 0x9000;
/// Page-directory-pointer table of the boot page tables; one page.
pub const PDPT: u64 = 0xa000;
/// The page directories of the boot page tables: four consecutive pages, one a gibibyte.
pub const PAGE_DIRECTORIES: u64 = 0xb000;
/// Kernel command line with its NUL.
pub const CMDLINE: u64 = 0x2_0000;
/// Bytes kept for the command line with its NUL.
pub const CMDLINE_SPACE: u64 = 64 * KIB;
/// Extended BIOS data area: end of the RAM that a guest may use below 1 MiB. There is no BIOS
/// data in it; kernels take its usual place as given.
pub const EBDA: u64 = 0x9_fc00;
/// ACPI root pointer and tables. In the range that a kernel searches for the root pointer when
/// its boot protocol does not name it (ACPI 6.5, section 5.2.5.1).
pub const ACPI_TABLES: u64 = 0xe_0000;
/// First address past [`ACPI_TABLES`].
pub const ACPI_TABLES_END: u64 = MIB;
/// Lowest address that a kernel or an initrd may occupy; below it lies what is listed above.
pub const KERNEL_MIN: u64 = MIB;

/// Registers of the ACPI generic event device.
pub const GED: u64 = 0xfea0_0000;
/// Bytes decoded by the generic event device.
pub const GED_SIZE: u64 = 0x1000;
/// Sleep control register (ACPI 6.5, section 4.8.3.7), 8 bits.
pub const GED_SLEEP_CONTROL: u64 = GED;
/// Sleep status register (ACPI 6.5, section 4.8.3.7), 8 bits.
pub const GED_SLEEP_STATUS: u64 = GED + 1;
/// Reset register (ACPI 6.5, section 4.8.3.6), 8 bits.
pub const GED_RESET: u64 = GED + 2;
/// First virtio-mmio transport.
pub const VIRTIO_MMIO: u64 = 0xfeb0_0000;
/// Bytes of a virtio-mmio transport, registers and configuration (virtio 1.2, section 4.2.2). The next
/// follows it at once, as on QEMU's board.
pub const VIRTIO_MMIO_STRIDE: u64 = 0x200;
/// How many virtio-mmio transports there are.
pub const VIRTIO_MMIO_COUNT: u32 = 8;
/// Interrupt of the first virtio-mmio transport; those of the others follow.
pub const VIRTIO_MMIO_GSI: u32 = 16;
/// I/O interrupt controller.
pub const IOAPIC: u32 = 0xfec0_0000;
/// Local interrupt controllers, at the address they have after reset.
pub const LAPIC: u32 = 0xfee0_0000;

/// Where a virtio-mmio transport is, by its number.
#[must_use]
pub fn virtio_mmio(index: u32) -> u64 {
    VIRTIO_MMIO + u64::from(index) * VIRTIO_MMIO_STRIDE
}

/// A RAM size that the board cannot place.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RamSizeError {
    /// Less than the structures below 1 MiB and a page for a kernel take.
    #[error("RAM of {} is below the board's least size of {}", ByteCount(*size), ByteCount(*min))]
    TooSmall {
        /// Bytes asked for.
        size: u64,
        /// Least size, bytes.
        min: u64,
    },
    /// Would end past the addressable range.
    #[error("RAM of {} is above the board's greatest size of {}", ByteCount(*size), ByteCount(*max))]
    TooLarge {
        /// Bytes asked for.
        size: u64,
        /// Greatest size, bytes.
        max: u64,
    },
    /// Not a multiple of the page size.
    #[error("RAM of {} is not a multiple of the page size, 4 KiB", ByteCount(*size))]
    Unaligned {
        /// Bytes asked for.
        size: u64,
    },
}

/// Least RAM size, bytes.
pub const RAM_MIN: u64 = 2 * MIB;
/// Greatest RAM size, bytes.
pub const RAM_MAX: u64 = PHYSICAL_END - (HIGH_RAM_START - LOW_RAM_END);

/// Where `size` bytes of RAM lie: one range, or two around the device window below 4 GiB.
///
/// # Errors
/// A size that is not of whole pages, or outside [`RAM_MIN`]..=[`RAM_MAX`].
pub fn ram_ranges(size: u64) -> Result<Vec<Range<u64>>, RamSizeError> {
    if size < RAM_MIN {
        return Err(RamSizeError::TooSmall { size, min: RAM_MIN });
    }
    if size > RAM_MAX {
        return Err(RamSizeError::TooLarge { size, max: RAM_MAX });
    }
    if !size.is_multiple_of(4 * KIB) {
        return Err(RamSizeError::Unaligned { size });
    }
    let low = size.min(LOW_RAM_END);
    let high = size - low;
    // One range is built as a list of one, not iterated.
    #[allow(clippy::single_range_in_vec_init)]
    let mut ranges = vec![0..low];
    if high > 0 {
        ranges.push(HIGH_RAM_START..HIGH_RAM_START + high);
    }
    Ok(ranges)
}

/// What a range of the memory map is for, with the values of ACPI's address range types
/// (ACPI 6.5, table 15.5), which e820 and PVH share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MemoryKind {
    /// RAM that a guest may use.
    Ram = 1,
    /// Not to be used.
    Reserved = 2,
    /// Holds ACPI tables; usable once they have been read.
    Acpi = 3,
}

/// An entry of the memory map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMapEntry {
    /// Guest-physical addresses.
    pub range: Range<u64>,
    /// What they are for.
    pub kind: MemoryKind,
}

/// The memory map of a board with `size` bytes of RAM, in rising order of address.
///
/// # Errors
/// As [`ram_ranges`].
pub fn memory_map(size: u64) -> Result<Vec<MemoryMapEntry>, RamSizeError> {
    let entry = |range, kind| MemoryMapEntry { range, kind };
    let mut map = vec![
        entry(0..EBDA, MemoryKind::Ram),
        entry(EBDA..0xa_0000, MemoryKind::Reserved),
        entry(ACPI_TABLES..ACPI_TABLES_END, MemoryKind::Acpi),
    ];
    for ram in ram_ranges(size)? {
        map.push(entry(ram.start.max(KERNEL_MIN)..ram.end, MemoryKind::Ram));
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_up_to_3_gib_is_one_range() {
        for size in [128 * MIB, 3 * GIB] {
            let one = std::iter::once(0..size);
            assert!(ram_ranges(size).unwrap().into_iter().eq(one));
        }
    }

    #[test]
    fn ram_past_3_gib_continues_at_4_gib() {
        assert_eq!(
            ram_ranges(3 * GIB + 4 * KIB).unwrap(),
            [0..3 * GIB, 4 * GIB..4 * GIB + 4 * KIB]
        );
    }

    #[test]
    fn sizes_that_cannot_be_placed_are_refused() {
        assert_eq!(ram_ranges(0), Err(RamSizeError::TooSmall { size: 0, min: RAM_MIN }));
        assert_eq!(
            ram_ranges(u64::MAX),
            Err(RamSizeError::TooLarge { size: u64::MAX, max: RAM_MAX })
        );
        assert_eq!(ram_ranges(RAM_MIN + 1), Err(RamSizeError::Unaligned { size: RAM_MIN + 1 }));
        assert_eq!(ram_ranges(RAM_MAX).unwrap()[1].end, PHYSICAL_END);
    }

    #[test]
    fn the_memory_map_rises_without_overlap_and_leaves_the_device_window_out() {
        let map = memory_map(8 * GIB).unwrap();
        for pair in map.windows(2) {
            assert!(pair[0].range.end <= pair[1].range.start, "{pair:x?}");
        }
        for device in [u64::from(IOAPIC), u64::from(LAPIC), GED, VIRTIO_MMIO, 0xa_0000] {
            assert!(!map.iter().any(|entry| entry.range.contains(&device)), "{device:#x}");
        }
        let usable: u64 = map
            .iter()
            .filter(|entry| entry.kind == MemoryKind::Ram)
            .map(|entry| entry.range.end - entry.range.start)
            .sum();
        assert_eq!(usable, 8 * GIB - MIB + EBDA);
    }

    #[test]
    fn boot_structures_lie_in_usable_ram_apart_from_each_other() {
        let structures = [
            GDT..GDT + 0x20,
            PVH_START_INFO..PVH_START_INFO + 56,
            PVH_MODULES..PVH_MODULES + 32,
            PVH_MEMORY_MAP..ZERO_PAGE,
            ZERO_PAGE..ZERO_PAGE + 0x1000,
            PML4..PML4 + 0x1000,
            PDPT..PDPT + 0x1000,
            PAGE_DIRECTORIES..PAGE_DIRECTORIES + 0x4000,
            CMDLINE..CMDLINE + CMDLINE_SPACE,
            EBDA..EBDA,
        ];
        for pair in structures.windows(2) {
            assert!(pair[0].end <= pair[1].start, "{pair:x?}");
        }
    }
}
