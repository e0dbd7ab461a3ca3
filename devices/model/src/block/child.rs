//! A node as those see it who use it: nothing reaches it that lies beyond its end or that it is not
//! to be told.

use std::{fmt, io, sync::Arc};

use super::{BlockError, BlockNode, Command, Discard, Limits, Operation, Pending, Submission};

/// A node as its parent or a device uses it.
#[derive(Clone)]
pub struct BlockChild {
    node: Arc<dyn BlockNode>,
    writes: bool,
}

impl BlockChild {
    pub(crate) const fn new(node: Arc<dyn BlockNode>, writes: bool) -> Self {
        Self { node, writes }
    }

    /// The node itself.
    #[must_use]
    pub const fn node(&self) -> &Arc<dyn BlockNode> {
        &self.node
    }

    /// Whether whoever uses it may write.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.writes
    }

    /// Number of bytes, as it is now.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.node.length()
    }

    /// What it asks of operations.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.node.limits()
    }

    /// Does an operation, and returns when it is done.
    ///
    /// # Errors
    /// If it lies beyond the end or writes where nobody may, or if the node fails.
    pub fn perform(&self, operation: &Operation<'_>) -> io::Result<()> {
        let (offset, length) = operation.range();
        match self.check(operation.writes(), offset, length) {
            Err(error) => Err(error),
            Ok(()) if self.passes_over(matches!(operation, Operation::Discard { .. })) => Ok(()),
            Ok(()) => self.node.perform(operation),
        }
    }

    /// As [`BlockNode::submit`], for a request `by` bytes further on. One that comes back is where
    /// it was.
    pub fn submit(&self, mut request: Pending, by: u64) -> Submission {
        let (command, offset, length) = request.what();
        let writes = !matches!(command, Command::Read | Command::Flush);
        let Some(moved) = offset.checked_add(by) else {
            return Submission::Done(request, Err(beyond()));
        };
        match self.check(writes, moved, length) {
            Err(error) => Submission::Done(request, Err(error)),
            Ok(()) if self.passes_over(command == Command::Discard) => {
                Submission::Done(request, Ok(()))
            }
            Ok(()) => {
                request.set_offset(moved);
                match self.node.submit(request) {
                    Submission::MayWait(mut request) => {
                        request.set_offset(offset);
                        Submission::MayWait(request)
                    }
                    other => other,
                }
            }
        }
    }

    /// Has a request done that a node above has taken over, with [`Submission::Taken`], and would now
    /// let pass: it is answered from here, at once or later. It does not wait.
    pub fn forward(&self, request: Pending) {
        match self.submit(request, 0) {
            Submission::Done(request, result) => request.complete(result),
            Submission::Taken => {}
            Submission::MayWait(request) => request.perform_on(self.clone()),
        }
    }

    /// Changes the node's length.
    ///
    /// # Errors
    /// If nobody may write to it, or the node can't.
    pub fn resize(&self, length: u64) -> Result<(), BlockError> {
        if !self.writes {
            return Err(BlockError::ReadOnly { node: self.node.node_name() });
        }
        self.node.resize(length)
    }

    fn check(&self, writes: bool, offset: u64, length: u64) -> io::Result<()> {
        if writes && !self.writes {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        // A flush, or nothing at all, is everywhere.
        if length > 0 {
            let end = offset.checked_add(length).ok_or_else(beyond)?;
            if end > self.node.length() {
                return Err(beyond());
            }
        }
        Ok(())
    }

    fn passes_over(&self, discard: bool) -> bool {
        discard && self.node.discard() == Discard::Ignore
    }
}

fn beyond() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it lies beyond the end of the disk")
}

impl fmt::Debug for BlockChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockChild").field("writes", &self.writes).finish_non_exhaustive()
    }
}
