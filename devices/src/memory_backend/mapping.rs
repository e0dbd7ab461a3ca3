//! A mapping that is made when its object begins to work, and handed over to whoever uses it.

use std::{
    fs::File,
    io,
    ops::Range,
    sync::{Arc, Weak},
};

use device_model::{memory_backend::MemoryBackendError, prelude::Mutex};
use libc::{MAP_ANONYMOUS, PROT_READ, PROT_WRITE};
use vm_memory::{
    FileOffset, MmapRegion,
    mmap::{MmapRegionBuilder, MmapRegionError},
};

/// What is mapped, and how.
#[derive(Clone, Debug)]
pub(super) struct Backing {
    /// Path of the object, for messages.
    pub(super) backend: String,
    /// Where it is, from which offset on; nowhere if it is anonymous.
    pub(super) file: Option<(Arc<File>, u64)>,
    /// In bytes.
    pub(super) size: u64,
    /// Of `mmap(2)`.
    pub(super) flags: i32,
    pub(super) writable: bool,
    pub(super) huge_pages: bool,
}

impl Backing {
    fn map(&self, part: &Range<u64>) -> Result<Arc<MmapRegion>, MemoryBackendError> {
        let length = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
        let anonymous = if self.file.is_some() { 0 } else { MAP_ANONYMOUS };
        let protection = if self.writable { PROT_READ | PROT_WRITE } else { PROT_READ };
        let mut builder = MmapRegionBuilder::new(length)
            .with_mmap_prot(protection)
            .with_mmap_flags(self.flags | anonymous)
            .with_hugetlbfs(self.huge_pages);
        if let Some((file, offset)) = &self.file {
            let start = offset.saturating_add(part.start);
            builder = builder.with_file_offset(FileOffset::from_arc(Arc::clone(file), start));
        }
        builder.build().map(Arc::new).map_err(|error| MemoryBackendError::Host {
            action: format!("map {length} bytes of memory"),
            source: match error {
                MmapRegionError::Mmap(error) => error,
                error => io::Error::other(error),
            },
        })
    }
}

/// The memory of an object. Nothing is mapped before [`Mapping::open`].
#[derive(Debug, Default)]
pub(super) struct Mapping(Mutex<Option<State>>);

#[derive(Debug)]
struct State {
    backing: Backing,
    /// All of it, until somebody takes it.
    whole: Option<Arc<MmapRegion>>,
    /// What was taken. It is in use while any of this is there.
    taken: Vec<Weak<MmapRegion>>,
}

impl Mapping {
    /// Maps all of it, so that it is known whether that can be.
    pub(super) fn open(&self, backing: Backing) -> Result<(), MemoryBackendError> {
        let whole = Some(backing.map(&(0..backing.size))?);
        *self.0.lock() = Some(State { backing, whole, taken: Vec::new() });
        Ok(())
    }

    /// The file, while it is mapped.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        let state = self.0.lock();
        state.as_ref()?.backing.file.as_ref().map(|(file, _)| Arc::clone(file))
    }

    /// Lets go of it. What was taken stays with whoever took it.
    pub(super) fn close(&self) {
        *self.0.lock() = None;
    }

    /// See [`MemoryBackend::take`](device_model::memory_backend::MemoryBackend::take).
    pub(super) fn take(
        &self,
        parts: &[Range<u64>],
    ) -> Result<Vec<Arc<MmapRegion>>, MemoryBackendError> {
        let mut state = self.0.lock();
        let state = state.as_mut().ok_or(MemoryBackendError::Absent)?;
        let (backend, size) = (state.backing.backend.clone(), state.backing.size);
        if state.taken.iter().any(|part| part.strong_count() > 0) {
            return Err(MemoryBackendError::InUse { backend });
        }
        if !make_up(parts, size) {
            return Err(MemoryBackendError::Parts { backend, size });
        }
        // One mapping can't be cut; what takes its place shows the same file, or as empty memory.
        let whole = state.whole.take().filter(|_| parts.len() == 1);
        let taken = match whole {
            Some(whole) => vec![whole],
            None => parts.iter().map(|part| state.backing.map(part)).collect::<Result<_, _>>()?,
        };
        state.taken = taken.iter().map(Arc::downgrade).collect();
        Ok(taken)
    }
}

/// Whether ranges follow each other from 0 to the end of so many bytes, none of them empty.
fn make_up(parts: &[Range<u64>], size: u64) -> bool {
    let end = parts
        .iter()
        .try_fold(0, |end, part| (part.start == end && part.start < part.end).then_some(part.end));
    end == Some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init)] // One part is a list of one.
    fn ranges_make_up_the_whole_if_they_follow_each_other_from_end_to_end() {
        let good: [&[Range<u64>]; 2] = [&[0..8], &[0..3, 3..8]];
        for parts in good {
            assert!(make_up(parts, 8), "{parts:?}");
        }
        let (backwards, behind) = (Range { start: 3, end: 2 }, 0..9);
        let bad: [&[Range<u64>]; 7] = [
            &[],
            &[0..7],
            &[behind],
            &[1..8],
            &[0..3, 4..8],
            &[0..4, 3..8],
            &[0..3, backwards, 2..8],
        ];
        for parts in bad {
            assert!(!make_up(parts, 8), "{parts:?}");
        }
    }
}
