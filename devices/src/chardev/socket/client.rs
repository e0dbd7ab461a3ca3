//! The side that connects.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use device_model::descriptors::Descriptors;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, getpeername, getsockname,
        socket_with, sockopt,
    },
};

use super::{
    inherited::Inherited,
    label,
    security::{Handshakes, Outcome, Security},
    settings::Address,
};
use crate::chardev::{
    channel::{Alarm, Channel, Ends, Host, Poller, Readiness, Token},
    inet::resolve,
};

/// An attempt has succeeded or failed.
pub(crate) const ATTEMPT: Token = 1;

/// It is time for the next one.
pub(crate) const RETRY: Token = 2;

/// A peer that was reached, and how it is shown.
pub(crate) type Reached = Option<(Ends, String)>;

/// A socket that connects, once or for as long as the stream is open.
pub(crate) struct Client {
    targets: Vec<Target>,
    /// Which of them is next.
    next: usize,
    attempt: Option<OwnedFd>,
    /// If the peer needs TLS.
    handshakes: Option<Handshakes>,
    retry: Option<Retry>,
    nodelay: bool,
    place: String,
}

struct Retry {
    alarm: Alarm,
    after: u64,
}

#[derive(Clone, Debug)]
enum Target {
    Unix(SocketAddrUnix),
    Tcp(SocketAddr),
}

impl Client {
    /// Connects, or begins to if it goes on trying every `retry` milliseconds. The descriptors are
    /// those that an address may number.
    ///
    /// # Errors
    /// If the host refuses, or nobody listens and there is no retry; of kind
    /// [`ErrorKind::Interrupted`] if a signal comes first.
    pub(crate) fn new(
        address: Address,
        descriptors: &Descriptors,
        poller: &Poller,
        retry: Option<u64>,
        nodelay: bool,
        security: Option<Security>,
    ) -> io::Result<(Self, Reached)> {
        let place = address.place(false);
        let context = |error: io::Error| {
            io::Error::new(error.kind(), format!("can't connect to '{place}': {error}"))
        };
        let mut inherited = None;
        let targets = match address {
            Address::Path(_, at) | Address::Abstract(_, at) => vec![Target::Unix(at)],
            Address::Inet { host, port, families, .. } => {
                let addresses = resolve(&host, port, families).map_err(context)?;
                addresses.into_iter().map(Target::Tcp).collect()
            }
            Address::Inherited(fd) => {
                let socket = Inherited::duplicate(descriptors, fd).map_err(context)?;
                socket.check_role(fd, false).map_err(io::Error::other)?;
                inherited = Some(socket);
                Vec::new()
            }
        };
        let retry = match retry {
            Some(after) => Some(Retry { alarm: Alarm::new(poller, RETRY)?, after }),
            None => None,
        };
        let handshakes = security.map(|security| Handshakes::new(security, poller)).transpose()?;
        let mut client =
            Self { targets, next: 0, attempt: None, handshakes, retry, nodelay, place };
        let reached = match inherited {
            Some(inherited) => {
                if nodelay && inherited.is_tcp() {
                    sockopt::set_tcp_nodelay(&inherited, true)?;
                }
                Some(client.reached(inherited.into_socket()))
            }
            None if client.retry.is_some() => client.attempt(poller),
            None => {
                let reached = client.connect_once().map_err(|error| {
                    let place = &client.place;
                    io::Error::new(error.kind(), format!("can't connect to '{place}': {error}"))
                })?;
                Some(reached)
            }
        };
        Ok((client, reached))
    }

    /// How it is shown.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    fn reached(&self, socket: OwnedFd) -> (Ends, String) {
        let label = label(&socket, &self.place);
        (Ends::Socket(socket), label)
    }

    /// Begins the handshake, if there is one.
    fn secure(&mut self, poller: &Poller, socket: OwnedFd) -> Reached {
        let Some(handshakes) = &mut self.handshakes else { return Some(self.reached(socket)) };
        let outcome = handshakes.begin(poller, socket);
        self.settle(poller, outcome)
    }

    fn settle(&self, poller: &Poller, outcome: Outcome) -> Reached {
        match outcome {
            Outcome::Pending => None,
            Outcome::Failed => {
                self.try_later(poller);
                None
            }
            Outcome::Done(stream) => {
                let label = label(&stream, &self.place);
                Some((Ends::Tls(stream), label))
            }
        }
    }

    /// Tries each address, and waits for it.
    fn connect_once(&self) -> io::Result<(Ends, String)> {
        let mut problem = io::Error::from(Errno::ADDRNOTAVAIL);
        for target in &self.targets {
            let connected = target.socket(SocketFlags::CLOEXEC).and_then(|socket| {
                target.connect(&socket)?;
                self.check(&socket)?;
                Ok(socket)
            });
            let secured = connected.map_err(io::Error::from).and_then(|socket| {
                let Some(handshakes) = &self.handshakes else { return Ok(self.reached(socket)) };
                let label = label(&socket, &self.place);
                let stream = handshakes.security().complete(socket)?;
                Ok((Ends::Tls(Box::new(stream)), label))
            });
            match secured {
                Ok(reached) => return Ok(reached),
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    return Err(ErrorKind::Interrupted.into());
                }
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    /// Begins to connect to the next address.
    pub(crate) fn attempt(&mut self, poller: &Poller) -> Reached {
        let target = self.targets.get(self.next % self.targets.len().max(1))?;
        self.next = self.next.wrapping_add(1);
        let socket = target.socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        let begun = socket.and_then(|socket| match target.connect(&socket) {
            Err(Errno::INPROGRESS) => {
                poller.add(&socket, ATTEMPT, Readiness::OUT).map_err(|_| Errno::NOMEM)?;
                Ok((socket, false))
            }
            connected => {
                connected?;
                self.check(&socket)?;
                Ok((socket, true))
            }
        });
        match begun {
            Ok((socket, true)) => self.secure(poller, socket),
            Ok((socket, false)) => {
                self.attempt = Some(socket);
                None
            }
            Err(_) => {
                self.try_later(poller);
                None
            }
        }
    }

    /// Ends the attempt, which has succeeded or failed.
    pub(crate) fn conclude(&mut self, poller: &Poller) -> Reached {
        let socket = self.attempt.take()?;
        poller.remove(&socket);
        let outcome = sockopt::socket_error(&socket).and_then(|error| error);
        match outcome.and_then(|()| self.check(&socket)) {
            Ok(()) => self.secure(poller, socket),
            Err(_) => {
                self.try_later(poller);
                None
            }
        }
    }

    /// Checks and sets up a connection.
    fn check(&self, socket: &OwnedFd) -> Result<(), Errno> {
        let ends = (SocketAddr::try_from(getsockname(socket)?), getpeername(socket)?);
        if let (Ok(own), Some(other)) = ends {
            // The kernel may choose the very port that it is to reach, where nobody listens: then
            // TCP connects a socket to itself.
            if SocketAddr::try_from(other).is_ok_and(|other| other == own) {
                return Err(Errno::CONNREFUSED);
            }
            if self.nodelay {
                sockopt::set_tcp_nodelay(socket, true)?;
            }
        }
        Ok(())
    }

    /// Whether nothing is under way.
    fn is_idle(&self) -> bool {
        let handshake = self.handshakes.as_ref().is_some_and(Handshakes::are_pending);
        self.attempt.is_none() && !handshake
    }

    pub(crate) fn try_later(&self, poller: &Poller) {
        if let Some(retry) = &self.retry {
            retry.alarm.set(poller, retry.after);
        }
    }
}

impl Target {
    fn socket(&self, flags: SocketFlags) -> Result<OwnedFd, Errno> {
        let family = match self {
            Self::Unix(_) => AddressFamily::UNIX,
            Self::Tcp(SocketAddr::V4(_)) => AddressFamily::INET,
            Self::Tcp(SocketAddr::V6(_)) => AddressFamily::INET6,
        };
        socket_with(family, SocketType::STREAM, flags, None)
    }

    fn connect(&self, socket: impl AsFd) -> Result<(), Errno> {
        match self {
            Self::Unix(address) => connect(socket, address),
            Self::Tcp(address) => connect(socket, address),
        }
    }
}

impl Host for Client {
    fn ready(&mut self, channel: &Channel, poller: &Arc<Poller>, token: Token) {
        let reached = match token {
            ATTEMPT => self.conclude(poller),
            RETRY if self.is_idle() && channel.peer().is_none() => self.attempt(poller),
            RETRY => None,
            _ => {
                let outcome = self.handshakes.as_mut().map(|all| all.ready(poller, token));
                outcome.and_then(|outcome| self.settle(poller, outcome))
            }
        };
        if let Some((ends, label)) = reached
            && channel.arrive(poller, ends, label).is_err()
        {
            self.try_later(poller);
        }
    }

    fn peer_left(&mut self, poller: &Poller) {
        self.try_later(poller);
    }
}
