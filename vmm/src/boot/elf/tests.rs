//! Tests of the ELF loader: what is loaded where, and every way in which a file can be bad.

use std::io::Cursor;

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::boot::crafted::{
    Program, SMALL_KERNEL, SMALL_KERNEL_SIZE, elf, memory, pvh_note, small_kernel,
    small_kernel_code,
};
use crate::boot::source::StreamSource;

const RAM: usize = 4 << 20;

fn load_bytes(bytes: &[u8]) -> Result<ElfImage, ElfError> {
    load(&mut Cursor::new(bytes), &memory(RAM))
}

/// Sets a field of a file and says what the loader thinks of it.
fn with_field(offset: usize, field: &[u8]) -> ElfError {
    let mut bytes = small_kernel(None);
    bytes[offset..offset + field.len()].copy_from_slice(field);
    load_bytes(&bytes).unwrap_err()
}

#[test]
fn segments_are_loaded_and_the_rest_of_them_is_zero() {
    let memory = memory(RAM);
    memory.write_slice(&[0xff; 0x8000], GuestAddress(SMALL_KERNEL)).unwrap();
    let image = load(&mut Cursor::new(small_kernel(None)), &memory).unwrap();
    assert_eq!(
        image,
        ElfImage {
            entry: KernelEntry::Linux64 { rip: SMALL_KERNEL + 0x10 },
            range: SMALL_KERNEL..SMALL_KERNEL + SMALL_KERNEL_SIZE,
        }
    );
    let mut seen = vec![0; 0x8000];
    memory.read_slice(&mut seen, GuestAddress(SMALL_KERNEL)).unwrap();
    assert_eq!(seen[..0x4000], small_kernel_code());
    assert!(seen[0x4000..0x5000].iter().all(|&byte| byte == 0));
    assert!(seen[0x5000..].iter().all(|&byte| byte == 0xff));
}

#[test]
fn a_pvh_note_inside_a_segment_names_the_entry() {
    let image = load_bytes(&small_kernel(Some(SMALL_KERNEL + 0x20))).unwrap();
    assert_eq!(image.entry, KernelEntry::Pvh { eip: 0x10_0020 });
}

#[test]
fn a_pvh_note_outside_every_segment_names_the_entry() {
    let note = pvh_note(SMALL_KERNEL + 4);
    for at in [0x400, 0x2400] {
        let programs = [
            Program::load(0x1000, SMALL_KERNEL, 0x100, 0x100),
            Program::note(at, note.len() as u64),
        ];
        let bytes = elf(SMALL_KERNEL, &programs, &[(0x1000, &[0x90; 0x100]), (at as usize, &note)]);
        let entry = KernelEntry::Pvh { eip: 0x10_0004 };
        assert_eq!(load_bytes(&bytes).unwrap().entry, entry);
        let mut stream = StreamSource::new(&bytes[..]).unwrap();
        assert_eq!(load_source(&mut stream, &memory(RAM)).unwrap().entry, entry);
    }
}

#[test]
fn a_segment_may_hold_the_headers_in_a_stream_too() {
    let programs = [Program::load(0, SMALL_KERNEL, 0x3000, 0x3000)];
    let code: Vec<u8> = (0..0x2f00_u32).map(|at| at as u8).collect();
    let bytes = elf(SMALL_KERNEL + 0x100, &programs, &[(0x100, &code)]);
    for stream in [false, true] {
        let memory = memory(RAM);
        if stream {
            let mut source = StreamSource::new(&bytes[..]).unwrap();
            load_source(&mut source, &memory).unwrap();
        } else {
            load(&mut Cursor::new(&bytes), &memory).unwrap();
        }
        let mut seen = vec![0; 0x3000];
        memory.read_slice(&mut seen, GuestAddress(SMALL_KERNEL)).unwrap();
        assert_eq!(seen, bytes);
    }
}

#[test]
fn segments_out_of_file_order_stream_in_file_order() {
    let programs = [
        Program::load(0x4000, SMALL_KERNEL, 0x10, 0x10),
        Program::load(0x3000, SMALL_KERNEL + 0x1000, 0x10, 0x10),
    ];
    let bytes = elf(SMALL_KERNEL, &programs, &[(0x3000, &[3; 16]), (0x4000, &[4; 16])]);
    let memory = memory(RAM);
    load_source(&mut StreamSource::new(&bytes[..]).unwrap(), &memory).unwrap();
    assert_eq!(memory.read_obj::<u8>(GuestAddress(SMALL_KERNEL)).unwrap(), 4);
    assert_eq!(memory.read_obj::<u8>(GuestAddress(SMALL_KERNEL + 0x1000)).unwrap(), 3);
}

#[test]
fn a_file_cut_short_at_any_length_is_told_apart() {
    let bytes = small_kernel(Some(SMALL_KERNEL));
    // After the last segment nothing is missed.
    for length in 0..bytes.len() {
        let error = load_bytes(&bytes[..length]).unwrap_err();
        let fits = match length {
            0 => matches!(error, ElfError::Empty),
            1..64 => matches!(error, ElfError::HeaderTruncated { found } if found == length as u64),
            _ => matches!(error, ElfError::Source { source: SourceError::Truncated { .. }, .. }),
        };
        assert!(fits, "{length}: {error:?}");
        let mut stream = StreamSource::new(&bytes[..length]).unwrap();
        assert!(load_source(&mut stream, &memory(RAM)).is_err(), "{length} as a stream");
    }
}

#[test]
fn other_kinds_of_file_are_named() {
    assert!(matches!(
        load_bytes(b"MZ\x90\x00 and so on"),
        Err(ElfError::NotElf { found: [b'M', b'Z', 0x90, 0] })
    ));
    assert!(matches!(with_field(0, b"\x7fELG"), ElfError::NotElf { .. }));
    assert!(matches!(with_field(4, &[1]), ElfError::Class { found: 1 }));
    assert!(matches!(with_field(5, &[2]), ElfError::Encoding { found: 2 }));
    assert!(matches!(with_field(18, &[183, 0]), ElfError::Machine { found: 183 }));
    assert!(matches!(with_field(16, &[3, 0]), ElfError::Type { found: 3 }));
}

#[test]
fn program_headers_are_bounded() {
    assert!(matches!(with_field(54, &[32, 0]), ElfError::ProgramHeaderSize { found: 32 }));
    for count in [0, MAX_PROGRAM_HEADERS + 1, u16::MAX] {
        assert!(matches!(
            with_field(56, &count.to_le_bytes()),
            ElfError::ProgramHeaderCount { found } if found == count
        ));
    }
    for offset in [u64::MAX, u64::MAX - 55, 1 << 40] {
        assert!(matches!(
            with_field(32, &offset.to_le_bytes()),
            ElfError::Source { source: SourceError::Truncated { .. }, .. }
        ));
    }
}

#[test]
fn a_segment_outside_ram_tells_the_sizes() {
    let error = load(&mut Cursor::new(small_kernel(None)), &memory(0x10_4000)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "segment 0 at 0x100000 to 0x105000 (20 KiB) is outside the guest's RAM of \
         1040 KiB"
    );
}

#[test]
fn segments_that_do_not_fit_the_address_space_are_refused() {
    // Offset, address, size in the file, size in memory; in the first program header.
    type Case = (&'static [(usize, u64)], fn(&ElfError) -> bool);
    let cases: [Case; 7] = [
        (&[(40, u64::MAX)], |error| matches!(error, ElfError::SegmentOverflow { .. })),
        (&[(32, u64::MAX), (40, u64::MAX)], |error| {
            matches!(error, ElfError::SegmentOverflow { .. })
        }),
        (&[(32, u64::MAX)], |error| matches!(error, ElfError::FileLargerThanMemory { .. })),
        (&[(24, u64::MAX)], |error| matches!(error, ElfError::SegmentOverflow { .. })),
        (&[(24, 0x8000)], |error| matches!(error, ElfError::SegmentTooLow { start: 0x8000, .. })),
        (&[(8, u64::MAX - 0x4000)], |error| {
            matches!(error, ElfError::Source { source: SourceError::Truncated { .. }, .. })
        }),
        (&[(40, 0)], |error| matches!(error, ElfError::FileLargerThanMemory { .. })),
    ];
    for (fields, expected) in cases {
        let mut bytes = small_kernel(None);
        for (offset, value) in fields {
            bytes[64 + offset..64 + offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        let error = load_bytes(&bytes).unwrap_err();
        assert!(expected(&error), "{fields:x?}: {error:?}");
    }
}

#[test]
fn overlapping_segments_are_refused() {
    let programs = [
        Program::load(0x1000, SMALL_KERNEL + 0x80, 0x80, 0x80),
        Program::load(0x1000, SMALL_KERNEL, 0x80, 0x81),
    ];
    let bytes = elf(SMALL_KERNEL, &programs, &[(0x1000, &[0; 0x80])]);
    assert!(matches!(
        load_bytes(&bytes),
        Err(ElfError::SegmentsOverlap { first, .. }) if first.start == SMALL_KERNEL
    ));
}

#[test]
fn an_executable_without_segments_is_refused() {
    let bytes = elf(SMALL_KERNEL, &[Program::note(0x100, 0)], &[]);
    assert!(matches!(load_bytes(&bytes), Err(ElfError::NothingToLoad { program_headers: 1 })));
}

#[test]
fn an_entry_where_nothing_was_loaded_is_refused() {
    assert!(matches!(
        with_field(24, &0x10_5000_u64.to_le_bytes()),
        ElfError::EntryOutside { entry: 0x10_5000, .. }
    ));
    assert!(matches!(
        load_bytes(&small_kernel(Some(0x7000))),
        Err(ElfError::EntryOutside { entry: 0x7000, .. })
    ));
}

#[test]
fn bad_notes_are_refused() {
    let garbage = [0xff; 0x40];
    let programs = [Program::load(0x1000, SMALL_KERNEL, 0x100, 0x100), Program::note(0x1000, 0x40)];
    let bytes = elf(SMALL_KERNEL, &programs, &[(0x1000, &garbage), (0x1040, &[0; 0xc0])]);
    assert!(matches!(load_bytes(&bytes), Err(ElfError::Note(_))));

    for size in [MAX_NOTE_SEGMENT + 1, u64::MAX] {
        let programs =
            [Program::load(0x1000, SMALL_KERNEL, 0x100, 0x100), Program::note(0x1000, size)];
        let bytes = elf(SMALL_KERNEL, &programs, &[(0x1000, &[0; 0x100])]);
        assert!(matches!(
            load_bytes(&bytes),
            Err(ElfError::NoteSegmentTooLarge { found }) if found == size
        ));
    }
    // Within the size, but not within the file.
    let programs = [Program::load(0x1000, SMALL_KERNEL, 0x100, 0x100), Program::note(0x10c0, 0x80)];
    let bytes = elf(SMALL_KERNEL, &programs, &[(0x1000, &[0; 0x100])]);
    assert!(matches!(
        load_bytes(&bytes),
        Err(ElfError::Source { source: SourceError::Truncated { .. }, .. })
    ));
}

proptest! {
    #[test]
    fn damaged_headers_load_in_ram_or_not_at_all(
        damage in proptest::collection::vec((0_usize..64 + 2 * 56, any::<u8>()), 1..8),
    ) {
        let mut bytes = small_kernel(Some(SMALL_KERNEL));
        for (offset, value) in damage {
            bytes[offset] = value;
        }
        let memory = memory(RAM);
        if let Ok(image) = load(&mut Cursor::new(&bytes), &memory) {
            prop_assert!(image.range.start >= KERNEL_MIN);
            prop_assert!(image.range.end <= RAM as u64);
        }
        // The stream may refuse what a file allows, never the reverse of a different place.
        if let Ok(image) = load_source(&mut StreamSource::new(&bytes[..]).unwrap(), &memory) {
            prop_assert!(image.range.end <= RAM as u64);
        }
    }
}
