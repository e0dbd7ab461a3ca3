//! A machine on which a device can be tried, as a guest, a host and a board meet it.
//!
//! A test creates the device as a user does, and reaches it through the buses as a guest does. What
//! the device does to the outside, a recorder remembers: [`TestController`] for interrupt lines,
//! [`TestSink`] for messages, [`TestChardev`] for a stream of bytes, [`TestNetdev`] and
//! [`TestNic`] for either end of a network, and [`Machine::requests`].
//!
//! ```
//! use device_model::{prelude::*, testing::Machine};
//!
//! /// Device that raises its interrupt while a byte that is not zero stands in its port
//! #[qom_type(secure, parent = IsaDevice, interfaces(PortIo))]
//! struct Bell {
//!     /// Port that it answers at
//!     #[property(default = 0x80)]
//!     iobase: u16,
//!     line: Realized<InterruptLine>,
//! }
//!
//! impl Device for Bell {
//!     fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
//!         self.line.set(cx.interrupt_line(5)?);
//!         cx.claim_ports(0, self.iobase, 1)
//!     }
//! }
//!
//! impl IsaDevice for Bell {}
//!
//! impl PortIo for Bell {
//!     fn read(&self, _region: u8, _offset: u64, _data: &mut [u8]) {}
//!
//!     fn write(&self, _region: u8, _offset: u64, data: &[u8]) {
//!         self.line.with(|line| line.set_level(data != [0]));
//!     }
//! }
//!
//! let (machine, controller) = Machine::with_controller();
//! let bell = machine.add("bell", "bell", &[("iobase", "0x90")]);
//! machine.outb(0x90, 1);
//! machine.outb(0x90, 2);
//! assert_eq!(controller.take_changes(), [(5, true)], "it was high already");
//! machine.remove(&bell);
//! assert!(!controller.level(5));
//! assert_eq!(machine.inb(0x90), 0xff, "nothing answers any more");
//! ```
//!
//! Mistakes of the test itself panic here, as they should in a test.

mod block;
mod chardev;
mod control;
mod interrupts;
mod machine;
mod network;

pub use block::backend;
pub use chardev::{TestChardev, frontend};
pub use interrupts::{SinkCall, TestController, TestSink};
pub use machine::{Machine, Running, wait_until};
pub use network::{TestNetdev, TestNic};
