//! `chardev-udp`: datagrams to and from one address.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::Arc,
};

use device_model::{
    prelude::*,
    preparation::{Preparation, Prepared, PreparedSlot, Prepares},
    qom_core::BoxedError,
};
use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, connect, recv, socket_with},
};

use super::{
    channel::{self, Channel, Host, Poller},
    inet::{self, Families, HostPort, is_loopback, resolve},
};

/// Datagrams that others may have sent before the socket was connected, at most: more than the
/// kernel keeps.
const MOST_EARLY: usize = 1 << 16;

/// UDP socket that talks to one address
///
/// Each output of the device is a datagram. The kernel passes on only what comes from that address.
/// Its addresses are looked up once. If the other end is this host, the own end is bound to this
/// host too, unless `localaddr` says otherwise.
#[qom_type(
    secure,
    parent = Chardev,
    interfaces(Prepares),
    boundary(network),
    children = check,
    class_data(PREPARATION, CLASS)
)]
#[derive(Debug)]
pub struct ChardevUdp {
    /// Name or address of the host to talk to
    #[property(
        default = "localhost",
        insecure_when(
            is_host_exposed,
            reason = "plain UDP on a non-loopback address: no encryption and no authorization"
        )
    )]
    host: String,
    /// Its port
    #[property(required, range = 1..=65535)]
    port: u16,
    /// Name or address of this end
    #[property(insecure_when(
        is_own_end_exposed,
        reason = "plain UDP on a non-loopback address: no encryption and no authorization"
    ))]
    localaddr: Option<String>,
    /// Port of this end; the kernel chooses one instead of 0
    #[property]
    localport: u16,
    /// Whether addresses of IP version 4 are used
    #[property]
    ipv4: Option<bool>,
    /// Whether addresses of IP version 6 are used
    #[property]
    ipv6: Option<bool>,
    channel: Arc<Channel>,
    socket: PreparedSlot<OwnedFd>,
}

static PREPARATION: Preparation = Preparation(prepare);

/// Looks the hosts up.
fn prepare(configuration: &Configuration<'_>) -> Result<Option<Prepared>, BoxedError> {
    let ends = Ends {
        host: configuration.get("host")?,
        port: configuration.get("port")?,
        localaddr: configuration.get("localaddr")?,
        localport: configuration.get("localport")?,
        families: Families::of(configuration.get("ipv4")?, configuration.get("ipv6")?),
    };
    Ok(Some(Box::new(ends.socket()?)))
}

impl Prepares for ChardevUdp {
    fn accept(&self, prepared: Prepared) {
        self.socket.accept(prepared);
    }
}

/// QEMU's `ChardevUdp` (`qapi/char.json`), whose addresses are `SocketAddressLegacy`.
static CLASS: ChardevClass = ChardevClass {
    members: &[
        DataMember { name: "remote", required: true, value: MemberValue::OneOf(&[REMOTE]) },
        DataMember { name: "local", required: false, value: MemberValue::OneOf(&[LOCAL]) },
    ],
    ..ChardevClass::PLAIN
};

/// The other end.
const REMOTE: DataCase = DataCase {
    name: "inet",
    members: &[
        DataMember { name: "host", required: true, value: MemberValue::TextOf("host") },
        DataMember { name: "port", required: true, value: MemberValue::TextOf("port") },
        DataMember::optional("ipv4", "ipv4"),
        DataMember::optional("ipv6", "ipv6"),
    ],
};

/// This end, whose addresses are of the same family.
const LOCAL: DataCase = DataCase {
    name: "inet",
    members: &[
        DataMember { name: "host", required: true, value: MemberValue::TextOf("localaddr") },
        DataMember { name: "port", required: true, value: MemberValue::TextOf("localport") },
    ],
};

/// Refuses a configuration that means nothing. It announces no children.
fn check(configuration: &Configuration<'_>, _children: &mut Children) -> Result<(), PlanError> {
    let host: String = configuration.get("host")?;
    inet::check_name("host", &host)?;
    if host.is_empty() {
        let problem = "Parameter 'host' expects the name or address of a host";
        return Err(PlanError::refused("host", problem));
    }
    if let Some(own) = configuration.get::<Option<String>>("localaddr")? {
        inet::check_name("localaddr", &own)?;
    }
    if Families::of(configuration.get("ipv4")?, configuration.get("ipv6")?).is_none() {
        return Err(PlanError::refused("ipv6", "Parameter 'ipv6' excludes what 'ipv4' leaves"));
    }
    Ok(())
}

fn is_host_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    Ok(!inet::names_loopback(&configuration.get::<String>("host")?))
}

fn is_own_end_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let own: Option<String> = configuration.get("localaddr")?;
    Ok(own.is_some_and(|own| !inet::names_loopback(&own)))
}

struct NoHost;

impl Host for NoHost {}

/// Between whom datagrams go.
struct Ends {
    host: String,
    port: u16,
    localaddr: Option<String>,
    localport: u16,
    families: Option<Families>,
}

impl Ends {
    /// Where this end may be, for that other end.
    fn own_ends(&self, other: SocketAddr) -> io::Result<Vec<SocketAddr>> {
        let families = Families { ipv4: other.is_ipv4(), ipv6: other.is_ipv6() };
        match &self.localaddr {
            Some(own) => resolve(own, self.localport, families),
            None if is_loopback(&other.ip()) => Ok(vec![(other.ip(), self.localport).into()]),
            None => {
                let any: IpAddr =
                    if other.is_ipv4() { [0_u8; 4].into() } else { [0_u16; 8].into() };
                Ok(vec![(any, self.localport).into()])
            }
        }
    }

    fn socket(&self) -> io::Result<OwnedFd> {
        self.try_all().map_err(|error| {
            let name = shown(&self.host, self.port);
            io::Error::new(error.kind(), format!("can't talk to '{name}': {error}"))
        })
    }

    fn try_all(&self) -> io::Result<OwnedFd> {
        let mut problem = io::Error::from(Errno::ADDRNOTAVAIL);
        let families = self.families.unwrap_or(Families { ipv4: true, ipv6: true });
        for other in resolve(&self.host, self.port, families)? {
            let ends = match self.own_ends(other) {
                Ok(ends) => ends,
                Err(error) => {
                    problem = error;
                    continue;
                }
            };
            for own in ends {
                match connected(own, other) {
                    Ok(socket) => return Ok(socket),
                    Err(error) => problem = error.into(),
                }
            }
        }
        Err(problem)
    }
}

/// A socket at one address that is connected to the other, with nothing in it that others have sent.
///
/// # Errors
/// If the host refuses.
pub(crate) fn connected(own: SocketAddr, other: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if other.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    bind(&socket, &own)?;
    connect(&socket, &other)?;
    // Anybody may have sent something until now.
    for _ in 0..MOST_EARLY {
        if recv(&socket, &mut [0], RecvFlags::DONTWAIT).is_err() {
            break;
        }
    }
    Ok(socket)
}

fn shown(host: &str, port: u16) -> String {
    format!("udp:{}", HostPort(host, port))
}

impl ChardevUdp {
    fn ends(&self) -> Ends {
        Ends {
            host: self.host.clone(),
            port: self.port,
            localaddr: self.localaddr.clone(),
            localport: self.localport,
            families: Families::of(self.ipv4, self.ipv6),
        }
    }
}

impl Chardev for ChardevUdp {
    fn open(&self, platform: &Platform) -> io::Result<()> {
        let poller = Arc::new(Poller::new()?);
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.ends().socket()?,
        };
        let ends = channel::Ends::Datagrams(socket, Mutex::default());
        self.channel.open(platform.events(), Arc::clone(&poller), Box::new(NoHost))?;
        self.channel.arrive(&poller, ends, self.filename()).inspect_err(|_| self.channel.close())
    }

    fn close(&self) {
        self.channel.close();
    }

    fn write(&self, bytes: &[u8]) {
        self.channel.write(bytes);
    }

    channel::delegate!();

    fn filename(&self) -> String {
        shown(&self.host, self.port)
    }
}
