//! Limits on how much input and output devices do in a time.

use std::{fmt, io, sync::Arc};

use qom_core::{Object, qom_type};
use thiserror::Error;

use crate::event_loop::EventLoop;

/// The most operations of one member that may wait at once, of each direction.
pub const MOST_WAITING: usize = 16 << 10;

/// Limit on how much its members do in a time
///
/// The class is called after what it does; `throttle-group` is its type.
#[qom_type(abstract, parent = Object, boundary(guest))]
pub trait Throttle: Object {
    /// Takes in a member, which is called back on the thread of `events`, or on that of whoever
    /// steps the machine's clock by hand. It leaves when it is dropped.
    ///
    /// # Errors
    /// If the object has not taken up its work, or the process has no descriptors left.
    fn join(&self, events: &Arc<EventLoop>) -> io::Result<Box<dyn ThrottleMember>>;
}

/// Where the data of an operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the guest.
    Read,
    /// From the guest.
    Write,
}

/// An operation that may begin, as what begins it. Called with no lock held.
pub type Go = Box<dyn FnOnce() + Send>;

/// Whether an operation may begin.
pub enum Admission {
    /// At once. What would have begun it is given back.
    Now(Go),
    /// Later: what begins it will be called.
    Later,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Now",
            Self::Later => "Later",
        })
    }
}

/// One whose operations are held back so that all members together stay within the limits. Members
/// that wait take turns, an operation each, whatever its size.
pub trait ThrottleMember: fmt::Debug + Send + Sync {
    /// Asks whether an operation may begin that moves so many bytes. Those of one direction begin in
    /// their order.
    ///
    /// # Errors
    /// If [`MOST_WAITING`] of that direction wait already.
    fn ask(&self, direction: Direction, bytes: u64, go: Go) -> Result<Admission, ThrottleError>;

    /// Drops all operations that wait, and gives their number. None of them begins any more, but for
    /// those that the loop is about to call.
    fn cancel(&self) -> usize;
}

/// Why an operation can't wait for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ThrottleError {
    /// Too many do.
    #[error("{MOST_WAITING} operations wait already for their turn")]
    TooMany,
}
