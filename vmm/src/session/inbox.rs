//! What other threads leave for the main thread, which alone starts and stops processors.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc::SyncSender},
};

use device_model::{
    control::Order, event_loop::EventLoop, monitor::CommandError, request::VmRequest,
};
use parking_lot::Mutex;

use crate::vcpu::End;

/// What the main thread learns.
#[derive(Debug)]
pub(super) enum News {
    /// A device wants something of the machine.
    Request(VmRequest),
    /// A processor runs no further.
    Ended(u32, End),
    /// Somebody who controls the VM wants something done, and waits to hear whether it was.
    Order(Order, SyncSender<Result<(), CommandError>>),
}

/// The letter box of the main thread.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    /// None once nobody reads it any more.
    news: Arc<Mutex<Option<VecDeque<News>>>>,
    events: Arc<EventLoop>,
}

impl Inbox {
    /// An empty one of the thread that runs that loop.
    pub(super) fn new(events: Arc<EventLoop>) -> Self {
        Self { news: Arc::new(Mutex::new(Some(VecDeque::new()))), events }
    }

    /// Leaves something and wakes the main thread. What comes after the end is lost, and with it the
    /// sender that an order holds.
    pub(super) fn put(&self, news: News) {
        if let Some(waiting) = &mut *self.news.lock() {
            waiting.push_back(news);
        }
        self.events.stop();
    }

    /// The next; none if nothing waits.
    pub(super) fn next(&self) -> Option<News> {
        self.news.lock().as_mut()?.pop_front()
    }

    /// Forgets what is about the machine as it was: all but orders.
    pub(super) fn forget_machine(&self) {
        if let Some(waiting) = &mut *self.news.lock() {
            waiting.retain(|news| matches!(news, News::Order(..)));
        }
    }

    /// Nobody reads it any more. Whoever waits for an answer gets none.
    pub(super) fn close(&self) {
        // Dropped after the lock.
        let _unread = self.news.lock().take();
    }
}
