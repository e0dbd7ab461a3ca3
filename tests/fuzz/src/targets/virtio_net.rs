//! The network card: its queues, its commands, and what the network gives it.

use std::sync::Arc;

use device_model::{
    netdev::VnetHeader,
    qom_core::{Request, Tree},
    testing::TestNetdev,
};

use crate::{Target, input::Input, virtio};

inventory::submit!(Target { name: "virtio-net", covers: &["virtio-net-device"], run });

/// Frames that wait at once.
const MOST_WAITING: usize = 16;
/// Bytes of a frame that an input says; the others are zeroes.
const FRONT: usize = 30;
/// Bytes of a frame's header, and the only flag that a network is handed.
const HEADER: usize = 12;
const NEEDS_CSUM: u8 = 1;

/// The first byte says what the card and the network are like.
fn run(data: &[u8]) {
    let (kind, data) = data.split_first().map_or((0, data), |(kind, data)| (*kind, data));
    let word = |bit: u8| if kind & bit == 0 { "on" } else { "off" };
    let network = match kind & 1 {
        0 => Request::new("test-netdev", "/", "network").set("queues", "2"),
        // It has no headers.
        _ => Request::new("netdev-hubport", "/", "network").set("hubid", "0"),
    };
    let properties = [
        ("netdev", "network"),
        ("mq", word(2)),
        ("mrg_rxbuf", word(4)),
        ("ctrl_vq", word(8)),
        ("guest_csum", word(16)),
        ("csum", word(32)),
        ("host_mtu", if kind & 64 == 0 { "0" } else { "1500" }),
    ];
    virtio::drive_beside([network], "virtio-net-device", &properties, data, beside);
}

/// Bits: a frame comes, with its length and how it begins; the network takes no more; it does.
fn beside(tree: &Tree, bits: u8, input: &mut Input<'_>) {
    let network = tree.resolve("/network").expect("it is there");
    let Some(network): Option<Arc<TestNetdev>> = network.cast() else { return };
    if bits & 1 != 0 && network.waiting() < MOST_WAITING {
        let length = usize::from(u16::from_le_bytes([input.byte(), input.byte()]));
        let mut frame = input.take(FRONT).to_vec();
        frame.resize(length, 0);
        network.give(&frame);
    }
    if bits & 2 != 0 {
        network.set_full(true);
    }
    if bits & 4 != 0 {
        network.set_full(false);
    }
    assert_eq!(network.header().0, VnetHeader::Modern);
    for frame in network.take_sent() {
        assert!(frame.len() > HEADER, "a frame without a frame");
        assert_eq!(frame[0] & !NEEDS_CSUM, 0, "flags that the network is not handed");
        assert!(frame[1] & 0x7f <= 5 && frame[1] & 0x7f != 3, "division that there is not");
    }
}
