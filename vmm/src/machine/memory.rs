//! The guest's memory, as the host or a backend gives it.

use std::{ops::Range, sync::Arc};

use device_model::{
    memory_backend::{MemoryBackend, MemoryBackendError},
    platform::GuestMemory,
    qom_core::{Configuration, PlanError, Size, Source},
};
use thiserror::Error;
use vm_memory::{
    GuestAddress, GuestMemoryRegion, GuestRegionCollectionError, GuestRegionMmap, MmapRegion,
};

use super::advice::{self, Advice};
use crate::byte_count::ByteCount;

/// The property that links a machine to the backend of its memory.
pub(super) const BACKEND: &str = "memory-backend";

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
    /// The backend has none to give.
    #[error(transparent)]
    Backend(#[from] MemoryBackendError),
    /// The backend's memory can be read only.
    #[error("the backend's memory can't be written to: expected rom=off")]
    ReadOnly,
    /// The host does not do with a part of it what the user wants.
    #[error("the host can't {advice}: {source}")]
    Advice {
        /// What it was told.
        advice: Advice,
        /// What it says.
        source: std::io::Error,
    },
    /// Regions that overlap or go past the last address.
    #[error("the ranges of guest memory don't fit together")]
    Layout(#[from] GuestRegionCollectionError),
}

/// How much memory a machine will have: as much as its backend, if it has one, and otherwise as its
/// property says.
///
/// # Errors
/// If both are given and are not the same.
pub(super) fn planned_size(config: &Configuration<'_>) -> Result<u64, PlanError> {
    let Size(size) = config.get("memory-size")?;
    let Some(backend) = config.linked(BACKEND)? else { return Ok(size) };
    let Size(provided) = backend.get("size")?;
    if config.source("memory-size")? != Source::Default && provided != size {
        let (path, there, wanted) = (backend.path(), ByteCount(provided), ByteCount(size));
        let problem = format!("'{path}' has {there}, but the guest's memory is to be {wanted}");
        return Err(PlanError::refused(BACKEND, problem));
    }
    Ok(provided)
}

/// Guest-physical addresses of memory: RAM, and what firmware takes.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// RAM, in rising order.
    pub(super) ram: Vec<Range<u64>>,
    /// Firmware, apart from all RAM.
    pub(super) firmware: Option<Range<u64>>,
}

/// Gets memory for these ranges: the RAM of the backend if there is one, and of the host, which
/// gives each page when the guest first touches it, what else there is.
///
/// # Errors
/// If the host has less memory than that, or no room for the mapping, or the backend refuses.
pub(super) fn allocate(
    layout: &Layout,
    backend: Option<&dyn MemoryBackend>,
) -> Result<Arc<GuestMemory>, MemoryError> {
    let of_host = match backend {
        Some(_) => layout.firmware.iter().cloned().collect(),
        None => [&layout.ram[..], layout.firmware.as_slice()].concat(),
    };
    let mut regions = from_host(&of_host)?;
    if let Some(backend) = backend {
        for (range, part) in layout.ram.iter().zip(take(&layout.ram, backend)?) {
            regions.push(region(range, part)?);
        }
    }
    regions.sort_by_key(|region| region.start_addr());
    Ok(Arc::new(GuestMemory::from_arc_regions(regions)?))
}

fn region(
    range: &Range<u64>,
    mapping: Arc<MmapRegion>,
) -> Result<Arc<GuestRegionMmap>, MemoryError> {
    let region = GuestRegionMmap::with_arc(mapping, GuestAddress(range.start));
    Ok(Arc::new(region.ok_or(GuestRegionCollectionError::MemoryRegionOverlap)?))
}

fn from_host(ranges: &[Range<u64>]) -> Result<Vec<Arc<GuestRegionMmap>>, MemoryError> {
    let size = ranges.iter().map(|range| range.end - range.start).sum();
    let system = rustix::system::sysinfo();
    let host = u64::from(system.mem_unit).saturating_mul(system.totalram);
    if size > host {
        return Err(MemoryError::MoreThanHost { size, host });
    }
    let from_range = |range: &Range<u64>| {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        GuestRegionMmap::from_range(GuestAddress(range.start), length, None)
            .map(Arc::new)
            .map_err(|source| MemoryError::Mapping { size, source })
    };
    ranges.iter().map(from_range).collect()
}

/// The backend's memory, cut as the ranges are.
fn take(
    ranges: &[Range<u64>],
    backend: &dyn MemoryBackend,
) -> Result<Vec<Arc<MmapRegion>>, MemoryError> {
    if !backend.is_writable() {
        return Err(MemoryError::ReadOnly);
    }
    let mut offset = 0;
    let parts: Vec<_> = ranges
        .iter()
        .map(|range| {
            let start = offset;
            offset += range.end - range.start;
            start..offset
        })
        .collect();
    let taken = backend.take(&parts)?;
    let wanted = [(backend.merge(), Advice::Merge), (!backend.dump(), Advice::LeaveOutOfDumps)];
    for advice in wanted.into_iter().filter_map(|(wanted, advice)| wanted.then_some(advice)) {
        for part in &taken {
            advice::give(part, advice).map_err(|source| MemoryError::Advice { advice, source })?;
        }
    }
    Ok(taken)
}
