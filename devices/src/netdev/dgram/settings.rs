//! The properties of a datagram network, and what they mean together.

use std::{
    net::IpAddr,
    os::fd::{AsFd, OwnedFd},
};

use device_model::{
    descriptors::{Descriptors, examine},
    prelude::*,
};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, getpeername, getsockname, sockopt};

use crate::{
    chardev::{
        inet::{Families, HostPort, is_exposed_socket},
        socket::settings::Address,
    },
    netdev::address::{self, AddressType, Fields, Names, names},
};

pub(super) const LOCAL: Names = names!("local");
pub(super) const REMOTE: Names = names!("remote");

/// A host and a port.
#[derive(Clone, Debug)]
pub(super) struct InetEnd {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Two Unix sockets, each with its address as users write it.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub(super) own: (String, SocketAddrUnix),
    pub(super) other: (String, SocketAddrUnix),
}

/// Between whom datagrams go.
#[derive(Clone, Debug)]
pub(super) enum Ends {
    /// Two paths.
    Paths(Box<Paths>),
    /// Two hosts, or twice this one.
    Hosts { own: InetEnd, other: InetEnd },
    /// All that belong to a group, through the interface that has an address.
    Group { group: InetEnd, through: Option<String> },
    /// Whomever an inherited socket is connected to.
    Inherited(u32),
}

/// All addresses of whichever version.
pub(super) const BOTH: Families = Families { ipv4: true, ipv6: true };

impl Ends {
    /// As two addresses have it.
    ///
    /// # Errors
    /// If they contradict each other, or say too little.
    pub(super) fn of(local: &Fields, remote: &Fields) -> Result<Self, PlanError> {
        if remote.kind == Some(AddressType::Fd) {
            let problem =
                format!("Parameter '{}' is 'fd', which only '{}' can be", REMOTE.kind, LOCAL.kind);
            return Err(PlanError::refused(REMOTE.kind, problem));
        }
        let (local, remote) = (local.address(&LOCAL)?, remote.address(&REMOTE)?);
        let differ = || {
            let problem = format!("Parameter '{}' is another than '{}'", REMOTE.kind, LOCAL.kind);
            PlanError::refused(REMOTE.kind, problem)
        };
        match (local, remote) {
            (Some(Address::Inherited(fd)), None) => Ok(Self::Inherited(fd)),
            (Some(Address::Inherited(_)), Some(_)) => Err(PlanError::refused(
                REMOTE.kind,
                format!("Parameter '{}' contradicts '{}=fd'", REMOTE.kind, LOCAL.kind),
            )),
            (_, None) => Err(PlanError::Missing { property: REMOTE.kind }),
            (Some(Address::Path(own, at)), Some(Address::Path(other, to))) => {
                Ok(Self::Paths(Box::new(Paths { own: (own, at), other: (other, to) })))
            }
            (local, Some(Address::Inet { host, port, .. })) => {
                if port == 0 {
                    let problem =
                        format!("Parameter '{}' expects a port to send to, got '0'", REMOTE.port);
                    return Err(PlanError::refused(REMOTE.port, problem));
                }
                let other = InetEnd { host, port };
                let own = match local {
                    None => None,
                    Some(Address::Inet { host, port, .. }) => Some(InetEnd { host, port }),
                    Some(_) => return Err(differ()),
                };
                let is_group = other.host.parse().is_ok_and(|host: IpAddr| host.is_multicast());
                match own {
                    own if is_group => {
                        Ok(Self::Group { group: other, through: own.map(|own| own.host) })
                    }
                    Some(own) => Ok(Self::Hosts { own, other }),
                    None => Err(PlanError::Missing { property: LOCAL.kind }),
                }
            }
            (None, Some(_)) => Err(PlanError::Missing { property: LOCAL.kind }),
            (Some(_), Some(_)) => Err(differ()),
        }
    }

    /// How they are shown.
    pub(super) fn shown(&self) -> String {
        let at = |end: &InetEnd| HostPort(&end.host, end.port).to_string();
        match self {
            Self::Paths(paths) => format!("unix:{} <-> {}", paths.own.0, paths.other.0),
            Self::Hosts { own, other } => format!("udp:{} <-> {}", at(own), at(other)),
            Self::Group { group, .. } => format!("mcast:{}", at(group)),
            Self::Inherited(fd) => format!("fd:{fd}"),
        }
    }
}

/// Refuses a configuration that means nothing. It announces no children.
pub(super) fn check(
    configuration: &Configuration<'_>,
    _children: &mut Children,
) -> Result<(), PlanError> {
    match ends(configuration)? {
        Ends::Inherited(fd) => judge(fd).map(|_| ()),
        _ => Ok(()),
    }
}

pub(super) fn ends(configuration: &Configuration<'_>) -> Result<Ends, PlanError> {
    Ends::of(&Fields::of(configuration, &LOCAL)?, &Fields::of(configuration, &REMOTE)?)
}

fn wrong(fd: u32, problem: &dyn std::fmt::Display) -> PlanError {
    let property = LOCAL.descriptor;
    PlanError::refused(property, format!("Parameter '{property}' is '{fd}': {problem}"))
}

/// A datagram socket that was handed over, and that is connected.
///
/// # Errors
/// If it is something else, or the program's own.
pub(super) fn inherit(descriptors: &Descriptors, fd: u32) -> Result<OwnedFd, PlanError> {
    let socket = descriptors.duplicate(fd).map_err(|error| wrong(fd, &error))?;
    is_exposed(fd, &socket).map(|_| socket)
}

/// Judges the descriptor of a number before it is used: whether others than this host can be at its
/// other end.
///
/// # Errors
/// If it is no datagram socket that is connected.
fn judge(fd: u32) -> Result<bool, PlanError> {
    is_exposed(fd, &examine(fd).map_err(|error| wrong(fd, &error))?)
}

fn is_exposed(fd: u32, socket: &OwnedFd) -> Result<bool, PlanError> {
    let wrong = |problem: &dyn std::fmt::Display| wrong(fd, problem);
    let kind = sockopt::socket_type(socket).map_err(|_| wrong(&"it is not a socket"))?;
    if kind != SocketType::DGRAM {
        return Err(wrong(&"it is not a datagram socket"));
    }
    if getpeername(socket).is_err() {
        return Err(wrong(&"the socket is not connected"));
    }
    match getsockname(socket).map_err(|error| wrong(&error))?.address_family() {
        AddressFamily::UNIX | AddressFamily::INET | AddressFamily::INET6 => {
            Ok(is_exposed_socket(socket.as_fd()))
        }
        _ => Err(wrong(&"it is neither a Unix nor a UDP socket")),
    }
}

pub(super) fn is_local_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    address::is_host_exposed(configuration, &LOCAL)
}

pub(super) fn is_remote_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    address::is_host_exposed(configuration, &REMOTE)
}

/// Judges a descriptor by what it is.
pub(super) fn is_descriptor_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    match ends(configuration)? {
        Ends::Inherited(fd) => judge(fd),
        _ => Ok(false),
    }
}
