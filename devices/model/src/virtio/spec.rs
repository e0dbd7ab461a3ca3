//! Numbers that all virtio devices and transports share (Virtual I/O Device, version 1.2), under the
//! names of the specification.

use virtio_bindings::{virtio_config, virtio_ids, virtio_ring};

/// The kinds of devices (section 5).
pub mod device_id {
    use super::virtio_ids;

    /// Network card.
    pub const NET: u32 = virtio_ids::VIRTIO_ID_NET;
    /// Block device.
    pub const BLOCK: u32 = virtio_ids::VIRTIO_ID_BLOCK;
    /// Console.
    pub const CONSOLE: u32 = virtio_ids::VIRTIO_ID_CONSOLE;
    /// Entropy source.
    pub const RNG: u32 = virtio_ids::VIRTIO_ID_RNG;
}

/// Bits of the device status (section 2.1).
pub mod status {
    use super::virtio_config;

    /// The guest has found the device.
    pub const ACKNOWLEDGE: u32 = virtio_config::VIRTIO_CONFIG_S_ACKNOWLEDGE;
    /// The guest knows how to drive it.
    pub const DRIVER: u32 = virtio_config::VIRTIO_CONFIG_S_DRIVER;
    /// The driver is set up and drives it.
    pub const DRIVER_OK: u32 = virtio_config::VIRTIO_CONFIG_S_DRIVER_OK;
    /// The features are agreed on.
    pub const FEATURES_OK: u32 = virtio_config::VIRTIO_CONFIG_S_FEATURES_OK;
    /// The device can't go on but after a reset. Only the device sets it.
    pub const DEVICE_NEEDS_RESET: u32 = virtio_config::VIRTIO_CONFIG_S_NEEDS_RESET;
    /// The guest has given the device up.
    pub const FAILED: u32 = virtio_config::VIRTIO_CONFIG_S_FAILED;
}

/// Feature bits that are not of one kind of device alone (section 6).
pub mod feature {
    use super::{virtio_config, virtio_ring};

    /// Descriptors may refer to tables of descriptors.
    pub const INDIRECT_DESC: u64 = 1 << virtio_ring::VIRTIO_RING_F_INDIRECT_DESC;
    /// Each side says at which entry it wants to be told of the next.
    pub const EVENT_IDX: u64 = 1 << virtio_ring::VIRTIO_RING_F_EVENT_IDX;
    /// The device is as this version of the specification has it, and not a legacy one.
    pub const VERSION_1: u64 = 1 << virtio_config::VIRTIO_F_VERSION_1;
    /// Those that the queues have whatever the device.
    pub const OF_QUEUES: u64 = INDIRECT_DESC | EVENT_IDX | VERSION_1;
}

/// Flags of a descriptor (section 2.7.5).
pub mod descriptor {
    use super::virtio_ring;

    /// Another follows.
    pub const NEXT: u32 = virtio_ring::VRING_DESC_F_NEXT;
    /// The buffer is for the device to write to.
    pub const WRITE: u32 = virtio_ring::VRING_DESC_F_WRITE;
    /// The buffer is a table of descriptors.
    pub const INDIRECT: u32 = virtio_ring::VRING_DESC_F_INDIRECT;
    /// Bytes of a descriptor.
    pub const SIZE: u32 = 16;
}

/// Flag of the available ring: no interrupt is wanted (section 2.7.6). Without
/// [`feature::EVENT_IDX`] alone.
pub const AVAIL_NO_INTERRUPT: u16 = 1;

/// The greatest size of a queue, in descriptors (section 2.7).
pub const MOST_DESCRIPTORS: u16 = 32_768;
