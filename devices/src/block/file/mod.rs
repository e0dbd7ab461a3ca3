//! `file`: a regular file of the host.

mod direct;
mod image_lock;
mod opened;
mod opening;

use std::io;

use device_model::{
    block::{BlockError, Command, Discard, Limits, OpenContext, Operation, Pending, Submission},
    prelude::*,
};

use self::{image_lock::Locking, opened::Opened};

/// How requests are carried out that have to wait
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
#[property(name = "BlockdevAioOptions")]
enum Aio {
    /// By a few threads.
    #[default]
    Threads,
}

/// The greatest transfer that is tried on the requester's own thread, in bytes: longer ones take
/// longer to copy than to hand over.
const MOST_AT_ONCE: u64 = 1 << 20;

/// Regular file of the host
///
/// A path `/dev/fdset/N` stands for a descriptor that the user has handed over. It is never created, and nothing is written to it but what is asked for. While it is open, other
/// processes and other nodes that keep to the same rules, QEMU's among them, can't write to it.
#[qom_type(secure, parent = BlockNode)]
#[derive(Debug)]
pub struct BlockdevFile {
    /// Where it is
    #[property(required)]
    filename: String,
    /// Whether others are kept from using it meanwhile
    #[property]
    locking: Locking,
    /// How requests are carried out that have to wait
    #[property]
    aio: Aio,
    opened: Realized<Opened>,
}

impl BlockdevFile {
    fn with<R>(&self, action: impl FnOnce(&Opened) -> io::Result<R>) -> io::Result<R> {
        let closed = || Err(io::ErrorKind::NotConnected.into());
        self.opened.with(action).unwrap_or_else(closed)
    }
}

impl BlockNode for BlockdevFile {
    fn open(&self, cx: &OpenContext<'_>) -> Result<(), BlockError> {
        let wanted = opening::Wanted {
            platform: cx.platform(),
            filename: &self.filename,
            writable: !self.read_only(),
            or_readable: self.auto_read_only(),
            locking: self.locking,
            direct: self.cache_direct(),
            flushes: !self.cache_no_flush(),
            unmaps: self.discard() == Discard::Unmap,
        };
        self.opened.set(wanted.open()?);
        Ok(())
    }

    fn close(&self) {
        self.opened.clear();
    }

    fn length(&self) -> u64 {
        self.opened.with(Opened::length).unwrap_or_default()
    }

    fn is_writable(&self) -> bool {
        self.opened.with(Opened::is_writable).unwrap_or_default()
    }

    fn limits(&self) -> Limits {
        self.opened.with(Opened::limits).unwrap_or_default()
    }

    fn filename(&self) -> String {
        self.filename.clone()
    }

    fn allocated(&self) -> Option<u64> {
        self.opened.with(Opened::allocated).flatten()
    }

    fn perform(&self, operation: &Operation<'_>) -> io::Result<()> {
        self.with(|opened| opened.perform(operation))
    }

    fn submit(&self, mut request: Pending) -> Submission {
        let (command, _, length) = request.what();
        let short = matches!(command, Command::Read | Command::Write) && length <= MOST_AT_ONCE;
        if !short {
            return Submission::MayWait(request);
        }
        let tried = self.opened.with(|opened| {
            let can = opened.may_try(command == Command::Write);
            can.then(|| request.with_operation(|operation| opened.try_now(operation)))
        });
        match tried.flatten() {
            Some(Ok(true)) => Submission::Done(request, Ok(())),
            Some(Ok(false)) | None => Submission::MayWait(request),
            Some(Err(error)) => Submission::Done(request, Err(error)),
        }
    }

    fn resize(&self, length: u64) -> Result<(), BlockError> {
        self.with(|opened| opened.resize(length))
            .map_err(|error| BlockError::Host { action: "resize the file", error })
    }
}
