//! The threads of one monitor: started by name, and waited for so long and no longer.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Bytes of a thread's stack, of which only what is used takes memory. The deepest message that a
/// monitor takes needs some 2 MiB to be read in a build that is not optimized.
const STACK: usize = 8 << 20;

/// The threads that have not been waited for.
#[derive(Debug, Default)]
pub(crate) struct Threads(Mutex<Vec<Thread>>);

/// A thread, and what hangs up once it has ended.
#[derive(Debug)]
struct Thread {
    handle: JoinHandle<()>,
    ended: Receiver<()>,
}

impl Threads {
    /// Starts a thread.
    ///
    /// # Errors
    /// If the host has none.
    pub(crate) fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (alive, ended) = channel();
        let builder = thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        let handle = builder.spawn(move || {
            work();
            drop(alive);
        })?;
        self.0.lock().push(Thread { handle, ended });
        Ok(())
    }

    /// Waits for all of them, and tells whether they ended; those that did not can be waited for
    /// again.
    pub(crate) fn join_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut threads = self.0.lock();
        while let Some(Thread { handle, ended }) = threads.pop() {
            let left = deadline.saturating_duration_since(Instant::now());
            if ended.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                threads.push(Thread { handle, ended });
                return false;
            }
            // One that panicked has ended too.
            let _ = handle.join();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_waited_for_and_one_that_goes_on_can_be_waited_for_again() {
        let threads = Threads::default();
        let (end, ending) = channel::<()>();
        threads.spawn("short", || ()).unwrap();
        let long = move || {
            let _ = ending.recv();
        };
        threads.spawn("long", long).unwrap();
        assert!(!threads.join_within(Duration::from_millis(10)));
        drop(end);
        assert!(threads.join_within(Duration::from_secs(20)));
        assert!(threads.join_within(Duration::ZERO), "none is left");
    }
}
