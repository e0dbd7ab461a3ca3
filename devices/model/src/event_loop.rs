//! The main thread's loop: descriptors and timers, and what to do when they are ready.

use std::{
    collections::HashMap,
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};

/// What a callback wants to happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Be called again when the descriptor is ready.
    Continue,
    /// Not be called until [`EventLoop::resume`].
    Pause,
}

type Callback = Arc<Mutex<dyn FnMut() -> Next + Send>>;

/// A registration with an [`EventLoop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watch(u64);

struct Watched {
    descriptor: OwnedFd,
    callback: Callback,
    state: State,
}

/// Whether a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// Its callback runs, and nobody has resumed it since.
    Called,
    /// Not in the epoll: what is in it with no interest at all is still told of hang-ups.
    Paused,
}

impl Watched {
    fn wait(&mut self, epoll: &OwnedFd, key: u64) {
        if self.state == State::Paused {
            let (data, flags) = (epoll::EventData::new_u64(key), epoll::EventFlags::IN);
            // It was there before, so it can only fail for want of kernel memory; the next resume
            // tries again.
            if epoll::add(epoll, &self.descriptor, data, flags).is_err() {
                return;
            }
        }
        self.state = State::Waiting;
    }
}

/// Waits for descriptors and calls back on the thread that runs it. Registering and resuming may
/// be done on any thread.
pub struct EventLoop {
    epoll: OwnedFd,
    wake: OwnedFd,
    next: AtomicU64,
    watched: Mutex<HashMap<u64, Watched>>,
    stopped: AtomicBool,
}

/// The key of the loop's own descriptor; registrations count from 1.
const WAKE: u64 = 0;

impl EventLoop {
    /// A loop that waits for nothing yet.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        Ok(Self {
            epoll,
            wake,
            next: AtomicU64::new(WAKE + 1),
            watched: Mutex::default(),
            stopped: AtomicBool::new(false),
        })
    }

    fn watched(&self) -> parking_lot::MutexGuard<'_, HashMap<u64, Watched>> {
        self.watched.lock()
    }

    /// Calls `callback` whenever there is something to read from the descriptor, of which the loop
    /// keeps a duplicate.
    ///
    /// # Errors
    /// If the process has no descriptors left, or the descriptor can't be waited for (a plain file
    /// can't).
    pub fn watch(
        &self,
        descriptor: impl AsFd,
        callback: impl FnMut() -> Next + Send + 'static,
    ) -> io::Result<Watch> {
        let descriptor = descriptor.as_fd().try_clone_to_owned()?;
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        let mut watched = self.watched();
        epoll::add(
            &self.epoll,
            &descriptor,
            epoll::EventData::new_u64(key),
            epoll::EventFlags::IN,
        )?;
        let callback: Callback = Arc::new(Mutex::new(callback));
        watched.insert(key, Watched { descriptor, callback, state: State::Waiting });
        Ok(Watch(key))
    }

    /// Waits for a paused descriptor again.
    pub fn resume(&self, watch: Watch) {
        if let Some(watched) = self.watched().get_mut(&watch.0) {
            watched.wait(&self.epoll, watch.0);
        }
    }

    /// Ends a registration. Its callback may be running on the loop's thread until it returns; it
    /// may itself be what ends it.
    pub fn unwatch(&self, watch: Watch) {
        // Not in the `if let`, which would hold the lock while the callback is dropped: what that
        // owns may have a registration of its own to end.
        let removed = self.watched().remove(&watch.0);
        if let Some(watched) = removed
            && watched.state != State::Paused
        {
            let _ = epoll::delete(&self.epoll, &watched.descriptor);
        }
    }

    /// A timer that calls `callback` on the loop's thread each time it expires.
    ///
    /// The timer keeps the loop alive and the loop the callback, so an object that keeps a timer
    /// should give it a weak reference to itself.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn timer(
        self: &Arc<Self>,
        mut callback: impl FnMut() + Send + 'static,
    ) -> io::Result<Timer> {
        let descriptor = Arc::new(timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?);
        let expiry = Arc::clone(&descriptor);
        let watch = self.watch(&*descriptor, move || {
            let mut count = [0; 8];
            // Nothing to read: it was set anew after it expired.
            if rustix::io::read(&*expiry, &mut count).is_ok() {
                callback();
            }
            Next::Continue
        })?;
        Ok(Timer { descriptor, watch, events: Arc::clone(self) })
    }

    /// Calls back until [`EventLoop::stop`], which also ends a run that starts after it.
    ///
    /// # Errors
    /// If waiting fails, which it does for no reason that a guest or client could cause.
    pub fn run(&self) -> io::Result<()> {
        let mut events = Vec::with_capacity(16);
        while !self.stopped.swap(false, Ordering::AcqRel) {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let key = event.data.u64();
                if key == WAKE {
                    let mut count = [0; 8];
                    // Read, or it would wake every later run again and again.
                    let _ = rustix::io::read(&self.wake, &mut count);
                } else if !self.stopped.load(Ordering::Acquire) {
                    self.dispatch(key);
                }
            }
        }
        Ok(())
    }

    fn dispatch(&self, key: u64) {
        let callback = self.watched().get_mut(&key).and_then(|watched| {
            // It may have been paused by what was called before it.
            (watched.state == State::Waiting).then(|| {
                watched.state = State::Called;
                Arc::clone(&watched.callback)
            })
        });
        let Some(callback) = callback else { return };
        let next = callback.lock()();
        if let Some(watched) = self.watched().get_mut(&key) {
            // Who resumed it meanwhile knows of something that the callback may not have seen.
            if watched.state == State::Called && next == Next::Pause {
                let _ = epoll::delete(&self.epoll, &watched.descriptor);
                watched.state = State::Paused;
            } else {
                watched.wait(&self.epoll, key);
            }
        }
    }

    /// Makes [`EventLoop::run`] return after the callback that runs now, if any.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("watched", &self.watched().len()).finish_non_exhaustive()
    }
}

/// A timer of an [`EventLoop`]. It ends when it is dropped.
#[derive(Debug)]
pub struct Timer {
    descriptor: Arc<OwnedFd>,
    watch: Watch,
    events: Arc<EventLoop>,
}

impl Timer {
    /// Lets it expire once, `after` from now, whatever it was set to. None: not at all.
    pub fn set(&self, after: Option<Duration>) {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would disarm it; the shortest time there is expires at once.
        let it_value = after.map_or(zero, |after| {
            let after = after.max(Duration::from_nanos(1));
            Timespec {
                tv_sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(after.subsec_nanos()),
            }
        });
        let value = Itimerspec { it_interval: zero, it_value };
        // It can only fail for a bad descriptor or a malformed time, and both are ours.
        let _ = timerfd_settime(&*self.descriptor, TimerfdTimerFlags::empty(), &value);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.events.unwatch(self.watch);
    }
}
