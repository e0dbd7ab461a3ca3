//! What image files need of the kernel and no safe library offers: reading and writing at a position
//! with memory that a guest changes meanwhile, and locks on ranges of bytes that belong to an open
//! file rather than to a process.
//!
//! All `unsafe` of the block devices is here, two modules of it.

mod range_lock;
mod transfer;

pub use range_lock::{LockedRange, lock_shared, locked_by_others, unlock};
pub use transfer::{MOST_BUFFERS, Waiting, read_at, write_at};
