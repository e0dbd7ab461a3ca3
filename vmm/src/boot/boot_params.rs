//! The zero page: what a Linux kernel is told by the 64-bit boot protocol.
//!
//! Offsets are those of Linux's `Documentation/arch/x86/zero-page.rst` and, within the setup
//! header, `Documentation/arch/x86/boot.rst`.

use thiserror::Error;
use vm_memory::GuestMemoryMmap;

use super::initrd::Initrd;
use super::layout::{self, MemoryMapEntry};
use super::setup_header::{BOOT_FLAG_MAGIC, HEADER_MAGIC, SETUP_HEADER_START, SetupHeader};
use super::structure::{self, Structure, StructureError};

/// Bytes of the zero page.
const SIZE: usize = 4096;
/// Physical address of the ACPI root pointer; 64 bits.
const ACPI_RSDP_ADDR: usize = 0x070;
/// Upper half of the initial RAM disk's address; 32 bits.
const EXT_RAMDISK_IMAGE: usize = 0x0c0;
/// Upper half of its size; 32 bits.
const EXT_RAMDISK_SIZE: usize = 0x0c4;
/// Upper half of the command line's address; 32 bits.
const EXT_CMD_LINE_PTR: usize = 0x0c8;
/// Number of entries of the memory map; 8 bits.
const E820_ENTRIES: usize = 0x1e8;
/// Always 0xaa55; 16 bits.
const BOOT_FLAG: usize = 0x1fe;
/// Always "HdrS".
const HEADER: usize = 0x202;
/// Boot protocol; 16 bits.
const VERSION: usize = 0x206;
/// Which boot loader; 8 bits.
const TYPE_OF_LOADER: usize = 0x210;
/// Flags of loading; 8 bits.
const LOADFLAGS: usize = 0x211;
/// Lower half of the initial RAM disk's address; 32 bits.
const RAMDISK_IMAGE: usize = 0x218;
/// Lower half of its size; 32 bits.
const RAMDISK_SIZE: usize = 0x21c;
/// Lower half of the command line's address; 32 bits.
const CMD_LINE_PTR: usize = 0x228;
/// Alignment of the kernel; 32 bits.
const KERNEL_ALIGNMENT: usize = 0x230;
/// List of further data from the boot loader; 64 bits.
const SETUP_DATA: usize = 0x250;
/// The memory map: entries of [`E820_ENTRY_SIZE`] bytes.
const E820_TABLE: usize = 0x2d0;
/// Bytes of an entry of the memory map: address and size of 64 bits, type of 32.
const E820_ENTRY_SIZE: usize = 20;
/// Entries that the memory map has room for.
const E820_MAX: usize = 128;

/// A boot loader without a number of its own.
const LOADER_UNDEFINED: u8 = 0xff;
/// The kernel lies at or above 1 MiB.
const LOADED_HIGH: u8 = 1;
/// Protocol claimed for a kernel that came without a header: 2.15.
const MADE_VERSION: u16 = 0x20f;
/// Alignment claimed for it, as most x86-64 kernels are built with: 2 MiB.
const MADE_ALIGNMENT: u32 = 2 << 20;

/// Why the zero page cannot be made.
#[derive(Debug, Error)]
pub enum BootParamsError {
    /// More ranges than it has room for.
    #[error("memory map of {found} entries, expected at most {E820_MAX}")]
    MemoryMap {
        /// Entries given.
        found: usize,
    },
    /// No memory at its place.
    #[error(transparent)]
    Write(#[from] StructureError),
}

/// What the zero page tells.
#[derive(Debug)]
pub struct BootParams<'a> {
    /// The kernel's own header; a kernel that came as an ELF file has none, so one is made.
    pub header: Option<&'a SetupHeader>,
    /// Memory map.
    pub memory_map: &'a [MemoryMapEntry],
    /// Guest-physical address of the command line.
    pub cmdline: u64,
    /// Initial RAM disk.
    pub initrd: Option<Initrd>,
    /// Guest-physical address of the ACPI root pointer.
    pub rsdp: Option<u64>,
}

/// The halves of a 64-bit value that the zero page keeps apart: lower, upper.
fn halves(value: u64) -> ([u8; 4], [u8; 4]) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    ([a, b, c, d], [e, f, g, h])
}

impl BootParams<'_> {
    /// Writes the zero page to [`layout::ZERO_PAGE`].
    ///
    /// # Errors
    /// What [`BootParamsError`] lists.
    pub fn write(&self, memory: &GuestMemoryMmap) -> Result<(), BootParamsError> {
        let too_many = BootParamsError::MemoryMap { found: self.memory_map.len() };
        if self.memory_map.len() > E820_MAX {
            return Err(too_many);
        }
        let entries = u8::try_from(self.memory_map.len()).map_err(|_| too_many)?;

        let mut page = Structure::<SIZE>::new();
        match self.header {
            Some(header) => page.put(SETUP_HEADER_START, header.raw()),
            None => {
                page.put(BOOT_FLAG, &BOOT_FLAG_MAGIC.to_le_bytes());
                page.put(HEADER, &HEADER_MAGIC);
                page.put(VERSION, &MADE_VERSION.to_le_bytes());
                page.put(LOADFLAGS, &[LOADED_HIGH]);
                page.put(KERNEL_ALIGNMENT, &MADE_ALIGNMENT.to_le_bytes());
            }
        }
        page.put(TYPE_OF_LOADER, &[LOADER_UNDEFINED]);
        // A loader writes these; what the file had there is not to be followed.
        page.put(SETUP_DATA, &[0; 8]);
        let (low, high) = halves(self.cmdline);
        page.put(CMD_LINE_PTR, &low);
        page.put(EXT_CMD_LINE_PTR, &high);
        let (address, size) = self.initrd.map_or((0, 0), |initrd| (initrd.address, initrd.size));
        let (low, high) = halves(address);
        page.put(RAMDISK_IMAGE, &low);
        page.put(EXT_RAMDISK_IMAGE, &high);
        let (low, high) = halves(size);
        page.put(RAMDISK_SIZE, &low);
        page.put(EXT_RAMDISK_SIZE, &high);
        page.put(ACPI_RSDP_ADDR, &self.rsdp.unwrap_or(0).to_le_bytes());

        page.put(E820_ENTRIES, &[entries]);
        for (index, entry) in self.memory_map.iter().enumerate() {
            let at = E820_TABLE + index * E820_ENTRY_SIZE;
            let size = entry.range.end.saturating_sub(entry.range.start);
            page.put(at, &entry.range.start.to_le_bytes());
            page.put(at + 8, &size.to_le_bytes());
            page.put(at + 16, &(entry.kind as u32).to_le_bytes());
        }
        structure::write(memory, "zero page", layout::ZERO_PAGE, page.as_bytes())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::{Bytes, GuestAddress};

    use super::*;
    use crate::boot::crafted::{bzimage, memory};
    use crate::boot::layout::MemoryKind;
    use crate::boot::little_endian::{bytes_at, u16_at, u32_at, u64_at};

    fn written(params: &BootParams<'_>) -> Vec<u8> {
        let memory = memory(0x10000);
        params.write(&memory).unwrap();
        let mut page = vec![0; SIZE];
        memory.read_slice(&mut page, GuestAddress(layout::ZERO_PAGE)).unwrap();
        page
    }

    #[test]
    fn the_kernels_header_is_copied_and_completed() {
        let mut image = bzimage(b"");
        image[SETUP_DATA..SETUP_DATA + 8].fill(0xaa);
        let header = SetupHeader::parse(&image).unwrap();
        let page = written(&BootParams {
            header: Some(&header),
            memory_map: &layout::memory_map(128 << 20).unwrap(),
            cmdline: 0x2_0000,
            initrd: Some(Initrd { address: 0x700_0000, size: 0x12_3456 }),
            rsdp: Some(0xe_0000),
        });
        assert_eq!(u64_at(&page, 0x258), Some(0x100_0000), "pref_address");
        assert_eq!(page[0x210], 0xff, "type_of_loader");
        assert_eq!(u64_at(&page, SETUP_DATA), Some(0));
        assert_eq!(u32_at(&page, 0x228), Some(0x2_0000), "cmd_line_ptr");
        assert_eq!(u32_at(&page, 0x218), Some(0x700_0000), "ramdisk_image");
        assert_eq!(u32_at(&page, 0x21c), Some(0x12_3456), "ramdisk_size");
        assert_eq!(u64_at(&page, 0x070), Some(0xe_0000), "acpi_rsdp_addr");
        assert_eq!(page[0x1ef], 0, "sentinel: a loader has cleared the page");
        assert_eq!(page[0x1e8], 4, "e820_entries");
        let last = 0x2d0 + 3 * 20;
        assert_eq!(u64_at(&page, last), Some(0x10_0000));
        assert_eq!(u64_at(&page, last + 8), Some((128 << 20) - 0x10_0000));
        assert_eq!(u32_at(&page, last + 16), Some(1));
        assert_eq!(u64_at(&page, last + 20), Some(0), "no fifth entry");
    }

    #[test]
    fn a_kernel_without_a_header_gets_one() {
        let page = written(&BootParams {
            header: None,
            memory_map: &[],
            cmdline: 0x1_0000_2000,
            initrd: Some(Initrd { address: 0x1_0000_0000, size: 0x2_0000_0003 }),
            rsdp: None,
        });
        assert_eq!(u16_at(&page, 0x1fe), Some(0xaa55));
        assert_eq!(bytes_at(&page, 0x202), Some(*b"HdrS"));
        assert_eq!(u16_at(&page, 0x206), Some(0x20f));
        assert_eq!(page[0x211], 1);
        assert_eq!(u32_at(&page, 0x228), Some(0x2000));
        assert_eq!(u32_at(&page, 0x0c8), Some(1));
        assert_eq!(u32_at(&page, 0x218), Some(0));
        assert_eq!(u32_at(&page, 0x0c0), Some(1));
        assert_eq!(u32_at(&page, 0x21c), Some(3));
        assert_eq!(u32_at(&page, 0x0c4), Some(2));
        assert_eq!(u64_at(&page, 0x070), Some(0));
    }

    #[test]
    fn a_memory_map_that_does_not_fit_is_refused() {
        let entry = MemoryMapEntry { range: 0..1, kind: MemoryKind::Ram };
        let mut params = BootParams {
            header: None,
            memory_map: &vec![entry.clone(); 128],
            cmdline: 0,
            initrd: None,
            rsdp: None,
        };
        assert_eq!(written(&params)[0x1e8], 128);
        let longer = vec![entry; 129];
        params.memory_map = &longer;
        assert!(matches!(
            params.write(&memory(0x10000)),
            Err(BootParamsError::MemoryMap { found: 129 })
        ));
    }
}
