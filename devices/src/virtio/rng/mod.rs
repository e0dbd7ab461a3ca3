//! `virtio-rng-device`: random numbers for the guest (virtio 1.2, section 5.4).

mod device;
mod quota;
mod work;

pub use device::VirtioRngDevice;
pub use quota::Quota;
