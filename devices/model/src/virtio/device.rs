//! The class of virtio devices, whatever the transport.

use std::{io, sync::Arc};

use qom_core::qom_type;

use super::driver::VirtioDriver;
use crate::{
    device::{Device, Plug},
    event_loop::EventLoop,
};

/// A virtio device, which a transport shows to the guest
///
/// It takes its place by
/// [`RealizeContext::plug_virtio`](crate::realize::RealizeContext::plug_virtio).
///
/// What it says of itself does not change while it is realized, but for the configuration. It is
/// started when a driver has set it up, and stopped when the driver resets it, the machine starts
/// over or the device goes; then it may be started again.
#[qom_type(abstract, parent = Device, class_data = VIRTIO)]
pub trait VirtioDevice: Device {
    /// Name of the bus that it stands on, the first free one if there is none
    #[property(default = "")]
    fn bus(&self) -> String;

    /// What kind of device it is (virtio 1.2, section 5).
    fn device_id(&self) -> u32;

    /// The greatest size of each of its queues, in descriptors: powers of two, up to
    /// [`MOST_DESCRIPTORS`](super::spec::MOST_DESCRIPTORS).
    fn queue_sizes(&self) -> Vec<u16>;

    /// The features of its kind that it has. Those of queues are the transport's
    /// ([`OF_QUEUES`](super::spec::feature::OF_QUEUES)).
    fn features(&self) -> u64 {
        0
    }

    /// How many bytes its configuration has.
    fn config_size(&self) -> u64 {
        0
    }

    /// Reads its configuration, within [`VirtioDevice::config_size`].
    fn read_config(&self, _offset: u64, _data: &mut [u8]) {}

    /// Writes its configuration, within [`VirtioDevice::config_size`].
    fn write_config(&self, _offset: u64, _data: &[u8]) {}

    /// The loop on whose thread it is notified; none for the machine's.
    fn event_loop(&self) -> Option<Arc<EventLoop>> {
        None
    }

    /// A driver drives it from here on. It is notified of each queue once, whether or not there is
    /// anything in it.
    ///
    /// # Errors
    /// If the host lacks something that it needs. Then it can't be driven until it is reset.
    fn start(&self, driver: VirtioDriver) -> io::Result<()>;

    /// There may be something in that queue. Called on the thread of the driver's loop, for one queue
    /// at a time, with no lock held that any of the driver's methods takes.
    fn notified(&self, queue: u16);

    /// The driver takes one queue from it: that is stopped already, and a notification that the
    /// device was at has returned. When this returns, it touches none of that queue's buffers any
    /// more; what it still had of them is forgotten.
    ///
    /// It does nothing by default, which is right for a device that reads and writes buffers in
    /// [`VirtQueue::finish`](super::VirtQueue::finish) alone. One that lets others do so meanwhile
    /// waits for them here, as in [`VirtioDevice::stop`].
    fn queue_stopped(&self, _queue: u16) {}

    /// The driver drives it no more: its queues are stopped already, and it is not being notified.
    /// When this returns, it touches none of the guest's memory any more. Also called after a start
    /// that failed.
    fn stop(&self);
}

/// The kind of bus that virtio devices stand on.
pub(super) const BUS: &str = "virtio-bus";

static VIRTIO: Plug = Plug { bus: Some(BUS), hotpluggable: false };
