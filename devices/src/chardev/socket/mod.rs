//! `chardev-socket`: a Unix or TCP socket that listens for one peer at a time, or connects to one.

mod class;
pub(crate) mod client;
pub(crate) mod dial;
pub(crate) mod inherited;
pub(crate) mod listen;
mod security;
mod server;
pub(crate) mod settings;
pub(crate) mod unix_path;

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use device_model::{
    prelude::*,
    preparation::{Preparation, Prepared, PreparedSlot, Prepares},
    qom_core::{BoxedError, Linked},
};
use rustix::net::{getpeername, getsockname};

use self::{
    client::Client,
    dial::{Dialled, Dialling},
    listen::Listening,
    security::{Handshakes, Security},
    server::Server,
    settings::{Address, Settings},
};
use super::{
    channel::{self, Channel, Ends, Poller},
    inet::HostPort,
};
use crate::tls::TlsCreds;

/// Socket that others connect to, or that connects to another
///
/// Of `path`, `host` with `port`, and `fd`, one says where. A server listens for as long as the
/// stream is open and has one peer at a time: whoever comes while there is one finds the connection
/// closed. What a peer sent and the device has no room for is lost if the peer has hung up and the
/// next one comes. A client that has `reconnect-ms` goes on trying for as long; the addresses of its
/// host are looked up once.
///
/// Output without a peer is lost. A peer that does not read holds writers up, until it goes or the
/// stream is closed or told not to wait. A peer that sends no more counts as gone.
#[qom_type(
    secure,
    parent = Chardev,
    interfaces(Prepares),
    boundary(network),
    children = settings::check,
    class_data(PREPARATION, class::CLASS)
)]
#[derive(Debug)]
pub struct ChardevSocket {
    /// Path of a Unix socket, or its name if it is abstract
    #[property]
    path: Option<String>,
    /// Whether the Unix socket has a name of the kernel's instead of a path
    #[property(name = "abstract")]
    abstract_name: bool,
    /// Whether an abstract name ends with its last letter, rather than being filled up with zeroes
    #[property(default = true)]
    tight: bool,
    /// Name or address of the host to listen as, or to connect to
    #[property(insecure_when(
        settings::is_exposed,
        reason = "a non-loopback address without TLS and authorization: it takes 'tls-creds' that \
                  verify the peer, and for a server 'tls-authz'"
    ))]
    host: Option<String>,
    /// TCP port; a server with port 0 has one that the kernel chooses
    #[property]
    port: Option<u16>,
    /// Last of the ports that a server tries, the first being `port`
    #[property]
    to: Option<u16>,
    /// Whether addresses of IP version 4 are used
    #[property]
    ipv4: Option<bool>,
    /// Whether addresses of IP version 6 are used
    #[property]
    ipv6: Option<bool>,
    /// Whether TCP sends each write at once (TCP_NODELAY)
    #[property]
    nodelay: bool,
    /// Number of a descriptor that the process was started with: a stream socket, which listens if
    /// this is a server and is connected if not
    #[property(insecure_when(
        settings::is_descriptor_exposed,
        reason = "a non-loopback address without TLS and authorization: it takes 'tls-creds' that \
                  verify the peer, and for a server 'tls-authz'"
    ))]
    fd: Option<DescriptorNumber>,
    /// Whether it listens, rather than connects
    #[property]
    server: bool,
    /// Whether a server waits for its first peer before anything else; it does unless told
    #[property]
    wait: Option<bool>,
    /// Milliseconds after which a client that is not connected tries again; 0 for never
    #[property(name = "reconnect-ms")]
    reconnect_ms: Option<u64>,
    /// As reconnect-ms, in seconds
    #[property(deprecated = "use reconnect-ms, in milliseconds")]
    reconnect: Option<u32>,
    /// Credentials for TLS, of the endpoint that this is
    #[property(name = "tls-creds", link = dyn TlsCreds)]
    tls_creds: Link<dyn TlsCreds>,
    /// What decides which clients a server with TLS takes, by the subject of their certificates
    #[property(name = "tls-authz", link = dyn Authz)]
    tls_authz: Link<dyn Authz>,
    channel: Arc<Channel>,
    /// Where it listens or connects to, once it is open.
    place: Mutex<Option<String>>,
    dialled: PreparedSlot<Dialled>,
}

static PREPARATION: Preparation = Preparation(dial);

/// Reaches the peer of a client.
fn dial(configuration: &Configuration<'_>) -> Result<Option<Prepared>, BoxedError> {
    let settings = Settings::of(configuration)?;
    if settings.server {
        return Ok(None);
    }
    let security = match configuration.linked("tls-creds")? {
        None => None,
        Some(Linked::Existing(creds)) => {
            let Some(creds) = creds.cast::<dyn TlsCreds>() else { return Ok(None) };
            Some(Security::new(creds, None, settings.host.clone())?)
        }
        // They are not there yet.
        Some(Linked::Planned(_)) => return Ok(None),
    };
    let dialling = Dialling {
        retries: settings.retry_after().is_some(),
        nodelay: settings.nodelay,
        security: security.as_ref(),
    };
    let dialled = dialling.dial(&settings.address()?)?;
    Ok(dialled.map(|dialled| -> Prepared { Box::new(dialled) }))
}

impl Prepares for ChardevSocket {
    fn accept(&self, prepared: Prepared) {
        self.dialled.accept(prepared);
    }
}

impl ChardevSocket {
    fn settings(&self) -> Settings {
        Settings {
            path: self.path.clone(),
            abstract_name: self.abstract_name,
            tight: self.tight,
            host: self.host.clone(),
            port: self.port,
            to: self.to,
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            nodelay: self.nodelay,
            fd: self.fd.map(|fd| fd.0),
            server: self.server,
            wait: self.wait,
            reconnect_ms: self.reconnect_ms,
            reconnect: self.reconnect,
            tls_creds: self.tls_creds.get().is_some(),
            tls_authz: self.tls_authz.get().is_some(),
        }
    }

    /// What peers have to pass, if anything.
    fn security(&self) -> io::Result<Option<Security>> {
        let Some(creds) = self.tls_creds.get() else { return Ok(None) };
        let host = if self.server { None } else { self.host.clone() };
        Security::new(Arc::clone(creds), self.tls_authz.get().cloned(), host).map(Some)
    }

    fn listen(&self, platform: &Platform, settings: &Settings, at: &Address) -> io::Result<()> {
        let poller = Arc::new(Poller::new()?);
        let handshakes = self.security()?;
        let handshakes =
            handshakes.map(|security| Handshakes::new(security, &poller)).transpose()?;
        let listening = Listening::at(at, platform.descriptors())?;
        let place = listening.place().to_owned();
        let server = Server::new(listening, &poller, settings.nodelay, handshakes)?;
        let first = if settings.waits() { Some(server.wait()?) } else { None };
        self.start(platform.events(), poller, Box::new(server), place, first)
    }

    fn dial(&self, platform: &Platform, settings: &Settings, at: &Address) -> io::Result<()> {
        let poller = Arc::new(Poller::new()?);
        let retry = settings.retry_after();
        let security = self.security()?;
        let (descriptors, nodelay) = (platform.descriptors(), settings.nodelay);
        let dialled = self.dialled.take();
        let (client, first) =
            Client::new(at, descriptors, &poller, retry, nodelay, security, dialled)?;
        let place = client.place().to_owned();
        self.start(platform.events(), poller, Box::new(client), place, first)
    }

    fn start(
        &self,
        events: &Arc<EventLoop>,
        poller: Arc<Poller>,
        host: Box<dyn super::channel::Host>,
        place: String,
        first: Option<(Ends, String)>,
    ) -> io::Result<()> {
        self.channel.open(events, Arc::clone(&poller), host)?;
        if let Some((ends, label)) = first {
            self.channel.arrive(&poller, ends, label).inspect_err(|_| self.channel.close())?;
        }
        *self.place.lock() = Some(place);
        Ok(())
    }
}

impl Chardev for ChardevSocket {
    /// Waits for the first peer if it is a server that does. A signal ends that with
    /// [`io::ErrorKind::Interrupted`], and the connecting of a client that does not try again.
    fn open(&self, platform: &Platform) -> io::Result<()> {
        let settings = self.settings();
        let address = settings.address().map_err(io::Error::other)?;
        if self.server {
            self.listen(platform, &settings, &address)
        } else {
            self.dial(platform, &settings, &address)
        }
    }

    fn close(&self) {
        self.channel.close();
        *self.place.lock() = None;
    }

    fn write(&self, bytes: &[u8]) {
        self.channel.write(bytes);
    }

    channel::delegate!();

    fn hang_up(&self) {
        self.channel.hang_up();
    }

    fn take_descriptor(&self) -> Option<OwnedFd> {
        self.channel.peer()?.take_descriptor()
    }

    /// `unix:PATH`, `fd:NUMBER` or `tcp:HOST:PORT`, with `,server=on` behind it if it is one. With a
    /// peer, `tcp:` shows this end's address instead and ` <-> HOST:PORT` of the peer; without one,
    /// `disconnected:` precedes all.
    fn filename(&self) -> String {
        if let Some(peer) = self.channel.peer() {
            return peer.label().to_owned();
        }
        let place = self.place.lock().clone();
        let place = place.or_else(|| Some(self.settings().address().ok()?.place(self.server)));
        format!("disconnected:{}", place.unwrap_or_default())
    }
}

/// How a connection is shown whose stream is at `place`.
pub(crate) fn label(socket: impl AsFd, place: &str) -> String {
    let socket = socket.as_fd();
    let own = getsockname(socket).ok().and_then(|own| std::net::SocketAddr::try_from(own).ok());
    let other = getpeername(socket).ok().flatten();
    let other = other.and_then(|other| std::net::SocketAddr::try_from(other).ok());
    let (Some(own), Some(other)) = (own, other) else {
        return place.to_owned();
    };
    let server = if place.ends_with(SERVER) { SERVER } else { "" };
    let shown = |at: &std::net::SocketAddr| HostPort(&at.ip().to_string(), at.port()).to_string();
    format!("tcp:{}{server} <-> {}", shown(&own), shown(&other))
}

/// Stands behind the place of a server.
const SERVER: &str = ",server=on";
