//! The work of the server, on a thread of its own.

use std::{
    fmt, io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use device_model::{
    chardev::{Chardev, Presence},
    control::VmControl,
    event_loop::EventLoop,
    realized::Realized,
};
use parking_lot::Mutex;

use super::{
    QtestAccel,
    answer::Answer,
    driver::Driver,
    irq::Interception,
    lines::{LineReader, LineTooLong},
    log::{Direction, Log},
};
use crate::monitor::threads::Threads;

/// Bytes that are taken at a time.
const MOST_RECEIVED: usize = 64 << 10;

/// What the log has when a client comes.
const OPENED: &[u8] = b"OPENED";

/// How long the thread gets at the end for what it is at.
const PATIENCE: Duration = Duration::from_secs(1);

/// The work of one server.
pub(super) struct Service {
    /// For the thread that it starts.
    this: Weak<Self>,
    events: Arc<EventLoop>,
    stream: Arc<dyn Chardev>,
    accelerator: Arc<QtestAccel>,
    interception: Arc<Interception>,
    log: Option<Log>,
    /// What has come of a line. Not locked while anything is written.
    lines: Mutex<LineReader>,
    /// How often somebody came or left.
    visits: AtomicU64,
    /// Whether somebody is there.
    is_visited: AtomicBool,
    /// None until it starts, and once it has ended.
    driving: Realized<Driving>,
    ending: AtomicBool,
    threads: Threads,
}

/// What there is while it is at work.
struct Driving {
    driver: Driver,
    vm: Arc<dyn VmControl>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("started", &self.driving.is_set()).finish_non_exhaustive()
    }
}

impl Service {
    /// A service that has not started.
    pub(super) fn new(
        stream: Arc<dyn Chardev>,
        accelerator: Arc<QtestAccel>,
        log: Option<Log>,
    ) -> io::Result<Arc<Self>> {
        let events = Arc::new(EventLoop::new()?);
        let awake = Arc::clone(&events);
        Ok(Arc::new_cyclic(|this| Self {
            this: this.clone(),
            events,
            stream,
            accelerator,
            interception: Arc::new(Interception::new(move || awake.stop())),
            log,
            lines: Mutex::default(),
            visits: AtomicU64::new(0),
            is_visited: AtomicBool::new(false),
            driving: Realized::default(),
            ending: AtomicBool::new(false),
            threads: Threads::default(),
        }))
    }

    /// The loop on whose thread it is called.
    pub(super) const fn events(&self) -> &Arc<EventLoop> {
        &self.events
    }

    /// What hears of the machine's lines.
    pub(super) const fn interception(&self) -> &Arc<Interception> {
        &self.interception
    }

    /// Answers from here on.
    pub(super) fn start(&self, vm: Arc<dyn VmControl>) -> io::Result<()> {
        let Some(this) = self.this.upgrade() else { return Ok(()) };
        let (platform, interception) = (Arc::clone(vm.platform()), Arc::clone(&self.interception));
        let driver =
            Driver::new(platform, &self.accelerator, interception).map_err(io::Error::other)?;
        if let Some(log) = &self.log {
            log.start();
            if self.is_visited.load(Ordering::Acquire) {
                log.line(Direction::Internal, OPENED);
            }
        }
        self.driving.set(Driving { driver, vm });
        let started = self.threads.spawn("qtest", move || this.converse());
        if started.is_err() {
            self.driving.clear();
            return started;
        }
        self.stream.accept_input();
        Ok(())
    }

    /// Ends what it is at. A client that does not take what it is told is not waited for.
    pub(super) fn stop(&self) {
        self.ending.store(true, Ordering::Release);
        self.events.stop();
        if self.threads.join_within(PATIENCE) {
            // The server's own handle is among what this holds.
            self.driving.clear();
        }
    }

    /// How much it takes now.
    pub(super) fn room(&self) -> usize {
        if self.driving.is_set() && !self.is_ending() { MOST_RECEIVED } else { 0 }
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// The client sent something.
    pub(super) fn receive(&self, mut bytes: &[u8]) {
        let visit = self.visits.load(Ordering::Acquire);
        while !self.is_ending() && self.visits.load(Ordering::Acquire) == visit {
            let line = self.lines.lock().next(&mut bytes);
            match line {
                Some(line) => self.serve(line),
                None => break,
            }
        }
    }

    /// Somebody came or left: whoever came asked for nothing yet.
    pub(super) fn host_changed(&self, presence: Presence) {
        let came = presence == Presence::Came;
        self.visits.fetch_add(1, Ordering::AcqRel);
        self.is_visited.store(came, Ordering::Release);
        self.lines.lock().clear();
        self.interception.clear();
        self.note(Direction::Internal, if came { OPENED } else { b"CLOSED" });
    }

    /// The server's own thread.
    fn converse(&self) {
        while !self.is_ending() {
            self.tell();
            if self.events.run().is_err() {
                break;
            }
        }
        self.tell();
    }

    /// Answers a line, after telling what it brought about.
    fn serve(&self, line: Result<Vec<u8>, LineTooLong>) {
        let answer = match line {
            Ok(line) => {
                self.note(Direction::Received, &line);
                let Some(driving) = self.driving.get() else { return };
                driving.driver.obey(driving.vm.tree(), &line, &mut || {
                    self.tell();
                    !self.is_ending()
                })
            }
            Err(error) => {
                self.note(Direction::Received, b"(a line that is too long)");
                Answer::Failed(error.to_string())
            }
        };
        self.tell();
        self.send(answer.line());
    }

    /// Tells of the interrupts that were intercepted.
    fn tell(&self) {
        let (changes, complete) = self.interception.take();
        for change in changes {
            self.send(change.to_string());
        }
        if !complete {
            // It takes nothing, or too slowly to be told what it asked for. On a stream that can't be
            // hung up, it misses some.
            self.stream.hang_up();
        }
    }

    fn send(&self, mut line: String) {
        self.note(Direction::Sent, line.as_bytes());
        line.push('\n');
        self.stream.write(line.as_bytes());
    }

    fn note(&self, direction: Direction, line: &[u8]) {
        if let Some(log) = &self.log {
            log.line(direction, line);
        }
    }
}
