//! The device models a guest sees, and the backends behind them.
//!
//! There is no list of them: each registers itself when it is linked. Each has a folder: `spec`
//! names the registers and bits and says where they come from, the behaviour is a plain struct that
//! knows nothing of KVM, buses or other devices, `device` makes a type of it that can be created
//! and claims its place in a machine, and `mod` joins them. Virtio devices, which have no registers
//! of their own, are in [`virtio`]. What devices link to is in [`authz`], [`block`], [`chardev`],
//! [`iothread`], [`memory_backend`], [`netdev`], [`rng`], [`secret`], [`throttle`] and [`tls`].
//!
//! A model is given accesses and answers with values and effects:
//!
//! * `read(offset, &mut data)` and `write(offset, &data)` take an access as the guest made it:
//!   every offset and every length is defined, and none panics.
//! * What a device does to the outside (transmit a byte, reset the machine, deliver an MSI) is
//!   returned, or handed to a closure where one access can do several such things. The device
//!   carries it out. It calls nothing that could call it back, or hold it up, while its lock on
//!   the model is held.
//! * An interrupt line is a level, to be asked for after each access. The device drives the line
//!   under its lock, so that levels can't overtake each other; the line passes on changes only.
//!
//! Locks are taken in one order: a device's, then its interrupt controller's, then what delivers
//! the interrupt. Nothing calls in the other direction while it holds a lock.
//!
//! Devices with byte-wide registers take a wider access apart into byte accesses at consecutive
//! offsets, lowest first, as the ISA bus does for an 8-bit device.

#![forbid(unsafe_code)]

pub mod authz;
pub mod block;
pub mod chardev;
mod contents;
pub mod debug_exit;
pub mod debugcon;
pub mod fw_cfg;
pub mod ged;
pub mod i8042;
pub mod ioapic;
pub mod iothread;
pub mod mc146818rtc;
pub mod memory_backend;
pub mod netdev;
pub mod pvpanic;
pub mod rng;
pub mod secret;
pub mod serial;
pub mod throttle;
pub mod tls;
pub mod virtio;
