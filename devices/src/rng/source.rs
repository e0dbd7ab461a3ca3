//! A device's source: it serves the device's requests on the device's loop.

use std::{
    fmt, io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, OnceLock},
    time::Duration,
};

use device_model::{
    event_loop::{EventLoop, Next, Timer, Watch},
    prelude::Mutex,
    rng_backend::{EntropyCallback, EntropyError, EntropySource},
};
use rustix::event::{EventfdFlags, eventfd};

use super::queue::{EntropyQueue, Outcome};

/// How many requests are answered in one go, so that others are served who share the loop.
const IN_ONE_GO: usize = 16;

/// How soon to try again what can't be waited for.
const RETRY: Duration = Duration::from_millis(10);

/// What random bytes are read from.
pub(super) trait Generator: Send + Sync {
    /// Reads what there is, without waiting for it.
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize>;

    /// What to wait for when there is nothing.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Whether a read of 0 bytes is the end.
    fn ends(&self) -> bool;
}

/// The requests of one device, and what they are served with.
pub(super) struct Source {
    shared: Arc<Shared>,
    kicked: Watch,
}

struct Shared {
    generator: Arc<dyn Generator>,
    queue: Mutex<EntropyQueue>,
    events: Arc<EventLoop>,
    /// Written to when there is something to do.
    kick: OwnedFd,
    /// None if the generator can't be waited for.
    ready: OnceLock<Watch>,
    retry: OnceLock<Timer>,
}

impl Source {
    pub(super) fn new(generator: Arc<dyn Generator>, events: &Arc<EventLoop>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            generator,
            queue: Mutex::default(),
            events: Arc::clone(events),
            kick: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            ready: OnceLock::new(),
            retry: OnceLock::new(),
        });
        let this = Arc::downgrade(&shared);
        let retry = events.timer(move || {
            if let Some(shared) = this.upgrade() {
                shared.go_on();
            }
        })?;
        // Nobody else has it yet.
        let _ = shared.retry.set(retry);
        let this = Arc::downgrade(&shared);
        let kicked = events.watch(&shared.kick, move || {
            if let Some(shared) = this.upgrade() {
                let mut count = [0; 8];
                // Read, or it would call again and again.
                let _ = rustix::io::read(&shared.kick, &mut count);
                shared.go_on();
            }
            Next::Continue
        })?;
        // From here on, whatever fails ends what was made.
        let source = Self { shared, kicked };
        source.watch_generator();
        Ok(source)
    }

    /// Waits for the generator, if that can be: plain files and some devices are always ready, or
    /// don't tell.
    fn watch_generator(&self) {
        let Some(descriptor) = self.shared.generator.descriptor() else { return };
        let this = Arc::downgrade(&self.shared);
        // It is called once, at least: then there may be nothing to do.
        let watch = self
            .shared
            .events
            .watch(descriptor, move || this.upgrade().map_or(Next::Pause, |shared| shared.serve()));
        if let Ok(watch) = watch {
            let _ = self.shared.ready.set(watch);
        }
    }
}

impl Shared {
    /// Answers what can be answered now, on the thread of the loop. Tells whether to wait for the
    /// generator.
    fn serve(&self) -> Next {
        for _ in 0..IN_ONE_GO {
            let (ends, read) =
                (self.generator.ends(), |bytes: &mut [u8]| self.generator.read(bytes));
            let outcome = self.queue.lock().serve(ends, read);
            match outcome {
                Outcome::Answer(done, Ok(bytes)) => done(Ok(&bytes)),
                Outcome::Answer(done, Err(error)) => done(Err(error)),
                Outcome::NotYet if self.ready.get().is_some() => return Next::Continue,
                // A pipe that nobody writes to would be ready again and again.
                Outcome::NotYet | Outcome::Nobody => {
                    self.try_later();
                    return Next::Pause;
                }
                Outcome::Idle => return Next::Pause,
            }
        }
        self.kick();
        Next::Pause
    }

    /// The same, for those who are not called by the generator's being ready.
    fn go_on(&self) {
        if let (Next::Continue, Some(watch)) = (self.serve(), self.ready.get()) {
            self.events.resume(*watch);
        }
    }

    fn try_later(&self) {
        if let Some(retry) = self.retry.get() {
            retry.set(Some(RETRY));
        }
    }

    fn kick(&self) {
        // It fails only where the number of kicks is at its greatest, and is heard then too.
        let _ = rustix::io::write(&self.kick, &1_u64.to_ne_bytes());
    }
}

impl EntropySource for Source {
    fn request(&self, count: usize, done: EntropyCallback) -> Result<(), EntropyError> {
        self.shared.queue.lock().push(count, done)?;
        self.shared.kick();
        Ok(())
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shared.events.unwatch(self.kicked);
        if let Some(watch) = self.shared.ready.get() {
            self.shared.events.unwatch(*watch);
        }
        // What waits is dropped without the lock, as it may own things with locks of their own.
        let waiting = std::mem::take(&mut *self.shared.queue.lock());
        drop(waiting);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("queue", &*self.shared.queue.lock()).finish_non_exhaustive()
    }
}
