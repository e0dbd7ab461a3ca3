//! Loads ELF executables for x86-64: a Linux `vmlinux`, or any other kernel built like it.

mod error;
pub mod note;

use std::ops::Range;

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

pub use error::ElfError;

use super::layout::KERNEL_MIN;
use super::little_endian::{bytes_at, u16_at, u32_at, u64_at};
use super::ram;
use super::source::{BootFile, FileSource, Source, SourceError};

/// First bytes of an ELF file.
pub const ELF_MAGIC: [u8; 4] = *b"\x7fELF";
/// Bytes of an ELF64 header.
const HEADER_SIZE: usize = 64;
/// Bytes of an ELF64 program header.
const PROGRAM_HEADER_SIZE: u16 = 56;
/// Program headers that a kernel may have. Linux has five; this bounds what is read for them,
/// and lets all of them lie in what a stream keeps of its start.
pub const MAX_PROGRAM_HEADERS: u16 = 128;
/// Bytes that a note segment may have. Linux's has some hundreds.
pub const MAX_NOTE_SEGMENT: u64 = 64 << 10;

/// `e_ident[EI_CLASS]` of 64-bit files.
const ELFCLASS64: u8 = 2;
/// `e_ident[EI_DATA]` of little-endian files.
const ELFDATA2LSB: u8 = 1;
/// `e_type` of an executable linked to fixed addresses.
const ET_EXEC: u16 = 2;
/// `e_machine` of x86-64.
const EM_X86_64: u16 = 62;
/// `p_type` of what is loaded.
const PT_LOAD: u32 = 1;
/// `p_type` of notes.
const PT_NOTE: u32 = 4;

/// How a loaded kernel is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelEntry {
    /// By its PVH note: 32-bit, at this guest-physical address.
    Pvh {
        /// First instruction.
        eip: u32,
    },
    /// By the 64-bit Linux boot protocol, at this guest-physical address.
    Linux64 {
        /// First instruction.
        rip: u64,
    },
}

/// An ELF executable in guest memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfImage {
    /// How it is entered.
    pub entry: KernelEntry,
    /// From its lowest address to past its highest, with what its segments leave out.
    pub range: Range<u64>,
}

/// A program header, as far as a loader cares.
#[derive(Clone, Copy, Debug)]
struct Segment {
    index: usize,
    kind: u32,
    offset: u64,
    file_size: u64,
    address: u64,
    memory_size: u64,
    alignment: u64,
}

impl Segment {
    /// Its place in the file.
    fn in_file(&self) -> Result<Range<u64>, ElfError> {
        range(self.index, self.offset, self.file_size)
    }

    /// Its place in guest memory.
    fn in_memory(&self) -> Result<Range<u64>, ElfError> {
        range(self.index, self.address, self.memory_size)
    }
}

/// The range from `start`, where it does not wrap.
fn range(index: usize, start: u64, size: u64) -> Result<Range<u64>, ElfError> {
    let end = start.checked_add(size);
    let end = end.ok_or(ElfError::SegmentOverflow { index, start, size })?;
    Ok(start..end)
}

/// Loads an ELF executable from a file at the physical addresses it is linked to.
///
/// Memory is touched only once the headers were found good. A file that fails later, as one on a
/// failing disk, leaves parts of itself in guest memory.
///
/// # Errors
/// What [`ElfError`] lists.
pub fn load<F: BootFile>(file: &mut F, memory: &GuestMemoryMmap) -> Result<ElfImage, ElfError> {
    let mut source = FileSource::new(file).map_err(|error| ElfError::Source {
        what: "length of the file".into(),
        source: SourceError::Read(error),
    })?;
    load_source(&mut source, memory)
}

/// Loads an ELF executable from a file or a decoder.
pub(super) fn load_source(
    source: &mut dyn Source,
    memory: &GuestMemoryMmap,
) -> Result<ElfImage, ElfError> {
    let segments = read_segments(source)?;
    let (mut loads, mut notes) = (Vec::new(), Vec::new());
    for segment in segments.list {
        match segment.kind {
            PT_LOAD if segment.memory_size > 0 => loads.push(segment),
            PT_LOAD if segment.file_size > 0 => {
                return Err(ElfError::FileLargerThanMemory {
                    index: segment.index,
                    file_size: segment.file_size,
                    memory_size: 0,
                });
            }
            PT_NOTE if segment.file_size > 0 => notes.push(segment),
            _ => {}
        }
    }
    check_loads(&mut loads, source.length(), memory)?;
    let (Some(first), Some(last)) = (loads.first(), loads.last()) else {
        return Err(ElfError::NothingToLoad { program_headers: segments.program_headers });
    };
    let whole = first.address..last.in_memory()?.end;

    let pvh = load_segments(source, memory, &loads, &notes)?;
    let entry = match pvh {
        Some(eip) => KernelEntry::Pvh { eip },
        None => KernelEntry::Linux64 { rip: segments.entry },
    };
    let address = match entry {
        KernelEntry::Pvh { eip } => u64::from(eip),
        KernelEntry::Linux64 { rip } => rip,
    };
    if !loads
        .iter()
        .any(|load| address >= load.address && address - load.address < load.memory_size)
    {
        return Err(ElfError::EntryOutside { entry: address, start: whole.start, end: whole.end });
    }
    Ok(ElfImage { entry, range: whole })
}

/// What the headers say.
struct Segments {
    entry: u64,
    program_headers: u16,
    list: Vec<Segment>,
}

/// Reads and checks the ELF header and the program headers.
fn read_segments(source: &mut dyn Source) -> Result<Segments, ElfError> {
    let header = read_header(source)?;
    if let Some(found) = bytes_at::<4>(&header, 0).filter(|found| *found != ELF_MAGIC) {
        return Err(ElfError::NotElf { found });
    }
    let [class, encoding] = bytes_at(&header, 4).unwrap_or_default();
    if class != ELFCLASS64 {
        return Err(ElfError::Class { found: class });
    }
    if encoding != ELFDATA2LSB {
        return Err(ElfError::Encoding { found: encoding });
    }
    // The header is as long as all of its fields, so that none of these is absent.
    let half = |offset| u16_at(&header, offset).unwrap_or_default();
    let double = |offset| u64_at(&header, offset).unwrap_or_default();
    let (kind, machine) = (half(16), half(18));
    if machine != EM_X86_64 {
        return Err(ElfError::Machine { found: machine });
    }
    if kind != ET_EXEC {
        return Err(ElfError::Type { found: kind });
    }
    let (entry, table, size, count) = (double(24), double(32), half(54), half(56));
    if size != PROGRAM_HEADER_SIZE {
        return Err(ElfError::ProgramHeaderSize { found: size });
    }
    if count == 0 || count > MAX_PROGRAM_HEADERS {
        return Err(ElfError::ProgramHeaderCount { found: count });
    }
    let mut bytes = vec![0; usize::from(size) * usize::from(count)];
    source
        .read_at(table, &mut bytes)
        .map_err(|source| ElfError::Source { what: format!("{count} program headers"), source })?;
    let list = bytes
        .chunks_exact(usize::from(size))
        .enumerate()
        .map(|(index, bytes)| {
            let double = |offset| u64_at(bytes, offset).unwrap_or_default();
            Segment {
                index,
                kind: u32_at(bytes, 0).unwrap_or_default(),
                offset: double(8),
                address: double(24),
                file_size: double(32),
                memory_size: double(40),
                alignment: double(48),
            }
        })
        .collect();
    Ok(Segments { entry, program_headers: count, list })
}

/// Reads the ELF header, telling an empty from a truncated file.
fn read_header(source: &mut dyn Source) -> Result<[u8; HEADER_SIZE], ElfError> {
    let mut header = [0; HEADER_SIZE];
    match source.read_at(0, &mut header) {
        Ok(()) => Ok(header),
        Err(SourceError::Truncated { .. }) => {
            // How long it is, and whether what there is starts like an ELF file.
            let mut found = 0;
            while let Some(byte) = header.get_mut(found..=found) {
                if source.read_at(found as u64, byte).is_err() {
                    break;
                }
                found += 1;
            }
            match bytes_at::<4>(&header, 0) {
                _ if found == 0 => Err(ElfError::Empty),
                Some(start) if found >= 4 && start != ELF_MAGIC => {
                    Err(ElfError::NotElf { found: start })
                }
                _ => Err(ElfError::HeaderTruncated { found: found as u64 }),
            }
        }
        Err(source) => Err(ElfError::Source { what: "ELF header".into(), source }),
    }
}

/// Checks what is to be loaded before any of it is, and sorts it by address.
fn check_loads(
    loads: &mut [Segment],
    file_length: Option<u64>,
    memory: &GuestMemoryMmap,
) -> Result<(), ElfError> {
    for load in loads.iter() {
        let index = load.index;
        if load.file_size > load.memory_size {
            return Err(ElfError::FileLargerThanMemory {
                index,
                file_size: load.file_size,
                memory_size: load.memory_size,
            });
        }
        let in_file = load.in_file()?;
        let in_memory = load.in_memory()?;
        if in_memory.start < KERNEL_MIN {
            return Err(ElfError::SegmentTooLow { index, start: in_memory.start });
        }
        if !ram::contains(memory, &in_memory) {
            return Err(ElfError::OutsideRam {
                index,
                start: in_memory.start,
                end: in_memory.end,
                size: load.memory_size,
                ram: ram::size(memory),
            });
        }
        if file_length.is_some_and(|length| in_file.end > length) {
            return Err(segment_source(
                index,
                SourceError::Truncated { offset: load.offset, length: load.file_size },
            ));
        }
    }
    loads.sort_unstable_by_key(|load| load.address);
    for (first, second) in loads.iter().zip(loads.iter().skip(1)) {
        let (first, second) = (first.in_memory()?, second.in_memory()?);
        if first.end > second.start {
            return Err(ElfError::SegmentsOverlap { first, second });
        }
    }
    Ok(())
}

/// An error while reading a segment.
fn segment_source(index: usize, source: SourceError) -> ElfError {
    ElfError::Source { what: format!("segment {index}"), source }
}

/// Loads segments in the order in which the file has them, and finds the PVH entry in passing.
///
/// Notes usually lie inside a loaded segment; then they are read from guest memory afterwards,
/// since a decoder cannot go back to them.
fn load_segments(
    source: &mut dyn Source,
    memory: &GuestMemoryMmap,
    loads: &[Segment],
    notes: &[Segment],
) -> Result<Option<u32>, ElfError> {
    let mut inside = Vec::new();
    let mut order: Vec<&Segment> = loads.iter().collect();
    for note in notes {
        if note.file_size > MAX_NOTE_SEGMENT {
            return Err(ElfError::NoteSegmentTooLarge { found: note.file_size });
        }
        let in_file = note.in_file()?;
        // `check_loads` saw that the ends of loaded segments do not wrap.
        let holder = loads.iter().find(|load| {
            in_file.start >= load.offset
                && in_file.end <= load.offset.saturating_add(load.file_size)
        });
        match holder {
            Some(load) => inside.push((note, load.address + (in_file.start - load.offset))),
            None => order.push(note),
        }
    }
    order.sort_by_key(|segment| segment.offset);

    let mut entry = None;
    for segment in order {
        let failed = |source| segment_source(segment.index, source);
        if segment.kind == PT_NOTE {
            let mut bytes = note_buffer(segment)?;
            source.read_at(segment.offset, &mut bytes).map_err(failed)?;
            entry = entry.or(note::pvh_entry(&bytes, segment.alignment)?);
        } else {
            source
                .load_at(segment.offset, segment.file_size, memory, segment.address)
                .map_err(failed)?;
            let blank = segment.address + segment.file_size..segment.in_memory()?.end;
            let address = blank.start;
            ram::zero(memory, &blank)
                .map_err(|source| failed(SourceError::Memory { address, source }))?;
        }
    }
    for (note, address) in inside {
        let mut bytes = note_buffer(note)?;
        memory.read_slice(&mut bytes, GuestAddress(address)).map_err(|source| {
            segment_source(note.index, SourceError::Memory { address, source })
        })?;
        entry = entry.or(note::pvh_entry(&bytes, note.alignment)?);
    }
    Ok(entry)
}

/// Room for the bytes of a note segment whose size was checked.
fn note_buffer(note: &Segment) -> Result<Vec<u8>, ElfError> {
    let found = note.file_size;
    let size = usize::try_from(found).map_err(|_| ElfError::NoteSegmentTooLarge { found })?;
    Ok(vec![0; size])
}

#[cfg(test)]
mod tests;
