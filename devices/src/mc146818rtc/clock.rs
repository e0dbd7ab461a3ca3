//! Where the real-time clock takes the time from.

use std::time::SystemTime;

/// A clock that tells the time of day.
///
/// Any closure of the right type is one:
///
/// ```
/// use devices::mc146818rtc::{Clock, Mc146818Rtc};
///
/// let stopped = || 1_700_000_000_000_000_000;
/// assert_eq!(Clock::now(&stopped), 1_700_000_000_000_000_000);
/// let rtc = Mc146818Rtc::new(stopped);
/// # drop(rtc);
/// ```
pub trait Clock {
    /// Nanoseconds since 1970-01-01 00:00:00 UTC. It may be set back or jump ahead.
    fn now(&self) -> u64;
}

impl<F: Fn() -> u64> Clock for F {
    fn now(&self) -> u64 {
        self()
    }
}

/// The host's clock of the time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostClock;

impl Clock for HostClock {
    /// A host whose clock is set before 1970 or after 2554 gets the nearest time that can be told.
    fn now(&self) -> u64 {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}
