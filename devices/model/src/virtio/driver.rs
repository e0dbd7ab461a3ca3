//! The driver as its device sees it, from DRIVER_OK to the next reset.

use std::{fmt, sync::Arc};

use super::queue::VirtQueue;
use crate::{event_loop::EventLoop, platform::GuestMemory};

/// What a device and its queues ask of the transport while a driver drives it.
///
/// Once the driver has reset the device, none of it does anything. A transport takes no lock for
/// these that it holds while it calls the device.
pub trait VirtioSession: Send + Sync {
    /// Interrupts the driver: chains of that queue have been used.
    fn queue_used(&self, queue: u16);

    /// Tells the driver that the configuration has changed: what it reads from now on is of another
    /// generation.
    fn config_changed(&self);

    /// The device can't go on until the driver resets it: it sets DEVICE_NEEDS_RESET and says so by
    /// an interrupt (virtio 1.2, section 2.1.2).
    fn fail(&self, why: &str);

    /// Whether the device can't go on.
    fn is_broken(&self) -> bool;

    /// Lets the device be called for that queue as if the driver had notified it.
    fn notify(&self, queue: u16);
}

/// A driver that drives a device: what they agreed on, and the queues. Clones are of the same one.
#[derive(Clone)]
pub struct VirtioDriver {
    features: u64,
    queues: Arc<[Option<Arc<VirtQueue>>]>,
    memory: Arc<GuestMemory>,
    events: Arc<EventLoop>,
    session: Arc<dyn VirtioSession>,
}

impl VirtioDriver {
    /// A driver that has agreed on those features and made those queues ready, whose device is
    /// notified on that loop.
    #[must_use]
    pub fn new(
        features: u64,
        queues: impl IntoIterator<Item = Option<Arc<VirtQueue>>>,
        memory: Arc<GuestMemory>,
        events: Arc<EventLoop>,
        session: Arc<dyn VirtioSession>,
    ) -> Self {
        Self { features, queues: queues.into_iter().collect(), memory, events, session }
    }

    /// The features that both have.
    #[must_use]
    pub const fn features(&self) -> u64 {
        self.features
    }

    /// A queue; none if the driver has not made it ready.
    #[must_use]
    pub fn queue(&self, index: u16) -> Option<&Arc<VirtQueue>> {
        self.queues.get(usize::from(index))?.as_ref()
    }

    /// All queues of the device, those that are ready.
    #[must_use]
    pub fn queues(&self) -> &[Option<Arc<VirtQueue>>] {
        &self.queues
    }

    /// The guest's memory.
    #[must_use]
    pub const fn memory(&self) -> &Arc<GuestMemory> {
        &self.memory
    }

    /// The loop on whose thread the device is notified.
    #[must_use]
    pub const fn events(&self) -> &Arc<EventLoop> {
        &self.events
    }

    /// Lets the device be notified of a queue once more, after others who share the loop.
    pub fn notify(&self, queue: u16) {
        self.session.notify(queue);
    }

    /// Tells the driver that the configuration has changed.
    pub fn config_changed(&self) {
        self.session.config_changed();
    }

    /// The device can't go on until it is reset.
    pub fn fail(&self, why: &str) {
        self.session.fail(why);
    }
}

impl fmt::Debug for VirtioDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtioDriver")
            .field("features", &format_args!("{:#x}", self.features))
            .field("queues", &self.queues)
            .finish_non_exhaustive()
    }
}
