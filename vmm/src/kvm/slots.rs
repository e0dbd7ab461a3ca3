//! Memory slots: which host memory a guest-physical address range is backed by.
//!
//! The kernel keeps the host's addresses of a slot for as long as the VM exists, which no borrow
//! can express. So the table here holds the memory itself, and the VM and every vCPU hold the
//! table.
#![allow(unsafe_code)] // KVM_SET_USER_MEMORY_REGION takes raw host addresses.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use kvm_bindings::{KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::VmFd;
use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;
use vm_memory::{
    Address, Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion,
};

/// The granularity of slots in bytes: the processor's smallest page.
const PAGE_SIZE: u64 = 4096;

/// What a guest may do with the memory of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read, execute and write, with no exit.
    ReadWrite,
    /// Read and execute; a write exits as an MMIO write, as with a ROM.
    ReadOnly,
}

/// A range of guest-physical addresses and the memory that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First guest-physical address; a multiple of 4096.
    pub guest: GuestAddress,
    /// First address shown, in the memory's own addresses; a multiple of 4096.
    pub source: GuestAddress,
    /// Bytes; a multiple of 4096, not 0.
    pub size: u64,
    /// What the guest may do.
    pub access: Access,
}

/// Names a slot of one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(u32);

/// Why memory can't be mapped or unmapped.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// An address or size that is not a whole number of pages, or no page at all.
    #[error(
        "window of {:#x} bytes from {:#x} at {:#x}: expected whole pages of {PAGE_SIZE} bytes",
        window.size, window.source.raw_value(), window.guest.raw_value()
    )]
    Unaligned {
        /// The window asked for.
        window: Window,
    },
    /// The window shows addresses outside one region of the memory.
    #[error(
        "the memory has no single region of {:#x} bytes from {:#x}",
        window.size, window.source.raw_value()
    )]
    OutsideMemory {
        /// The window asked for.
        window: Window,
    },
    /// Some of the guest-physical addresses are in another slot already.
    #[error(
        "{:#x} bytes at {:#x} overlap memory that is already mapped",
        window.size, window.guest.raw_value()
    )]
    Overlaps {
        /// The window asked for.
        window: Window,
    },
    /// No slot is mapped under that name.
    #[error("no memory slot {}", slot.0)]
    NoSuchSlot {
        /// The slot given.
        slot: SlotId,
    },
    /// Every number of a slot is taken.
    #[error("no number is left for a memory slot")]
    Exhausted,
    /// The kernel refused.
    #[error("KVM_SET_USER_MEMORY_REGION failed for slot {}", slot.0)]
    Kernel {
        /// The slot that was to be changed.
        slot: SlotId,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// One slot and the memory that keeps it valid.
#[derive(Debug)]
struct Slot {
    window: Window,
    memory: Arc<GuestMemoryMmap>,
}

/// The slots of one VM.
#[derive(Debug, Default)]
pub(super) struct Slots {
    mapped: Mutex<BTreeMap<SlotId, Slot>>,
}

impl Slots {
    /// Maps `window` of `memory`; see [`Vm::map`](super::Vm::map).
    pub(super) fn map(
        &self,
        vm: &VmFd,
        memory: &Arc<GuestMemoryMmap>,
        window: Window,
    ) -> Result<SlotId, MapError> {
        let aligned = |value: u64| value.is_multiple_of(PAGE_SIZE);
        if !aligned(window.guest.raw_value())
            || !aligned(window.source.raw_value())
            || !aligned(window.size)
            || window.size == 0
        {
            return Err(MapError::Unaligned { window });
        }
        let outside = || MapError::OutsideMemory { window };
        let (region, start) = memory.to_region_addr(window.source).ok_or_else(outside)?;
        let end = start.raw_value().checked_add(window.size).ok_or_else(outside)?;
        if end > region.len() {
            return Err(outside());
        }
        let host = region.get_host_address(start).map_err(|_| outside())?;

        let mut mapped = self.lock();
        let slot = first_free(&mapped)?;
        let flags = match window.access {
            Access::ReadWrite => 0,
            Access::ReadOnly => KVM_MEM_READONLY,
        };
        let region = kvm_userspace_memory_region {
            slot: slot.0,
            flags,
            guest_phys_addr: window.guest.raw_value(),
            memory_size: window.size,
            userspace_addr: host as u64,
        };
        // SAFETY: `host..host + size` lies in one mapping of `memory`, checked above. On success
        // the table below takes a reference to `memory` under the same lock and gives it up only
        // once the kernel has let go of the slot (`unmap`) or of the VM: `Vm` and `Vcpu` drop
        // their descriptors before they drop this table. Guest memory is accessed only through
        // volatile accesses on this side, so that the guest's writes race with no reference.
        unsafe { vm.set_user_memory_region(region) }.map_err(|errno| {
            let source = io::Error::from(errno);
            if Errno::from_io_error(&source) == Some(Errno::EXIST) {
                MapError::Overlaps { window }
            } else {
                MapError::Kernel { slot, source }
            }
        })?;
        mapped.insert(slot, Slot { window, memory: Arc::clone(memory) });
        Ok(slot)
    }

    /// Unmaps `slot`; see [`Vm::unmap`](super::Vm::unmap).
    pub(super) fn unmap(&self, vm: &VmFd, slot: SlotId) -> Result<(), MapError> {
        let mut mapped = self.lock();
        let held = mapped.get(&slot).ok_or(MapError::NoSuchSlot { slot })?;
        let region = kvm_userspace_memory_region {
            slot: slot.0,
            flags: 0,
            guest_phys_addr: held.window.guest.raw_value(),
            memory_size: 0,
            userspace_addr: 0,
        };
        // SAFETY: a size of 0 deletes the slot; no host address is handed over. The memory is
        // still held here, and given up only after the kernel has let go of it.
        unsafe { vm.set_user_memory_region(region) }
            .map_err(|errno| MapError::Kernel { slot, source: errno.into() })?;
        mapped.remove(&slot);
        Ok(())
    }

    /// Reads what the guest has at `address`, up to the end of `bytes`, of the slot or of what
    /// is mapped. Gives the number of bytes read, 0 if nothing is mapped there.
    pub(super) fn read(&self, address: GuestAddress, bytes: &mut [u8]) -> usize {
        let mapped = self.lock();
        for slot in mapped.values() {
            let Some(offset) = address.checked_offset_from(slot.window.guest) else {
                continue;
            };
            let Some(left) = slot.window.size.checked_sub(offset).filter(|left| *left > 0) else {
                continue;
            };
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let Some(source) = slot.window.source.checked_add(offset) else {
                continue;
            };
            return bytes
                .get_mut(..length)
                .and_then(|bytes| slot.memory.read(bytes, source).ok())
                .unwrap_or(0);
        }
        0
    }

    /// The table. A thread that panicked while it held the lock left it whole: every change is
    /// one insertion or removal.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SlotId, Slot>> {
        self.mapped.lock()
    }
}

/// The lowest number that no slot has.
fn first_free(mapped: &BTreeMap<SlotId, Slot>) -> Result<SlotId, MapError> {
    let mut free = 0_u32;
    for slot in mapped.keys() {
        if slot.0 != free {
            break;
        }
        free = free.checked_add(1).ok_or(MapError::Exhausted)?;
    }
    Ok(SlotId(free))
}
