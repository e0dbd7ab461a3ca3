//! `virtio-rng-device`: what users configure, and how it is driven.

use std::{io, sync::Arc, time::Duration};

use device_model::{
    clock::Clock,
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
    source: Realized<(Arc<dyn RngBackend>, Clock)>,
    work: Realized<Arc<Work>>,
}

/// A source of its own, unless it has another's.
fn children(config: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    if config.linked("rng")?.is_none() {
        children.add(DEFAULT_BACKEND, "rng-builtin");
    }
    Ok(())
}

impl Device for VirtioRngDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let own = || cx.object().child(DEFAULT_BACKEND)?.cast::<dyn RngBackend>();
        let backend = self.rng.get().cloned().or_else(own);
        let backend = backend.ok_or(DeviceError::Missing("source of random numbers"))?;
        self.source.set((backend, cx.clock().clone()));
        cx.plug_virtio(self)
    }

    fn unrealize(&self) {
        self.source.clear();
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
        let (backend, clock) = &*source;
        let limit = (self.max_bytes < UNLIMITED).then(|| Limit {
            bytes: self.max_bytes,
            period: Duration::from_millis(self.period.into()),
        });
        self.work.set(Work::new(driver, &**backend, clock, limit)?);
        Ok(())
    }

    fn notified(&self, _queue: u16) {
        if let Some(work) = self.work.get() {
            work.serve();
        }
    }

    fn stop(&self) {
        self.work.clear();
    }
}
