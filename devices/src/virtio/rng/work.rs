//! The device at work for one driver: one request at a time, within the quota.

use std::{io, sync::Arc, time::Duration};

use device_model::{
    clock::Timer,
    prelude::Mutex,
    rng_backend::{EntropyError, EntropySource, MOST_ENTROPY, RngBackend},
    virtio::{Chain, VirtioDriver},
};

use super::quota::Quota;

/// The only queue.
pub(super) const QUEUE: u16 = 0;

/// How many chains without room are given back in one go, so that others are served who share the
/// loop.
const IN_ONE_GO: usize = 64;

/// What a device may give in a period, whatever its driver does: a reset begins no new one.
pub(super) struct Limit {
    quota: Mutex<Quota>,
    period: Duration,
    /// Expires at the period's end.
    timer: Timer,
}

impl Limit {
    pub(super) fn new(bytes: u64, period: Duration, timer: Timer) -> Self {
        Self { quota: Mutex::new(Quota::new(bytes)), period, timer }
    }

    fn left(&self) -> usize {
        usize::try_from(self.quota.lock().left()).unwrap_or(usize::MAX)
    }

    fn take(&self, bytes: usize) {
        if self.quota.lock().take(u64::try_from(bytes).unwrap_or(u64::MAX)) {
            self.timer.set(Some(self.period));
        }
    }

    /// The period is over.
    pub(super) fn renew(&self) {
        self.quota.lock().renew();
    }
}

/// A driver, and the source of its random numbers.
pub(super) struct Work {
    driver: VirtioDriver,
    source: Box<dyn EntropySource>,
    /// A request waits for its answer.
    is_asking: Mutex<bool>,
    limit: Option<Arc<Limit>>,
}

impl Work {
    pub(super) fn new(
        driver: VirtioDriver,
        backend: &dyn RngBackend,
        limit: Option<Arc<Limit>>,
    ) -> io::Result<Self> {
        let source = backend.open(driver.events())?;
        Ok(Self { driver, source, is_asking: Mutex::new(false), limit })
    }

    /// Goes on with what had to wait, on the thread of the driver's loop.
    pub(super) fn go_on(&self) {
        self.driver.notify(QUEUE);
    }

    /// Asks for the bytes of the next chain, unless it has to wait.
    pub(super) fn serve(self: &Arc<Self>) {
        let Some(queue) = self.driver.queue(QUEUE) else { return };
        for _ in 0..IN_ONE_GO {
            let (chain, count) = {
                let mut is_asking = self.is_asking.lock();
                let left = self.limit.as_ref().map_or(usize::MAX, |limit| limit.left());
                if *is_asking || left == 0 {
                    return;
                }
                let Some(chain) = queue.pop() else { return };
                let room = usize::try_from(chain.writable_length()).unwrap_or(usize::MAX);
                let count = room.min(left).min(MOST_ENTROPY);
                *is_asking = count > 0;
                (chain, count)
            };
            if count > 0 {
                return self.ask(chain, count);
            }
            queue.push(&chain, 0);
            queue.signal();
        }
        self.go_on();
    }

    fn ask(self: &Arc<Self>, chain: Chain, count: usize) {
        let work = Arc::downgrade(self);
        let answered = move |answer: Result<&[u8], EntropyError>| {
            if let Some(work) = work.upgrade() {
                work.answered(chain, answer);
            }
        };
        if let Err(error) = self.source.request(count, Box::new(answered)) {
            self.driver.fail(&error.to_string());
        }
    }

    fn answered(&self, chain: Chain, answer: Result<&[u8], EntropyError>) {
        let Some(queue) = self.driver.queue(QUEUE) else { return };
        let bytes = match answer {
            Ok(bytes) => bytes,
            // A chain is given back with a byte at least (section 5.4.6.2).
            Err(error) => return self.driver.fail(&error.to_string()),
        };
        let given = queue.finish(chain, |buffers| buffers.write(bytes)).unwrap_or(0);
        queue.signal();
        if let Some(limit) = &self.limit {
            limit.take(given);
        }
        *self.is_asking.lock() = false;
        self.go_on();
    }
}
