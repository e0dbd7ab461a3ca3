//! The side that connects.

use std::{io, os::fd::OwnedFd, sync::Arc};

use device_model::descriptors::Descriptors;
use rustix::{
    io::Errno,
    net::{SocketFlags, sockopt},
};

use super::{
    dial::{self, Dialled, Dialling, Reached, Target},
    inherited::Inherited,
    label,
    security::{Handshakes, Outcome, Security},
    settings::Address,
};
use crate::chardev::channel::{Alarm, Channel, Ends, Host, Poller, Readiness, Token};

/// An attempt has succeeded or failed.
pub(crate) const ATTEMPT: Token = 1;

/// It is time for the next one.
pub(crate) const RETRY: Token = 2;

/// A socket that connects, once or for as long as the stream is open.
pub(crate) struct Client {
    targets: Vec<Target>,
    /// Which of them is next.
    next: usize,
    attempt: Option<OwnedFd>,
    /// If the peer needs TLS.
    handshakes: Option<Handshakes>,
    retry: Option<Retry>,
    nodelay: bool,
    place: String,
}

struct Retry {
    alarm: Alarm,
    after: u64,
}

impl Client {
    /// Connects, or begins to if it goes on trying every `retry` milliseconds. The descriptors are
    /// those that an address may number; `dialled` is what was dialled for it, if it was.
    ///
    /// # Errors
    /// If the host refuses, or nobody listens and there is no retry; of kind
    /// [`ErrorKind::Interrupted`](io::ErrorKind::Interrupted) if a signal comes first.
    pub(crate) fn new(
        address: &Address,
        descriptors: &Descriptors,
        poller: &Poller,
        retry: Option<u64>,
        nodelay: bool,
        security: Option<Security>,
        dialled: Option<Dialled>,
    ) -> io::Result<(Self, Reached)> {
        let place = address.place(false);
        let mut inherited = None;
        if let Address::Inherited(fd) = *address {
            let socket = Inherited::duplicate(descriptors, fd)
                .map_err(|error| dial::context(&place, &error))?;
            socket.check_role(fd, false).map_err(io::Error::other)?;
            if nodelay && socket.is_tcp() {
                sockopt::set_tcp_nodelay(&socket, true)?;
            }
            inherited = Some(socket.into_socket());
        }
        let dialling = Dialling { retries: retry.is_some(), nodelay, security: security.as_ref() };
        let dialled = match dialled {
            Some(dialled) => Some(dialled),
            None => dialling.dial(address)?,
        };
        let (targets, reached) =
            dialled.map_or((Vec::new(), None), |dialled| (dialled.targets, dialled.reached));
        let retry = match retry {
            Some(after) => Some(Retry { alarm: Alarm::new(poller, RETRY)?, after }),
            None => None,
        };
        let handshakes = security.map(|security| Handshakes::new(security, poller)).transpose()?;
        let mut client =
            Self { targets, next: 0, attempt: None, handshakes, retry, nodelay, place };
        let reached = match inherited {
            Some(inherited) => Some(client.reached(inherited)),
            None if client.retry.is_some() => client.attempt(poller),
            None => reached,
        };
        Ok((client, reached))
    }

    /// How it is shown.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    fn reached(&self, socket: OwnedFd) -> (Ends, String) {
        let label = label(&socket, &self.place);
        (Ends::Socket(socket), label)
    }

    /// Begins the handshake, if there is one.
    fn secure(&mut self, poller: &Poller, socket: OwnedFd) -> Reached {
        let Some(handshakes) = &mut self.handshakes else { return Some(self.reached(socket)) };
        let outcome = handshakes.begin(poller, socket);
        self.settle(poller, outcome)
    }

    fn settle(&self, poller: &Poller, outcome: Outcome) -> Reached {
        match outcome {
            Outcome::Pending => None,
            Outcome::Failed => {
                self.try_later(poller);
                None
            }
            Outcome::Done(stream) => {
                let label = label(&stream, &self.place);
                Some((Ends::Tls(stream), label))
            }
        }
    }

    /// Begins to connect to the next address.
    pub(crate) fn attempt(&mut self, poller: &Poller) -> Reached {
        let target = self.targets.get(self.next % self.targets.len().max(1))?;
        self.next = self.next.wrapping_add(1);
        let socket = target.socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        let begun = socket.and_then(|socket| match target.connect(&socket) {
            Err(Errno::INPROGRESS) => {
                poller.add(&socket, ATTEMPT, Readiness::OUT).map_err(|_| Errno::NOMEM)?;
                Ok((socket, false))
            }
            connected => {
                connected?;
                dial::check(&socket, self.nodelay)?;
                Ok((socket, true))
            }
        });
        match begun {
            Ok((socket, true)) => self.secure(poller, socket),
            Ok((socket, false)) => {
                self.attempt = Some(socket);
                None
            }
            Err(_) => {
                self.try_later(poller);
                None
            }
        }
    }

    /// Ends the attempt, which has succeeded or failed.
    pub(crate) fn conclude(&mut self, poller: &Poller) -> Reached {
        let socket = self.attempt.take()?;
        poller.remove(&socket);
        let outcome = sockopt::socket_error(&socket).and_then(|error| error);
        match outcome.and_then(|()| dial::check(&socket, self.nodelay)) {
            Ok(()) => self.secure(poller, socket),
            Err(_) => {
                self.try_later(poller);
                None
            }
        }
    }

    /// Whether nothing is under way.
    fn is_idle(&self) -> bool {
        let handshake = self.handshakes.as_ref().is_some_and(Handshakes::are_pending);
        self.attempt.is_none() && !handshake
    }

    pub(crate) fn try_later(&self, poller: &Poller) {
        if let Some(retry) = &self.retry {
            retry.alarm.set(poller, retry.after);
        }
    }
}

impl Host for Client {
    fn ready(&mut self, channel: &Channel, poller: &Arc<Poller>, token: Token) {
        let reached = match token {
            ATTEMPT => self.conclude(poller),
            RETRY if self.is_idle() && channel.peer().is_none() => self.attempt(poller),
            RETRY => None,
            _ => {
                let outcome = self.handshakes.as_mut().map(|all| all.ready(poller, token));
                outcome.and_then(|outcome| self.settle(poller, outcome))
            }
        };
        if let Some((ends, label)) = reached
            && channel.arrive(poller, ends, label).is_err()
        {
            self.try_later(poller);
        }
    }

    fn peer_left(&mut self, poller: &Poller) {
        self.try_later(poller);
    }
}
