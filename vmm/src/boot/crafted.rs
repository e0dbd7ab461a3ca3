//! Kernels made by hand for tests: ELF executables, notes and bzImages of any shape, good or bad.

use vm_memory::{GuestAddress, GuestMemoryMmap};

/// Guest memory as of a board with `size` bytes of RAM below 3 GiB.
pub(crate) fn memory(size: usize) -> GuestMemoryMmap {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(0), size)]).unwrap()
}

/// A note with its padding.
pub(crate) fn note(name: &[u8], kind: u32, descriptor: &[u8], alignment: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [name.len() as u32, descriptor.len() as u32, kind] {
        bytes.extend(field.to_le_bytes());
    }
    for part in [name, descriptor] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
    }
    bytes
}

/// A PVH note naming `entry`, as Linux writes it.
pub(crate) fn pvh_note(entry: u64) -> Vec<u8> {
    note(b"Xen\0", 18, &entry.to_le_bytes(), 4)
}

/// A program header.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) kind: u32,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) file_size: u64,
    pub(crate) memory_size: u64,
}

impl Program {
    pub(crate) fn load(offset: u64, address: u64, file_size: u64, memory_size: u64) -> Self {
        Self { kind: 1, offset, address, file_size, memory_size }
    }

    pub(crate) fn note(offset: u64, file_size: u64) -> Self {
        Self { kind: 4, offset, address: 0, file_size, memory_size: file_size }
    }
}

/// An ELF executable: headers, program headers at 64, then `parts` at their offsets.
pub(crate) fn elf(entry: u64, programs: &[Program], parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56 * programs.len()];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    let mut put = |offset: usize, field: &[u8]| {
        bytes[offset..offset + field.len()].copy_from_slice(field);
    };
    put(16, &2_u16.to_le_bytes());
    put(18, &62_u16.to_le_bytes());
    put(20, &1_u32.to_le_bytes());
    put(24, &entry.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &64_u16.to_le_bytes());
    put(54, &56_u16.to_le_bytes());
    put(56, &(programs.len() as u16).to_le_bytes());
    for (index, program) in programs.iter().enumerate() {
        let at = 64 + 56 * index;
        put(at, &program.kind.to_le_bytes());
        for (offset, field) in [
            (8, program.offset),
            (16, program.address),
            (24, program.address),
            (32, program.file_size),
            (40, program.memory_size),
            (48, 4),
        ] {
            put(at + offset, &field.to_le_bytes());
        }
    }
    for (offset, part) in parts {
        bytes.resize(bytes.len().max(offset + part.len()), 0);
        bytes[*offset..offset + part.len()].copy_from_slice(part);
    }
    bytes
}

/// Where [`small_kernel`] is loaded.
pub(crate) const SMALL_KERNEL: u64 = 0x10_0000;
/// Offset of its code in the file.
pub(crate) const SMALL_KERNEL_CODE: usize = 0x1000;
/// Its length in memory, with what is not in the file.
pub(crate) const SMALL_KERNEL_SIZE: u64 = 0x5000;

/// Code of [`small_kernel`]: no instructions, but bytes worth compressing that tell their place.
pub(crate) fn small_kernel_code() -> Vec<u8> {
    (0..0x4000_u32).map(|at| (at / 64 * 7 + at % 5) as u8).collect()
}

/// A kernel of one segment whose PVH entry, if any, is in a note at its end.
pub(crate) fn small_kernel(pvh: Option<u64>) -> Vec<u8> {
    let mut code = small_kernel_code();
    let mut programs = vec![Program::load(
        SMALL_KERNEL_CODE as u64,
        SMALL_KERNEL,
        code.len() as u64,
        SMALL_KERNEL_SIZE,
    )];
    if let Some(entry) = pvh {
        let note = pvh_note(entry);
        let at = code.len() - note.len();
        code[at..].copy_from_slice(&note);
        programs.push(Program::note((SMALL_KERNEL_CODE + at) as u64, note.len() as u64));
    }
    elf(SMALL_KERNEL + 0x10, &programs, &[(SMALL_KERNEL_CODE, &code)])
}

/// Bytes of setup code in [`bzimage`], with the sector that holds the header.
pub(crate) const SETUP_SIZE: usize = 5 * 512;
/// Offset of the payload in the protected-mode code of [`bzimage`].
pub(crate) const PAYLOAD_OFFSET: usize = 0x400;

/// A bzImage of boot protocol 2.15 around a payload; protected-mode code of `0x90`.
pub(crate) fn bzimage(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; SETUP_SIZE];
    let mut put = |offset: usize, field: &[u8]| {
        bytes[offset..offset + field.len()].copy_from_slice(field);
    };
    put(0x1f1, &[4]);
    put(0x1fe, &[0x55, 0xaa]);
    // A jump over the header, to its end at 0x26c.
    put(0x200, &[0xeb, 0x6a]);
    put(0x202, b"HdrS");
    put(0x206, &0x20f_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x214, &0x10_0000_u32.to_le_bytes());
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x230, &0x20_0000_u32.to_le_bytes());
    put(0x234, &[1, 21]);
    put(0x236, &3_u16.to_le_bytes());
    put(0x238, &2047_u32.to_le_bytes());
    put(0x248, &(PAYLOAD_OFFSET as u32).to_le_bytes());
    put(0x24c, &(payload.len() as u32).to_le_bytes());
    put(0x258, &0x100_0000_u64.to_le_bytes());
    put(0x260, &0x10_0000_u32.to_le_bytes());
    bytes.resize(SETUP_SIZE + PAYLOAD_OFFSET, 0x90);
    bytes.extend(payload);
    bytes.resize(bytes.len() + 0x100, 0x90);
    bytes
}
