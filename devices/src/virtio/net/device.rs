//! `virtio-net-device`: what users configure, and how it is driven.

use std::{io, sync::Arc};

use device_model::{
    netdev::Offloads,
    prelude::*,
    virtio::{VirtioDevice, VirtioDriver, spec::device_id},
};

use super::{
    card::Card,
    layout::{Duplex, Layout, Settings},
    mac::MacAddress,
    spec::{config, feature},
    work::Work,
};

/// Network card
///
/// Checksums and segments are left to the network if that has a way for it, as a TAP interface has
/// with `vnet_hdr`; elsewhere none of it is offered, whatever the properties say.
#[qom_type(
    secure,
    name = "virtio-net-device",
    parent = VirtioDevice,
    category = "Network devices"
)]
pub struct VirtioNetDevice {
    /// The network that it is plugged into
    #[property(link = dyn Netdev)]
    netdev: Link<dyn Netdev>,
    /// Its address; one that no other card has, from 52:54:00:12:34:56 on, if none
    #[property]
    mac: Option<MacAddress>,
    /// Whether the guest may leave checksums out
    #[property(default = true)]
    csum: bool,
    /// Whether the guest may get frames without checksums
    #[property(name = "guest_csum", default = true)]
    guest_csum: bool,
    /// Whether the guest may send undivided TCP over IP version 4
    #[property(name = "host_tso4", default = true)]
    host_tso4: bool,
    /// Whether the guest may send undivided TCP over IP version 6
    #[property(name = "host_tso6", default = true)]
    host_tso6: bool,
    /// Whether the guest may send undivided TCP that marks congestion
    #[property(name = "host_ecn", default = true)]
    host_ecn: bool,
    /// Whether the guest may send undivided UDP
    #[property(name = "host_uso", default = true)]
    host_uso: bool,
    /// Whether the guest may get undivided TCP over IP version 4
    #[property(name = "guest_tso4", default = true)]
    guest_tso4: bool,
    /// Whether the guest may get undivided TCP over IP version 6
    #[property(name = "guest_tso6", default = true)]
    guest_tso6: bool,
    /// Whether the guest may get undivided TCP that marks congestion
    #[property(name = "guest_ecn", default = true)]
    guest_ecn: bool,
    /// Whether the guest may get undivided UDP over IP version 4, if over version 6 too
    #[property(name = "guest_uso4", default = true)]
    guest_uso4: bool,
    /// Whether the guest may get undivided UDP over IP version 6, if over version 4 too
    #[property(name = "guest_uso6", default = true)]
    guest_uso6: bool,
    /// Whether a frame may be spread over several of the guest's buffers
    #[property(name = "mrg_rxbuf", default = true)]
    mrg_rxbuf: bool,
    /// Whether the guest is told of the link
    #[property(default = true)]
    status: bool,
    /// Whether there is a control queue
    #[property(name = "ctrl_vq", default = true)]
    ctrl_vq: bool,
    /// Whether the guest may choose which frames it gets
    #[property(name = "ctrl_rx", default = true)]
    ctrl_rx: bool,
    /// Whether there are more ways to do so
    #[property(name = "ctrl_rx_extra", default = true)]
    ctrl_rx_extra: bool,
    /// Whether the guest may choose which VLANs it gets
    #[property(name = "ctrl_vlan", default = true)]
    ctrl_vlan: bool,
    /// Whether the guest may set the address
    #[property(name = "ctrl_mac_addr", default = true)]
    ctrl_mac_addr: bool,
    /// Whether the guest may change what it gets unfinished
    #[property(name = "ctrl_guest_offloads", default = true)]
    ctrl_guest_offloads: bool,
    /// Whether there are as many pairs of queues as the network has queues, instead of one
    #[property(default = false)]
    mq: bool,
    /// The greatest size of queues of received frames, in descriptors, a power of two
    #[property(name = "rx_queue_size", default = 256)]
    rx_queue_size: u16,
    /// The greatest size of queues of frames to be sent, in descriptors, a power of two
    #[property(name = "tx_queue_size", default = 256)]
    tx_queue_size: u16,
    /// The most bytes that the network carries behind an Ethernet header; 0 if the guest is not told
    #[property(name = "host_mtu", default = 0)]
    host_mtu: u16,
    /// Speed of the link that the guest is told, in Mbit/s
    #[property(range = 0..=0x7fff_ffff)]
    speed: Option<u32>,
    /// Whether the guest is told that the link carries both directions at once
    #[property]
    duplex: Option<Duplex>,
    /// Thread that serves its queues
    #[property(link = dyn EventLoopBase)]
    iothread: Link<dyn EventLoopBase>,
    card: Realized<Arc<Card>>,
    work: Realized<Work>,
}

impl VirtioNetDevice {
    /// The features that the user allows.
    fn allowed(&self) -> u64 {
        let uso = self.guest_uso4 && self.guest_uso6;
        [
            (feature::CSUM, self.csum),
            (feature::GUEST_CSUM, self.guest_csum),
            (feature::HOST_TSO4, self.host_tso4),
            (feature::HOST_TSO6, self.host_tso6),
            (feature::HOST_ECN, self.host_ecn),
            (feature::HOST_USO, self.host_uso),
            (feature::GUEST_TSO4, self.guest_tso4),
            (feature::GUEST_TSO6, self.guest_tso6),
            (feature::GUEST_ECN, self.guest_ecn),
            (feature::GUEST_USO4 | feature::GUEST_USO6, uso),
            (feature::MRG_RXBUF, self.mrg_rxbuf),
            (feature::STATUS, self.status),
            (feature::CTRL_VQ, self.ctrl_vq),
            (feature::CTRL_RX, self.ctrl_rx),
            (feature::CTRL_RX_EXTRA, self.ctrl_rx_extra),
            (feature::CTRL_VLAN, self.ctrl_vlan),
            (feature::CTRL_MAC_ADDR, self.ctrl_mac_addr),
            (feature::CTRL_GUEST_OFFLOADS, self.ctrl_guest_offloads),
            (feature::MQ, self.mq),
        ]
        .into_iter()
        .fold(0, |all, (bits, allowed)| all | if allowed { bits } else { 0 })
    }

    fn settings(&self, mac: MacAddress) -> Settings {
        let netdev = self.netdev.get();
        Settings {
            mac,
            offloads: netdev.and_then(|netdev| netdev.offloads()),
            queues: netdev.map_or(1, |netdev| netdev.queues()),
            allowed: self.allowed(),
            queue_sizes: [self.rx_queue_size, self.tx_queue_size],
            mtu: self.host_mtu,
            speed: self.speed,
            duplex: self.duplex,
        }
    }
}

/// The addresses of all cards that are realized in an object's tree.
fn addresses(object: &Obj) -> Vec<MacAddress> {
    let mut root = object.clone();
    while let Some(parent) = root.parent() {
        root = parent;
    }
    let (mut found, mut waiting) = (Vec::new(), vec![root]);
    while let Some(object) = waiting.pop() {
        if let Some(card) = object.cast::<VirtioNetDevice>() {
            found.extend(card.card.with(|card| card.layout().mac()));
        }
        waiting.extend(object.children().into_iter().map(|(_, child)| child));
    }
    found
}

impl Device for VirtioNetDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let mac = self.mac.or_else(|| MacAddress::free(&addresses(cx.object())));
        let mac = mac.ok_or(DeviceError::Missing("address that no other network card has"))?;
        let layout = Layout::new(self.settings(mac)).map_err(DeviceError::configuration)?;
        let card = Arc::new(Card::new(layout, self.netdev.get().cloned()));
        self.card.set(Arc::clone(&card));
        let events = self.iothread.get().and_then(|thread| thread.events());
        cx.connect_network(self, &self.netdev, events)?;
        card.accept_unfinished(Offloads::default()).map_err(DeviceError::configuration)?;
        cx.plug_virtio(self)
    }

    fn unrealize(&self) {
        self.card.clear();
    }
}

impl NetdevPeer for VirtioNetDevice {
    fn receive(&self, queue: u16, frame: &[u8]) -> Receiving {
        // Without a driver it is lost.
        self.work.get().map_or(Receiving::Taken, |work| work.receive(queue, frame))
    }

    fn can_send(&self, queue: u16) {
        self.work.with(|work| work.can_send(queue));
    }

    fn link_changed(&self, up: bool) {
        self.card.with(|card| card.set_link(up));
        // A generation of the configuration begins behind the new state.
        let driver = self.work.with(|work| work.driver().clone());
        if let Some(driver) = driver.filter(|driver| driver.features() & feature::STATUS != 0) {
            driver.config_changed();
        }
    }
}

impl VirtioDevice for VirtioNetDevice {
    fn device_id(&self) -> u32 {
        device_id::NET
    }

    fn queue_sizes(&self) -> Vec<u16> {
        self.card.with(|card| card.layout().queue_sizes()).unwrap_or_default()
    }

    fn features(&self) -> u64 {
        self.card.with(|card| card.layout().features()).unwrap_or_default()
    }

    fn config_size(&self) -> u64 {
        config::SIZE as u64
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let Some(bytes) = self.card.with(|card| card.config()) else { return };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(data.len());
        if let Some(bytes) = bytes.get(start..end) {
            data.copy_from_slice(bytes);
        }
    }

    fn event_loop(&self) -> Option<Arc<EventLoop>> {
        self.iothread.get()?.events()
    }

    fn start(&self, driver: VirtioDriver) -> io::Result<()> {
        let card = self.card.get().ok_or(io::ErrorKind::NotConnected)?;
        self.work.set(Work::new(&card, driver)?);
        Ok(())
    }

    fn notified(&self, queue: u16) {
        if let Some(work) = self.work.get() {
            work.notified(queue);
        }
    }

    fn queue_stopped(&self, queue: u16) {
        // What waits for buffers in it waits in vain.
        if let Some(work) = self.work.get() {
            work.notified(queue);
        }
    }

    fn stop(&self) {
        self.work.clear();
        self.card.with(|card| card.end());
    }
}
