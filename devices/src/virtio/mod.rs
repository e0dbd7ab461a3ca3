//! Virtio (Virtual I/O Device, version 1.2): transports and devices.
//!
//! [`core`] has what all transports share: the negotiation, and the life of a device between
//! DRIVER_OK and reset. A transport puts registers before it. A device knows of neither: it is a
//! [`VirtioDevice`](device_model::virtio::VirtioDevice), in a folder of its own.

pub mod blk;
pub mod core;
pub mod mmio;
pub mod net;
pub mod rng;
