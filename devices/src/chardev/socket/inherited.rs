//! A socket that the process was started with, known by its number.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use device_model::prelude::PlanError;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, getpeername, getsockname, sockopt},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

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
    /// Duplicates the descriptor of that number.
    ///
    /// # Errors
    /// If there is none, or it is not a Unix or TCP socket.
    pub(crate) fn duplicate(fd: u32) -> io::Result<Self> {
        let socket = duplicate_descriptor(fd)?;
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

/// A duplicate of the process's descriptor of that number, whatever it is.
///
/// # Errors
/// If there is none.
pub(crate) fn duplicate_descriptor(fd: u32) -> io::Result<OwnedFd> {
    let none = || io::Error::new(ErrorKind::NotFound, "the process has no such descriptor");
    let number = i32::try_from(fd).map_err(|_| none())?;
    // A number alone does not show that a descriptor stays open while it is used. So it is
    // duplicated as another process's would be.
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    pidfd_getfd(this, number, PidfdGetfdFlags::empty())
        .map_err(|error| if error == Errno::BADF { none() } else { error.into() })
}

impl AsFd for Inherited {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
