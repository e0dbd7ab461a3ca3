//! The lock under which a tree changes: one change at a time, and none within another.

use std::thread::{self, ThreadId};

use parking_lot::{Mutex, MutexGuard};

use crate::error::ReentryError;

/// Whoever holds it decides alone what exists and under which policy.
#[derive(Debug, Default)]
pub(super) struct ChangeLock {
    lock: Mutex<()>,
    holder: Mutex<Option<ThreadId>>,
}

/// That the lock is held.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    lock: &'a ChangeLock,
    _held: MutexGuard<'a, ()>,
}

impl ChangeLock {
    /// Waits for the lock. A thread that holds it would wait for itself, and gets an error.
    pub(super) fn take(&self) -> Result<Changing<'_>, ReentryError> {
        let this = thread::current().id();
        // Only this thread writes its own id, so that what is compared can't change meanwhile.
        if *self.holder() == Some(this) {
            return Err(ReentryError);
        }
        // What an earlier change left half done when it panicked, its own guard has taken back.
        let held = self.lock.lock();
        *self.holder() = Some(this);
        Ok(Changing { lock: self, _held: held })
    }

    fn holder(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.holder.lock()
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        *self.lock.holder() = None;
    }
}
