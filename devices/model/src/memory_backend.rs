//! Memory of the host that users create for guests.

use std::{io, ops::Range, sync::Arc};

use qom_core::{Object, Size, qom_type};
use thiserror::Error;
use vm_memory::MmapRegion;

/// Memory of the host for a guest
///
/// It states no boundary: what a guest writes there is nobody's to read but the guest's, and devices
/// that are told to look there answer for that themselves.
#[qom_type(abstract, parent = Object)]
pub trait MemoryBackend: Object {
    /// How much it is
    #[property(required)]
    fn size(&self) -> Size;

    /// Whether the host gives all of it at once, rather than each page when it is first touched
    #[property]
    fn prealloc(&self) -> bool;

    /// Whether the host counts it as used from the start, so that none is promised twice
    #[property(default = true)]
    fn reserve(&self) -> bool;

    /// Whether it is part of the process's core dumps
    #[property(default = true)]
    fn dump(&self) -> bool;

    /// Whether the host may keep pages of the same contents only once
    #[property(insecure_if(
        true,
        reason = "by the time that a write takes, a guest can tell whether another has a page of \
                  the same contents"
    ))]
    fn merge(&self) -> bool;

    /// Hands the memory over, cut into these ranges of its offsets, which follow each other from 0
    /// to its end: all of it to one user, for as long as that keeps any part.
    ///
    /// The user carries out [`MemoryBackend::dump`] and [`MemoryBackend::merge`].
    ///
    /// # Errors
    /// If it is somebody's already, the object has not taken up its work, these are no such ranges,
    /// or the host refuses.
    fn take(&self, parts: &[Range<u64>]) -> Result<Vec<Arc<MmapRegion>>, MemoryBackendError>;

    /// Whether it can be written to.
    fn is_writable(&self) -> bool {
        true
    }

    /// The VM has come to be, or to have this object: what the object made on the host is to stay,
    /// even when the object goes. Before, it goes with it.
    fn keep(&self) {}
}

/// Why there is no such memory.
#[derive(Debug, Error)]
pub enum MemoryBackendError {
    /// It serves another.
    #[error("memory backend '{backend}' is used already")]
    InUse {
        /// Its path.
        backend: String,
    },
    /// It has not taken up its work, or given it up.
    #[error("the memory backend is not at work")]
    Absent,
    /// Ranges that are not the whole.
    #[error("expected ranges that make up all {size} bytes of '{backend}'")]
    Parts {
        /// Its path.
        backend: String,
        /// Its size, in bytes.
        size: u64,
    },
    /// The host refuses.
    #[error("can't {action}")]
    Host {
        /// What was tried.
        action: String,
        /// What it says.
        source: io::Error,
    },
}
