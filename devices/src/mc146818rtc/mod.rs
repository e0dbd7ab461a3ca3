//! `mc146818rtc`: the PC's real-time clock and the CMOS memory that comes with it.

mod alarm;
mod calendar;
mod clock;
mod cmos;
mod encoding;
#[cfg(test)]
mod properties;
mod rtc;
pub mod spec;
mod state;
#[cfg(test)]
mod tests;

pub use clock::Clock;
pub use rtc::Mc146818Rtc;
pub use state::{RtcState, RtcStateError};
