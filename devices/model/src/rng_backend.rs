//! Sources of random numbers for guests.

use std::{fmt, io, sync::Arc};

use qom_core::{Object, qom_type};
use thiserror::Error;

use crate::event_loop::EventLoop;

/// The most requests of one source that may wait at once.
pub const MOST_ENTROPY_REQUESTS: usize = 256;

/// The most bytes that one request is answered with.
pub const MOST_ENTROPY: usize = 64 << 10;

/// Where random numbers come from
#[qom_type(abstract, parent = Object, boundary(guest))]
pub trait RngBackend: Object {
    /// Opens a source for one device, which is answered on the thread of `events`.
    ///
    /// # Errors
    /// If the object has not taken up its work, or the process has no descriptors left.
    fn open(&self, events: &Arc<EventLoop>) -> io::Result<Box<dyn EntropySource>>;
}

/// What takes an answer. Called once, on the thread of the source's loop and with no lock held, or
/// dropped with the source.
pub type EntropyCallback = Box<dyn FnOnce(Result<&[u8], EntropyError>) + Send>;

/// A device's way to random numbers. What still waits when it is dropped is not answered any more,
/// but for an answer that is under way.
pub trait EntropySource: fmt::Debug + Send + Sync {
    /// Asks for `count` random bytes, of which one at least comes and [`MOST_ENTROPY`] at most.
    /// Returns at once, however long the host takes for them. Requests are answered in their order.
    ///
    /// # Errors
    /// If [`MOST_ENTROPY_REQUESTS`] wait already, or it asks for nothing. `done` is not called then.
    fn request(&self, count: usize, done: EntropyCallback) -> Result<(), EntropyError>;
}

/// Why there are no random bytes.
#[derive(Debug, Error)]
pub enum EntropyError {
    /// No bytes were asked for.
    #[error("expected a request of at least 1 byte, got one of 0")]
    Nothing,
    /// Too many requests wait.
    #[error("{MOST_ENTROPY_REQUESTS} requests for random bytes wait already")]
    TooMany,
    /// The file that they come from has no more.
    #[error("the file that random bytes come from is at its end")]
    Ended,
    /// The host has none.
    #[error("the host gives no random bytes")]
    Host(#[from] io::Error),
}
