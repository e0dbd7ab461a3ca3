//! What the author of a device needs, and nothing else: the classes that devices descend from, the
//! buses and interrupt lines that they claim, guest memory, and the backends that they talk to.
//!
//! A device is a struct with `#[qom_type(…)]`, the traits of its class, and the interfaces
//! through which a bus reaches it. This is a whole one:
//!
//! ```
//! use device_model::prelude::*;
//!
//! /// A port that reads as the last byte written to it
//! #[qom_type(insecure, reason = "an example", parent = IsaDevice, interfaces(PortIo))]
//! pub struct Latch {
//!     /// Port that the latch answers at
//!     #[property(default = 0x80)]
//!     iobase: u16,
//!     byte: std::sync::atomic::AtomicU8,
//! }
//!
//! impl Device for Latch {
//!     fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
//!         cx.claim_ports(0, self.iobase, 1)
//!     }
//! }
//!
//! impl IsaDevice for Latch {}
//!
//! impl PortIo for Latch {
//!     fn read(&self, _: u8, _: u16, data: &mut [u8]) {
//!         data.fill(self.byte.load(std::sync::atomic::Ordering::Relaxed));
//!     }
//!
//!     fn write(&self, _: u8, _: u16, data: &[u8]) {
//!         if let Some(byte) = data.first() {
//!             self.byte.store(*byte, std::sync::atomic::Ordering::Relaxed);
//!         }
//!     }
//! }
//! ```

#![forbid(unsafe_code)]

extern crate self as device_model;

pub mod bus;
pub mod chardev;
pub mod device;
pub mod event_loop;
pub mod interrupt;
pub mod platform;
pub mod realize;
pub mod request;

pub use qom_core;

/// Everything that a device's source file needs.
pub mod prelude {
    pub use qom_core::{
        self, Children, Completion, Computed, Configuration, Link, Live, Obj, Object, PlanError,
        PropertyEnum, Size, qom_interface, qom_type,
    };

    pub use crate::{
        bus::{MemoryIo, PortIo},
        chardev::{Chardev, ChardevFrontend},
        device::{Device, IsaDevice, Plug, SysBusDevice},
        interrupt::{InterruptController, InterruptLine, Msi, MsiSink},
        platform::{GuestMemory, Platform},
        realize::{DeviceError, RealizeContext},
        request::{VmRequest, VmRequests},
    };
}
