//! The work of a monitor: on a thread that reads, answers and tells of events, and on a second one
//! for commands that others may overtake.

use std::{
    fmt, io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use device_model::{
    chardev::{Chardev, Presence},
    control::VmControl,
    event_loop::EventLoop,
    monitor::{CommandTable, Occurrence},
    qom_core::Obj,
    realized::Realized,
};
use parking_lot::{Mutex, MutexGuard};

use super::{
    conversation::Commands,
    outbox::{Delivery, Notice, Outbox},
};
use crate::monitor::{
    qmp::{
        budget::{Budget, DEFAULT_CAPACITY, DEFAULT_RESERVE},
        framer::Framer,
        session::{Dispatch, Job, Session, Step},
        wire::{Version, Wire},
    },
    threads::Threads,
};

/// Bytes that are taken at a time.
const MOST_RECEIVED: usize = 64 << 10;

/// How long the threads get at the end for what they are at.
const PATIENCE: Duration = Duration::from_secs(1);

/// The work of one monitor.
pub(super) struct Service {
    /// For threads that it starts.
    this: Weak<Self>,
    events: Arc<EventLoop>,
    stream: Arc<dyn Chardev>,
    outbox: Outbox,
    /// What is sent is sent under this lock, so that it goes out in the order in which it arose.
    talk: Mutex<Talk>,
    /// None until it starts, and once it has ended.
    commands: Realized<Commands>,
    /// Where the command waits that others may overtake: there is a thread for it once a client has
    /// a use for that.
    executor: Mutex<Option<SyncSender<Job>>>,
    ending: AtomicBool,
    threads: Threads,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("started", &self.commands.is_set()).finish_non_exhaustive()
    }
}

/// What has been said, and came and has not been read.
#[derive(Debug)]
struct Talk {
    session: Session,
    unread: Vec<u8>,
}

impl Talk {
    fn step(&mut self, commands: &dyn Dispatch) -> Option<Step> {
        let mut rest = self.unread.as_slice();
        let step = self.session.step(&mut rest, commands);
        let read = self.unread.len() - rest.len();
        self.unread.drain(..read);
        step
    }
}

/// The memory that the messages of all clients share.
fn budget() -> Arc<Budget> {
    static BUDGET: OnceLock<Arc<Budget>> = OnceLock::new();
    Arc::clone(BUDGET.get_or_init(|| Budget::with_reserve(DEFAULT_CAPACITY, DEFAULT_RESERVE)))
}

impl Service {
    /// A service that has not started.
    pub(super) fn new(stream: Arc<dyn Chardev>, pretty: bool) -> io::Result<Arc<Self>> {
        let session = Session::new(Version::this(), Wire { pretty }, Framer::new(budget()));
        let events = Arc::new(EventLoop::new()?);
        Ok(Arc::new_cyclic(|this| Self {
            this: this.clone(),
            events,
            stream,
            outbox: Outbox::default(),
            talk: Mutex::new(Talk { session, unread: Vec::new() }),
            commands: Realized::default(),
            executor: Mutex::default(),
            ending: AtomicBool::new(false),
            threads: Threads::default(),
        }))
    }

    /// The loop on whose thread it is called.
    pub(super) const fn events(&self) -> &Arc<EventLoop> {
        &self.events
    }

    /// Answers from here on.
    pub(super) fn start(&self, monitor: &Obj, vm: Arc<dyn VmControl>) -> io::Result<()> {
        let Some(this) = self.this.upgrade() else { return Ok(()) };
        let table = CommandTable::global().map_err(io::Error::other)?;
        self.commands.set(Commands::new(table, vm, monitor.clone()));
        let started = self.threads.spawn("monitor", move || this.converse());
        if started.is_err() {
            self.commands.clear();
            return started;
        }
        self.stream.accept_input();
        Ok(())
    }

    /// Ends what it is at.
    pub(super) fn stop(&self) {
        self.ending.store(true, Ordering::Release);
        self.executor.lock().take();
        self.events.stop();
        if self.threads.join_within(PATIENCE) {
            // The monitor's own handle is among what this holds.
            self.commands.clear();
        }
    }

    /// How much it takes now.
    pub(super) fn room(&self) -> usize {
        if !self.commands.is_set() {
            return 0;
        }
        let talk = self.talk();
        match talk.unread.is_empty() && talk.session.accepts_input() {
            true => MOST_RECEIVED,
            false => 0,
        }
    }

    /// The client sent something.
    pub(super) fn receive(&self, bytes: &[u8]) {
        self.tell();
        self.talk().unread.extend_from_slice(bytes);
        self.advance();
    }

    /// Somebody came or left.
    pub(super) fn host_changed(&self, presence: Presence) {
        self.outbox.host_changed(presence);
        self.events.stop();
    }

    /// Something happened.
    pub(super) fn hear(&self, occurrence: &Occurrence) {
        match self.outbox.put(occurrence) {
            Delivery::Waits => self.events.stop(),
            Delivery::Nobody => {}
            Delivery::Overflow => self.stream.hang_up(),
        }
    }

    fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock()
    }

    /// The monitor's own thread.
    fn converse(&self) {
        while !self.ending.load(Ordering::Acquire) {
            if self.tell() {
                self.stream.accept_input();
            }
            if self.events.run().is_err() {
                break;
            }
        }
        self.tell();
    }

    /// Says what happened, and tells whether there is a new client: there may have been no room for
    /// its input while that of the one before waited.
    fn tell(&self) -> bool {
        let mut anew = false;
        // Before the notice is taken: who finds none left finds what they said done.
        let mut talk = self.talk();
        while let Some(notice) = self.outbox.take() {
            let bytes = match notice {
                Notice::Host(Presence::Came) => {
                    talk.unread = Vec::new();
                    anew = true;
                    Some(talk.session.open())
                }
                Notice::Host(Presence::Left) => {
                    talk.unread = Vec::new();
                    talk.session.close();
                    None
                }
                // Who has not started has no client who is told of events.
                Notice::Event(occurrence) => self
                    .commands
                    .get()
                    .and_then(|commands| commands.told(occurrence))
                    .and_then(|told| talk.session.event(&told)),
            };
            if let Some(bytes) = bytes {
                self.stream.write(&bytes);
            }
        }
        anew
    }

    /// Does what can be done of what the client asked for.
    fn advance(&self) {
        while let Some(commands) = self.commands.get() {
            let mut talk = self.talk();
            let Some(step) = talk.step(&*commands) else { return };
            match step {
                Step::Reply(bytes) => self.stream.write(&bytes),
                Step::Run(job) if talk.session.is_out_of_band() => {
                    drop(talk);
                    self.run_elsewhere(job);
                }
                Step::Run(job) | Step::RunNow(job) => {
                    drop(talk);
                    self.run(&commands, job);
                }
            }
        }
    }

    /// Runs a command and answers.
    fn run(&self, commands: &Commands, mut job: Job) {
        let result = commands.answer(&mut job);
        // Who has left since gets no answer, nor does who came instead.
        self.tell();
        let mut talk = self.talk();
        if let Some(bytes) = talk.session.tell(job, &result) {
            self.stream.write(&bytes);
        }
    }

    /// Has a command run that others may overtake.
    fn run_elsewhere(&self, job: Job) {
        let mut executor = self.executor.lock();
        if self.ending.load(Ordering::Acquire) {
            return;
        }
        if executor.is_none() {
            // There is only one such command at a time.
            let (jobs, waiting) = sync_channel(1);
            let spawned = self
                .this
                .upgrade()
                .map(|this| self.threads.spawn("monitor-exec", move || this.execute(&waiting)));
            *executor = matches!(spawned, Some(Ok(()))).then_some(jobs);
        }
        let unsent = match &*executor {
            Some(jobs) => jobs.try_send(job).err().map(|error| match error {
                TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
            }),
            None => Some(job),
        };
        drop(executor);
        // The host has no second thread: nothing overtakes it then.
        if let (Some(job), Some(commands)) = (unsent, self.commands.get()) {
            self.run(&commands, job);
        }
    }

    /// The thread for commands that others may overtake.
    fn execute(&self, waiting: &Receiver<Job>) {
        for job in waiting {
            let Some(commands) = self.commands.get() else { return };
            self.run(&commands, job);
            self.advance();
            self.stream.accept_input();
        }
    }
}
