//! Sockets that listen: made, or inherited.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    ops::RangeInclusive,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use device_model::descriptors::Descriptors;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, getsockname,
        listen, socket_with, sockopt,
    },
};

use super::{inherited::Inherited, settings::Address, unix_path::SocketPath};
use crate::chardev::inet::resolve;

/// How many may have connected and not been accepted or refused yet.
const BACKLOG: i32 = 128;

/// How sockets are made here.
const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A socket that listens. Its path goes with it.
#[derive(Debug)]
pub(crate) struct Listening {
    socket: OwnedFd,
    place: String,
    is_tcp: bool,
    _path: Option<SocketPath>,
}

impl Listening {
    /// Listens. The descriptors are those that an address may number.
    ///
    /// # Errors
    /// If the host refuses, or the descriptor is not one that was handed over.
    pub(crate) fn at(address: &Address, descriptors: &Descriptors) -> io::Result<Self> {
        let place = address.place(true);
        let context = |error: io::Error| {
            io::Error::new(error.kind(), format!("can't listen at '{place}': {error}"))
        };
        match address {
            Address::Path(path, at) => Self::at_path(path, at, place.clone()),
            Address::Abstract(_, at) => Self::at_name(at, place.clone()),
            Address::Inet { host, port, last, families } => resolve(host, 0, *families)
                .and_then(|addresses| Self::at_port(&addresses, *port..=*last, !families.ipv4)),
            Address::Inherited(fd) => Self::at_descriptor(descriptors, *fd, place.clone()),
        }
        .map_err(context)
    }

    fn at_path(path: &str, at: &SocketAddrUnix, place: String) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
        let path = SocketPath::bind(&socket, path, at)?;
        listen(&socket, BACKLOG)?;
        Ok(Self { socket, place, is_tcp: false, _path: Some(path) })
    }

    fn at_name(at: &SocketAddrUnix, place: String) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
        bind(&socket, at)?;
        listen(&socket, BACKLOG)?;
        Ok(Self { socket, place, is_tcp: false, _path: None })
    }

    /// Listens at the first address and port that is free.
    fn at_port(
        addresses: &[SocketAddr],
        ports: RangeInclusive<u16>,
        only_ipv6: bool,
    ) -> io::Result<Self> {
        let mut problem = Errno::ADDRNOTAVAIL;
        for port in ports {
            let mut in_use = false;
            for address in addresses {
                match listen_tcp(SocketAddr::new(address.ip(), port), only_ipv6) {
                    Ok(socket) => {
                        // With the port that the kernel may have chosen.
                        let at = SocketAddr::try_from(getsockname(&socket)?)?;
                        let place = format!("tcp:{at}{}", super::SERVER);
                        return Ok(Self { socket, place, is_tcp: true, _path: None });
                    }
                    Err(error) => {
                        in_use |= error == Errno::ADDRINUSE;
                        problem = error;
                    }
                }
            }
            if !in_use {
                break;
            }
            problem = Errno::ADDRINUSE;
        }
        Err(problem.into())
    }

    fn at_descriptor(descriptors: &Descriptors, fd: u32, place: String) -> io::Result<Self> {
        let inherited = Inherited::duplicate(descriptors, fd)?;
        inherited.check_role(fd, true).map_err(io::Error::other)?;
        let is_tcp = inherited.is_tcp();
        let socket = inherited.into_socket();
        // Whoever else accepts connections of it may be faster, and then this would wait.
        fcntl_setfl(&socket, fcntl_getfl(&socket)? | OFlags::NONBLOCK)?;
        Ok(Self { socket, place, is_tcp, _path: None })
    }

    /// How it is shown.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) const fn is_tcp(&self) -> bool {
        self.is_tcp
    }

    /// Takes a connection.
    pub(crate) fn accept(&self) -> Result<OwnedFd, Errno> {
        accept_with(&self.socket, FLAGS)
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// If a signal comes, of kind [`ErrorKind::Interrupted`], or the host refuses.
    pub(crate) fn wait(&self) -> io::Result<OwnedFd> {
        loop {
            let mut ready = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut ready, None) {
                Ok(_) => {}
                Err(Errno::INTR) => {
                    let place = &self.place;
                    return Err(io::Error::new(
                        ErrorKind::Interrupted,
                        format!("a signal came before anybody connected to '{place}'"),
                    ));
                }
                Err(error) => return Err(error.into()),
            }
            match self.accept() {
                // Whoever it was has gone.
                Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
                accepted => return Ok(accepted?),
            }
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn listen_tcp(address: SocketAddr, only_ipv6: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, FLAGS, None)?;
    // Connections that were closed a moment ago don't keep the port.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() && only_ipv6 {
        // The address of no host in particular stands for those of version 4 too.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}
