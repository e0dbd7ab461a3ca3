//! The side that listens.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::{io::Errno, net::sockopt};

use super::{label, listen::Listening};
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
}

impl Server {
    /// # Errors
    /// If the process has no descriptors left.
    pub(super) fn new(listening: Listening, poller: &Poller, nodelay: bool) -> io::Result<Self> {
        let alarm = Alarm::new(poller, RECOVERED)?;
        poller.add(&listening, CONNECTION, Readiness::IN)?;
        Ok(Self { listening, alarm, nodelay })
    }

    /// Sets up a connection that was accepted.
    pub(super) fn prepare(&self, socket: impl AsFd) {
        if self.nodelay && self.listening.is_tcp() {
            // It only costs time if not.
            let _ = sockopt::set_tcp_nodelay(socket, true);
        }
    }

    fn greet(&self, channel: &Channel, poller: &Arc<Poller>, socket: OwnedFd) {
        if channel.peer().is_some() {
            // One at a time: it finds the connection closed.
            return;
        }
        self.prepare(&socket);
        let label = label(&socket, self.listening.place());
        // If the kernel has no memory, it finds the connection closed.
        let _ = channel.arrive(poller, Ends::Socket(socket), label);
    }
}

impl Host for Server {
    fn ready(&mut self, channel: &Channel, poller: &Arc<Poller>, token: Token) {
        if token != CONNECTION && token != RECOVERED {
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
