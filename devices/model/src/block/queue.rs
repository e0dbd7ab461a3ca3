//! One requester's way to a node: what it wants done goes in, what was done comes out.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Condvar, Mutex};
use rustix::event::{EventfdFlags, eventfd};

use super::{
    BlockBackend, Completion, Pending, Request, Submission, accounting::Accounting, workers::Jobs,
};

/// How many requests a queue has in flight at most.
pub const MOST_IN_FLIGHT: usize = 1024;

/// What has been done and not been fetched.
#[derive(Debug)]
pub(super) struct Replies {
    done: Mutex<Vec<Completion>>,
    changed: Condvar,
    /// Submitted and not answered.
    in_flight: AtomicUsize,
    /// Readable while there is something in `done`.
    event: OwnedFd,
    accounting: Arc<Accounting>,
    jobs: Arc<Jobs>,
}

impl Replies {
    /// What has requests performed.
    pub(super) const fn jobs(&self) -> &Arc<Jobs> {
        &self.jobs
    }

    /// What counts the requests.
    pub(super) fn accounting(&self) -> &Accounting {
        &self.accounting
    }

    /// Takes an answer from whatever thread.
    pub(super) fn put(&self, completion: Completion) {
        let mut done = self.done.lock();
        let first = done.is_empty();
        done.push(completion);
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
        if first {
            // Under the lock, so that whoever fetches finds both or neither. The counter can't be
            // full: it is at most 1.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
        drop(done);
        self.changed.notify_all();
    }
}

/// One requester's way to a node. It belongs to one thread at a time, which submits requests and
/// fetches what was done; the order in which they are done is anybody's. A flush covers the writes
/// that were done before it was submitted.
///
/// When it is dropped, it waits for what is in flight.
#[derive(Debug)]
pub struct BlockQueue {
    backend: Arc<BlockBackend>,
    replies: Arc<Replies>,
    depth: usize,
    /// Kept for its room.
    waiting: Vec<Pending>,
}

impl BlockQueue {
    pub(super) fn new(backend: Arc<BlockBackend>, depth: usize) -> io::Result<Self> {
        let replies = Replies {
            done: Mutex::default(),
            changed: Condvar::new(),
            in_flight: AtomicUsize::new(0),
            event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            accounting: Arc::clone(backend.accounting()),
            jobs: Arc::clone(backend.workers().jobs()),
        };
        let depth = depth.clamp(1, MOST_IN_FLIGHT);
        Ok(Self { backend, replies: Arc::new(replies), depth, waiting: Vec::new() })
    }

    /// What it leads to.
    #[must_use]
    pub const fn backend(&self) -> &Arc<BlockBackend> {
        &self.backend
    }

    /// How many requests it takes now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.depth.saturating_sub(self.replies.in_flight.load(Ordering::Acquire))
    }

    /// Takes requests for as long as it has room and there are any. What is done at once is put into
    /// `done`; the rest is told of by the queue's descriptor, and fetched with [`BlockQueue::fetch`].
    ///
    /// Many together are cheaper than one by one. It does not wait for any of them.
    pub fn submit(
        &mut self,
        requests: impl IntoIterator<Item = Request>,
        done: &mut Vec<Completion>,
    ) {
        let mut requests = requests.into_iter();
        while self.room() > 0 {
            let Some(request) = requests.next() else { break };
            self.replies.in_flight.fetch_add(1, Ordering::AcqRel);
            let pending = Pending::new(request, Arc::clone(&self.replies));
            match self.backend.child().submit(pending, 0) {
                Submission::Done(pending, result) => {
                    self.replies.in_flight.fetch_sub(1, Ordering::AcqRel);
                    done.extend(pending.into_completion(result));
                }
                Submission::Taken => {}
                Submission::MayWait(pending) => self.waiting.push(pending),
            }
        }
        let child = self.backend.child();
        let jobs = self.waiting.drain(..).map(|request| (child.clone(), request));
        self.replies.jobs.give(jobs);
    }

    /// Adds what was done meanwhile to `done`. The queue's descriptor is readable again once there is
    /// more.
    pub fn fetch(&self, done: &mut Vec<Completion>) {
        let mut there = self.replies.done.lock();
        if !there.is_empty() {
            let mut count = [0; 8];
            // There is something to read, as there was something done.
            let _ = rustix::io::read(&self.replies.event, &mut count);
        }
        done.append(&mut there);
    }

    /// Waits until nothing is in flight, and adds all that was done to `done`.
    pub fn drain(&self, done: &mut Vec<Completion>) {
        self.replies.wait();
        self.fetch(done);
    }
}

impl Replies {
    fn wait(&self) {
        let mut done = self.done.lock();
        while self.in_flight.load(Ordering::Acquire) > 0 {
            self.changed.wait(&mut done);
        }
    }
}

impl AsFd for BlockQueue {
    /// What an event loop waits for: readable while there is something to fetch.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.replies.event.as_fd()
    }
}

impl Drop for BlockQueue {
    fn drop(&mut self) {
        self.replies.wait();
    }
}
