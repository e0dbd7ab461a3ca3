//! Writing the structures of a boot protocol to guest memory.

use thiserror::Error;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

/// A structure that a guest is to find has no memory to be in.
#[derive(Debug, Error)]
#[error("{what} of {size} bytes cannot be written to guest memory at {address:#x}")]
pub struct StructureError {
    /// Which structure.
    pub what: &'static str,
    /// Guest-physical.
    pub address: u64,
    /// Bytes.
    pub size: usize,
    /// What the memory says.
    #[source]
    pub source: GuestMemoryError,
}

/// Writes a structure.
pub(super) fn write(
    memory: &GuestMemoryMmap,
    what: &'static str,
    address: u64,
    bytes: &[u8],
) -> Result<(), StructureError> {
    memory.write_slice(bytes, GuestAddress(address)).map_err(|source| StructureError {
        what,
        address,
        size: bytes.len(),
        source,
    })
}

/// A structure of fixed size, filled field by field. Fields outside it are left out.
#[derive(Debug)]
pub(super) struct Structure<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Structure<SIZE> {
    /// All zero.
    pub(super) fn new() -> Self {
        Self([0; SIZE])
    }

    /// Sets the field at `offset` to these bytes.
    pub(super) fn put(&mut self, offset: usize, field: &[u8]) {
        let end = offset.saturating_add(field.len());
        debug_assert!(end <= SIZE, "field at {offset:#x} of {SIZE:#x}");
        if let Some(place) = self.0.get_mut(offset..end) {
            place.copy_from_slice(field);
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::crafted::memory;

    #[test]
    fn fields_land_at_their_offsets() {
        let mut structure = Structure::<8>::new();
        structure.put(2, &0x0102_u16.to_le_bytes());
        structure.put(6, &[9, 8]);
        assert_eq!(structure.as_bytes(), [0, 0, 2, 1, 0, 0, 9, 8]);
    }

    #[test]
    fn a_structure_outside_memory_is_named() {
        let error = write(&memory(0x1000), "zero page", 0xfff, &[0; 2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "zero page of 2 bytes cannot be written to guest memory at 0xfff"
        );
    }
}
