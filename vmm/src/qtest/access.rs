//! Accesses to guest-physical memory and ports, where a processor's would go: to memory where there is
//! some, to the buses of the machine elsewhere.

use std::{ops::Range, sync::Arc};

use device_model::platform::{GuestMemory, Platform};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use super::protocol::Width;
use crate::{kvm::ExitHandler, vcpu::BusExits};

/// The widest access that a processor makes to a device, in bytes.
const WIDEST: usize = 8;

/// The machine as a processor's accesses reach it.
pub struct GuestAccess {
    platform: Arc<Platform>,
    exits: BusExits,
    /// Memory that can't be written to: writes go to the bus, as KVM has it.
    read_only: Option<Range<u64>>,
}

/// The part of an access that goes to one place.
enum Piece {
    Memory,
    Bus,
}

impl GuestAccess {
    /// Accesses to a machine all of whose devices are realized.
    #[must_use]
    pub fn new(platform: Arc<Platform>, read_only: Option<Range<u64>>) -> Self {
        Self { exits: BusExits::new(Arc::clone(&platform)), platform, read_only }
    }

    /// Reads a number from a port.
    pub fn port_in(&mut self, port: u16, width: Width) -> u32 {
        let mut data = [0; 4];
        let read = width.bytes().min(data.len());
        self.exits.pio_read(port, &mut data[..read]);
        u32::from_le_bytes(data)
    }

    /// Writes a number to a port.
    pub fn port_out(&mut self, port: u16, width: Width, value: u64) {
        let data = value.to_le_bytes();
        self.exits.pio_write(port, &data[..width.bytes().min(4)]);
    }

    /// Reads a number in one access.
    pub fn read_number(&mut self, address: u64, width: Width) -> u64 {
        let mut data = [0; WIDEST];
        let mut done = 0;
        let data_read = &mut data[..width.bytes()];
        while let Some((at, rest)) = part(address, done, data_read) {
            done += self.read_piece(at, rest);
        }
        u64::from_le_bytes(data)
    }

    /// Writes a number in one access.
    pub fn write_number(&mut self, address: u64, width: Width, value: u64) {
        let data = value.to_le_bytes();
        let data = &data[..width.bytes()];
        let mut done = 0;
        while let Some(at) = address.checked_add(done as u64).filter(|_| done < data.len()) {
            done += self.write_piece(at, &data[done..]);
        }
    }

    /// Reads bytes from the front of `data` on: as many as are in memory, or as a device gets at
    /// once. Tells how many; none of no bytes only.
    pub fn read_some(&mut self, address: u64, data: &mut [u8]) -> usize {
        let most = self.most_at_once(address, data.len(), false);
        self.read_piece(address, &mut data[..most])
    }

    /// Writes bytes as [`GuestAccess::read_some`] reads them.
    pub fn write_some(&mut self, address: u64, data: &[u8]) -> usize {
        let most = self.most_at_once(address, data.len(), true);
        self.write_piece(address, &data[..most])
    }

    /// How many bytes of many go to one place in one access: devices get what is aligned naturally.
    fn most_at_once(&self, address: u64, left: usize, writes: bool) -> usize {
        match self.reach(address, left, writes) {
            (Piece::Memory, length) => length,
            (Piece::Bus, length) => {
                let fits = |size: &usize| *size <= length && address.is_multiple_of(*size as u64);
                [WIDEST, 4, 2].into_iter().find(fits).unwrap_or(length.min(1))
            }
        }
    }

    fn read_piece(&mut self, address: u64, data: &mut [u8]) -> usize {
        let (piece, length) = self.reach(address, data.len(), false);
        let data = &mut data[..length];
        match (piece, self.platform.memory()) {
            (Piece::Memory, Some(memory)) => {
                if memory.read_slice(data, GuestAddress(address)).is_err() {
                    // It is in one region, whose memory is there as long as the machine.
                    data.fill(0xff);
                }
            }
            _ => self.exits.mmio_read(address, data),
        }
        length
    }

    fn write_piece(&mut self, address: u64, data: &[u8]) -> usize {
        let (piece, length) = self.reach(address, data.len(), true);
        let data = &data[..length];
        match (piece, self.platform.memory()) {
            (Piece::Memory, Some(memory)) => {
                // As above: it can't fail.
                let _ = memory.write_slice(data, GuestAddress(address));
            }
            _ => self.exits.mmio_write(address, data),
        }
        length
    }

    /// Where an access at `address` goes, and how many of its bytes do.
    fn reach(&self, address: u64, left: usize, writes: bool) -> (Piece, usize) {
        let until = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX).min(left);
        let Some(memory) = self.platform.memory() else { return (Piece::Bus, left) };
        match memory.find_region(GuestAddress(address)) {
            Some(region) => {
                let first = region.start_addr().0;
                let room = (region.last_addr().0 - address).saturating_add(1);
                // A part of memory can be written to or can't, as a whole.
                let read_only = self.read_only.as_ref().is_some_and(|range| range.contains(&first));
                let piece = if writes && read_only { Piece::Bus } else { Piece::Memory };
                (piece, until(room))
            }
            None => (Piece::Bus, until(gap(memory, address))),
        }
    }
}

/// How many bytes there are from an address outside memory to the next that is in it.
fn gap(memory: &GuestMemory, address: u64) -> u64 {
    let starts = memory.iter().map(|region| region.start_addr().0);
    starts.filter(|start| *start > address).min().map_or(u64::MAX, |start| start - address)
}

/// What is left of an access, and where; none at its end.
fn part(address: u64, done: usize, data: &mut [u8]) -> Option<(u64, &mut [u8])> {
    let rest = data.get_mut(done..).filter(|rest| !rest.is_empty())?;
    Some((address.checked_add(done as u64)?, rest))
}

#[cfg(test)]
mod tests {
    use device_model::testing::Machine;

    use super::*;

    /// Two pages of memory with one between them, of which the upper can't be written to.
    fn access() -> GuestAccess {
        let platform = Machine::new().platform;
        let ranges = [(GuestAddress(0), 0x1000), (GuestAddress(0x2000), 0x1000)];
        let memory = GuestMemory::from_ranges(&ranges).expect("there is memory");
        assert!(platform.set_memory(Arc::new(memory)));
        GuestAccess::new(platform, Some(0x2000..0x3000))
    }

    #[test]
    fn an_access_is_split_where_memory_ends() {
        let mut access = access();
        access.write_number(0xffe, Width::Long, 0x0403_0201);
        assert_eq!(access.read_number(0xffe, Width::Word), 0x0201);
        assert_eq!(access.read_number(0xffe, Width::Long), 0xffff_0201, "nothing answers beyond");
        assert_eq!(access.read_number(0x1ffe, Width::Long), 0x0000_ffff);
        assert_eq!(access.read_number(u64::MAX, Width::Byte), 0xff);
    }

    #[test]
    fn what_can_not_be_written_to_stays_as_it_is() {
        let mut access = access();
        access.write_number(0x2000, Width::Quad, u64::MAX);
        assert_eq!(access.write_some(0x2008, &[1; 0x100]), 8, "the bus has it");
        assert_eq!(access.read_number(0x2000, Width::Quad), 0);
        assert_eq!(access.read_number(0x2008, Width::Quad), 0);
    }

    #[test]
    fn of_many_bytes_memory_gets_all_and_devices_what_is_aligned() {
        let mut access = access();
        let mut data = [0; 0x2000];
        assert_eq!(access.read_some(0x10, &mut data), 0xff0);
        for (address, length, expected) in
            [(0x1000, 100, 8), (0x1001, 100, 1), (0x1002, 100, 2), (0x1004, 100, 4), (0x1008, 7, 4)]
        {
            assert_eq!(access.read_some(address, &mut data[..length]), expected, "{address:#x}");
        }
        assert_eq!(access.read_some(0x1ffc, &mut data), 4, "memory begins behind");
        assert_eq!(access.read_some(0x1000, &mut []), 0);
    }
}
