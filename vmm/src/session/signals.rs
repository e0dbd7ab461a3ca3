//! The signals that end a program, as something to read, so that they stop a VM in good order.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGTERM},
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
        // Whoever started the program may have it outlive its terminal.
        let hang_up = Some(SIGHUP).filter(|signal| !is_ignored(*signal));
        for signal in [SIGINT, SIGTERM].into_iter().chain(hang_up) {
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

/// Whether the process was started with a signal ignored, as `nohup` does.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal - 1).ok();
    bit.and_then(|bit| Some(mask? >> bit & 1 == 1)).unwrap_or(false)
}

impl Drop for EndSignals {
    fn drop(&mut self) {
        for registered in self.registered.drain(..) {
            low_level::unregister(registered);
        }
    }
}
