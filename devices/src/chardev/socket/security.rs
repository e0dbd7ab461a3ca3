//! What a connection has to pass before it is the device's: TLS, and authorization.

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use device_model::prelude::*;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    chardev::channel::{Alarm, Poller, Readiness, Token},
    tls::{Progress, TlsCreds, TlsStream, identity},
};

/// How long a peer may take for its handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// Handshakes at once, at most. Whoever comes then takes the place of the one that has taken longest,
/// so that nobody can keep others out by doing nothing.
const MOST: usize = 8;

/// Somebody has taken too long.
const LATE: Token = 3;

/// The first token of as many as there can be handshakes.
const FIRST: Token = 4;

/// How peers show who they are, and which of them may.
pub(crate) struct Security {
    creds: Arc<dyn TlsCreds>,
    authz: Option<Arc<dyn Authz>>,
    /// Whom a client expects.
    host: Option<String>,
}

impl Security {
    /// # Errors
    /// If no connection could ever be made with it.
    pub(super) fn new(
        creds: Arc<dyn TlsCreds>,
        authz: Option<Arc<dyn Authz>>,
        host: Option<String>,
    ) -> io::Result<Self> {
        creds.session(host.as_deref()).map_err(io::Error::other)?;
        Ok(Self { creds, authz, host })
    }

    fn begin(&self, socket: OwnedFd) -> io::Result<TlsStream> {
        let session = self.creds.session(self.host.as_deref()).map_err(io::Error::other)?;
        Ok(TlsStream::new(socket, session))
    }

    /// Whether a peer may whose handshake is over.
    fn admit(&self, stream: &TlsStream) -> io::Result<()> {
        let Some(authz) = &self.authz else { return Ok(()) };
        let denied = |problem: String| io::Error::new(ErrorKind::PermissionDenied, problem);
        let certificate = stream
            .peer_certificate()
            .ok_or_else(|| denied("the peer has shown no certificate".to_owned()))?;
        let name = identity::subject(&certificate).map_err(|error| denied(error.to_string()))?;
        if authz.is_allowed(&name) {
            return Ok(());
        }
        Err(denied(format!("'{name}' is not authorized")))
    }

    /// Waits for the handshake of a connection.
    ///
    /// # Errors
    /// If the peer is not whom it has to be, or takes too long; of kind [`ErrorKind::Interrupted`] if
    /// a signal comes first.
    pub(super) fn complete(&self, socket: OwnedFd) -> io::Result<TlsStream> {
        let until = Instant::now() + PATIENCE;
        let stream = self.begin(socket)?;
        loop {
            let what = match stream.advance()? {
                Progress::Done => break,
                Progress::Input => PollFlags::IN,
                Progress::Output => PollFlags::OUT,
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            let left = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
            match poll(&mut [PollFd::from_borrowed_fd(stream.as_fd(), what)], Some(&left)) {
                Ok(_) => {}
                Err(Errno::INTR) => return Err(ErrorKind::Interrupted.into()),
                Err(error) => return Err(error.into()),
            }
        }
        self.admit(&stream)?;
        Ok(stream)
    }
}

/// What became of a handshake.
pub(super) enum Outcome {
    /// It goes on.
    Pending,
    /// The connection is closed.
    Failed,
    /// The peer is whom it has to be, and may.
    Done(Box<TlsStream>),
}

/// Handshakes that nothing waits for.
pub(super) struct Handshakes {
    security: Security,
    alarm: Alarm,
    /// The longest first.
    pending: Vec<Pending>,
}

struct Pending {
    token: Token,
    stream: Box<TlsStream>,
    until: Instant,
}

impl Handshakes {
    /// # Errors
    /// If the process has no descriptors left.
    pub(super) fn new(security: Security, poller: &Poller) -> io::Result<Self> {
        Ok(Self { security, alarm: Alarm::new(poller, LATE)?, pending: Vec::new() })
    }

    /// What they are to show.
    pub(super) const fn security(&self) -> &Security {
        &self.security
    }

    /// Whether there are any.
    pub(super) fn are_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Begins one.
    pub(super) fn begin(&mut self, poller: &Poller, socket: OwnedFd) -> Outcome {
        if self.pending.len() >= MOST {
            self.end(poller, 0);
        }
        let is_free = |token: &Token| self.pending.iter().all(|pending| pending.token != *token);
        let Some(token) = (FIRST..).take(MOST).find(is_free) else { return Outcome::Failed };
        let Ok(stream) = self.security.begin(socket).map(Box::new) else { return Outcome::Failed };
        if poller.add(&*stream, token, Readiness::empty()).is_err() {
            // The kernel has no memory.
            return Outcome::Failed;
        }
        self.pending.push(Pending { token, stream, until: Instant::now() + PATIENCE });
        if let [_] = *self.pending {
            self.set_alarm(poller);
        }
        self.go_on(poller, token)
    }

    /// What has such a token is ready.
    pub(super) fn ready(&mut self, poller: &Poller, token: Token) -> Outcome {
        if token == LATE { self.end_late(poller) } else { self.go_on(poller, token) }
    }

    fn go_on(&mut self, poller: &Poller, token: Token) -> Outcome {
        let Some(position) = self.pending.iter().position(|pending| pending.token == token) else {
            return Outcome::Pending;
        };
        let Some(pending) = self.pending.get(position) else { return Outcome::Pending };
        let what = match pending.stream.advance() {
            Ok(Progress::Input) => Readiness::IN,
            Ok(Progress::Output) => Readiness::OUT,
            Ok(Progress::Done) => {
                let stream = self.end(poller, position);
                return match self.security.admit(&stream) {
                    Ok(()) => Outcome::Done(stream),
                    Err(_) => {
                        stream.say_goodbye();
                        Outcome::Failed
                    }
                };
            }
            Err(_) => {
                self.end(poller, position);
                return Outcome::Failed;
            }
        };
        poller.arm(&*pending.stream, token, what);
        Outcome::Pending
    }

    /// Takes one out. What is dropped is closed.
    fn end(&mut self, poller: &Poller, position: usize) -> Box<TlsStream> {
        let Pending { stream, .. } = self.pending.remove(position);
        poller.remove(&*stream);
        stream
    }

    /// Ends those that have taken too long.
    fn end_late(&mut self, poller: &Poller) -> Outcome {
        let now = Instant::now();
        let mut outcome = Outcome::Pending;
        while self.pending.first().is_some_and(|oldest| oldest.until <= now) {
            self.end(poller, 0);
            outcome = Outcome::Failed;
        }
        self.set_alarm(poller);
        outcome
    }

    /// Ends all of them.
    pub(super) fn end_all(&mut self, poller: &Poller) {
        while self.are_pending() {
            self.end(poller, 0);
        }
    }

    /// Lets the alarm go off when the oldest has taken too long.
    fn set_alarm(&self, poller: &Poller) {
        if let Some(oldest) = self.pending.first() {
            let left = oldest.until.saturating_duration_since(Instant::now()).as_millis();
            self.alarm.set(poller, u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1));
        }
    }
}
