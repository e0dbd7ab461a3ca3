//! Chains of descriptors, checked as they are taken from a queue (virtio 1.2, section 2.7.5).

use thiserror::Error;
use virtio_queue::desc::split::Descriptor;
use vm_memory::{Address, Bytes, GuestAddress, GuestMemoryBackend};

use super::spec::descriptor;
use crate::platform::GuestMemory;

/// A buffer of the guest's, all of which is in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins, guest-physical.
    pub address: GuestAddress,
    /// How many bytes it has.
    pub length: u32,
}

/// The buffers of one request: first those that the device reads, then those that it writes.
#[derive(Debug)]
pub struct Chain {
    head: u16,
    parts: Vec<Part>,
    readable: usize,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChainError {
    /// A descriptor that is not in its table.
    #[error("descriptor {index} is not in its table of {length}")]
    Index {
        /// Its number.
        index: u16,
        /// How many the table has.
        length: u16,
    },
    /// More descriptors than there are, so that one comes twice.
    #[error("the chain has more than the {most} descriptors of its table")]
    Loop {
        /// How many there are.
        most: u16,
    },
    /// A buffer or table that is not all in the guest's memory.
    #[error("{length} bytes at {address:#x} are not in the guest's memory")]
    OutsideMemory {
        /// Where it begins.
        address: u64,
        /// How many bytes it has.
        length: u32,
    },
    /// A table of descriptors, which was not agreed on.
    #[error("a descriptor is indirect, which was not negotiated")]
    NotNegotiated,
    /// A table of descriptors in such a table.
    #[error("an indirect descriptor is in an indirect table")]
    Nested,
    /// A descriptor that refers to a table and to a next descriptor too.
    #[error("an indirect descriptor has a next one")]
    IndirectNext,
    /// A table of no length that one may have.
    #[error("an indirect table has {length} bytes, expected a multiple of 16 up to {most}")]
    TableLength {
        /// Its bytes.
        length: u32,
        /// The bytes of as many descriptors as the queue has.
        most: u32,
    },
    /// A buffer to be read behind one to be written.
    #[error("a buffer to be read follows one to be written")]
    Order,
    /// More bytes than a chain may have.
    #[error("the buffers of a chain have more than 4294967295 bytes together")]
    Length,
}

impl Chain {
    /// Follows the chain that begins at the descriptor `head` of the queue's table, which has `size`
    /// and is in the guest's memory. No more than `size` descriptors are read of each table.
    pub(super) fn read(
        memory: &GuestMemory,
        table: GuestAddress,
        size: u16,
        head: u16,
        indirect: bool,
    ) -> Result<Self, ChainError> {
        let mut chain = Self { head, parts: Vec::new(), readable: 0 };
        let mut walk = Walk { memory, table, length: size, left: size };
        let mut at = Some(head);
        let mut total: u32 = 0;
        let mut in_table = false;
        while let Some(index) = at {
            let found = walk.descriptor(index)?;
            let is_set = |flag: u32| u32::from(found.flags()) & flag != 0;
            if is_set(descriptor::INDIRECT) {
                if !indirect {
                    return Err(ChainError::NotNegotiated);
                }
                if in_table {
                    return Err(ChainError::Nested);
                }
                if is_set(descriptor::NEXT) {
                    return Err(ChainError::IndirectNext);
                }
                let length = table_length(found.len(), size)?;
                check(memory, found.addr(), found.len())?;
                walk = Walk { memory, table: found.addr(), length, left: length };
                in_table = true;
                at = Some(0);
                continue;
            }
            total = total.checked_add(found.len()).ok_or(ChainError::Length)?;
            let writable = is_set(descriptor::WRITE);
            if !writable && chain.readable < chain.parts.len() {
                return Err(ChainError::Order);
            }
            check(memory, found.addr(), found.len())?;
            chain.parts.push(Part { address: found.addr(), length: found.len() });
            if !writable {
                chain.readable = chain.parts.len();
            }
            at = is_set(descriptor::NEXT).then(|| found.next());
        }
        Ok(chain)
    }

    /// Number of its first descriptor, which the driver knows it by.
    #[must_use]
    pub const fn head(&self) -> u16 {
        self.head
    }

    /// The buffers that the device reads.
    #[must_use]
    pub fn readable(&self) -> &[Part] {
        self.parts.get(..self.readable).unwrap_or_default()
    }

    /// The buffers that the device writes.
    #[must_use]
    pub fn writable(&self) -> &[Part] {
        self.parts.get(self.readable..).unwrap_or_default()
    }

    /// How many bytes there are for the device to read.
    #[must_use]
    pub fn readable_length(&self) -> u32 {
        length(self.readable())
    }

    /// How many bytes there is room for the device to write.
    #[must_use]
    pub fn writable_length(&self) -> u32 {
        length(self.writable())
    }
}

/// Together they are no more than a chain may have.
fn length(parts: &[Part]) -> u32 {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.length))
}

/// How many descriptors a table of so many bytes has: no more than the queue does (section 2.7.5.3.1).
fn table_length(length: u32, size: u16) -> Result<u16, ChainError> {
    let whole = length.is_multiple_of(descriptor::SIZE);
    u16::try_from(length / descriptor::SIZE)
        .ok()
        .filter(|count| whole && (1..=size).contains(count))
        .ok_or(ChainError::TableLength { length, most: u32::from(size) * descriptor::SIZE })
}

fn check(memory: &GuestMemory, address: GuestAddress, length: u32) -> Result<(), ChainError> {
    let outside = ChainError::OutsideMemory { address: address.0, length };
    let bytes = usize::try_from(length).map_err(|_| outside)?;
    if memory.check_range(address, bytes) { Ok(()) } else { Err(outside) }
}

/// The way along one table.
struct Walk<'a> {
    memory: &'a GuestMemory,
    table: GuestAddress,
    length: u16,
    /// How many descriptors may still be read.
    left: u16,
}

impl Walk<'_> {
    fn descriptor(&mut self, index: u16) -> Result<Descriptor, ChainError> {
        if index >= self.length {
            return Err(ChainError::Index { index, length: self.length });
        }
        self.left = self.left.checked_sub(1).ok_or(ChainError::Loop { most: self.length })?;
        let offset = u64::from(index) * u64::from(descriptor::SIZE);
        let address = self.table.checked_add(offset);
        address.and_then(|address| self.memory.read_obj(address).ok()).ok_or(
            ChainError::OutsideMemory {
                address: self.table.0.saturating_add(offset),
                length: descriptor::SIZE,
            },
        )
    }
}
