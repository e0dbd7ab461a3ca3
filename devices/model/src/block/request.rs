//! Requests: operations that own what they need, so that any thread can carry them out.

use std::{fmt, io, sync::Arc, time::Instant};

use vm_memory::{GuestAddress, GuestMemoryBackend, VolatileSlice};

use super::{BlockChild, Operation, queue::Replies};
use crate::platform::GuestMemory;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// See [`Operation::Read`].
    Read,
    /// See [`Operation::Write`].
    Write,
    /// See [`Operation::Flush`].
    Flush,
    /// See [`Operation::Discard`].
    Discard,
    /// See [`Operation::WriteZeroes`].
    WriteZeroes {
        /// Whether what holds the bytes may give up the room for them.
        unmap: bool,
    },
}

/// A piece of guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestRange {
    /// Where it begins.
    pub address: GuestAddress,
    /// How many bytes it has.
    pub length: u32,
}

/// Where a request's bytes come from or go to.
#[derive(Clone, Default)]
pub enum Buffers {
    /// It has none.
    #[default]
    None,
    /// Pieces of guest memory, one after the other. Those that the guest does not have fail the
    /// request.
    Guest {
        /// The memory.
        memory: Arc<GuestMemory>,
        /// The pieces.
        ranges: Vec<GuestRange>,
    },
    /// Bytes of its own, which come back with the answer.
    Owned(Vec<u8>),
}

impl Buffers {
    /// How many bytes they hold together.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Guest { ranges, .. } => {
                ranges.iter().fold(0_u64, |total, range| total.saturating_add(range.length.into()))
            }
            Self::Owned(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }

    /// Gives the buffers as slices that others may change meanwhile.
    fn with<R>(
        &mut self,
        action: impl FnOnce(&[VolatileSlice<'_>]) -> io::Result<R>,
    ) -> io::Result<R> {
        match self {
            Self::None => action(&[]),
            Self::Owned(bytes) => action(&[VolatileSlice::from(&mut bytes[..])]),
            Self::Guest { memory, ranges } => {
                let mut slices = Vec::with_capacity(ranges.len());
                for range in ranges {
                    let length = usize::try_from(range.length).unwrap_or(usize::MAX);
                    for slice in memory.get_slices(range.address, length) {
                        slices.push(
                            slice.map_err(|error| {
                                io::Error::new(io::ErrorKind::InvalidInput, error)
                            })?,
                        );
                    }
                }
                action(&slices)
            }
        }
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Guest { ranges, .. } => f.debug_tuple("Guest").field(ranges).finish(),
            Self::Owned(bytes) => write!(f, "Owned({} bytes)", bytes.len()),
        }
    }
}

/// Something that a requester wants done.
#[derive(Debug)]
pub struct Request {
    /// What the requester knows it by.
    pub token: u64,
    /// What is to be done.
    pub command: Command,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How far it reaches, in bytes; as far as its buffers if it has any.
    pub length: u64,
    /// What is filled or written.
    pub buffers: Buffers,
}

impl Request {
    /// To fill the buffers with what is at `offset`.
    #[must_use]
    pub fn read(token: u64, offset: u64, buffers: Buffers) -> Self {
        Self { token, command: Command::Read, offset, length: buffers.length(), buffers }
    }

    /// To put what the buffers hold at `offset`.
    #[must_use]
    pub fn write(token: u64, offset: u64, buffers: Buffers) -> Self {
        Self { token, command: Command::Write, offset, length: buffers.length(), buffers }
    }

    /// To make all that was written before outlast a failure of the host.
    #[must_use]
    pub fn flush(token: u64) -> Self {
        Self { token, command: Command::Flush, offset: 0, length: 0, buffers: Buffers::None }
    }

    /// To say that nobody needs `length` bytes from `offset` on.
    #[must_use]
    pub fn discard(token: u64, offset: u64, length: u64) -> Self {
        Self { token, command: Command::Discard, offset, length, buffers: Buffers::None }
    }

    /// To write `length` zeroes from `offset` on.
    #[must_use]
    pub fn write_zeroes(token: u64, offset: u64, length: u64, unmap: bool) -> Self {
        let command = Command::WriteZeroes { unmap };
        Self { token, command, offset, length, buffers: Buffers::None }
    }

    fn with_operation<R>(
        &mut self,
        action: impl FnOnce(&Operation<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let (offset, length) = (self.offset, self.length);
        match self.command {
            Command::Read => self.buffers.with(|into| action(&Operation::Read { offset, into })),
            Command::Write => self.buffers.with(|from| action(&Operation::Write { offset, from })),
            Command::Flush => action(&Operation::Flush),
            Command::Discard => action(&Operation::Discard { offset, length }),
            Command::WriteZeroes { unmap } => {
                action(&Operation::WriteZeroes { offset, length, unmap })
            }
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub struct Completion {
    /// What the requester knows it by.
    pub token: u64,
    /// Whether it was done.
    pub result: io::Result<()>,
    /// The buffers that came with it.
    pub buffers: Buffers,
}

/// A request on its way, which is answered exactly once: with an error if whoever has it lets it
/// fall.
#[derive(Debug)]
pub struct Pending {
    request: Option<Request>,
    replies: Arc<Replies>,
    /// Where the requester's disk has it, wherever it is sent from there.
    offset: u64,
    started: Instant,
}

impl Pending {
    pub(super) fn new(request: Request, replies: Arc<Replies>) -> Self {
        let offset = request.offset;
        Self { request: Some(request), replies, offset, started: Instant::now() }
    }

    /// What is to be done, where it begins and how far it reaches.
    #[must_use]
    pub fn what(&self) -> (Command, u64, u64) {
        // It is there until the request is answered, which takes `self`.
        self.request.as_ref().map_or((Command::Flush, 0, 0), |request| {
            (request.command, request.offset, request.length)
        })
    }

    /// Does something with it as an operation.
    ///
    /// # Errors
    /// If that fails, or the guest has no such memory.
    pub fn with_operation<R>(
        &mut self,
        action: impl FnOnce(&Operation<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        self.request.as_mut().ok_or_else(gone)?.with_operation(action)
    }

    /// Has a thread of its backend perform it on a node.
    pub(super) fn perform_on(self, node: BlockChild) {
        let jobs = Arc::clone(self.replies.jobs());
        jobs.give(std::iter::once((node, self)));
    }

    /// Answers it, on whatever thread.
    pub fn complete(mut self, result: io::Result<()>) {
        if let Some(completion) = self.answer(result) {
            self.replies.put(completion);
        }
    }

    /// Sends it elsewhere.
    pub(super) fn set_offset(&mut self, offset: u64) {
        if let Some(request) = &mut self.request {
            request.offset = offset;
        }
    }

    /// The answer, for the requester's own thread.
    pub(super) fn into_completion(mut self, result: io::Result<()>) -> Option<Completion> {
        self.answer(result)
    }

    fn answer(&mut self, result: io::Result<()>) -> Option<Completion> {
        let Request { token, command, length, buffers, .. } = self.request.take()?;
        let accounting = self.replies.accounting();
        accounting.answered(command, self.offset, length, self.started, result.is_ok());
        Some(Completion { token, result, buffers })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(completion) = self.answer(Err(io::ErrorKind::BrokenPipe.into())) {
            self.replies.put(completion);
        }
    }
}

/// What became of a request that was submitted.
#[derive(Debug)]
pub enum Submission {
    /// It has been done, or has failed.
    Done(Pending, io::Result<()>),
    /// It will be answered later, whatever becomes of the node: who submitted it may wait for that.
    Taken,
    /// It can't be done without waiting: a thread has to perform it.
    MayWait(Pending),
}
