//! A virtio device on an MMIO transport, as a hostile driver has it: the registers, the queues, and the
//! guest's memory that they are in. A target for a device is one call of [`drive`].

use std::sync::Arc;

use device_model::{
    device::Device,
    event_loop::{EventLoop, Next},
    platform::{GuestMemory, Platform},
    qom_core::{Globals, Policy, Registry, Request, Tree},
    realize::DeviceRealizer,
    testing::TestController,
};
use devices::virtio::mmio::spec::*;
use rustix::event::{EventfdFlags, eventfd};
use vm_memory::{Bytes, GuestAddress};

use crate::input::Input;

const BASE: u64 = 0xfeb0_0000;
/// Bytes of the guest's memory.
const MEMORY: usize = 0x1_0000;
/// Where the parts of the first queue are that is set up rightly; those of the next follow.
const RINGS: u64 = 0x1000;
const RINGS_OF_ONE: u64 = 0x3000;
/// As many queues have their rings in the memory.
const QUEUES: u8 = 5;

/// Status of a device that is driven.
const DRIVEN: u32 = 0xf;
const NEEDS_RESET: u32 = 0x40;

/// A device behind its registers.
struct Guest {
    tree: Tree,
    platform: Arc<Platform>,
    memory: Arc<GuestMemory>,
    kind: u32,
    /// Chains that were made available in each queue.
    offered: [u16; QUEUES as usize],
}

/// Operations on a device of that type, a byte and what it takes: 0 writes a register, 1 reads any
/// bytes, 2 writes any, 3 writes memory, 4 sets queues up as they should be, 5 makes a chain available
/// in the queue that its upper bits say, 6 lets the device work, 7 resets the machine.
pub(crate) fn drive(type_name: &str, properties: &[(&str, &str)], data: &[u8]) {
    drive_before([], type_name, properties, data);
}

/// The same for a device that needs others, which are created before it.
pub(crate) fn drive_before<const N: usize>(
    others: [Request; N],
    type_name: &str,
    properties: &[(&str, &str)],
    data: &[u8],
) {
    drive_beside(others, type_name, properties, data, |_, _, _| {});
}

/// The same for a device that hears from others too: before it works, those do something, which the
/// operation's upper bits and what follows it say.
pub(crate) fn drive_beside<const N: usize>(
    others: [Request; N],
    type_name: &str,
    properties: &[(&str, &str)],
    data: &[u8],
    mut beside: impl FnMut(&Tree, u8, &mut Input<'_>),
) {
    let mut guest = Guest::new(others, type_name, properties);
    let mut input = Input::new(data);
    while let Some(op) = input.next() {
        match op & 7 {
            0 => {
                let offset = u64::from(input.byte()) << 2;
                let value =
                    input.take(4).iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
                guest.write(offset, value);
            }
            1 => {
                let (offset, length) = (place(&mut input), usize::from(input.byte() % 8) + 1);
                guest.platform.memory_io().read(BASE + offset, &mut [0; 8][..length]);
            }
            2 => {
                let offset = place(&mut input);
                let length = usize::from(input.byte() % 8) + 1;
                guest.platform.memory_io().write(BASE + offset, input.take(length));
            }
            3 => {
                let address = u64::from(u16::from_le_bytes([input.byte(), input.byte()]));
                let length = usize::from(input.byte());
                // It may end past the end of memory.
                let _ = guest.memory.write(input.take(length), GuestAddress(address));
            }
            4 => guest.set_up(op >> 3, input.byte()),
            5 => guest.offer(op >> 3, input.byte()),
            6 => {
                beside(&guest.tree, op >> 3, &mut input);
                guest.work();
            }
            _ => guest.reset(),
        }
        guest.check();
    }
    guest.end();
}

/// An offset into the transport, or a little past it.
fn place(input: &mut Input<'_>) -> u64 {
    u64::from(u16::from_le_bytes([input.byte(), input.byte()])) % (WINDOW_SIZE + 8)
}

impl Guest {
    fn new<const N: usize>(
        others: [Request; N],
        type_name: &str,
        properties: &[(&str, &str)],
    ) -> Self {
        let registry = Registry::global().expect("the devices' types are in order");
        let tree = Tree::new(Arc::clone(registry), Policy::default(), Globals::default());
        let tree = tree.expect("a tree can be made");
        let platform = Arc::new(Platform::new(tree.id()).expect("there are descriptors"));
        let ranges = [(GuestAddress(0), MEMORY)];
        let memory = Arc::new(GuestMemory::from_ranges(&ranges).expect("there is memory"));
        platform.set_memory(Arc::clone(&memory));
        let device = properties
            .iter()
            .fold(Request::new(type_name, "/", "device"), |device, (property, value)| {
                device.set(*property, *value)
            });
        let requests = [
            Request::new("test-controller", "/", "pic"),
            Request::new("virtio-mmio", "/", "transport"),
        ];
        let requests = requests.into_iter().chain(others).chain([device]);
        tree.create(requests, &mut DeviceRealizer::new(&platform)).expect("it can be built");
        let mut guest = Self { tree, platform, memory, kind: 0, offered: [0; QUEUES as usize] };
        guest.kind = guest.read(DEVICE_ID);
        assert_ne!(guest.kind, 0);
        guest
    }

    fn read(&self, register: u64) -> u32 {
        let mut word = [0; 4];
        self.platform.memory_io().read(BASE + register, &mut word);
        u32::from_le_bytes(word)
    }

    fn write(&self, register: u64, value: u32) {
        self.platform.memory_io().write(BASE + register, &value.to_le_bytes());
    }

    /// Negotiates, if that has not been done, some of the features of queues, and sets the device to
    /// work with as many queues as there are.
    fn set_up(&mut self, features: u8, size: u8) {
        let size = 1 << (size % 9);
        self.write(STATUS, 0);
        self.write(STATUS, 3);
        let of_queues = u32::from(features & 3) << 28;
        self.write(DEVICE_FEATURES_SEL, 0);
        // All that the device has, if the features' third bit is set.
        let own = if features & 4 != 0 { self.read(DEVICE_FEATURES) & 0x00ff_ffff } else { 0 };
        for (which, bits) in [(0, own | of_queues), (1, 1)] {
            self.write(DRIVER_FEATURES_SEL, which);
            self.write(DRIVER_FEATURES, bits);
        }
        self.write(STATUS, 11);
        assert_eq!(self.read(STATUS), 11, "what it offers, it takes");
        for index in 0..u32::from(QUEUES) {
            self.write(QUEUE_SEL, index);
            self.write(QUEUE_NUM, size);
            let rings = RINGS + u64::from(index) * RINGS_OF_ONE;
            for (register, at) in [
                (QUEUE_DESC_LOW, rings),
                (QUEUE_DRIVER_LOW, rings + 0x1000),
                (QUEUE_DEVICE_LOW, rings + 0x2000),
            ] {
                self.write(register, u32::try_from(at).expect("it is low"));
                self.write(register + 4, 0);
            }
            self.write(QUEUE_READY, 1);
            assert_eq!(
                self.read(QUEUE_READY) == 1,
                size <= self.read(QUEUE_NUM_MAX),
                "it is set up as it should be"
            );
            if self.read(QUEUE_READY) == 1 {
                let _ = self.memory.write_obj(0_u16, GuestAddress(rings + 0x1002));
            }
        }
        self.offered = Default::default();
        self.write(STATUS, DRIVEN);
    }

    /// Makes the chain available in a queue that begins there, and tells the device.
    fn offer(&mut self, queue: u8, head: u8) {
        let queue = queue % QUEUES;
        self.write(QUEUE_SEL, queue.into());
        let rings = RINGS + u64::from(queue) * RINGS_OF_ONE;
        let offered = &mut self.offered[usize::from(queue)];
        let slot = u64::from(*offered % 8);
        *offered = offered.wrapping_add(1);
        let entry = GuestAddress(rings + 0x1004 + slot * 2);
        let _ = self.memory.write_obj(u16::from(head), entry);
        let _ = self.memory.write_obj(*offered, GuestAddress(rings + 0x1002));
        self.write(QUEUE_NOTIFY, queue.into());
    }

    /// Lets the loop do what there is to do, in several turns: what a device asks of a backend comes
    /// in a later one.
    fn work(&self) {
        for _ in 0..3 {
            turn(self.platform.events());
        }
    }

    fn reset(&self) {
        for device in self.tree.walk() {
            if let Some(device) = device.cast::<dyn Device>() {
                device.reset();
            }
        }
        assert_eq!((self.read(STATUS), self.read(INTERRUPT_STATUS)), (0, 0));
    }

    /// What holds whatever the driver does.
    fn check(&self) {
        let status = self.read(STATUS);
        assert_eq!(self.read(DEVICE_ID), self.kind);
        assert_eq!(status & !(DRIVEN | NEEDS_RESET | 0x80), 0, "there are no such bits");
        assert!(status & 4 == 0 || status & 11 == 11, "it is driven before all is agreed on");
        assert!(status & NEEDS_RESET == 0 || status & 4 != 0, "only what is driven breaks");
        let interrupts = self.read(INTERRUPT_STATUS);
        assert_eq!(interrupts & !3, 0);
        let controller = self.tree.resolve("/pic").expect("it is there");
        let controller: Arc<TestController> = controller.cast().expect("it is one");
        // The device may change that meanwhile on its loop's thread, which is this one.
        assert_eq!(controller.level(DEFAULT_GSI), interrupts != 0, "the line tells of reasons");
        controller.take_changes();
    }

    /// A reset mends everything, and nothing is left when the device goes.
    fn end(mut self) {
        self.write(STATUS, 0);
        assert_eq!((self.read(STATUS), self.read(INTERRUPT_STATUS)), (0, 0));
        self.set_up(3, 0);
        assert_eq!(self.read(STATUS) & !NEEDS_RESET, DRIVEN);
        self.work();
        self.tree.clear(&mut DeviceRealizer::new(&self.platform));
        assert!(self.platform.virtio_buses().is_empty(), "a bus that is gone is offered");
        assert!(self.platform.memory_io().regions().is_empty(), "a device that is gone answers");
    }
}

/// One turn of a loop: what is ready now.
fn turn(events: &Arc<EventLoop>) {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let end = eventfd(1, flags).expect("there are descriptors");
    let stopping = Arc::clone(events);
    let watch = events.watch(&end, move || {
        stopping.stop();
        Next::Pause
    });
    events.run().expect("waiting does not fail");
    events.unwatch(watch.expect("an event can be waited for"));
}
