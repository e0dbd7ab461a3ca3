//! The signals that end a program, as something to read, so that they stop a VM in good order.

use std::{
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    flag, low_level,
};
use vmm_sys_util::signal::{self, unblock_signal};

/// The signals that end a VM, for the main thread's loop to read.
#[derive(Debug)]
pub(super) struct EndSignals {
    /// Readable once one came.
    read: OwnedFd,
    /// The last that came; 0 if none did.
    came: Arc<AtomicUsize>,
    registered: Vec<SigId>,
}

impl EndSignals {
    /// Takes the signals over from their default action, which is to end the process at once and
    /// leave its terminal as the guest has it. Unblocks them for this thread and those that it
    /// starts, in case whoever started the program had them blocked.
    pub(super) fn take() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let mut signals = Self { read: read.into(), came: Arc::default(), registered: Vec::new() };
        // Whoever started the program may have it outlive its terminal.
        let ignored = ignored();
        let of_terminal = [SIGHUP, SIGQUIT].into_iter().filter(|signal| !ignored.contains(*signal));
        for signal in [SIGINT, SIGTERM].into_iter().chain(of_terminal) {
            let number = usize::try_from(signal).map_err(io::Error::other)?;
            // First the number, then the wake-up: handlers run in the order of their registration.
            let came = Arc::clone(&signals.came);
            signals.registered.push(flag::register_usize(signal, came, number)?);
            let wake = low_level::pipe::register(signal, write.try_clone()?)?;
            signals.registered.push(wake);
            unblock_signal(signal).map_err(|error| match error {
                signal::Error::UnblockSignal(errno) => errno.into(),
                other => io::Error::other(format!("{other:?}")),
            })?;
        }
        Ok(signals)
    }

    /// The descriptor that is readable once one of them came.
    pub(super) const fn descriptor(&self) -> &OwnedFd {
        &self.read
    }

    /// The last of them that came; none yet.
    pub(super) fn came(&self) -> Option<usize> {
        let came = self.came.load(Ordering::Acquire);
        (came != 0).then_some(came)
    }
}

/// A set of signals as the kernel shows it: bit 0 stands for signal 1.
struct SignalMask(u64);

impl SignalMask {
    fn contains(&self, signal: i32) -> bool {
        let bit = u32::try_from(signal - 1).ok();
        bit.and_then(|bit| self.0.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
    }
}

/// The signals that the process was started with ignored, as `nohup` does (proc(5), `SigIgn`).
fn ignored() -> SignalMask {
    // The kernel writes the file anew for each read, so that one has to do.
    let mut status = [0; 8192];
    let read = File::open("/proc/self/status").and_then(|mut file| file.read(&mut status));
    let status = status.get(..read.unwrap_or(0)).unwrap_or_default();
    let status = String::from_utf8_lossy(status);
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    SignalMask(mask.unwrap_or(0))
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
