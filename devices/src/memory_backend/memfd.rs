//! `memory-backend-memfd`: memory with a descriptor, which other processes can be given.

use std::{fs::File, io, ops::Range, sync::Arc};

use device_model::{
    memory_backend::{MemoryBackend, MemoryBackendError},
    prelude::*,
    qom_core::BoxedError,
};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, memfd_create};
use vm_memory::MmapRegion;

use super::{
    mapping::{Backing, Mapping},
    settings,
};

/// Position of the logarithm of a huge page's size among the flags of `memfd_create(2)`
/// (`MAP_HUGE_SHIFT` of `mmap(2)`).
const HUGE_SHIFT: u32 = 26;

/// Memory that has a descriptor, so that another process can share it
#[qom_type(
    secure,
    parent = MemoryBackend,
    interfaces(UserCreatable),
    children = check
)]
#[derive(Debug)]
pub struct MemoryBackendMemfd {
    /// Whether others who have the descriptor see what the guest writes
    #[property(default = true)]
    share: bool,
    /// Whether nobody can change the size of the memory
    #[property(
        default = true,
        insecure_if(
            false,
            reason = "who is given the descriptor can shorten the memory, which ends the process \
                      when the guest next touches it"
        )
    )]
    seal: bool,
    /// Whether it is of huge pages
    #[property]
    hugetlb: bool,
    /// Size of the huge pages; the host's default if 0
    #[property]
    hugetlbsize: Size,
    mapping: Mapping,
}

/// Refuses what can't be. It announces no children.
fn check(configuration: &Configuration<'_>, _children: &mut Children) -> Result<(), PlanError> {
    settings::check(configuration)?;
    let (Size(size), Size(page)) = (configuration.get("size")?, configuration.get("hugetlbsize")?);
    if page == 0 {
        return Ok(());
    }
    if !configuration.get::<bool>("hugetlb")? {
        return Err(PlanError::refused("hugetlbsize", "'hugetlbsize' needs hugetlb=on"));
    }
    if !page.is_power_of_two() {
        let problem = format!("Parameter 'hugetlbsize' expects a power of two, got {page}");
        return Err(PlanError::refused("hugetlbsize", problem));
    }
    if !size.is_multiple_of(page) {
        let problem = format!("Parameter 'size' expects whole pages of {page} bytes, got {size}");
        return Err(PlanError::refused("size", problem));
    }
    Ok(())
}

impl MemoryBackendMemfd {
    fn create(&self, name: &str) -> io::Result<File> {
        let mut flags = MemfdFlags::CLOEXEC;
        if self.seal {
            flags |= MemfdFlags::ALLOW_SEALING;
        }
        if self.hugetlb {
            flags |= MemfdFlags::HUGETLB;
            if let Some(logarithm) = self.hugetlbsize.0.checked_ilog2() {
                flags |= MemfdFlags::from_bits_retain(logarithm << HUGE_SHIFT);
            }
        }
        let file = File::from(memfd_create(name, flags)?);
        file.set_len(self.size().0)?;
        if self.seal {
            fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        }
        if self.prealloc() {
            // What `mmap` can't get it leaves out; this says so.
            fallocate(&file, FallocateFlags::empty(), 0, self.size().0)?;
        }
        Ok(file)
    }
}

impl MemoryBackend for MemoryBackendMemfd {
    fn take(&self, parts: &[Range<u64>]) -> Result<Vec<Arc<MmapRegion>>, MemoryBackendError> {
        self.mapping.take(parts)
    }
}

impl UserCreatable for MemoryBackendMemfd {
    fn complete(&self, object: &Obj, _platform: &Platform) -> Result<(), BoxedError> {
        let size = self.size().0;
        let file = self.create(&object.name()).map_err(|source| MemoryBackendError::Host {
            action: format!("create {size} bytes of memory with a descriptor"),
            source,
        })?;
        Ok(self.mapping.open(Backing {
            backend: object.path().unwrap_or_default(),
            file: Some((Arc::new(file), 0)),
            size,
            flags: settings::flags(self, self.share),
            writable: true,
            huge_pages: self.hugetlb,
        })?)
    }

    fn undo(&self) {
        self.mapping.close();
    }
}
