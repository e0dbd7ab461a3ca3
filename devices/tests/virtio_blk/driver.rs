//! A driver of the device on a machine of a test.

use std::sync::Arc;

use device_model::{
    prelude::*,
    testing::{Machine, Running, wait_until},
    virtio::spec::feature::VERSION_1,
};
use devices::virtio::mmio::spec::*;
use vm_memory::{Bytes, GuestAddress};

use crate::node::TestNode;

/// Descriptors of each queue.
const SIZE: u16 = 16;
/// Where the rings of the first queue are; those of the next follow.
const RINGS: u64 = 0x1000;
/// Where the buffers are.
const BUFFERS: u64 = 0x10_0000;
/// Bytes of each chain's buffers.
const ROOM: u64 = 0x1_0000;
/// What buffers are filled with that the device is to write.
pub(crate) const UNTOUCHED: u8 = 0xee;

/// A buffer of a chain.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Bytes for the device.
    Out(Vec<u8>),
    /// Room for bytes of the device.
    In(u32),
}

/// A request's header.
pub(crate) fn header(kind: u32, sector: u64) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat()
}

/// A place to be discarded or filled.
pub(crate) fn place(sector: u64, count: u32, flags: u32) -> Vec<u8> {
    [&sector.to_le_bytes()[..], &count.to_le_bytes(), &flags.to_le_bytes()].concat()
}

/// What the device answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u8,
    /// How many bytes it says that it wrote.
    pub(crate) written: u32,
    /// All bytes that it might have written but for the status.
    pub(crate) data: Vec<u8>,
}

pub(crate) struct Driver {
    pub(crate) machine: Machine,
    pub(crate) node: Arc<TestNode>,
    pub(crate) device: Obj,
    memory: Arc<GuestMemory>,
    offered: Vec<u16>,
    seen: Vec<u16>,
    _running: Running,
}

impl Driver {
    /// A disk with those properties before a node with those.
    pub(crate) fn new(node: &[(&str, &str)], device: &[(&str, &str)]) -> Self {
        let (machine, _) = Machine::with_controller();
        let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 0x40_0000)]).unwrap();
        let memory = Arc::new(memory);
        assert!(machine.platform.set_memory(Arc::clone(&memory)));
        machine.add("virtio-mmio", "transport", &[]);
        let node = machine.add("blockdev-test-node", "n", node).cast().unwrap();
        machine.add("iothread", "io0", &[]);
        let device = [&[("drive", "n")], device].concat();
        let device = machine.add("virtio-blk-device", "disk", &device);
        let running = machine.run_events();
        Self {
            machine,
            node,
            device,
            memory,
            offered: Vec::new(),
            seen: Vec::new(),
            _running: running,
        }
    }

    /// One that drives a disk, with all of its features but those.
    pub(crate) fn started(device: &[(&str, &str)], without: u64) -> Self {
        let mut driver = Self::new(&[], device);
        driver.start(without);
        driver
    }

    pub(crate) fn write(&self, register: u64, value: u32) {
        self.machine.write_memory(DEFAULT_BASE + register, &value.to_le_bytes());
    }

    pub(crate) fn read(&self, register: u64) -> u32 {
        u32::from_le_bytes(self.machine.read_memory(DEFAULT_BASE + register))
    }

    pub(crate) fn offered(&self) -> u32 {
        self.write(DEVICE_FEATURES_SEL, 0);
        self.read(DEVICE_FEATURES)
    }

    pub(crate) fn config<const N: usize>(&self, offset: u64) -> [u8; N] {
        self.machine.read_memory(DEFAULT_BASE + CONFIG + offset)
    }

    pub(crate) fn set_writeback(&self, value: u8) {
        self.machine.write_memory(DEFAULT_BASE + CONFIG + 32, &[value]);
    }

    /// Sets the device to work, with all of its features but those.
    pub(crate) fn start(&mut self, without: u64) {
        self.write(STATUS, 0);
        self.write(STATUS, 3);
        let own = u64::from(self.offered()) & !without | VERSION_1;
        for which in 0..2 {
            self.write(DRIVER_FEATURES_SEL, which);
            let half = u32::try_from(own >> (32 * which) & 0xffff_ffff).unwrap();
            self.write(DRIVER_FEATURES, half);
        }
        self.write(STATUS, 11);
        assert_eq!(self.read(STATUS), 11);
        let queues = u16::from_le_bytes(self.config(34));
        for queue in 0..u32::from(queues) {
            self.write(QUEUE_SEL, queue);
            self.write(QUEUE_NUM, SIZE.into());
            let rings = u32::try_from(rings(usize::try_from(queue).unwrap())).unwrap();
            for (register, at) in
                [(QUEUE_DESC_LOW, 0), (QUEUE_DRIVER_LOW, 0x1000), (QUEUE_DEVICE_LOW, 0x2000)]
            {
                self.write(register, rings + at);
            }
            self.memory.write(&[0; 0x3000], GuestAddress(rings.into())).unwrap();
            self.write(QUEUE_READY, 1);
            assert_eq!(self.read(QUEUE_READY), 1);
        }
        self.offered = vec![0; queues.into()];
        self.seen = vec![0; queues.into()];
        self.write(STATUS, 15);
        assert_eq!(self.read(STATUS), 15);
    }

    /// Makes a chain available whose first descriptor has that number; each takes four.
    pub(crate) fn offer(&mut self, queue: usize, slot: u16, parts: &[Part]) {
        let table = rings(queue);
        let mut at = room(slot);
        for (number, part) in (slot * 4..).zip(parts) {
            let (length, mut flags) = match part {
                Part::Out(bytes) => {
                    self.memory.write(bytes, GuestAddress(at)).unwrap();
                    (u32::try_from(bytes.len()).unwrap(), 0_u16)
                }
                Part::In(length) => {
                    let bytes = vec![UNTOUCHED; usize::try_from(*length).unwrap()];
                    self.memory.write(&bytes, GuestAddress(at)).unwrap();
                    (*length, 2)
                }
            };
            if usize::from(number - slot * 4) + 1 < parts.len() {
                flags |= 1;
            }
            let descriptor = [
                &at.to_le_bytes()[..],
                &length.to_le_bytes(),
                &flags.to_le_bytes(),
                &(number + 1).to_le_bytes(),
            ];
            let entry = GuestAddress(table + u64::from(number) * 16);
            self.memory.write(&descriptor.concat(), entry).unwrap();
            at += u64::from(length);
        }
        self.repeat(queue, slot);
    }

    /// Makes a chain available once more.
    pub(crate) fn repeat(&mut self, queue: usize, slot: u16) {
        let available = rings(queue) + 0x1000;
        let entry = u64::from(self.offered[queue] % SIZE) * 2;
        self.memory.write_obj(slot * 4, GuestAddress(available + 4 + entry)).unwrap();
        self.offered[queue] += 1;
        self.memory.write_obj(self.offered[queue], GuestAddress(available + 2)).unwrap();
    }

    pub(crate) fn notify(&self, queue: u32) {
        self.write(QUEUE_NOTIFY, queue);
    }

    pub(crate) fn used_count(&self, queue: usize) -> u16 {
        self.memory.read_obj(GuestAddress(rings(queue) + 0x2002)).unwrap()
    }

    /// Waits for the next used chain: its number, and how many bytes the device says it wrote.
    pub(crate) fn used(&mut self, queue: usize) -> (u16, u32) {
        let seen = self.seen[queue];
        wait_until("a used chain", || self.used_count(queue) != seen);
        self.seen[queue] += 1;
        let entry = GuestAddress(rings(queue) + 0x2004 + u64::from(seen % SIZE) * 8);
        let [head, written]: [u32; 2] = self.memory.read_obj(entry).unwrap();
        (u16::try_from(head / 4).unwrap(), written)
    }

    /// All bytes that the device might have written of a chain.
    pub(crate) fn bytes(&self, slot: u16, parts: &[Part]) -> Vec<u8> {
        let (mut at, mut bytes) = (room(slot), Vec::new());
        for part in parts {
            match part {
                Part::Out(out) => at += out.len() as u64,
                Part::In(length) => {
                    let mut here = vec![0; usize::try_from(*length).unwrap()];
                    self.memory.read(&mut here, GuestAddress(at)).unwrap();
                    bytes.extend(here);
                    at += u64::from(*length);
                }
            }
        }
        bytes
    }

    /// Has one chain answered.
    pub(crate) fn chain(&mut self, parts: &[Part]) -> Answer {
        self.offer(0, 0, parts);
        self.notify(0);
        let (slot, written) = self.used(0);
        assert_eq!(slot, 0);
        let mut data = self.bytes(0, parts);
        let status = data.pop().unwrap();
        Answer { status, written, data }
    }

    /// Has a request answered in the usual framing.
    pub(crate) fn ask(&mut self, kind: u32, sector: u64, out: &[u8], room: u32) -> Answer {
        self.chain(&usual(kind, sector, out, room))
    }

    pub(crate) fn wait_until_broken(&self) {
        wait_until("the device to need a reset", || self.read(STATUS) & 0x40 != 0);
    }
}

/// A request in the usual framing: header, data, status.
pub(crate) fn usual(kind: u32, sector: u64, out: &[u8], room: u32) -> Vec<Part> {
    let mut parts = vec![Part::Out(header(kind, sector))];
    if !out.is_empty() {
        parts.push(Part::Out(out.to_vec()));
    }
    if room > 0 {
        parts.push(Part::In(room));
    }
    parts.push(Part::In(1));
    parts
}

fn rings(queue: usize) -> u64 {
    RINGS + 0x3000 * u64::try_from(queue).unwrap()
}

fn room(slot: u16) -> u64 {
    BUFFERS + u64::from(slot) * ROOM
}
