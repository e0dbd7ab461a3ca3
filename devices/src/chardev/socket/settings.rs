//! The properties of a socket, and what they mean together.

use device_model::prelude::*;
use rustix::net::SocketAddrUnix;

use super::{SERVER, inherited::Inherited};
use crate::{
    chardev::inet::{self, Families, HostPort},
    tls::Endpoint,
};

/// The values of all properties.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) path: Option<String>,
    pub(super) abstract_name: bool,
    pub(super) tight: bool,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) to: Option<u16>,
    pub(super) ipv4: Option<bool>,
    pub(super) ipv6: Option<bool>,
    pub(super) nodelay: bool,
    pub(super) fd: Option<u32>,
    pub(super) server: bool,
    pub(super) wait: Option<bool>,
    pub(super) reconnect_ms: Option<u64>,
    pub(super) reconnect: Option<u32>,
    pub(super) tls_creds: bool,
    pub(super) tls_authz: bool,
}

/// Where a socket is.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// At a path.
    Path(String, SocketAddrUnix),
    /// Under a name of the kernel's.
    Abstract(String, SocketAddrUnix),
    /// At a host's port, or the first that is free up to the last.
    Inet { host: String, port: u16, last: u16, families: Families },
    /// Where it is already.
    Inherited(u32),
}

/// Bytes of an abstract name that fills its address up: `sun_path` has 108 (unix(7)), of which the
/// first is zero.
pub(crate) const LONGEST_ABSTRACT_NAME: usize = 107;

impl Settings {
    pub(super) fn of(configuration: &Configuration<'_>) -> Result<Self, PlanError> {
        Ok(Self {
            path: configuration.get("path")?,
            abstract_name: configuration.get("abstract")?,
            tight: configuration.get("tight")?,
            host: configuration.get("host")?,
            port: configuration.get("port")?,
            to: configuration.get("to")?,
            ipv4: configuration.get("ipv4")?,
            ipv6: configuration.get("ipv6")?,
            nodelay: configuration.get("nodelay")?,
            fd: configuration.get("fd")?,
            server: configuration.get("server")?,
            wait: configuration.get("wait")?,
            reconnect_ms: configuration.get("reconnect-ms")?,
            reconnect: configuration.get("reconnect")?,
            tls_creds: configuration.linked("tls-creds")?.is_some(),
            tls_authz: configuration.linked("tls-authz")?.is_some(),
        })
    }

    /// Whether a server waits for its first peer.
    pub(super) fn waits(&self) -> bool {
        self.wait.unwrap_or(true)
    }

    /// Milliseconds after which a client tries again, if it does.
    pub(super) fn retry_after(&self) -> Option<u64> {
        let seconds = self.reconnect.map(|seconds| u64::from(seconds) * 1000);
        self.reconnect_ms.or(seconds).filter(|retry| *retry != 0)
    }

    /// Where the socket is.
    ///
    /// # Errors
    /// If the properties contradict each other, or say too little.
    pub(super) fn address(&self) -> Result<Address, PlanError> {
        self.check_roles()?;
        match (&self.path, &self.host, self.fd) {
            (Some(path), None, None) => self.unix(path),
            (None, Some(host), None) => self.inet(host),
            (None, None, Some(fd)) => Ok(Address::Inherited(fd)),
            (None, None, None) => Err(PlanError::refused(
                "path",
                "Parameter 'path' is missing, or 'host' with 'port', or 'fd', instead of it",
            )),
            (Some(_), Some(_), _) => Err(contradiction("host", "path")),
            (Some(_), _, Some(_)) => Err(contradiction("fd", "path")),
            (_, Some(_), Some(_)) => Err(contradiction("fd", "host")),
        }
    }

    /// Checks what is only for some sockets.
    fn check_roles(&self) -> Result<(), PlanError> {
        let only = |property, given, what, holds: bool| match given && !holds {
            true => Err(PlanError::refused(
                property,
                format!("Parameter '{property}' is only for {what}"),
            )),
            false => Ok(()),
        };
        let tcp = self.host.is_some();
        only("port", self.port.is_some(), "a socket with 'host'", tcp)?;
        only("to", self.to.is_some(), "a server with 'host'", tcp && self.server)?;
        only("ipv4", self.ipv4.is_some(), "a socket with 'host'", tcp)?;
        only("ipv6", self.ipv6.is_some(), "a socket with 'host'", tcp)?;
        only("nodelay", self.nodelay, "a socket with 'host' or 'fd'", self.path.is_none())?;
        only("abstract", self.abstract_name, "a socket with 'path'", self.path.is_some())?;
        only("wait", self.wait.is_some(), "a server", self.server)?;
        only("reconnect-ms", self.reconnect_ms.is_some(), "a client", !self.server)?;
        only("reconnect", self.reconnect.is_some(), "a client", !self.server)?;
        let tls = "a socket with 'host', or a server with 'fd'";
        let can = self.host.is_some() || self.fd.is_some() && self.server;
        only("tls-creds", self.tls_creds, tls, can)?;
        let secured_server = self.server && self.tls_creds;
        only("tls-authz", self.tls_authz, "a server with 'tls-creds'", secured_server)?;
        if self.reconnect.is_some() && self.reconnect_ms.is_some() {
            return Err(contradiction("reconnect", "reconnect-ms"));
        }
        let again = "a client with 'path' or 'host'";
        only("reconnect-ms", self.fd.is_some() && self.retry_after().is_some(), again, false)
    }

    fn unix(&self, path: &str) -> Result<Address, PlanError> {
        let problem = |what: &str| {
            Err(PlanError::refused("path", format!("Parameter 'path' expects {what}")))
        };
        if path.is_empty() {
            return problem("a path or name, got none");
        }
        if self.abstract_name {
            let mut name = path.as_bytes().to_vec();
            if !self.tight {
                name.resize(LONGEST_ABSTRACT_NAME.max(name.len()), 0);
            }
            return match SocketAddrUnix::new_abstract_name(&name) {
                Ok(address) => Ok(Address::Abstract(path.to_owned(), address)),
                Err(_) => problem("an abstract name of at most 107 bytes"),
            };
        }
        match SocketAddrUnix::new(path) {
            Ok(address) => Ok(Address::Path(path.to_owned(), address)),
            Err(_) => problem("a path of at most 108 bytes, none of them zero"),
        }
    }

    fn inet(&self, host: &str) -> Result<Address, PlanError> {
        inet::check_name("host", host)?;
        let Some(port) = self.port else {
            return Err(PlanError::Missing { property: "port" });
        };
        let last = self.to.unwrap_or(port);
        if last < port {
            let problem = format!("Parameter 'to' expects a port from {port} on, got '{last}'");
            return Err(PlanError::refused("to", problem));
        }
        if port == 0 && !self.server {
            let problem = "Parameter 'port' expects a port to connect to, got '0'";
            return Err(PlanError::refused("port", problem));
        }
        let Some(families) = Families::of(self.ipv4, self.ipv6) else {
            let problem = "Parameter 'ipv6' excludes what 'ipv4' leaves";
            return Err(PlanError::refused("ipv6", problem));
        };
        Ok(Address::Inet { host: host.to_owned(), port, last, families })
    }
}

fn contradiction(property: &'static str, other: &str) -> PlanError {
    let problem = format!("Parameter '{property}' contradicts '{other}': give one of them");
    PlanError::refused(property, problem)
}

impl Address {
    /// How it is shown.
    pub(crate) fn place(&self, server: bool) -> String {
        let server = if server { SERVER } else { "" };
        match self {
            Self::Path(path, _) | Self::Abstract(path, _) => format!("unix:{path}{server}"),
            Self::Inet { host, port, .. } => format!("tcp:{}{server}", HostPort(host, *port)),
            Self::Inherited(fd) => format!("fd:{fd}{server}"),
        }
    }
}

/// Refuses a configuration that means nothing. It announces no children.
pub(super) fn check(
    configuration: &Configuration<'_>,
    _children: &mut Children,
) -> Result<(), PlanError> {
    let settings = Settings::of(configuration)?;
    let address = settings.address()?;
    check_tls(configuration, settings.server)?;
    if let Address::Inherited(fd) = address {
        let inherited = examine(fd)?;
        inherited.check_role(fd, settings.server)?;
        if settings.tls_creds && !inherited.is_tcp() {
            let problem = format!("Parameter 'tls-creds' is only for TCP, and 'fd' is '{fd}'");
            return Err(PlanError::refused("tls-creds", problem));
        }
    }
    Ok(())
}

/// Refuses credentials of the other side, and authorization of peers that show no certificate.
fn check_tls(configuration: &Configuration<'_>, server: bool) -> Result<(), PlanError> {
    let Some(creds) = configuration.linked("tls-creds")? else { return Ok(()) };
    let expected = if server { Endpoint::Server } else { Endpoint::Client };
    let endpoint: Endpoint = creds.get("endpoint")?;
    let path = creds.path();
    if endpoint != expected {
        let (expected, endpoint) = (expected.name(), endpoint.name());
        let problem = format!(
            "Parameter 'tls-creds' expects credentials with endpoint={expected}, and '{path}' has \
             endpoint={endpoint}"
        );
        return Err(PlanError::refused("tls-creds", problem));
    }
    if configuration.linked("tls-authz")?.is_some() && !creds.get::<bool>("verify-peer")? {
        let problem = format!(
            "Parameter 'tls-authz' is only for credentials with verify-peer=on: nobody shows a \
             certificate to '{path}'"
        );
        return Err(PlanError::refused("tls-authz", problem));
    }
    Ok(())
}

fn examine(fd: u32) -> Result<Inherited, PlanError> {
    Inherited::examine(fd)
        .map_err(|error| PlanError::refused("fd", format!("Parameter 'fd' is '{fd}': {error}")))
}

/// Judges a host: whether others than this host can be at the other end, and need not show who they
/// are.
pub(super) fn is_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let host: Option<String> = configuration.get("host")?;
    Ok(host.is_some_and(|host| !inet::names_loopback(&host)) && !is_guarded(configuration)?)
}

/// Judges a descriptor by what it is, as [`is_exposed`] does a host.
pub(super) fn is_descriptor_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    match configuration.get("fd")? {
        Some(fd) => Ok(examine(fd)?.is_exposed() && !is_guarded(configuration)?),
        None => Ok(false),
    }
}

/// Whether peers are verified, and authorized if it is they who connect.
fn is_guarded(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let Some(creds) = configuration.linked("tls-creds")? else { return Ok(false) };
    let server: bool = configuration.get("server")?;
    let authorized = !server || configuration.linked("tls-authz")?.is_some();
    Ok(authorized && creds.get("verify-peer")?)
}
