//! What all memory backends check of their properties, and what they have in common for `mmap`.

use device_model::{
    memory_backend::MemoryBackend,
    prelude::{Configuration, PlanError, Size},
};
use libc::{MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED};

/// The processor's smallest page, in bytes, of which guests are given whole ones.
pub(super) const PAGE: u64 = 4096;

/// Refuses a size that no guest can be given, and properties that contradict each other.
pub(super) fn check(configuration: &Configuration<'_>) -> Result<(), PlanError> {
    let Size(size) = configuration.get("size")?;
    if size == 0 || !size.is_multiple_of(PAGE) || i64::try_from(size).is_err() {
        let problem = format!("Parameter 'size' expects a multiple of {PAGE} bytes, got {size}");
        return Err(PlanError::refused("size", problem));
    }
    if configuration.get("prealloc")? && !configuration.get::<bool>("reserve")? {
        let problem = "prealloc=on needs reserve=on: what is given at once is used";
        return Err(PlanError::refused("prealloc", problem));
    }
    Ok(())
}

/// The flags of `mmap(2)` that its properties stand for.
pub(super) fn flags(backend: &dyn MemoryBackend, share: bool) -> i32 {
    let mut flags = if share { MAP_SHARED } else { MAP_PRIVATE };
    if backend.prealloc() {
        flags |= MAP_POPULATE;
    }
    if !backend.reserve() {
        flags |= MAP_NORESERVE;
    }
    flags
}
