//! What a stream network does on the loop: accepts or connects, and reads frames.

use std::{os::fd::OwnedFd, sync::Arc};

use device_model::prelude::*;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, recv},
};

use super::output::Output;
use crate::{
    chardev::{
        channel::{Alarm, Ends, KICK, Poller, Readiness, Token},
        socket::{
            client::{ATTEMPT, Client, RETRY},
            dial::Reached,
            label,
            listen::Listening,
        },
    },
    netdev::{
        framing::Reader,
        port::{Medium, Port},
    },
};

/// Somebody connects to a server.
const CONNECTION: Token = 3;
/// It may be that connections can be accepted again.
const RECOVERED: Token = 4;
/// Frames come.
const INPUT: Token = 5;
/// There is room for frames.
const OUTPUT: Token = 6;

/// Milliseconds after which a server tries again to accept connections, when the process had no
/// descriptors or the kernel no memory. It would be told without end that there are some.
const RECOVERY: u64 = 1000;

/// Where connections come from.
pub(super) enum Source {
    /// Others connect, one at a time.
    Server(Listening, Alarm),
    /// It connects.
    Client(Client),
}

/// A stream network at work.
pub(super) struct Stream {
    pub(super) source: Source,
    pub(super) output: Arc<Output>,
    /// How the connection is shown, while there is one.
    pub(super) label: Arc<Mutex<Option<String>>>,
    connection: Option<Connection>,
}

struct Connection {
    socket: OwnedFd,
    reader: Reader,
}

/// What became of reading.
#[derive(PartialEq, Eq)]
enum Pumped {
    /// All has been taken that is there.
    Dry,
    /// The peer takes no more for now.
    Stalled,
    /// The connection is over.
    Over,
}

impl Source {
    /// A server.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub(super) fn server(listening: Listening, poller: &Poller) -> std::io::Result<Self> {
        let alarm = Alarm::new(poller, RECOVERED)?;
        poller.add(&listening, CONNECTION, Readiness::IN)?;
        Ok(Self::Server(listening, alarm))
    }
}

impl Stream {
    pub(super) fn new(
        source: Source,
        output: Arc<Output>,
        label: Arc<Mutex<Option<String>>>,
    ) -> Self {
        Self { source, output, label, connection: None }
    }

    /// Takes up a connection, if one was reached. If the process has no descriptors or the kernel no
    /// memory, the other end finds it closed.
    pub(super) fn begin(&mut self, port: &Port, poller: &Arc<Poller>, reached: Reached) {
        let Some((Ends::Socket(socket), label)) = reached else { return };
        let attached = self.output.attach(&socket, poller, OUTPUT).and_then(|()| {
            poller.add(&socket, INPUT, Readiness::IN).inspect_err(|_| {
                let _ = self.output.detach();
            })
        });
        if attached.is_err() {
            return self.try_later(poller);
        }
        self.connection = Some(Connection { socket, reader: Reader::new() });
        *self.label.lock() = Some(label);
        port.set_link(true);
    }

    fn try_later(&self, poller: &Poller) {
        if let Source::Client(client) = &self.source {
            client.try_later(poller);
        }
    }

    /// Ends the connection.
    fn lose(&mut self, port: &Port, poller: &Poller) {
        let Some(connection) = self.connection.take() else { return };
        poller.remove(&connection.socket);
        *self.label.lock() = None;
        port.set_link(false);
        if self.output.detach() {
            port.can_send(0);
        }
        self.try_later(poller);
    }

    /// Passes on what has been read, reads once, and passes that on.
    fn pump(&mut self, port: &Port) -> Pumped {
        let Some(connection) = &mut self.connection else { return Pumped::Dry };
        match connection.pass_on(port) {
            Pumped::Dry => {}
            other => return other,
        }
        match recv(&connection.socket, connection.reader.room(), RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Pumped::Over,
            Ok((length, _)) => {
                connection.reader.filled(length);
                connection.pass_on(port)
            }
            Err(Errno::AGAIN | Errno::INTR) => Pumped::Dry,
            Err(_) => Pumped::Over,
        }
    }

    fn read(&mut self, port: &Port, poller: &Poller) {
        match self.pump(port) {
            Pumped::Dry => {
                if let Some(connection) = &self.connection {
                    poller.arm(&connection.socket, INPUT, Readiness::IN);
                }
            }
            // The peer says when.
            Pumped::Stalled => {}
            Pumped::Over => self.lose(port, poller),
        }
    }

    fn accept(&mut self, port: &Port, poller: &Arc<Poller>) {
        let has_gone = self.connection.as_ref().is_some_and(Connection::has_hung_up);
        if has_gone {
            self.lose(port, poller);
        }
        let Source::Server(listening, alarm) = &self.source else { return };
        let mut reached = None;
        match listening.accept() {
            // One at a time: it finds the connection closed.
            Ok(_) if self.connection.is_some() => {}
            Ok(socket) => {
                let label = label(&socket, listening.place());
                reached = Some((Ends::Socket(socket), label));
            }
            Err(Errno::NFILE | Errno::MFILE | Errno::NOBUFS | Errno::NOMEM) => {
                return alarm.set(poller, RECOVERY);
            }
            // Whoever it was has gone.
            Err(_) => {}
        }
        poller.arm(listening, CONNECTION, Readiness::IN);
        self.begin(port, poller, reached);
    }
}

impl Connection {
    fn pass_on(&mut self, port: &Port) -> Pumped {
        loop {
            match self.reader.frame() {
                Ok(Some(frame)) => match port.deliver(0, frame, 0) {
                    Receiving::Taken => self.reader.take(),
                    Receiving::Later => return Pumped::Stalled,
                },
                Ok(None) => return Pumped::Dry,
                Err(_) => return Pumped::Over,
            }
        }
    }

    fn has_hung_up(&self) -> bool {
        let mut ready = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0)
    }
}

impl Medium for Stream {
    fn ready(&mut self, port: &Port, poller: &Arc<Poller>, token: Token, _what: Readiness) {
        match token {
            INPUT | KICK => self.read(port, poller),
            OUTPUT if self.output.flush() => port.can_send(0),
            CONNECTION | RECOVERED => self.accept(port, poller),
            ATTEMPT | RETRY => {
                let idle = self.connection.is_none();
                let Source::Client(client) = &mut self.source else { return };
                let reached = match token {
                    ATTEMPT => client.conclude(poller),
                    _ if idle => client.attempt(poller),
                    _ => None,
                };
                self.begin(port, poller, reached);
            }
            _ => {}
        }
    }
}
