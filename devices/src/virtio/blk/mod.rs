//! `virtio-blk-device`: a disk (virtio 1.2, section 5.2).

mod device;
mod disk;
mod lane;
pub mod layout;
pub mod request;
mod slots;
pub mod spec;

pub use device::VirtioBlkDevice;
