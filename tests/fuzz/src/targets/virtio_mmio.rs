//! The registers of a virtio-mmio transport by themselves: a device is started once it is agreed on how,
//! with queues that hold, and stays as agreed until it is reset.

use device_model::{platform::GuestMemory, virtio::spec::feature};
use devices::virtio::mmio::{Live, MmioRegisters, MmioWrite, spec::*};
use vm_memory::GuestAddress;

use crate::{Target, input::Input};

inventory::submit!(Target { name: "virtio-mmio", covers: &["virtio-mmio"], run });

/// Features and queues of the device.
const FEATURES: u64 = 1 << 7 | 1 << 23;
const QUEUES: [u16; 3] = [1, 8, 256];

/// Each operation is a byte with a register's number, then a word to write; a register's number with
/// the top bit set reads. The last bit of the first byte of all says whether there is memory.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 0x1_0000)]).expect("there is memory");
    let memory = (input.byte() & 1 == 0).then_some(&memory);
    let mut registers = MmioRegisters::new(5, FEATURES, &QUEUES);
    let fresh = registers.clone();
    let mut live = Live::default();
    while let Some(op) = input.next() {
        let offset = u64::from(op & 0x7f) << 2;
        if op & 0x80 != 0 {
            let _ = registers.read(offset, live);
            continue;
        }
        let mut word = [0; 4];
        let taken = input.take(4);
        word[..taken.len()].copy_from_slice(taken);
        let before = registers.state().clone();
        let effect = registers.write(offset, u32::from_le_bytes(word), live.is_broken, memory);
        let state = registers.state();
        match effect {
            MmioWrite::Start => {
                assert!(!before.is_driven() && state.is_driven());
                let features = state.features();
                assert_eq!(features & !(FEATURES | feature::OF_QUEUES), 0);
                assert_ne!(features & feature::VERSION_1, 0);
                for (setup, most) in state.queues().zip(QUEUES) {
                    let Some(setup) = setup else { continue };
                    assert!(setup.size <= most && setup.size.is_power_of_two());
                    assert!(setup.check(memory.expect("it is in memory")).is_ok());
                }
            }
            MmioWrite::Reset => {
                registers.reset();
                assert_eq!(registers, fresh);
                live = Live::default();
            }
            MmioWrite::StopQueue(index) => assert!(usize::from(index) < QUEUES.len()),
            MmioWrite::Acknowledge(heard) => live.interrupts &= !heard,
            // The device may break at any notification.
            MmioWrite::Notify(queue) => {
                live.is_broken |= queue == u32::MAX && state.is_driven();
                live.interrupts |= INTERRUPT_QUEUE;
            }
            MmioWrite::None => {}
        }
        let state = registers.state();
        if before.is_driven() && state.is_driven() {
            assert_eq!(before.features(), state.features(), "features change under a driver");
            let ready = |state: &devices::virtio::core::VirtioState| {
                state.queues().map(|queue| queue.is_some()).collect::<Vec<_>>()
            };
            let more = ready(&before).into_iter().zip(ready(state)).any(|(was, is)| is && !was);
            assert!(!more, "a queue gets ready under a driver");
        }
    }
}
