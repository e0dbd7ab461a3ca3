//! The least ELF executable with a PVH note that boot loaders take.

/// Bytes of the ELF header (`Elf64_Ehdr`).
const HEADER_SIZE: u16 = 64;
/// Bytes of a program header (`Elf64_Phdr`).
const PROGRAM_HEADER_SIZE: u16 = 56;
/// `p_type` of what is loaded.
const PT_LOAD: u32 = 1;
/// `p_type` of notes.
const PT_NOTE: u32 = 4;
/// `p_flags`: readable, writable, executable.
const PF_RWX: u32 = 7;
/// `p_flags`: readable.
const PF_R: u32 = 4;
/// Type of the note that gives a PVH entry (Xen, `public/elfnote.h`, `XEN_ELFNOTE_PHYS32_ENTRY`).
const PHYS32_ENTRY: u32 = 18;
/// Where the code starts in the file, after headers and note; a page, as segments are aligned.
const CODE_OFFSET: u16 = 0x1000;

/// A 64-bit ELF executable of one segment, entered by PVH at its first byte.
///
/// Layout after the ELF gABI and the x86-64 psABI; the note after Xen's `docs/misc/pvh.pandoc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PvhElf<'a> {
    /// Guest-physical address that the code is loaded at, and entered at.
    pub address: u32,
    /// What is loaded there.
    pub code: &'a [u8],
    /// Zeroed bytes that follow the code in memory.
    pub bss: u32,
}

impl PvhElf<'_> {
    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let note = note(self.address);
        let note_offset = HEADER_SIZE + 2 * PROGRAM_HEADER_SIZE;
        let address = u64::from(self.address);
        let code_size = self.code.len() as u64;
        let mut file = Vec::with_capacity(usize::from(CODE_OFFSET) + self.code.len());
        file.extend(b"\x7fELF");
        file.extend([2, 1, 1, 0]); // 64-bit, little-endian, version 1, System V
        file.extend([0; 8]);
        file.extend(2_u16.to_le_bytes()); // ET_EXEC
        file.extend(62_u16.to_le_bytes()); // EM_X86_64
        file.extend(1_u32.to_le_bytes()); // EV_CURRENT
        file.extend(address.to_le_bytes()); // e_entry
        file.extend(u64::from(HEADER_SIZE).to_le_bytes()); // e_phoff
        file.extend(0_u64.to_le_bytes()); // e_shoff
        file.extend(0_u32.to_le_bytes()); // e_flags
        for half in [HEADER_SIZE, PROGRAM_HEADER_SIZE, 2, 0, 0, 0] {
            file.extend(half.to_le_bytes()); // e_ehsize, e_phentsize, e_phnum, e_sh*
        }
        program_header(
            &mut file,
            (PT_LOAD, PF_RWX),
            (u64::from(CODE_OFFSET), address),
            (code_size, code_size + u64::from(self.bss)),
            u64::from(CODE_OFFSET),
        );
        let note_size = note.len() as u64;
        let placed = (u64::from(note_offset), 0);
        program_header(&mut file, (PT_NOTE, PF_R), placed, (note_size, note_size), 4);
        file.extend(note);
        file.resize(CODE_OFFSET.into(), 0);
        file.extend(self.code);
        file
    }
}

/// Appends one `Elf64_Phdr`: type and flags, offset and address, sizes in file and memory.
fn program_header(
    file: &mut Vec<u8>,
    (kind, flags): (u32, u32),
    (offset, address): (u64, u64),
    (in_file, in_memory): (u64, u64),
    alignment: u64,
) {
    for word in [kind, flags] {
        file.extend(word.to_le_bytes());
    }
    for field in [offset, address, address, in_file, in_memory, alignment] {
        file.extend(field.to_le_bytes());
    }
}

/// A note of owner "Xen" whose descriptor is the entry's 32-bit address.
fn note(entry: u32) -> Vec<u8> {
    let owner = b"Xen\0";
    let mut note = Vec::new();
    for word in [4, 4, PHYS32_ENTRY] {
        note.extend(word.to_le_bytes()); // n_namesz, n_descsz, n_type
    }
    note.extend(owner);
    note.extend(entry.to_le_bytes());
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(file: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(file[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn the_segment_is_where_its_header_says() {
        let file = PvhElf { address: 0x10_0000, code: &[0xf4, 0x90], bss: 0x3000 }.to_bytes();
        let segment = 64;
        assert_eq!(file[segment], 1, "PT_LOAD");
        let offset = usize::try_from(field(&file, segment + 8)).unwrap();
        assert_eq!(&file[offset..], [0xf4, 0x90], "the code ends the file");
        assert_eq!(field(&file, segment + 16), 0x10_0000);
        assert_eq!(field(&file, segment + 24), 0x10_0000);
        assert_eq!(field(&file, segment + 32), 2);
        assert_eq!(field(&file, segment + 40), 0x3002);
    }

    #[test]
    fn the_note_names_the_entry() {
        let file = PvhElf { address: 0x20_1000, code: &[0xf4], bss: 0 }.to_bytes();
        let header = 64 + 56;
        assert_eq!(file[header], 4, "PT_NOTE");
        let at = usize::try_from(field(&file, header + 8)).unwrap();
        let size = usize::try_from(field(&file, header + 32)).unwrap();
        let mut expected = vec![4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0];
        expected.extend(b"Xen\0");
        expected.extend(0x20_1000_u32.to_le_bytes());
        assert_eq!(file[at..at + size], expected);
    }
}
