//! `memory-backend-ram`: anonymous memory.

use std::{ops::Range, sync::Arc};

use device_model::{
    memory_backend::{MemoryBackend, MemoryBackendError},
    prelude::*,
    qom_core::BoxedError,
};
use vm_memory::MmapRegion;

use super::{
    mapping::{Backing, Mapping},
    settings,
};

/// Memory that no other process sees
#[qom_type(
    secure,
    parent = MemoryBackend,
    interfaces(UserCreatable),
    children = check
)]
#[derive(Debug)]
pub struct MemoryBackendRam {
    /// Whether processes that this one forks see what the guest writes, rather than a copy
    #[property]
    share: bool,
    mapping: Mapping,
}

/// Refuses what can't be. It announces no children.
fn check(configuration: &Configuration<'_>, _children: &mut Children) -> Result<(), PlanError> {
    settings::check(configuration)
}

impl MemoryBackend for MemoryBackendRam {
    fn take(&self, parts: &[Range<u64>]) -> Result<Vec<Arc<MmapRegion>>, MemoryBackendError> {
        self.mapping.take(parts)
    }
}

impl UserCreatable for MemoryBackendRam {
    fn complete(&self, object: &Obj, _platform: &Platform) -> Result<(), BoxedError> {
        Ok(self.mapping.open(Backing {
            backend: object.path().unwrap_or_default(),
            file: None,
            size: self.size().0,
            flags: settings::flags(self, self.share),
            writable: true,
            huge_pages: false,
        })?)
    }

    fn undo(&self) {
        self.mapping.close();
    }
}
