//! A socket that was handed over, known by its number.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use device_model::{
    descriptors::{Descriptors, examine},
    prelude::PlanError,
};
use rustix::net::{AddressFamily, SocketType, getpeername, getsockname, sockopt};

use crate::chardev::inet::is_loopback;

/// A duplicate of it, and what it is. The original stays as it is and open.
#[derive(Debug)]
pub(crate) struct Inherited {
    socket: OwnedFd,
    /// Where it is bound to, if it is TCP; none if it is a Unix socket.
    address: Option<SocketAddr>,
    listens: bool,
}

impl Inherited {
    /// The descriptor of that number, whoever's it is: to judge it, and not to use it.
    ///
    /// # Errors
    /// If there is none, or it is not a Unix or TCP socket.
    pub(crate) fn examine(fd: u32) -> io::Result<Self> {
        Self::of(examine(fd)?)
    }

    /// The descriptor of that number, which was handed over.
    ///
    /// # Errors
    /// If there is none, it is the program's own, or it is not a Unix or TCP socket.
    pub(crate) fn duplicate(descriptors: &Descriptors, fd: u32) -> io::Result<Self> {
        Self::of(descriptors.duplicate(fd)?)
    }

    fn of(socket: OwnedFd) -> io::Result<Self> {
        let wrong = |what| io::Error::new(ErrorKind::InvalidInput, what);
        let kind = sockopt::socket_type(&socket).map_err(|_| wrong("it is not a socket"))?;
        if kind != SocketType::STREAM {
            return Err(wrong("it is not a stream socket"));
        }
        let own = getsockname(&socket)?;
        let address = match own.address_family() {
            AddressFamily::UNIX => None,
            AddressFamily::INET | AddressFamily::INET6 => Some(SocketAddr::try_from(own)?),
            _ => return Err(wrong("it is neither a Unix nor a TCP socket")),
        };
        let listens = sockopt::socket_acceptconn(&socket)?;
        Ok(Self { socket, address, listens })
    }

    /// Whether it may lead to another host.
    pub(crate) fn is_exposed(&self) -> bool {
        // What is bound to a loopback address is connected to such, if at all.
        self.address.is_some_and(|address| !is_loopback(&address.ip()))
    }

    /// Whether it is TCP.
    pub(crate) fn is_tcp(&self) -> bool {
        self.address.is_some()
    }

    /// Checks that it listens, for a server, or is connected.
    ///
    /// # Errors
    /// If not.
    pub(crate) fn check_role(&self, fd: u32, server: bool) -> Result<(), PlanError> {
        let problem = match (server, self.listens) {
            (true, false) => "a server needs a socket that listens",
            (false, true) => "only a server can have a socket that listens",
            (false, false) if getpeername(&self.socket).is_err() => "the socket is not connected",
            _ => return Ok(()),
        };
        Err(PlanError::refused("fd", format!("Parameter 'fd' is '{fd}': {problem}")))
    }

    pub(crate) fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

impl AsFd for Inherited {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
