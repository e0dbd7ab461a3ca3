//! The side that listens.

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::{io::Errno, net::sockopt};

use super::{
    label,
    listen::Listening,
    security::{Handshakes, Outcome},
};
use crate::chardev::channel::{Alarm, Channel, Ends, Host, Poller, Readiness, Token};

/// Somebody connects.
const CONNECTION: Token = 1;

/// It may be that connections can be accepted again.
const RECOVERED: Token = 2;

/// Milliseconds after which it tries again to accept connections, when the process had no
/// descriptors or the kernel no memory. It would be told without end that there are some.
const RECOVERY: u64 = 1000;

/// A socket that listens, and accepts one peer at a time.
pub(super) struct Server {
    listening: Listening,
    alarm: Alarm,
    nodelay: bool,
    /// If peers need TLS.
    handshakes: Option<Handshakes>,
}

impl Server {
    /// # Errors
    /// If the process has no descriptors left.
    pub(super) fn new(
        listening: Listening,
        poller: &Poller,
        nodelay: bool,
        handshakes: Option<Handshakes>,
    ) -> io::Result<Self> {
        let alarm = Alarm::new(poller, RECOVERED)?;
        poller.add(&listening, CONNECTION, Readiness::IN)?;
        Ok(Self { listening, alarm, nodelay, handshakes })
    }

    /// Waits for the first peer, which passes what it has to. Those that don't are closed.
    ///
    /// # Errors
    /// If a signal comes, of kind [`ErrorKind::Interrupted`], or the host refuses.
    pub(super) fn wait(&self) -> io::Result<(Ends, String)> {
        loop {
            let socket = self.listening.wait()?;
            self.prepare(&socket);
            let label = label(&socket, self.listening.place());
            let Some(handshakes) = &self.handshakes else {
                return Ok((Ends::Socket(socket), label));
            };
            match handshakes.security().complete(socket) {
                Ok(stream) => return Ok((Ends::Tls(Box::new(stream)), label)),
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Sets up a connection that was accepted.
    fn prepare(&self, socket: impl AsFd) {
        if self.nodelay && self.listening.is_tcp() {
            // It only costs time if not.
            let _ = sockopt::set_tcp_nodelay(socket, true);
        }
    }

    fn greet(&mut self, channel: &Channel, poller: &Arc<Poller>, socket: OwnedFd) {
        if channel.peer().is_some() {
            // One at a time: it finds the connection closed.
            return;
        }
        self.prepare(&socket);
        if let Some(handshakes) = &mut self.handshakes {
            let outcome = handshakes.begin(poller, socket);
            return self.settle(channel, poller, outcome);
        }
        let label = label(&socket, self.listening.place());
        // If the kernel has no memory, it finds the connection closed.
        let _ = channel.arrive(poller, Ends::Socket(socket), label);
    }

    /// The first whose handshake ends well is the peer, and the others find the connection closed.
    fn settle(&mut self, channel: &Channel, poller: &Arc<Poller>, outcome: Outcome) {
        let Outcome::Done(stream) = outcome else { return };
        if let Some(handshakes) = &mut self.handshakes {
            handshakes.end_all(poller);
        }
        let label = label(&stream, self.listening.place());
        // As of any other connection.
        let _ = channel.arrive(poller, Ends::Tls(stream), label);
    }
}

impl Host for Server {
    fn ready(&mut self, channel: &Channel, poller: &Arc<Poller>, token: Token) {
        if token != CONNECTION && token != RECOVERED {
            if let Some(handshakes) = &mut self.handshakes {
                let outcome = handshakes.ready(poller, token);
                self.settle(channel, poller, outcome);
            }
            return;
        }
        if let Some(peer) = channel.peer().filter(|peer| peer.has_hung_up()) {
            if peer.is_being_read() {
                // First what it sent. The next one is there still when that has been read.
                return poller.arm(&self.listening, CONNECTION, Readiness::IN);
            }
            channel.dismiss(poller, &peer);
        }
        match self.listening.accept() {
            Ok(socket) => self.greet(channel, poller, socket),
            Err(Errno::NFILE | Errno::MFILE | Errno::NOBUFS | Errno::NOMEM) => {
                return self.alarm.set(poller, RECOVERY);
            }
            // Whoever it was has gone.
            Err(_) => {}
        }
        poller.arm(&self.listening, CONNECTION, Readiness::IN);
    }
}
