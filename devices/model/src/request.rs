//! What a device asks of the machine as a whole: to stop, to start over.

use std::{
    collections::VecDeque,
    io, mem,
    os::fd::{AsFd, BorrowedFd},
};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};

/// Something that a guest, through a device, asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmRequest {
    /// Switch the machine off.
    PowerOff,
    /// Start the machine over.
    Reset,
    /// The guest's kernel has panicked.
    GuestPanicked,
    /// The guest's kernel has crashed and runs its crash kernel.
    GuestCrashLoaded,
    /// A disk has failed in a way on which the user wants the machine to stop, until he lets it go
    /// on.
    StopOnIoError,
    /// End the process with this status.
    Exit(u8),
}

/// The requests that wait for the machine's main thread, and the descriptor that wakes it.
#[derive(Debug)]
pub struct VmRequests {
    waiting: Mutex<VecDeque<VmRequest>>,
    wake: rustix::fd::OwnedFd,
}

impl VmRequests {
    /// An empty queue.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { waiting: Mutex::default(), wake })
    }

    /// Adds a request. One of a kind that waits already is not added again: the first exit status
    /// holds. So no guest can fill the queue and keep another request out.
    pub fn send(&self, request: VmRequest) {
        {
            let mut waiting = self.waiting.lock();
            let kind = mem::discriminant(&request);
            if waiting.iter().any(|waits| mem::discriminant(waits) == kind) {
                return;
            }
            waiting.push_back(request);
        }
        // A full counter wakes the reader as well as one more would.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Takes all that wait.
    pub fn take(&self) -> Vec<VmRequest> {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut counter);
        self.waiting.lock().drain(..).collect()
    }
}

impl AsFd for VmRequests {
    /// Readable while requests wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
