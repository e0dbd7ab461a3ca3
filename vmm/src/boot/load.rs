//! From a kernel's file to the state in which its first processor enters it.
//!
//! [`probe`] tells what a file is, [`load_kernel`] puts it into guest memory, [`load_initrd`] an
//! initial RAM disk beside it, and [`finish_boot`] writes what the boot protocol promises.

use std::io;
use std::ops::Range;

use thiserror::Error;
use vm_memory::GuestMemoryMmap;

use super::acpi::{self, AcpiError, AcpiPlatform};
use super::boot_params::{BootParams, BootParamsError};
use super::bzimage::{self, BzImageError};
use super::cmdline::{Cmdline, CmdlineError, LINUX_CMDLINE_MAX};
use super::elf::{self, ELF_MAGIC, ElfError, KernelEntry};
use super::entry::Entry;
use super::initrd::{self, Initrd, InitrdError};
use super::layout::{self, RamSizeError};
use super::long_mode;
use super::pvh::{PvhError, StartInfo};
use super::ram;
use super::setup_header::SetupHeader;
use super::source::{self, BootFile};
use super::structure::StructureError;
use crate::byte_count::ByteCount;

/// Highest address of an initial RAM disk's last byte for kernels that do not say: what Linux
/// says of itself on x86-64 (`arch/x86/boot/header.S`, `initrd_addr_max`).
const INITRD_ADDR_MAX: u64 = 0x7fff_ffff;
/// Bytes of a file that tell what it is: through the magic number of the setup header.
const PROBE_SIZE: usize = 0x206;

/// Why a guest cannot be booted from what was given.
#[derive(Debug, Error)]
pub enum BootError {
    /// The kernel's file failed.
    #[error("reading the kernel failed")]
    Read(#[source] io::Error),
    /// It has no bytes.
    #[error("kernel is an empty file")]
    Empty,
    /// It is no kernel.
    #[error(
        "kernel starts with {start:02x?}, expected an ELF executable ({ELF_MAGIC:02x?}) or a \
         bzImage (\"HdrS\" at 0x202)"
    )]
    NotAKernel {
        /// Its first bytes.
        start: Vec<u8>,
    },
    /// It is a bad ELF executable.
    #[error("ELF kernel cannot be loaded")]
    Elf(#[from] ElfError),
    /// It is a bad bzImage.
    #[error("bzImage kernel cannot be loaded")]
    BzImage(#[from] BzImageError),
    /// A bad initial RAM disk.
    #[error(transparent)]
    Initrd(#[from] InitrdError),
    /// A bad command line.
    #[error(transparent)]
    Cmdline(#[from] CmdlineError),
    /// A size that the board cannot have.
    #[error(transparent)]
    RamSize(#[from] RamSizeError),
    /// RAM that the memory map would tell of is not there.
    #[error("board RAM at {start:#x} to {end:#x} is not in guest memory of {}", ByteCount(*memory))]
    RamMissing {
        /// First guest-physical address.
        start: u64,
        /// First address past the end.
        end: u64,
        /// All of guest memory, bytes.
        memory: u64,
    },
    /// A platform that tables cannot describe.
    #[error("ACPI tables cannot be made")]
    Acpi(#[from] AcpiError),
    /// The zero page.
    #[error(transparent)]
    BootParams(#[from] BootParamsError),
    /// The PVH start information.
    #[error(transparent)]
    Pvh(#[from] PvhError),
    /// Another structure.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// A 64-bit kernel past what the boot page tables map.
    #[error(
        "64-bit kernel at {start:#x} to {end:#x}, expected below {:#x}, where the boot page \
         tables end",
        long_mode::MAPPED_END
    )]
    NotMapped {
        /// First guest-physical address.
        start: u64,
        /// First address past the end.
        end: u64,
    },
}

/// What a kernel's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelKind {
    /// An ELF executable.
    Elf,
    /// A Linux kernel with its setup code, as distributions install it.
    BzImage,
}

/// Tells what a kernel's file is, by its contents. The file's position is moved; nothing else is.
///
/// # Errors
/// It cannot be read, is empty, or is neither.
pub fn probe<F: BootFile>(file: &mut F) -> Result<KernelKind, BootError> {
    let mut start = [0; PROBE_SIZE];
    let found = source::read_start(file, &mut start).map_err(BootError::Read)?;
    let start = start.get(..found).unwrap_or_default();
    if start.is_empty() {
        return Err(BootError::Empty);
    }
    // Too few bytes to tell are judged as what they may be, so that the loader tells what lacks.
    let elf = start.len().min(ELF_MAGIC.len());
    if start.get(..elf) == ELF_MAGIC.get(..elf) {
        return Ok(KernelKind::Elf);
    }
    if SetupHeader::recognise(start) {
        return Ok(KernelKind::BzImage);
    }
    Err(BootError::NotAKernel { start: start.iter().take(4).copied().collect() })
}

/// A kernel in guest memory, not yet told anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedKernel {
    /// What its file was.
    pub kind: KernelKind,
    /// How it is entered.
    pub entry: KernelEntry,
    /// Guest-physical addresses that it takes up.
    pub range: Range<u64>,
    /// What it said of itself, if it came as a bzImage.
    pub header: Option<SetupHeader>,
}

impl LoadedKernel {
    /// Highest address that an initial RAM disk's last byte may have.
    pub fn initrd_addr_max(&self) -> u64 {
        self.header.as_ref().map_or(INITRD_ADDR_MAX, |header| header.initrd_addr_max().into())
    }

    /// Longest command line that it keeps, bytes without the NUL.
    pub fn cmdline_max(&self) -> usize {
        self.header.as_ref().map_or(LINUX_CMDLINE_MAX, |header| {
            usize::try_from(header.cmdline_size()).unwrap_or(usize::MAX)
        })
    }
}

/// Loads a kernel of either kind.
///
/// # Errors
/// What the loaders for ELF executables and bzImages find, or [`probe`]. A kernel whose headers
/// are bad leaves guest memory as it was; one that turns out damaged later does not.
pub fn load_kernel<F: BootFile>(
    file: &mut F,
    memory: &GuestMemoryMmap,
) -> Result<LoadedKernel, BootError> {
    let kind = probe(file)?;
    let (image, header) = match kind {
        KernelKind::Elf => (elf::load(file, memory)?, None),
        KernelKind::BzImage => {
            let loaded = bzimage::load(file, memory)?;
            (loaded.image, Some(loaded.header))
        }
    };
    Ok(LoadedKernel { kind, entry: image.entry, range: image.range, header })
}

/// Loads an initial RAM disk where a kernel will find it.
///
/// # Errors
/// It cannot be read, is empty, or does not fit.
pub fn load_initrd<F: BootFile>(
    file: &mut F,
    memory: &GuestMemoryMmap,
    kernel: &LoadedKernel,
) -> Result<Initrd, BootError> {
    Ok(initrd::load(file, memory, &kernel.range, kernel.initrd_addr_max())?)
}

/// What a kernel is to be told.
#[derive(Clone, Copy, Debug)]
pub struct BootInformation<'a> {
    /// RAM of the board, bytes; placed as [`layout::ram_ranges`] places it.
    pub ram_size: u64,
    /// Command line.
    pub cmdline: &'a Cmdline,
    /// Initial RAM disk, loaded for the same kernel.
    pub initrd: Option<Initrd>,
    /// Platform that ACPI tables describe; without it there are none.
    pub acpi: Option<&'a AcpiPlatform>,
}

/// Writes what a kernel is told, and what it needs to be entered; tells how it is entered.
///
/// # Errors
/// A command line longer than the kernel keeps; RAM that is not in guest memory; a platform, memory map or kernel that cannot be
/// described or entered; RAM too small for what is written.
pub fn finish_boot(
    kernel: &LoadedKernel,
    memory: &GuestMemoryMmap,
    information: &BootInformation<'_>,
) -> Result<Entry, BootError> {
    information.cmdline.check_length(kernel.cmdline_max())?;
    let memory_map = layout::memory_map(information.ram_size)?;
    for range in layout::ram_ranges(information.ram_size)? {
        if !ram::contains(memory, &range) {
            return Err(BootError::RamMissing {
                start: range.start,
                end: range.end,
                memory: ram::size(memory),
            });
        }
    }
    if matches!(kernel.entry, KernelEntry::Linux64 { .. })
        && kernel.range.end > long_mode::MAPPED_END
    {
        return Err(BootError::NotMapped { start: kernel.range.start, end: kernel.range.end });
    }
    let rsdp = match information.acpi {
        Some(platform) => Some(acpi::write_tables(platform, memory)?),
        None => None,
    };
    information.cmdline.write(memory)?;
    match kernel.entry {
        KernelEntry::Pvh { eip } => {
            StartInfo {
                memory_map: &memory_map,
                cmdline: layout::CMDLINE,
                initrd: information.initrd,
                rsdp,
            }
            .write(memory)?;
            Ok(Entry::Pvh { eip, start_info: START_INFO })
        }
        KernelEntry::Linux64 { rip } => {
            BootParams {
                header: kernel.header.as_ref(),
                memory_map: &memory_map,
                cmdline: layout::CMDLINE,
                initrd: information.initrd,
                rsdp,
            }
            .write(memory)?;
            long_mode::write_page_tables(memory)?;
            long_mode::write_gdt(memory)?;
            Ok(Entry::Linux64 {
                rip,
                boot_params: layout::ZERO_PAGE,
                page_table: layout::PML4,
                gdt: layout::GDT,
                gdt_limit: long_mode::GDT_LIMIT,
            })
        }
    }
}

/// The start information's address, as the 32-bit register that names it.
// The layout is below 1 MiB: nothing is cut off.
#[allow(clippy::cast_possible_truncation)]
const START_INFO: u32 = layout::PVH_START_INFO as u32;

#[cfg(test)]
mod tests;
