//! Character device backends: what a device's stream of bytes leads to on the host.

mod null;
mod stdio;
mod terminal;

pub use null::ChardevNull;
pub use stdio::ChardevStdio;
