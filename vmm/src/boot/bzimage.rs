//! Loads a bzImage: unpacks the kernel inside on the host, or loads it as its boot protocol says.

use std::io::{self, Read, SeekFrom};

use thiserror::Error;
use vm_memory::{GuestMemoryError, GuestMemoryMmap};

use super::decompress::{Compression, DecompressError};
use super::elf::{self, ElfError, ElfImage, KernelEntry};
use super::layout::KERNEL_MIN;
use super::ram::{self, CopyError};
use super::setup_header::{SETUP_HEADER_END, SetupHeader, SetupHeaderError};
use super::source::{self, BootFile, StreamSource};
use crate::byte_count::ByteCount;

/// The 64-bit entry point, bytes past the start of the protected-mode code
/// (`Documentation/arch/x86/boot.rst`, "64-bit Boot Protocol").
const ENTRY_64: u64 = 0x200;
/// Bytes of a payload that tell its format.
const MAGIC_SIZE: u64 = 6;

/// Why a bzImage cannot be loaded.
#[derive(Debug, Error)]
pub enum BzImageError {
    /// Too short to have a 64-bit entry.
    #[error(
        "{length} bytes of protected-mode code, and the 64-bit entry is {ENTRY_64} bytes into it"
    )]
    NoEntry {
        /// Bytes that there are.
        length: u64,
    },
    /// The file failed.
    #[error("reading failed")]
    Read(#[from] io::Error),
    /// Its header.
    #[error("bad setup header")]
    Header(#[from] SetupHeaderError),
    /// The compressed kernel is not all in the file.
    #[error(
        "payload at {start:#x} to {end:#x} ({}) is outside the file of {}",
        ByteCount(end.saturating_sub(*start)),
        ByteCount(*length)
    )]
    PayloadOutside {
        /// First offset.
        start: u64,
        /// First offset past the end.
        end: u64,
        /// Length of the file.
        length: u64,
    },
    /// A decoder refused it.
    #[error("payload cannot be unpacked")]
    Decompress(#[from] DecompressError),
    /// What came out is not a kernel that can be loaded; or the decoder found damage on the way.
    #[error("kernel unpacked from the {compression} payload cannot be loaded")]
    Payload {
        /// How it was compressed.
        compression: Compression,
        /// What is wrong with it.
        #[source]
        source: ElfError,
    },
    /// Damage after the last byte that was loaded.
    #[error("{compression} payload is damaged")]
    Damaged {
        /// How it was compressed.
        compression: Compression,
        /// What the decoder says.
        #[source]
        source: io::Error,
    },
    /// Nothing here can unpack it, and it cannot be entered in 64-bit mode to unpack itself.
    #[error(
        "payload starts with {magic:02x?}, expected gzip, lz4, zstd, xz, lzma or ELF; and the \
         kernel has no 64-bit entry point (XLF_KERNEL_64) to unpack itself from"
    )]
    NoWayIn {
        /// First bytes of the payload.
        magic: Vec<u8>,
    },
    /// An alignment that is none.
    #[error("kernel alignment {found:#x}, expected a power of two")]
    Alignment {
        /// What the header says.
        found: u32,
    },
    /// No room for the kernel to unpack itself.
    #[error(
        "kernel needs {} at {address:#x}, outside the guest's RAM of {}",
        ByteCount(*size),
        ByteCount(*ram)
    )]
    OutsideRam {
        /// Guest-physical.
        address: u64,
        /// Bytes needed.
        size: u64,
        /// RAM of the guest, bytes.
        ram: u64,
    },
    /// The file became shorter while the kernel was copied.
    #[error("protected-mode code of {} ends {} early", ByteCount(*length), ByteCount(*missing))]
    Ended {
        /// Bytes there should be.
        length: u64,
        /// How many of them there are not.
        missing: u64,
    },
    /// The guest's memory failed.
    #[error("protected-mode code of {} cannot be copied to {address:#x}", ByteCount(*length))]
    Memory {
        /// Guest-physical.
        address: u64,
        /// Bytes.
        length: u64,
        /// What the memory says.
        #[source]
        source: GuestMemoryError,
    },
}

/// A Linux kernel in guest memory, from a bzImage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BzImage {
    /// Where it lies and how it is entered.
    pub image: ElfImage,
    /// What it said of itself.
    pub header: SetupHeader,
}

/// Loads a bzImage.
///
/// The kernel inside is unpacked on the host, straight into guest memory, at the physical
/// addresses it is linked to. Where its format has no decoder here, the compressed kernel is
/// loaded as it is and will unpack itself.
///
/// # Errors
/// What [`BzImageError`] lists.
pub fn load<F: BootFile>(file: &mut F, memory: &GuestMemoryMmap) -> Result<BzImage, BzImageError> {
    let length = source::file_length(file)?;
    let mut start = [0; SETUP_HEADER_END];
    let found = source::read_start(file, &mut start)?;
    let header = SetupHeader::parse(start.get(..found).unwrap_or_default())?;
    let payload = header.payload();
    if payload.end > length {
        return Err(BzImageError::PayloadOutside {
            start: payload.start,
            end: payload.end,
            length,
        });
    }
    file.seek(SeekFrom::Start(payload.start))?;
    let mut magic = Vec::new();
    Read::take(&mut *file, MAGIC_SIZE.min(payload.end - payload.start)).read_to_end(&mut magic)?;
    let image = match Compression::detect(&magic) {
        Some(compression) => {
            file.seek(SeekFrom::Start(payload.start))?;
            let packed = Read::take(&mut *file, payload.end - payload.start);
            unpack(packed, compression, memory)?
        }
        None if header.has_64_bit_entry() => load_packed(file, length, &header, memory)?,
        None => return Err(BzImageError::NoWayIn { magic }),
    };
    Ok(BzImage { image, header })
}

/// Unpacks the kernel into guest memory.
fn unpack(
    packed: impl Read,
    compression: Compression,
    memory: &GuestMemoryMmap,
) -> Result<ElfImage, BzImageError> {
    let damaged = |source| BzImageError::Damaged { compression, source };
    let decoder = compression.decoder(packed, ram::size(memory))?;
    let mut source = StreamSource::new(decoder).map_err(damaged)?;
    let image = elf::load_source(&mut source, memory)
        .map_err(|source| BzImageError::Payload { compression, source })?;
    // Relocations follow the executable, and then what the format has to check it by.
    source.finish().map_err(damaged)?;
    Ok(image)
}

/// Loads the protected-mode code, to be entered in 64-bit mode.
fn load_packed<F: BootFile>(
    file: &mut F,
    file_length: u64,
    header: &SetupHeader,
    memory: &GuestMemoryMmap,
) -> Result<ElfImage, BzImageError> {
    // The payload lies in it and ends in the file.
    let length = file_length.saturating_sub(header.setup_size());
    if length <= ENTRY_64 {
        return Err(BzImageError::NoEntry { length });
    }
    let size = length.max(u64::from(header.init_size()));
    let fits = |address: u64| {
        let end = address.checked_add(size)?;
        let range = address..end;
        (address >= KERNEL_MIN && ram::contains(memory, &range)).then_some(range)
    };
    let preferred = match header.pref_address() {
        0 => KERNEL_MIN,
        address => address,
    };
    let mut place = fits(preferred);
    if place.is_none() && header.relocatable() {
        let found = header.kernel_alignment();
        if !found.is_power_of_two() {
            return Err(BzImageError::Alignment { found });
        }
        place = fits(KERNEL_MIN.next_multiple_of(u64::from(found)));
    }
    let range = place.ok_or(BzImageError::OutsideRam {
        address: preferred,
        size,
        ram: ram::size(memory),
    })?;
    file.seek(SeekFrom::Start(header.setup_size()))?;
    ram::copy_in(memory, file, range.start, length).map_err(|error| match error {
        CopyError::Read(error) => BzImageError::Read(error),
        CopyError::Ended(missing) => BzImageError::Ended { length, missing },
        CopyError::Memory(source) => BzImageError::Memory { address: range.start, length, source },
    })?;
    Ok(ElfImage {
        entry: KernelEntry::Linux64 { rip: range.start.saturating_add(ENTRY_64) },
        range,
    })
}

#[cfg(test)]
mod tests;
