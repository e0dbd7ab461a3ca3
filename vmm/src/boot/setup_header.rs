//! The setup header of a bzImage: what a Linux kernel says of itself to its boot loader.
//!
//! Offsets and meanings are those of Linux's `Documentation/arch/x86/boot.rst`, section "The
//! Real-Mode Kernel Header"; offsets count from the start of the file, and of `boot_params` alike.

use std::ops::Range;

use thiserror::Error;

use super::little_endian::{bytes_at, u16_at, u32_at, u64_at};

/// Start of the header.
pub const SETUP_HEADER_START: usize = 0x1f1;
/// First offset past what the zero page keeps for the header
/// (`Documentation/arch/x86/zero-page.rst`).
pub const SETUP_HEADER_END: usize = 0x290;

/// Size of the setup code in sectors, less the first; 8 bits.
const SETUP_SECTS: usize = 0x1f1;
/// Always [`BOOT_FLAG_MAGIC`]; 16 bits.
const BOOT_FLAG: usize = 0x1fe;
/// A short jump over the header, which tells where it ends: the operand, 8 bits.
const JUMP_OPERAND: usize = 0x201;
/// Always [`HEADER_MAGIC`].
const HEADER: usize = 0x202;
/// Boot protocol, major and minor number; 16 bits.
const VERSION: usize = 0x206;
/// Highest address of the initial RAM disk's last byte; 32 bits.
const INITRD_ADDR_MAX: usize = 0x22c;
/// Alignment where the kernel is relocatable; 32 bits.
const KERNEL_ALIGNMENT: usize = 0x230;
/// Whether the kernel may be loaded at other addresses; 8 bits.
const RELOCATABLE_KERNEL: usize = 0x234;
/// Flags, of which bit 0 is [`XLF_KERNEL_64`]; 16 bits.
const XLOADFLAGS: usize = 0x236;
/// Longest command line without its NUL; 32 bits.
const CMDLINE_SIZE: usize = 0x238;
/// Offset of the compressed kernel in the protected-mode code; 32 bits.
const PAYLOAD_OFFSET: usize = 0x248;
/// Length of the compressed kernel; 32 bits.
const PAYLOAD_LENGTH: usize = 0x24c;
/// Where the kernel would like to be loaded; 64 bits.
const PREF_ADDRESS: usize = 0x258;
/// Memory that the kernel needs from where it runs, before it reads the memory map; 32 bits.
const INIT_SIZE: usize = 0x260;

/// Value of `boot_flag`.
pub const BOOT_FLAG_MAGIC: u16 = 0xaa55;
/// Value of `header`.
pub const HEADER_MAGIC: [u8; 4] = *b"HdrS";
/// First protocol that tells where the payload is: 2.08.
const VERSION_PAYLOAD: u16 = 0x208;
/// First protocol that tells whether there is a 64-bit entry point: 2.12.
const VERSION_64_BIT: u16 = 0x20c;
/// There is a 64-bit entry point, 0x200 past the start of the protected-mode code.
const XLF_KERNEL_64: u16 = 1;
/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Sectors of setup code where the header says 0.
const SETUP_SECTS_DEFAULT: u8 = 4;

/// Why a setup header cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SetupHeaderError {
    /// The file ends within it.
    #[error("truncated: setup header ends at {found:#x}, expected {expected:#x}")]
    Truncated {
        /// Bytes of the file there are.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// No boot sector.
    #[error("boot flag {found:#06x}, expected {BOOT_FLAG_MAGIC:#06x}")]
    BootFlag {
        /// What it holds.
        found: u16,
    },
    /// A boot sector, but not a Linux kernel's.
    #[error("setup header starts with {found:02x?}, expected {HEADER_MAGIC:02x?}")]
    Magic {
        /// What it holds.
        found: [u8; 4],
    },
    /// A kernel of before 2008.
    #[error(
        "boot protocol {}.{:02}, expected 2.08 or later",
        found >> 8,
        found & 0xff
    )]
    Version {
        /// Major number in the high byte, minor in the low.
        found: u16,
    },
    /// A header whose end is before its fields or past its room.
    #[error(
        "setup header ends at {found:#x} by its own jump, expected {least:#x} to \
         {SETUP_HEADER_END:#x}"
    )]
    End {
        /// Offset that the jump goes to.
        found: usize,
        /// Least offset for the protocol.
        least: usize,
    },
}

/// The setup header of a kernel, as read from its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupHeader {
    /// From [`SETUP_HEADER_START`] to the header's own end.
    raw: Vec<u8>,
    setup_size: u64,
    version: u16,
    initrd_addr_max: u32,
    kernel_alignment: u32,
    relocatable: bool,
    xloadflags: u16,
    cmdline_size: u32,
    payload_offset: u32,
    payload_length: u32,
    pref_address: u64,
    init_size: u32,
}

impl SetupHeader {
    /// Whether a file that starts with these bytes is a Linux kernel in this format.
    pub fn recognise(start: &[u8]) -> bool {
        u16_at(start, BOOT_FLAG) == Some(BOOT_FLAG_MAGIC)
            && bytes_at(start, HEADER) == Some(HEADER_MAGIC)
    }

    /// Reads the header out of the first bytes of a file, [`SETUP_HEADER_END`] of them or all.
    ///
    /// # Errors
    /// What [`SetupHeaderError`] lists.
    pub fn parse(start: &[u8]) -> Result<Self, SetupHeaderError> {
        let truncated = |expected| SetupHeaderError::Truncated { found: start.len(), expected };
        let found = u16_at(start, BOOT_FLAG).ok_or(truncated(BOOT_FLAG + 2))?;
        if found != BOOT_FLAG_MAGIC {
            return Err(SetupHeaderError::BootFlag { found });
        }
        let found = bytes_at(start, HEADER).ok_or(truncated(HEADER + 4))?;
        if found != HEADER_MAGIC {
            return Err(SetupHeaderError::Magic { found });
        }
        let version = u16_at(start, VERSION).ok_or(truncated(VERSION + 2))?;
        if version < VERSION_PAYLOAD {
            return Err(SetupHeaderError::Version { found: version });
        }
        // Protocol 2.10 added the last two fields read here.
        let least = match version {
            0x20a.. => INIT_SIZE + 4,
            _ => PAYLOAD_LENGTH + 4,
        };
        let operand = start.get(JUMP_OPERAND).ok_or(truncated(JUMP_OPERAND + 1))?;
        // The jump counts from the instruction after it.
        let end = HEADER + usize::from(*operand);
        if !(least..=SETUP_HEADER_END).contains(&end) {
            return Err(SetupHeaderError::End { found: end, least });
        }
        let raw = start.get(SETUP_HEADER_START..end).ok_or(truncated(end))?;
        let header = start.get(..end).unwrap_or_default();
        let byte = |offset: usize| header.get(offset).copied().unwrap_or_default();
        let word = |offset| u32_at(header, offset).unwrap_or_default();
        let setup_sects = match byte(SETUP_SECTS) {
            0 => SETUP_SECTS_DEFAULT,
            sectors => sectors,
        };
        Ok(Self {
            raw: raw.to_vec(),
            setup_size: (u64::from(setup_sects) + 1) * SECTOR,
            version,
            initrd_addr_max: word(INITRD_ADDR_MAX),
            kernel_alignment: word(KERNEL_ALIGNMENT),
            relocatable: byte(RELOCATABLE_KERNEL) != 0,
            xloadflags: u16_at(header, XLOADFLAGS).unwrap_or_default(),
            cmdline_size: word(CMDLINE_SIZE),
            payload_offset: word(PAYLOAD_OFFSET),
            payload_length: word(PAYLOAD_LENGTH),
            pref_address: u64_at(header, PREF_ADDRESS).unwrap_or_default(),
            init_size: word(INIT_SIZE),
        })
    }

    /// The header as it stands in the file, from [`SETUP_HEADER_START`].
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Offset of the protected-mode code in the file, bytes.
    pub fn setup_size(&self) -> u64 {
        self.setup_size
    }

    /// Highest address of an initial RAM disk's last byte.
    pub fn initrd_addr_max(&self) -> u32 {
        self.initrd_addr_max
    }

    /// Longest command line, bytes without the NUL.
    pub fn cmdline_size(&self) -> u32 {
        self.cmdline_size
    }

    /// Whether the protected-mode code can be entered in 64-bit mode.
    pub fn has_64_bit_entry(&self) -> bool {
        self.version >= VERSION_64_BIT && self.xloadflags & XLF_KERNEL_64 != 0
    }

    /// Whether the kernel may be loaded elsewhere than where it prefers.
    pub fn relocatable(&self) -> bool {
        self.relocatable
    }

    /// Alignment of a relocatable kernel, bytes.
    pub fn kernel_alignment(&self) -> u32 {
        self.kernel_alignment
    }

    /// Where the kernel would like to be loaded; 0 if it does not say.
    pub fn pref_address(&self) -> u64 {
        self.pref_address
    }

    /// Memory needed from where the kernel is loaded, bytes.
    pub fn init_size(&self) -> u32 {
        self.init_size
    }

    /// Where the compressed kernel lies in the file.
    pub fn payload(&self) -> Range<u64> {
        let start = self.setup_size + u64::from(self.payload_offset);
        start..start + u64::from(self.payload_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::crafted::{PAYLOAD_OFFSET as CRAFTED_PAYLOAD, SETUP_SIZE, bzimage};

    /// The header of a crafted kernel with a field changed.
    fn with_field(offset: usize, field: &[u8]) -> Result<SetupHeader, SetupHeaderError> {
        let mut bytes = bzimage(b"payload");
        bytes[offset..offset + field.len()].copy_from_slice(field);
        SetupHeader::parse(&bytes[..SETUP_HEADER_END])
    }

    #[test]
    fn the_fields_are_those_of_the_file() {
        let bytes = bzimage(b"payload");
        assert!(SetupHeader::recognise(&bytes));
        let header = SetupHeader::parse(&bytes).unwrap();
        assert_eq!(header.setup_size(), SETUP_SIZE as u64);
        assert_eq!(header.raw(), &bytes[0x1f1..0x26c]);
        let start = SETUP_SIZE + CRAFTED_PAYLOAD;
        assert_eq!(header.payload(), start as u64..start as u64 + 7);
        assert_eq!(header.pref_address(), 0x100_0000);
        assert_eq!(header.init_size(), 0x10_0000);
        assert_eq!(header.initrd_addr_max(), 0x7fff_ffff);
        assert_eq!(header.cmdline_size(), 2047);
        assert_eq!(header.kernel_alignment(), 0x20_0000);
        assert!(header.relocatable());
        assert!(header.has_64_bit_entry());
    }

    #[test]
    fn no_sectors_of_setup_code_means_four() {
        assert_eq!(with_field(0x1f1, &[0]).unwrap().setup_size(), 5 * 512);
    }

    #[test]
    fn a_64_bit_entry_needs_the_flag_and_the_protocol() {
        assert!(!with_field(0x236, &[2]).unwrap().has_64_bit_entry());
        assert!(!with_field(0x206, &[0x0b]).unwrap().has_64_bit_entry());
    }

    #[test]
    fn other_boot_sectors_and_old_kernels_are_refused() {
        assert_eq!(with_field(0x1fe, &[0, 0]), Err(SetupHeaderError::BootFlag { found: 0 }));
        assert_eq!(with_field(0x202, b"HdrX"), Err(SetupHeaderError::Magic { found: *b"HdrX" }));
        let error = with_field(0x206, &[0x07]).unwrap_err();
        assert_eq!(error.to_string(), "boot protocol 2.07, expected 2.08 or later");
    }

    #[test]
    fn a_jump_into_or_far_past_the_header_is_refused() {
        for operand in [0, 0x61, 0x8f, 0xff] {
            assert!(
                matches!(with_field(0x201, &[operand]), Err(SetupHeaderError::End { .. })),
                "{operand:#x}"
            );
        }
    }

    #[test]
    fn a_header_cut_short_at_any_length_is_refused() {
        let bytes = bzimage(b"payload");
        for length in 0..0x26c {
            assert!(
                matches!(
                    SetupHeader::parse(&bytes[..length]),
                    Err(SetupHeaderError::Truncated { found, expected })
                        if found == length && expected > length
                ),
                "{length:#x}"
            );
        }
    }

    #[test]
    fn the_greatest_payload_does_not_wrap() {
        let mut bytes = bzimage(b"");
        bytes[0x1f1] = 0xff;
        bytes[0x248..0x250].fill(0xff);
        let payload = SetupHeader::parse(&bytes).unwrap().payload();
        assert_eq!(payload.start, 256 * 512 + u64::from(u32::MAX));
        assert_eq!(payload.end - payload.start, u64::from(u32::MAX));
    }
}
