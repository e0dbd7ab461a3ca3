//! Transfers between items and the guest's memory, as the guest's descriptor asks.

use std::ops::Range;

use device_model::platform::GuestMemory;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use super::{registers::FwCfg, spec::*};

/// How many zeroes behind an item's end one transfer reads at most. A longer one is refused, so that
/// a guest can't have the host write for as long as it likes: everything else is of the item's length.
pub const BEYOND_MAX: usize = 64 << 10;
/// Zeroes are written this many at a time.
const ZEROES: [u8; 4096] = [0; 4096];

/// A transfer was refused, which the guest's descriptor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused;

/// What a descriptor asks for.
#[derive(Clone, Copy, Debug)]
struct Descriptor {
    control: u32,
    length: u32,
    address: u64,
}

impl Descriptor {
    /// Copied once: the guest may change it meanwhile.
    fn read(memory: &GuestMemory, at: u64) -> Result<Self, Refused> {
        let mut bytes = [0; DESCRIPTOR_SIZE];
        memory.read_slice(&mut bytes, GuestAddress(at)).map_err(|_| Refused)?;
        let [a, b, c, d, e, f, g, h, address @ ..] = bytes;
        Ok(Self {
            control: u32::from_be_bytes([a, b, c, d]),
            length: u32::from_be_bytes([e, f, g, h]),
            address: u64::from_be_bytes(address),
        })
    }

    const fn has(self, bit: u32) -> bool {
        self.control & bit != 0
    }

    /// The guest's buffer, if all of it is memory.
    fn buffer(self, memory: &GuestMemory) -> Result<Range<u64>, Refused> {
        let length = usize::try_from(self.length).map_err(|_| Refused)?;
        let end = self.address.checked_add(self.length.into()).ok_or(Refused)?;
        let is_memory = memory.check_range(GuestAddress(self.address), length);
        is_memory.then_some(self.address..end).ok_or(Refused)
    }
}

impl FwCfg {
    /// Carries out the transfer of the descriptor at that guest-physical address, and writes to the
    /// descriptor whether it failed. A transfer that is refused copies nothing.
    pub fn transfer(&mut self, memory: &GuestMemory, descriptor: u64) {
        let done = Descriptor::read(memory, descriptor)
            .and_then(|descriptor| self.carry_out(memory, descriptor));
        let control = if done.is_ok() { 0 } else { CONTROL_ERROR };
        // Last, since the guest waits for it. A descriptor without memory has nobody who waits.
        let _ = memory.write_slice(&control.to_be_bytes(), GuestAddress(descriptor));
    }

    /// Of several operations the first counts: reading, writing, skipping.
    fn carry_out(&mut self, memory: &GuestMemory, asked: Descriptor) -> Result<(), Refused> {
        if asked.has(CONTROL_SELECT) {
            // The upper half fits.
            self.select(u16::try_from(asked.control >> CONTROL_KEY_SHIFT).map_err(|_| Refused)?);
        }
        let length = usize::try_from(asked.length).map_err(|_| Refused)?;
        if asked.has(CONTROL_READ) {
            self.copy_out(memory, asked)?;
        } else if asked.has(CONTROL_WRITE) {
            self.copy_in(memory, asked)?;
        } else if !asked.has(CONTROL_SKIP) {
            return Ok(());
        }
        self.offset = self.offset.saturating_add(length);
        Ok(())
    }

    fn copy_out(&self, memory: &GuestMemory, asked: Descriptor) -> Result<(), Refused> {
        let buffer = asked.buffer(memory)?;
        let length = usize::try_from(asked.length).map_err(|_| Refused)?;
        let rest = self.rest();
        let copied = rest.get(..length).unwrap_or(rest);
        let mut beyond = length.saturating_sub(copied.len());
        if beyond > BEYOND_MAX {
            return Err(Refused);
        }
        memory.write_slice(copied, GuestAddress(buffer.start)).map_err(|_| Refused)?;
        while beyond > 0 {
            let count = beyond.min(ZEROES.len());
            let zeroes = ZEROES.get(..count).unwrap_or_default();
            let at = buffer.end.saturating_sub(beyond as u64);
            memory.write_slice(zeroes, GuestAddress(at)).map_err(|_| Refused)?;
            beyond = beyond.saturating_sub(count);
        }
        Ok(())
    }

    fn copy_in(&mut self, memory: &GuestMemory, asked: Descriptor) -> Result<(), Refused> {
        let buffer = asked.buffer(memory)?;
        let length = usize::try_from(asked.length).map_err(|_| Refused)?;
        let start = self.offset;
        let end = start.checked_add(length).ok_or(Refused)?;
        let item = self.selected_mut().filter(|item| item.is_writable).ok_or(Refused)?;
        let place = item.bytes.get_mut(start..end).ok_or(Refused)?;
        memory.read_slice(place, GuestAddress(buffer.start)).map_err(|_| Refused)
    }
}

#[cfg(test)]
mod tests {
    use device_model::firmware_config::{FirmwareFile, FirmwareItems, key};
    use proptest::prelude::*;

    use super::*;

    const MEMORY: u64 = 0x4_0000;
    const AT: u64 = 0x100;
    const BUFFER: u64 = 0x1000;
    /// Keys of the files, in the order of their names.
    const FIXED: u16 = 0x20;
    const NOTES: u16 = 0x21;

    fn device() -> (FwCfg, GuestMemory) {
        let mut items = FirmwareItems::default();
        items.add_file("fixed", (0..=255).collect()).unwrap();
        items.add("notes", FirmwareFile { bytes: vec![0; 8], is_writable: true }).unwrap();
        let mut device = FwCfg::new(true);
        device.set_items(&items);
        let size = usize::try_from(MEMORY).unwrap();
        let memory = GuestMemory::from_ranges(&[(GuestAddress(0), size)]).unwrap();
        memory.write_slice(&vec![0xee; size], GuestAddress(0)).unwrap();
        (device, memory)
    }

    const fn choose(key: u16) -> u32 {
        CONTROL_SELECT | (key as u32) << CONTROL_KEY_SHIFT
    }

    /// Has a transfer done. What the descriptor's control is then.
    fn done(device: &mut FwCfg, memory: &GuestMemory, control: u32, length: u32, to: u64) -> u32 {
        let bytes = [&control.to_be_bytes()[..], &length.to_be_bytes(), &to.to_be_bytes()].concat();
        memory.write_slice(&bytes, GuestAddress(AT)).unwrap();
        device.transfer(memory, AT);
        u32::from_be_bytes(seen(memory, AT))
    }

    fn seen<const N: usize>(memory: &GuestMemory, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        memory.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    #[test]
    fn an_item_is_read_in_parts() {
        let (mut device, memory) = device();
        let mut go = |control, length| done(&mut device, &memory, control, length, BUFFER);
        assert_eq!(go(choose(FIXED) | CONTROL_READ, 3), 0);
        assert_eq!(seen(&memory, BUFFER), [0, 1, 2, 0xee]);
        assert_eq!(go(CONTROL_SKIP, 10), 0);
        assert_eq!(go(CONTROL_READ, 2), 0);
        assert_eq!(seen(&memory, BUFFER), [13, 14, 2, 0xee]);
        // Nothing is asked for: only the item is chosen.
        assert_eq!(go(choose(FIXED), 99), 0);
        assert_eq!(go(CONTROL_READ, 1), 0);
        assert_eq!(seen(&memory, BUFFER), [0, 14]);
    }

    #[test]
    fn behind_the_end_are_zeroes_and_not_without_end() {
        let (mut device, memory) = device();
        let most = u32::try_from(256 + BEYOND_MAX).unwrap();
        let all = choose(FIXED) | CONTROL_READ;
        assert_eq!(done(&mut device, &memory, all, most + 1, BUFFER), CONTROL_ERROR);
        assert_eq!(seen(&memory, BUFFER), [0xee; 4]);
        assert_eq!(done(&mut device, &memory, all, most, BUFFER), 0);
        assert_eq!(seen(&memory, BUFFER + 255), [255, 0]);
        assert_eq!(seen(&memory, BUFFER + u64::from(most) - 1), [0, 0xee]);
        // An item that is not there is nothing but zeroes.
        assert_eq!(done(&mut device, &memory, choose(0x3000) | CONTROL_READ, 2, BUFFER), 0);
        assert_eq!(seen(&memory, BUFFER), [0, 0, 2]);
    }

    #[test]
    fn only_what_allows_it_is_written_and_never_beyond_its_end() {
        let (mut device, memory) = device();
        let mut go = |control, length| done(&mut device, &memory, control, length, BUFFER);
        for key in [FIXED, key::SIGNATURE, key::DIRECTORY, 0x3000] {
            assert_eq!(go(choose(key) | CONTROL_WRITE, 1), CONTROL_ERROR, "{key:#x}");
        }
        assert_eq!(go(choose(NOTES) | CONTROL_WRITE, 9), CONTROL_ERROR);
        assert_eq!(go(choose(NOTES) | CONTROL_SKIP, 6), 0);
        assert_eq!(go(CONTROL_WRITE, 3), CONTROL_ERROR);
        assert_eq!(go(CONTROL_WRITE, 2), 0);
        assert_eq!(go(CONTROL_WRITE, 0), 0);
        memory.write_slice(&[0; 8], GuestAddress(BUFFER)).unwrap();
        let read = choose(NOTES) | CONTROL_READ;
        assert_eq!(done(&mut device, &memory, read, 8, BUFFER), 0);
        assert_eq!(seen(&memory, BUFFER), [0, 0, 0, 0, 0, 0, 0xee, 0xee]);
    }

    #[test]
    fn what_is_no_memory_is_an_error_and_nothing_is_copied() {
        let (mut device, memory) = device();
        let read = choose(FIXED) | CONTROL_READ;
        for (length, address) in
            [(2, MEMORY - 1), (1, MEMORY), (1, u64::MAX), (u32::MAX, BUFFER), (u32::MAX, u64::MAX)]
        {
            for control in [read, choose(NOTES) | CONTROL_WRITE] {
                let control = done(&mut device, &memory, control, length, address);
                assert_eq!(control, CONTROL_ERROR, "{length:#x} bytes at {address:#x}");
            }
        }
        assert_eq!(seen(&memory, MEMORY - 1), [0xee]);
        // What went wrong moves nothing on.
        assert_eq!(device.position(), (NOTES, 0));
    }

    #[test]
    fn a_descriptor_that_is_no_memory_changes_nothing() {
        let (mut device, memory) = device();
        let before = device.clone();
        for at in [MEMORY, MEMORY - 1, MEMORY - 15, u64::MAX, u64::MAX - 15] {
            device.transfer(&memory, at);
        }
        assert_eq!(device, before);
        // As much of it as there is says so: the word of its control, if that is all memory.
        assert_eq!(seen(&memory, MEMORY - 15), CONTROL_ERROR.to_be_bytes());
    }

    #[test]
    fn a_descriptor_that_is_its_own_buffer_ends_with_the_outcome() {
        let (mut device, memory) = device();
        let read = choose(FIXED) | CONTROL_READ;
        assert_eq!(done(&mut device, &memory, read, 16, AT), 0);
        assert_eq!(seen(&memory, AT), [0, 0, 0, 0, 4, 5]);
    }

    proptest! {
        #[test]
        fn nothing_outside_the_buffer_and_the_control_word_changes(
            control in any::<u32>(),
            key in prop_oneof![Just(FIXED), Just(NOTES), any::<u16>()],
            length in prop_oneof![0_u32..600, any::<u32>()],
            address in prop_oneof![0_u64..MEMORY + 9, any::<u64>()],
        ) {
            let (mut device, memory) = device();
            let control = control & 0xffff | u32::from(key) << CONTROL_KEY_SHIFT;
            let outcome = done(&mut device, &memory, control, length, address);
            prop_assert!(outcome == 0 || outcome == CONTROL_ERROR);
            let end = address.saturating_add(length.into());
            let mut all = vec![0; usize::try_from(MEMORY).unwrap()];
            memory.read_slice(&mut all, GuestAddress(0)).unwrap();
            for (at, byte) in (0..).zip(all) {
                let may_change = (AT..AT + 16).contains(&at) || (address..end).contains(&at);
                prop_assert!(may_change || byte == 0xee, "{at:#x}");
            }
        }
    }
}
