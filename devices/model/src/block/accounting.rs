//! What has become of the requests to one disk.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::Command;

/// Counts the requests to one disk, from all of its queues.
#[derive(Debug, Default)]
pub(super) struct Accounting {
    reads: Counter,
    writes: Counter,
    flushes: Counter,
    discards: Counter,
    written_to: AtomicU64,
}

#[derive(Debug, Default)]
struct Counter {
    done: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
    nanoseconds: AtomicU64,
}

/// What has become of the requests to one disk that have been answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Requests to read.
    pub reads: Count,
    /// Requests to write, zeroes included.
    pub writes: Count,
    /// Requests to flush.
    pub flushes: Count,
    /// Requests to discard.
    pub discards: Count,
    /// Where the furthest byte that was written ends.
    pub written_to: u64,
}

/// What has become of the requests of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many were done.
    pub done: u64,
    /// How many bytes those were for.
    pub bytes: u64,
    /// How many failed.
    pub failed: u64,
    /// How long all that were done took, those at the same time each for itself.
    pub time: Duration,
}

impl Counter {
    fn count(&self) -> Count {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Count {
            done: read(&self.done),
            bytes: read(&self.bytes),
            failed: read(&self.failed),
            time: Duration::from_nanos(read(&self.nanoseconds)),
        }
    }
}

impl Accounting {
    /// Counts a request that is answered.
    pub(super) fn answered(
        &self,
        command: Command,
        offset: u64,
        length: u64,
        started: Instant,
        succeeded: bool,
    ) {
        let (counter, writes) = match command {
            Command::Read => (&self.reads, false),
            Command::Write | Command::WriteZeroes { .. } => (&self.writes, true),
            Command::Flush => (&self.flushes, false),
            Command::Discard => (&self.discards, false),
        };
        if !succeeded {
            counter.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let taken = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counter.done.fetch_add(1, Ordering::Relaxed);
        counter.bytes.fetch_add(length, Ordering::Relaxed);
        counter.nanoseconds.fetch_add(taken, Ordering::Relaxed);
        if writes {
            self.written_to.fetch_max(offset.saturating_add(length), Ordering::Relaxed);
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        Statistics {
            reads: self.reads.count(),
            writes: self.writes.count(),
            flushes: self.flushes.count(),
            discards: self.discards.count(),
            written_to: self.written_to.load(Ordering::Relaxed),
        }
    }
}
