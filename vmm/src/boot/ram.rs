//! Guest-physical ranges checked against the RAM that a guest has, and bytes put there.

use std::io::{self, Read};
use std::ops::Range;

use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryError, GuestMemoryMmap, GuestMemoryRegion,
};

/// Size of the buffer through which bytes reach guest memory when their source cannot write
/// there itself.
pub(super) const COPY_BUFFER: usize = 64 << 10;

/// All of `memory`, bytes.
pub(super) fn size(memory: &GuestMemoryMmap) -> u64 {
    memory.iter().fold(0, |sum: u64, region| sum.saturating_add(region.len()))
}

/// First address past the memory that goes on from `start` without a gap; `start` if it has none.
pub(super) fn contiguous_end(memory: &GuestMemoryMmap, start: u64) -> u64 {
    let mut end = start;
    while let Some(region) = memory.find_region(GuestAddress(end)) {
        match region.last_addr().0.checked_add(1) {
            Some(next) => end = next,
            // The address space ends with the region.
            None => return u64::MAX,
        }
    }
    end
}

/// Whether all of `range` is memory. An empty range is.
pub(super) fn contains(memory: &GuestMemoryMmap, range: &Range<u64>) -> bool {
    range.start >= range.end || contiguous_end(memory, range.start) >= range.end
}

/// Makes `range` zero. Memory that is zero already, as fresh memory is, is only read, so that
/// the host need not back it.
pub(super) fn zero(memory: &GuestMemoryMmap, range: &Range<u64>) -> Result<(), GuestMemoryError> {
    let mut buffer = [0; 4096];
    let zeros = [0; 4096];
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
        let (Some(chunk), Some(blank)) = (buffer.get_mut(..wanted), zeros.get(..wanted)) else {
            break;
        };
        memory.read_slice(chunk, GuestAddress(at))?;
        if chunk != blank {
            memory.write_slice(blank, GuestAddress(at))?;
        }
        at += wanted as u64;
    }
    Ok(())
}

/// Why bytes did not reach guest memory.
#[derive(Debug)]
pub(super) enum CopyError {
    /// The source failed.
    Read(io::Error),
    /// The source ended this many bytes early.
    Ended(u64),
    /// The memory is not there.
    Memory(GuestMemoryError),
}

/// Copies `length` bytes of a reader to `address`.
pub(super) fn copy_in(
    memory: &GuestMemoryMmap,
    reader: &mut dyn Read,
    address: u64,
    length: u64,
) -> Result<(), CopyError> {
    let mut buffer = vec![0; COPY_BUFFER];
    let mut at = address;
    let mut left = length;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = match reader.read(&mut buffer[..wanted]) {
            Ok(0) => return Err(CopyError::Ended(left)),
            Ok(read) => read.min(wanted),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        memory.write_slice(&buffer[..read], GuestAddress(at)).map_err(CopyError::Memory)?;
        at = at.saturating_add(read as u64);
        left -= read as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> GuestMemoryMmap {
        GuestMemoryMmap::from_ranges(&[
            (GuestAddress(0), 0x3000),
            (GuestAddress(0x3000), 0x1000),
            (GuestAddress(0x8000), 0x1000),
        ])
        .unwrap()
    }

    #[test]
    fn adjacent_regions_hold_a_range_together_and_a_gap_does_not() {
        let memory = memory();
        assert_eq!(size(&memory), 0x5000);
        assert!(contains(&memory, &(0x2000..0x4000)));
        assert!(!contains(&memory, &(0x2000..0x4001)));
        assert!(!contains(&memory, &(0x3fff..0x8001)));
        assert!(contains(&memory, &(0x8000..0x9000)));
        assert!(!contains(&memory, &(0..u64::MAX)));
    }

    #[test]
    fn zeroing_clears_exactly_its_range() {
        let memory = memory();
        memory.write_slice(&[0xaa; 0x3000], GuestAddress(0x1000)).unwrap();
        zero(&memory, &(0x1001..0x3fff)).unwrap();
        let mut seen = [0; 0x3000];
        memory.read_slice(&mut seen, GuestAddress(0x1000)).unwrap();
        assert_eq!(seen[0], 0xaa);
        assert_eq!(seen[0x2fff], 0xaa);
        assert!(seen[1..0x2fff].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_copy_tells_how_much_is_missing() {
        let memory = memory();
        let error = copy_in(&memory, &mut &[1, 2, 3][..], 0x10, 5).unwrap_err();
        assert!(matches!(error, CopyError::Ended(2)));
        assert_eq!(memory.read_obj::<u8>(GuestAddress(0x12)).unwrap(), 3);
    }
}
