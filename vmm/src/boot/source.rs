//! Where the bytes of an executable come from: a file, or a decoder that only goes forward.

use std::io::{self, Read, Seek, SeekFrom};

use thiserror::Error;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap, ReadVolatile};

use super::ram::{self, CopyError};
use crate::byte_count::ByteCount;

/// A file that a guest is booted from: read at any place, and straight into guest memory.
///
/// `std::fs::File` and `std::io::Cursor` are.
pub trait BootFile: Read + Seek + ReadVolatile {}

impl<T: Read + Seek + ReadVolatile> BootFile for T {}

/// Why bytes of an executable could not be had.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The file or the decoder failed.
    #[error("reading failed")]
    Read(#[source] io::Error),
    /// It ends too early.
    #[error("truncated: {} at offset {offset:#x} are not all there", ByteCount(*length))]
    Truncated {
        /// Where the bytes should start.
        offset: u64,
        /// How many there should be.
        length: u64,
    },
    /// A decoder was to go back.
    #[error(
        "compressed executable whose parts overlap in the file: \
         offset {offset:#x} is wanted after {position:#x} was read"
    )]
    Backward {
        /// Where the bytes are.
        offset: u64,
        /// How far was read.
        position: u64,
    },
    /// The guest has no memory there.
    #[error("guest memory at {address:#x} cannot be written")]
    Memory {
        /// Guest-physical.
        address: u64,
        /// What the memory says.
        #[source]
        source: GuestMemoryError,
    },
}

/// Bytes at offsets of an executable.
pub(super) trait Source {
    /// Length in bytes, where it is known without reading all.
    fn length(&self) -> Option<u64>;

    /// Fills `buffer` from `offset`.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError>;

    /// Puts `length` bytes from `offset` at a guest-physical address.
    fn load_at(
        &mut self,
        offset: u64,
        length: u64,
        memory: &GuestMemoryMmap,
        address: u64,
    ) -> Result<(), SourceError>;
}

/// The length of a file, by seeking to its end.
pub(super) fn file_length(file: &mut impl Seek) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

/// Reads up to `buffer.len()` bytes from the start of a file; tells how many there were.
pub(super) fn read_start(file: &mut (impl Read + Seek), buffer: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(0))?;
    read_up_to(file, buffer)
}

/// Fills `buffer` unless the reader ends first; tells how many bytes there were.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// An executable that is a file.
#[derive(Debug)]
pub(super) struct FileSource<'a, F> {
    file: &'a mut F,
    length: u64,
}

impl<'a, F: BootFile> FileSource<'a, F> {
    pub(super) fn new(file: &'a mut F) -> io::Result<Self> {
        let length = file_length(file)?;
        Ok(Self { file, length })
    }

    /// Refuses what lies outside the file before anything seeks there.
    fn seek(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(SourceError::Truncated { offset, length });
        }
        self.file.seek(SeekFrom::Start(offset)).map(|_| ()).map_err(SourceError::Read)
    }
}

impl<F: BootFile> Source for FileSource<'_, F> {
    fn length(&self) -> Option<u64> {
        Some(self.length)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.seek(offset, buffer.len() as u64)?;
        self.file.read_exact(buffer).map_err(SourceError::Read)
    }

    fn load_at(
        &mut self,
        offset: u64,
        length: u64,
        memory: &GuestMemoryMmap,
        address: u64,
    ) -> Result<(), SourceError> {
        self.seek(offset, length)?;
        let count =
            usize::try_from(length).map_err(|_| SourceError::Truncated { offset, length })?;
        memory.read_exact_volatile_from(GuestAddress(address), self.file, count).map_err(|source| {
            match source {
                GuestMemoryError::IOError(error) => SourceError::Read(error),
                source => SourceError::Memory { address, source },
            }
        })
    }
}

/// How much of its start a [`StreamSource`] keeps, so that a segment may include the headers.
pub(super) const HEAD: usize = 8 << 10;

/// An executable that comes out of a decoder. Offsets may only rise, except within [`HEAD`].
pub(super) struct StreamSource<R> {
    reader: R,
    head: Vec<u8>,
    /// Bytes taken from the reader; at least those of `head`.
    position: u64,
}

impl<R: Read> StreamSource<R> {
    pub(super) fn new(mut reader: R) -> io::Result<Self> {
        let mut head = vec![0; HEAD];
        let filled = read_up_to(&mut reader, &mut head)?;
        head.truncate(filled);
        Ok(Self { reader, head, position: filled as u64 })
    }

    /// The kept bytes from `offset`, at most `length`.
    fn kept(&self, offset: u64, length: u64) -> &[u8] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = usize::try_from(offset.saturating_add(length)).unwrap_or(usize::MAX);
        self.head.get(start..end.min(self.head.len())).unwrap_or_default()
    }

    /// Goes forward to `offset`, whose `length` bytes are wanted.
    fn skip_to(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
        let Some(distance) = offset.checked_sub(self.position) else {
            return Err(SourceError::Backward { offset, position: self.position });
        };
        let skipped = io::copy(&mut (&mut self.reader).take(distance), &mut io::sink())
            .map_err(SourceError::Read)?;
        self.position += skipped;
        if skipped < distance {
            return Err(SourceError::Truncated { offset, length });
        }
        Ok(())
    }

    /// Reads what is left, so that the decoder sees its checks; tells the length of the whole.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        let rest = io::copy(&mut self.reader, &mut io::sink())?;
        Ok(self.position.saturating_add(rest))
    }
}

impl<R: Read> Source for StreamSource<R> {
    fn length(&self) -> Option<u64> {
        None
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let length = buffer.len() as u64;
        let kept = self.kept(offset, length);
        let (from_head, from_reader) = buffer.split_at_mut(kept.len());
        from_head.copy_from_slice(kept);
        if from_reader.is_empty() {
            return Ok(());
        }
        self.skip_to(offset.saturating_add(from_head.len() as u64), length)?;
        let read = read_up_to(&mut self.reader, from_reader).map_err(SourceError::Read)?;
        self.position += read as u64;
        if read < from_reader.len() {
            return Err(SourceError::Truncated { offset, length });
        }
        Ok(())
    }

    fn load_at(
        &mut self,
        offset: u64,
        length: u64,
        memory: &GuestMemoryMmap,
        address: u64,
    ) -> Result<(), SourceError> {
        let kept = self.kept(offset, length);
        memory
            .write_slice(kept, GuestAddress(address))
            .map_err(|source| SourceError::Memory { address, source })?;
        let kept = kept.len() as u64;
        let rest = length - kept;
        if rest == 0 {
            return Ok(());
        }
        self.skip_to(offset.saturating_add(kept), length)?;
        ram::copy_in(memory, &mut self.reader, address.saturating_add(kept), rest).map_err(
            |error| match error {
                CopyError::Read(error) => SourceError::Read(error),
                CopyError::Ended(_) => SourceError::Truncated { offset, length },
                CopyError::Memory(source) => SourceError::Memory { address, source },
            },
        )?;
        self.position += rest;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn numbered(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    fn memory() -> GuestMemoryMmap {
        GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x10000)]).unwrap()
    }

    #[test]
    fn a_file_and_a_stream_give_the_same_bytes() {
        let bytes = numbered(HEAD * 3);
        let memory = memory();
        let mut cursor = Cursor::new(bytes.clone());
        let mut file = FileSource::new(&mut cursor).unwrap();
        let mut stream = StreamSource::new(&bytes[..]).unwrap();
        let sources: [&mut dyn Source; 2] = [&mut file, &mut stream];
        for source in sources {
            let mut start = [0; 16];
            source.read_at(0, &mut start).unwrap();
            assert_eq!(start, bytes[..16]);
            // Across the end of what a stream keeps.
            let from = HEAD as u64 - 10;
            source.load_at(from, 30, &memory, 0x100).unwrap();
            let mut seen = [0; 30];
            memory.read_slice(&mut seen, GuestAddress(0x100)).unwrap();
            assert_eq!(seen, bytes[HEAD - 10..HEAD + 20]);
            // Back within what a stream keeps, then on.
            source.read_at(3, &mut start).unwrap();
            assert_eq!(start, bytes[3..19]);
            source.read_at(HEAD as u64 * 2, &mut start).unwrap();
            assert_eq!(start, bytes[HEAD * 2..HEAD * 2 + 16]);
        }
    }

    #[test]
    fn a_stream_cannot_go_back() {
        let bytes = numbered(HEAD * 3);
        let mut stream = StreamSource::new(&bytes[..]).unwrap();
        let mut buffer = [0; 4];
        stream.read_at(HEAD as u64 + 100, &mut buffer).unwrap();
        assert!(matches!(
            stream.read_at(HEAD as u64 + 50, &mut buffer),
            Err(SourceError::Backward { .. })
        ));
    }

    #[test]
    fn offsets_past_the_end_are_truncations() {
        let memory = memory();
        for length in [0, 10, HEAD, HEAD + 10] {
            let bytes = numbered(length);
            let mut cursor = Cursor::new(bytes.clone());
            let mut file = FileSource::new(&mut cursor).unwrap();
            let mut stream = StreamSource::new(&bytes[..]).unwrap();
            let sources: [&mut dyn Source; 2] = [&mut file, &mut stream];
            for source in sources {
                for offset in [length as u64, length as u64 + 5, u64::MAX] {
                    assert!(matches!(
                        source.load_at(offset, 1, &memory, 0),
                        Err(SourceError::Truncated { .. })
                    ));
                    assert!(matches!(
                        source.read_at(offset, &mut [0]),
                        Err(SourceError::Truncated { .. })
                    ));
                }
            }
        }
    }

    #[test]
    fn finishing_a_stream_tells_its_length() {
        let bytes = numbered(HEAD + 77);
        let stream = StreamSource::new(&bytes[..]).unwrap();
        assert_eq!(stream.finish().unwrap(), HEAD as u64 + 77);
    }
}
