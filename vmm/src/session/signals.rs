//! SIGINT and SIGTERM as something to read, so that they stop a VM in good order.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use signal_hook::{
    SigId,
    consts::{SIGINT, SIGTERM},
    low_level,
};

/// The signals that end a VM, for the main thread's loop to read.
#[derive(Debug)]
pub(super) struct EndSignals {
    read: Vec<(i32, OwnedFd)>,
    registered: Vec<SigId>,
}

impl EndSignals {
    /// Takes the signals over from their default action, which is to end the process at once.
    pub(super) fn take() -> io::Result<Self> {
        let mut signals = Self { read: Vec::new(), registered: Vec::new() };
        for signal in [SIGINT, SIGTERM] {
            let (read, write) = UnixStream::pair()?;
            signals.registered.push(low_level::pipe::register(signal, write)?);
            signals.read.push((signal, read.into()));
        }
        Ok(signals)
    }

    /// Each signal and the descriptor that is readable once it came.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = (i32, &OwnedFd)> {
        self.read.iter().map(|(signal, descriptor)| (*signal, descriptor))
    }
}

impl Drop for EndSignals {
    fn drop(&mut self) {
        for registered in self.registered.drain(..) {
            low_level::unregister(registered);
        }
    }
}
