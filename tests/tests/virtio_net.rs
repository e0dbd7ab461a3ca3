//! `virtio-net-device` before real networks: as a driver has it, as a hostile guest has it, and as its
//! peer on a socket has it.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixDatagram, UnixStream},
    time::Duration,
};

use tests::{
    Scratch, Vmm,
    qmp::Qmp,
    qtest::{PERMITTED, Qtest},
    virtio::{Descriptor, Queue, Transport, feature, register, status, wait},
    virtio_guest,
};

const FIRST: Transport = Transport::number(0);
const RINGS: u64 = 0x10_0000;
const TABLE: u64 = 0x18_0000;
/// A header and a frame to be sent, or a command.
const HEADER: u64 = 0x20_0000;
const FRAME: u64 = 0x20_1000;
const ANSWER: u64 = 0x22_0000;
/// Buffers for frames, a page each.
const BUFFERS: u64 = 0x30_0000;
/// Memory of the machine ends there.
const END: u64 = 16 << 20;
const SIZE: u16 = 8;
/// Bytes of a header.
const HEAD: u32 = 12;

/// Features (virtio 1.2, section 5.1.3).
const OFFLOADS: u64 = 1 | 1 << 1 | 1 << 2 | 0b1_1011_1000_0000 | 1 << 13 | 7 << 54;
const MRG_RXBUF: u64 = 1 << 15;
const STATUS: u64 = 1 << 16;
const CTRL_VQ: u64 = 1 << 17;
const CTRL_RX: u64 = 1 << 18;
const CTRL_VLAN: u64 = 1 << 19;
const MQ: u64 = 1 << 22;
const CTRL_MAC_ADDR: u64 = 1 << 23;
const CONTROL: u64 = CTRL_VQ | CTRL_RX | CTRL_VLAN | CTRL_MAC_ADDR;

const OWN: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Who is at the other end of the network.
enum Peer {
    Datagrams(UnixDatagram),
    Stream(UnixStream),
}

impl Peer {
    fn give(&mut self, frame: &[u8]) {
        match self {
            Self::Datagrams(socket) => {
                socket.send(frame).expect("somebody reads");
            }
            Self::Stream(socket) => {
                let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
                socket.write_all(&[&length, frame].concat()).expect("somebody reads");
            }
        }
    }

    fn take(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 0x2_0000];
        let length = match self {
            Self::Datagrams(socket) => socket.recv(&mut bytes).expect("somebody sends"),
            Self::Stream(socket) => {
                let mut length = [0; 4];
                socket.read_exact(&mut length).expect("somebody sends");
                let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
                socket.read_exact(&mut bytes[..length]).expect("somebody sends");
                length
            }
        };
        bytes.truncate(length);
        bytes
    }
}

struct Card {
    machine: Qtest,
    monitor: Qmp,
    peer: Peer,
    features: u64,
    receive: Queue,
    send: Queue,
    control: Queue,
}

impl Card {
    /// A machine with a card on a network of that kind, which a driver has negotiated those features
    /// with.
    fn new(kind: &str, features: u64, options: &str) -> Self {
        let scratch = Scratch::new();
        let [own, far, socket] = ["own", "far", "qmp"].map(|name| scratch.path().join(name));
        let at = own.display();
        let (network, bound) = match kind {
            "dgram" => {
                let to = far.display();
                let network =
                    format!("local.type=unix,local.path={at},remote.type=unix,remote.path={to}");
                (network, Some(UnixDatagram::bind(&far).expect("the path is free")))
            }
            _ => (format!("addr.type=unix,addr.path={at},server=on"), None),
        };
        let vmm = Vmm::line("-accel qtest -nodefaults -m 16M")
            .and(PERMITTED)
            .args(["-netdev", &format!("{kind},id=n0,{network}")])
            .args(["-device", &format!("virtio-net-device,netdev=n0,id=card{options}")])
            .monitor(&socket);
        let mut machine = Qtest::of(vmm, scratch);
        let patience = Some(Duration::from_secs(30));
        let peer = match bound {
            Some(datagrams) => {
                datagrams.connect(&own).expect("the network is there");
                datagrams.set_read_timeout(patience).expect("it can be set");
                Peer::Datagrams(datagrams)
            }
            None => {
                let stream = UnixStream::connect(&own).expect("the network is there");
                stream.set_read_timeout(patience).expect("it can be set");
                Peer::Stream(stream)
            }
        };
        let [receive, send, control] =
            [0, 1, 2].map(|index| Queue::new(index, SIZE, RINGS + index * 0x3000));
        // Frames are lost until the peer is there.
        let link = FIRST.at(register::CONFIG + 6);
        wait("the link", || machine.number(&format!("readw {link:#x}")) == 1);
        let monitor = Qmp::connect(&socket);
        let mut card = Self { machine, monitor, peer, features, receive, send, control };
        card.drive();
        card
    }

    fn drive(&mut self) {
        for queue in [&mut self.receive, &mut self.send, &mut self.control] {
            queue.restart();
        }
        let queues = [&self.receive, &self.send, &self.control];
        let count = if self.features & CTRL_VQ == 0 { 2 } else { 3 };
        let features = self.features | feature::INDIRECT_DESC;
        FIRST.drive_all(&mut self.machine, features, &queues[..count]);
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            self.machine.ok(&format!("write {address:#x} {:#x} 0x{digits}", bytes.len()));
        }
    }

    fn read(&mut self, address: u64, length: usize) -> Vec<u8> {
        let digits = self.machine.ok(&format!("read {address:#x} {length:#x}"));
        let digits = digits.trim_start_matches("0x").as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    /// Has bytes sent that begin with a header, and waits until the driver has them back.
    fn send_raw(&mut self, header: &[u8], frame: &[u8]) {
        self.write(HEADER, header);
        self.write(FRAME, frame);
        let lengths = [header, frame].map(|bytes| u32::try_from(bytes.len()).unwrap());
        let queue = &mut self.send;
        let first = Descriptor::readable(HEADER, lengths[0]).then(1);
        queue.describe(&mut self.machine, 0, first);
        queue.describe(&mut self.machine, 1, Descriptor::readable(FRAME, lengths[1]));
        queue.offer(&mut self.machine, 0);
        FIRST.notify(&mut self.machine, queue);
        assert_eq!(queue.take_used(&mut self.machine), (0, 0));
    }

    fn send(&mut self, frame: &[u8]) {
        self.send_raw(&[0; 12], frame);
    }

    /// Makes buffers available, each a chain of its own.
    fn offer(&mut self, lengths: &[u32]) {
        for (index, length) in (self.receive.offered..).zip(lengths) {
            let index = index % SIZE;
            let descriptor = Descriptor::writable(buffer(index.into()), *length);
            self.receive.describe(&mut self.machine, index, descriptor);
            self.receive.offer(&mut self.machine, index);
        }
        FIRST.notify(&mut self.machine, &self.receive);
    }

    /// The next chain with a frame: its bytes, header included.
    #[track_caller]
    fn filled(&mut self) -> Vec<u8> {
        let (head, length) = self.receive.take_used(&mut self.machine);
        self.read(buffer(head), usize::try_from(length).unwrap())
    }

    /// A frame that takes one chain.
    #[track_caller]
    fn received(&mut self) -> Vec<u8> {
        let bytes = self.filled();
        assert_eq!(bytes[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], "finished, in one chain");
        bytes[12..].to_vec()
    }

    /// Has a command done. The answer.
    #[track_caller]
    fn command(&mut self, class: u8, command: u8, data: &[u8]) -> u64 {
        self.write(HEADER, &[class, command]);
        self.write(FRAME, data);
        self.machine.ok(&format!("memset {ANSWER:#x} 1 0xff"));
        let length = u32::try_from(data.len()).unwrap();
        let queue = &mut self.control;
        queue.describe(&mut self.machine, 0, Descriptor::readable(HEADER, 2).then(1));
        queue.describe(&mut self.machine, 1, Descriptor::readable(FRAME, length).then(2));
        queue.describe(&mut self.machine, 2, Descriptor::writable(ANSWER, 1));
        queue.offer(&mut self.machine, 0);
        FIRST.notify(&mut self.machine, queue);
        assert_eq!(queue.take_used(&mut self.machine), (0, 1));
        self.machine.number(&format!("readb {ANSWER:#x}"))
    }

    /// Whether frames go both ways.
    #[track_caller]
    fn works(&mut self) {
        let frame = frame(OWN, 60);
        self.send(&frame);
        assert_eq!(self.peer.take(), frame);
        self.offer(&[2048]);
        self.peer.give(&frame);
        assert_eq!(self.received(), frame);
    }
}

fn buffer(index: u64) -> u64 {
    BUFFERS + index * 0x1000
}

/// A frame to somebody, of that length.
fn frame(target: [u8; 6], length: usize) -> Vec<u8> {
    let mut frame = [&target[..], &OTHER, &[8, 0]].concat();
    frame.extend((0..u8::MAX).cycle().take(length - frame.len()));
    frame
}

#[test]
fn frames_cross_to_a_peer_and_back() {
    for (kind, features) in [("dgram", 0), ("stream", 0), ("dgram", MRG_RXBUF | CONTROL)] {
        let mut card = Card::new(kind, features, "");
        assert_eq!(FIRST.read(&mut card.machine, register::DEVICE_ID), 1);
        card.works();
        for length in [14, 61, 1514] {
            let frame = frame(OTHER, length);
            card.send(&frame);
            assert_eq!(card.peer.take(), frame, "{kind}, {length}");
            card.offer(&[2048]);
            card.peer.give(&frame);
            assert_eq!(card.received(), frame, "{kind}, {length}");
        }
    }
}

#[test]
fn offloads_are_not_offered_over_a_network_without_them() {
    let mut card = Card::new("dgram", 0, "");
    let offered = FIRST.features(&mut card.machine);
    assert_eq!(offered & OFFLOADS, 0, "{offered:#x}");
    let others = MRG_RXBUF | STATUS | CONTROL | 1 << 5 | 1 << 20;
    assert_eq!(offered & (others | MQ), others, "{offered:#x}");
}

#[test]
fn frames_wait_until_there_are_buffers_for_them_and_come_in_their_order() {
    for kind in ["dgram", "stream"] {
        let mut card = Card::new(kind, 0, "");
        let frames: Vec<_> = (20..40).map(|length| frame(OWN, length)).collect();
        // A Unix socket holds no more than ten datagrams for who does not read.
        for some in frames.chunks(5) {
            some.iter().for_each(|frame| card.peer.give(frame));
            for frame in some {
                card.offer(&[2048]);
                assert_eq!(card.received(), *frame, "{kind}");
            }
        }
    }
}

#[test]
fn a_frame_is_spread_over_chains_that_are_given_back_together() {
    let mut card = Card::new("dgram", MRG_RXBUF, "");
    let frame = frame(OWN, 1000);
    card.offer(&[500, 12, 500]);
    card.peer.give(&frame);
    let mut bytes = card.filled();
    assert_eq!(bytes[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]);
    assert_eq!(card.receive.used_count(&mut card.machine), 3);
    assert_eq!(bytes.len(), 500);
    bytes.extend(card.filled());
    assert_eq!(bytes.len(), 512);
    bytes.extend(card.filled());
    assert_eq!(bytes[12..], frame);
    // What does not fit into what there is waits for more.
    card.offer(&[500]);
    card.peer.give(&frame);
    card.offer(&[600]);
    assert_eq!(card.filled().len(), 500);
    assert_eq!(card.filled().len(), 512);
    // All that there can be is not enough: it is lost, and the next is not.
    card.offer(&[20; SIZE as usize]);
    card.peer.give(&frame);
    card.peer.give(&frame[..60]);
    let chains = (0..4).map(|_| card.filled());
    assert_eq!(chains.collect::<Vec<_>>().concat()[12..], frame[..60]);
    assert_eq!(card.receive.used_count(&mut card.machine), 9);
}

#[test]
fn a_frame_that_has_no_room_in_its_chain_is_lost_and_the_chain_is_not() {
    let mut card = Card::new("dgram", 0, "");
    card.offer(&[100]);
    let (long, short) = (frame(OWN, 89), frame(OWN, 88));
    card.peer.give(&long);
    card.peer.give(&short);
    assert_eq!(card.received(), short);
    assert_eq!(card.receive.used_count(&mut card.machine), 1);
}

#[test]
fn what_is_no_frame_or_was_not_agreed_on_is_lost_and_nothing_else() {
    let mut card = Card::new("dgram", 0, "");
    card.send(&[]);
    // More than any frame has.
    let queue = &mut card.send;
    queue.describe(&mut card.machine, 0, Descriptor::readable(HEADER, 12).then(1));
    queue.describe(&mut card.machine, 1, Descriptor::readable(BUFFERS, 0x1_1000));
    queue.offer(&mut card.machine, 0);
    FIRST.notify(&mut card.machine, queue);
    assert_eq!(queue.take_used(&mut card.machine), (0, 0));
    for header in [
        [1, 0, 0, 0, 0, 0, 14, 0, 16, 0, 0, 0],
        [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0],
        [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        card.send_raw(&header, &frame(OWN, 60));
    }
    card.works();
}

/// What a hostile driver puts at descriptor 0 of a queue, and why the device breaks.
type Hostile = (usize, fn(&mut Qtest, &Queue), &'static str);

const HOSTILE: [Hostile; 14] = [
    // A loop of descriptors, in either direction.
    (
        1,
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(HEADER, 12).then(1));
            queue.describe(machine, 1, Descriptor::readable(FRAME, 60).then(0));
        },
        "queue 1: the chain has more than the 8 descriptors of its table",
    ),
    (
        0,
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(BUFFERS, 64).then(0)),
        "queue 0: the chain has more than the 8 descriptors of its table",
    ),
    // A frame out of memory.
    (
        1,
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(HEADER, 12).then(1));
            queue.describe(machine, 1, Descriptor::readable(END - 60, 61));
        },
        "queue 1: 61 bytes at 0xffffc4 are not in the guest's memory",
    ),
    // Room for a frame out of memory.
    (
        0,
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(END - 512, 1024)),
        "queue 0: 1024 bytes at 0xfffe00 are not in the guest's memory",
    ),
    // Lengths that overflow together.
    (
        1,
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(0, 0x80_0000).then(1));
            queue.describe(machine, 1, Descriptor::readable(FRAME, u32::MAX));
        },
        "queue 1: the buffers of a chain have more than 4294967295 bytes together",
    ),
    // An indirect table in an indirect table.
    (
        0,
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::table(TABLE, 32));
            Queue::write_at(machine, TABLE, 0, Descriptor::writable(BUFFERS, 64).then(1));
            Queue::write_at(machine, TABLE, 1, Descriptor::table(TABLE, 32));
        },
        "queue 0: an indirect descriptor is in an indirect table",
    ),
    // A descriptor that is not in the table.
    (
        1,
        |machine, queue| queue.describe(machine, 0, Descriptor::readable(HEADER, 12).then(8)),
        "queue 1: descriptor 8 is not in its table of 8",
    ),
    // A short header.
    (
        1,
        |machine, queue| queue.describe(machine, 0, Descriptor::readable(HEADER, 11)),
        "queue 1: a frame has 11 bytes of its header, expected 12",
    ),
    // Nothing to be sent, but room for something.
    (
        1,
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(BUFFERS, 2048)),
        "queue 1: a frame has 0 bytes of its header, expected 12",
    ),
    // No room for a header.
    (
        0,
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(BUFFERS, 11)),
        "queue 0: a chain has room for 11 bytes of a frame, expected 12 at least",
    ),
    // Something to be sent, but no room.
    (
        0,
        |machine, queue| queue.describe(machine, 0, Descriptor::readable(HEADER, 2048)),
        "queue 0: a chain has room for 0 bytes of a frame, expected 12 at least",
    ),
    // A command that is none.
    (
        2,
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(HEADER, 1).then(1));
            queue.describe(machine, 1, Descriptor::writable(ANSWER, 1));
        },
        "queue 2: a command has 1 bytes and 1 for its answer, expected 2 and 1 at least",
    ),
    // No room for an answer.
    (
        2,
        |machine, queue| queue.describe(machine, 0, Descriptor::readable(HEADER, 3)),
        "queue 2: a command has 3 bytes and 0 for its answer, expected 2 and 1 at least",
    ),
    // An answer out of memory.
    (
        2,
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(HEADER, 3).then(1));
            queue.describe(machine, 1, Descriptor::writable(END, 1));
        },
        "queue 2: 1 bytes at 0x1000000 are not in the guest's memory",
    ),
];

#[test]
fn a_chain_that_does_not_hold_breaks_the_card_until_it_is_reset() {
    let mut card = Card::new("stream", CONTROL | MRG_RXBUF, "");
    for (number, put, why) in HOSTILE {
        card.drive();
        let queue = [&mut card.receive, &mut card.send, &mut card.control]
            .into_iter()
            .nth(number)
            .expect("there is such a queue");
        put(&mut card.machine, queue);
        queue.offer(&mut card.machine, 0);
        FIRST.notify(&mut card.machine, queue);
        // Room is looked for when there is a frame.
        if number == 0 {
            card.peer.give(&frame(OWN, 60));
        }
        FIRST.wait_until_broken(&mut card.machine);
        let fault = card.monitor.property("/machine/unattached/virtio-mmio[0]", "fault");
        assert_eq!(fault, why);
        for queue in [&card.receive, &card.send, &card.control] {
            assert_eq!(queue.used_count(&mut card.machine), 0, "{why}");
        }
        card.drive();
        card.works();
    }
}

#[test]
fn a_command_of_great_length_is_refused() {
    let mut card = Card::new("dgram", CONTROL, "");
    // A table of as many addresses as have no end.
    card.write(HEADER, &[1, 0, 0xff, 0xff, 0xff, 0xff]);
    let queue = &mut card.control;
    queue.describe(&mut card.machine, 0, Descriptor::readable(HEADER, 0x80_0000).then(1));
    queue.describe(&mut card.machine, 1, Descriptor::writable(ANSWER, 1));
    queue.offer(&mut card.machine, 0);
    FIRST.notify(&mut card.machine, queue);
    assert_eq!(queue.take_used(&mut card.machine), (0, 1));
    assert_eq!(card.machine.number(&format!("readb {ANSWER:#x}")), 1);
    card.works();
}

#[test]
fn a_driver_chooses_which_frames_it_gets() {
    let mut card = Card::new("dgram", CONTROL, "");
    let group = [1, 0, 0x5e, 0, 0, 1];
    // Whether frames come that are to somebody, of those that are sent before one to its own address.
    let gets = |card: &mut Card, own: [u8; 6], tried: &[u8]| {
        card.offer(&[2048, 2048]);
        let last = frame(own, 100);
        card.peer.give(tried);
        card.peer.give(&last);
        let first = card.received();
        if first == tried {
            assert_eq!(card.received(), last);
            return true;
        }
        assert_eq!(first, last);
        // One buffer is left over.
        card.peer.give(&last);
        assert_eq!(card.received(), last);
        false
    };
    let [other, to_group, to_all] = [OTHER, group, [0xff; 6]].map(|target| frame(target, 60));
    let tagged = [&OWN[..], &OTHER, &[0x81, 0, 0, 7, 8, 0], &[0; 60]].concat();
    assert!(gets(&mut card, OWN, &other), "all at first");
    assert_eq!(card.command(0, 0, &[0]), 0);
    assert!(!gets(&mut card, OWN, &other));
    assert!(!gets(&mut card, OWN, &to_group));
    assert!(gets(&mut card, OWN, &to_all));
    assert!(!gets(&mut card, OWN, &tagged));
    assert_eq!(card.command(0, 1, &[1]), 0);
    assert!(gets(&mut card, OWN, &to_group));
    assert_eq!(card.command(0, 1, &[0]), 0);
    let table = [&[1, 0, 0, 0][..], &OTHER, &[1, 0, 0, 0], &group].concat();
    assert_eq!(card.command(1, 0, &table), 0);
    assert!(gets(&mut card, OWN, &other) && gets(&mut card, OWN, &to_group));
    assert_eq!(card.command(2, 0, &[7, 0]), 0);
    assert!(gets(&mut card, OWN, &tagged));
    assert_eq!(card.command(2, 1, &[7, 0]), 0);
    assert!(!gets(&mut card, OWN, &tagged));
    // Another address of its own.
    assert_eq!(card.command(1, 0, &[0; 8]), 0);
    assert_eq!(card.command(1, 1, &OTHER), 0);
    assert!(!gets(&mut card, OTHER, &frame(OWN, 60)));
    assert_eq!(card.read(FIRST.at(register::CONFIG), 6), OTHER);
    // All is as it was after a reset.
    card.drive();
    assert_eq!(card.read(FIRST.at(register::CONFIG), 6), OWN);
    assert!(gets(&mut card, OWN, &other));
}

#[test]
fn commands_that_do_not_hold_are_refused_and_change_nothing() {
    let mut card = Card::new("dgram", CONTROL, "");
    for (class, command, data) in [
        (0, 0, &[][..]),
        (0, 0, &[1, 1]),
        // Not agreed on: of more ways, of pairs of queues, of offloads, of an announcement.
        (0, 2, &[1]),
        (4, 0, &[1, 0]),
        (5, 0, &[0; 8]),
        (3, 0, &[]),
        (0, 6, &[1]),
        (9, 0, &[1]),
        (0xff, 0xff, &[1]),
        // Tables that end before their ends, or have something behind.
        (1, 0, &[]),
        (1, 0, &[0; 7]),
        (1, 0, &[0; 9]),
        (1, 0, &[1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
        (1, 0, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        (1, 0, &[0xab, 0xaa, 0xaa, 0x2a, 2, 0, 0, 0]),
        (1, 1, &OTHER[..5]),
        (1, 1, &[2; 7]),
        (2, 0, &[0, 0x10]),
        (2, 0, &[7]),
    ] {
        assert_eq!(card.command(class, command, data), 1, "{class} {command} {data:?}");
    }
    assert_eq!(card.read(FIRST.at(register::CONFIG), 6), OWN);
    card.works();
}

#[test]
fn a_reset_in_the_middle_leaves_nothing_of_the_frames_that_waited() {
    let mut card = Card::new("dgram", MRG_RXBUF, "");
    for _ in 0..3 {
        // It waits for the rest of its room.
        card.offer(&[100]);
        card.peer.give(&frame(OWN, 1000));
        card.peer.give(&frame(OWN, 999));
        FIRST.write(&mut card.machine, register::STATUS, 0);
        // With no driver they are lost; whether they are by now, a frame of another length tells.
        card.drive();
        card.offer(&[2048, 2048, 2048]);
        card.peer.give(&frame(OWN, 77));
        while card.received() != frame(OWN, 77) {}
    }
    card.drive();
    card.works();
}

#[test]
fn a_queue_that_is_taken_away_is_touched_no_more() {
    let mut card = Card::new("dgram", 0, "");
    for queue in [0, 1] {
        card.drive();
        card.offer(&[2048]);
        FIRST.write(&mut card.machine, register::QUEUE_SEL, queue);
        FIRST.write(&mut card.machine, register::QUEUE_READY, 0);
        let untouched = card.read(buffer(0), 64);
        card.peer.give(&frame(OWN, 60));
        if queue == 0 {
            // The other goes on.
            card.send(&frame(OTHER, 60));
            assert_eq!(card.peer.take(), frame(OTHER, 60));
            assert_eq!(card.read(buffer(0), 64), untouched);
            assert_eq!(card.receive.used_count(&mut card.machine), 0);
        } else {
            assert_eq!(card.received(), frame(OWN, 60));
            card.send.describe(&mut card.machine, 0, Descriptor::readable(HEADER, HEAD + 60));
            card.send.offer(&mut card.machine, 0);
            FIRST.notify(&mut card.machine, &card.send);
            assert_eq!(card.send.used_count(&mut card.machine), 0);
        }
    }
    card.drive();
    card.works();
}

#[test]
fn the_configuration_ends_where_it_ends_and_is_not_the_drivers_to_write() {
    let mut card =
        Card::new("dgram", 0, ",mac=52:54:00:aa:bb:cc,host_mtu=9000,speed=1000,duplex=full");
    let at = |offset: u64| FIRST.at(register::CONFIG + offset);
    card.write(at(0), &[0; 6]);
    assert_eq!(card.read(at(0), 6), [0x52, 0x54, 0, 0xaa, 0xbb, 0xcc]);
    assert_eq!(card.machine.number(&format!("readw {:#x}", at(10))), 9000);
    assert_eq!(card.machine.number(&format!("readl {:#x}", at(12))), 1000);
    assert_eq!(card.machine.number(&format!("readb {:#x}", at(16))), 1);
    for offset in [17, 20, 0x80, 0xfc] {
        assert_eq!(card.machine.number(&format!("readb {:#x}", at(offset))), 0xff, "{offset}");
        card.machine.ok(&format!("writeb {:#x} 0", at(offset)));
    }
    // Across its end.
    assert_eq!(card.machine.number(&format!("readl {:#x}", at(16))), 0xffff_ffff);
    card.works();
}

#[test]
fn a_guest_is_told_of_the_link_if_it_wants_to() {
    let mut card = Card::new("stream", STATUS, "");
    let link = format!("readw {:#x}", FIRST.at(register::CONFIG + 6));
    card.works();
    while FIRST.read(&mut card.machine, register::INTERRUPT_STATUS) != 0 {
        FIRST.write(&mut card.machine, register::INTERRUPT_ACK, 3);
    }
    let generation = FIRST.read(&mut card.machine, register::CONFIG_GENERATION);
    let Peer::Stream(stream) = &card.peer else { panic!("it is a stream") };
    stream.shutdown(std::net::Shutdown::Both).expect("it is connected");
    assert_eq!(FIRST.take_interrupt(&mut card.machine) & 2, 2);
    assert_eq!(card.machine.number(&link), 0);
    assert_ne!(FIRST.read(&mut card.machine, register::CONFIG_GENERATION), generation);
    // With nobody there, frames are lost.
    card.send(&frame(OTHER, 60));
    assert_eq!(FIRST.read(&mut card.machine, register::STATUS), status::DRIVEN);
}

#[test]
fn cards_that_are_given_no_address_have_one_each() {
    let mut machine = Qtest::start(
        "-m 16M -device virtio-net-device,mac=52:54:00:12:34:57 \
         -device virtio-net-device -device virtio-net-device",
    );
    let last = [0, 1, 2].map(|index| {
        machine.number(&format!("readb {:#x}", Transport::number(index).at(register::CONFIG + 5)))
    });
    assert_eq!(last, [0x57, 0x56, 0x58]);
}

#[test]
fn a_card_that_can_not_be_is_told_at_its_option() {
    for (options, why) in [
        ("mac=52:54:00", "six bytes in hexadecimal"),
        ("mac=01:00:5e:00:00:01", "mac must be of one station, not 01:00:5e:00:00:01"),
        ("rx_queue_size=100", "rx_queue_size must be a power of two from 256 to 1024, not 100"),
        ("host_mtu=67", "host_mtu must be 0 or from 68 on, not 67"),
        ("netdev=n1", "n1"),
    ] {
        let vmm = Vmm::line("-accel qtest -nodefaults -m 16M").and(PERMITTED);
        let card = format!("virtio-net-device,{options}");
        vmm.args(["-device", &*card]).run().code(1).complains(why);
    }
    let vmm = Vmm::line("-accel qtest -nodefaults -m 16M -netdev hubport,id=n0,hubid=0");
    let two = "-device virtio-net-device,netdev=n0 -device virtio-net-device,netdev=n0";
    vmm.and(PERMITTED).and(two).run().code(1).complains("n0");
}

#[test]
fn a_guest_gets_a_frame_and_sends_it_back() {
    for options in [
        "",
        "-accel kvm,kernel-irqchip=on",
        "-object iothread,id=io0 -global virtio-net-device.iothread=io0",
    ] {
        let scratch = Scratch::new();
        let kernel = scratch.guest(virtio_guest::echoes_a_frame());
        let [own, far] = ["own", "far"].map(|name| scratch.path().join(name));
        let peer = UnixDatagram::bind(&far).expect("the path is free");
        peer.set_read_timeout(Some(Duration::from_millis(100))).expect("it can be set");
        let network = format!(
            "dgram,id=n0,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            own.display(),
            far.display()
        );
        let running = Vmm::line("-no-reboot")
            .and(options)
            .args(["-netdev", &*network, "-device", "virtio-net-device,netdev=n0"])
            .kernel(&kernel)
            .start();
        let (frame, mut echo) = (frame(OWN, 300), vec![0; 2048]);
        // It is lost until the guest's driver is there.
        wait("the guest's frame", || {
            let _ = peer.send_to(&frame, &own);
            peer.recv(&mut echo).is_ok_and(|length| echo[..length] == frame)
        });
        running.finish().code(0).says_only("echoed\n");
    }
}
