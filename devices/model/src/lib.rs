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
//!     byte: Mutex<u8>,
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
//!     fn read(&self, _region: u8, _offset: u64, data: &mut [u8]) {
//!         data.fill(*self.byte.lock());
//!     }
//!
//!     fn write(&self, _region: u8, _offset: u64, data: &[u8]) {
//!         if let Some(byte) = data.first() {
//!             *self.byte.lock() = *byte;
//!         }
//!     }
//! }
//! ```
//!
//! Fields are of three kinds: properties, which the user sets before the device is realized; state,
//! which starts at its default; and [`Realized`](realized::Realized) ones, which the device gets in
//! `realize`: a timer, an interrupt line, a model made from properties. What a device claimed through
//! the context, the framework takes back when the device goes. With the feature `testing` there is a
//! `testing` module: a machine on which a device can be tried.

#![forbid(unsafe_code)]

extern crate self as device_model;

pub mod acpi;
pub mod authz;
pub mod block;
pub mod bus;
pub mod causes;
pub mod chardev;
pub mod clock;
pub mod control;
pub mod descriptors;
pub mod device;
pub mod doorbell;
pub mod event_loop;
pub mod event_loop_base;
pub mod firmware_config;
pub mod interrupt;
pub mod memory_backend;
pub mod monitor;
pub mod named_file;
pub mod netdev;
pub mod platform;
pub mod power_button;
pub mod preparation;
pub mod realize;
pub mod realized;
pub mod request;
pub mod ring_buffer;
pub mod rng_backend;
pub mod secret;
pub mod taint;
#[cfg(feature = "testing")]
pub mod testing;
pub mod throttle;
pub mod user_creatable;
pub mod virtio;

pub use qom_core;

/// What this crate's macros' expansions name. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
}

/// Everything that a device's source file needs.
///
/// `Mutex` is parking_lot's: `lock()` gives the guard at once, since a thread that panicked leaves
/// no poison behind. `Value` is serde_json's, in which properties speak.
pub mod prelude {
    pub use parking_lot::{Mutex, MutexGuard};
    pub use qom_core::{
        self, Children, Completion, Computed, Configuration, Link, Live, Obj, Object, PlanError,
        PropertyEnum, PropertyType, Size, ValueError, ValueType, qom_interface, qom_type,
    };

    #[doc(hidden)]
    pub use qom_core::Value;

    pub use crate::{
        acpi::{AcpiDevice, AcpiEvent, AcpiNode, EventRegister, Polarity, Resource, Trigger},
        authz::Authz,
        block::{BlockBackend, BlockNode, BlockQueue, BlockWatcher, FormatNode},
        bus::{MemoryIo, PortIo},
        chardev::{
            Chardev, ChardevClass, ChardevFrontend, DataCase, DataMember, Frontend, MemberValue,
            Presence,
        },
        clock::Timer,
        descriptors::{DescriptorNumber, DescriptorNumbers},
        device::{Device, IsaDevice, Plug, SysBusDevice},
        event_loop::{EventLoop, Next, Watch},
        event_loop_base::EventLoopBase,
        firmware_config::{FirmwareConfig, FirmwareItems},
        interrupt::{InterruptController, InterruptLine, Msi, MsiSink},
        netdev::{Netdev, NetdevPeer, PeerHandle, Receiving, Sending},
        platform::{GuestMemory, Platform},
        realize::{DeviceError, RealizeContext},
        realized::Realized,
        request::{VmRequest, VmRequests},
        ring_buffer::RingBuffer,
        rng_backend::RngBackend,
        secret::{SecretBytes, SecretSource},
        throttle::Throttle,
        user_creatable::UserCreatable,
    };
}
