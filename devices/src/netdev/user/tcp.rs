//! TCP: each connection of a guest's ends here, and goes on by a socket of the host's.
//!
//! A guest that connects is answered once the host's socket is connected, and refused if that is. The
//! guest's end of each connection is smoltcp's, which sees to order, loss and windows; bytes are
//! copied between it and the host's socket as far as either has room.

mod flow;

use std::{
    collections::HashMap,
    net::{SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
    time::Instant,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt},
};
use smoltcp::{
    iface::{Config, Interface, SocketSet},
    socket::tcp::{Socket, SocketBuffer},
    time::Duration,
    wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint, Ipv4Packet, TcpPacket},
};

use self::flow::{Flow, Host};
use super::{device::Packets, network::Network};
use crate::chardev::channel::{Poller, Readiness, Token};

/// Connections at once, at most.
const MOST_FLOWS: usize = 256;

/// Bytes that wait in a connection, at most, in each direction.
const BUFFER: usize = 1 << 16;

/// Packets of the guest's that wait for the stack, at most. It takes none while many wait for the
/// guest.
const MOST_RECEIVED: usize = 64;

/// How long a guest may leave data unanswered until its connection is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ports that connections to a guest come from (RFC 6335, section 6).
const FIRST_PORT: u16 = 49152;

/// The ends of a connection: the guest's and the other.
pub(super) type Ends = (SocketAddrV4, SocketAddrV4);

/// All connections.
pub(super) struct Tcp {
    network: Network,
    interface: Interface,
    pub(super) packets: Packets,
    sockets: SocketSet<'static>,
    flows: HashMap<Token, Flow>,
    tokens: HashMap<Ends, Token>,
    next_token: Token,
    next_port: u16,
    started: Instant,
}

fn endpoint(address: SocketAddrV4) -> IpEndpoint {
    IpEndpoint::new(IpAddress::Ipv4(*address.ip()), address.port())
}

impl Tcp {
    /// None yet. Tokens are given from `first_token` on.
    pub(super) fn new(network: Network, first_token: Token) -> Self {
        let mut packets = Packets::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed();
        let mut interface = Interface::new(config, &mut packets, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // There is room for one.
            let own = IpCidr::new(IpAddress::Ipv4(network.host), network.prefix);
            let _ = addresses.push(own);
        });
        // It stands for all hosts that there are.
        interface.set_any_ip(true);
        Self {
            network,
            interface,
            packets,
            sockets: SocketSet::new(Vec::new()),
            flows: HashMap::new(),
            tokens: HashMap::new(),
            next_token: first_token,
            next_port: FIRST_PORT,
            started: Instant::now(),
        }
    }

    fn now(&self) -> smoltcp::time::Instant {
        let micros = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        smoltcp::time::Instant::from_micros(micros)
    }

    /// Takes a packet of the guest's. `reach` tells where on the host a connection is to go; what
    /// goes nowhere is refused.
    pub(super) fn packet(
        &mut self,
        packet: &Ipv4Packet<&[u8]>,
        poller: &Poller,
        reach: impl FnOnce() -> Option<SocketAddr>,
    ) {
        let Ok(segment) = TcpPacket::new_checked(packet.payload()) else { return };
        let guest = SocketAddrV4::new(packet.src_addr(), segment.src_port());
        let other = SocketAddrV4::new(packet.dst_addr(), segment.dst_port());
        if !self.network.may_be_guest(*guest.ip()) || guest.port() == 0 || other.port() == 0 {
            return;
        }
        let whole = || {
            let length = usize::from(packet.total_len());
            packet.as_ref().get(..length).unwrap_or_default().to_vec()
        };
        let begins = segment.syn() && !segment.ack() && !segment.rst();
        let known = self.tokens.get(&(guest, other)).copied();
        match known.and_then(|token| self.flows.get(&token).map(|flow| (token, flow))) {
            Some((token, flow)) if flow.is_connecting() => {
                if segment.rst() {
                    self.forget(token, poller);
                }
                // It asks again, and is answered once the host has answered.
            }
            None if begins && self.flows.len() < MOST_FLOWS => {
                let begun = reach().and_then(|to| dial(to).ok());
                let begun = begun.and_then(|socket| {
                    let host = Host::connecting(socket, whole());
                    self.add((guest, other), host, poller)
                });
                if begun.is_none() {
                    self.packets.received.push_back(whole());
                }
            }
            // What belongs to no connection is refused by the stack.
            _ => self.packets.received.push_back(whole()),
        }
    }

    fn add(&mut self, ends: Ends, host: Host, poller: &Poller) -> Option<Token> {
        let token = self.next_token;
        poller.add(host.socket(), token, Readiness::IN | Readiness::OUT).ok()?;
        self.next_token = self.next_token.checked_add(1)?;
        self.tokens.insert(ends, token);
        self.flows.insert(token, Flow::new(ends, host));
        Some(token)
    }

    /// Connects to a guest for somebody who has come to the host. If that can't be, they find their
    /// connection closed.
    pub(super) fn welcome(&mut self, socket: OwnedFd, guest: SocketAddrV4, poller: &Poller) {
        let ports = u16::MAX - FIRST_PORT;
        let mut free = None;
        for _ in 0..=ports {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            let ends = (guest, SocketAddrV4::new(self.network.host, port));
            if !self.tokens.contains_key(&ends) {
                free = Some(ends);
                break;
            }
        }
        let Some(ends) = free.filter(|_| self.flows.len() < MOST_FLOWS) else { return };
        let mut end = guest_end();
        let connected = end.connect(self.interface.context(), endpoint(guest), endpoint(ends.1));
        if connected.is_err() {
            return;
        }
        let Some(token) = self.add(ends, Host::connected(socket), poller) else { return };
        let handle = self.sockets.add(end);
        if let Some(flow) = self.flows.get_mut(&token) {
            flow.begin(handle);
        }
    }

    /// Something is ready that [`Tcp::add`] let the poller wait for.
    pub(super) fn ready(&mut self, token: Token, what: Readiness, poller: &Poller) {
        let Some(flow) = self.flows.get_mut(&token) else { return };
        if !flow.is_connecting() {
            return flow.ready(what);
        }
        let outcome = sockopt::socket_error(flow.socket()).and_then(|error| error);
        let request = flow.connected();
        let Some((ends, request)) = request else { return };
        if outcome.is_err() {
            self.forget(token, poller);
            // With nobody to take it, it is refused.
            return self.packets.received.push_back(request);
        }
        let mut end = guest_end();
        if end.listen(endpoint(ends.1)).is_err() {
            return self.forget(token, poller);
        }
        let handle = self.sockets.add(end);
        // By itself, so that this request and no other comes to it, and whether or not the guest
        // takes packets just now.
        self.packets.received.push_front(request);
        self.packets.urgent = true;
        let now = self.now();
        self.interface.poll_ingress_single(now, &mut self.packets, &mut self.sockets);
        self.packets.urgent = false;
        let end = self.sockets.get::<Socket<'_>>(handle);
        if end.remote_endpoint() != Some(endpoint(ends.0)) {
            self.sockets.remove(handle);
            return self.forget(token, poller);
        }
        if let Some(flow) = self.flows.get_mut(&token) {
            flow.begin(handle);
        }
    }

    /// Lets the stack do what there is to do.
    fn turn(&mut self) {
        let now = self.now();
        self.interface.poll(now, &mut self.packets, &mut self.sockets);
    }

    /// Moves bytes and packets as far as there is room, and ends what is over.
    pub(super) fn work(&mut self, poller: &Poller) {
        self.turn();
        let mut over = Vec::new();
        for (token, flow) in &mut self.flows {
            if flow.copy(&mut self.sockets, *token, poller) {
                over.push(*token);
            }
        }
        self.turn();
        for token in over {
            self.forget(token, poller);
        }
    }

    /// Ends a connection, of which the guest knows.
    fn forget(&mut self, token: Token, poller: &Poller) {
        let Some(flow) = self.flows.remove(&token) else { return };
        self.tokens.remove(&flow.ends());
        poller.remove(flow.socket());
        if let Some(handle) = flow.handle() {
            self.sockets.remove(handle);
        }
    }

    /// Milliseconds until the stack has something to do again, whatever comes.
    pub(super) fn wait(&mut self) -> Option<u64> {
        let now = self.now();
        let wait = self.interface.poll_delay(now, &self.sockets);
        wait.map(|wait| wait.total_millis())
    }

    /// Whether another packet of the guest's can be taken.
    pub(super) fn has_room(&self) -> bool {
        self.packets.received.len() < MOST_RECEIVED
    }
}

/// The guest's end of a connection.
fn guest_end() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; BUFFER]);
    let mut end = Socket::new(buffer(), buffer());
    end.set_timeout(Some(PATIENCE));
    // The host's end waits for small pieces already.
    end.set_nagle_enabled(false);
    end.set_ack_delay(None);
    end
}

/// A number that nobody can guess, for what TCP numbers its bytes by (RFC 9293, section 3.4.1).
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// Begins to connect.
fn dial(to: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}
