//! Tests of the bzImage loader: every compression, the fallback, and files that lie.

use std::io::Cursor;

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::boot::crafted::{
    PAYLOAD_OFFSET, Program, SETUP_SIZE, SMALL_KERNEL, SMALL_KERNEL_SIZE, bzimage, elf, memory,
    small_kernel, small_kernel_code,
};
use crate::boot::decompress::tests::{ALL, compress};

const RAM: usize = 8 << 20;

fn load_bytes(bytes: &[u8]) -> Result<BzImage, BzImageError> {
    load(&mut Cursor::new(bytes), &memory(RAM))
}

/// A bzImage around a kernel, with the length that a build appends.
fn packed(compression: Compression, kernel: &[u8]) -> Vec<u8> {
    let mut payload = compress(compression, kernel);
    payload.extend((kernel.len() as u32).to_le_bytes());
    bzimage(&payload)
}

/// The innermost error's text.
fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[test]
fn the_kernel_inside_is_unpacked_to_where_it_is_linked() {
    for compression in ALL {
        let memory = memory(RAM);
        let bytes = packed(compression, &small_kernel(Some(SMALL_KERNEL + 0x20)));
        let loaded = load(&mut Cursor::new(bytes), &memory).unwrap();
        assert_eq!(
            loaded.image,
            ElfImage {
                entry: KernelEntry::Pvh { eip: 0x10_0020 },
                range: SMALL_KERNEL..SMALL_KERNEL + SMALL_KERNEL_SIZE,
            },
            "{compression:?}"
        );
        let mut seen = vec![0; 0x3f00];
        memory.read_slice(&mut seen, GuestAddress(SMALL_KERNEL)).unwrap();
        assert_eq!(seen, small_kernel_code()[..0x3f00], "{compression:?}");
    }
}

#[test]
fn a_kernel_without_a_pvh_note_is_entered_in_64_bit_mode() {
    let loaded = load_bytes(&packed(Compression::Gzip, &small_kernel(None))).unwrap();
    assert_eq!(loaded.image.entry, KernelEntry::Linux64 { rip: SMALL_KERNEL + 0x10 });
}

#[test]
fn a_payload_without_a_decoder_is_left_to_the_kernel() {
    let bytes = bzimage(b"BZh91AY&SY and so on");
    // Its preferred 16 MiB are past the RAM; 2 MiB is the least multiple of its alignment.
    let small = memory(RAM);
    let loaded = load(&mut Cursor::new(&bytes), &small).unwrap();
    assert_eq!(loaded.image.entry, KernelEntry::Linux64 { rip: 0x20_0200 });
    assert_eq!(loaded.image.range, 0x20_0000..0x30_0000);
    let mut seen = vec![0; bytes.len() - SETUP_SIZE];
    small.read_slice(&mut seen, GuestAddress(0x20_0000)).unwrap();
    assert_eq!(seen, bytes[SETUP_SIZE..]);

    let large = memory(32 << 20);
    let loaded = load(&mut Cursor::new(&bytes), &large).unwrap();
    assert_eq!(loaded.image.entry, KernelEntry::Linux64 { rip: 0x100_0200 });
}

#[test]
fn code_that_ends_before_its_entry_is_refused() {
    let whole = bzimage(b"BZh9");
    // A payload of no bytes, right behind the setup code, in a file that ends with the entry.
    let mut bytes = whole[..SETUP_SIZE + 0x200].to_vec();
    bytes[0x248..0x250].copy_from_slice(&[0; 8]);
    let error = load_bytes(&bytes).unwrap_err();
    assert!(matches!(error, BzImageError::NoEntry { length: 0x200 }), "{error:?}");
}

#[test]
fn a_kernel_that_must_not_move_needs_its_address() {
    let mut bytes = bzimage(b"BZh9");
    bytes[0x234] = 0;
    assert!(matches!(
        load_bytes(&bytes),
        Err(BzImageError::OutsideRam { address: 0x100_0000, size: 0x10_0000, .. })
    ));
}

#[test]
fn the_fallback_checks_what_the_header_asks_for() {
    // The flag for a 64-bit entry.
    let mut bytes = bzimage(b"BZh9");
    bytes[0x236] = 0;
    let error = load_bytes(&bytes).unwrap_err();
    assert!(matches!(error, BzImageError::NoWayIn { ref magic } if magic == b"BZh9"));
    // The alignment.
    for alignment in [0_u32, 3, u32::MAX] {
        let mut bytes = bzimage(b"BZh9");
        bytes[0x230..0x234].copy_from_slice(&alignment.to_le_bytes());
        assert!(matches!(
            load_bytes(&bytes),
            Err(BzImageError::Alignment { found }) if found == alignment
        ));
    }
    // The preferred address and the size, at their limits.
    for (offset, value) in [(0x258, u64::MAX), (0x258, u64::MAX - 0xffff)] {
        let mut bytes = bzimage(b"BZh9");
        bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        let loaded = load_bytes(&bytes).unwrap();
        assert_eq!(loaded.image.range.start, 0x20_0000);
    }
    let mut bytes = bzimage(b"BZh9");
    bytes[0x260..0x264].fill(0xff);
    assert!(matches!(load_bytes(&bytes), Err(BzImageError::OutsideRam { size: 0xffff_ffff, .. })));
}

#[test]
fn a_payload_outside_the_file_is_refused() {
    for field in [0x248, 0x24c] {
        let mut bytes = packed(Compression::Gzip, &small_kernel(None));
        bytes[field..field + 4].fill(0xff);
        assert!(matches!(load_bytes(&bytes), Err(BzImageError::PayloadOutside { .. })));
    }
}

#[test]
fn a_bomb_is_refused() {
    // Zeros before the first segment, more than the guest has memory.
    let offset = 3 * RAM;
    let kernel = elf(
        SMALL_KERNEL,
        &[Program::load(offset as u64, SMALL_KERNEL, 4, 4)],
        &[(offset, &[1; 4])],
    );
    for compression in ALL {
        let error = load_bytes(&packed(compression, &kernel)).unwrap_err();
        assert_eq!(
            root(&error),
            "unpacks to more than the guest's RAM of 8 MiB",
            "{compression:?}"
        );
    }
    // Zeros after the last one.
    let mut kernel = small_kernel(None);
    kernel.resize(3 * RAM, 0);
    for compression in ALL {
        let error = load_bytes(&packed(compression, &kernel)).unwrap_err();
        assert_eq!(
            root(&error),
            "unpacks to more than the guest's RAM of 8 MiB",
            "{compression:?}"
        );
    }
}

#[test]
fn a_kernel_larger_than_memory_is_refused() {
    let bytes = packed(Compression::Zstd, &small_kernel(None));
    let error = load(&mut Cursor::new(bytes), &memory(0x10_2000)).unwrap_err();
    assert!(
        matches!(
            error,
            BzImageError::Payload { source: ElfError::OutsideRam { ram: 0x10_2000, .. }, .. }
        ),
        "{error:?}"
    );
}

#[test]
fn a_payload_that_is_no_kernel_is_refused() {
    let bytes = packed(Compression::Gzip, b"#!/bin/sh\n");
    assert!(matches!(
        load_bytes(&bytes),
        Err(BzImageError::Payload { source: ElfError::NotElf { .. }, .. })
    ));
}

#[test]
fn an_image_cut_short_at_any_length_is_refused() {
    let bytes = packed(Compression::Gzip, &small_kernel(None));
    // What follows the payload is not needed.
    for length in 0..bytes.len() - 0x100 {
        assert!(load_bytes(&bytes[..length]).is_err(), "{length:#x}");
    }
}

#[test]
fn a_payload_cut_short_at_any_length_is_refused() {
    let kernel = small_kernel(Some(SMALL_KERNEL));
    for compression in ALL {
        let payload = compress(compression, &kernel);
        // Footers and checksums that some formats have after the contents may go unmissed.
        let essential = payload.len() - payload.len().min(48);
        for length in (0..essential).step_by(7) {
            let mut bytes = bzimage(&payload[..length]);
            bytes[0x236] = 0;
            assert!(load_bytes(&bytes).is_err(), "{compression:?} {length}");
        }
    }
}

proptest! {
    #[test]
    fn damaged_images_load_in_ram_or_not_at_all(
        which in 0..ALL.len(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        in_header: bool,
    ) {
        let mut bytes = packed(ALL[which], &small_kernel(Some(SMALL_KERNEL)));
        for (at, value) in damage {
            let at = if in_header {
                0x1f1 + at.index(0x26c - 0x1f1)
            } else {
                SETUP_SIZE + PAYLOAD_OFFSET + at.index(bytes.len() - SETUP_SIZE - PAYLOAD_OFFSET)
            };
            bytes[at] = value;
        }
        if let Ok(loaded) = load_bytes(&bytes) {
            prop_assert!(loaded.image.range.start >= KERNEL_MIN);
            prop_assert!(loaded.image.range.end <= RAM as u64);
        }
    }
}
