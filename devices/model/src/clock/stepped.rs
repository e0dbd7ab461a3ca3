//! A clock that stands still but for the steps that somebody makes it take, with its timers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use thiserror::Error;

/// How many expirations of timers one step may bring: more than a minute of the fastest periodic
/// interrupt of a PC's clock (8,192 Hz), and few enough that a timer which sets itself again and
/// again holds nobody up for ever.
pub const MOST_EXPIRATIONS: u32 = 1_000_000;

/// Why a clock did not come to where it was to be stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StepError {
    /// Timers expired and were set again too often on the way.
    #[error("timers expired {MOST_EXPIRATIONS} times; the clock stands at {now} ns")]
    TooManyExpirations {
        /// Where it stands, in nanoseconds.
        now: u64,
    },
}

type Callback = Arc<Mutex<dyn FnMut() + Send>>;

/// A clock that stands still but for the steps that somebody makes it take.
pub struct SteppedClock {
    /// What the time of day was at 0.
    start_of_day: u64,
    /// Changes under the lock of `timers` only.
    now: AtomicU64,
    timers: Mutex<Timers>,
}

#[derive(Default)]
struct Timers {
    next: u64,
    /// By number, which is the order of their making: of those due at once, the first made is called
    /// first.
    all: BTreeMap<u64, Entry>,
}

struct Entry {
    deadline: Option<u64>,
    callback: Callback,
}

impl Timers {
    /// The next to expire: when, and its number.
    fn next_due(&self) -> Option<(u64, u64)> {
        self.all.iter().filter_map(|(number, entry)| Some((entry.deadline?, *number))).min()
    }
}

impl SteppedClock {
    /// A clock at 0, when the time of day is `start_of_day`, in nanoseconds since 1970-01-01
    /// 00:00:00 UTC.
    #[must_use]
    pub fn new(start_of_day: u64) -> Arc<Self> {
        Arc::new(Self { start_of_day, now: AtomicU64::new(0), timers: Mutex::default() })
    }

    /// Nanoseconds since its start.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Acquire)
    }

    pub(super) fn time_of_day(&self) -> u64 {
        self.start_of_day.saturating_add(self.now())
    }

    /// When the next timer expires; none if none is set.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.lock().next_due().map(|(deadline, _)| deadline)
    }

    /// Brings the clock to `time`, stopping on the way wherever a timer expires, and calls those
    /// back, on this thread and with no lock held. A time that has passed changes nothing. Tells
    /// where it stands then.
    ///
    /// # Errors
    /// If more than [`MOST_EXPIRATIONS`] are on the way.
    pub fn advance_to(&self, time: u64) -> Result<u64, StepError> {
        for _ in 0..MOST_EXPIRATIONS {
            let callback = {
                let mut timers = self.timers.lock();
                match timers.next_due().filter(|(deadline, _)| *deadline <= time) {
                    Some((deadline, number)) => {
                        self.reach(deadline);
                        timers.all.get_mut(&number).map(|entry| {
                            entry.deadline = None;
                            Arc::clone(&entry.callback)
                        })
                    }
                    None => {
                        self.reach(time);
                        return Ok(self.now());
                    }
                }
            };
            if let Some(callback) = callback {
                callback.lock()();
            }
        }
        Err(StepError::TooManyExpirations { now: self.now() })
    }

    /// With `timers` locked.
    fn reach(&self, time: u64) {
        self.now.fetch_max(time, Ordering::AcqRel);
    }
}

impl fmt::Debug for SteppedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SteppedClock").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// A timer of a [`SteppedClock`].
pub(super) struct SteppedTimer {
    clock: Arc<SteppedClock>,
    number: u64,
}

impl SteppedTimer {
    pub(super) fn new(clock: &Arc<SteppedClock>, callback: impl FnMut() + Send + 'static) -> Self {
        let callback: Callback = Arc::new(Mutex::new(callback));
        let mut timers = clock.timers.lock();
        let number = timers.next;
        timers.next += 1;
        timers.all.insert(number, Entry { deadline: None, callback });
        Self { clock: Arc::clone(clock), number }
    }

    pub(super) fn set(&self, after: Option<Duration>) {
        let mut timers = self.clock.timers.lock();
        // As the host's timers: what is due at once is due in the shortest time that there is, so
        // that a timer which sets itself again lets time go on.
        let deadline = after.map(|after| {
            let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX).max(1);
            self.clock.now().saturating_add(after)
        });
        if let Some(entry) = timers.all.get_mut(&self.number) {
            entry.deadline = deadline;
        }
    }
}

impl Drop for SteppedTimer {
    fn drop(&mut self) {
        // Its callback is dropped after the lock: what that owns may have a timer of its own.
        let _removed = self.clock.timers.lock().all.remove(&self.number);
    }
}
