//! The guest of the tests: smoltcp behind a network card.

use std::{
    collections::VecDeque,
    sync::Arc,
    thread,
    time::{Duration, Instant as HostInstant},
};

use device_model::{prelude::*, testing::TestNic};
use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::{tcp, udp},
    time::Instant,
    wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpEndpoint, Ipv4Address},
};

use super::{GATEWAY, GUEST};

/// The guest's network card, as its driver sees it.
struct Card {
    nic: Arc<TestNic>,
    /// What the network had no room for.
    unsent: VecDeque<Vec<u8>>,
}

struct Received(Vec<u8>);

struct Room<'a>(&'a mut Card);

impl Card {
    fn flush(&mut self) {
        while let Some(frame) = self.unsent.pop_front() {
            if self.nic.send(&frame) == Sending::Later {
                return self.unsent.push_front(frame);
            }
        }
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        self.0.unsent.push_back(frame);
        self.0.flush();
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received, Room<'_>)> {
        let (_, frame) = self.nic.next_frame()?;
        Some((Received(frame), Room(self)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Room<'_>> {
        self.flush();
        self.unsent.is_empty().then_some(Room(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A guest with a network card, and what it does.
pub(crate) struct Guest {
    card: Card,
    interface: Interface,
    pub(crate) sockets: SocketSet<'static>,
    started: HostInstant,
}

impl Guest {
    pub(crate) fn new(nic: Arc<TestNic>) -> Self {
        let mut card = Card { nic, unsent: VecDeque::new() };
        let address = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        let config = Config::new(HardwareAddress::Ethernet(address));
        let interface = Interface::new(config, &mut card, Instant::ZERO);
        let sockets = SocketSet::new(Vec::new());
        Self { card, interface, sockets, started: HostInstant::now() }
    }

    /// With the address that it would be leased first.
    pub(crate) fn configured(nic: Arc<TestNic>) -> Self {
        let mut guest = Self::new(nic);
        guest.configure(GUEST, GATEWAY);
        guest
    }

    pub(crate) fn configure(&mut self, own: Ipv4Address, router: Ipv4Address) {
        self.interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::Ipv4(own), 24)).unwrap();
        });
        self.interface.routes_mut().add_default_ipv4_route(router).unwrap();
    }

    pub(crate) fn turn(&mut self) {
        let now = Instant::from_micros(i64::try_from(self.started.elapsed().as_micros()).unwrap());
        self.interface.poll(now, &mut self.card, &mut self.sockets);
    }

    /// Runs until something is there.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut found: impl FnMut(&mut SocketSet<'static>) -> Option<T>,
    ) -> T {
        let start = HostInstant::now();
        loop {
            self.turn();
            if let Some(found) = found(&mut self.sockets) {
                self.turn();
                return found;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Runs for a while, in which nothing is to happen.
    pub(crate) fn idle(&mut self, milliseconds: u64) {
        let start = HostInstant::now();
        while start.elapsed() < Duration::from_millis(milliseconds) {
            self.turn();
            thread::sleep(Duration::from_micros(200));
        }
    }

    pub(crate) fn tcp(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 32 << 10]);
        self.sockets.add(tcp::Socket::new(buffer(), buffer()))
    }

    pub(crate) fn connect(&mut self, to: (Ipv4Address, u16), from: u16) -> SocketHandle {
        let handle = self.tcp();
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        let to = IpEndpoint::new(IpAddress::Ipv4(to.0), to.1);
        socket.connect(self.interface.context(), to, from).unwrap();
        handle
    }

    /// Whether the connection is made; false if it is refused.
    pub(crate) fn is_connected(&mut self, handle: SocketHandle) -> bool {
        self.until("an answer", |sockets| match sockets.get::<tcp::Socket<'_>>(handle).state() {
            tcp::State::Established | tcp::State::CloseWait => Some(true),
            tcp::State::Closed => Some(false),
            _ => None,
        })
    }

    pub(crate) fn udp(&mut self, port: u16) -> SocketHandle {
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 32 << 10]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        self.sockets.add(socket)
    }

    pub(crate) fn send_to(&mut self, handle: SocketHandle, to: (Ipv4Address, u16), payload: &[u8]) {
        let to = IpEndpoint::new(IpAddress::Ipv4(to.0), to.1);
        self.sockets.get_mut::<udp::Socket<'_>>(handle).send_slice(payload, to).unwrap();
        self.turn();
    }

    /// Sends a datagram until it is answered: the other end may not be there yet.
    pub(crate) fn asks(
        &mut self,
        handle: SocketHandle,
        to: (Ipv4Address, u16),
        payload: &[u8],
    ) -> (Vec<u8>, IpEndpoint) {
        for _ in 0..100 {
            self.send_to(handle, to, payload);
            self.idle(20);
            if self.sockets.get::<udp::Socket<'_>>(handle).can_recv() {
                break;
            }
        }
        self.receive_from(handle)
    }

    pub(crate) fn receive_from(&mut self, handle: SocketHandle) -> (Vec<u8>, IpEndpoint) {
        self.until("a datagram", |sockets| {
            let (payload, from) = sockets.get_mut::<udp::Socket<'_>>(handle).recv().ok()?;
            Some((payload.to_vec(), from.endpoint))
        })
    }
}
