//! `virtio-rng-device`: what users configure, and how it is driven.

use std::{io, sync::Arc, time::Duration};

use device_model::{
    prelude::*,
    rng_backend::RngBackend,
    virtio::{VirtioDevice, VirtioDriver, spec::device_id},
};

use super::work::{Limit, Work};

/// The greatest size of its queue.
const QUEUE_SIZE: u16 = 8;
/// What its own source is called.
const DEFAULT_BACKEND: &str = "default-backend";
/// So many bytes are no limit.
const UNLIMITED: u64 = i64::MAX.unsigned_abs();

/// Random numbers for the guest
#[qom_type(secure, name = "virtio-rng-device", parent = VirtioDevice, children = children)]
pub struct VirtioRngDevice {
    /// Where they come from; the host's kernel if nothing is given
    #[property(link = dyn RngBackend)]
    rng: Link<dyn RngBackend>,
    /// Thread that serves its queue
    #[property(link = dyn EventLoopBase)]
    iothread: Link<dyn EventLoopBase>,
    /// The most bytes that the guest gets in a period
    #[property(default = UNLIMITED, range = 1..=UNLIMITED)]
    max_bytes: u64,
    /// The period, in milliseconds
    #[property(default = 65_536, range = 1..=u32::MAX)]
    period: u32,
    source: Realized<Arc<dyn RngBackend>>,
    limit: Realized<Arc<Limit>>,
    work: Realized<Arc<Work>>,
}

/// A source of its own, unless it has another's.
fn children(config: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    if config.linked("rng")?.is_none() {
        children.add(DEFAULT_BACKEND, "rng-builtin");
    }
    Ok(())
}

impl VirtioRngDevice {
    /// A period is over.
    fn renew(&self) {
        self.limit.with(|limit| limit.renew());
        self.work.with(|work| work.go_on());
    }
}

impl Device for VirtioRngDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let own = || cx.object().child(DEFAULT_BACKEND)?.cast::<dyn RngBackend>();
        let backend = self.rng.get().cloned().or_else(own);
        let backend = backend.ok_or(DeviceError::Missing("source of random numbers"))?;
        self.source.set(backend);
        if self.max_bytes < UNLIMITED {
            let (period, timer) =
                (Duration::from_millis(self.period.into()), cx.timer(self, Self::renew)?);
            self.limit.set(Arc::new(Limit::new(self.max_bytes, period, timer)));
        }
        cx.plug_virtio(self)
    }

    fn unrealize(&self) {
        self.source.clear();
        self.limit.clear();
    }
}

impl VirtioDevice for VirtioRngDevice {
    fn device_id(&self) -> u32 {
        device_id::RNG
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE]
    }

    fn event_loop(&self) -> Option<Arc<EventLoop>> {
        self.iothread.get()?.events()
    }

    fn start(&self, driver: VirtioDriver) -> io::Result<()> {
        let source = self.source.get().ok_or(io::ErrorKind::NotConnected)?;
        let limit = self.limit.with(Arc::clone);
        self.work.set(Arc::new(Work::new(driver, &**source, limit)?));
        Ok(())
    }

    fn notified(&self, _queue: u16) {
        self.work.with(Work::serve);
    }

    fn stop(&self) {
        self.work.clear();
    }
}
