//! A reader of streams that remembers what it was told, on which thread, and has as much room as the
//! test gives it.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
};

use device_model::{
    prelude::*,
    testing::{frontend, wait_until},
};

/// The reader.
pub(crate) struct Reader {
    room: AtomicUsize,
    received: Mutex<Vec<u8>>,
    presences: Mutex<Vec<Presence>>,
    threads: Mutex<Vec<ThreadId>>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            room: AtomicUsize::new(usize::MAX),
            received: Mutex::default(),
            presences: Mutex::default(),
            threads: Mutex::default(),
        }
    }
}

impl ChardevFrontend for Reader {
    fn can_receive(&self) -> usize {
        self.room.load(Ordering::SeqCst)
    }

    fn receive(&self, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        self.threads.lock().push(thread::current().id());
        let room = self.room.load(Ordering::SeqCst);
        assert!(bytes.len() <= room, "{} bytes for {room}", bytes.len());
        if room != usize::MAX {
            self.room.fetch_sub(bytes.len(), Ordering::SeqCst);
        }
        self.received.lock().extend(bytes);
    }

    fn host_changed(&self, presence: Presence) {
        self.threads.lock().push(thread::current().id());
        self.presences.lock().push(presence);
    }
}

impl Reader {
    /// A reader with room for everything, which reads from that stream.
    pub(crate) fn of(stream: &dyn Chardev) -> Arc<Self> {
        Self::with_room(stream, usize::MAX)
    }

    /// A reader with room for so many bytes.
    pub(crate) fn with_room(stream: &dyn Chardev, room: usize) -> Arc<Self> {
        let reader = Arc::new(Self { room: AtomicUsize::new(room), ..Self::default() });
        let weak: Weak<Self> = Arc::downgrade(&reader);
        assert!(stream.connect(frontend(weak)), "nobody else reads");
        reader
    }

    /// Gives it room for so many bytes, and says so.
    pub(crate) fn make_room(&self, stream: &dyn Chardev, room: usize) {
        self.room.store(room, Ordering::SeqCst);
        stream.accept_input();
    }

    /// What it has received since this was last called.
    pub(crate) fn take(&self) -> Vec<u8> {
        mem::take(&mut self.received.lock())
    }

    /// How many bytes it has received since then.
    pub(crate) fn count(&self) -> usize {
        self.received.lock().len()
    }

    /// Waits until it has received so many bytes, and takes them.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<u8> {
        wait_until("input", || self.received.lock().len() >= count);
        self.take()
    }

    /// Everything that it was told of the host's end.
    pub(crate) fn presences(&self) -> Vec<Presence> {
        self.presences.lock().clone()
    }

    /// Waits until it has been told so often that somebody came or left.
    pub(crate) fn wait_for_presences(&self, count: usize) -> Vec<Presence> {
        wait_until("somebody to come or go", || self.presences.lock().len() >= count);
        self.presences()
    }

    /// The threads on which it was called since this was last called.
    pub(crate) fn take_threads(&self) -> Vec<ThreadId> {
        mem::take(&mut self.threads.lock())
    }
}
