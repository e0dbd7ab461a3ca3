//! The device at work for one driver: one request at a time, within the quota.

use std::{
    io,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use device_model::{
    clock::{Clock, Timer},
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

/// What a device is to give in a period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) bytes: u64,
    pub(super) period: Duration,
}

/// A driver, and the source of its random numbers.
pub(super) struct Work {
    driver: VirtioDriver,
    source: Box<dyn EntropySource>,
    progress: Mutex<Progress>,
    limit: Option<(Limit, OnceLock<Timer>)>,
}

struct Progress {
    /// A request waits for its answer.
    is_asking: bool,
    quota: Quota,
}

impl Work {
    pub(super) fn new(
        driver: VirtioDriver,
        backend: &dyn RngBackend,
        clock: &Clock,
        limit: Option<Limit>,
    ) -> io::Result<Arc<Self>> {
        let source = backend.open(driver.events())?;
        let quota = Quota::new(limit.map_or(u64::MAX, |limit| limit.bytes));
        let this = Arc::new(Self {
            driver,
            source,
            progress: Mutex::new(Progress { is_asking: false, quota }),
            limit: limit.map(|limit| (limit, OnceLock::new())),
        });
        if let Some((_, slot)) = &this.limit {
            let work: Weak<Self> = Arc::downgrade(&this);
            let timer = clock.timer(this.driver.events(), move || {
                if let Some(work) = work.upgrade() {
                    work.progress.lock().quota.renew();
                    work.driver.notify(QUEUE);
                }
            })?;
            // Nobody else has it yet.
            let _ = slot.set(timer);
        }
        Ok(this)
    }

    /// Asks for the bytes of the next chain, unless it has to wait.
    pub(super) fn serve(self: &Arc<Self>) {
        let Some(queue) = self.driver.queue(QUEUE) else { return };
        for _ in 0..IN_ONE_GO {
            let (chain, count) = {
                let mut progress = self.progress.lock();
                let left = usize::try_from(progress.quota.left()).unwrap_or(usize::MAX);
                if progress.is_asking || left == 0 {
                    return;
                }
                let Some(chain) = queue.pop() else { return };
                let room = usize::try_from(chain.writable_length()).unwrap_or(usize::MAX);
                let count = room.min(left).min(MOST_ENTROPY);
                progress.is_asking = count > 0;
                (chain, count)
            };
            if count > 0 {
                return self.ask(chain, count);
            }
            queue.push(&chain, 0);
            queue.signal();
        }
        self.driver.notify(QUEUE);
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
        let mut progress = self.progress.lock();
        progress.is_asking = false;
        if progress.quota.take(u64::try_from(given).unwrap_or(u64::MAX))
            && let Some((limit, timer)) = &self.limit
            && let Some(timer) = timer.get()
        {
            timer.set(Some(limit.period));
        }
        drop(progress);
        self.driver.notify(QUEUE);
    }
}
