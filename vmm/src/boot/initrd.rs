//! Places an initial RAM disk in guest memory: high, and clear of the kernel.

use std::io::{self, SeekFrom};
use std::ops::Range;

use thiserror::Error;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::layout::{KERNEL_MIN, LOW_RAM_END};
use super::ram;
use super::source::{self, BootFile};
use crate::byte_count::ByteCount;

/// Bytes of a page, to which the disk is aligned.
const PAGE: u64 = 4096;

/// An initial RAM disk in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initrd {
    /// Guest-physical address, at the start of a page.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

/// Why an initial RAM disk cannot be loaded.
#[derive(Debug, Error)]
pub enum InitrdError {
    /// The file failed.
    #[error("reading the initial RAM disk failed")]
    Read(#[from] io::Error),
    /// It has no bytes.
    #[error("initial RAM disk is empty")]
    Empty,
    /// There is no room for it.
    #[error(
        "initial RAM disk of {} does not fit: the kernel is at {:#x} to {:#x} and allows addresses \
         to {max:#x}, RAM below 3 GiB ends at {ram_end:#x}",
        ByteCount(*size),
        kernel.start,
        kernel.end
    )]
    NoRoom {
        /// Bytes of the disk.
        size: u64,
        /// Where the kernel lies, guest-physical.
        kernel: Range<u64>,
        /// Highest address that the kernel allows.
        max: u64,
        /// First address past the RAM in question.
        ram_end: u64,
    },
    /// The guest's memory failed, or the file shrank.
    #[error("initial RAM disk of {} cannot be copied to {address:#x}", ByteCount(*size))]
    Copy {
        /// Guest-physical.
        address: u64,
        /// Bytes.
        size: u64,
        /// What the memory says.
        #[source]
        source: GuestMemoryError,
    },
}

/// Where `size` bytes fit: as high as may be, whole pages apart from the kernel.
fn place(size: u64, kernel: &Range<u64>, max: u64, ram_end: u64) -> Option<u64> {
    let top = ram_end.min(max.saturating_add(1));
    let below = |end: u64, floor: u64| {
        let address = end.checked_sub(size)? / PAGE * PAGE;
        (address >= floor).then_some(address)
    };
    below(top, kernel.end.max(KERNEL_MIN)).or_else(|| below(top.min(kernel.start), KERNEL_MIN))
}

/// Loads an initial RAM disk, clear of a `kernel` that allows its bytes up to address `max`.
///
/// # Errors
/// What [`InitrdError`] lists. Memory is untouched unless the file fails while it is copied.
pub fn load<F: BootFile>(
    file: &mut F,
    memory: &GuestMemoryMmap,
    kernel: &Range<u64>,
    max: u64,
) -> Result<Initrd, InitrdError> {
    let size = source::file_length(file)?;
    if size == 0 {
        return Err(InitrdError::Empty);
    }
    let ram_end = ram::contiguous_end(memory, KERNEL_MIN).min(LOW_RAM_END);
    let no_room = || InitrdError::NoRoom { size, kernel: kernel.clone(), max, ram_end };
    let address = place(size, kernel, max, ram_end).ok_or_else(no_room)?;
    let count = usize::try_from(size).map_err(|_| no_room())?;
    file.seek(SeekFrom::Start(0))?;
    memory.read_exact_volatile_from(GuestAddress(address), file, count).map_err(|source| {
        match source {
            GuestMemoryError::IOError(error) => InitrdError::Read(error),
            source => InitrdError::Copy { address, size, source },
        }
    })?;
    Ok(Initrd { address, size })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::boot::crafted::memory;

    const MIB: u64 = 1 << 20;

    #[test]
    fn it_lies_as_high_as_ram_and_kernel_allow() {
        let memory = memory(16 << 20);
        let bytes: Vec<u8> = (0..0x1801_u32).map(|at| at as u8).collect();
        let kernel = MIB..2 * MIB;
        let initrd = load(&mut Cursor::new(&bytes), &memory, &kernel, u64::MAX).unwrap();
        assert_eq!(initrd, Initrd { address: 16 * MIB - 0x2000, size: 0x1801 });
        let mut seen = vec![0; bytes.len()];
        memory.read_slice(&mut seen, GuestAddress(initrd.address)).unwrap();
        assert_eq!(seen, bytes);

        let initrd = load(&mut Cursor::new(&bytes), &memory, &kernel, 8 * MIB - 1).unwrap();
        assert_eq!(initrd.address, 8 * MIB - 0x2000);
    }

    #[test]
    fn it_goes_below_a_kernel_that_lies_high() {
        let memory = memory(16 << 20);
        let kernel = 15 * MIB + 123..16 * MIB;
        let initrd = load(&mut Cursor::new([1; 5000]), &memory, &kernel, u64::MAX).unwrap();
        assert_eq!(initrd.address, 15 * MIB - 0x2000);
    }

    #[test]
    fn without_room_it_is_refused_with_the_sizes() {
        let kernel = MIB..3 * MIB;
        let error = load(
            &mut Cursor::new(vec![0; MIB as usize + 1]),
            &memory(4 << 20),
            &kernel,
            0x7fff_ffff,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "initial RAM disk of 1048577 bytes does not fit: the kernel is at \
             0x100000 to 0x300000 and allows addresses to 0x7fffffff, RAM below 3 GiB ends at \
             0x400000"
        );
    }

    #[test]
    fn an_empty_one_is_refused() {
        assert!(matches!(
            load(&mut Cursor::new([]), &memory(4 << 20), &(MIB..2 * MIB), u64::MAX),
            Err(InitrdError::Empty)
        ));
    }

    proptest! {
        #[test]
        fn a_place_is_always_in_bounds(
            size in 1_u64..,
            start: u64,
            length: u64,
            max: u64,
            ram_end in 0..=LOW_RAM_END,
        ) {
            let kernel = start..start.saturating_add(length);
            for size in [size, size % (64 * MIB) + 1] {
                if let Some(address) = place(size, &kernel, max, ram_end) {
                    prop_assert!(address.is_multiple_of(PAGE));
                    prop_assert!(address >= KERNEL_MIN);
                    let end = address.checked_add(size).unwrap();
                    prop_assert!(end <= ram_end && end - 1 <= max);
                    prop_assert!(end <= kernel.start || address >= kernel.end);
                }
            }
        }
    }
}
