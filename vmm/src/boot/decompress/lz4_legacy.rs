//! The LZ4 legacy frame, as kernels are compressed with, decoded as a reader.
//!
//! The frame is a magic number and blocks of 8 MiB, each with its compressed length before it
//! (LZ4 frame format description, "Legacy frame"). It has no end mark: it ends where the file
//! does. A kernel's build appends the length of the unpacked kernel, 4 bytes.

use std::io::{self, Read};

use thiserror::Error;

/// Bytes that a block unpacks to at most.
const BLOCK_SIZE: usize = 8 << 20;
/// Bytes that a block takes at most, incompressible ones included (`LZ4_COMPRESSBOUND`).
const BLOCK_COMPRESSED_MAX: usize = BLOCK_SIZE + BLOCK_SIZE / 255 + 16;
/// First bytes of a frame. They may stand between blocks too, where frames were joined.
const MAGIC: [u8; 4] = 0x184c_2102_u32.to_le_bytes();

/// A frame that cannot be unpacked.
#[derive(Debug, Error)]
enum Lz4Error {
    #[error("starts with {found:02x?}, expected {MAGIC:02x?}")]
    Magic { found: [u8; 4] },
    #[error("LZ4 block of {found} bytes, expected 1 to {BLOCK_COMPRESSED_MAX}")]
    BlockSize { found: u32 },
    #[error("LZ4 block ends after {found} of {expected} bytes")]
    BlockTruncated { found: usize, expected: usize },
    #[error("damaged LZ4 block")]
    Block(#[source] lz4_flex::block::DecompressError),
}

/// Unpacks a legacy frame block by block.
///
/// A block is unpacked at once, so this takes up to 16 MiB.
#[derive(Debug)]
pub(super) struct Lz4LegacyReader<R> {
    input: R,
    compressed: Vec<u8>,
    unpacked: Vec<u8>,
    /// Bytes of `unpacked` that are of the current block.
    length: usize,
    /// How many of them were read.
    read: usize,
}

impl<R: Read> Lz4LegacyReader<R> {
    /// Reads the magic number.
    pub(super) fn new(mut input: R) -> io::Result<Self> {
        let mut found = [0; 4];
        input.read_exact(&mut found)?;
        if found != MAGIC {
            return Err(invalid(Lz4Error::Magic { found }));
        }
        Ok(Self { input, compressed: Vec::new(), unpacked: Vec::new(), length: 0, read: 0 })
    }

    /// Unpacks the next block. `false` at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        let Some(size) = self.block_size()? else {
            return Ok(false);
        };
        let expected = usize::try_from(size).unwrap_or(usize::MAX);
        if expected == 0 || expected > BLOCK_COMPRESSED_MAX {
            // The length of the unpacked kernel, if nothing follows it.
            if self.input.read(&mut [0])? == 0 {
                return Ok(false);
            }
            return Err(invalid(Lz4Error::BlockSize { found: size }));
        }
        self.compressed.clear();
        self.compressed.reserve_exact(expected);
        let found = (&mut self.input).take(u64::from(size)).read_to_end(&mut self.compressed)?;
        if found == 0 {
            return Ok(false);
        }
        if found < expected {
            return Err(invalid(Lz4Error::BlockTruncated { found, expected }));
        }
        self.unpacked.resize(BLOCK_SIZE, 0);
        self.length = lz4_flex::block::decompress_into(&self.compressed, &mut self.unpacked)
            .map_err(|error| invalid(Lz4Error::Block(error)))?;
        self.read = 0;
        Ok(true)
    }

    /// The length before a block, past magic numbers. `None` where the input has no more.
    fn block_size(&mut self) -> io::Result<Option<u32>> {
        loop {
            let mut field = [0; 4];
            match self.input.read_exact(&mut field) {
                Ok(()) if field == MAGIC => {}
                Ok(()) => return Ok(Some(u32::from_le_bytes(field))),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

impl<R: Read> Read for Lz4LegacyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.read == self.length {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let ready = self.unpacked.get(self.read..self.length).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        let (Some(from), Some(to)) = (ready.get(..count), buffer.get_mut(..count)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        self.read += count;
        Ok(count)
    }
}

/// An error of the input's.
fn invalid(error: Lz4Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A legacy frame, made block by block.
    fn frame(bytes: &[u8]) -> Vec<u8> {
        let mut frame = MAGIC.to_vec();
        for block in bytes.chunks(BLOCK_SIZE) {
            let block = lz4_flex::block::compress(block);
            frame.extend((block.len() as u32).to_le_bytes());
            frame.extend(block);
        }
        frame
    }

    fn unpack(frame: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Lz4LegacyReader::new(frame)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at / 100) as u8).collect()
    }

    #[test]
    fn a_frame_of_several_blocks_unpacks() {
        let bytes = sample(BLOCK_SIZE + 12345);
        assert_eq!(unpack(&frame(&bytes)).unwrap(), bytes);
    }

    #[test]
    fn the_length_that_a_kernel_build_appends_is_no_block() {
        for length in [1_000_u32, 16 << 20] {
            let bytes = sample(1_000);
            let mut frame = frame(&bytes);
            frame.extend(length.to_le_bytes());
            assert_eq!(unpack(&frame).unwrap(), bytes);
        }
    }

    #[test]
    fn a_magic_number_between_blocks_is_passed_over() {
        let bytes = sample(1_000);
        let twice = [frame(&bytes), frame(&bytes)].concat();
        assert_eq!(unpack(&twice).unwrap(), [&bytes[..], &bytes].concat());
    }

    #[test]
    fn a_block_cut_short_is_an_error() {
        let frame = frame(&sample(1_000));
        for length in 9..frame.len() {
            let error = unpack(&frame[..length]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}");
        }
    }

    #[test]
    fn block_lengths_are_bounded() {
        for size in [0, BLOCK_COMPRESSED_MAX as u32 + 1, u32::MAX] {
            let mut frame = MAGIC.to_vec();
            frame.extend(size.to_le_bytes());
            frame.extend([0; 16]);
            let error = unpack(&frame).unwrap_err();
            assert!(error.to_string().contains("LZ4 block of"), "{error}");
        }
    }

    #[test]
    fn a_block_that_unpacks_to_more_than_its_limit_is_an_error() {
        let mut frame = MAGIC.to_vec();
        let block = lz4_flex::block::compress(&vec![0; BLOCK_SIZE + 1]);
        frame.extend((block.len() as u32).to_le_bytes());
        frame.extend(block);
        let error = unpack(&frame).unwrap_err();
        assert_eq!(error.to_string(), "damaged LZ4 block");
    }

    #[test]
    fn another_magic_number_is_refused() {
        assert!(unpack(b"\x04\x22\x4d\x18").is_err());
    }
}
