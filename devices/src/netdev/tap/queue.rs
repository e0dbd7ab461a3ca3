//! The queues of a TAP interface: frames in and out, behind the header that the peer has asked for.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use device_model::{
    netdev::{LONGEST_FRAME, Offloads, VnetHeader},
    prelude::*,
};
use rustix::io::{Errno, read, writev};
use tap_interface::{Features, Tap};

use crate::{
    chardev::channel::{KICK, Poller, Readiness, Token},
    netdev::port::{Medium, Port},
};

/// Frames that are read in one turn, so that others have theirs.
const MOST_READ: usize = 64;

/// Pieces that the kernel takes at once, without the header (`UIO_MAXIOV` is 1024).
const MOST_PIECES: usize = 1000;

/// A header that says that the frame is finished.
const FINISHED: [u8; 12] = [0; 12];

/// What the queues of one interface share.
pub(super) struct Shared {
    queues: Vec<Queue>,
    /// What the interface puts before each frame, and what the peer gets of it.
    header: Mutex<Header>,
}

/// A queue.
struct Queue {
    tap: Tap,
    /// A duplicate, so that room can be waited for beside the input.
    output: rustix::fd::OwnedFd,
    poller: Arc<Poller>,
    token: Token,
    /// Whether the peer was told to come again.
    refused: Mutex<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    /// There is none.
    None,
    /// The interface has one of 10 bytes, and the peer none.
    Hidden,
    /// Both have that one.
    Shown(VnetHeader),
}

impl Header {
    /// Its length at the interface.
    const fn length(self) -> usize {
        match self {
            Self::None => 0,
            Self::Hidden => VnetHeader::Legacy.length(),
            Self::Shown(header) => header.length(),
        }
    }

    /// How much of it the peer has.
    const fn shown(self) -> usize {
        match self {
            Self::None | Self::Hidden => 0,
            Self::Shown(header) => header.length(),
        }
    }
}

/// The token of a queue's input.
fn input(queue: usize) -> Token {
    Token::try_from(queue).unwrap_or_default().saturating_mul(2).saturating_add(1)
}

/// The token of a queue's output.
fn output(queue: usize) -> Token {
    input(queue).saturating_add(1)
}

impl Shared {
    /// Waits for frames of all queues.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub(super) fn new(taps: Vec<Tap>, poller: &Arc<Poller>) -> io::Result<Self> {
        let has_header = taps.iter().all(|tap| tap.kind().vnet_header);
        let mut queues = Vec::with_capacity(taps.len());
        for (number, tap) in taps.into_iter().enumerate() {
            let duplicate = rustix::io::fcntl_dupfd_cloexec(&tap, 0)?;
            poller.add(&duplicate, output(number), Readiness::empty())?;
            poller.add(&tap, input(number), Readiness::IN)?;
            let (poller, token) = (Arc::clone(poller), output(number));
            let refused = Mutex::default();
            queues.push(Queue { tap, output: duplicate, poller, token, refused });
        }
        let header = Mutex::new(if has_header { Header::Hidden } else { Header::None });
        let shared = Self { queues, header };
        shared.reset_offloads();
        Ok(shared)
    }

    /// Whether there are headers to be had.
    pub(super) fn has_header(&self) -> bool {
        *self.header.lock() != Header::None
    }

    /// See [`Netdev::set_offloads`].
    pub(super) fn set_offloads(&self, header: VnetHeader, accepted: Offloads) -> io::Result<()> {
        // Held, so that no frame is read between one header and the next.
        let mut now = self.header.lock();
        let plain = header == VnetHeader::None;
        let (true, Some(queue)) = (*now != Header::None, self.queues.first()) else {
            return match plain && accepted == Offloads::default() {
                true => Ok(()),
                false => Err(io::ErrorKind::Unsupported.into()),
            };
        };
        let accepted = if plain { Offloads::default() } else { accepted };
        let Offloads { checksum, tso4, tso6, ecn, uso } = accepted;
        queue.tap.set_offloads(Features { checksum, tso4, tso6, ecn, uso })?;
        let header = if plain { Header::Hidden } else { Header::Shown(header) };
        queue.tap.set_header_length(u8::try_from(header.length()).unwrap_or_default())?;
        *now = header;
        Ok(())
    }

    /// Gives the next peer finished frames.
    pub(super) fn reset_offloads(&self) {
        // It can only fail if the interface has gone, and then there are no frames.
        let _ = self.set_offloads(VnetHeader::None, Offloads::default());
    }

    /// See [`Netdev::send`].
    pub(super) fn send(&self, port: &Port, queue: u16, frame: &[IoSlice<'_>]) -> Sending {
        let length = frame.iter().map(|piece| piece.len()).sum::<usize>();
        let header = *self.header.lock();
        let fits = (header.shown() + 1..=LONGEST_FRAME).contains(&length);
        let Some(queue) = self.queues.get(usize::from(queue)).filter(|_| fits) else {
            port.send_dropped();
            return Sending::Taken;
        };
        // Locked, so that whoever is told of room has been marked as waiting for it.
        let mut refused = queue.refused.lock();
        match queue.write(header, frame) {
            Ok(_) => port.sent(length.saturating_sub(header.shown())),
            Err(Errno::AGAIN) => {
                *refused = true;
                queue.poller.arm(&queue.output, queue.token, Readiness::OUT);
                return Sending::Later;
            }
            // The interface is down, or it is no frame to the kernel.
            Err(_) => port.send_dropped(),
        }
        Sending::Taken
    }
}

impl Queue {
    fn write(&self, header: Header, frame: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let gathered: Vec<u8>;
        let mut pieces = Vec::with_capacity(frame.len().min(MOST_PIECES) + 1);
        if header == Header::Hidden {
            let finished = FINISHED.get(..header.length()).unwrap_or_default();
            pieces.push(IoSlice::new(finished));
        }
        if frame.len() > MOST_PIECES {
            gathered = frame.iter().flat_map(|piece| piece.iter().copied()).collect();
            pieces.push(IoSlice::new(&gathered));
        } else {
            pieces.extend(frame.iter().map(|piece| IoSlice::new(piece)));
        }
        loop {
            match writev(&self.output, &pieces) {
                Err(Errno::INTR) => {}
                written => return written,
            }
        }
    }
}

/// A TAP interface at work.
pub(super) struct Interface {
    shared: Arc<Shared>,
    inputs: Vec<Input>,
}

/// What has been read of a queue.
struct Input {
    buffer: Vec<u8>,
    /// The frame in the buffer that the peer had no room for: its header and its end.
    waiting: Option<(Header, usize)>,
}

impl Interface {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let inputs = shared.queues.iter().map(|_| Input { buffer: Vec::new(), waiting: None });
        Self { inputs: inputs.collect(), shared }
    }

    fn read(&mut self, number: usize, port: &Port) {
        let shared = Arc::clone(&self.shared);
        let (Some(input), Some(queue)) = (self.inputs.get_mut(number), shared.queues.get(number))
        else {
            return;
        };
        if input.pass_on(number, port, &shared) == Receiving::Later {
            return;
        }
        // Not before something comes: an interface may have many queues.
        input.buffer.resize(LONGEST_FRAME, 0);
        for _ in 0..MOST_READ {
            let (header, length) = {
                let header = shared.header.lock();
                (*header, read(&queue.tap, &mut *input.buffer))
            };
            match length {
                Ok(length) if length > header.length() => input.waiting = Some((header, length)),
                Ok(_) | Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                // The interface has gone, and would be ready for ever.
                Err(_) => return port.set_link(false),
            }
            if input.pass_on(number, port, &shared) == Receiving::Later {
                return;
            }
        }
        queue.poller.arm(&queue.tap, self::input(number), Readiness::IN);
    }
}

impl Input {
    fn pass_on(&mut self, number: usize, port: &Port, shared: &Shared) -> Receiving {
        let Some((header, end)) = self.waiting else { return Receiving::Taken };
        if header != *shared.header.lock() {
            // The peer would take it for something else by now.
            self.waiting = None;
            port.receive_dropped();
            return Receiving::Taken;
        }
        let start = header.length() - header.shown();
        let frame = self.buffer.get(start..end).unwrap_or_default();
        let queue = u16::try_from(number).unwrap_or_default();
        let outcome = port.deliver(queue, frame, header.shown());
        if outcome == Receiving::Taken {
            self.waiting = None;
        }
        outcome
    }
}

impl Medium for Interface {
    fn ready(&mut self, port: &Port, _poller: &Arc<Poller>, token: Token, _what: Readiness) {
        if token == KICK {
            return (0..self.inputs.len()).for_each(|number| self.read(number, port));
        }
        let number = usize::try_from((token - 1) / 2).unwrap_or(usize::MAX);
        if token == input(number) {
            return self.read(number, port);
        }
        let Some(queue) = self.shared.queues.get(number) else { return };
        if std::mem::take(&mut *queue.refused.lock()) {
            port.can_send(u16::try_from(number).unwrap_or_default());
        }
    }
}
