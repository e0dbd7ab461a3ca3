//! What a device has of the node behind it.

use std::{io, sync::Arc};

use super::{
    BlockChild, BlockQueue, Limits, Operation, Statistics, accounting::Accounting, workers::Workers,
};

/// What a device has of the node behind it: the way to its queues, and the threads that they share.
///
/// [`RealizeContext::attach`](crate::realize::RealizeContext::attach) makes one. The device lets go
/// of it, and of its queues, in [`Device::unrealize`](crate::device::Device::unrealize).
#[derive(Debug)]
pub struct BlockBackend {
    child: BlockChild,
    workers: Workers,
    accounting: Arc<Accounting>,
}

impl BlockBackend {
    pub(crate) fn new(child: BlockChild) -> Arc<Self> {
        Arc::new(Self { child, workers: Workers::new(), accounting: Arc::default() })
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

    /// What has become of the requests of its queues.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.accounting.statistics()
    }

    pub(super) const fn accounting(&self) -> &Arc<Accounting> {
        &self.accounting
    }

    pub(super) const fn child(&self) -> &BlockChild {
        &self.child
    }

    pub(super) const fn workers(&self) -> &Workers {
        &self.workers
    }
}
