//! A user-mode network at work, on the loop: frames of the guest's in, frames for the guest out, and
//! the sockets between.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
};

use device_model::{descriptors::Descriptors, prelude::*};
use smoltcp::wire::{DHCP_SERVER_PORT, IpProtocol, Ipv4Packet, UdpPacket};

use super::{
    dhcp::Leases,
    forward::{Forward, Protocol},
    link::Link,
    network::{Destination, Network, first_nameserver, is_own},
    packet::echo_reply,
    tcp::Tcp,
    udp::Udp,
};
use crate::{
    chardev::{
        channel::{Alarm, Poller, Readiness, Token},
        inet::{Families, HostPort},
        socket::{listen::Listening, settings::Address},
    },
    netdev::port::{Medium, Port},
};

/// The stack has something to do.
const ALARM: Token = 1;
/// It may be that connections can be accepted again.
const RECOVERED: Token = 2;
/// Somebody comes to the first forwarded port; the others follow.
const FIRST_LISTENER: Token = 1 << 8;
/// Of connections.
const FIRST_TCP: Token = 1 << 16;
/// Of datagrams.
const FIRST_UDP: Token = 1 << 62;

/// Frames of the guest's that wait, at most.
const MOST_WAITING: usize = 256;

/// Connections that are accepted in one turn, so that others have theirs.
const MOST_ACCEPTED: usize = 16;

/// Milliseconds after which it tries again to accept connections, when the process had no
/// descriptors or the kernel no memory.
const RECOVERY: u64 = 1000;

/// Bytes that are read of the host's list of servers of names.
const LONGEST_LIST: u64 = 1 << 16;

/// The server of names of this host (resolv.conf(5)).
const RESOLVERS: &str = "/etc/resolv.conf";

/// Frames on their way from the guest.
#[derive(Default)]
pub(super) struct Inbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Vec<u8>>,
    /// Whether the peer was told to come again.
    refused: bool,
}

impl Inbox {
    /// Takes a frame. False if there is no room.
    pub(super) fn add(&self, frame: Vec<u8>) -> bool {
        let mut waiting = self.0.lock();
        if waiting.frames.len() >= MOST_WAITING {
            waiting.refused = true;
            return false;
        }
        waiting.frames.push_back(frame);
        true
    }

    /// Forgets all frames.
    pub(super) fn clear(&self) {
        *self.0.lock() = Waiting::default();
    }

    fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().frames.pop_front()
    }

    /// Whether something waits, and whether the peer waits to send and can.
    fn look(&self) -> (bool, bool) {
        let mut waiting = self.0.lock();
        let has_room = waiting.frames.len() < MOST_WAITING / 2;
        let tells = has_room && std::mem::take(&mut waiting.refused);
        (!waiting.frames.is_empty(), tells)
    }
}

/// What a guest can reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Nothing but its own network.
    pub(super) restricted: bool,
    /// This host too.
    pub(super) own_host: bool,
    /// The server of names that questions are passed on to, unless it is the host's.
    pub(super) resolver: Option<SocketAddr>,
}

impl Reach {
    /// Where on the host it goes what is sent there.
    fn target(&self, network: &Network, to: SocketAddrV4) -> Option<SocketAddr> {
        let outside = match network.destination(*to.ip()) {
            _ if self.restricted => return None,
            Destination::Gateway if self.own_host => Ipv4Addr::LOCALHOST,
            Destination::Resolver if to.port() == 53 => {
                return self.resolver.or_else(host_resolver);
            }
            Destination::Outside(address) if self.own_host || !is_own(address.into()) => address,
            _ => return None,
        };
        Some((outside, to.port()).into())
    }
}

fn host_resolver() -> Option<SocketAddr> {
    let mut text = String::new();
    File::open(RESOLVERS).ok()?.take(LONGEST_LIST).read_to_string(&mut text).ok()?;
    first_nameserver(&text)
}

/// A user-mode network at work.
pub(super) struct User {
    network: Network,
    reach: Reach,
    link: Link,
    leases: Leases,
    tcp: Tcp,
    udp: Udp,
    listeners: Vec<(Listening, SocketAddrV4)>,
    inbox: Arc<Inbox>,
    alarm: Alarm,
    recovery: Alarm,
}

impl User {
    /// # Errors
    /// If the host refuses a forwarded port, or the process has no descriptors left.
    pub(super) fn new(
        network: Network,
        reach: Reach,
        forwards: &[Forward],
        inbox: Arc<Inbox>,
        poller: &Poller,
    ) -> io::Result<Self> {
        let mut user = Self {
            network,
            reach,
            link: Link::new(network),
            leases: Leases::default(),
            tcp: Tcp::new(network, FIRST_TCP),
            udp: Udp::new(network, FIRST_UDP),
            listeners: Vec::new(),
            inbox,
            alarm: Alarm::new(poller, ALARM)?,
            recovery: Alarm::new(poller, RECOVERED)?,
        };
        for forward in forwards {
            user.forward(forward, poller)?;
        }
        Ok(user)
    }

    fn forward(&mut self, forward: &Forward, poller: &Poller) -> io::Result<()> {
        let guest = forward.guest.unwrap_or(self.network.first_lease);
        let guest = SocketAddrV4::new(guest, forward.guest_port);
        let host = forward.host.unwrap_or(Ipv4Addr::UNSPECIFIED);
        match forward.protocol {
            Protocol::Tcp => {
                let port = forward.host_port;
                let families = Families { ipv4: true, ipv6: false };
                let address = Address::Inet { host: host.to_string(), port, last: port, families };
                // It has a host and a port, and numbers no descriptor.
                let listening = Listening::at(&address, &Descriptors::default())?;
                let number = Token::try_from(self.listeners.len()).unwrap_or_default();
                poller.add(&listening, FIRST_LISTENER + number, Readiness::IN)?;
                self.listeners.push((listening, guest));
            }
            Protocol::Udp => {
                let at = SocketAddrV4::new(host, forward.host_port);
                self.udp.forward(at, guest, poller).map_err(|error| {
                    let at = HostPort(&host.to_string(), forward.host_port).to_string();
                    io::Error::new(error.kind(), format!("can't listen at 'udp:{at}': {error}"))
                })?;
            }
        }
        Ok(())
    }

    /// Takes a frame of the guest's.
    fn frame(&mut self, frame: &[u8], poller: &Poller) {
        let Some(packet) = self.link.receive(frame) else { return };
        let (network, reach) = (self.network, self.reach);
        match packet.next_header() {
            IpProtocol::Tcp => {
                let port = |at: usize| {
                    let bytes = packet.payload().get(at..)?.first_chunk::<2>()?;
                    Some(u16::from_be_bytes(*bytes))
                };
                let to = SocketAddrV4::new(packet.dst_addr(), port(2).unwrap_or_default());
                self.tcp.packet(&packet, poller, || reach.target(&network, to));
            }
            IpProtocol::Udp => self.datagram(&packet, poller),
            IpProtocol::Icmp => {
                let own = [network.host, network.dns].contains(&packet.dst_addr());
                let is_guest = network.may_be_guest(packet.src_addr());
                if let Some(reply) = (own && is_guest).then(|| echo_reply(&packet)).flatten() {
                    self.link.send(&reply);
                }
            }
            _ => {}
        }
    }

    fn datagram(&mut self, packet: &Ipv4Packet<&[u8]>, poller: &Poller) {
        let (from, to) = (packet.src_addr(), packet.dst_addr());
        let Ok(datagram) = UdpPacket::new_checked(packet.payload()) else { return };
        if !datagram.verify_checksum(&from.into(), &to.into()) {
            return;
        }
        let is_for_server = to == self.network.host || to.is_broadcast();
        if datagram.dst_port() == DHCP_SERVER_PORT && is_for_server {
            if let Some(reply) = self.leases.answer(&self.network, datagram.payload()) {
                self.link.send(&reply);
            }
            return;
        }
        if !self.network.may_be_guest(from) || datagram.src_port() == 0 || datagram.dst_port() == 0
        {
            return;
        }
        let guest = SocketAddrV4::new(from, datagram.src_port());
        let other = SocketAddrV4::new(to, datagram.dst_port());
        let (network, reach) = (self.network, self.reach);
        self.udp
            .datagram((guest, other), datagram.payload(), poller, || reach.target(&network, other));
    }

    fn accept(&mut self, number: usize, poller: &Poller) {
        let Some((listening, guest)) = self.listeners.get(number) else { return };
        for _ in 0..MOST_ACCEPTED {
            match listening.accept() {
                Ok(socket) => self.tcp.welcome(socket, *guest, poller),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(
                    rustix::io::Errno::NFILE
                    | rustix::io::Errno::MFILE
                    | rustix::io::Errno::NOBUFS
                    | rustix::io::Errno::NOMEM,
                ) => return self.recovery.set(poller, RECOVERY),
                // Whoever it was has gone.
                Err(_) => {}
            }
        }
        self.wait_for(number, poller);
    }

    fn wait_for(&self, number: usize, poller: &Poller) {
        if let Some((listening, _)) = self.listeners.get(number) {
            let token = FIRST_LISTENER + Token::try_from(number).unwrap_or_default();
            poller.arm(listening, token, Readiness::IN);
        }
    }

    /// Gives the peer what waits for it. False if it takes no more.
    fn deliver(&mut self, port: &Port) -> bool {
        while let Some(frame) = self.link.first() {
            if port.deliver(0, frame, 0) == Receiving::Later {
                return false;
            }
            self.link.take();
        }
        true
    }

    /// Moves packets of the stack's to the guest's end of the cable, as far as there is room.
    fn collect(&mut self) {
        while self.link.room() > 0 {
            let Some(packet) = self.tcp.packets.sent.pop_front() else { return };
            self.link.send(&packet);
        }
    }

    /// Does all that can be done now.
    fn work(&mut self, port: &Port, poller: &Poller) {
        let mut takes = self.deliver(port);
        for _ in 0..MOST_WAITING {
            // Half of it, so that one frame's answers always have room.
            if self.link.room() < super::link::MOST_WAITING / 2 || !self.tcp.has_room() {
                break;
            }
            let Some(frame) = self.inbox.take() else { break };
            self.frame(&frame, poller);
        }
        self.tcp.work(poller);
        self.collect();
        if takes {
            takes = self.deliver(port);
        }
        let (waits, tells) = self.inbox.look();
        if tells {
            port.can_send(0);
        }
        // What the guest does not take is waited for by the peer; all else goes on.
        let more = waits || !self.tcp.packets.sent.is_empty();
        if takes && more {
            poller.kick();
        }
        let stack = self.tcp.wait();
        let idle = self.udp.expire(poller);
        if let Some(wait) = stack.into_iter().chain(idle).min() {
            // While the peer takes nothing, the stack can send nothing.
            self.alarm.set(poller, if takes { wait } else { wait.max(RECOVERY) });
        }
    }
}

impl Medium for User {
    fn ready(&mut self, port: &Port, poller: &Arc<Poller>, token: Token, what: Readiness) {
        match token {
            RECOVERED => (0..self.listeners.len()).for_each(|number| self.wait_for(number, poller)),
            FIRST_UDP.. => self.udp.ready(token, &mut self.link, poller),
            FIRST_TCP.. => self.tcp.ready(token, what, poller),
            FIRST_LISTENER.. => {
                let number = usize::try_from(token - FIRST_LISTENER).unwrap_or(usize::MAX);
                self.accept(number, poller);
            }
            _ => {}
        }
        self.work(port, poller);
    }
}
