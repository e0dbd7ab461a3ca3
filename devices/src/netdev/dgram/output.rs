//! Frames on their way out of a datagram socket.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use device_model::{netdev::LONGEST_FRAME, prelude::*};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
        connect, sendmsg, sendmsg_addr, socket_with,
    },
};

use crate::{
    chardev::channel::{Poller, Readiness, Token},
    netdev::port::Port,
};

/// Pieces that the kernel takes at once (`UIO_MAXIOV`).
const MOST_PIECES: usize = 1024;

const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Where datagrams go.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// To whomever the socket is connected to.
    Connected,
    /// To a path, where somebody may come and go.
    Path(SocketAddrUnix),
    /// To the members of a group.
    Group(SocketAddr),
}

/// The way out.
#[derive(Default)]
pub(super) struct Output(Mutex<State>);

#[derive(Default)]
struct State {
    way: Option<Way>,
    /// Whether the peer was told to come again.
    refused: bool,
}

struct Way {
    /// A duplicate, so that it can be waited for beside the input.
    socket: OwnedFd,
    target: Target,
    poller: Arc<Poller>,
    token: Token,
    /// A socket that is connected to whoever is at the path, to wait for room there: of one that
    /// sends to an address, the kernel tells only whether it has room itself.
    pacer: Option<OwnedFd>,
}

impl Output {
    /// Sends by a socket from here on.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub(super) fn attach(
        &self,
        socket: &OwnedFd,
        target: Target,
        poller: &Arc<Poller>,
        token: Token,
    ) -> io::Result<()> {
        let socket = socket.try_clone()?;
        poller.add(&socket, token, Readiness::empty())?;
        let poller = Arc::clone(poller);
        self.0.lock().way = Some(Way { socket, target, poller, token, pacer: None });
        Ok(())
    }

    /// Sends nowhere any more.
    pub(super) fn detach(&self) {
        let way = self.0.lock().way.take();
        if let Some(mut way) = way {
            way.forget_pacer();
            way.poller.remove(&way.socket);
        }
    }

    /// There may be room. True if the peer waits for it.
    pub(super) fn recover(&self) -> bool {
        let mut state = self.0.lock();
        if let Some(way) = &mut state.way {
            way.forget_pacer();
        }
        std::mem::take(&mut state.refused)
    }

    /// See [`Netdev::send`].
    pub(super) fn send(&self, port: &Port, frame: &[IoSlice<'_>]) -> Sending {
        let length = frame.iter().map(|piece| piece.len()).sum();
        let mut state = self.0.lock();
        let fits = (1..=LONGEST_FRAME).contains(&length);
        let Some(way) = state.way.as_mut().filter(|_| fits) else {
            port.send_dropped();
            return Sending::Taken;
        };
        match way.send(frame) {
            Ok(_) => port.sent(length),
            Err(Errno::AGAIN) => {
                way.wait();
                state.refused = true;
                return Sending::Later;
            }
            // Nobody is there, or it is too long for whatever lies between.
            Err(_) => port.send_dropped(),
        }
        Sending::Taken
    }
}

impl Way {
    fn send(&self, frame: &[IoSlice<'_>]) -> Result<usize, Errno> {
        if frame.len() > MOST_PIECES {
            let gathered: Vec<u8> = frame.iter().flat_map(|piece| piece.iter().copied()).collect();
            return self.send(&[IoSlice::new(&gathered)]);
        }
        let nothing = &mut SendAncillaryBuffer::default();
        // Once more, if what comes back is about an earlier datagram: the kernel tells once.
        match self.send_once(frame, nothing) {
            Err(Errno::CONNREFUSED | Errno::INTR) => self.send_once(frame, nothing),
            outcome => outcome,
        }
    }

    fn send_once(
        &self,
        frame: &[IoSlice<'_>],
        nothing: &mut SendAncillaryBuffer<'_, '_, '_>,
    ) -> Result<usize, Errno> {
        match &self.target {
            Target::Connected => sendmsg(&self.socket, frame, nothing, FLAGS),
            Target::Path(path) => sendmsg_addr(&self.socket, path, frame, nothing, FLAGS),
            Target::Group(group) => sendmsg_addr(&self.socket, group, frame, nothing, FLAGS),
        }
    }

    /// Waits for room: at whoever is at the path, if it is they who have none.
    fn wait(&mut self) {
        self.forget_pacer();
        if let Target::Path(path) = &self.target
            && let Ok(pacer) = pace(path)
            && self.poller.add(&pacer, self.token, Readiness::OUT).is_ok()
        {
            self.pacer = Some(pacer);
            return;
        }
        self.poller.arm(self.socket.as_fd(), self.token, Readiness::OUT);
    }

    fn forget_pacer(&mut self) {
        if let Some(pacer) = self.pacer.take() {
            self.poller.remove(&pacer);
        }
    }
}

/// A socket that has no room as long as whoever is at the path has none.
///
/// # Errors
/// If they have some, or take nothing but from one socket: then it is the own one that has none.
fn pace(path: &SocketAddrUnix) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let pacer = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    connect(&pacer, path)?;
    let mut ready = [PollFd::new(&pacer, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut ready, Some(&now))? {
        0 => Ok(pacer),
        _ => Err(Errno::AGAIN),
    }
}
