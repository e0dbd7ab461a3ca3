//! `netdev-stream`: frames over a stream socket, to one other network or virtual machine.

mod medium;
mod output;

use std::{fmt, io, io::IoSlice, sync::Arc};

use device_model::{
    prelude::*,
    preparation::{Preparation, Prepared, PreparedSlot, Prepares},
    qom_core::BoxedError,
};

use self::{
    medium::{Source, Stream},
    output::Output,
};
use super::{
    address::{self, AddressType, Fields, Names, PortNumber, names},
    port::{self, Port},
};
use crate::chardev::{
    channel::Poller,
    socket::{
        client::Client,
        dial::{Dialled, Dialling, Reached},
        inherited::Inherited,
        listen::Listening,
        settings::Address,
    },
};

const ADDR: Names = names!("addr");

/// Frames over a stream socket
///
/// Each frame stands behind its length, as QEMU's `-netdev stream` has it. A server has one other
/// end at a time: whoever comes while there is one finds the connection closed, and so does
/// whoever announces a frame of more than 69,632 bytes. Without anybody at the other end, frames
/// are lost. A client that has `reconnect-ms` goes on trying for as long.
#[qom_type(
    secure,
    parent = Netdev,
    interfaces(Prepares),
    children = check,
    class_data = PREPARATION
)]
pub struct NetdevStream {
    /// What kind of address it listens at or connects to
    #[property(name = "addr.type")]
    kind: Option<AddressType>,
    /// Name or address of the host to listen as, or to connect to
    #[property(
        name = "addr.host",
        insecure_when(
            is_exposed,
            reason = "plain TCP on a non-loopback address: no encryption and no authorization"
        )
    )]
    host: Option<String>,
    /// TCP port; a server with port 0 has one that the kernel chooses
    #[property(name = "addr.port")]
    tcp_port: Option<PortNumber>,
    /// Whether addresses of IP version 4 are used
    #[property(name = "addr.ipv4")]
    ipv4: Option<bool>,
    /// Whether addresses of IP version 6 are used
    #[property(name = "addr.ipv6")]
    ipv6: Option<bool>,
    /// Path of a Unix socket, or its name if it is abstract
    #[property(name = "addr.path")]
    path: Option<String>,
    /// Whether the Unix socket has a name of the kernel's instead of a path
    #[property(name = "addr.abstract")]
    abstract_name: bool,
    /// Whether an abstract name ends with its last letter, rather than being filled up with zeroes
    #[property(name = "addr.tight", default = true)]
    tight: bool,
    /// Number of an inherited stream socket, which listens if this is a server
    #[property(
        name = "addr.str",
        insecure_when(
            is_descriptor_exposed,
            reason = "plain TCP on a non-loopback address: no encryption and no authorization"
        )
    )]
    descriptor: Option<DescriptorNumbers>,
    /// Whether it listens, rather than connects
    #[property]
    server: bool,
    /// Milliseconds after which a client that is not connected tries again; 0 for never
    #[property(name = "reconnect-ms")]
    reconnect_ms: Option<u64>,
    port: Arc<Port>,
    output: Arc<Output>,
    label: Arc<Mutex<Option<String>>>,
    /// Where it listens or connects to, once it is open.
    place: Mutex<Option<String>>,
    dialled: PreparedSlot<Dialled>,
}

static PREPARATION: Preparation = Preparation(dial);

/// Reaches the other end of a client.
fn dial(configuration: &Configuration<'_>) -> Result<Option<Prepared>, BoxedError> {
    if configuration.get("server")? {
        return Ok(None);
    }
    let address = address_of(&Fields::of(configuration, &ADDR)?, false)?;
    let retry: Option<u64> = configuration.get("reconnect-ms")?;
    let retries = retry.is_some_and(|retry| retry != 0);
    let dialled = Dialling { retries, nodelay: true, security: None }.dial(&address)?;
    Ok(dialled.map(|dialled| -> Prepared { Box::new(dialled) }))
}

impl Prepares for NetdevStream {
    fn accept(&self, prepared: Prepared) {
        self.dialled.accept(prepared);
    }
}

impl fmt::Debug for NetdevStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetdevStream").field("port", &self.port).finish_non_exhaustive()
    }
}

/// Where it is.
fn address_of(fields: &Fields, server: bool) -> Result<Address, PlanError> {
    let address = fields.address(&ADDR)?.ok_or(PlanError::Missing { property: ADDR.kind })?;
    match address {
        Address::Inet { port: 0, .. } if !server => Err(PlanError::refused(
            ADDR.port,
            format!("Parameter '{}' expects a port to connect to, got '0'", ADDR.port),
        )),
        address => Ok(address),
    }
}

/// Refuses a configuration that means nothing. It announces no children.
fn check(configuration: &Configuration<'_>, _children: &mut Children) -> Result<(), PlanError> {
    let server = configuration.get("server")?;
    let address = address_of(&Fields::of(configuration, &ADDR)?, server)?;
    let retry: Option<u64> = configuration.get("reconnect-ms")?;
    let refuse = |what: &str| {
        let problem = format!("Parameter 'reconnect-ms' is only for {what}");
        Err(PlanError::refused("reconnect-ms", problem))
    };
    if server && retry.is_some() {
        return refuse("a client");
    }
    if let Address::Inherited(fd) = address {
        if retry.is_some_and(|retry| retry != 0) {
            return refuse("a client with 'addr.path' or 'addr.host'");
        }
        examine(fd)?.check_role(fd, server)?;
    }
    Ok(())
}

fn examine(fd: u32) -> Result<Inherited, PlanError> {
    Inherited::examine(fd).map_err(|error| {
        let property = ADDR.descriptor;
        PlanError::refused(property, format!("Parameter '{property}' is '{fd}': {error}"))
    })
}

fn is_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    address::is_host_exposed(configuration, &ADDR)
}

/// Judges a descriptor by what it is.
fn is_descriptor_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    match Fields::of(configuration, &ADDR)?.address(&ADDR)? {
        Some(Address::Inherited(fd)) => Ok(examine(fd)?.is_exposed()),
        _ => Ok(false),
    }
}

impl NetdevStream {
    fn address(&self) -> Result<Address, PlanError> {
        let fields = Fields {
            kind: self.kind,
            host: self.host.clone(),
            port: self.tcp_port,
            path: self.path.clone(),
            descriptor: self.descriptor.as_ref().map(|fd| fd.0.clone()),
            abstract_name: self.abstract_name,
            tight: self.tight,
            ipv4: self.ipv4,
            ipv6: self.ipv6,
        };
        address_of(&fields, self.server)
    }

    fn source(
        &self,
        platform: &Platform,
        poller: &Poller,
    ) -> io::Result<(Source, String, Reached)> {
        let address = self.address().map_err(io::Error::other)?;
        if self.server {
            let listening = Listening::at(&address, platform.descriptors())?;
            let place = listening.place().to_owned();
            return Ok((Source::server(listening, poller)?, place, None));
        }
        let retry = self.reconnect_ms.filter(|retry| *retry != 0);
        let (descriptors, dialled) = (platform.descriptors(), self.dialled.take());
        let (client, reached) =
            Client::new(&address, descriptors, poller, retry, true, None, dialled)?;
        let place = client.place().to_owned();
        Ok((Source::Client(client), place, reached))
    }
}

impl Netdev for NetdevStream {
    /// A client that does not try again waits until it is connected, up to a time.
    fn open(&self, _object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let poller = Arc::new(Poller::new()?);
        let (source, place, reached) = self.source(platform, &poller)?;
        let mut stream = Stream::new(source, Arc::clone(&self.output), Arc::clone(&self.label));
        stream.begin(&self.port, &poller, reached);
        let opened = self.port.open(platform.events(), poller, Box::new(stream));
        opened.inspect_err(|_| self.close())?;
        *self.place.lock() = Some(place);
        Ok(())
    }

    fn close(&self) {
        self.port.close();
        let _ = self.output.detach();
        *self.label.lock() = None;
        *self.place.lock() = None;
    }

    fn disconnect(&self) {
        self.port.disconnect();
    }

    fn send(&self, _queue: u16, frame: &[IoSlice<'_>]) -> Sending {
        self.output.send(&self.port, frame)
    }

    port::delegate!();

    /// As `query-chardev` shows a socket: `unix:PATH`, `fd:NUMBER` or `tcp:HOST:PORT`, with
    /// `,server=on` behind it if it is one, and `disconnected:` before it without a connection.
    fn info(&self) -> String {
        if let Some(label) = &*self.label.lock() {
            return label.clone();
        }
        let place = self.place.lock().clone();
        let place = place.or_else(|| Some(self.address().ok()?.place(self.server)));
        format!("disconnected:{}", place.unwrap_or_default())
    }
}
