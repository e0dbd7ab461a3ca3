//! Character device backends: what a device's stream of bytes leads to on the host.

mod channel;
mod inet;
mod null;
mod socket;
mod stdio;
mod terminal;

pub use null::ChardevNull;
pub use socket::ChardevSocket;
pub use stdio::ChardevStdio;
