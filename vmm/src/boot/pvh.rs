//! The start information of the PVH boot protocol.
//!
//! Structures as in Xen's `xen/include/public/arch-x86/hvm/start_info.h`.

use thiserror::Error;
use vm_memory::GuestMemoryMmap;

use super::initrd::Initrd;
use super::layout::{self, MemoryMapEntry};
use super::structure::{self, Structure, StructureError};

/// First field of the start information.
const MAGIC: u32 = 0x336e_c578;
/// Version of the structure; 1 added the memory map.
const VERSION: u32 = 1;
/// Bytes of `hvm_start_info`.
const START_INFO_SIZE: usize = 56;
/// Bytes of `hvm_modlist_entry`.
const MODULE_SIZE: usize = 32;
/// Bytes of `hvm_memmap_table_entry`.
const MEMORY_MAP_ENTRY_SIZE: usize = 24;
/// Entries that there is room for at [`layout::PVH_MEMORY_MAP`].
pub const MEMORY_MAP_MAX: u32 = 128;

/// Why the start information cannot be made.
#[derive(Debug, Error)]
pub enum PvhError {
    /// More ranges than there is room for.
    #[error("memory map of {found} entries, expected at most {MEMORY_MAP_MAX}")]
    MemoryMap {
        /// Entries given.
        found: usize,
    },
    /// No memory at its place.
    #[error(transparent)]
    Write(#[from] StructureError),
}

/// What the start information tells.
#[derive(Debug)]
pub struct StartInfo<'a> {
    /// Memory map.
    pub memory_map: &'a [MemoryMapEntry],
    /// Guest-physical address of the command line.
    pub cmdline: u64,
    /// Initial RAM disk, handed over as the first module.
    pub initrd: Option<Initrd>,
    /// Guest-physical address of the ACPI root pointer.
    pub rsdp: Option<u64>,
}

impl StartInfo<'_> {
    /// Writes the start information to [`layout::PVH_START_INFO`] and the lists it names.
    ///
    /// # Errors
    /// What [`PvhError`] lists.
    pub fn write(&self, memory: &GuestMemoryMmap) -> Result<(), PvhError> {
        let found = self.memory_map.len();
        let entries = u32::try_from(found)
            .ok()
            .filter(|&entries| entries <= MEMORY_MAP_MAX)
            .ok_or(PvhError::MemoryMap { found })?;

        let mut info = Structure::<START_INFO_SIZE>::new();
        info.put(0, &MAGIC.to_le_bytes());
        info.put(4, &VERSION.to_le_bytes());
        // Offset 8: flags, of which none concerns a guest without privileges.
        info.put(12, &u32::from(self.initrd.is_some()).to_le_bytes());
        if let Some(initrd) = self.initrd {
            info.put(16, &layout::PVH_MODULES.to_le_bytes());
            let mut module = Structure::<MODULE_SIZE>::new();
            module.put(0, &initrd.address.to_le_bytes());
            module.put(8, &initrd.size.to_le_bytes());
            // Offset 16: the module's own command line; none.
            structure::write(memory, "PVH module list", layout::PVH_MODULES, module.as_bytes())?;
        }
        info.put(24, &self.cmdline.to_le_bytes());
        info.put(32, &self.rsdp.unwrap_or(0).to_le_bytes());
        info.put(40, &layout::PVH_MEMORY_MAP.to_le_bytes());
        info.put(48, &entries.to_le_bytes());

        let mut map = Vec::with_capacity(found * MEMORY_MAP_ENTRY_SIZE);
        for entry in self.memory_map {
            let size = entry.range.end.saturating_sub(entry.range.start);
            map.extend(entry.range.start.to_le_bytes());
            map.extend(size.to_le_bytes());
            map.extend((entry.kind as u32).to_le_bytes());
            map.extend([0; 4]);
        }
        structure::write(memory, "PVH memory map", layout::PVH_MEMORY_MAP, &map)?;
        structure::write(memory, "PVH start information", layout::PVH_START_INFO, info.as_bytes())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::{Bytes, GuestAddress};

    use super::*;
    use crate::boot::crafted::memory;
    use crate::boot::layout::MemoryKind;

    fn u64_of(memory: &GuestMemoryMmap, address: u64) -> u64 {
        memory.read_obj(GuestAddress(address)).unwrap()
    }

    fn u32_of(memory: &GuestMemoryMmap, address: u64) -> u32 {
        memory.read_obj(GuestAddress(address)).unwrap()
    }

    #[test]
    fn a_guest_can_follow_the_start_information() {
        let memory = memory(0x10000);
        StartInfo {
            memory_map: &layout::memory_map(8 << 30).unwrap(),
            cmdline: 0x2_0000,
            initrd: Some(Initrd { address: 0x700_0000, size: 0x1234 }),
            rsdp: Some(0xe_0000),
        }
        .write(&memory)
        .unwrap();
        let info = layout::PVH_START_INFO;
        assert_eq!(u32_of(&memory, info), 0x336e_c578);
        assert_eq!(u32_of(&memory, info + 4), 1);
        assert_eq!(u32_of(&memory, info + 8), 0);
        assert_eq!(u32_of(&memory, info + 12), 1);
        let module = u64_of(&memory, info + 16);
        assert_eq!(u64_of(&memory, module), 0x700_0000);
        assert_eq!(u64_of(&memory, module + 8), 0x1234);
        assert_eq!(u64_of(&memory, module + 16), 0);
        assert_eq!(u64_of(&memory, info + 24), 0x2_0000);
        assert_eq!(u64_of(&memory, info + 32), 0xe_0000);
        let map = u64_of(&memory, info + 40);
        assert_eq!(u32_of(&memory, info + 48), 5);
        let last = map + 4 * 24;
        assert_eq!(u64_of(&memory, last), 4 << 30);
        assert_eq!(u64_of(&memory, last + 8), 5 << 30);
        assert_eq!(u32_of(&memory, last + 16), 1);
    }

    #[test]
    fn without_an_initrd_there_are_no_modules() {
        let memory = memory(0x10000);
        StartInfo { memory_map: &[], cmdline: 0x2_0000, initrd: None, rsdp: None }
            .write(&memory)
            .unwrap();
        assert_eq!(u32_of(&memory, layout::PVH_START_INFO + 12), 0);
        assert_eq!(u64_of(&memory, layout::PVH_START_INFO + 16), 0);
        assert_eq!(u64_of(&memory, layout::PVH_START_INFO + 32), 0);
    }

    #[test]
    fn the_longest_memory_map_stays_off_the_zero_page() {
        let entry = MemoryMapEntry { range: 0..1, kind: MemoryKind::Ram };
        let memory = memory(0x10000);
        let mut map = vec![entry.clone(); 128];
        let write = |map: &[MemoryMapEntry]| {
            StartInfo { memory_map: map, cmdline: 0, initrd: None, rsdp: None }.write(&memory)
        };
        write(&map).unwrap();
        assert_eq!(u64_of(&memory, layout::ZERO_PAGE), 0);
        const { assert!(layout::PVH_MEMORY_MAP + 128 * 24 <= layout::ZERO_PAGE) };
        map.push(entry);
        assert!(matches!(write(&map), Err(PvhError::MemoryMap { found: 129 })));
    }
}
