//! `chardev-stdio`: the process's standard input and output, a terminal or not.

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use device_model::prelude::*;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
    stdio::{stdin, stdout},
};

use super::terminal::RawTerminal;

/// Bytes that one call of the main loop reads at most.
const MOST_READ: usize = 256;

/// Bytes written at a time. Whatever can be written to at all takes as many without waiting: a
/// pipe has room for PIPE_BUF bytes (4096) then, a terminal for 256.
const MOST_WRITTEN: usize = 256;

/// How long a writer waits for the host before it looks whether the stream was closed, or is not
/// to be waited for any more.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long it waits while it is to give up rather than wait.
const NO_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// How long a writer waits after the host broke its word that it would take something.
const NAP: Duration = Duration::from_millis(1);

/// Whether a [`ChardevStdio`] of this process is open.
static OPEN: AtomicBool = AtomicBool::new(false);

/// Standard input and output of the VMM
#[qom_type(secure, parent = Chardev)]
#[derive(Debug)]
pub struct ChardevStdio {
    /// Whether keys such as Ctrl-C send their signals, rather than go to the guest
    #[property(default = true)]
    signal: bool,
    input: Arc<Input>,
    /// None until the stream is open, and once it is closed. Nothing that could call back is called
    /// while it is locked.
    session: Mutex<Option<Session>>,
    /// Whether output is written. Apart from `session`, so that whoever waits for the host sees it.
    open: AtomicBool,
    /// Whether a write gives up instead of waiting for the host.
    nonblocking: AtomicBool,
}

/// What is held while the stream is open. Its fields are dropped in this order.
#[derive(Debug)]
struct Session {
    events: Arc<EventLoop>,
    watch: Watch,
    /// Held to be dropped.
    _terminal: Option<RawTerminal>,
    _claim: Claim,
}

/// The right to the standard streams, of which there is one.
#[derive(Debug)]
struct Claim;

impl Claim {
    fn take() -> io::Result<Self> {
        if OPEN.swap(true, Ordering::AcqRel) {
            return Err(io::Error::new(
                ErrorKind::ResourceBusy,
                "standard input and output are in use by another chardev-stdio",
            ));
        }
        Ok(Self)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        OPEN.store(false, Ordering::Release);
    }
}

/// The way from standard input to the device, run by the main loop.
#[derive(Default)]
struct Input {
    frontend: Mutex<Option<Frontend>>,
    ended: AtomicBool,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("connected", &self.frontend().is_some())
            .field("ended", &self.ended)
            .finish()
    }
}

impl Input {
    fn frontend(&self) -> MutexGuard<'_, Option<Frontend>> {
        self.frontend.lock()
    }

    /// Passes on what there is, as far as the device has room for it.
    fn pass_on(&self, from: impl AsFd) -> Next {
        // The device is called without a lock of this stream's.
        let frontend = self.frontend().as_ref().and_then(Frontend::upgrade);
        let Some(frontend) = frontend else {
            return Next::Pause;
        };
        // If the device makes room after it was asked, it says so after that too, and the loop
        // takes a resumption that comes before the pause for what it is.
        let room = frontend.can_receive().min(MOST_READ);
        if room == 0 || self.ended.load(Ordering::Acquire) {
            return Next::Pause;
        }
        let mut buffer = [0; MOST_READ];
        let Some(buffer) = buffer.get_mut(..room) else {
            return Next::Pause;
        };
        match rustix::io::read(from, &mut *buffer) {
            Ok(length @ 1..) => {
                frontend.receive(buffer.get(..length).unwrap_or_default());
                Next::Continue
            }
            // Another process has set the description non-blocking, or took the bytes first.
            Err(Errno::INTR | Errno::AGAIN) => Next::Continue,
            // The end, or a terminal that has gone away. It would be ready to be read for ever.
            Ok(_) | Err(_) => {
                self.ended.store(true, Ordering::Release);
                Next::Pause
            }
        }
    }
}

impl ChardevStdio {
    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock()
    }

    /// Lets the main loop look for input again.
    fn resume(&self) {
        if let Some(session) = &*self.session()
            && !self.input.ended.load(Ordering::Acquire)
        {
            session.events.resume(session.watch);
        }
    }

    /// Writes what the host takes of one piece: none if it takes none for that long.
    fn write_some(bytes: &[u8], patience: &Timespec) -> Result<usize, Errno> {
        let output = stdout();
        let mut ready = [PollFd::new(&output, PollFlags::OUT)];
        if poll(&mut ready, Some(patience))? == 0 {
            return Ok(0);
        }
        rustix::io::write(output, bytes)
    }
}

/// Calls back whenever there is something to read from `input`.
fn watch(events: &EventLoop, input: OwnedFd, pass_on: Arc<Input>) -> io::Result<Watch> {
    let input = Arc::new(input);
    let callback = {
        let input = Arc::clone(&input);
        move || pass_on.pass_on(&*input)
    };
    match events.watch(&*input, callback.clone()) {
        // Files and /dev/null can't be waited for, since they are always ready. Something else that
        // always is stands for them: a counter that is not 0 and that nobody reads.
        Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
            let always = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            events.watch(always, callback)
        }
        watched => watched,
    }
}

impl Chardev for ChardevStdio {
    fn open(&self, events: &Arc<EventLoop>) -> io::Result<()> {
        let claim = Claim::take()?;
        let terminal = RawTerminal::enter(stdin(), self.signal)?;
        let input = rustix::io::fcntl_dupfd_cloexec(stdin(), 3)?;
        let watch = watch(events, input, Arc::clone(&self.input))?;
        self.open.store(true, Ordering::Release);
        *self.session() =
            Some(Session { events: Arc::clone(events), watch, _terminal: terminal, _claim: claim });
        Ok(())
    }

    fn close(&self) {
        // Whoever is held up by the host goes on.
        self.open.store(false, Ordering::Release);
        self.input.ended.store(true, Ordering::Release);
        let session = self.session().take();
        if let Some(session) = session {
            session.events.unwatch(session.watch);
        }
    }

    /// A host that takes nothing holds the caller up until the stream is closed or told not to wait;
    /// what nobody can read any more is lost. What several devices write at the same time may mix.
    fn write(&self, bytes: &[u8]) {
        for piece in bytes.chunks(MOST_WRITTEN) {
            let mut rest = piece;
            while !rest.is_empty() && self.open.load(Ordering::Acquire) {
                let waits = !self.nonblocking.load(Ordering::Acquire);
                match Self::write_some(rest, if waits { &PATIENCE } else { &NO_PATIENCE }) {
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
    }

    fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Release);
    }

    fn connect(&self, frontend: Frontend) -> bool {
        {
            let mut connected = self.input.frontend();
            if connected.is_some() {
                return false;
            }
            *connected = Some(frontend);
        }
        self.resume();
        true
    }

    fn disconnect(&self) {
        // Dropped after the lock.
        let _frontend = self.input.frontend().take();
    }

    fn accept_input(&self) {
        self.resume();
    }

    fn filename(&self) -> String {
        "stdio".to_owned()
    }
}
