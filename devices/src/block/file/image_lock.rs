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
    os::unix::fs::MetadataExt,
};

use device_model::{block::BlockError, prelude::PropertyEnum};
use image_io::{LockedRange, lock_shared, locked_by_others, unlock};
use parking_lot::Mutex;

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

/// The lock that a writer fails to get.
const WRITE_LOCK: &str = "\"write\"";
/// The lock that a reader fails to get.
const SHARED_WRITE_LOCK: &str = "shared \"write\"";

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

/// The images that are locked in this process. The kernel does not tell those of one open file apart,
/// as duplicates of a descriptor are that a user has handed over.
static LOCKED: Mutex<Vec<Locked>> = Mutex::new(Vec::new());

/// An image that is locked in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Locked {
    device: u64,
    inode: u64,
    writes: bool,
}

impl Locked {
    fn is_of(self, other: Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Gives the lock back. The image may stay open elsewhere.
    pub(super) fn release(self, file: &File) {
        let mut all = LOCKED.lock();
        if let Some(at) = all.iter().position(|one| *one == self) {
            all.swap_remove(at);
        }
        self.unlock(file, &all);
    }

    /// Unlocks the bytes, unless another reader may have locked them through the same open file.
    fn unlock(self, file: &File, all: &[Self]) {
        if all.iter().any(|one| one.is_of(self)) {
            return;
        }
        for start in [HELD_AT, UNSHARED_AT] {
            // What can't be unlocked was not locked, or goes with the descriptor.
            let _ = unlock(file, LockedRange { start, length: RESIZE + 1 });
        }
    }
}

/// Locks an image until that is released.
pub(super) fn lock(
    file: &File,
    filename: &str,
    writable: bool,
    locking: Locking,
) -> Result<Option<Locked>, BlockError> {
    if locking == Locking::Off {
        return Ok(None);
    }
    let host = |error| BlockError::Host { action: "lock the image", error };
    let status = file.metadata().map_err(host)?;
    let new = Locked { device: status.dev(), inode: status.ino(), writes: writable };
    let refused = |lock| Err(BlockError::Locked { lock, file: filename.to_owned() });
    // Held until the bytes are locked, so that nobody else here comes between.
    let mut all = LOCKED.lock();
    for there in all.iter().filter(|there| there.is_of(new)) {
        match (writable, there.writes) {
            (true, _) => return refused(WRITE_LOCK),
            (false, true) => return refused(SHARED_WRITE_LOCK),
            (false, false) => {}
        }
    }
    let held: &[u32] = if writable { &OF_WRITERS } else { &OF_READERS };
    let result = match take(file, held) {
        Ok(None) => Ok(Some(new)),
        Ok(Some(lock)) => refused(lock),
        Err(error) if locking == Locking::Auto && has_no_locks(&error) => Ok(None),
        // Somebody has locked the byte for himself alone, which none of these does.
        Err(error)
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::PermissionDenied) =>
        {
            refused("byte")
        }
        Err(error) => Err(host(error)),
    };
    match &result {
        Ok(locked) => all.extend(*locked),
        Err(_) => new.unlock(file, &all),
    }
    result
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
                WRITE => WRITE_LOCK,
                RESIZE => "\"resize\"",
                _ => "\"consistent read\"",
            }));
        }
    }
    for permission in UNSHARED {
        if locked_by_others(file, byte(HELD_AT + permission))? {
            return Ok(Some(match permission {
                WRITE => SHARED_WRITE_LOCK,
                _ => "shared \"resize\"",
            }));
        }
    }
    Ok(None)
}
