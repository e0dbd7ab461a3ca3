//! One connection: a socket of the host's, the guest's end, and the bytes between them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown},
};
use smoltcp::{
    iface::{SocketHandle, SocketSet},
    socket::tcp::{Socket, State},
};

use super::Ends;
use crate::chardev::channel::{Poller, Readiness, Token};

/// Times that bytes are copied in one turn, so that others have theirs.
const MOST_COPIES: usize = 8;

/// The host's end of a connection.
pub(super) struct Host {
    socket: OwnedFd,
    /// The guest's request, while the socket is not connected.
    request: Option<Vec<u8>>,
    /// Whether there may be bytes to read.
    readable: bool,
    /// Whether there may be room to write.
    writable: bool,
    /// What is waited for.
    armed: Readiness,
    /// Whether it sends no more.
    ended: bool,
    /// Whether it was told that the guest sends no more.
    told: bool,
}

impl Host {
    /// A socket that is being connected, because of that packet of the guest's.
    pub(super) const fn connecting(socket: OwnedFd, request: Vec<u8>) -> Self {
        Self::new(socket, Some(request))
    }

    /// A socket that is connected.
    pub(super) const fn connected(socket: OwnedFd) -> Self {
        Self::new(socket, None)
    }

    const fn new(socket: OwnedFd, request: Option<Vec<u8>>) -> Self {
        Self {
            socket,
            request,
            readable: true,
            writable: true,
            armed: Readiness::empty(),
            ended: false,
            told: false,
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A connection.
pub(super) struct Flow {
    ends: Ends,
    host: Host,
    guest: Option<SocketHandle>,
}

impl Flow {
    pub(super) const fn new(ends: Ends, host: Host) -> Self {
        Self { ends, host, guest: None }
    }

    pub(super) const fn ends(&self) -> Ends {
        self.ends
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.host.socket()
    }

    pub(super) const fn handle(&self) -> Option<SocketHandle> {
        self.guest
    }

    pub(super) const fn is_connecting(&self) -> bool {
        self.host.request.is_some()
    }

    /// The socket is connected, or has failed. The packet that asked for it, with its ends.
    pub(super) fn connected(&mut self) -> Option<(Ends, Vec<u8>)> {
        Some((self.ends, self.host.request.take()?))
    }

    /// The guest's end is that one.
    pub(super) const fn begin(&mut self, guest: SocketHandle) {
        self.guest = Some(guest);
    }

    /// The socket has changed.
    pub(super) fn ready(&mut self, what: Readiness) {
        self.host.armed = Readiness::empty();
        let over = Readiness::HUP | Readiness::ERR;
        self.host.readable |= what.intersects(Readiness::IN | over);
        self.host.writable |= what.intersects(Readiness::OUT | over);
    }

    /// Copies bytes as far as there is room. True if the connection is over on both sides.
    pub(super) fn copy(
        &mut self,
        sockets: &mut SocketSet<'static>,
        token: Token,
        poller: &Poller,
    ) -> bool {
        let Some(handle) = self.guest else { return false };
        let guest = sockets.get_mut::<Socket<'static>>(handle);
        let copied = self.host.take(guest).and_then(|()| self.host.give(guest));
        if copied.is_err() {
            guest.abort();
        }
        let is_over = match guest.state() {
            // Refused by the guest before it began, it would listen for another.
            State::TimeWait | State::Listen => true,
            // Unless it has yet to tell the guest.
            State::Closed => guest.remote_endpoint().is_none(),
            _ => false,
        };
        if !is_over {
            self.host.wait(guest, token, poller);
        }
        is_over
    }
}

impl Host {
    /// From guest to host.
    fn take(&mut self, guest: &mut Socket<'_>) -> Result<(), Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        for _ in 0..MOST_COPIES {
            if !self.writable || !guest.can_recv() {
                break;
            }
            let sent = guest.recv(|bytes| {
                let sent = send(&self.socket, bytes, flags);
                (sent.unwrap_or(0), sent)
            });
            match sent {
                Ok(Ok(_)) | Ok(Err(Errno::INTR)) => {}
                Ok(Err(Errno::AGAIN)) => self.writable = false,
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            }
        }
        let has_ended = matches!(
            guest.state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
        if has_ended && !self.told && !guest.can_recv() {
            self.told = true;
            // It fails if the other side has gone, which reading tells.
            let _ = shutdown(&self.socket, Shutdown::Write);
        }
        Ok(())
    }

    /// From host to guest.
    fn give(&mut self, guest: &mut Socket<'_>) -> Result<(), Errno> {
        for _ in 0..MOST_COPIES {
            if !self.readable || self.ended || !guest.can_send() {
                break;
            }
            let read = guest.send(|room| {
                let read = recv(&self.socket, room, RecvFlags::DONTWAIT).map(|(_, read)| read);
                (read.unwrap_or(0), read)
            });
            match read {
                Ok(Ok(0)) => {
                    self.ended = true;
                    guest.close();
                }
                Ok(Ok(_)) | Ok(Err(Errno::INTR)) => {}
                Ok(Err(Errno::AGAIN)) => self.readable = false,
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Waits for what is lacking.
    fn wait(&mut self, guest: &Socket<'_>, token: Token, poller: &Poller) {
        let mut what = Readiness::empty();
        if !self.readable && !self.ended {
            what |= Readiness::IN;
        }
        if !self.writable && guest.can_recv() {
            what |= Readiness::OUT;
        }
        // Not for nothing: a socket that has ended is always ready to say so.
        if !what.is_empty() && what != self.armed {
            self.armed = what;
            poller.arm(&self.socket, token, what);
        }
    }
}
