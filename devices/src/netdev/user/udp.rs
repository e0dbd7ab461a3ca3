//! UDP: a socket of the host's for each pair of ends that a guest's datagrams go between.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv,
        recvfrom, send, sendto, socket_with,
    },
};

use super::{
    link::Link,
    network::Network,
    packet::{LONGEST_DATAGRAM, datagram},
    tcp::Ends,
};
use crate::chardev::channel::{Poller, Readiness, Token};

/// Pairs of ends at once, at most, and as many of those who come to forwarded ports. The one that
/// has been idle for the longest time goes for a new one.
const MOST_FLOWS: usize = 256;

/// How long a pair of ends is kept without a datagram (RFC 4787, section 4.3: two minutes at least).
const PATIENCE: Duration = Duration::from_secs(120);

/// Datagrams that are read in one turn, so that others have theirs.
const MOST_READ: usize = 64;

/// The ports that datagrams to a guest come from (RFC 6335, section 6).
const FIRST_PORT: u16 = 49152;

/// All pairs of ends.
pub(super) struct Udp {
    network: Network,
    flows: HashMap<Token, Flow>,
    tokens: HashMap<Ends, Token>,
    next_token: Token,
    forwards: HashMap<Token, Forward>,
    /// Those who have come to forwarded ports, by the ends that the guest sees.
    visitors: HashMap<Ends, Visitor>,
    next_port: u16,
}

struct Flow {
    ends: Ends,
    socket: OwnedFd,
    used: Instant,
}

/// A port of the host's that is a guest's.
struct Forward {
    socket: OwnedFd,
    guest: SocketAddrV4,
}

struct Visitor {
    forward: Token,
    address: SocketAddr,
    used: Instant,
}

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

fn socket(to: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, FLAGS, None)?;
    connect(&socket, &to)?;
    Ok(socket)
}

impl Udp {
    /// None yet. Tokens are given from `first_token` on.
    pub(super) fn new(network: Network, first_token: Token) -> Self {
        Self {
            network,
            flows: HashMap::new(),
            tokens: HashMap::new(),
            next_token: first_token,
            forwards: HashMap::new(),
            visitors: HashMap::new(),
            next_port: FIRST_PORT,
        }
    }

    fn token(&mut self) -> Token {
        let token = self.next_token;
        self.next_token = token.wrapping_add(1);
        token
    }

    /// Makes a port of the host's a guest's.
    ///
    /// # Errors
    /// If the host refuses.
    pub(super) fn forward(
        &mut self,
        at: SocketAddrV4,
        guest: SocketAddrV4,
        poller: &Poller,
    ) -> std::io::Result<()> {
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, FLAGS, None)?;
        bind(&socket, &at)?;
        let token = self.token();
        poller.add(&socket, token, Readiness::IN)?;
        self.forwards.insert(token, Forward { socket, guest });
        Ok(())
    }

    /// Takes a datagram of the guest's. `reach` tells where on the host it is to go; without that it
    /// is lost.
    pub(super) fn datagram(
        &mut self,
        ends: Ends,
        payload: &[u8],
        poller: &Poller,
        reach: impl FnOnce() -> Option<SocketAddr>,
    ) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if let Some(visitor) = self.visitors.get_mut(&ends) {
            visitor.used = Instant::now();
            if let Some(forward) = self.forwards.get(&visitor.forward) {
                // Lost if it can't be, as datagrams are.
                let _ = sendto(&forward.socket, payload, flags, &visitor.address);
            }
            return;
        }
        let known = self.tokens.get(&ends).copied();
        let token = known.or_else(|| {
            let socket = socket(reach()?).ok()?;
            self.make_room(poller);
            let token = self.token();
            poller.add(&socket, token, Readiness::IN).ok()?;
            self.tokens.insert(ends, token);
            self.flows.insert(token, Flow { ends, socket, used: Instant::now() });
            Some(token)
        });
        if let Some(flow) = token.and_then(|token| self.flows.get_mut(&token)) {
            flow.used = Instant::now();
            let _ = send(&flow.socket, payload, flags);
        }
    }

    fn make_room(&mut self, poller: &Poller) {
        if self.flows.len() >= MOST_FLOWS {
            let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.used);
            if let Some(token) = oldest.map(|(token, _)| *token) {
                self.forget(token, poller);
            }
        }
    }

    fn forget(&mut self, token: Token, poller: &Poller) {
        if let Some(flow) = self.flows.remove(&token) {
            self.tokens.remove(&flow.ends);
            poller.remove(&flow.socket);
        }
    }

    /// Something is ready that this let the poller wait for.
    pub(super) fn ready(&mut self, token: Token, link: &mut Link, poller: &Poller) {
        let mut buffer = [0; LONGEST_DATAGRAM];
        // With TRUNC, the length is that of the datagram, however much of it has room.
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        if let Some(flow) = self.flows.get_mut(&token) {
            flow.used = Instant::now();
            let (guest, other) = flow.ends;
            for _ in 0..MOST_READ {
                match recv(&flow.socket, &mut buffer, flags) {
                    Ok((_, length)) => give(link, other, guest, buffer.get(..length)),
                    Err(Errno::AGAIN) => break,
                    // What came back of an earlier datagram.
                    Err(_) => {}
                }
            }
            return poller.arm(&flow.socket, token, Readiness::IN);
        }
        for _ in 0..MOST_READ {
            let Some(forward) = self.forwards.get(&token) else { return };
            let guest = forward.guest;
            match recvfrom(&forward.socket, &mut buffer, flags) {
                Ok((_, length, from)) => {
                    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                    let end = from.and_then(|from| self.visitor(token, guest, from));
                    if let Some(end) = end {
                        give(link, end, guest, buffer.get(..length));
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(_) => {}
            }
        }
        if let Some(forward) = self.forwards.get(&token) {
            poller.arm(&forward.socket, token, Readiness::IN);
        }
    }

    /// The end by which the guest sees somebody who has come to a forwarded port.
    fn visitor(
        &mut self,
        forward: Token,
        guest: SocketAddrV4,
        address: SocketAddr,
    ) -> Option<SocketAddrV4> {
        let known = self
            .visitors
            .iter_mut()
            .find(|(_, visitor)| visitor.forward == forward && visitor.address == address);
        if let Some(((_, end), visitor)) = known {
            visitor.used = Instant::now();
            return Some(*end);
        }
        if self.visitors.len() >= MOST_FLOWS {
            let oldest = self.visitors.iter().min_by_key(|(_, visitor)| visitor.used);
            let oldest = oldest.map(|(ends, _)| *ends)?;
            self.visitors.remove(&oldest);
        }
        for _ in 0..=u16::MAX - FIRST_PORT {
            let end = SocketAddrV4::new(self.network.host, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if let Entry::Vacant(place) = self.visitors.entry((guest, end)) {
                place.insert(Visitor { forward, address, used: Instant::now() });
                return Some(end);
            }
        }
        None
    }

    /// Forgets what has been idle for long. Milliseconds until it is to be called again, if there is
    /// anything.
    pub(super) fn expire(&mut self, poller: &Poller) -> Option<u64> {
        let now = Instant::now();
        let is_idle = |used: Instant| now.saturating_duration_since(used) >= PATIENCE;
        let idle: Vec<_> = self
            .flows
            .iter()
            .filter(|(_, flow)| is_idle(flow.used))
            .map(|(token, _)| *token)
            .collect();
        for token in idle {
            self.forget(token, poller);
        }
        self.visitors.retain(|_, visitor| !is_idle(visitor.used));
        let some = !self.flows.is_empty() || !self.visitors.is_empty();
        some.then(|| u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Sends a datagram to the guest. One that is too long is lost, as is one for which there is no
/// room.
fn give(link: &mut Link, from: SocketAddrV4, to: SocketAddrV4, payload: Option<&[u8]>) {
    if let Some(packet) = payload.and_then(|payload| datagram(from, to, payload)) {
        link.send(&packet);
    }
}
