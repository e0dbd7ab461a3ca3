//! `virtio-net-device` before a network that does as the test wants: offloads, pairs of queues, and a
//! network that takes no more.

use std::sync::Arc;

use device_model::{
    netdev::{Offloads, VnetHeader},
    prelude::*,
    qom_core::SecurityStatus,
    testing::{Machine, Running, TestNetdev, wait_until},
};
use devices::virtio::{
    mmio::spec::*,
    net::spec::{control, feature},
};
use vm_memory::{Bytes, GuestAddress};

/// Where the rings of the first queue are; those of the next follow.
const RINGS: u64 = 0x1000;
/// Where the buffers are, a page for each queue's.
const BUFFERS: u64 = 0x10_0000;
const SIZE: u16 = 8;
const FINISHED: [u8; 12] = [0; 12];

struct Driver {
    machine: Machine,
    network: Arc<TestNetdev>,
    device: Obj,
    memory: Arc<GuestMemory>,
    offered: Vec<u16>,
    _running: Running,
}

impl Driver {
    /// A card with those properties before a network with so many queues.
    fn new(queues: &str, properties: &[(&str, &str)]) -> Self {
        let (machine, _) = Machine::with_controller();
        let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 0x20_0000)]).unwrap();
        let memory = Arc::new(memory);
        assert!(machine.platform.set_memory(Arc::clone(&memory)));
        machine.add("virtio-mmio", "transport", &[]);
        let network = machine.add("test-netdev", "n", &[("queues", queues)]).cast().unwrap();
        let properties = [&[("netdev", "n")], properties].concat();
        let device = machine.add("virtio-net-device", "card", &properties);
        let _running = machine.run_events();
        Self { machine, network, device, memory, offered: Vec::new(), _running }
    }

    fn write(&self, register: u64, value: u32) {
        self.machine.write_memory(DEFAULT_BASE + register, &value.to_le_bytes());
    }

    fn read(&self, register: u64) -> u32 {
        u32::from_le_bytes(self.machine.read_memory(DEFAULT_BASE + register))
    }

    fn config<const N: usize>(&self, offset: u64) -> [u8; N] {
        self.machine.read_memory(DEFAULT_BASE + CONFIG + offset)
    }

    fn features(&self) -> u64 {
        let half = |which| {
            self.write(DEVICE_FEATURES_SEL, which);
            u64::from(self.read(DEVICE_FEATURES))
        };
        half(0) | half(1) << 32
    }

    /// Sets the device to work with those features and all of its queues.
    fn start(&mut self, features: u64) {
        self.write(STATUS, 0);
        self.write(STATUS, 3);
        for which in 0..2 {
            self.write(DRIVER_FEATURES_SEL, which);
            let bits = (features | 1 << 32) >> (32 * which) & 0xffff_ffff;
            self.write(DRIVER_FEATURES, u32::try_from(bits).unwrap());
        }
        self.write(STATUS, 11);
        assert_eq!(self.read(STATUS), 11);
        self.offered.clear();
        for queue in 0_u32.. {
            self.write(QUEUE_SEL, queue);
            if self.read(QUEUE_NUM_MAX) == 0 {
                break;
            }
            let rings = u32::try_from(rings(self.offered.len())).unwrap();
            self.memory.write(&[0; 0x3000], GuestAddress(rings.into())).unwrap();
            self.write(QUEUE_NUM, SIZE.into());
            for (register, at) in
                [(QUEUE_DESC_LOW, 0), (QUEUE_DRIVER_LOW, 0x1000), (QUEUE_DEVICE_LOW, 0x2000)]
            {
                self.write(register, rings + at);
            }
            self.write(QUEUE_READY, 1);
            self.offered.push(0);
        }
        self.write(STATUS, 15);
        assert_eq!(self.read(STATUS), 15);
    }

    /// Makes a chain available: bytes for the device, and room for its own.
    fn offer(&mut self, queue: usize, out: &[u8], room: u32) {
        let (table, buffer) = (rings(queue), buffer(queue));
        self.memory.write(out, GuestAddress(buffer)).unwrap();
        let descriptor = |address: u64, length: u32, flags: u16| {
            let [address, length] = [&address.to_le_bytes()[..], &length.to_le_bytes()];
            [address, length, &flags.to_le_bytes(), &1_u16.to_le_bytes()].concat()
        };
        let length = u32::try_from(out.len()).unwrap();
        let descriptors = match (out.is_empty(), room) {
            (true, _) => descriptor(buffer, room, 2),
            (false, 0) => descriptor(buffer, length, 0),
            _ => [descriptor(buffer, length, 1), descriptor(buffer + 0x800, room, 2)].concat(),
        };
        self.memory.write(&descriptors, GuestAddress(table)).unwrap();
        self.offered[queue] += 1;
        self.memory.write_obj(self.offered[queue], GuestAddress(table + 0x1002)).unwrap();
        self.write(QUEUE_NOTIFY, u32::try_from(queue).unwrap());
    }

    fn used(&self, queue: usize) -> u16 {
        self.memory.read_obj(GuestAddress(rings(queue) + 0x2002)).unwrap()
    }

    fn wait_for_used(&self, queue: usize) {
        wait_until("a used chain", || self.used(queue) == self.offered[queue]);
    }

    fn bytes<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }

    /// Has a command done by that queue.
    fn command(&mut self, queue: usize, (class, command): (u8, u8), data: &[u8]) -> u8 {
        self.offer(queue, &[&[class, command], data].concat(), 1);
        self.wait_for_used(queue);
        let [answer] = self.bytes(buffer(queue) + 0x800);
        answer
    }
}

fn rings(queue: usize) -> u64 {
    RINGS + 0x3000 * u64::try_from(queue).unwrap()
}

fn buffer(queue: usize) -> u64 {
    BUFFERS + 0x1000 * u64::try_from(queue).unwrap()
}

/// A frame that TCP over IP version 4 is to be made of, with its header.
fn undivided() -> Vec<u8> {
    let header = [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0];
    [&header[..], &[0x52, 0x54, 0, 0x12, 0x34, 0x56], &[7; 3000]].concat()
}

const TSO4: u64 = feature::CSUM | feature::HOST_TSO4 | feature::GUEST_CSUM | feature::GUEST_TSO4;

#[test]
fn it_is_a_secure_card_and_offers_what_its_network_can_do() {
    let driver = Driver::new("1", &[]);
    assert_eq!(driver.device.class().status(), SecurityStatus::Secure);
    assert_eq!(driver.read(DEVICE_ID), 1);
    let offloads =
        TSO4 | feature::HOST_TSO6 | feature::HOST_USO | feature::GUEST_OFFLOADS | feature::HOST_ECN;
    assert_eq!(driver.features() & offloads, offloads);
    let none = Driver::new("1", &[("csum", "off"), ("guest_csum", "off")]);
    assert_eq!(none.features() & offloads, 0, "none without checksums");
}

#[test]
fn what_was_agreed_on_crosses_unfinished_in_both_directions() {
    let mut driver = Driver::new("1", &[]);
    assert_eq!(driver.network.header(), (VnetHeader::Modern, Offloads::default()));
    driver.start(TSO4);
    let accepted = Offloads { checksum: true, tso4: true, ..Offloads::default() };
    assert_eq!(driver.network.header(), (VnetHeader::Modern, accepted));
    driver.offer(1, &undivided(), 0);
    driver.wait_for_used(1);
    wait_until("the frame", || driver.network.take_sent() == [undivided()]);
    driver.offer(0, &[], 4000);
    driver.network.give(&undivided());
    driver.wait_for_used(0);
    let mut expected = undivided();
    expected[10] = 1;
    assert_eq!(driver.bytes::<3018>(buffer(0))[..], expected);
}

#[test]
fn what_was_not_agreed_on_does_not_cross() {
    let mut driver = Driver::new("1", &[]);
    for features in [0, feature::CSUM | feature::GUEST_CSUM, TSO4 & !feature::CSUM] {
        driver.start(features & !feature::GUEST_TSO4);
        driver.offer(1, &undivided(), 0);
        driver.offer(0, &[], 4000);
        // The network had it from before it was told.
        driver.network.give(&undivided());
        let finished = [&FINISHED[..], &[9; 60]].concat();
        driver.network.give(&finished);
        driver.wait_for_used(0);
        assert_eq!(driver.bytes::<60>(buffer(0) + 12), [9; 60]);
        driver.wait_for_used(1);
        driver.offer(1, &finished, 0);
        driver.wait_for_used(1);
        let mut sent = Vec::new();
        wait_until("the other frame", || {
            sent.extend(driver.network.take_sent());
            sent.last() == Some(&finished)
        });
        assert_eq!(sent, [finished], "{features:#x}");
    }
}

#[test]
fn a_driver_changes_what_it_takes_within_what_was_agreed_on() {
    let mut driver = Driver::new("1", &[]);
    driver.start(TSO4 | feature::CTRL_VQ | feature::CTRL_GUEST_OFFLOADS);
    let set = |driver: &mut Driver, bits: u64| {
        driver.command(2, control::GUEST_OFFLOADS_SET, &bits.to_le_bytes())
    };
    assert_eq!(set(&mut driver, feature::GUEST_CSUM), control::OK);
    let accepted = Offloads { checksum: true, ..Offloads::default() };
    assert_eq!(driver.network.header().1, accepted);
    assert_eq!(set(&mut driver, feature::GUEST_CSUM | feature::GUEST_TSO6), control::ERR);
    assert_eq!(set(&mut driver, 1 << 63), control::ERR);
    assert_eq!(driver.network.header().1, accepted);
    assert_eq!(set(&mut driver, 0), control::OK);
    assert_eq!(driver.network.header().1, Offloads::default());
}

#[test]
fn frames_wait_while_the_network_takes_none() {
    for options in [&[][..], &[("iothread", "io0")]] {
        let (mut driver, frame) = (Driver::new("1", &[]), [&FINISHED[..], &[9; 60]].concat());
        if !options.is_empty() {
            driver.machine.remove(&driver.device);
            driver.machine.add("iothread", "io0", &[]);
            let options = [&[("netdev", "n")], options].concat();
            driver.device = driver.machine.add("virtio-net-device", "card", &options);
        }
        driver.start(0);
        driver.network.set_full(true);
        for _ in 0..4 {
            driver.offer(1, &frame, 0);
        }
        // One is copied, and the others stay where they are.
        wait_until("the first", || driver.used(1) == 1);
        assert!(driver.network.take_sent().is_empty());
        driver.network.set_full(false);
        driver.wait_for_used(1);
        let mut sent = Vec::new();
        wait_until("the others", || {
            sent.extend(driver.network.take_sent());
            sent.len() >= 4
        });
        assert_eq!(sent, vec![frame.clone(); 4]);
        // Those that wait when the driver goes are lost.
        driver.network.set_full(true);
        driver.offer(1, &frame, 0);
        driver.wait_for_used(1);
        driver.write(STATUS, 0);
        driver.network.set_full(false);
        driver.start(0);
        assert!(driver.network.take_sent().is_empty());
    }
}

#[test]
fn pairs_of_queues_are_used_once_the_driver_says_so() {
    let mut driver = Driver::new("3", &[("mq", "on")]);
    assert_eq!(u16::from_le_bytes(driver.config(8)), 3);
    driver.start(feature::CTRL_VQ | feature::MQ);
    assert_eq!(driver.offered.len(), 7);
    let frame = |byte: u8| [&FINISHED[..], &[byte; 60]].concat();
    driver.offer(5, &frame(5), 0);
    driver.offer(1, &frame(1), 0);
    driver.wait_for_used(1);
    assert_eq!(driver.used(5), 0, "not used yet");
    for pairs in [0, 4, 0x8000, u16::MAX] {
        let answer = driver.command(6, control::MQ_VQ_PAIRS_SET, &pairs.to_le_bytes());
        assert_eq!(answer, control::ERR, "{pairs}");
    }
    assert_eq!(driver.used(5), 0);
    assert_eq!(driver.command(6, control::MQ_VQ_PAIRS_SET, &[3, 0]), control::OK);
    driver.wait_for_used(5);
    wait_until("the frame", || driver.network.take_sent().contains(&frame(5)));
    // Frames of any queue of the network's come by those that are used.
    assert_eq!(driver.command(6, control::MQ_VQ_PAIRS_SET, &[2, 0]), control::OK);
    for (from, to) in [(0, 0), (1, 2), (2, 0)] {
        driver.offer(to, &[], 100);
        let peer: Arc<dyn NetdevPeer> = peer(&driver.device);
        assert_eq!(peer.receive(from, &frame(7)), Receiving::Taken);
        driver.wait_for_used(to);
    }
}

/// The device, as its network has it.
fn peer(device: &Obj) -> Arc<dyn NetdevPeer> {
    device.cast::<devices::virtio::net::VirtioNetDevice>().expect("it is one")
}

#[test]
fn a_card_that_goes_leaves_its_network_as_it_was() {
    let mut driver = Driver::new("1", &[]);
    driver.start(TSO4);
    driver.machine.remove(&driver.device);
    assert!(!driver.network.is_connected());
    assert_eq!(driver.network.header(), (VnetHeader::None, Offloads::default()));
}

#[test]
fn without_control_there_is_no_queue_for_it() {
    let mut driver = Driver::new("3", &[("mq", "on"), ("ctrl_vq", "off")]);
    let of_control = feature::CTRL_VQ
        | feature::MQ
        | feature::CTRL_RX
        | feature::CTRL_VLAN
        | feature::CTRL_MAC_ADDR
        | feature::CTRL_GUEST_OFFLOADS;
    assert_eq!(driver.features() & of_control, 0);
    driver.start(0);
    assert_eq!(driver.offered.len(), 2);
}
