//! The memory of the guests that are booted: one for all, since loaders only write to it.

use std::sync::OnceLock;

use vm_memory::{GuestAddress, GuestMemoryMmap};

/// Bytes of it, from address 0.
pub(super) const SIZE: u64 = 8 << 20;

pub(super) fn memory() -> &'static GuestMemoryMmap {
    static MEMORY: OnceLock<GuestMemoryMmap> = OnceLock::new();
    MEMORY.get_or_init(|| {
        GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 8 << 20)])
            .expect("eight mebibytes can be mapped")
    })
}
