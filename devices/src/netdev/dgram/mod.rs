//! `netdev-dgram`: a frame in each datagram, to one other end or a group.

mod output;
mod settings;

use std::{
    fmt,
    io::{self, IoSlice},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    sync::Arc,
};

use device_model::{
    descriptors::Descriptors,
    netdev::LONGEST_FRAME,
    prelude::*,
    preparation::{Preparation, Prepared, PreparedSlot, Prepares},
    qom_core::BoxedError,
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, getsockname, recv, socket_with,
        sockopt,
    },
};

use self::{
    output::{Output, Target},
    settings::{BOTH, Ends, InetEnd, Paths},
};
use super::{
    address::{AddressType, Fields, PortNumber},
    port::{self, Medium, Port},
};
use crate::chardev::{
    channel::{KICK, Poller, Readiness, Token},
    inet::{self, resolve},
    socket::unix_path::SocketPath,
    udp::connected,
};

/// Frames come.
const INPUT: Token = 1;
/// There may be room for frames.
const OUTPUT: Token = 2;

/// Datagrams that are read in one turn, so that others have theirs.
const MOST_READ: usize = 64;

/// Frames in datagrams
///
/// Between two Unix sockets, two UDP sockets, or the members of a multicast group; a frame that is
/// sent to a group comes back too. Whoever is at the other end may come and go; what is sent
/// meanwhile is lost. UDP takes what comes from that end only. If a Unix socket's other end is slow,
/// frames wait for it.
#[qom_type(
    secure,
    parent = Netdev,
    interfaces(Prepares),
    children = settings::check,
    class_data = PREPARATION
)]
pub struct NetdevDgram {
    /// What kind of address this end has
    #[property(name = "local.type")]
    local_kind: Option<AddressType>,
    /// Name or address of this end; with a group, of the interface that frames go through
    #[property(
        name = "local.host",
        insecure_when(
            settings::is_local_exposed,
            reason = "plain UDP on a non-loopback address: no encryption and no authorization"
        )
    )]
    local_host: Option<String>,
    /// UDP port of this end; the kernel chooses one instead of 0
    #[property(name = "local.port")]
    local_port: Option<PortNumber>,
    /// Path of this end's Unix socket
    #[property(name = "local.path")]
    local_path: Option<String>,
    /// Number of an inherited datagram socket, which is connected
    #[property(
        name = "local.str",
        insecure_when(
            settings::is_descriptor_exposed,
            reason = "plain UDP on a non-loopback address: no encryption and no authorization"
        )
    )]
    local_descriptor: Option<DescriptorNumbers>,
    /// What kind of address the other end has
    #[property(name = "remote.type")]
    remote_kind: Option<AddressType>,
    /// Name or address of the other end, or address of a group
    #[property(
        name = "remote.host",
        insecure_when(
            settings::is_remote_exposed,
            reason = "plain UDP on a non-loopback address: no encryption and no authorization"
        )
    )]
    remote_host: Option<String>,
    /// UDP port of the other end
    #[property(name = "remote.port")]
    remote_port: Option<PortNumber>,
    /// Path of the other end's Unix socket
    #[property(name = "remote.path")]
    remote_path: Option<String>,
    port: Arc<Port>,
    output: Arc<Output>,
    /// How it is shown, once it is open.
    shown: Mutex<Option<String>>,
    prepared: PreparedSlot<Opened>,
}

static PREPARATION: Preparation = Preparation(prepare);

/// Looks the hosts up. What is found by its path or number needs no looking up.
fn prepare(configuration: &Configuration<'_>) -> Result<Option<Prepared>, BoxedError> {
    let ends = settings::ends(configuration)?;
    if !matches!(ends, Ends::Hosts { .. } | Ends::Group { .. }) {
        return Ok(None);
    }
    let opened = open_socket(ends, Descriptors::known_to(configuration))?;
    Ok(Some(Box::new(opened)))
}

impl Prepares for NetdevDgram {
    fn accept(&self, prepared: Prepared) {
        self.prepared.accept(prepared);
    }
}

impl fmt::Debug for NetdevDgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetdevDgram").field("port", &self.port).finish_non_exhaustive()
    }
}

/// A datagram network at work.
struct Dgram {
    socket: OwnedFd,
    output: Arc<Output>,
    buffer: Vec<u8>,
    /// Length of the frame in the buffer that the peer had no room for.
    waiting: Option<usize>,
    _path: Option<SocketPath>,
}

impl Dgram {
    /// Gives the peer the frame in the buffer.
    fn give(&mut self, port: &Port, length: usize) -> Receiving {
        let frame = self.buffer.get(..length).unwrap_or_default();
        let outcome = port.deliver(0, frame, 0);
        self.waiting = (outcome == Receiving::Later).then_some(length);
        outcome
    }

    fn read(&mut self, port: &Port, poller: &Poller) {
        if let Some(length) = self.waiting.take()
            && self.give(port, length) == Receiving::Later
        {
            return;
        }
        for _ in 0..MOST_READ {
            // With TRUNC, the length is that of the datagram, however much of it has room.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            match recv(&self.socket, &mut *self.buffer, flags) {
                Ok((_, 0)) => {}
                Ok((_, length)) if length > LONGEST_FRAME => port.receive_dropped(),
                Ok((_, length)) => {
                    if self.give(port, length) == Receiving::Later {
                        return;
                    }
                }
                Err(Errno::AGAIN) => break,
                // What came back of an earlier datagram.
                Err(_) => {}
            }
        }
        poller.arm(&self.socket, INPUT, Readiness::IN);
    }
}

impl Medium for Dgram {
    fn ready(&mut self, port: &Port, poller: &Arc<Poller>, token: Token, _what: Readiness) {
        match token {
            INPUT | KICK => self.read(port, poller),
            OUTPUT if self.output.recover() => port.can_send(0),
            _ => {}
        }
    }
}

/// A socket, where it sends, its path, and how it is shown.
type Opened = (OwnedFd, Target, Option<SocketPath>, String);

impl NetdevDgram {
    fn ends(&self) -> Result<Ends, PlanError> {
        let local = Fields {
            kind: self.local_kind,
            host: self.local_host.clone(),
            port: self.local_port,
            path: self.local_path.clone(),
            descriptor: self.local_descriptor.as_ref().map(|fd| fd.0.clone()),
            ..Fields::default()
        };
        let remote = Fields {
            kind: self.remote_kind,
            host: self.remote_host.clone(),
            port: self.remote_port,
            path: self.remote_path.clone(),
            ..Fields::default()
        };
        Ends::of(&local, &remote)
    }
}

fn open_socket(ends: Ends, descriptors: &Descriptors) -> io::Result<Opened> {
    let shown = ends.shown();
    socket(ends, descriptors)
        .map_err(|error| io::Error::new(error.kind(), format!("can't open '{shown}': {error}")))
}

fn socket(ends: Ends, descriptors: &Descriptors) -> io::Result<Opened> {
    let shown = ends.shown();
    match ends {
        Ends::Paths(paths) => {
            let Paths { own: (path, at), other: (_, to) } = *paths;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
            let path = SocketPath::bind(&socket, &path, &at)?;
            Ok((socket, Target::Path(to), Some(path), shown))
        }
        Ends::Hosts { own, other } => {
            let socket = udp(&own, &other)?;
            // With the port that the kernel may have chosen.
            let at = SocketAddr::try_from(getsockname(&socket)?)?;
            let other = inet::HostPort(&other.host, other.port);
            Ok((socket, Target::Connected, None, format!("udp:{at} <-> {other}")))
        }
        Ends::Group { group, through } => {
            let (socket, group) = join(&group, through.as_deref())?;
            Ok((socket, Target::Group(group), None, shown))
        }
        Ends::Inherited(fd) => {
            let socket = settings::inherit(descriptors, fd).map_err(io::Error::other)?;
            Ok((socket, Target::Connected, None, shown))
        }
    }
}

/// A socket between two hosts.
fn udp(own: &InetEnd, other: &InetEnd) -> io::Result<OwnedFd> {
    let mut problem = io::Error::from(Errno::ADDRNOTAVAIL);
    let own_ends = resolve(&own.host, own.port, BOTH)?;
    for other in resolve(&other.host, other.port, BOTH)? {
        for own in own_ends.iter().filter(|own| own.is_ipv4() == other.is_ipv4()) {
            match connected(*own, other) {
                Ok(socket) => return Ok(socket),
                Err(error) => problem = error.into(),
            }
        }
    }
    Err(problem)
}

/// A socket of a group's, beside those that others on this host may have.
fn join(group: &InetEnd, through: Option<&str>) -> io::Result<(OwnedFd, SocketAddr)> {
    let wrong = |problem| io::Error::new(io::ErrorKind::Unsupported, problem);
    let address: Ipv4Addr = group
        .host
        .parse()
        .map_err(|_| wrong("a group is an address of IP version 4, from 224.0.0.0 on"))?;
    let through = match through {
        None | Some("") => Ipv4Addr::UNSPECIFIED,
        Some(host) => {
            let families = inet::Families { ipv4: true, ipv6: false };
            match resolve(host, 0, families)?.first().map(SocketAddr::ip) {
                Some(IpAddr::V4(through)) => through,
                _ => return Err(wrong("no address of IP version 4")),
            }
        }
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    let group = SocketAddr::from((address, group.port));
    // To the group's own address, so that nothing comes that was sent to another.
    bind(&socket, &group)?;
    sockopt::set_ip_add_membership(&socket, &address, &through)?;
    sockopt::set_ip_multicast_if(&socket, &through)?;
    // Others on this host are members too.
    sockopt::set_ip_multicast_loop(&socket, true)?;
    Ok((socket, group))
}

impl Netdev for NetdevDgram {
    fn open(&self, _object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let ends = self.ends()?;
        let (socket, target, path, shown) = match self.prepared.take() {
            Some(prepared) => prepared,
            None => open_socket(ends, platform.descriptors())?,
        };
        let poller = Arc::new(Poller::new()?);
        poller.add(&socket, INPUT, Readiness::IN)?;
        self.output.attach(&socket, target, &poller, OUTPUT)?;
        let dgram = Dgram {
            socket,
            output: Arc::clone(&self.output),
            buffer: vec![0; LONGEST_FRAME],
            waiting: None,
            _path: path,
        };
        let opened = self.port.open(platform.events(), poller, Box::new(dgram));
        opened.inspect_err(|_| self.output.detach())?;
        *self.shown.lock() = Some(shown);
        self.port.set_link(true);
        Ok(())
    }

    fn close(&self) {
        self.port.close();
        self.output.detach();
        *self.shown.lock() = None;
    }

    fn disconnect(&self) {
        self.port.disconnect();
    }

    fn send(&self, _queue: u16, frame: &[IoSlice<'_>]) -> Sending {
        self.output.send(&self.port, frame)
    }

    port::delegate!();

    /// `unix:PATH <-> PATH`, `udp:HOST:PORT <-> HOST:PORT`, `mcast:ADDRESS:PORT` or `fd:NUMBER`.
    fn info(&self) -> String {
        let shown = self.shown.lock().clone();
        shown.or_else(|| Some(self.ends().ok()?.shown())).unwrap_or_default()
    }
}
