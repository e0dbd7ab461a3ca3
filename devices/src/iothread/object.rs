//! `iothread`: a thread that runs an event loop.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use device_model::{event_loop_base::EventLoopBase, prelude::*, qom_core::BoxedError};
use rustix::thread::{Pid, gettid};

/// Thread that serves the queues of devices
///
/// It is named `IO` and its id, of which the kernel keeps 15 bytes together, and sleeps while there
/// is nothing to do. It runs from the object's creation until its deletion, which waits for the work
/// that is under way. What a device does there is that device's to answer for: the thread itself
/// takes nothing from a guest.
#[qom_type(
    secure,
    name = "iothread",
    parent = EventLoopBase,
    interfaces(UserCreatable)
)]
#[derive(Debug)]
pub struct IoThread {
    /// The number that the kernel knows the thread by, 0 without one
    #[property(get = Self::thread_id)]
    thread_id: Computed<i64>,
    worker: Mutex<Option<Worker>>,
}

/// A thread and the loop that it runs.
#[derive(Debug)]
struct Worker {
    events: Arc<EventLoop>,
    number: Pid,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts a thread, and returns once its number is known.
    fn start(name: String) -> io::Result<Self> {
        let events = Arc::new(EventLoop::new()?);
        let (told, number) = mpsc::sync_channel(1);
        let running = Arc::clone(&events);
        let thread = thread::Builder::new().name(name).spawn(move || {
            // The other end waits for it.
            let _ = told.send(gettid());
            // Nothing that a guest or a client does lets the wait fail; a device whose queue nobody
            // serves would be worse than an end.
            running.run().expect("an event loop can wait");
        })?;
        let number = number.recv().map_err(io::Error::other)?;
        Ok(Self { events, number, thread })
    }

    fn end(self) {
        self.events.stop();
        // A callback of the loop may be what ends it, and would wait for itself.
        if self.thread.thread().id() != thread::current().id() {
            // A panic was told of where it happened.
            let _ = self.thread.join();
        }
    }
}

impl IoThread {
    fn thread_id(&self) -> i64 {
        let worker = self.worker.lock();
        worker.as_ref().map_or(0, |worker| worker.number.as_raw_nonzero().get().into())
    }
}

impl EventLoopBase for IoThread {
    fn events(&self) -> Option<Arc<EventLoop>> {
        self.worker.lock().as_ref().map(|worker| Arc::clone(&worker.events))
    }
}

impl UserCreatable for IoThread {
    fn complete(&self, object: &Obj, _platform: &Platform) -> Result<(), BoxedError> {
        let worker = Worker::start(format!("IO {}", object.name()))
            .map_err(|error| format!("can't start a thread: {error}"))?;
        *self.worker.lock() = Some(worker);
        Ok(())
    }

    fn undo(&self) {
        // Not under the lock, which a callback may take that is waited for.
        let worker = self.worker.lock().take();
        if let Some(worker) = worker {
            worker.end();
        }
    }
}
