//! Registers of the MMIO transport (virtio 1.2, section 4.2.2), of which each is a little-endian word
//! of 32 bits. R: the driver reads it, W: writes it.

use virtio_bindings::virtio_mmio;

/// R: [`MAGIC`].
pub const MAGIC_VALUE: u64 = virtio_mmio::VIRTIO_MMIO_MAGIC_VALUE as u64;
/// R: [`VERSION_2`].
pub const VERSION: u64 = virtio_mmio::VIRTIO_MMIO_VERSION as u64;
/// R: what kind of device there is, 0 if there is none.
pub const DEVICE_ID: u64 = virtio_mmio::VIRTIO_MMIO_DEVICE_ID as u64;
/// R: [`VENDOR`].
pub const VENDOR_ID: u64 = virtio_mmio::VIRTIO_MMIO_VENDOR_ID as u64;
/// R: 32 of the device's features.
pub const DEVICE_FEATURES: u64 = virtio_mmio::VIRTIO_MMIO_DEVICE_FEATURES as u64;
/// W: which 32.
pub const DEVICE_FEATURES_SEL: u64 = virtio_mmio::VIRTIO_MMIO_DEVICE_FEATURES_SEL as u64;
/// W: 32 of the features that the driver wants.
pub const DRIVER_FEATURES: u64 = virtio_mmio::VIRTIO_MMIO_DRIVER_FEATURES as u64;
/// W: which 32.
pub const DRIVER_FEATURES_SEL: u64 = virtio_mmio::VIRTIO_MMIO_DRIVER_FEATURES_SEL as u64;
/// W: the queue that the registers of queues are of.
pub const QUEUE_SEL: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_SEL as u64;
/// R: its greatest size, 0 if there is no such queue.
pub const QUEUE_NUM_MAX: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_NUM_MAX as u64;
/// W: its size.
pub const QUEUE_NUM: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_NUM as u64;
/// RW: 1 if it is ready, 0 if not.
pub const QUEUE_READY: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_READY as u64;
/// W: the number of a queue in which there is something.
pub const QUEUE_NOTIFY: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_NOTIFY as u64;
/// R: why there is an interrupt, [`INTERRUPT_QUEUE`] and [`INTERRUPT_CONFIG`].
pub const INTERRUPT_STATUS: u64 = virtio_mmio::VIRTIO_MMIO_INTERRUPT_STATUS as u64;
/// W: which of these the driver has heard of.
pub const INTERRUPT_ACK: u64 = virtio_mmio::VIRTIO_MMIO_INTERRUPT_ACK as u64;
/// RW: the device status; 0 resets the device.
pub const STATUS: u64 = virtio_mmio::VIRTIO_MMIO_STATUS as u64;
/// W: where the chosen queue's descriptors are, lower half.
pub const QUEUE_DESC_LOW: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_DESC_LOW as u64;
/// W: upper half.
pub const QUEUE_DESC_HIGH: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_DESC_HIGH as u64;
/// W: where its ring of available chains is, lower half.
pub const QUEUE_DRIVER_LOW: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_AVAIL_LOW as u64;
/// W: upper half.
pub const QUEUE_DRIVER_HIGH: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_AVAIL_HIGH as u64;
/// W: where its ring of used chains is, lower half.
pub const QUEUE_DEVICE_LOW: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_USED_LOW as u64;
/// W: upper half.
pub const QUEUE_DEVICE_HIGH: u64 = virtio_mmio::VIRTIO_MMIO_QUEUE_USED_HIGH as u64;
/// W: a region of shared memory, of which there is none.
pub const SHM_SEL: u64 = virtio_mmio::VIRTIO_MMIO_SHM_SEL as u64;
/// R: its length, lower half: all ones if there is no such region.
pub const SHM_LEN_LOW: u64 = virtio_mmio::VIRTIO_MMIO_SHM_LEN_LOW as u64;
/// R: upper half.
pub const SHM_LEN_HIGH: u64 = virtio_mmio::VIRTIO_MMIO_SHM_LEN_HIGH as u64;
/// R: where it is, lower half: all ones if there is no such region.
pub const SHM_BASE_LOW: u64 = virtio_mmio::VIRTIO_MMIO_SHM_BASE_LOW as u64;
/// R: upper half.
pub const SHM_BASE_HIGH: u64 = virtio_mmio::VIRTIO_MMIO_SHM_BASE_HIGH as u64;
/// R: changes when the configuration does.
pub const CONFIG_GENERATION: u64 = virtio_mmio::VIRTIO_MMIO_CONFIG_GENERATION as u64;
/// RW: the configuration, of the widths of its fields, up to the end of the window.
pub const CONFIG: u64 = virtio_mmio::VIRTIO_MMIO_CONFIG as u64;

/// "virt".
pub const MAGIC: u32 = 0x7472_6976;
/// No legacy device.
pub const VERSION_2: u32 = 2;
/// "PALI": whose transport it is.
pub const VENDOR: u32 = u32::from_le_bytes(*b"PALI");

/// A reason of an interrupt: chains have been used.
pub const INTERRUPT_QUEUE: u32 = virtio_mmio::VIRTIO_MMIO_INT_VRING;
/// A reason of an interrupt: the configuration has changed, or the device needs a reset.
pub const INTERRUPT_CONFIG: u32 = virtio_mmio::VIRTIO_MMIO_INT_CONFIG;

/// Bytes of the window.
pub const WINDOW_SIZE: u64 = 0x200;
/// Where the first transport of QEMU's microvm board is.
pub const DEFAULT_BASE: u64 = 0xfeb0_0000;
/// The interrupt of that one.
pub const DEFAULT_GSI: u32 = 16;
/// What ACPI tables call a transport.
pub const ACPI_ID: &str = "LNRO0005";
