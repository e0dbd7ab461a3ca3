//! Character device backends: what a device's stream of bytes leads to on the host.

pub(crate) mod channel;
mod file;
pub(crate) mod inet;
mod null;
mod pipe;
mod pty;
mod resolver;
mod ringbuf;
pub(crate) mod socket;
mod stdio;
mod terminal;
pub(crate) mod udp;

pub use file::ChardevFile;
pub use null::ChardevNull;
pub use pipe::ChardevPipe;
pub use pty::ChardevPty;
pub use ringbuf::ChardevRingbuf;
pub use socket::ChardevSocket;
pub use stdio::ChardevStdio;
pub use udp::ChardevUdp;
