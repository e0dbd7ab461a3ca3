//! Where the real-time clock takes the time from.

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

impl Clock for device_model::clock::Clock {
    fn now(&self) -> u64 {
        self.time_of_day()
    }
}
