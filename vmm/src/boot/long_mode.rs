//! Page tables and descriptors with which a kernel is entered in 64-bit mode.
//!
//! The 64-bit boot protocol asks for paging that maps the kernel, the zero page and the command
//! line to their own addresses, and for flat segments in a descriptor table that is loaded
//! (Linux, `Documentation/arch/x86/boot.rst`, "64-bit Boot Protocol").

use vm_memory::GuestMemoryMmap;

use super::layout;
use super::structure::{self, StructureError};

/// Selector of the code segment, `__BOOT_CS`.
pub const BOOT_CS: u16 = 0x10;
/// Selector of the data segment, `__BOOT_DS`.
pub const BOOT_DS: u16 = 0x18;
/// Descriptors: two null ones, code, data (Intel SDM volume 3, section 3.4.5). Both segments are
/// present, of ring 0, accessed, from 0 to 4 GiB; code is 64-bit and readable, data writable.
const DESCRIPTORS: [u64; 4] = [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];
/// Limit of the descriptor table: its size in bytes less one.
pub const GDT_LIMIT: u16 = 31;

/// First address that the page tables do not map.
pub const MAPPED_END: u64 = 4 << 30;
/// Bytes mapped by an entry of a page directory.
const LARGE_PAGE: u64 = 2 << 20;
/// Entries of a page table of any level.
const ENTRIES: u64 = 512;
/// Bytes of a page table of any level.
const TABLE: u64 = 4096;
/// Page-table entry: present and writable (Intel SDM volume 3, section 5.5.4).
const PRESENT_WRITABLE: u64 = 0b11;
/// Page-directory entry: maps 2 MiB itself.
const PAGE_SIZE: u64 = 1 << 7;

/// Writes page tables that map the first 4 GiB to themselves, in pages of 2 MiB, which every
/// 64-bit processor has.
///
/// # Errors
/// No memory at [`layout::PML4`], [`layout::PDPT`] or [`layout::PAGE_DIRECTORIES`].
pub fn write_page_tables(memory: &GuestMemoryMmap) -> Result<(), StructureError> {
    let directories = MAPPED_END / (ENTRIES * LARGE_PAGE);
    write_table(
        memory,
        "page-map level 4",
        layout::PML4,
        std::iter::once(layout::PDPT | PRESENT_WRITABLE),
    )?;
    write_table(
        memory,
        "page-directory-pointer table",
        layout::PDPT,
        (0..directories).map(|index| (layout::PAGE_DIRECTORIES + index * TABLE) | PRESENT_WRITABLE),
    )?;
    for directory in 0..directories {
        let first = directory * ENTRIES;
        write_table(
            memory,
            "page directory",
            layout::PAGE_DIRECTORIES + directory * TABLE,
            (first..first + ENTRIES).map(|page| (page * LARGE_PAGE) | PRESENT_WRITABLE | PAGE_SIZE),
        )?;
    }
    Ok(())
}

/// Writes one page table; entries not given are not present.
fn write_table(
    memory: &GuestMemoryMmap,
    what: &'static str,
    address: u64,
    entries: impl Iterator<Item = u64>,
) -> Result<(), StructureError> {
    let mut table = [0; 4096];
    for (place, entry) in table.chunks_exact_mut(8).zip(entries) {
        place.copy_from_slice(&entry.to_le_bytes());
    }
    structure::write(memory, what, address, &table)
}

/// Writes the descriptor table to [`layout::GDT`].
///
/// # Errors
/// No memory there.
pub fn write_gdt(memory: &GuestMemoryMmap) -> Result<(), StructureError> {
    let bytes: Vec<u8> =
        DESCRIPTORS.iter().flat_map(|descriptor| descriptor.to_le_bytes()).collect();
    structure::write(memory, "global descriptor table", layout::GDT, &bytes)
}

#[cfg(test)]
mod tests {
    use vm_memory::{Bytes, GuestAddress};

    use super::*;
    use crate::boot::crafted::memory;

    /// Walks the tables as a processor does; `None` where nothing is mapped.
    fn translate(memory: &GuestMemoryMmap, address: u64) -> Option<u64> {
        let entry = |table: u64, index: u64| -> u64 {
            memory.read_obj(GuestAddress((table & !0xfff) + index * 8)).unwrap()
        };
        let mut table = layout::PML4;
        for shift in [39, 30, 21] {
            let found = entry(table, (address >> shift) % 512);
            if found & 1 == 0 {
                return None;
            }
            assert_eq!(found & 0b10, 0b10, "writable");
            table = found;
        }
        assert_eq!(table & PAGE_SIZE, PAGE_SIZE);
        Some((table & !0x1f_ffff) + address % LARGE_PAGE)
    }

    #[test]
    fn the_first_4_gib_map_to_themselves_and_nothing_else_is_mapped() {
        let memory = memory(0x10_0000);
        memory.write_slice(&[0xff; 0x8000], GuestAddress(0x8000)).unwrap();
        write_page_tables(&memory).unwrap();
        for address in (0..MAPPED_END).step_by(0x1f_f123) {
            assert_eq!(translate(&memory, address), Some(address));
        }
        assert_eq!(translate(&memory, MAPPED_END - 1), Some(MAPPED_END - 1));
        assert_eq!(translate(&memory, MAPPED_END), None);
        assert_eq!(translate(&memory, 1 << 39), None);
    }

    #[test]
    fn the_selectors_name_a_64_bit_code_and_a_data_segment() {
        let memory = memory(0x1000);
        write_gdt(&memory).unwrap();
        let descriptor = |selector: u16| -> u64 {
            assert!(selector + 7 <= GDT_LIMIT);
            memory.read_obj(GuestAddress(layout::GDT + u64::from(selector))).unwrap()
        };
        let (code, data) = (descriptor(BOOT_CS), descriptor(BOOT_DS));
        for bits in [code, data] {
            assert_eq!(bits >> 47 & 1, 1, "present");
            assert_eq!(bits >> 44 & 1, 1, "not a system segment");
            assert_eq!(bits >> 45 & 3, 0, "ring 0");
        }
        assert_eq!(code >> 43 & 1, 1, "code");
        assert_eq!(code >> 53 & 1, 1, "64-bit");
        assert_eq!(code >> 54 & 1, 0, "not 32-bit");
        assert_eq!(data >> 43 & 1, 0, "data");
        assert_eq!(data >> 41 & 1, 1, "writable");
    }
}
