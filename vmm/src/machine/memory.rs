//! The guest's memory, as the host gives it.

use std::{ops::Range, sync::Arc};

use device_model::platform::GuestMemory;
use thiserror::Error;
use vm_memory::GuestAddress;

use crate::byte_count::ByteCount;

/// Why a guest can't have the memory that it was to have.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// More than there is.
    #[error("{} of guest memory are more than the host's {}", ByteCount(*size), ByteCount(*host))]
    MoreThanHost {
        /// Asked for, in bytes.
        size: u64,
        /// What the host has, in bytes.
        host: u64,
    },
    /// The host refuses.
    #[error("the host can't give {} of guest memory: {source}", ByteCount(*size))]
    Mapping {
        /// Asked for, in bytes.
        size: u64,
        /// What it says.
        source: vm_memory::mmap::FromRangesError,
    },
}

/// Reserves memory of the host for these ranges of guest-physical addresses. The host gives each
/// page when the guest first touches it.
///
/// # Errors
/// If the host has less memory than that, or no room for the mapping.
pub(super) fn allocate(ranges: &[Range<u64>]) -> Result<Arc<GuestMemory>, MemoryError> {
    let size = ranges.iter().map(|range| range.end - range.start).sum();
    let system = rustix::system::sysinfo();
    let host = u64::from(system.mem_unit).saturating_mul(system.totalram);
    if size > host {
        return Err(MemoryError::MoreThanHost { size, host });
    }
    let parts: Vec<_> = ranges
        .iter()
        .map(|range| {
            let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            (GuestAddress(range.start), length)
        })
        .collect();
    GuestMemory::from_ranges(&parts)
        .map(Arc::new)
        .map_err(|source| MemoryError::Mapping { size, source })
}
