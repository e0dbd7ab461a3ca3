//! Loading the guest: an ELF executable whose PVH note gives the entry.

use std::error::Error;

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Where an ELF header (`Elf64_Ehdr`) has the program headers' offset and number.
const PROGRAM_HEADERS: usize = 32;
const PROGRAM_HEADER_COUNT: usize = 56;
/// Bytes of a program header (`Elf64_Phdr`).
const PROGRAM_HEADER_SIZE: usize = 56;
/// `p_type` of what is loaded, and of notes.
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// The start of a PVH note: sizes of owner and descriptor, type 18, owner.
const PVH_NOTE: [u8; 16] = *b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0";

/// Puts the segments into memory. Returns the address of the first instruction.
///
/// # Errors
/// If it is no such executable, or reaches outside itself or memory.
pub(crate) fn load(file: &[u8], memory: &GuestMemoryMmap) -> Result<u32, Box<dyn Error>> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return Err("the guest is not a 64-bit ELF executable".into());
    }
    let headers = usize::try_from(u64::from_le_bytes(array(file, PROGRAM_HEADERS)?))?;
    let mut entry = None;
    for index in 0..usize::from(u16::from_le_bytes(array(file, PROGRAM_HEADER_COUNT)?)) {
        let header = headers.checked_add(index * PROGRAM_HEADER_SIZE).ok_or("bad header")?;
        let field = |at: usize| -> Result<u64, Box<dyn Error>> {
            Ok(u64::from_le_bytes(array(file, header.checked_add(at).ok_or("bad header")?)?))
        };
        let offset = usize::try_from(field(8)?)?;
        let end = offset.checked_add(usize::try_from(field(32)?)?).ok_or("bad segment")?;
        let bytes = file.get(offset..end).ok_or("a segment lies outside the file")?;
        match u32::from_le_bytes(array(file, header)?) {
            PT_LOAD => memory.write_slice(bytes, GuestAddress(field(24)?))?,
            PT_NOTE if bytes.starts_with(&PVH_NOTE) => {
                entry = Some(u32::from_le_bytes(array(bytes, PVH_NOTE.len())?));
            }
            _ => {}
        }
    }
    entry.ok_or_else(|| "the guest has no PVH note".into())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Box<dyn Error>> {
    let field = at.checked_add(N).and_then(|end| bytes.get(at..end)).ok_or("truncated file")?;
    Ok(field.try_into()?)
}
