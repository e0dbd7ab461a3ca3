//! `mc146818rtc`: the PC's real-time clock and the CMOS memory that comes with it.

mod alarm;
mod base;
mod calendar;
mod clock;
mod cmos;
mod device;
mod encoding;
#[cfg(test)]
mod properties;
mod rtc;
pub mod spec;
mod state;
#[cfg(test)]
mod tests;

pub use base::Base;
pub use clock::Clock;
pub use device::Mc146818RtcDevice;
pub use rtc::Mc146818Rtc;
pub use state::{RtcState, RtcStateError};
