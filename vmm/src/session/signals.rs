//! The signals that end a program, as something to read, so that they stop a VM in good order.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    low_level,
};
use vmm_sys_util::signal::{self, unblock_signal};

/// The signals that end a VM, for the main thread's loop to read.
#[derive(Debug)]
pub(super) struct EndSignals {
    read: Vec<(i32, OwnedFd)>,
    registered: Vec<SigId>,
}

impl EndSignals {
    /// Takes the signals over from their default action, which is to end the process at once and
    /// leave its terminal as the guest has it. Unblocks them for this thread and those that it
    /// starts, in case whoever started the program had them blocked.
    pub(super) fn take() -> io::Result<Self> {
        let mut signals = Self { read: Vec::new(), registered: Vec::new() };
        // Whoever started the program may have it outlive its terminal.
        let of_terminal = [SIGHUP, SIGQUIT].into_iter().filter(|signal| !is_ignored(*signal));
        for signal in [SIGINT, SIGTERM].into_iter().chain(of_terminal) {
            let (read, write) = UnixStream::pair()?;
            signals.registered.push(low_level::pipe::register(signal, write)?);
            signals.read.push((signal, read.into()));
            unblock_signal(signal).map_err(|error| match error {
                signal::Error::UnblockSignal(errno) => errno.into(),
                other => io::Error::other(format!("{other:?}")),
            })?;
        }
        Ok(signals)
    }

    /// Each signal and the descriptor that is readable once it came.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = (i32, &OwnedFd)> {
        self.read.iter().map(|(signal, descriptor)| (*signal, descriptor))
    }

    /// The first of them that came; none yet.
    pub(super) fn came(&self) -> Option<i32> {
        self.read.iter().find_map(|(signal, descriptor)| {
            let mut ready = [PollFd::new(descriptor, PollFlags::IN)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            (poll(&mut ready, Some(&now)) == Ok(1)).then_some(*signal)
        })
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

#[cfg(test)]
mod tests {
    use vmm_sys_util::signal::{block_signal, get_blocked_signals};

    use super::*;

    #[test]
    fn signals_that_the_parent_blocked_are_unblocked() {
        for signal in [SIGINT, SIGTERM] {
            block_signal(signal).unwrap();
        }
        let signals = EndSignals::take().unwrap();
        assert_eq!(signals.came(), None);
        let blocked = get_blocked_signals().unwrap();
        assert!(!blocked.contains(&SIGINT) && !blocked.contains(&SIGTERM), "{blocked:?}");
    }
}
