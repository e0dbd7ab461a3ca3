//! What a device has of the node behind it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{BlockChild, BlockQueue, Command, Limits, Operation, Request, workers::Workers};

/// What a device has of the node behind it: the way to its queues, and the threads that they share.
///
/// [`RealizeContext::attach`](crate::realize::RealizeContext::attach) makes one. The device lets go
/// of it, and of its queues, in [`Device::unrealize`](crate::device::Device::unrealize).
#[derive(Debug)]
pub struct BlockBackend {
    child: BlockChild,
    workers: Workers,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
    flushes: AtomicU64,
    discards: AtomicU64,
}

/// What has been asked of a backend, done or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Requests to read.
    pub reads: u64,
    /// How many bytes they were for.
    pub bytes_read: u64,
    /// Requests to write, zeroes included.
    pub writes: u64,
    /// How many bytes they were for.
    pub bytes_written: u64,
    /// Requests to flush.
    pub flushes: u64,
    /// Requests to discard.
    pub discards: u64,
}

impl BlockBackend {
    pub(crate) fn new(child: BlockChild) -> Arc<Self> {
        let workers = Workers::new(child.clone());
        Arc::new(Self { child, workers, counts: Counts::default() })
    }

    /// A queue for at most that many requests in flight (at most [`super::MOST_IN_FLIGHT`]).
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn queue(self: &Arc<Self>, depth: usize) -> io::Result<BlockQueue> {
        BlockQueue::new(Arc::clone(self), depth)
    }

    /// Number of bytes, as it is now.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.child.length()
    }

    /// What the node asks of operations.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.child.limits()
    }

    /// Whether the device may write.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.child.is_writable()
    }

    /// Does an operation on this thread, and returns when it is done: for what is seldom done, and
    /// not for what a guest waits for.
    ///
    /// # Errors
    /// If it can't be done.
    pub fn perform(&self, operation: &Operation<'_>) -> io::Result<()> {
        self.child.perform(operation)
    }

    /// What its queues have been asked for.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Statistics {
            reads: read(&self.counts.reads),
            bytes_read: read(&self.counts.bytes_read),
            writes: read(&self.counts.writes),
            bytes_written: read(&self.counts.bytes_written),
            flushes: read(&self.counts.flushes),
            discards: read(&self.counts.discards),
        }
    }

    pub(super) fn count(&self, request: &Request) {
        let (requests, bytes) = match request.command {
            Command::Read => (&self.counts.reads, Some(&self.counts.bytes_read)),
            Command::Write | Command::WriteZeroes { .. } => {
                (&self.counts.writes, Some(&self.counts.bytes_written))
            }
            Command::Flush => (&self.counts.flushes, None),
            Command::Discard => (&self.counts.discards, None),
        };
        requests.fetch_add(1, Ordering::Relaxed);
        if let Some(bytes) = bytes {
            bytes.fetch_add(request.length, Ordering::Relaxed);
        }
    }

    pub(super) const fn child(&self) -> &BlockChild {
        &self.child
    }

    pub(super) const fn workers(&self) -> &Workers {
        &self.workers
    }
}
