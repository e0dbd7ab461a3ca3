//! Notes of an ELF executable: finding the one that names the PVH entry point.

use thiserror::Error;

use crate::boot::little_endian::u32_at;

/// Note type of the 32-bit physical entry point (Xen, `xen/include/public/elfnote.h`).
pub const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;
/// Owner of that note.
pub const XEN_NOTE_NAME: &[u8] = b"Xen\0";
/// Bytes before a note's name: the sizes of name and descriptor and the type.
const NOTE_HEADER: usize = 12;

/// A note segment that cannot be understood.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NoteError {
    /// A note is longer than what is left of its segment.
    #[error(
        "note at offset {offset:#x} of its segment runs past the segment's end at {length:#x} \
         (name of {name_size:#x} bytes, descriptor of {descriptor_size:#x} bytes)"
    )]
    PastEnd {
        /// Where the note starts, in its segment.
        offset: usize,
        /// Length of the segment.
        length: usize,
        /// Length of the owner's name.
        name_size: u32,
        /// Length of the contents.
        descriptor_size: u32,
    },
    /// The entry point is neither 32 nor 64 bits wide.
    #[error("PVH entry note holds {found} bytes, expected 4 or 8")]
    EntrySize {
        /// Bytes there are.
        found: usize,
    },
    /// The entry point does not fit 32 bits.
    #[error("PVH entry note names {found:#x}, expected an address below 4 GiB")]
    EntryTooHigh {
        /// What it says.
        found: u64,
    },
}

/// The PVH entry point that a note segment names, if it does.
///
/// `alignment` is that of the segment: names and descriptors are padded to 8 bytes where it is 8,
/// otherwise to 4 (System V gABI, "Note Section").
///
/// # Errors
/// Notes that overrun the segment; an entry note whose contents are not an address.
pub fn pvh_entry(segment: &[u8], alignment: u64) -> Result<Option<u32>, NoteError> {
    let alignment = if alignment == 8 { 8 } else { 4 };
    let mut offset = 0;
    // What is too short for a note's header is padding.
    while let (Some(name_size), Some(descriptor_size), Some(kind)) =
        (u32_at(segment, offset), u32_at(segment, offset + 4), u32_at(segment, offset + 8))
    {
        let past_end =
            NoteError::PastEnd { offset, length: segment.len(), name_size, descriptor_size };
        let (name, descriptor) =
            split_note(segment, offset, name_size, descriptor_size, alignment).ok_or(past_end)?;
        if kind == XEN_ELFNOTE_PHYS32_ENTRY && segment.get(name.clone()) == Some(XEN_NOTE_NAME) {
            return entry_address(segment.get(descriptor).unwrap_or_default()).map(Some);
        }
        offset = descriptor.end.checked_next_multiple_of(alignment).ok_or(past_end)?;
    }
    Ok(None)
}

/// Where name and descriptor of the note at `offset` lie, if both are in the segment.
fn split_note(
    segment: &[u8],
    offset: usize,
    name_size: u32,
    descriptor_size: u32,
    alignment: usize,
) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let name_start = offset.checked_add(NOTE_HEADER)?;
    let name_end = name_start.checked_add(usize::try_from(name_size).ok()?)?;
    let start = name_end.checked_next_multiple_of(alignment)?;
    let end = start.checked_add(usize::try_from(descriptor_size).ok()?)?;
    (end <= segment.len()).then_some((name_start..name_end, start..end))
}

/// The address in the descriptor of an entry note. Xen defines 32 bits; Linux writes 64.
fn entry_address(descriptor: &[u8]) -> Result<u32, NoteError> {
    if let Ok(bytes) = descriptor.try_into() {
        return Ok(u32::from_le_bytes(bytes));
    }
    let Ok(bytes) = descriptor.try_into() else {
        return Err(NoteError::EntrySize { found: descriptor.len() });
    };
    let found = u64::from_le_bytes(bytes);
    u32::try_from(found).map_err(|_| NoteError::EntryTooHigh { found })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::boot::crafted::note;

    #[test]
    fn the_entry_note_is_found_among_others() {
        for alignment in [4, 8] {
            let mut segment = note(b"GNU\0", 3, &[7; 20], alignment);
            segment.extend(note(b"Xen\0", 6, b"linux\0", alignment));
            segment.extend(note(b"Xen\0", 18, &0x100_0ab0_u64.to_le_bytes(), alignment));
            assert_eq!(pvh_entry(&segment, alignment as u64), Ok(Some(0x100_0ab0)), "{alignment}");
        }
    }

    #[test]
    fn a_32_bit_entry_is_as_good() {
        let segment = note(b"Xen\0", 18, &0x12_3456_u32.to_le_bytes(), 4);
        assert_eq!(pvh_entry(&segment, 4), Ok(Some(0x12_3456)));
    }

    #[test]
    fn type_18_of_another_owner_is_not_an_entry() {
        let segment = note(b"Zen\0", 18, &4_u32.to_le_bytes(), 4);
        assert_eq!(pvh_entry(&segment, 4), Ok(None));
        assert_eq!(pvh_entry(&[], 4), Ok(None));
    }

    #[test]
    fn an_entry_that_is_no_32_bit_address_is_refused() {
        assert_eq!(
            pvh_entry(&note(b"Xen\0", 18, &[1; 3], 4), 4),
            Err(NoteError::EntrySize { found: 3 })
        );
        assert_eq!(
            pvh_entry(&note(b"Xen\0", 18, &(1_u64 << 32).to_le_bytes(), 4), 4),
            Err(NoteError::EntryTooHigh { found: 1 << 32 })
        );
    }

    #[test]
    fn a_note_cut_short_is_refused_at_every_length() {
        let segment = note(b"Xen\0", 18, &0x12_3456_u64.to_le_bytes(), 4);
        for length in NOTE_HEADER..segment.len() {
            assert!(
                matches!(
                    pvh_entry(&segment[..length], 4),
                    Err(NoteError::PastEnd { offset: 0, .. })
                ),
                "{length}"
            );
        }
    }

    #[test]
    fn sizes_near_the_limit_do_not_wrap() {
        for field in 0..2 {
            let mut segment = note(b"Xen\0", 18, &[0; 8], 4);
            segment[field * 4..field * 4 + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            assert!(matches!(pvh_entry(&segment, 4), Err(NoteError::PastEnd { .. })));
        }
    }

    proptest! {
        #[test]
        fn garbage_ends(segment in proptest::collection::vec(any::<u8>(), 0..256), alignment: u64) {
            // Every note takes at least its header, so this terminates whatever is in it.
            if let Ok(Some(_)) = pvh_entry(&segment, alignment) {
                prop_assert!(segment.windows(4).any(|window| window == XEN_NOTE_NAME));
            }
        }
    }
}
