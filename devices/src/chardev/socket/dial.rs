//! Reaching a peer: the addresses that its name stands for, and the first of them that answers, within
//! a time.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, getpeername, getsockname,
        socket_with,
        sockopt::{self, Timeout},
    },
};

use super::{label, security::Security, settings::Address};
use crate::chardev::{channel::Ends, inet::resolve};

/// How long all addresses of a peer together may take to answer, once they are known.
const PATIENCE: Duration = Duration::from_secs(10);

/// A peer that was reached, and how it is shown.
pub(crate) type Reached = Option<(Ends, String)>;

/// One address of a peer.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Unix(SocketAddrUnix),
    Tcp(SocketAddr),
}

/// What a client needs of others before it begins.
pub(crate) struct Dialled {
    /// The addresses.
    pub(super) targets: Vec<Target>,
    /// None if it goes on trying.
    pub(super) reached: Reached,
}

/// How a client dials.
#[derive(Clone, Copy)]
pub(crate) struct Dialling<'a> {
    /// Whether it goes on trying by itself, and needs nothing but addresses.
    pub(crate) retries: bool,
    /// Whether TCP sends each write at once.
    pub(crate) nodelay: bool,
    /// What a connection has to pass, if anything.
    pub(crate) security: Option<&'a Security>,
}

impl Dialling<'_> {
    /// Looks the peer up, and reaches it. None if the address is a socket's that was handed over.
    ///
    /// # Errors
    /// If the host refuses, or nobody answers in time; of kind [`ErrorKind::Interrupted`] if a signal
    /// comes first.
    pub(crate) fn dial(self, address: &Address) -> io::Result<Option<Dialled>> {
        let place = address.place(false);
        let targets = match address {
            Address::Path(_, at) | Address::Abstract(_, at) => vec![Target::Unix(at.clone())],
            Address::Inet { host, port, families, .. } => {
                let addresses = resolve(host, *port, *families);
                let addresses = addresses.map_err(|error| context(&place, &error))?;
                addresses.into_iter().map(Target::Tcp).collect()
            }
            Address::Inherited(_) => return Ok(None),
        };
        let reached = match self.retries {
            true => None,
            false => Some(self.reach(&targets, &place).map_err(|error| context(&place, &error))?),
        };
        Ok(Some(Dialled { targets, reached }))
    }

    /// Tries each address, and waits for it.
    fn reach(self, targets: &[Target], place: &str) -> io::Result<(Ends, String)> {
        let until = Instant::now() + PATIENCE;
        let mut problem = io::Error::from(Errno::ADDRNOTAVAIL);
        for target in targets {
            let secured = target.connect_until(until).and_then(|socket| {
                check(&socket, self.nodelay)?;
                let label = label(&socket, place);
                let Some(security) = self.security else {
                    return Ok((Ends::Socket(socket), label));
                };
                Ok((Ends::Tls(Box::new(security.complete(socket)?)), label))
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
}

/// Says whom an error is about.
pub(super) fn context(place: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("can't connect to '{place}': {error}"))
}

/// Checks and sets up a connection.
pub(super) fn check(socket: &OwnedFd, nodelay: bool) -> Result<(), Errno> {
    let ends = (SocketAddr::try_from(getsockname(socket)?), getpeername(socket)?);
    if let (Ok(own), Some(other)) = ends {
        // The kernel may choose the very port that it is to reach, where nobody listens: then TCP
        // connects a socket to itself.
        if SocketAddr::try_from(other).is_ok_and(|other| other == own) {
            return Err(Errno::CONNREFUSED);
        }
        if nodelay {
            sockopt::set_tcp_nodelay(socket, true)?;
        }
    }
    Ok(())
}

impl Target {
    pub(super) fn socket(&self, flags: SocketFlags) -> Result<OwnedFd, Errno> {
        let family = match self {
            Self::Unix(_) => AddressFamily::UNIX,
            Self::Tcp(SocketAddr::V4(_)) => AddressFamily::INET,
            Self::Tcp(SocketAddr::V6(_)) => AddressFamily::INET6,
        };
        socket_with(family, SocketType::STREAM, flags, None)
    }

    pub(super) fn connect(&self, socket: impl AsFd) -> Result<(), Errno> {
        match self {
            Self::Unix(address) => connect(socket, address),
            Self::Tcp(address) => connect(socket, address),
        }
    }

    /// Connects, and waits for it.
    fn connect_until(&self, until: Instant) -> io::Result<OwnedFd> {
        let late = || {
            let problem = format!("nobody has answered within {} s", PATIENCE.as_secs());
            io::Error::new(ErrorKind::TimedOut, problem)
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late());
        }
        let socket = self.socket(SocketFlags::CLOEXEC)?;
        // `connect` heeds it too (socket(7)), and then says what it says of a socket that does not
        // wait.
        sockopt::set_socket_timeout(&socket, Timeout::Send, Some(left))?;
        match self.connect(&socket) {
            Err(Errno::AGAIN | Errno::INPROGRESS) => return Err(late()),
            connected => connected?,
        }
        sockopt::set_socket_timeout(&socket, Timeout::Send, None)?;
        Ok(socket)
    }
}
