//! Numbers of the network device (virtio 1.2, section 5.1), under the names of the specification.

use virtio_bindings::virtio_net;

/// Feature bits (section 5.1.3).
pub mod feature {
    use super::virtio_net;

    /// The device takes frames whose checksum is missing.
    pub const CSUM: u64 = 1 << virtio_net::VIRTIO_NET_F_CSUM;
    /// So does the driver.
    pub const GUEST_CSUM: u64 = 1 << virtio_net::VIRTIO_NET_F_GUEST_CSUM;
    /// There are commands to switch off what the driver takes.
    pub const CTRL_GUEST_OFFLOADS: u64 = 1 << virtio_net::VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
    /// [`config::MTU`](super::config::MTU) holds.
    pub const MTU: u64 = 1 << virtio_net::VIRTIO_NET_F_MTU;
    /// [`config::MAC`](super::config::MAC) holds.
    pub const MAC: u64 = 1 << virtio_net::VIRTIO_NET_F_MAC;
    /// The driver takes undivided TCP over IP version 4.
    pub const GUEST_TSO4: u64 = 1 << virtio_net::VIRTIO_NET_F_GUEST_TSO4;
    /// The driver takes undivided TCP over IP version 6.
    pub const GUEST_TSO6: u64 = 1 << virtio_net::VIRTIO_NET_F_GUEST_TSO6;
    /// The driver takes undivided TCP that marks congestion.
    pub const GUEST_ECN: u64 = 1 << virtio_net::VIRTIO_NET_F_GUEST_ECN;
    /// The device takes undivided TCP over IP version 4.
    pub const HOST_TSO4: u64 = 1 << virtio_net::VIRTIO_NET_F_HOST_TSO4;
    /// The device takes undivided TCP over IP version 6.
    pub const HOST_TSO6: u64 = 1 << virtio_net::VIRTIO_NET_F_HOST_TSO6;
    /// The device takes undivided TCP that marks congestion.
    pub const HOST_ECN: u64 = 1 << virtio_net::VIRTIO_NET_F_HOST_ECN;
    /// A frame may be spread over several chains.
    pub const MRG_RXBUF: u64 = 1 << virtio_net::VIRTIO_NET_F_MRG_RXBUF;
    /// [`config::STATUS`](super::config::STATUS) holds.
    pub const STATUS: u64 = 1 << virtio_net::VIRTIO_NET_F_STATUS;
    /// There is a control queue.
    pub const CTRL_VQ: u64 = 1 << virtio_net::VIRTIO_NET_F_CTRL_VQ;
    /// There are commands of which frames are received.
    pub const CTRL_RX: u64 = 1 << virtio_net::VIRTIO_NET_F_CTRL_RX;
    /// There are commands of which VLANs are received.
    pub const CTRL_VLAN: u64 = 1 << virtio_net::VIRTIO_NET_F_CTRL_VLAN;
    /// There are more of the former.
    pub const CTRL_RX_EXTRA: u64 = 1 << virtio_net::VIRTIO_NET_F_CTRL_RX_EXTRA;
    /// [`config::MAX_VIRTQUEUE_PAIRS`](super::config::MAX_VIRTQUEUE_PAIRS) holds, and there is a
    /// command of how many are used.
    pub const MQ: u64 = 1 << virtio_net::VIRTIO_NET_F_MQ;
    /// There is a command to set the address.
    pub const CTRL_MAC_ADDR: u64 = 1 << virtio_net::VIRTIO_NET_F_CTRL_MAC_ADDR;
    /// The driver takes undivided UDP over IP version 4.
    pub const GUEST_USO4: u64 = 1 << virtio_net::VIRTIO_NET_F_GUEST_USO4;
    /// The driver takes undivided UDP over IP version 6.
    pub const GUEST_USO6: u64 = 1 << virtio_net::VIRTIO_NET_F_GUEST_USO6;
    /// The device takes undivided UDP.
    pub const HOST_USO: u64 = 1 << virtio_net::VIRTIO_NET_F_HOST_USO;
    /// [`config::SPEED`](super::config::SPEED) and [`config::DUPLEX`](super::config::DUPLEX) hold.
    pub const SPEED_DUPLEX: u64 = 1 << virtio_net::VIRTIO_NET_F_SPEED_DUPLEX;

    /// What of a frame the driver takes unfinished: the bits of
    /// [`control::GUEST_OFFLOADS_SET`](super::control::GUEST_OFFLOADS_SET).
    pub const GUEST_OFFLOADS: u64 =
        GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN | GUEST_USO4 | GUEST_USO6;
}

/// Offsets of the configuration's fields (section 5.1.4), little-endian.
pub mod config {
    /// The address, 6 bytes.
    pub const MAC: usize = 0;
    /// The link's state, 16 bits.
    pub const STATUS: usize = 6;
    /// How many pairs of queues there are, 16 bits.
    pub const MAX_VIRTQUEUE_PAIRS: usize = 8;
    /// The most bytes of a frame behind its Ethernet header, 16 bits.
    pub const MTU: usize = 10;
    /// Speed of the link in Mbit/s, all ones if unknown, 32 bits.
    pub const SPEED: usize = 12;
    /// 0 if the link carries one direction at a time, 1 for both, 0xff if unknown, 8 bits.
    pub const DUPLEX: usize = 16;
    /// Bytes of all that the device has.
    pub const SIZE: usize = 17;

    /// Bit of the link's state: it is up.
    pub const LINK_UP: u16 = 1;
    /// A speed that nobody knows.
    pub const SPEED_UNKNOWN: u32 = u32::MAX;
    /// The same for [`DUPLEX`].
    pub const DUPLEX_UNKNOWN: u8 = 0xff;
}

/// The header before each frame (section 5.1.6, `struct virtio_net_hdr`).
pub mod header {
    use super::virtio_net;

    /// Its bytes.
    pub const SIZE: usize = 12;
    /// Offset of the flags, 8 bits.
    pub const FLAGS: usize = 0;
    /// Of what is to be divided, 8 bits.
    pub const GSO_TYPE: usize = 1;
    /// Of the bytes of all headers, 16 bits.
    pub const HDR_LEN: usize = 2;
    /// Of the most bytes of a part, 16 bits.
    pub const GSO_SIZE: usize = 4;
    /// Of where the checksum begins to count, 16 bits.
    pub const CSUM_START: usize = 6;
    /// Of where it goes, from there on, 16 bits.
    pub const CSUM_OFFSET: usize = 8;
    /// Of how many chains the frame takes, 16 bits.
    pub const NUM_BUFFERS: usize = 10;

    /// Flag: the checksum is missing.
    pub const NEEDS_CSUM: u8 = super::byte(virtio_net::VIRTIO_NET_HDR_F_NEEDS_CSUM);
    /// Flag: the checksum has been seen to be right.
    pub const DATA_VALID: u8 = super::byte(virtio_net::VIRTIO_NET_HDR_F_DATA_VALID);

    /// Nothing is to be divided.
    pub const GSO_NONE: u8 = super::byte(virtio_net::VIRTIO_NET_HDR_GSO_NONE);
    /// TCP over IP version 4 is.
    pub const GSO_TCPV4: u8 = super::byte(virtio_net::VIRTIO_NET_HDR_GSO_TCPV4);
    /// TCP over IP version 6 is.
    pub const GSO_TCPV6: u8 = super::byte(virtio_net::VIRTIO_NET_HDR_GSO_TCPV6);
    /// UDP is, into datagrams.
    pub const GSO_UDP_L4: u8 = super::byte(virtio_net::VIRTIO_NET_HDR_GSO_UDP_L4);
    /// Bit beside these: it marks congestion.
    pub const GSO_ECN: u8 = super::byte(virtio_net::VIRTIO_NET_HDR_GSO_ECN);
}

/// Commands of the control queue (section 5.1.6.5): the class, and what of it.
pub mod control {
    use super::virtio_net;

    const fn command(class: u32, command: u32) -> (u8, u8) {
        (super::byte(class), super::byte(command))
    }

    /// All frames are received, or not, 8 bits.
    pub const RX_PROMISC: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_RX, virtio_net::VIRTIO_NET_CTRL_RX_PROMISC);
    /// All to groups are.
    pub const RX_ALLMULTI: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_RX, virtio_net::VIRTIO_NET_CTRL_RX_ALLMULTI);
    /// All to single stations are.
    pub const RX_ALLUNI: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_RX, virtio_net::VIRTIO_NET_CTRL_RX_ALLUNI);
    /// None to groups are.
    pub const RX_NOMULTI: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_RX, virtio_net::VIRTIO_NET_CTRL_RX_NOMULTI);
    /// None to single stations are.
    pub const RX_NOUNI: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_RX, virtio_net::VIRTIO_NET_CTRL_RX_NOUNI);
    /// None to all stations are.
    pub const RX_NOBCAST: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_RX, virtio_net::VIRTIO_NET_CTRL_RX_NOBCAST);
    /// Addresses that are received: single stations, then groups; each a number, 32 bits, and as many
    /// addresses.
    pub const MAC_TABLE_SET: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_MAC, virtio_net::VIRTIO_NET_CTRL_MAC_TABLE_SET);
    /// The device's own address.
    pub const MAC_ADDR_SET: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_MAC, virtio_net::VIRTIO_NET_CTRL_MAC_ADDR_SET);
    /// A VLAN is received, 16 bits.
    pub const VLAN_ADD: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_VLAN, virtio_net::VIRTIO_NET_CTRL_VLAN_ADD);
    /// It is not any more.
    pub const VLAN_DEL: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_VLAN, virtio_net::VIRTIO_NET_CTRL_VLAN_DEL);
    /// How many pairs of queues are used, 16 bits.
    pub const MQ_VQ_PAIRS_SET: (u8, u8) =
        command(virtio_net::VIRTIO_NET_CTRL_MQ, virtio_net::VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET);
    /// What of the agreed offloads the driver takes, 64 bits.
    pub const GUEST_OFFLOADS_SET: (u8, u8) = command(
        virtio_net::VIRTIO_NET_CTRL_GUEST_OFFLOADS,
        virtio_net::VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
    );

    /// Bytes of class and command.
    pub const HEADER: usize = 2;
    /// Answer: it was done.
    pub const OK: u8 = super::byte(virtio_net::VIRTIO_NET_OK);
    /// Answer: it was not.
    pub const ERR: u8 = super::byte(virtio_net::VIRTIO_NET_ERR);
}

/// A number of the specification's that is a byte.
const fn byte(value: u32) -> u8 {
    let [low, 0, 0, 0] = value.to_le_bytes() else { panic!("it is no byte") };
    low
}

/// Bytes of an address.
pub const ADDRESS: usize = 6;
