//! The time that a machine's devices live by: the host's, or one that is stepped by hand.

mod stepped;

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

pub use stepped::{MOST_EXPIRATIONS, StepError, SteppedClock};

use crate::event_loop::{self, EventLoop};
use stepped::SteppedTimer;

/// The clock of a machine, which every device of it takes its time from.
///
/// ```
/// use std::sync::Arc;
/// use device_model::clock::{Clock, SteppedClock};
///
/// let hand = SteppedClock::new(0);
/// let clock = Clock::stepped(Arc::clone(&hand));
/// assert_eq!(clock.now(), 0);
/// hand.advance_to(1_000)?;
/// assert_eq!(clock.now(), 1_000);
/// # Ok::<(), device_model::clock::StepError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    Host,
    Stepped(Arc<SteppedClock>),
}

impl Clock {
    /// The host's, which is the default.
    #[must_use]
    pub const fn host() -> Self {
        Self(Kind::Host)
    }

    /// One that stands still but for the steps of that hand.
    #[must_use]
    pub const fn stepped(clock: Arc<SteppedClock>) -> Self {
        Self(Kind::Stepped(clock))
    }

    /// Nanoseconds since some start. It never goes back.
    #[must_use]
    pub fn now(&self) -> u64 {
        match &self.0 {
            Kind::Host => host_now(),
            Kind::Stepped(clock) => clock.now(),
        }
    }

    /// The time of day: nanoseconds since 1970-01-01 00:00:00 UTC. The host's may be set back or jump
    /// ahead; one that is set before 1970 or after 2554 is told as the nearest time that can be.
    #[must_use]
    pub fn time_of_day(&self) -> u64 {
        match &self.0 {
            Kind::Host => SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)),
            Kind::Stepped(clock) => clock.time_of_day(),
        }
    }

    /// A timer that calls `callback` each time it expires: on the thread of `events` if the clock is
    /// the host's, on that of whoever steps it otherwise.
    ///
    /// The clock keeps the callback, so that an object that keeps a timer should give it a weak
    /// reference to itself.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn timer(
        &self,
        events: &Arc<EventLoop>,
        callback: impl FnMut() + Send + 'static,
    ) -> io::Result<Timer> {
        Ok(Timer(match &self.0 {
            Kind::Host => TimerKind::Host(events.timer(callback)?),
            Kind::Stepped(clock) => TimerKind::Stepped(SteppedTimer::new(clock, callback)),
        }))
    }
}

/// The host's monotonic clock.
fn host_now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// A timer of a [`Clock`]. It ends when it is dropped.
pub struct Timer(TimerKind);

enum TimerKind {
    Host(event_loop::Timer),
    Stepped(SteppedTimer),
}

impl Timer {
    /// Lets it expire once, `after` from now, whatever it was set to. None: not at all.
    pub fn set(&self, after: Option<Duration>) {
        match &self.0 {
            TimerKind::Host(timer) => timer.set(after),
            TimerKind::Stepped(timer) => timer.set(after),
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            TimerKind::Host(_) => "Timer(host)",
            TimerKind::Stepped(_) => "Timer(stepped)",
        })
    }
}
