//! Who is at the host's end of a stream: descriptors to read from and write to.

use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use device_model::prelude::Mutex;
use rustix::{
    cmsg_space,
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, Shutdown, recv, recvmsg,
        send, shutdown,
    },
};

use super::poller::{Poller, Readiness, Token};
use crate::tls::TlsStream;

/// Bytes written at a time to what may hold the process up. Whatever can be written to at all takes
/// as many without waiting: a pipe has room for PIPE_BUF bytes (4096) then, a terminal for 256.
const MOST_WRITTEN_PATIENTLY: usize = 256;

/// Bytes written at a time to everything else.
const MOST_WRITTEN: usize = 1 << 16;

/// Bytes in one datagram that is sent, at most.
const MOST_SENT: usize = 1 << 15;

/// Bytes in one that is received: no more fit in an IP packet, whose length has 16 bits (RFC 791,
/// section 3.1).
const LARGEST_DATAGRAM: usize = 1 << 16;

/// How many descriptors of a peer may wait to be taken. More than one comes with a command only by
/// mistake.
const MOST_PASSED: usize = 16;

/// How long a writer waits for the host before it looks whether the peer has gone, or is not to be
/// waited for any more.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long it waits while it is to give up rather than wait.
const NO_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// How long a writer waits after the host broke its word that it would take something.
const NAP: Duration = Duration::from_millis(1);

/// The descriptors of a peer.
#[derive(Debug)]
pub(crate) enum Ends {
    /// A stream socket. The peer has gone once it sends no more.
    Socket(OwnedFd),
    /// A stream socket with TLS, whose handshake is over. The peer has gone once it sends no more.
    Tls(Box<TlsStream>),
    /// This side of a pseudo-terminal, which is set non-blocking. The peer has gone once nothing can be read any more.
    Terminal(OwnedFd),
    /// A datagram socket, which is connected, and what is left of the last datagram. The peer never
    /// goes; what can't be sent is lost.
    Datagrams(OwnedFd, Mutex<VecDeque<u8>>),
    /// Descriptors to read from and to write to, of which others may have duplicates. Output goes on
    /// after the end of the input.
    Files {
        /// To read from.
        input: Option<OwnedFd>,
        /// To write to.
        output: OwnedFd,
    },
}

impl Ends {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Socket(end) | Self::Terminal(end) | Self::Datagrams(end, _) => Some(end.as_fd()),
            Self::Tls(stream) => Some(stream.as_fd()),
            Self::Files { input, .. } => input.as_ref().map(AsFd::as_fd),
        }
    }

    fn output(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(end) | Self::Terminal(end) | Self::Datagrams(end, _) => end.as_fd(),
            Self::Tls(stream) => stream.as_fd(),
            Self::Files { output, .. } => output.as_fd(),
        }
    }
}

/// What is waited for at a peer.
#[derive(Debug, Default)]
struct Interest {
    /// Whether the device may have room for input.
    input: bool,
    /// Whether it is known that the peer sends no more.
    hung_up: bool,
}

/// Somebody at the host's end.
#[derive(Debug)]
pub(in crate::chardev) struct Peer {
    token: Token,
    ends: Ends,
    /// Where it is, as users see it.
    label: String,
    /// Stands for the input where that can't be waited for.
    always: Option<OwnedFd>,
    interest: Mutex<Interest>,
    /// Whether the connection is over, so that nobody waits for it.
    gone: AtomicBool,
    /// Whether there is no more input.
    ended: AtomicBool,
    /// Descriptors that it has passed and nobody has taken.
    passed: Mutex<VecDeque<OwnedFd>>,
}

impl Peer {
    /// Lets the poller wait for it: for input if `input`, and for its hanging up.
    pub(super) fn new(
        token: Token,
        ends: Ends,
        label: String,
        poller: &Poller,
        input: bool,
    ) -> io::Result<Self> {
        let interest = Interest { input, hung_up: false };
        let mut always = None;
        if let Some(descriptor) = ends.input() {
            match poller.add(descriptor, token, interest.readiness(false)) {
                // Files and /dev/null can't be waited for, since they are always ready. Something
                // else that always is stands for them: a counter that is not 0 and that nobody reads.
                Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                    let counter = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
                    poller.add(&counter, token, interest.readiness(false))?;
                    always = Some(counter);
                }
                added => added?,
            }
        }
        Ok(Self {
            token,
            ends,
            label,
            always,
            interest: Mutex::new(interest),
            gone: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            passed: Mutex::default(),
        })
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    /// Where it is, as users see it.
    pub(in crate::chardev) fn label(&self) -> &str {
        &self.label
    }

    fn waited_for(&self) -> Option<BorrowedFd<'_>> {
        self.always.as_ref().map(AsFd::as_fd).or_else(|| self.ends.input())
    }

    /// The poller has told of it, and will not before it is armed.
    pub(super) fn told_of(&self, what: Readiness) {
        let mut interest = self.interest.lock();
        interest.input = false;
        interest.hung_up |= what.intersects(Readiness::RDHUP | Readiness::HUP | Readiness::ERR);
    }

    /// Waits for what is of interest: for input if anybody has asked for it since the poller told of
    /// it, for its hanging up if it is not known to have.
    pub(super) fn arm(&self, poller: &Poller) {
        self.arm_with(poller, &self.interest.lock());
    }

    /// Waits for input, and for its hanging up.
    pub(super) fn want(&self, poller: &Poller) {
        let mut interest = self.interest.lock();
        interest.input = true;
        self.arm_with(poller, &interest);
        if self.has_rest() {
            // The kernel does not know of it.
            poller.kick();
        }
    }

    fn arm_with(&self, poller: &Poller, interest: &Interest) {
        let unsent = self.has_unsent();
        // A hang-up that is known would be told of for ever.
        let idle = interest.hung_up && !interest.input && !unsent;
        if !idle
            && !self.has_ended()
            && let Some(descriptor) = self.waited_for()
        {
            poller.arm(descriptor, self.token, interest.readiness(unsent));
        }
    }

    /// Whether a part of its input has been taken from the kernel and is to be read again.
    pub(super) fn has_rest(&self) -> bool {
        match &self.ends {
            Ends::Datagrams(_, rest) => !rest.lock().is_empty(),
            Ends::Tls(stream) => stream.has_plain(),
            _ => false,
        }
    }

    /// Whether a part of its output is neither lost nor with the kernel, and [`Peer::flush`] is to
    /// be called when that takes more.
    pub(super) fn has_unsent(&self) -> bool {
        matches!(&self.ends, Ends::Tls(stream) if stream.has_unsent())
    }

    /// Gives such output to the kernel, as far as it takes it.
    pub(super) fn flush(&self) {
        if let Ends::Tls(stream) = &self.ends {
            // A failure shows when it is read from.
            let _ = stream.flush();
        }
    }

    /// The poller waits for it no more.
    pub(super) fn leave(&self, poller: &Poller) {
        if let Some(descriptor) = self.waited_for() {
            poller.remove(descriptor);
        }
    }

    /// Whether the peer sends no more, though there may be something left to be read.
    pub(in crate::chardev) fn has_hung_up(&self) -> bool {
        if self.is_gone() || self.interest.lock().hung_up {
            return true;
        }
        let output = self.ends.output();
        let mut ready = [PollFd::from_borrowed_fd(output, PollFlags::RDHUP)];
        poll(&mut ready, Some(&NO_PATIENCE)).is_ok_and(|count| count != 0)
    }

    /// Whether the device takes what it sends, as far as is known.
    pub(in crate::chardev) fn is_being_read(&self) -> bool {
        !self.is_gone() && self.interest.lock().input
    }

    /// Whether it is known to have hung up and everything that it sent has been read.
    pub(super) fn is_drained(&self) -> bool {
        if !self.interest.lock().hung_up {
            return false;
        }
        let socket = match &self.ends {
            Ends::Socket(socket) => socket,
            Ends::Tls(stream) => return stream.is_drained(),
            _ => return false,
        };
        let mut byte = [0];
        match recv(socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, length)) => length == 0,
            Err(Errno::INTR | Errno::AGAIN) => false,
            Err(_) => true,
        }
    }

    /// Whether it can be read from at any time, and only what is in the kernel is to be read.
    pub(super) fn never_waits(&self) -> bool {
        matches!(self.ends, Ends::Socket(_))
    }

    /// Takes the oldest descriptor that it has passed.
    pub(in crate::chardev) fn take_descriptor(&self) -> Option<OwnedFd> {
        self.passed.lock().pop_front()
    }

    /// Reads, with the descriptors that were passed along if those are wanted. The kernel closes them
    /// if not, and so are those here for which there is no room.
    fn read_socket(
        &self,
        socket: &OwnedFd,
        buffer: &mut [u8],
        wanted: bool,
    ) -> Result<usize, Errno> {
        if !wanted {
            return recv(socket, buffer, RecvFlags::DONTWAIT).map(|(_, length)| length);
        }
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_PASSED))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
        let mut passed = self.passed.lock();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                let room = MOST_PASSED.saturating_sub(passed.len());
                passed.extend(descriptors.take(room));
            }
        }
        Ok(received.bytes)
    }

    /// Reads; 0 bytes are the end. Descriptors that come along are kept if they are wanted.
    pub(super) fn read(&self, buffer: &mut [u8], wanted: bool) -> Result<usize, Errno> {
        match &self.ends {
            Ends::Socket(socket) => self.read_socket(socket, buffer, wanted),
            Ends::Tls(stream) => stream.read(buffer),
            Ends::Datagrams(socket, rest) => {
                // One at a time, so that it is a whole datagram at most which is kept.
                let mut rest = rest.lock();
                if rest.is_empty() {
                    let mut datagram = vec![0; LARGEST_DATAGRAM];
                    match recv(socket, datagram.as_mut_slice(), RecvFlags::DONTWAIT) {
                        Ok((_, length)) => rest.extend(datagram.iter().take(length)),
                        // That an earlier one did not arrive is no end.
                        Err(_) => return Err(Errno::AGAIN),
                    }
                }
                let length = buffer.len().min(rest.len());
                for (place, byte) in buffer.iter_mut().zip(rest.drain(..length)) {
                    *place = byte;
                }
                // An empty one is no end either.
                if length == 0 { Err(Errno::AGAIN) } else { Ok(length) }
            }
            Ends::Terminal(end) => rustix::io::read(end, buffer),
            Ends::Files { input: Some(input), .. } => rustix::io::read(input, buffer),
            Ends::Files { input: None, .. } => Ok(0),
        }
    }

    /// Whether output goes on after the end of the input.
    pub(super) fn outlives_input(&self) -> bool {
        matches!(self.ends, Ends::Files { .. })
    }

    /// There is no more input.
    pub(super) fn end_input(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Ends the connection. Whoever is held up by the peer goes on.
    pub(super) fn end(&self) {
        self.gone.store(true, Ordering::Release);
        if let Ends::Tls(stream) = &self.ends {
            stream.say_goodbye();
        }
        if let Ends::Socket(_) | Ends::Tls(_) = &self.ends {
            // Others may have a duplicate, which would keep it open. If it is closed, all the better.
            let _ = shutdown(self.ends.output(), Shutdown::Both);
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Writes all of `bytes`, and waits for the peer until it goes or `nonblocking` becomes true.
    /// What can't be written is lost.
    pub(super) fn write(&self, bytes: &[u8], nonblocking: &AtomicBool) {
        let most = match self.ends {
            Ends::Files { .. } => MOST_WRITTEN_PATIENTLY,
            Ends::Datagrams(..) => MOST_SENT,
            Ends::Socket(_) | Ends::Tls(_) | Ends::Terminal(_) => MOST_WRITTEN,
        };
        for piece in bytes.chunks(most) {
            let mut rest = piece;
            while !rest.is_empty() && !self.is_gone() {
                let waits = !nonblocking.load(Ordering::Acquire);
                match self.write_some(rest, if waits { &PATIENCE } else { &NO_PATIENCE }) {
                    Ok(0) | Err(Errno::AGAIN) if !waits => return,
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(Errno::INTR) => {}
                    // It said that it would take some, so that waiting for it is no use.
                    Err(Errno::AGAIN) => std::thread::sleep(NAP),
                    // The reader is gone, the disk is full: what can't be written is lost.
                    Err(_) => return,
                }
            }
        }
        self.finish(nonblocking);
    }

    /// Waits, as [`Peer::write`] does, until what it wrote is with the kernel.
    fn finish(&self, nonblocking: &AtomicBool) {
        while self.has_unsent() && !self.is_gone() {
            self.flush();
            if !self.has_unsent() || nonblocking.load(Ordering::Acquire) {
                return;
            }
            let mut ready = [PollFd::from_borrowed_fd(self.ends.output(), PollFlags::OUT)];
            // A signal, or an end of the patience, is a reason to look again.
            let _ = poll(&mut ready, Some(&PATIENCE));
        }
    }

    /// Writes what the peer takes of one piece: none if it takes none for that long.
    fn write_some(&self, bytes: &[u8], patience: &Timespec) -> Result<usize, Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let output = self.ends.output();
        // What never holds the process up may be tried first, which mostly is all that it takes.
        let attempt = || match &self.ends {
            Ends::Socket(_) => send(output, bytes, flags),
            Ends::Tls(stream) => stream.write(bytes),
            Ends::Datagrams(..) => match send(output, bytes, flags) {
                // Of an earlier one, which did not arrive. This one was not sent yet.
                Err(Errno::CONNREFUSED) => send(output, bytes, flags),
                sent => sent,
            },
            Ends::Terminal(_) | Ends::Files { .. } => rustix::io::write(output, bytes),
        };
        if !matches!(self.ends, Ends::Files { .. }) {
            match attempt() {
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        let mut ready = [PollFd::from_borrowed_fd(output, PollFlags::OUT)];
        if poll(&mut ready, Some(patience))? == 0 {
            return Ok(0);
        }
        let [ready] = &ready;
        if !ready.revents().contains(PollFlags::OUT) {
            // Only of a terminal: whoever had its other side open has gone, and its buffer is full.
            return Err(Errno::PIPE);
        }
        attempt()
    }
}

impl Interest {
    /// What is waited for, with `output` if that is too.
    fn readiness(&self, output: bool) -> Readiness {
        let mut what = Readiness::empty();
        what.set(Readiness::OUT, output);
        what.set(Readiness::IN, self.input);
        what.set(Readiness::RDHUP, !self.hung_up);
        what
    }
}
