//! `virtio-net-device`: a network card (virtio 1.2, section 5.1).

mod card;
mod control;
mod device;
mod filter;
mod header;
mod layout;
mod mac;
mod receiver;
mod sender;
pub mod spec;
mod work;

pub use device::VirtioNetDevice;
pub use layout::Duplex;
pub use mac::MacAddress;
