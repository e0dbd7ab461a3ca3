//! What keeps two VMs from using one image at once, of which one writes: locks on single bytes of the
//! image, as QEMU's `file` driver takes them.
//!
//! A byte stands for each permission that a user of the image has, and another for each that it does
//! not share with others. All locks are shared ones: who opens an image locks his own bytes first,
//! and then looks whether anybody has locked those that contradict them. Of two who do so at once at
//! least one sees the other.

use std::{
    fs::File,
    io::{self, ErrorKind},
};

use device_model::{block::BlockError, prelude::PropertyEnum};
use image_io::{LockedRange, lock_shared, locked_by_others};

/// Where the bytes begin that stand for permissions that somebody has.
const HELD_AT: u32 = 100;
/// Where those begin that stand for permissions that somebody does not share.
const UNSHARED_AT: u32 = 200;

/// Number of the permission to read what was written.
const CONSISTENT_READ: u32 = 0;
/// Number of the permission to write.
const WRITE: u32 = 1;
/// Number of the permission to change the length.
const RESIZE: u32 = 3;

/// What somebody who writes holds.
const OF_WRITERS: [u32; 3] = [CONSISTENT_READ, WRITE, RESIZE];
/// What somebody who reads holds.
const OF_READERS: [u32; 1] = [CONSISTENT_READ];
/// What nobody shares.
const UNSHARED: [u32; 2] = [WRITE, RESIZE];

/// Whether an image is locked
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
#[property(name = "OnOffAuto")]
pub(super) enum Locking {
    /// If the file system has locks.
    #[default]
    Auto,
    /// In any case.
    On,
    /// Not at all.
    Off,
}

/// Locks an image for as long as it is open.
pub(super) fn lock(
    file: &File,
    filename: &str,
    writable: bool,
    locking: Locking,
) -> Result<(), BlockError> {
    if locking == Locking::Off {
        return Ok(());
    }
    let held: &[u32] = if writable { &OF_WRITERS } else { &OF_READERS };
    match take(file, held) {
        Ok(None) => Ok(()),
        Ok(Some(lock)) => Err(BlockError::Locked { lock, file: filename.to_owned() }),
        Err(error) if locking == Locking::Auto && has_no_locks(&error) => Ok(()),
        // Somebody has locked the byte for himself alone, which none of these does.
        Err(error)
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::PermissionDenied) =>
        {
            Err(BlockError::Locked { lock: "byte", file: filename.to_owned() })
        }
        Err(error) => Err(BlockError::Host { action: "lock the image", error }),
    }
}

/// Whether a file system has no locks, rather than this one being refused.
fn has_no_locks(error: &io::Error) -> bool {
    let errors = [
        rustix::io::Errno::NOLCK,
        rustix::io::Errno::INVAL,
        rustix::io::Errno::NOSYS,
        rustix::io::Errno::OPNOTSUPP,
    ];
    errors.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Locks the bytes, and tells what contradicts them.
fn take(file: &File, held: &[u32]) -> io::Result<Option<&'static str>> {
    let byte = |start| LockedRange { start, length: 1 };
    for permission in held {
        lock_shared(file, byte(HELD_AT + permission))?;
    }
    for permission in UNSHARED {
        lock_shared(file, byte(UNSHARED_AT + permission))?;
    }
    for permission in held {
        if locked_by_others(file, byte(UNSHARED_AT + permission))? {
            return Ok(Some(match *permission {
                WRITE => "\"write\"",
                RESIZE => "\"resize\"",
                _ => "\"consistent read\"",
            }));
        }
    }
    for permission in UNSHARED {
        if locked_by_others(file, byte(HELD_AT + permission))? {
            return Ok(Some(match permission {
                WRITE => "shared \"write\"",
                _ => "shared \"resize\"",
            }));
        }
    }
    Ok(None)
}
