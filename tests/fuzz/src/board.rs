//! What a guest can reach on a board: any address, and above all the windows of the devices, which
//! the board itself tells.

use std::sync::Arc;

use device_model::platform::Platform;
use vmm::{kvm::ExitHandler, vcpu::BusExits};

use crate::input::Input;

/// The sizes that an access to a port has, in bytes.
const PORT_SIZES: [usize; 4] = [1, 2, 4, 1];
/// How far around a window accesses go, in bytes: past its end, and past that of the access.
const AROUND: u64 = 8;

/// A board, as a processor of it reaches it.
pub(crate) struct Board {
    platform: Arc<Platform>,
    exits: BusExits,
    /// First and last address of each device's ports, and of its memory.
    ports: Vec<(u64, u64)>,
    memory: Vec<(u64, u64)>,
}

impl Board {
    /// A board all of whose devices are realized.
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        let windows = |regions: Vec<(u64, u64, _)>| {
            regions.into_iter().map(|(first, last, _)| (first, last)).collect()
        };
        Self {
            exits: BusExits::new(Arc::clone(&platform)),
            ports: windows(platform.ports().regions()),
            memory: windows(platform.memory_io().regions()),
            platform,
        }
    }

    pub(crate) fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    /// A processor has ended its handling of an interrupt.
    pub(crate) fn end_of_interrupt(&mut self, vector: u8) {
        self.exits.ioapic_eoi(vector);
    }

    /// An access. Of `op`, bit 0 says that it is to memory rather than to ports; bit 1 that the
    /// address follows, two bytes for a port and eight for memory, and not an offset of one byte
    /// into the window that the other bits choose. Then comes a byte whose top bit says whether it
    /// writes, the others how many bytes; then these.
    pub(crate) fn access(&mut self, op: u8, input: &mut Input<'_>) {
        let to_memory = op & 1 != 0;
        let windows = if to_memory { &self.memory } else { &self.ports };
        let address = match (op & 2 != 0, to_memory) {
            (true, true) => input.number(),
            (true, false) => u16::from_le_bytes([input.byte(), input.byte()]).into(),
            (false, _) => {
                let count = windows.len().max(1);
                let (first, last) =
                    windows.get(usize::from(op >> 2) % count).copied().unwrap_or_default();
                let offset = u64::from(input.byte());
                first.saturating_add(offset % (last - first + AROUND))
            }
        };
        let form = input.byte();
        let (writes, size) = (form & 0x80 != 0, usize::from(form & 0x7f));
        if to_memory {
            let size = size % 8 + 1;
            if writes {
                self.exits.mmio_write(address, input.take(size));
            } else {
                self.read(address, size, |exits, data| exits.mmio_read(address, data), true);
            }
        } else {
            let port = u16::try_from(address).unwrap_or(u16::MAX);
            let size = PORT_SIZES[size % PORT_SIZES.len()];
            if writes {
                self.exits.pio_write(port, input.take(size));
            } else {
                self.read(port.into(), size, |exits, data| exits.pio_read(port, data), false);
            }
        }
    }

    /// Reads ones where no device answers.
    fn read(
        &mut self,
        address: u64,
        size: usize,
        read: impl FnOnce(&mut BusExits, &mut [u8]),
        from_memory: bool,
    ) {
        // As a processor's exit has it.
        let mut data = [0xff; 8];
        let data = &mut data[..size];
        read(&mut self.exits, data);
        let windows = if from_memory { &self.memory } else { &self.ports };
        for (byte, at) in data.iter().zip(address..=u64::MAX) {
            let answered = windows.iter().any(|(first, last)| (*first..=*last).contains(&at));
            assert!(answered || *byte == 0xff, "{at:#x} of {address:#x} reads as {byte:#x}");
        }
    }
}
