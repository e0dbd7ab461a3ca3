//! Why an ELF executable cannot be loaded.

use std::ops::Range;

use thiserror::Error;

use super::note::NoteError;
use super::{
    ELF_MAGIC, ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_EXEC, HEADER_SIZE, MAX_NOTE_SEGMENT,
    MAX_PROGRAM_HEADERS, PROGRAM_HEADER_SIZE,
};
use crate::boot::layout::KERNEL_MIN;
use crate::boot::source::SourceError;
use crate::byte_count::ByteCount;

/// Why an ELF executable cannot be loaded.
#[derive(Debug, Error)]
pub enum ElfError {
    /// No bytes at all.
    #[error("empty file")]
    Empty,
    /// Too short for the header.
    #[error("truncated: ELF header has {found} bytes, expected {HEADER_SIZE}")]
    HeaderTruncated {
        /// Bytes there are.
        found: u64,
    },
    /// Another kind of file.
    #[error("not an ELF file: starts with {found:02x?}, expected {ELF_MAGIC:02x?}")]
    NotElf {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// 32-bit, or nonsense.
    #[error("ELF class {found}, expected {ELFCLASS64} (64-bit)")]
    Class {
        /// `e_ident[EI_CLASS]`.
        found: u8,
    },
    /// Big-endian, or nonsense.
    #[error("ELF data encoding {found}, expected {ELFDATA2LSB} (little-endian)")]
    Encoding {
        /// `e_ident[EI_DATA]`.
        found: u8,
    },
    /// For another processor.
    #[error("ELF machine {found}, expected {EM_X86_64} (x86-64)")]
    Machine {
        /// `e_machine`.
        found: u16,
    },
    /// A relocatable or shared object, or a core dump.
    #[error("ELF type {found}, expected {ET_EXEC} (executable)")]
    Type {
        /// `e_type`.
        found: u16,
    },
    /// Program headers of another size.
    #[error("ELF program headers of {found} bytes, expected {PROGRAM_HEADER_SIZE}")]
    ProgramHeaderSize {
        /// `e_phentsize`.
        found: u16,
    },
    /// None or too many program headers.
    #[error("{found} ELF program headers, expected 1 to {MAX_PROGRAM_HEADERS}")]
    ProgramHeaderCount {
        /// `e_phnum`.
        found: u16,
    },
    /// The bytes of something could not be had.
    #[error("{what}")]
    Source {
        /// What was being read.
        what: String,
        /// Why it failed.
        #[source]
        source: SourceError,
    },
    /// Nothing to load.
    #[error("no loadable segment among {program_headers} program headers")]
    NothingToLoad {
        /// How many program headers there are.
        program_headers: u16,
    },
    /// More in the file than in memory.
    #[error("segment {index} has {} in the file but {} in memory", ByteCount(*file_size), ByteCount(*memory_size))]
    FileLargerThanMemory {
        /// Number of the program header.
        index: usize,
        /// `p_filesz`.
        file_size: u64,
        /// `p_memsz`.
        memory_size: u64,
    },
    /// An end that does not fit 64 bits.
    #[error("segment {index} of {} at {start:#x} ends past the 64-bit range", ByteCount(*size))]
    SegmentOverflow {
        /// Number of the program header.
        index: usize,
        /// Offset in the file, or guest-physical address.
        start: u64,
        /// Bytes.
        size: u64,
    },
    /// Below where kernels may lie.
    #[error(
        "segment {index} at {start:#x} lies below {KERNEL_MIN:#x}, \
         where the structures a kernel is booted with are"
    )]
    SegmentTooLow {
        /// Number of the program header.
        index: usize,
        /// Guest-physical.
        start: u64,
    },
    /// Not all in RAM.
    #[error(
        "segment {index} at {start:#x} to {end:#x} ({}) is outside the guest's RAM of {}",
        ByteCount(*size),
        ByteCount(*ram)
    )]
    OutsideRam {
        /// Number of the program header.
        index: usize,
        /// First address.
        start: u64,
        /// First address past the end.
        end: u64,
        /// Bytes.
        size: u64,
        /// RAM of the guest, bytes.
        ram: u64,
    },
    /// Two segments at one place.
    #[error("segments at {first:#x?} and {second:#x?} overlap in memory")]
    SegmentsOverlap {
        /// The lower one's guest-physical addresses.
        first: Range<u64>,
        /// The other's.
        second: Range<u64>,
    },
    /// Too many bytes of notes.
    #[error("note segment of {}, expected at most {}", ByteCount(*found), ByteCount(MAX_NOTE_SEGMENT))]
    NoteSegmentTooLarge {
        /// `p_filesz`.
        found: u64,
    },
    /// Notes that make no sense.
    #[error("bad note")]
    Note(#[from] NoteError),
    /// Starts where nothing was loaded.
    #[error("entry point {entry:#x} is in none of the loaded segments ({start:#x} to {end:#x})")]
    EntryOutside {
        /// Guest-physical.
        entry: u64,
        /// Lowest address loaded.
        start: u64,
        /// First address past the highest loaded.
        end: u64,
    },
}
