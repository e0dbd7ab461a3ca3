//! Frames on their way out of a stream socket that may be slow.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use device_model::prelude::*;
use rustix::{
    io::Errno,
    net::{SendAncillaryBuffer, SendFlags, send, sendmsg},
};

use crate::{
    chardev::channel::{Poller, Readiness, Token},
    netdev::{framing, port::Port},
};

/// Pieces that the kernel takes at once, without the length (`UIO_MAXIOV` is 1024).
const MOST_PIECES: usize = 1000;

const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// The way out. What the socket has not taken of a frame waits here, and nothing is taken
/// behind it.
#[derive(Default)]
pub(super) struct Output(Mutex<State>);

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// Whether the peer was told to come again.
    refused: bool,
}

struct Connection {
    /// A duplicate, so that it can be waited for beside the input.
    socket: OwnedFd,
    poller: Arc<Poller>,
    token: Token,
    rest: Vec<u8>,
    /// How much of that has gone.
    gone: usize,
}

impl Output {
    /// Sends to a socket from here on.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub(super) fn attach(
        &self,
        socket: &OwnedFd,
        poller: &Arc<Poller>,
        token: Token,
    ) -> io::Result<()> {
        let socket = socket.try_clone()?;
        poller.add(&socket, token, Readiness::empty())?;
        let poller = Arc::clone(poller);
        let connection = Connection { socket, poller, token, rest: Vec::new(), gone: 0 };
        self.0.lock().connection = Some(connection);
        Ok(())
    }

    /// Sends nowhere any more. True if the peer waits to send.
    pub(super) fn detach(&self) -> bool {
        let mut state = self.0.lock();
        if let Some(connection) = state.connection.take() {
            connection.poller.remove(&connection.socket);
        }
        std::mem::take(&mut state.refused)
    }

    /// The socket takes more. True if the peer waits to send and can.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.0.lock();
        let Some(connection) = &mut state.connection else { return false };
        connection.flush() && std::mem::take(&mut state.refused)
    }

    /// See [`Netdev::send`].
    pub(super) fn send(&self, port: &Port, frame: &[IoSlice<'_>]) -> Sending {
        let length = frame.iter().map(|piece| piece.len()).sum();
        let mut state = self.0.lock();
        let (Some(prefix), Some(connection)) = (framing::prefix(length), &mut state.connection)
        else {
            port.send_dropped();
            return Sending::Taken;
        };
        let outcome = connection.send(&prefix, frame);
        match outcome {
            Ok(true) => port.sent(length),
            Ok(false) => {
                state.refused = true;
                return Sending::Later;
            }
            // The side that reads finds out what it is.
            Err(_) => port.send_dropped(),
        }
        Sending::Taken
    }
}

impl Connection {
    /// False if there is no room.
    fn send(&mut self, prefix: &[u8], frame: &[IoSlice<'_>]) -> Result<bool, Errno> {
        if !self.flush() {
            return Ok(false);
        }
        let gathered: Vec<u8>;
        let mut pieces = vec![IoSlice::new(prefix)];
        if frame.len() > MOST_PIECES {
            gathered = frame.iter().flat_map(|piece| piece.iter().copied()).collect();
            pieces.push(IoSlice::new(&gathered));
        } else {
            pieces.extend(frame.iter().map(|piece| IoSlice::new(piece)));
        }
        let sent = sendmsg(&self.socket, &pieces, &mut SendAncillaryBuffer::default(), FLAGS);
        let sent = match sent {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => {
                self.wait();
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        self.rest.extend(pieces.iter().flat_map(|piece| piece.iter()).skip(sent));
        if !self.rest.is_empty() {
            self.wait();
        }
        Ok(true)
    }

    /// Sends what is left. True if nothing is.
    fn flush(&mut self) -> bool {
        while let Some(rest @ [_, ..]) = self.rest.get(self.gone..) {
            match send(&self.socket, rest, FLAGS) {
                Ok(sent) => self.gone += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => {
                    self.wait();
                    return false;
                }
                // It goes nowhere any more; the side that reads finds out.
                Err(_) => break,
            }
        }
        self.rest.clear();
        self.gone = 0;
        true
    }

    fn wait(&self) {
        self.poller.arm(self.socket.as_fd(), self.token, Readiness::OUT);
    }
}
