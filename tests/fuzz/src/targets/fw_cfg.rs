//! The firmware configuration device: whatever a guest asks for, by the port or by descriptors
//! anywhere, it reads items as they are and writes to none that does not allow it.

use device_model::{
    firmware_config::{FirmwareFile, FirmwareItems, key},
    platform::GuestMemory,
};
use devices::fw_cfg::{FwCfg, spec::*};
use vm_memory::{Bytes, GuestAddress};

use crate::{
    Target,
    input::{Access, Input, buffer},
};

inventory::submit!(Target { name: "fw-cfg", covers: &["fw_cfg_io"], run });

/// Memory of the guest, in two parts with a gap between.
const PARTS: [(GuestAddress, usize); 2] =
    [(GuestAddress(0), 0x1_0000), (GuestAddress(0x2_0000), 0x1000)];
/// A file that the guest may write to, and one that it may not.
const NOTES: (&str, usize) = ("etc/notes", 24);
const FIXED: (&str, usize) = ("etc/table", 5000);

fn items() -> FirmwareItems {
    let mut items = FirmwareItems::default();
    items.add_number(key::RAM_SIZE, [5; 8]).expect("it is a number's key");
    items.add_file(FIXED.0, (0..=250).cycle().take(FIXED.1).collect()).expect("a file");
    let notes = FirmwareFile { bytes: vec![0; NOTES.1], is_writable: true };
    items.add(NOTES.0, notes).expect("a file");
    items
}

/// An even first byte has DMA. Then each operation is a byte: its two lowest bits choose an access to
/// selector and data, one to the DMA address, a descriptor of 16 bytes, or a reset. An access follows
/// as everywhere; a descriptor by the 16 bits of its place, which is below 64 KiB.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let memory = GuestMemory::from_ranges(&PARTS).expect("there is memory");
    let mut device = FwCfg::new(input.byte() & 1 == 0);
    device.set_items(&items());
    let fresh = device.clone();
    while let Some(op) = input.next() {
        match op & 3 {
            0 => access(&mut device, &mut input),
            1 => dma_access(&mut device, &mut input, &memory),
            2 => {
                let place = u64::from(u16::from_le_bytes([input.byte(), input.byte()]));
                let descriptor = input.take(DESCRIPTOR_SIZE);
                // The last few bytes have no room for one, which the device is to notice.
                let _ = memory.write_slice(descriptor, GuestAddress(place));
                device.transfer(&memory, place);
                let mut control = [0; 4];
                if memory.read_slice(&mut control, GuestAddress(place)).is_ok() {
                    assert!(u32::from_be_bytes(control) <= CONTROL_ERROR, "{control:x?}");
                }
            }
            _ => {
                device.reset();
                assert_eq!(device.position(), (key::SIGNATURE, 0));
            }
        }
    }
    let written = contents(&mut device, 0x20, NOTES.1 + 1);
    assert_eq!(written.last(), Some(&0), "it has grown");
    let mut expected = fresh;
    for (key, length) in
        [(0x21, FIXED.1), (key::SIGNATURE, 4), (key::REVISION, 4), (key::DIRECTORY, 132), (3, 8)]
    {
        let (found, before) =
            (contents(&mut device, key, length), contents(&mut expected, key, length));
        assert!(found == before, "item {key:#x} has changed");
    }
}

fn access(device: &mut FwCfg, input: &mut Input<'_>) {
    let first = input.byte();
    match input.access(first) {
        Access::Read(offset, length) => {
            let before = device.position();
            let mut data = buffer(length);
            device.read(offset, &mut data);
            let reaches = offset <= DATA && offset.saturating_add(length as u64) > DATA;
            assert_eq!(device.position().1, before.1.saturating_add(usize::from(reaches)));
        }
        Access::Write(offset, data) => device.write(offset, data),
    }
}

fn dma_access(device: &mut FwCfg, input: &mut Input<'_>, memory: &GuestMemory) {
    let first = input.byte();
    match input.access(first) {
        Access::Read(offset, length) => device.read_dma(offset, &mut buffer(length)),
        Access::Write(offset, data) => {
            if let Some(descriptor) = device.write_dma(offset, data) {
                device.transfer(memory, descriptor);
            }
        }
    }
}

/// What an item has, and zeroes if it is shorter.
fn contents(device: &mut FwCfg, key: u16, length: usize) -> Vec<u8> {
    device.write(SELECTOR, &key.to_le_bytes());
    let next = || {
        let mut byte = [0xa5];
        device.read(DATA, &mut byte);
        byte[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}
