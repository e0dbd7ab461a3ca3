//! Block nodes: what holds a disk's bytes, and what stands before it.
//!
//! A node is named, and offers a length and operations at positions: [`BlockNode`]. A *protocol*
//! node reaches something outside (a file, nothing at all); a *format* or *filter* node
//! ([`FormatNode`]) interprets what another node holds, its child `file`. A child that the user
//! refers to by name is a link; one that he describes in place is made with its parent, is opened
//! before it, and goes with it ([`announce`]).
//!
//! A driver implements [`BlockNode::perform`], which may wait, and is run by a few worker threads. It
//! is never given what lies beyond its end, nor anything to write while it is read-only: whoever uses
//! a node reaches it through a [`BlockChild`], which sees to that. What can be done without waiting,
//! or is waited for by other means than a thread, [`BlockNode::submit`] takes over.
//!
//! A device has a [`BlockBackend`], and on it a [`BlockQueue`] for each thread that has requests. It
//! gives the queue requests with buffers in guest memory, and is told through a descriptor that an
//! event loop can wait for when some are done.

mod accounting;
mod announcement;
mod backend;
mod child;
mod error;
mod format_probe;
mod io_error;
mod limits;
mod opening;
mod operation;
mod queue;
mod request;
mod users;
mod workers;

use std::{io, sync::Arc};

use qom_core::{Object, PropertyEnum, Value, qom_type};

pub use self::{
    accounting::{Count, Statistics},
    announcement::{LINK_SUFFIX, OPTIONS_SUFFIX, announce, announce_file, slots},
    backend::BlockBackend,
    child::BlockChild,
    error::BlockError,
    format_probe::FormatProbe,
    io_error::{BlockIoError, ErrorAction, ErrorPolicy, IoOperation, OnError},
    limits::Limits,
    opening::{Access, OpenContext, close, open},
    operation::{Operation, zero},
    queue::{BlockQueue, MOST_IN_FLIGHT},
    request::{Buffers, Command, Completion, GuestRange, Pending, Request, Submission},
    users::{BlockUse, BlockUsers, BlockWatcher},
};

pub(crate) use self::opening::attach;

/// Before the names of the types of nodes, which users leave out.
pub const TYPE_PREFIX: &str = "blockdev-";

/// What becomes of a request to discard
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
#[property(name = "BlockdevDiscardOptions")]
pub enum Discard {
    /// It is passed over, as it may be.
    #[default]
    Ignore,
    /// What holds the bytes is told that nobody needs them.
    Unmap,
}

/// What holds the bytes of a disk, or stands before it
///
/// Its methods may be called on any thread, several at a time, once it is open.
#[qom_type(
    abstract,
    name = "blockdev",
    parent = Object,
    boundary(file),
    new_category = "Block nodes"
)]
pub trait BlockNode: Object {
    /// Name by which others refer to it
    #[property]
    fn node_name(&self) -> String;

    /// Whether nobody may write to it
    #[property]
    fn read_only(&self) -> bool;

    /// Whether it becomes read-only if it can't be written to
    #[property]
    fn auto_read_only(&self) -> bool;

    /// What becomes of requests to discard
    #[property]
    fn discard(&self) -> Discard;

    /// Whether the host's cache is avoided
    #[property(name = "cache.direct")]
    fn cache_direct(&self) -> bool;

    /// Whether requests to flush are passed over: what was written may be lost if the host fails
    #[property(name = "cache.no-flush")]
    fn cache_no_flush(&self) -> bool;

    /// Takes up its work: opens what it reaches, or asks `cx` for its children, which are open.
    ///
    /// # Errors
    /// If it can't. Then it has undone its own part, and nothing was written anywhere.
    fn open(&self, cx: &OpenContext<'_>) -> Result<(), BlockError>;

    /// Gives back what [`BlockNode::open`] took. Nothing is under way any more.
    fn close(&self);

    /// Number of bytes, as it is now; 0 if it is not open.
    fn length(&self) -> u64;

    /// Whether it can be written to.
    fn is_writable(&self) -> bool;

    /// What it asks of operations. It asks nothing by default.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Where the bytes are, as `query-block` shows it: a file's name, `null-co://`.
    fn filename(&self) -> String;

    /// Number of bytes that are taken up where they are held, if that is known.
    fn allocated(&self) -> Option<u64> {
        None
    }

    /// Does an operation, and returns when it is done; it may wait. The operation lies within the
    /// length that the node had a moment ago, and writes only if the node is writable.
    ///
    /// An error leaves undefined what a read put into its buffers and how much of a write was done.
    ///
    /// # Errors
    /// If it can't be done.
    fn perform(&self, operation: &Operation<'_>) -> io::Result<()>;

    /// Does a request at once if that needs no waiting, or takes it over to answer it later. By
    /// default it does neither, and a worker thread has it performed.
    ///
    /// It is called on the requester's thread and must not wait.
    fn submit(&self, request: Pending) -> Submission {
        Submission::MayWait(request)
    }

    /// Changes the length: what is added reads as zeroes.
    ///
    /// # Errors
    /// If it can't, which is so by default.
    fn resize(&self, _length: u64) -> Result<(), BlockError> {
        Err(BlockError::Resize { driver: self.driver() })
    }

    /// The name of its type, as users write it.
    fn driver(&self) -> &'static str {
        let name = self.instance().class().name();
        name.strip_prefix(TYPE_PREFIX).unwrap_or(name)
    }
}

/// Format or filter: it interprets what another node holds
///
/// A descendant names [`announce_file`] as its `children`, and asks for the child in `open`:
/// `cx.child("file", Access::AsParent)?`.
#[qom_type(abstract, name = "blockdev-format", parent = BlockNode)]
pub trait FormatNode: BlockNode {
    /// The node that it interprets, if that has a name of its own
    #[property(link = dyn BlockNode)]
    fn file_node(&self) -> Option<Arc<dyn BlockNode>>;

    /// The node that it interprets, if that is made with it
    #[property]
    fn file_options(&self) -> Option<Value>;

    /// Whether its format was guessed from what the file holds
    #[property(insecure_if(
        true,
        reason = "a guest can write an image of another format onto its disk, which is then followed"
    ))]
    fn probed(&self) -> bool;
}
