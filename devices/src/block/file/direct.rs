//! Transfers past the host's cache (`O_DIRECT`), of which the disk demands an alignment: what is not
//! aligned goes through a buffer that is.

use std::{fs::File, io};

use rustix::fs::{AtFlags, StatxFlags, statx};
use vm_memory::VolatileSlice;

use super::opened::Opened;

/// What transfers are multiples of, in bytes; powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alignment {
    /// Positions and lengths in the file.
    pub(super) file: u32,
    /// Addresses in memory.
    pub(super) memory: u32,
}

/// What every disk is content with, where nobody says more.
const SAFE: u32 = 4096;
/// The greatest alignment that is believed.
const MOST: u32 = 1 << 20;
/// How much is transferred through a buffer at once, in bytes.
const BUFFER: u64 = 1 << 20;

impl Alignment {
    /// What the file system says of a file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let told = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?;
        let told = (told.stx_mask & StatxFlags::DIOALIGN.bits() != 0)
            .then_some((told.stx_dio_offset_align, told.stx_dio_mem_align));
        let fits = |alignment: u32| alignment.is_power_of_two() && alignment <= MOST;
        Ok(match told {
            Some((file, memory)) if fits(file) && fits(memory) => Self { file, memory },
            _ => Self { file: SAFE, memory: SAFE },
        })
    }

    fn fits(self, buffers: &[VolatileSlice<'_>], offset: u64) -> bool {
        let multiple =
            |number: usize, of: u32| usize::try_from(of).is_ok_and(|of| number.is_multiple_of(of));
        offset.is_multiple_of(self.file.into())
            && buffers.iter().all(|buffer| {
                multiple(buffer.len(), self.file)
                    && multiple(buffer.ptr_guard().as_ptr().addr(), self.memory)
            })
    }
}

/// Memory that is aligned.
struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    fn new(length: usize, alignment: u32) -> Self {
        let alignment = usize::try_from(alignment).unwrap_or(1);
        let bytes = vec![0; length + alignment];
        let start = bytes.as_ptr().align_offset(alignment).min(alignment);
        Self { bytes, start, length }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

/// A piece of a transfer, as wide as the disk demands: where it begins in the file and how long it is,
/// and the part of it that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: u64,
    length: u64,
    skip: u64,
    meant: u64,
}

impl Piece {
    /// The next of `left` bytes from `offset` on.
    fn next(offset: u64, left: u64, unit: u64) -> Self {
        let skip = offset % unit;
        let meant = left.min(BUFFER - skip);
        Self { start: offset - skip, length: (skip + meant).next_multiple_of(unit), skip, meant }
    }

    const fn is_whole(self) -> bool {
        self.skip == 0 && self.meant == self.length
    }
}

/// The buffers, as far as they have been filled or emptied.
struct Cursor<'a> {
    buffers: Vec<VolatileSlice<'a>>,
}

impl<'a> Cursor<'a> {
    fn new(buffers: &[VolatileSlice<'a>]) -> Self {
        Self { buffers: buffers.iter().rev().copied().collect() }
    }

    /// Goes on by `count` bytes, with each stretch of them that is in one buffer, and where it
    /// stands among them.
    fn advance(
        &mut self,
        count: usize,
        mut each: impl FnMut(VolatileSlice<'a>, usize),
    ) -> io::Result<()> {
        let mut done = 0;
        while done < count {
            let Some(next) = self.buffers.pop() else { break };
            let stretch = next.len().min(count - done);
            each(next.subslice(0, stretch).map_err(io::Error::other)?, done);
            done += stretch;
            if stretch < next.len() {
                self.buffers.push(next.offset(stretch).map_err(io::Error::other)?);
            }
        }
        Ok(())
    }
}

fn total(buffers: &[VolatileSlice<'_>]) -> u64 {
    buffers.iter().map(|buffer| u64::try_from(buffer.len()).unwrap_or_default()).sum()
}

fn memory_size(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Reads all that the buffers hold.
pub(super) fn read(
    opened: &Opened,
    alignment: Alignment,
    into: &[VolatileSlice<'_>],
    offset: u64,
) -> io::Result<()> {
    if alignment.fits(into, offset) {
        return opened.read(into, offset);
    }
    pieces(alignment, into, offset, |piece, buffer, cursor| {
        opened.read(&[VolatileSlice::from(buffer.bytes())], piece.start)?;
        let (skip, meant) = (memory_size(piece.skip)?, memory_size(piece.meant)?);
        let bytes = buffer.bytes();
        cursor.advance(meant, |slice, at| slice.copy_from(&bytes[skip + at..]))
    })
}

/// Writes all that the buffers hold.
pub(super) fn write(
    opened: &Opened,
    alignment: Alignment,
    from: &[VolatileSlice<'_>],
    offset: u64,
) -> io::Result<()> {
    if alignment.fits(from, offset) {
        let _shared = opened.parts.read();
        return opened.write(from, offset);
    }
    pieces(alignment, from, offset, |piece, buffer, cursor| {
        let (skip, meant) = (memory_size(piece.skip)?, memory_size(piece.meant)?);
        let fill = |bytes: &mut [u8], cursor: &mut Cursor<'_>| {
            cursor.advance(meant, |slice, at| {
                slice.copy_to(&mut bytes[skip + at..]);
            })
        };
        if piece.is_whole() {
            fill(buffer.bytes(), cursor)?;
            let _shared = opened.parts.read();
            return opened.write(&[VolatileSlice::from(buffer.bytes())], piece.start);
        }
        // Nobody else writes between reading what is around it and writing that back.
        let _alone = opened.parts.write();
        opened.read(&[VolatileSlice::from(buffer.bytes())], piece.start)?;
        fill(buffer.bytes(), cursor)?;
        opened.write(&[VolatileSlice::from(buffer.bytes())], piece.start)
    })
}

/// Does something with each piece of a transfer.
fn pieces<'a>(
    alignment: Alignment,
    buffers: &[VolatileSlice<'a>],
    offset: u64,
    mut each: impl FnMut(Piece, &mut AlignedBuffer, &mut Cursor<'a>) -> io::Result<()>,
) -> io::Result<()> {
    let mut cursor = Cursor::new(buffers);
    let (mut offset, mut left) = (offset, total(buffers));
    while left > 0 {
        let piece = Piece::next(offset, left, alignment.file.into());
        let mut buffer = AlignedBuffer::new(memory_size(piece.length)?, alignment.memory);
        each(piece, &mut buffer, &mut cursor)?;
        offset = offset.checked_add(piece.meant).ok_or(io::ErrorKind::InvalidInput)?;
        left -= piece.meant;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use device_model::block::zero;

    use super::*;

    #[test]
    fn a_transfer_is_cut_where_the_disk_demands() {
        let piece = Piece::next(4000, 200, 4096);
        assert_eq!(piece, Piece { start: 0, length: 8192, skip: 4000, meant: 200 });
        assert!(!piece.is_whole());
        assert!(Piece::next(8192, 4096, 4096).is_whole());
        let long = Piece::next(100, u64::MAX / 2, 512);
        assert_eq!((long.start, long.length, long.skip), (0, BUFFER, 100));
        assert_eq!(long.meant, BUFFER - 100);
    }

    #[test]
    fn a_buffer_is_aligned_and_as_long_as_it_was_asked_for() {
        for (length, alignment) in [(1, 1), (512, 512), (8192, 4096), (4096, 1 << 20)] {
            let mut buffer = AlignedBuffer::new(length, alignment);
            let bytes = buffer.bytes();
            assert_eq!(bytes.len(), length);
            let alignment = usize::try_from(alignment).expect("it is small");
            assert!(bytes.as_ptr().addr().is_multiple_of(alignment));
        }
    }

    #[test]
    fn buffers_are_passed_through_in_order() {
        let (mut one, mut two) = ([1; 3], [2; 4]);
        let buffers = [VolatileSlice::from(&mut one[..]), VolatileSlice::from(&mut two[..])];
        let mut cursor = Cursor::new(&buffers);
        let mut seen = Vec::new();
        for count in [2, 3, 2] {
            let note = |slice: VolatileSlice<'_>, at| seen.push((slice.len(), at));
            cursor.advance(count, note).expect("they hold as much");
        }
        assert_eq!(seen, [(2, 0), (1, 0), (2, 1), (2, 0)]);
        zero(&buffers);
        assert_eq!((one, two), ([0; 3], [0; 4]));
    }
}
