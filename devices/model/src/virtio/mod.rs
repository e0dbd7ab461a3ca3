//! Virtio devices (Virtual I/O Device, version 1.2) apart from the bus that a guest finds them on.
//!
//! A device is a type below [`VirtioDevice`]: it says what it is, which queues and features it has,
//! and does its work once the driver has set it up. It knows of no registers. A transport, which
//! offers a [`VirtioBus`], has the registers, negotiates, and starts the device with a
//! [`VirtioDriver`]: the driver as the device sees it, with the queues that it made ready.
//!
//! What a driver puts into a queue is hostile. [`VirtQueue::pop`] gives chains that were checked: of
//! bounded length, in the guest's memory, what is to be read before what is to be written. For any
//! other the device is broken until the driver resets it, and needs to do nothing about that.
//!
//! A whole device, which gives every buffer back with as many zeroes as fit:
//!
//! ```
//! use device_model::{prelude::*, virtio::{VirtioDevice, VirtioDriver}};
//!
//! /// Device that knows nothing but zero
//! #[qom_type(insecure, reason = "an example", parent = VirtioDevice)]
//! pub struct VirtioZero {
//!     driver: Realized<VirtioDriver>,
//! }
//!
//! impl Device for VirtioZero {
//!     fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
//!         cx.plug_virtio(self)
//!     }
//! }
//!
//! impl VirtioDevice for VirtioZero {
//!     fn device_id(&self) -> u32 {
//!         0x3f
//!     }
//!
//!     fn queue_sizes(&self) -> Vec<u16> {
//!         vec![64]
//!     }
//!
//!     fn start(&self, driver: VirtioDriver) -> std::io::Result<()> {
//!         self.driver.set(driver);
//!         Ok(())
//!     }
//!
//!     fn notified(&self, index: u16) {
//!         let Some(driver) = self.driver.get() else { return };
//!         let Some(queue) = driver.queue(index) else { return };
//!         for _ in 0..64 {
//!             let Some(chain) = queue.pop() else { return queue.signal() };
//!             queue.finish(chain, |buffers| buffers.write(&[0; 512]));
//!         }
//!         // The rest after others who share the loop.
//!         queue.signal();
//!         driver.notify(index);
//!     }
//!
//!     fn stop(&self) {
//!         self.driver.clear();
//!     }
//! }
//! ```

mod bus;
mod chain;
mod device;
mod driver;
mod queue;
pub mod spec;

pub(crate) use bus::VirtioBuses;
pub use bus::{VirtioBus, VirtioBusError};
pub use chain::{Chain, ChainError, Part};
pub use device::VirtioDevice;
pub use driver::{VirtioDriver, VirtioSession};
pub use queue::{Buffers, QueueError, QueueSetup, VirtQueue};
