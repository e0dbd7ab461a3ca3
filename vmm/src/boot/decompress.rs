//! Decoders for the payload of a compressed kernel, each a reader with bounded memory and output.

mod lz4_legacy;

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read},
};

use lzma_rust2::{LzmaReader, XzReader};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use thiserror::Error;

use self::lz4_legacy::Lz4LegacyReader;
use crate::byte_count::ByteCount;

/// Greatest window of a zstd frame, bytes: that of Linux's own boot decoder
/// (`lib/decompress_unzstd.c`, `ZSTD_WINDOWSIZE_MAX`).
pub const ZSTD_WINDOW_MAX: u64 = 128 << 20;
/// Memory that decoding xz or LZMA may take, KiB: for a dictionary of 128 MiB, the greatest that
/// Linux's build gives xz (`scripts/xz_wrap.sh`), and what the decoder needs besides.
pub const LZMA_MEMORY_MAX_KIB: u32 = (128 << 10) + 1024;

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: an ELF executable as it is.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// The LZ4 "legacy frame" (LZ4 frame format description, "Legacy frame").
    Lz4Legacy,
    /// Zstandard (RFC 8878).
    Zstd,
    /// xz (The .xz File Format).
    Xz,
    /// LZMA alone, the format before xz.
    Lzma,
}

impl Compression {
    /// Recognises a payload by its first bytes; `None` where no decoder here knows them, as those
    /// of bzip2 and LZO.
    ///
    /// The magic numbers are those that Linux itself looks for (`lib/decompress.c`), in the length
    /// that each format's own description gives.
    pub fn detect(start: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Compression); 6] = [
            (b"\x7fELF", Compression::None),
            (b"\x1f\x8b", Compression::Gzip),
            (b"\x02\x21\x4c\x18", Compression::Lz4Legacy),
            (b"\x28\xb5\x2f\xfd", Compression::Zstd),
            (b"\xfd7zXZ\0", Compression::Xz),
            (b"\x5d\0\0", Compression::Lzma),
        ];
        MAGIC
            .iter()
            .find(|(magic, _)| start.starts_with(magic))
            .map(|&(_, compression)| compression)
    }

    /// A reader of what `input` unpacks to. It fails once that is more than `limit` bytes.
    ///
    /// # Errors
    /// A header that cannot be read, or that asks for too much memory.
    pub fn decoder<'a>(
        self,
        input: impl Read + 'a,
        limit: u64,
    ) -> Result<Box<dyn Read + 'a>, DecompressError> {
        let input = BufReader::with_capacity(64 << 10, input);
        let header = |source| DecompressError::Header { compression: self, source };
        Ok(match self {
            Self::None => Box::new(Limited::new(input, limit)),
            Self::Gzip => Box::new(Limited::new(flate2::bufread::GzDecoder::new(input), limit)),
            Self::Lz4Legacy => {
                Box::new(Limited::new(Lz4LegacyReader::new(input).map_err(header)?, limit))
            }
            Self::Zstd => Box::new(Limited::new(ZstdReader::new(input).map_err(header)?, limit)),
            Self::Xz => Box::new(Limited::new(
                XzReader::new_mem_limit(input, false, LZMA_MEMORY_MAX_KIB),
                limit,
            )),
            Self::Lzma => Box::new(Limited::new(
                LzmaReader::new_mem_limit(input, LZMA_MEMORY_MAX_KIB, None).map_err(header)?,
                limit,
            )),
        })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Lz4Legacy => "lz4",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
        })
    }
}

/// Why a payload cannot be unpacked. Errors found while reading come inside an [`io::Error`].
#[derive(Debug, Error)]
pub enum DecompressError {
    /// Its header.
    #[error("bad {compression} header")]
    Header {
        /// What it was recognised as.
        compression: Compression,
        /// What the decoder says.
        #[source]
        source: io::Error,
    },
    /// It unpacks to more than the guest could hold.
    #[error("unpacks to more than the guest's RAM of {}", ByteCount(*limit))]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// A checksum over the contents.
    #[error("{compression} checksum {found:#x}, expected {expected:#x}")]
    Checksum {
        /// What it is compressed with.
        compression: Compression,
        /// Of the bytes unpacked.
        found: u32,
        /// As the file says.
        expected: u32,
    },
}

/// A reader that fails once more than a limit came out of it.
struct Limited<R> {
    inner: R,
    limit: u64,
    left: u64,
}

impl<R> Limited<R> {
    fn new(inner: R, limit: u64) -> Self {
        Self { inner, limit, left: limit }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                self.left = 0;
                Err(io::Error::other(DecompressError::TooLarge { limit: self.limit }))
            }
        }
    }
}

/// One zstd frame, its checksum compared at the end.
struct ZstdReader<R: Read> {
    decoder: StreamingDecoder<R, FrameDecoder>,
}

impl<R: BufRead> ZstdReader<R> {
    fn new(input: R) -> io::Result<Self> {
        let decoder = StreamingDecoder::new_with_max_window_size(input, ZSTD_WINDOW_MAX)
            .map_err(io::Error::other)?;
        Ok(Self { decoder })
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            let frame = &self.decoder.decoder;
            if let (Some(expected), Some(found)) =
                (frame.get_checksum_from_data(), frame.get_calculated_checksum())
                && expected != found
            {
                return Err(io::Error::other(DecompressError::Checksum {
                    compression: Compression::Zstd,
                    found,
                    expected,
                }));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
pub(super) mod tests;
