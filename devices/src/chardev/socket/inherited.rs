//! A socket that was handed over, known by its number.

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use device_model::{
    descriptors::{Descriptors, examine},
    prelude::PlanError,
};
use rustix::net::{AddressFamily, SocketType, getpeername, getsockname, sockopt};

use crate::chardev::inet::is_exposed_socket;

/// A duplicate of it, and what it is. The original stays as it is and open.
#[derive(Debug)]
pub(crate) struct Inherited {
    socket: OwnedFd,
    /// Whether it is TCP, and not a Unix socket.
    tcp: bool,
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
        let tcp = match getsockname(&socket)?.address_family() {
            AddressFamily::UNIX => false,
            AddressFamily::INET | AddressFamily::INET6 => true,
            _ => return Err(wrong("it is neither a Unix nor a TCP socket")),
        };
        let listens = sockopt::socket_acceptconn(&socket)?;
        Ok(Self { socket, tcp, listens })
    }

    /// Whether it may lead to another host.
    pub(crate) fn is_exposed(&self) -> bool {
        is_exposed_socket(self.socket.as_fd())
    }

    /// Whether it is TCP.
    pub(crate) fn is_tcp(&self) -> bool {
        self.tcp
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
