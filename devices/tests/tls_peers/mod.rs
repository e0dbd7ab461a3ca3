//! A TLS server on a machine, and a client that others could have written.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use device_model::{
    prelude::*,
    testing::{Machine, Running},
};
use devices::tls::TlsCreds;
use rustls::{ClientConnection, Connection, StreamOwned};

use crate::{
    certificates::{Authority, Folder, subject},
    reader::Reader,
};

use Presence::{Came, Left};

/// A machine whose stream is a TLS server for one client, `fred`.
pub(crate) struct Served {
    pub(crate) machine: Machine,
    pub(crate) stream: Arc<dyn Chardev>,
    pub(crate) object: Obj,
    pub(crate) authority: Authority,
    _folder: Folder,
    _running: Running,
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(properties: &[(&str, &str)]) -> Self {
        let authority = Authority::new("CA");
        let folder = authority.server();
        Self::of(authority, folder, properties)
    }

    pub(crate) fn of(authority: Authority, folder: Folder, properties: &[(&str, &str)]) -> Self {
        let machine = Machine::new();
        creds(&machine, "tls0", "server", &folder);
        machine.add("authz-simple", "authz0", &[("identity", &subject("fred"))]);
        let server = [
            ("host", "127.0.0.1"),
            ("port", "0"),
            ("server", "on"),
            ("wait", "off"),
            ("tls-creds", "tls0"),
            ("tls-authz", "authz0"),
        ];
        let object = machine.add("chardev-socket", "stream", &[&server, properties].concat());
        let stream = object.cast::<dyn Chardev>().unwrap();
        let running = machine.run_events();
        Self { machine, stream, object, authority, _folder: folder, _running: running }
    }

    pub(crate) fn port(&self) -> u16 {
        let name = self.stream.filename();
        name.strip_suffix(",server=on").unwrap().rsplit_once(':').unwrap().1.parse().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port())).unwrap()
    }

    /// Serves the right client, which shows that the server goes on.
    pub(crate) fn serves_fred(&self, reader: &Reader) {
        let seen = reader.presences().len();
        let mut client = Client::of(&self.authority.client("fred"), self.connect());
        client.write_all(b"it is me").unwrap();
        assert_eq!(reader.wait_for(8), b"it is me");
        self.stream.write(b"hello");
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
        client.say_goodbye();
        assert_eq!(reader.wait_for_presences(seen + 2)[seen..], [Came, Left]);
    }
}

pub(crate) fn creds(
    machine: &Machine,
    name: &str,
    endpoint: &str,
    folder: &Folder,
) -> Arc<dyn TlsCreds> {
    let properties = [("endpoint", endpoint), ("dir", folder.path())];
    machine.add("tls-creds-x509", name, &properties).cast().unwrap()
}

/// A client as others would write one.
pub(crate) struct Client(pub(crate) StreamOwned<ClientConnection, TcpStream>);

impl Client {
    pub(crate) fn of(folder: &Folder, socket: TcpStream) -> Self {
        let machine = Machine::new();
        let session = creds(&machine, "tls0", "client", folder).session(Some("localhost"));
        let Ok(Connection::Client(client)) = session else { panic!("it is a client") };
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(StreamOwned::new(client, socket))
    }

    pub(crate) fn say_goodbye(&mut self) {
        self.0.conn.send_close_notify();
        self.0.flush().unwrap();
    }

    /// Whether the server closes the connection without having said anything.
    pub(crate) fn is_refused(&mut self) -> bool {
        let _ = self.0.write_all(b"let me in");
        match self.0.read(&mut [0]) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
