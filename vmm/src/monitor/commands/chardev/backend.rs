//! What a character device leads to, as QEMU's `ChardevBackend` says it, and as properties of our
//! types, which are called as the keys of `-chardev`.

use device_model::{
    monitor::CommandError,
    qom_core::{Given, Value},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::creation::object::OBJECTS;

/// Properties of a character device.
pub(super) type Properties = Vec<(&'static str, Given)>;

/// What a character device leads to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
pub(super) enum Backend {
    /// Nowhere.
    Null(Common),
    /// The program's own standard input and output.
    Stdio(Stdio),
    /// A file.
    File(File),
    /// A named pipe.
    Pipe(Pipe),
    /// A pseudo-terminal.
    Pty(Pty),
    /// A stream socket.
    Socket(Socket),
    /// A datagram socket.
    Udp(Udp),
    /// A buffer in memory.
    Ringbuf(Ringbuf),
}

/// What all of them take.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Common {
    /// File that a copy of all output goes to.
    #[serde(default)]
    logfile: Option<String>,
    /// Whether that is added to what is in the file.
    #[serde(default)]
    logappend: Option<bool>,
}

/// Defines the data of a backend, with what all of them take, since `deny_unknown_fields` can't be
/// had of a flattened struct.
macro_rules! backend {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub(super) struct $name {
            $($(#[$field_doc])* $field: $type,)*
            /// File that a copy of all output goes to.
            #[serde(default)]
            logfile: Option<String>,
            /// Whether that is added to what is in the file.
            #[serde(default)]
            logappend: Option<bool>,
        }
    };
}

backend! {
    /// The program's own standard input and output.
    Stdio {
        /// Whether keys such as Ctrl-C send their signals.
        #[serde(default)]
        signal: Option<bool>,
    }
}

backend! {
    /// A file.
    File {
        /// Where input comes from.
        #[serde(default, rename = "in")]
        input: Option<String>,
        /// Where output goes.
        out: String,
        /// Whether output is added to what is in the file.
        #[serde(default)]
        append: Option<bool>,
    }
}

backend! {
    /// A named pipe.
    Pipe {
        /// Its path.
        device: String,
    }
}

backend! {
    /// A pseudo-terminal.
    Pty {
        /// Path of a symbolic link to it, which is made.
        #[serde(default)]
        path: Option<String>,
    }
}

backend! {
    /// A buffer in memory.
    Ringbuf {
        /// How many bytes it keeps.
        #[serde(default)]
        size: Option<u64>,
    }
}

backend! {
    /// A datagram socket.
    Udp {
        /// Where datagrams go.
        remote: Address,
        /// Where they come in.
        #[serde(default)]
        local: Option<Address>,
    }
}

backend! {
    /// A stream socket.
    Socket {
        /// Where it listens, or what it connects to.
        addr: Address,
        /// Id of the credentials for TLS.
        #[serde(default)]
        tls_creds: Option<String>,
        /// Id of what decides which peers may.
        #[serde(default)]
        tls_authz: Option<String>,
        /// Whether it listens; it does unless told.
        #[serde(default)]
        server: Option<bool>,
        /// Whether a server waits for its first peer before anything else, which none may: monitors
        /// would wait with it.
        #[serde(default)]
        wait: Option<bool>,
        /// Whether TCP sends each write at once.
        #[serde(default)]
        nodelay: Option<bool>,
        /// Whether it speaks telnet.
        #[serde(default)]
        telnet: Option<bool>,
        /// Whether it speaks TN3270.
        #[serde(default)]
        tn3270: Option<bool>,
        /// Whether it speaks WebSocket.
        #[serde(default)]
        websocket: Option<bool>,
        /// Seconds after which a client tries again.
        #[serde(default)]
        #[schemars(extend("deprecated" = true))]
        reconnect: Option<u64>,
        /// Milliseconds after which a client tries again.
        #[serde(default)]
        reconnect_ms: Option<u64>,
    }
}

/// An address of a socket, as QEMU's `SocketAddressLegacy`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
enum Address {
    /// An IP address and a port.
    Inet(Inet),
    /// A path, or a name of the kernel's.
    Unix(Unix),
    /// A descriptor that the program has.
    Fd(Descriptor),
}

/// An IP address and a port.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Inet {
    /// Name or address of the host.
    host: String,
    /// Port.
    port: String,
    /// The last of the ports that a server tries.
    #[serde(default)]
    to: Option<u16>,
    /// Whether IP version 4 is used.
    #[serde(default)]
    ipv4: Option<bool>,
    /// Whether IP version 6 is used.
    #[serde(default)]
    ipv6: Option<bool>,
}

/// A Unix socket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unix {
    /// Its path or name.
    path: String,
    /// Whether it is a name of the kernel's.
    #[serde(default, rename = "abstract")]
    is_abstract: Option<bool>,
    /// Whether that ends with its last letter.
    #[serde(default)]
    tight: Option<bool>,
}

/// A descriptor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Descriptor {
    /// Its number or name.
    str: String,
}

fn text(value: Option<String>) -> Option<Given> {
    // The type of the property says how it is read.
    value.map(Given::Text)
}

fn json(value: Option<impl Into<Value>>) -> Option<Given> {
    value.map(|value| Given::Json(value.into()))
}

/// The path of what users call by its id. A path stays what it is.
fn user_object(id: String) -> String {
    if id.starts_with('/') { id } else { format!("{OBJECTS}/{id}") }
}

/// Those that were given.
fn given<const N: usize>(all: [(&'static str, Option<Given>); N]) -> Properties {
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

impl Address {
    fn properties(self) -> Properties {
        match self {
            Self::Inet(Inet { host, port, to, ipv4, ipv6 }) => given([
                ("host", text(Some(host))),
                ("port", text(Some(port))),
                ("to", json(to)),
                ("ipv4", json(ipv4)),
                ("ipv6", json(ipv6)),
            ]),
            Self::Unix(Unix { path, is_abstract, tight }) => given([
                ("path", text(Some(path))),
                ("abstract", json(is_abstract)),
                ("tight", json(tight)),
            ]),
            Self::Fd(Descriptor { str }) => given([("fd", text(Some(str)))]),
        }
    }
}

impl Backend {
    /// Its name, as `-chardev` takes it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Null(_) => "null",
            Self::Stdio(_) => "stdio",
            Self::File(_) => "file",
            Self::Pipe(_) => "pipe",
            Self::Pty(_) => "pty",
            Self::Socket(_) => "socket",
            Self::Udp(_) => "udp",
            Self::Ringbuf(_) => "ringbuf",
        }
    }

    /// The properties that it stands for.
    ///
    /// # Errors
    /// If it contradicts itself.
    pub(super) fn properties(self) -> Result<Properties, CommandError> {
        let (own, logfile, logappend) = match self {
            Self::Null(Common { logfile, logappend }) => (Vec::new(), logfile, logappend),
            Self::Stdio(Stdio { signal, logfile, logappend }) => {
                (given([("signal", json(signal))]), logfile, logappend)
            }
            Self::File(File { input, out, append, logfile, logappend }) => {
                let own = given([
                    ("path", text(Some(out))),
                    ("input-path", text(input)),
                    ("append", json(append)),
                ]);
                (own, logfile, logappend)
            }
            Self::Pipe(Pipe { device, logfile, logappend }) => {
                (given([("path", text(Some(device)))]), logfile, logappend)
            }
            Self::Pty(Pty { path, logfile, logappend }) => {
                (given([("path", text(path))]), logfile, logappend)
            }
            Self::Ringbuf(Ringbuf { size, logfile, logappend }) => {
                (given([("size", json(size))]), logfile, logappend)
            }
            Self::Udp(Udp { remote, local, logfile, logappend }) => {
                (datagram(remote, local)?, logfile, logappend)
            }
            Self::Socket(socket) => {
                let log = (socket.logfile.clone(), socket.logappend);
                (socket.properties()?, log.0, log.1)
            }
        };
        let log = given([("logfile", text(logfile)), ("logappend", json(logappend))]);
        Ok(own.into_iter().chain(log).collect())
    }
}

impl Socket {
    /// # Errors
    /// If it waits for a peer: nothing else can change the VM meanwhile, nor end it.
    fn properties(self) -> Result<Properties, CommandError> {
        // Unlike the option, the command makes a server that does not wait.
        let server = self.server.unwrap_or(true);
        if server && self.wait == Some(true) {
            return Err(CommandError::generic(
                "Parameter 'wait' expects 'false' for a VM that exists: its monitors would wait for \
                 the first peer too",
            ));
        }
        let wait = self.wait.or(server.then_some(false));
        let own = given([
            ("server", json(Some(server))),
            ("wait", json(wait)),
            ("nodelay", json(self.nodelay)),
            ("telnet", json(self.telnet)),
            ("tn3270", json(self.tn3270)),
            ("websocket", json(self.websocket)),
            ("reconnect", json(self.reconnect)),
            ("reconnect-ms", json(self.reconnect_ms)),
            ("tls-creds", text(self.tls_creds.map(user_object))),
            ("tls-authz", text(self.tls_authz.map(user_object))),
        ]);
        Ok(self.addr.properties().into_iter().chain(own).collect())
    }
}

fn datagram(remote: Address, local: Option<Address>) -> Result<Properties, CommandError> {
    let inet = |address| match address {
        Address::Inet(inet) => Ok(inet),
        _ => Err(CommandError::generic("Parameter 'backend.data' expects addresses of type inet")),
    };
    let Inet { host, port, ipv4, ipv6, .. } = inet(remote)?;
    let local = local.map(inet).transpose()?;
    let (local_host, local_port) = local.map(|local| (local.host, local.port)).unzip();
    Ok(given([
        ("host", text(Some(host))),
        ("port", text(Some(port))),
        ("ipv4", json(ipv4)),
        ("ipv6", json(ipv6)),
        ("localaddr", text(local_host)),
        ("localport", text(local_port)),
    ]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(backend: Value) -> String {
        let backend: Backend = serde_json::from_value(backend).expect("it is well formed");
        let name = backend.name();
        let properties = backend.properties().expect("it does not contradict itself");
        let properties = properties.iter().map(|(name, value)| format!(",{name}={value}"));
        properties.fold(name.to_owned(), |all, one| all + &one)
    }

    #[test]
    fn each_backend_becomes_what_its_option_would() {
        for (backend, option) in [
            (json!({"type": "null", "data": {}}), "null"),
            (json!({"type": "stdio", "data": {"signal": false}}), "stdio,signal=false"),
            (
                json!({"type": "file", "data": {"out": "/o", "in": "/i", "logfile": "/l"}}),
                "file,path=/o,input-path=/i,logfile=/l",
            ),
            (json!({"type": "pipe", "data": {"device": "/p"}}), "pipe,path=/p"),
            (json!({"type": "pty", "data": {}}), "pty"),
            (json!({"type": "ringbuf", "data": {"size": 512}}), "ringbuf,size=512"),
            (
                json!({"type": "udp", "data": {
                    "remote": {"type": "inet", "data": {"host": "::1", "port": "9"}},
                    "local": {"type": "inet", "data": {"host": "", "port": "0"}},
                }}),
                "udp,host=::1,port=9,localaddr=,localport=0",
            ),
            (
                json!({"type": "socket", "data": {
                    "addr": {"type": "unix", "data": {"path": "/s", "abstract": true}},
                }}),
                "socket,path=/s,abstract=true,server=true,wait=false",
            ),
            (
                json!({"type": "socket", "data": {
                    "addr": {"type": "inet", "data": {"host": "localhost", "port": "4444"}},
                    "server": false, "nodelay": true, "reconnect-ms": 50,
                }}),
                "socket,host=localhost,port=4444,server=false,nodelay=true,reconnect-ms=50",
            ),
            (
                json!({"type": "socket", "data": {
                    "addr": {"type": "fd", "data": {"str": "7"}}, "wait": false,
                }}),
                "socket,fd=7,server=true,wait=false",
            ),
            (
                json!({"type": "socket", "data": {
                    "addr": {"type": "inet", "data": {"host": "::", "port": "0"}},
                    "tls-creds": "tls0", "tls-authz": "/objects/authz0",
                }}),
                "socket,host=::,port=0,server=true,wait=false,tls-creds=/objects/tls0,\
                 tls-authz=/objects/authz0",
            ),
        ] {
            assert_eq!(shown(backend), option);
        }
    }

    #[test]
    fn no_server_waits_for_its_first_peer() {
        for server in [json!({}), json!({"server": true})] {
            let mut data = server;
            data["addr"] = json!({"type": "unix", "data": {"path": "/s"}});
            data["wait"] = json!(true);
            let socket = json!({"type": "socket", "data": data});
            let socket: Backend = serde_json::from_value(socket).expect("it is well formed");
            let error = socket.properties().unwrap_err();
            assert!(error.to_string().starts_with("Parameter 'wait' expects 'false'"), "{error}");
        }
    }

    #[test]
    fn what_a_backend_does_not_take_is_refused() {
        for backend in [
            json!({"type": "warp", "data": {}}),
            json!({"type": "null"}),
            json!({"type": "null", "data": {"path": "/p"}}),
            json!({"type": "pipe", "data": {}}),
            json!({"type": "socket", "data": {"addr": {"type": "unix", "data": {}}}}),
        ] {
            assert!(serde_json::from_value::<Backend>(backend.clone()).is_err(), "{backend}");
        }
        let udp = json!({"type": "udp", "data": {
            "remote": {"type": "unix", "data": {"path": "/s"}},
        }});
        let udp: Backend = serde_json::from_value(udp).expect("it is well formed");
        let error = udp.properties().unwrap_err();
        let text = "Parameter 'backend.data' expects addresses of type inet";
        assert_eq!(error.to_string(), text);
    }
}
